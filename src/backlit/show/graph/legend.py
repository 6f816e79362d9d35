"""What the colours, shapes and widths of a drawing mean: of those that are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import floor, log10
from typing import NamedTuple

from .scene import BURST, VANISHED, Scene
from .sizes import text_width

_KINDS = {
    "leaf": "input", "parameter": "parameter", "constant": "constant", "op": "computed",
    "output": "output", "group": "several nodes, folded",
}  # fmt: skip
_STATES = {
    "vanished": f"vanished: below {VANISHED:g}",
    "zero": "is 0",
    "burst": f"burst: above {BURST:g}",
    "broken": "NaN or infinite",
    "none": "no derivative",
}


class Legend(NamedTuple):
    """The lines of SVG, and how much room they take."""

    lines: list[str]
    width: float
    height: float


def legend(
    scene: Scene, shares: bool, largest: float, width_of: Callable[[float, float], float], notes: Sequence[str]
) -> Legend:
    """The legend of a drawing, with notes below it.

    Args:
        shares: do edges show shares of one gradient?
        largest: the largest weight of an edge.
        width_of: the width of an edge by its weight and the largest.
    """
    found: list[str] = []
    y, wide = 8.0, 0.0

    def row(sample: str, text: str, kind: str = "") -> None:
        nonlocal y, wide
        if sample:
            found.append(f'<g class="{kind}" transform="translate(0 {y:.0f})">{sample}</g>')
        found.append(f'<text class="key" x="{44 if sample else 0}" y="{y + 4:.0f}">{text}</text>')
        wide = max(wide, (44 if sample else 0) + text_width(text, 11))
        y += 20

    shown = {n.kind for n in scene.nodes} | {"group" for n in scene.nodes if n.id in scene.folded}
    for kind, text in _KINDS.items():
        if kind in shown:
            row(_sample(kind), text, kind)
    y += 6
    if any(n.gradient for n in scene.nodes):
        row("", "∂  derivative of the output")
        row("", "‖…‖  norm of an array")
        y += 6
    for sample, text in _edges(scene, shares, largest, width_of):
        row(sample, text)
    y += 6
    for note in notes:
        found.append(f'<text class="note" x="0" y="{y + 4:.0f}">{note}</text>')
        y += 16
    return Legend(found, max(wide, *(text_width(note, 11) for note in notes)) if notes else wide, y)


def _sample(kind: str) -> str:
    if kind == "parameter":
        return '<path class="box" d="M5 -7H27L32 -2V2L27 7H5L0 2V-2z"/>'
    radius = {"leaf": 7, "constant": 0}.get(kind, 4)
    pile = '<rect class="box" x="3" y="-4" width="32" height="14" rx="4"/>' if kind == "group" else ""
    return f'{pile}<rect class="box" x="0" y="-7" width="32" height="14" rx="{radius}"/>'


def _edges(
    scene: Scene, shares: bool, largest: float, width_of: Callable[[float, float], float]
) -> Iterator[tuple[str, str]]:
    if shares:
        yield _stroke("share", 7), "the whole gradient"
        yield _stroke("share", 2.5), "a quarter of it"
        if any(e.weight < 0 for e in scene.edges):
            yield _stroke("against", 2.5), "against the others"
        yield _stroke("none", 1), "no part of it"
        return
    if largest > 0:
        top = floor(log10(largest))
        yield _stroke("fine", width_of(10.0**top, largest)), f"gradient of norm {10.0**top:g}"
        for decade in (top - 1, top - 2):
            yield _stroke("fine", width_of(10.0**decade, largest)), f"{10.0**decade:g}"
    states = {e.state for e in scene.edges} | {n.state for n in scene.nodes if n.state != "none"}
    for state, text in _STATES.items():
        if state in states:
            yield _stroke(state, 4 if state in ("burst", "broken") else 1.5), text


def _stroke(kind: str, width: float) -> str:
    return f'<path class="edge {kind}" stroke-width="{width:.2f}" d="M0 0H34"/>'
