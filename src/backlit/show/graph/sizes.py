"""How much room texts take, without a font at hand; and what is written on a node."""

from __future__ import annotations

from typing import NamedTuple

from .scene import Scene, SceneNode

#: Size of letters on nodes, and the height of a line.
FONT, LINE = 12.0, 16.0
#: A formula longer than this is cut on the node; the tooltip has it whole.
LONGEST = 34

#: Widths of letters by their height, rounded up from those of DejaVu Sans and Verdana, the widest of the usual fonts.
_NARROW = dict.fromkeys("ijl.,:;|'!", 0.36) | dict.fromkeys("frt()[]{}/ -", 0.43)
_WIDE = dict.fromkeys("mwMWΣ‖@%", 0.98) | dict.fromkeys("→←×=+<>~∂", 0.84)
_WIDTHS = _NARROW | _WIDE | dict.fromkeys("ABCDEGHKNOPQRSUVXYZ", 0.74)


def text_width(text: str, size: float = FONT) -> float:
    """How wide a text is at most, in pixels; a Chinese character takes its height."""
    return size * sum(_WIDTHS.get(c, 1.0 if c >= "\u2e80" else 0.62) for c in text)


class Lines(NamedTuple):
    """The texts of a node.

    Attributes:
        name: what it is called.
        formula: how it is computed; empty for what nothing computes.
        value, gradient: in short; empty where they are not shown.
    """

    name: str
    formula: str
    value: str
    gradient: str


def lines_of(scene: Scene, node: SceneNode) -> Lines:
    """What is written on a node."""
    formula = node.formula if len(node.formula) <= LONGEST else node.brief
    name = node.label
    for key in scene.within(node.group):
        if path := scene.groups[key].path:
            for start in (f"{path}.", f"{path}/"):
                name, formula = name.removeprefix(start), formula.replace(start, "")
    gradient = node.gradient.rpartition(" ")[2] if "‖" in node.gradient else node.gradient
    value = node.value or ("" if not node.shape or node.kind == "group" else "×".join(map(_open, node.shape)))
    return Lines(cut(name), cut(formula), value, f"∂ {gradient}" if gradient else "")


def _open(size: int | None) -> str:
    return "?" if size is None else str(size)


def cut(text: str, longest: int = LONGEST) -> str:
    """A text without its end where it is too long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def node_size(scene: Scene, node: SceneNode) -> tuple[float, float]:
    """Width and height of a node with its texts."""
    lines = lines_of(scene, node)
    head = text_width(head_of(lines)) * 1.06  # in bold
    second = text_width(lines.value) + (text_width(f"   {lines.gradient}") if lines.gradient else 0)
    rows = 1 + bool(lines.value or lines.gradient)
    margin = 34 if node.kind in ("leaf", "parameter") else 24
    return max(52.0, head + margin, second + margin), rows * LINE + 14


def head_of(lines: Lines) -> str:
    """The first line of a node."""
    return f"{lines.name} = {lines.formula}" if lines.formula else lines.name
