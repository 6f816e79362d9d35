"""The page's own files: scripts, styles and the frame, as they lie in `web/`."""

from __future__ import annotations

from importlib.resources import files

#: In the order in which they are read; `kernels` that a page computes with come first.
COMPUTING = ("numeric.js", "arrays.js", "kernels.js", "windows.js", "program.js")

#: And those that show what was computed.
SHOWING = (
    "words.js", "numbers.js", "model.js", "layout.js", "heat.js", "view.js", "drawing.js", "stage.js", "steps.js",
    "player.js", "values.js", "routes.js", "sheet.js", "panel.js", "search.js", "main.js",
)  # fmt: skip


def asset(name: str) -> str:
    """The text of one file of `web/`."""
    return (files("backlit.show.explore") / "web" / name).read_text("utf-8")
