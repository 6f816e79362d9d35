"""`text_of`: a scene as text, indented by layer, with values, norms of gradients, and a bar for each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import inf, isfinite, log10

from .folding import folded
from .scene import BURST, VANISHED, Scene, SceneNode
from .sizes import cut, head_of, lines_of

#: Widths of the columns; all together at most 100.
TREE, VALUE, GRADIENT, BAR = 49, 19, 12, 10
#: A bar is this much shorter for each factor of ten below the largest gradient.
DECADE = 2.0
_EIGHTHS = " ▏▎▍▌▋▊▉"

_MARKS = {"leaf": "●", "parameter": "◆", "constant": "□", "op": "○", "output": "◎", "group": "▣"}
_TOLD = {
    "leaf": "input", "parameter": "parameter", "constant": "constant", "op": "computed", "output": "output",
    "group": "folded",
}  # fmt: skip
WORDS = {"vanished": "vanished", "zero": "zero", "burst": "burst", "broken": "not finite"}

#: A piece of a line and what it is: one of "tree", "head", "value", "gradient", "bar", "bad", "faint" and "title".
Span = tuple[str, str]


def text_of(scene: Scene, collapsed: Collection[str] = (), title: str = "", shares: bool = False) -> str:
    """The drawing as plain text of at most 100 columns."""
    rows = ["".join(text for text, _ in line).rstrip() for line in spans(scene, collapsed, title, shares)]
    return "\n".join(rows)


def spans(scene: Scene, collapsed: Collection[str] = (), title: str = "", shares: bool = False) -> Iterator[list[Span]]:
    """The lines in pieces, for those who colour them.

    Args:
        shares: are the weights of edges shares of one gradient? Then bars show the share that runs through each node.
    """
    scene = folded(scene, frozenset(collapsed), shares)
    largest = max((n.norm for n in scene.nodes if isfinite(n.norm)), default=0.0)
    ends = _shares(scene) if shares else {n.id: _end(n, largest) for n in scene.nodes}
    if title:
        yield [(title, "title")]
        yield [("", "tree")]
    yield from _listed(scene, _tree(scene), "", "", ends)
    yield [("", "tree")]
    kinds = [k for k in _MARKS if any(n.kind == k for n in scene.nodes)]
    yield [("  ".join(f"{_MARKS[k]} {_TOLD[k]}" for k in kinds), "faint")]
    if largest or shares:
        bars = "bars: the share of the gradient" if shares else "a bar is two longer for each factor of ten"
        yield [(f"∂ the derivative of the output, ‖…‖ its norm; {bars}", "faint")]
    if not shares and any(n.state in ("vanished", "burst") for n in scene.nodes):
        yield [(f"vanished: below {VANISHED:g} of the output's; burst: above {BURST:g} of it", "faint")]
    for note in scene.notes:
        yield [(note, "faint")]


def _tree(scene: Scene) -> dict[str, list[str]]:
    """The ids of nodes and the keys of groups in each group, in the order of computation; what is given stands before
    its first user.
    """
    places = {n.id: float(i) for i, n in enumerate(scene.nodes)}
    first: dict[str, float] = {}
    for e in scene.edges:
        first[e.source] = min(first.get(e.source, inf), places[e.target])
    computed = {e.target for e in scene.edges}
    at = {i: place if i in computed else first.get(i, place) - 0.5 for i, place in places.items()}
    for node in scene.nodes:
        for key in scene.within(node.group):
            at[key] = min(at.get(key, inf), at[node.id] + 0.1)
    found: dict[str, list[str]] = {key: [] for key in ("", *scene.groups)}
    for node in scene.nodes:
        found[node.group].append(node.id)
    for key, group in scene.groups.items():
        if key in at:
            found[group.parent].append(key)
    return {key: sorted(below, key=lambda i: at[i]) for key, below in found.items()}


def _listed(
    scene: Scene, tree: dict[str, list[str]], key: str, lead: str, ends: dict[str, Span]
) -> Iterator[list[Span]]:
    entries = tree[key]
    for i, entry in enumerate(entries):
        branch, onward = ("└─ ", "   ") if i + 1 == len(entries) else ("├─ ", "│  ")
        if not scene.groups:
            branch = onward = ""  # a graph without groups needs no tree
        if entry in scene.groups:
            yield [(lead + branch, "tree"), (cut(scene.groups[entry].title, TREE - len(lead) - 3), "title")]
            yield from _listed(scene, tree, entry, lead + onward, ends)
        else:
            yield _line(scene, scene.by_id[entry], lead + branch, ends[entry])


def _line(scene: Scene, node: SceneNode, lead: str, end: Span) -> list[Span]:
    lines = lines_of(scene, node)
    room = TREE - len(lead) - 2
    return [
        (lead, "tree"),
        (f"{_MARKS[node.kind]} ", node.kind),
        (f"{cut(head_of(lines), room):{room}} ", "head"),
        (f"{cut(lines.value, VALUE):{VALUE}} ", "value"),
        (f"{lines.gradient:{GRADIENT}} ", "bad" if end[1] == "bad" else "gradient"),
        end,
    ]


def _end(node: SceneNode, largest: float) -> Span:
    """The bar of a gradient; a word where it is out of range."""
    if node.state in WORDS:
        return WORDS[node.state], "bad"
    if not largest or not node.norm > 0:
        return "", "bar"
    return _bar(max(BAR + DECADE * log10(node.norm / largest), 0.125)), "bar"


def _shares(scene: Scene) -> dict[str, Span]:
    """How much of the gradient runs through each node, as bar and number."""
    through = dict.fromkeys(scene.by_id, 0.0)
    for e in scene.edges:
        if isfinite(e.weight):
            through[e.source] += e.weight
    if any(through.values()):
        through[scene.output] = 1.0
    return {i: (f"{100 * w:4.0f} % {_bar(min(6 * abs(w), 6.0))}" if w else "", "bar") for i, w in through.items()}


def _bar(length: float) -> str:
    eighths = round(8 * length)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
