"""`draw`: the graph behind a value, as a picture or as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import ArgumentError
from ...base.extras import require
from ...explain.contributions import shares
from ...explain.explanation import Explanation
from ...explain.tape import Tape, tape_of
from ...explain.variables import variables
from ...graph.tensor import Tensor
from ...modes.static.session import Session
from ...nn import Layer
from .folding import chosen
from .scene import Scene, scene_of
from .svg import svg_of
from .text import spans, text_of


class Drawing:
    """A drawing of a graph: printed it is text, in a notebook a picture; `save` writes it to a file.

    Attributes:
        scene: what is to be seen, as data.
        collapsed: the keys of the groups that are drawn as one node.
        title: what stands above.
    """

    def __init__(self, scene: Scene, collapsed: frozenset[str], title: str, shares: bool = False) -> None:
        self.scene, self.collapsed, self.title, self._shares = scene, collapsed, title, shares

    @cached_property
    def svg(self) -> str:
        """The picture as SVG: one text, without anything from outside; dark where the reader's system is."""
        return svg_of(self.scene, self.collapsed, self.title, self._shares)

    @property
    def html(self) -> str:
        """A page of its own."""
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(self.title or "Graph")}</title>'
            "<style>:root{color-scheme:light dark}body{margin:0;background:#fff}"
            "@media(prefers-color-scheme:dark){body{background:#14181D}}</style></head>"
            f"<body>{self.svg}</body></html>\n"
        )

    def lines(self) -> Any:
        """The text in pieces, as lists of `(text, what it is)`: see `text.spans`."""
        return spans(self.scene, self.collapsed, self.title, self._shares)

    def __str__(self) -> str:
        return text_of(self.scene, self.collapsed, self.title, self._shares)

    __repr__ = __str__

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto;max-height:90vh">{self.svg}</div>'

    def save(self, path: str | Path, kind: str | None = None) -> Path:
        """Write the drawing to a file.

        Args:
            kind: "svg", "html", "txt" or "png"; by default what the ending of the path says.

        Raises:
            ArgumentError: another ending.
            MissingExtra: a PNG is asked for and the package resvg_py is not installed.
        """
        path = Path(path)
        kind = kind or path.suffix.lower().removeprefix(".")
        if kind == "svg":
            path.write_text(f"{self.svg}\n", "utf-8")
        elif kind == "html":
            path.write_text(self.html, "utf-8")
        elif kind == "txt":
            path.write_text(f"{self}\n", "utf-8")
        elif kind == "png":
            path.write_bytes(bytes(require("resvg_py", "pictures").svg_to_bytes(svg_string=self.svg, zoom=2)))
        else:
            raise ArgumentError(f"draw: cannot save as {path.name}: the ending must be .svg, .html, .txt or .png.")
        return path


