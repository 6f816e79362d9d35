"""The pages of the gallery's experiments, `explored/NAME.page.html`, written into the site when it has been built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backlit.show import stage


def write(app: Any, problem: Exception | None) -> None:
    """Write the pages, explanations and drawings of all experiments."""
    if problem is None and app.builder.format == "html":
        for name in stage.names():
            stage.explain(name, Path(app.outdir) / "explored")


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
