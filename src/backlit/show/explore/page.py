"""`explore`: a graph as one HTML page: computed, stepped through and changed by hand."""

from __future__ import annotations

import html
import json
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...explain.record import record_of
from ...explain.tape import Tape, tape_of
from ...explain.variables import variables
from ...modes.static.session import Session
from ...train.run_folder import RunFolder
from .assets import COMPUTING, SHOWING, asset
from .facts import Facts
from .history import history_of
from .verdicts import verdicts_of


class Page:
    """One self-contained HTML page: no file and no network beside it.

    Attributes:
        html: its text.
        title: what it shows.
    """

    def __init__(self, facts: Mapping[str, Any], functions: str, title: str) -> None:
        self.title = title
        data = json.dumps({**facts, "title": title}, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        scripts = [asset(name) for name in COMPUTING] + [functions] + [asset(name) for name in SHOWING]
        parts = {
            "TITLE": html.escape(title),
            "STYLE": asset("page.css"),
            "DATA": data,
            "SCRIPT": "\n".join(scripts),
        }
        text = asset("page.html")
        for name, part in parts.items():
            before, mark, after = text.partition(f"<!--{name}-->")
            text = before + part + after if mark else text
        self.html = text

    def save(self, path: str | Path) -> Path:
        """Write the page to a file; its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html, "utf-8")
        return path

    def open(self) -> Path:
        """Show the page in the browser, from a temporary file where it was not saved; the path of the file."""
        path = self.save(Path(tempfile.mkdtemp(prefix="backlit-")) / "explore.html")
        webbrowser.open(path.as_uri())
        return path

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks."""
        frame = "width:100%;height:640px;border:1px solid #ccc;border-radius:8px"
        return f'<iframe srcdoc="{html.escape(self.html)}" style="{frame}" title="{html.escape(self.title)}"></iframe>'

    def __repr__(self) -> str:
        return f"<page {self.title!r}: {len(self.html) / 1024:,.0f} KiB; .save(path), .open()>"


def explore(
    y: Any, *args: Any, wrt: Any = None, session: Session | None = None,
    feed_dict: Mapping[Any, Any] | None = None, names: Mapping[str, Any] | None = None, model: Any = None,
    diagnosis: Any = None, run: str | Path | None = None, title: str | None = None, path: str | Path | None = None,
) -> Page:  # fmt: skip
    """A page in which a value and its gradients can be watched and changed.

    It plays the forward and the backward pass step by step; a click on a node shows its formula with numbers, its
    local derivatives, value and cotangent and the line of the code that made it; inputs and weights can be dragged,
    and all that follows from them is computed anew in the page, by kernels that are made of the records of the ops.
    What cannot be computed there (because an op has no kernel, or there is too much of it) says so.

    Args:
        y: what is explained: a Tensor, a tensor of a static graph (with `session` and `feed_dict`), or a function of
            `args`, compiled or not.
        wrt: Tensors of a static graph that are to be in the page.
        names: names of Tensors and arrays, besides the variables of the function that calls this.
        model: the network, for the names of its parameters.
        diagnosis: what `bl.diagnose` returned: its verdicts are listed and lead to their layers.
        run: the folder of a training, for its verdicts and the history of its loss, layers and parameters.
        title: of the page.
        path: where to save it.

    Raises:
        ArgumentError: `y` is neither a Tensor nor a function.
        GradientError: nothing is recorded for `y`.

    >>> import backlit as bl
    >>> page = bl.explore(lambda w, x: bl.tanh(w * x), 0.5, 2.0, title="a neuron")
    >>> page.html.startswith("<!doctype html>")
    True
    """
    known = (variables() if session is None else {}) | dict(names or {})
    if model is not None:
        known |= model.parameters()
    wanted = [] if wrt is None else list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]
    tape = y if isinstance(y, Tape) else tape_of(
        y, *args, wrt=wanted, feed_dict=feed_dict, session=session,
        names=known, where="explore",
    )  # fmt: skip
    if not isinstance(y, Tape):
        tape.names |= tape.parameters
    facts = Facts(tape)
    data = facts.data()
    record = record_of(run) if run is not None else None
    if diagnosis is not None:
        data["verdicts"] = verdicts_of(diagnosis.verdicts, diagnosis.outcomes, facts.places)
    elif record is not None:
        data["verdicts"] = verdicts_of(record.verdicts, [None] * len(record.verdicts), facts.places)
    if run is not None:
        data["history"] = history_of(RunFolder(run).history(), record)
    page = Page(data, facts.payload.script(), title or tape.name(tape.output))
    if path is not None:
        page.save(path)
    return page