def draw(
    y: Any, *args: Any, wrt: Any = None, values: bool = True, gradients: bool = True, collapse: Any = "auto",
    session: Session | None = None, feed_dict: Mapping[Any, Any] | None = None, cotangent: Any = None,
    names: Mapping[str, Any] | None = None, title: str = "",
) -> Drawing:  # fmt: skip
    """Draw the graph behind a value: nodes by layer, values and gradients on them, edges as wide as their gradients.

    Boxes lie in layers, inputs above their users (see `show/graph/layered.py` for the method). The width of an edge
    tells the norm of the cotangent that comes back along it, on a scale of logarithms: 1.2 pixels for each factor of
    ten. Red is what vanishes or bursts: less than 1e-4, or more than 1e3, of the norm of the output's own cotangent.

    Args:
        y: a Tensor that was computed (before `backward()` lets its graph go); a function, compiled or not, or a network
            (`nn.Layer`), which is called with `args`; a tensor of a static graph, with `session` or, without values,
            without; an explanation (with one `wrt`, edges are as wide as their share of that gradient), or its Tape.
        args: of the function or network; the floating-point leaves of a function's arguments are nodes.
        wrt: a Tensor, or the name of a node: edges are then as wide as their share of the gradient by it.
        values, gradients: show them?
        collapse: which layers are drawn as one node. "auto" folds turns of loops, and layers from the inside outwards
            until at most 150 nodes are left; True folds all layers that hold no others, False none; a number what is
            nested deeper; a path or a list of paths these layers.
        session, feed_dict: of a static graph.
        cotangent: of y; 1 for every element by default, so that gradients are those of its sum.
        names: names of Tensors and arrays, besides the variables of the function that calls this.
        title: to stand above the drawing.

    Raises:
        GradientError: nothing is recorded, or the graph was let go.
        ArgumentError: `wrt` or `collapse` names what is not there.

    >>> import backlit as bl
    >>> w, x, b = (bl.tensor(v, requires_grad=True, name=n) for n, v in (("w", 0.0), ("x", 1.0), ("b", 0.0)))
    >>> print(bl.draw(bl.sigmoid(w * x + b)))
    ◆ w                                               0                   ∂ 0.25      ████████▊
    ◆ x                                               1                   ∂ 0         zero
    ○ h1 = w · x                                      0                   ∂ 0.25      ████████▊
    ◆ b                                               0                   ∂ 0.25      ████████▊
    ○ h2 = h1 + b                                     0                   ∂ 0.25      ████████▊
    ◎ h3 = sigmoid(h2)                                0.5                 ∂ 1         ██████████
    <BLANKLINE>
    ◆ parameter  ○ computed  ◎ output
    ∂ the derivative of the output, ‖…‖ its norm; a bar is two longer for each factor of ten
    """
    if isinstance(y, Tensor) and y.value is None and session is None and not args:
        if wrt is not None:
            raise ArgumentError("draw: a static graph has gradients when it is run: give session= (and feed_dict=).")
        scene = scene_of(y)
        return Drawing(scene, chosen(scene, collapse), title)
    if isinstance(y, Explanation):
        y, wrt = y.tape, y.wrt[0] if wrt is None and len(y.wrt) == 1 else wrt
    names = (variables() if session is None else {}) | dict(names or {})
    tape, notes = _tape(y, args, wrt, session, feed_dict, cotangent, names)
    found = None if wrt is None else shares(tape, _node(tape, wrt))
    scene = scene_of(tape, values=values, gradients=gradients, shares=found)
    scene = Scene(scene.nodes, scene.edges, scene.groups, scene.output, (*scene.notes, *notes))
    return Drawing(scene, chosen(scene, collapse), title, found is not None)


def _tape(
    y: Any, args: tuple[Any, ...], wrt: Any, session: Any, feed_dict: Any, cotangent: Any, names: Mapping[str, Any]
) -> tuple[Tape, list[str]]:
    """The Tape to draw, and what must be said of it."""
    if isinstance(y, Tape):
        return y, []
    if isinstance(y, Layer):
        if not args:
            raise ArgumentError(f"draw: give an input for {type(y).__name__} as well: bl.draw(model, x).")
        names = dict(names) | {"input" if len(args) == 1 else f"input {i + 1}": x for i, x in enumerate(args)}
        y, args = y(*args), ()
    tape = tape_of(
        y, *args, wrt=[wrt] if isinstance(wrt, Tensor) else [], session=session, feed_dict=feed_dict, names=names,
        cotangent=_ones if cotangent is None else cotangent, where="draw",
    )  # fmt: skip
    several = cotangent is None and np.size(tape.seed) != 1
    return tape, ["Gradients are those of the sum of the output's elements."] if several else []


def _ones(y: Tensor) -> Any:
    return np.ones(y.shape, y.dtype)


def _node(tape: Tape, wrt: Any) -> Any:
    if not isinstance(wrt, str):
        return wrt
    named = {tape.name(n): n for n in tape.nodes if n.op.results is None}
    named |= {path: n for n, path in tape.parameters.items()}
    if wrt not in named:
        leaves = ", ".join(tape.parameters.get(n) or tape.name(n) for n in tape.leaves)
        raise ArgumentError(f"draw: wrt names {wrt!r}; there are {leaves}.")
    return named[wrt]
