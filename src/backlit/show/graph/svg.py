"""`svg_of`: a scene as SVG: boxes by kind, values and gradients, edges as wide as the gradient that runs along them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from html import escape
from math import inf, isfinite, log10

from .layout import Box, Layout, Point, layout
from .legend import legend
from .scene import WRONG, Scene, SceneEdge, SceneNode
from .sizes import LINE, cut, head_of, lines_of, node_size, text_width
from .theme import css

#: White space around the drawing, the height of the title, and where notes beside it break, in letters.
MARGIN, HEAD, NOTE = 24.0, 34.0, 34
#: Edges of the largest weight are this wide; each factor of ten less takes `DECADE` off, down to `THINNEST`.
WIDEST, DECADE, THINNEST = 5.5, 1.2, 1.0
#: Length of the tip of an edge.
TIP = 7.0


def svg_of(scene: Scene, collapsed: Collection[str] = (), title: str = "", shares: bool = False) -> str:
    """The drawing as the text of an SVG file.

    Args:
        collapsed: keys of groups that are drawn as one node.
        title: stands above it.
        shares: are the weights of edges shares of a gradient, and not norms? Then widths are proportional to them.
    """
    found = layout(scene, collapsed, lambda n: node_size(scene, n), shares)
    return "\n".join(_Writing(found, title, shares).lines())


def width_of(weight: float, largest: float) -> float:
    """The width of an edge by the norm of its gradient, on a scale of logarithms."""
    if not weight > 0 or not largest > 0:
        return THINNEST
    if not isfinite(weight):
        return WIDEST
    return max(THINNEST, WIDEST + DECADE * log10(min(weight / largest, 1.0)))


class _Writing:
    """The drawing of a layout."""

    def __init__(self, found: Layout, title: str, shares: bool) -> None:
        self.found, self.scene, self.title, self.shares = found, found.scene, title, shares
        self.largest = max((e.weight for e in self.scene.edges if isfinite(e.weight)), default=0.0)
        self.notes = [line for note in self.scene.notes for line in _wrapped(note, NOTE)]
        self.left = MARGIN
        self.top = MARGIN + (HEAD if title else 0)

    def lines(self) -> Iterator[str]:
        """The lines of the file."""
        key = legend(self.scene, self.shares, self.largest, width_of, self.notes)
        height = self.top + max(self.found.height, key.height) + MARGIN
        width = max(
            self.left + self.found.width + MARGIN * 2.5 + key.width, text_width(self.title, 16) * 1.1 + 2 * MARGIN
        )
        size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" class="bl-graph" role="img" {size} aria-label="{self._about}">'
        yield f"<title>{escape(self.title or 'Computational graph')}</title>"
        yield f"<desc>{escape(self._description())}</desc>"
        yield f"<style>{css()}</style>"
        yield f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>'
        if self.title:
            yield f'<text class="title" x="{MARGIN:.0f}" y="{MARGIN + 12:.0f}">{escape(self.title)}</text>'
        yield f'<g transform="translate({self.left:.0f} {self.top:.0f})">'
        for name, box in self.found.group_boxes.items():
            yield from self._frame(name, box)
        for e, points in sorted(self.found.routes.items(), key=lambda item: _rank(item[0])):
            yield from self._edge(e, points)
        for name, box in self.found.group_boxes.items():
            yield self._frame_title(name, box)
        for node in self.scene.nodes:
            yield from self._node(node, self.found.boxes[node.id])
        yield "</g>"
        yield f'<g transform="translate({self.left + self.found.width + MARGIN * 1.5:.0f} {self.top:.0f})">'
        yield from key.lines
        yield "</g>"
        yield "</svg>"

    @property
    def _about(self) -> str:
        return escape(self.title or "Computational graph", quote=True)

    def _description(self) -> str:
        wrong = [f"{n.label} ({n.state})" for n in self.scene.nodes if n.state in WRONG]
        text = f"A graph of {len(self.scene.nodes)} nodes and {len(self.scene.edges)} edges."
        return text + (f" Gradients out of range: {', '.join(wrong[:20])}." if wrong else "")

    def _frame(self, name: str, box: Box) -> Iterator[str]:
        group = self.scene.groups[name]
        inner = " inner" if self.scene.depth[name] % 2 == 0 else ""
        turn = " turn" if group.kind == "turn" else ""
        yield f'<g data-group="{name}"><title>{escape(group.path or group.title)}</title>'
        yield f'<rect class="frame{inner}{turn}" {_rect(box)} rx="10"/></g>'

    def _frame_title(self, name: str, box: Box) -> str:
        group = self.scene.groups[name]
        inner = " inner" if self.scene.depth[name] % 2 == 0 else ""
        text = escape(cut(group.title, max(8, int(box.width / 7))))
        return f'<text class="frame-title{inner}" x="{box.x + 12:.1f}" y="{box.y + 17:.1f}">{text}</text>'

    def _edge(self, e: SceneEdge, points: Sequence[Point]) -> Iterator[str]:
        if self.shares:
            share = abs(e.weight) if isfinite(e.weight) else 0.0
            width = THINNEST + (WIDEST - THINNEST) * min(share, 1.0)
            kind = "none" if not share else "against" if e.weight < 0 else "share"
            said = "no part of this gradient" if not share else f"{100 * e.weight:.3g} % of the gradient"
        else:
            width, kind = width_of(e.weight, self.largest), e.state
            said = "no derivative" if kind == "none" else f"gradient {e.weight:.3g} ({kind})"
        tip = "bad" if kind in WRONG else kind
        source, target = (self.scene.by_id[i].label for i in (e.source, e.target))
        yield f'<g data-edge="{e.source} {e.target} {e.slot}"><title>{escape(f"{source} to {target}: {said}")}</title>'
        yield f'<path class="edge {kind}" stroke-width="{width:.2f}" d="{_path(points)}"/>'
        x, y = points[-1]
        half = 3.2 + width / 2
        yield f'<path class="tip {tip}" d="M{x - half:.1f} {y - TIP:.1f}h{2 * half:.1f}L{x:.1f} {y:.1f}z"/></g>'

    def _node(self, node: SceneNode, box: Box) -> Iterator[str]:
        lines = lines_of(self.scene, node)
        wrong = " bad" if node.state in WRONG and not self.shares else ""
        folded = " folded" if node.node is None and node.id in self.scene.folded else ""
        yield f'<g class="{node.kind}{folded}{wrong}" data-id="{node.id}"><title>{escape(_told(node))}</title>'
        yield from _shape(node.kind, box, bool(folded))
        middle = box.x + box.width / 2
        y = box.y + 7 + LINE * 0.75
        yield f'<text class="head" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{escape(head_of(lines))}</text>'
        if lines.value or lines.gradient:
            broken = " bad" if re.search("nan|inf", lines.value) else ""
            value = f'<tspan class="value{broken}">{escape(lines.value)}</tspan>' if lines.value else ""
            shift = ' dx="9"' if lines.value else ""
            gradient = f'<tspan class="gradient"{shift}>{escape(lines.gradient)}</tspan>' if lines.gradient else ""
            yield f'<text x="{middle:.1f}" y="{y + LINE:.1f}" text-anchor="middle">{value}{gradient}</text>'
        yield "</g>"


_WORDS = {
    "zero": "the gradient is 0", "vanished": "the gradient has vanished", "burst": "the gradient has burst",
    "broken": "the gradient is not finite",
}  # fmt: skip


def _told(node: SceneNode) -> str:
    """The tooltip."""
    rows = [f"{node.label} = {node.formula}" if node.formula else node.label]
    rows += [node.op] if node.node is None and node.kind != "constant" else []
    rows += [f"value: {node.value}"] if node.value else []
    rows += [f"gradient: {node.gradient}"] if node.gradient else []
    rows += [_WORDS[node.state]] if node.state in WRONG else []
    return "\n".join([*rows, node.line] if node.line else rows)


def _shape(kind: str, box: Box, folded: bool) -> Iterator[str]:
    """The outline of a node: a pill for what is given, cut corners for parameters, square for constants, a small pile
    for what is folded, round corners for all that is computed.
    """
    x, y, width, height = box
    if folded:
        yield f'<rect class="box" {_rect(Box(x + 4, y + 4, width, height))} rx="7"/>'
    if kind == "parameter":
        c = 9.0
        yield (
            f'<path class="box" d="M{x + c:.1f} {y:.1f}H{x + width - c:.1f}L{x + width:.1f} {y + c:.1f}'
            f"V{y + height - c:.1f}L{x + width - c:.1f} {y + height:.1f}H{x + c:.1f}L{x:.1f} {y + height - c:.1f}"
            f'V{y + c:.1f}z"/>'
        )
    else:
        radius = {"leaf": height / 2, "constant": 0}.get(kind, 7)
        yield f'<rect class="box" {_rect(box)} rx="{radius:g}"/>'


def _rect(box: Box) -> str:
    return f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'


def _path(points: Sequence[Point]) -> str:
    """The line through points, straight down or bent from one to the next, up to the tip."""
    points = [*points[:-1], (points[-1][0], points[-1][1] - TIP + 0.5)]
    x, y = points[0]
    found = [f"M{x:.1f} {y:.1f}"]
    for u, v in points[1:]:
        if abs(u - x) < 0.05:
            found.append(f"V{v:.1f}")
        else:
            half = (y + v) / 2
            found.append(f"C{x:.1f} {half:.1f} {u:.1f} {half:.1f} {u:.1f} {v:.1f}")
        x, y = u, v
    return "".join(found)


def _rank(e: SceneEdge) -> float:
    """What is drawn later lies above: wide edges, as the narrow ones show where they branch off."""
    return inf if e.state in ("burst", "broken") else abs(e.weight) if isfinite(e.weight) else 0.0


def _wrapped(text: str, width: int) -> list[str]:
    found = [""]
    for word in text.split():
        if found[-1] and len(found[-1]) + len(word) + 1 > width:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    return found
