"""`layout`: where the nodes, groups and edges of a scene stand.

Each group is laid out by itself (`layered`), from the inside outwards, and is then one box in the layout of the group
around it: so boxes never overlap, and what belongs together stands together. An edge that leaves a group runs to a
port on its lower border, and on from there; one value has one port, however many use it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from .folding import folded
from .layered import GAP, Item, Placed, Wire, layered, ranked
from .scene import Scene, SceneEdge, SceneNode

#: Room for the title of a group, and around what is in it.
TITLE, PAD = 24.0, 14.0
#: How much edges of constants, and of what hangs beside the stem, want to be straight, by the stem's own.
GIVEN, ASIDE = 0.01, 0.0003
#: An edge that comes from nearly above arrives straight.
NEAR = 8.0

Point = tuple[float, float]
#: Where a piece of an edge begins or ends within a group: a node, or a group in it with the source that crosses.
End = tuple[str, str]


class Box(NamedTuple):
    """A rectangle by its left upper corner; y grows downwards."""

    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    """Where everything stands.

    Attributes:
        scene: what is shown: the scene with the collapsed groups folded.
        ranks: for each node the longest path to it, weights moved down to where they are used.
        order: the ids of the nodes of each rank, from left to right.
        boxes: of the nodes.
        group_boxes: of the groups that are open.
        routes: for each edge the points that it runs through, from the lower border of its source to the upper border
            of its target; between two at the same x it is straight, else it bends.
        width, height: of the whole.
        crossings: how often lines cross.
    """

    scene: Scene
    ranks: dict[str, int]
    order: list[list[str]]
    boxes: dict[str, Box]
    group_boxes: dict[str, Box]
    routes: dict[SceneEdge, list[Point]]
    width: float
    height: float
    crossings: int


def plain_size(node: SceneNode) -> tuple[float, float]:
    """Width and height of a node with two lines of text."""
    return max(56.0, 7.0 * max(len(node.label), len(node.op), len(node.value)) + 22), 44.0


def layout(
    scene: Scene, collapsed: Collection[str] = (), size: Callable[[SceneNode], tuple[float, float]] = plain_size,
    shares: bool = False,
) -> Layout:  # fmt: skip
    """Lay a scene out.

    Args:
        collapsed: keys of groups that are drawn as one node (see `folding.chosen`).
        size: the width and height of a node.
        shares: are the weights of edges shares of a gradient, which add up where edges become one?

    >>> import backlit as bl
    >>> from backlit.explain.tape import tape_of
    >>> from backlit.show.graph.scene import scene_of
    >>> found = layout(scene_of(tape_of(lambda w, x: bl.tanh(w * x) + x, 0.5, 2.0)))
    >>> found.order, found.ranks["n4"]
    ([['n0', 'n1'], ['n2'], ['n3'], ['n4']], 3)
    """
    scene = folded(scene, frozenset(collapsed), shares)
    return _Laying(scene, size).all()


class _Solved(NamedTuple):
    """A group laid out by itself."""

    placed: Placed
    places: dict[End, int]
    wires: dict[tuple[End, End], int]
    width: float
    height: float


class _Laying:
    """The layout in the making."""

    def __init__(self, scene: Scene, size: Callable[[SceneNode], tuple[float, float]]) -> None:
        self.scene, self.sizes = scene, {n.id: size(n) for n in scene.nodes}
        self.chains = {n.id: (*scene.within(n.group)[::-1],) for n in scene.nodes}
        self.inner: dict[str, list[str]] = {key: [] for key in ("", *scene.groups)}
        self.nodes: dict[str, list[str]] = {key: [] for key in ("", *scene.groups)}
        for key, group in scene.groups.items():
            self.inner[group.parent].append(key)
        for node in scene.nodes:
            self.nodes[node.group].append(node.id)
        self.pieces: dict[SceneEdge, list[tuple[str, End, End]]] = {e: self._pieces(e) for e in scene.edges}
        self.after: dict[str, list[SceneEdge]] = {n.id: [] for n in scene.nodes}
        for e in scene.edges:
            self.after[e.source].append(e)
        self.aside = self._aside()
        self.solved: dict[str, _Solved] = {}

    def _pieces(self, e: SceneEdge) -> list[tuple[str, End, End]]:
        """An edge cut at the borders of groups: for each piece the group that it lies in, and its ends."""
        up, down = self.chains[e.source], self.chains[e.target]
        common = 0
        while common < min(len(up), len(down)) and up[common] == down[common]:
            common += 1
        found: list[tuple[str, End, End]] = []
        here: End = (e.source, "")
        for key in reversed(up[common:]):
            found.append((key, here, ("out", e.source)))
            here = (key, e.source)
        outside = up[common - 1] if common else ""
        inwards = down[common:]
        found.append((outside, here, (inwards[0], e.source) if inwards else (e.target, "")))
        for i, key in enumerate(inwards):
            last = i + 1 == len(inwards)
            found.append((key, ("in", e.source), (e.target, "") if last else (inwards[i + 1], e.source)))
        return found

    def all(self) -> Layout:
        wires: dict[str, dict[tuple[End, End], None]] = {key: {} for key in self.inner}
        for pieces in self.pieces.values():
            for key, a, b in pieces:
                wires[key][a, b] = None
        for key in (*reversed(self.scene.groups), ""):
            self.solved[key] = self._solve(key, list(wires[key]))
        boxes: dict[str, Box] = {}
        groups: dict[str, Box] = {}
        self.origin: dict[str, Point] = {"": (0.0, 0.0)}
        for key in ("", *self.scene.groups):
            self._put(key, boxes, groups)
        routes = {e: self._route(pieces) for e, pieces in self.pieces.items()}
        _fan_in(self.scene, boxes, routes)
        ranks, order = self._global(boxes)
        whole = self.solved[""]
        crossings = sum(s.placed.crossings for s in self.solved.values())
        return Layout(self.scene, ranks, order, boxes, groups, routes, whole.width, whole.height, crossings)

    def _solve(self, key: str, wires: list[tuple[End, End]]) -> _Solved:
        items: list[Item] = []
        places: dict[End, int] = {}
        for name in (*self.nodes[key], *self.inner[key]):
            places[name, ""] = len(items)
            items.append(Item(*self.sizes[name]))
        for end in {e: None for wire in wires for e in wire}:
            if end[0] in ("in", "out"):
                places[end] = len(items)
                items.append(Item(0.0, 0.0, "first" if end[0] == "in" else "last"))
        found: dict[tuple[End, End], int] = {}
        made: list[Wire] = []
        for a, b in wires:
            source, target = (end if end in places else (end[0], "") for end in (a, b))
            found[a, b] = len(made)
            made.append(
                Wire(places[source], places[target], self._shift(a, "out"), self._shift(b, "in"), self._pull(a))
            )
        placed = layered(items, made)
        width, height = placed.width, placed.height
        if key:
            width, height = max(width + 2 * PAD, self._title_width(key)), height + TITLE + PAD
            if not any(i.pin == "first" for i in items):
                height += PAD / 2
            if not any(i.pin == "last" for i in items):
                height += PAD
            self.sizes[key] = width, height
        return _Solved(placed, places, found, width, height)

    def _pull(self, end: End) -> float:
        """What is computed from data makes the stem of the drawing; parameters and the like hang beside it."""
        name = end[1] or end[0]
        node = self.scene.by_id.get(name)
        return ASIDE if name in self.aside else GIVEN if node is not None and node.kind == "constant" else 1.0

    def _aside(self) -> set[str]:
        """Parameters, constants without a name, and what is computed from nothing else."""
        found = {n.id for n in self.scene.nodes if n.kind == "parameter" or (n.kind == "constant" and n.group)}
        stem = {e.target: False for e in self.scene.edges}
        for node in self.scene.nodes:
            if node.id in stem and not stem[node.id] and node.kind == "op":
                found.add(node.id)
            if node.id not in found:
                stem.update((e.target, True) for e in self.after[node.id])
        return found

    def _title_width(self, key: str) -> float:
        return 7.0 * len(self.scene.groups[key].title) + 2 * PAD

    def _shift(self, end: End, side: str) -> float:
        """From the middle of a group to the port of a value; 0 for a node."""
        name, source = end
        if not source or name in ("in", "out"):
            return 0.0
        solved = self.solved[name]
        x = solved.placed.centres[solved.places[side, source]][0]
        return x - solved.placed.width / 2

    def _put(self, key: str, boxes: dict[str, Box], groups: dict[str, Box]) -> None:
        """The boxes of what is in a group whose own place is known."""
        solved = self.solved[key]
        left, top = self._corner(key)
        for (name, source), place in solved.places.items():
            if source or name in ("in", "out"):
                continue
            x, y = solved.placed.centres[place]
            width, height = self.sizes[name]
            box = Box(left + x - width / 2, top + y - height / 2, width, height)
            if name in self.scene.groups:
                groups[name] = box
                self.origin[name] = (box.x, box.y)
            else:
                boxes[name] = box

    def _corner(self, key: str) -> Point:
        """Where the inside of a group begins: its content is in the middle, below the title."""
        x, y = self.origin[key]
        if not key:
            return x, y
        solved = self.solved[key]
        pinned = any(name == "in" for name, _ in solved.places)
        return x + (solved.width - solved.placed.width) / 2, y + TITLE + (0 if pinned else PAD / 2)

    def _route(self, pieces: list[tuple[str, End, End]]) -> list[Point]:
        found: list[Point] = []
        for key, a, b in pieces:
            solved = self.solved[key]
            left, top = self._corner(key)
            points = [(left + x, top + y) for x, y in solved.placed.routes[solved.wires[a, b]]]
            if key and a[0] == "in":  # from the border through the title
                points.insert(0, (points[0][0], self.origin[key][1]))
            if key and b[0] == "out":
                points.append((points[-1][0], self.origin[key][1] + solved.height))
            found += points if not found else points[1:] if found[-1] == points[0] else points
        return found

    def _global(self, boxes: dict[str, Box]) -> tuple[dict[str, int], list[list[str]]]:
        names = [n.id for n in self.scene.nodes]
        places = {name: i for i, name in enumerate(names)}
        plain = [Item(1.0, 1.0)] * len(names)
        found = ranked(plain, [Wire(places[e.source], places[e.target]) for e in self.scene.edges])
        ranks = dict(zip(names, found, strict=True))
        order: list[list[str]] = [[] for _ in range(max(found, default=-1) + 1)]
        for name in sorted(names, key=lambda n: boxes[n].x + boxes[n].width / 2):
            order[ranks[name]].append(name)
        return ranks, order


def _fan_in(scene: Scene, boxes: dict[str, Box], routes: dict[SceneEdge, list[Point]]) -> None:
    """Edges that end at one node end beside one another, in the order in which they come."""
    ending: dict[str, list[SceneEdge]] = {}
    for e in scene.edges:
        ending.setdefault(e.target, []).append(e)
    for name, edges in ending.items():
        if len(edges) < 2:
            continue
        box = boxes[name]
        step = min(GAP, 0.7 * box.width / len(edges))
        sides = sorted(edges, key=lambda e: (_before(routes[e])[0], e.slot))
        middle = box.x + box.width / 2
        near = [k for k, e in enumerate(sides) if abs(_before(routes[e])[0] - middle) < NEAR]
        stem = near[0] if near else (len(edges) - 1) / 2
        middle = _before(routes[sides[near[0]]])[0] if near else middle
        for k, e in enumerate(sides):
            x = min(max(middle + (k - stem) * step, box.x + 8), box.x + box.width - 8)
            routes[e][-1] = (x, routes[e][-1][1])


def _before(points: list[Point]) -> Point:
    """The last point that is not right above the end."""
    return next((p for p in reversed(points[:-1]) if abs(p[0] - points[-1][0]) > 0.5), points[0])
