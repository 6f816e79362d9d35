"""`folded`: a scene in which some groups are single nodes; and which groups to fold where there is too much to see."""

from __future__ import annotations

from collections.abc import Collection
from math import hypot, nan
from typing import Any

from ...base.errors import ArgumentError
from .scene import Scene, SceneEdge, SceneNode

#: A picture with more nodes than this folds its innermost groups, as far out as it takes.
MOST_NODES = 150


def chosen(scene: Scene, collapse: Any) -> frozenset[str]:
    """The keys of the groups to fold.

    Args:
        collapse: "auto" folds turns of loops where there is more than one, and groups from the inside outwards until
            at most `MOST_NODES` nodes are left; True folds every group but those around others; False none; a number
            folds what is nested deeper than this; a collection names paths of layers.

    Raises:
        ArgumentError: a path that no group has.
    """
    if collapse == "auto":
        turns = frozenset(k for k, g in scene.groups.items() if g.kind == "turn")
        deep = max(scene.depth.values(), default=0)
        if len(scene.nodes) <= MOST_NODES and len(turns) < 2:
            return frozenset()
        choices = (_deeper(scene, depth) | turns for depth in range(deep, 1, -1))
        return next((keys for keys in choices if visible(scene, keys) <= MOST_NODES), _deeper(scene, 1) | turns)
    if collapse is True:
        around = {g.parent for g in scene.groups.values()}
        return frozenset(k for k in scene.groups if k not in around)
    if collapse is False or collapse is None:
        return frozenset()
    if isinstance(collapse, int):
        return _deeper(scene, collapse)
    names = {collapse} if isinstance(collapse, str) else set(collapse)
    found = frozenset(k for k, g in scene.groups.items() if {g.path, k} & names)
    known = {g.path for g in scene.groups.values()} | set(scene.groups)
    if unknown := sorted(names - known):
        paths = ", ".join(sorted({repr(g.path) for g in scene.groups.values()})) or "none"
        raise ArgumentError(f"collapse: no group has the path {unknown[0]!r}; there are {paths}.")
    return found


def _deeper(scene: Scene, depth: int) -> frozenset[str]:
    return frozenset(k for k, d in scene.depth.items() if d > depth)


def visible(scene: Scene, keys: Collection[str]) -> int:
    """How many nodes a scene has when these groups are folded."""
    return len({_seen_as(scene, n, keys) for n in scene.nodes})


def _seen_as(scene: Scene, node: SceneNode, keys: Collection[str]) -> str:
    """The id of the node, or the key of the outermost folded group that it is in."""
    found = node.id
    for key in scene.within(node.group):
        if key in keys:
            found = key
    return found


def folded(scene: Scene, keys: Collection[str], shares: bool = False) -> Scene:
    """The scene with each of these groups as one node, whose value is that of its last node.

    Args:
        shares: are weights shares of one gradient? Then those of edges that become one add up; else they are norms, and
            theirs together is their Euclidean norm.
    """
    if not keys:
        return scene
    join = (lambda known: sum(known)) if shares else (lambda known: _norm(list(known)))
    seen = {n.id: _seen_as(scene, n, keys) for n in scene.nodes}
    inner: dict[str, list[SceneNode]] = {}
    for node in scene.nodes:
        inner.setdefault(seen[node.id], []).append(node)
    nodes: list[SceneNode] = []
    done: set[str] = set()
    for node in scene.nodes:
        key = seen[node.id]
        if key in done:
            continue
        done.add(key)
        nodes.append(node if key == node.id else _as_node(scene, key, inner[key]))
    weights: dict[tuple[str, str, int], list[float]] = {}
    slots: dict[tuple[str, str], int] = {}
    for e in scene.edges:
        source, target = seen[e.source], seen[e.target]
        if source != target:  # one edge for all between two nodes, unless neither is folded
            plain = source == e.source and target == e.target
            slot = e.slot if plain else slots.setdefault((source, target), e.slot if target == e.target else 0)
            weights.setdefault((source, target, slot), []).append(e.weight)
    edges = [SceneEdge(*ends, join(w for w in found if w == w)) for ends, found in weights.items()]
    groups = {k: g for k, g in scene.groups.items() if not set(scene.within(k)) & set(keys)}
    shown = [n.id for n in nodes if n.id in scene.groups]
    told = f"{len(scene.nodes)} nodes are drawn as {len(nodes)}: {len(shown)} layers or turns are folded."
    return Scene(_in_order(nodes, edges), edges, groups, seen[scene.output], (*scene.notes, told), shown)


def _norm(weights: list[float]) -> float:
    """The norm of all together; NaN where no derivative comes by any of them."""
    return hypot(*weights) if weights else nan


def _as_node(scene: Scene, key: str, nodes: list[SceneNode]) -> SceneNode:
    group = scene.groups[key]
    last = [n for n in nodes if n.kind in ("op", "output")][-1:] or nodes[-1:]
    parameters = sum(n.kind == "parameter" for n in nodes)
    what = f"{len(nodes)} nodes" + (f", {parameters} of them parameters" if parameters else "")
    end = last[0]
    kind = "output" if any(n.kind == "output" for n in nodes) else "group"
    return SceneNode(
        key, group.title, "", kind, group.parent, end.shape, end.value, end.gradient, end.norm, end.line, None, what,
    )  # fmt: skip


def _in_order(nodes: list[SceneNode], edges: list[SceneEdge]) -> list[SceneNode]:
    """Inputs before their users again: a folded group stands where its first node stood."""
    after: dict[str, list[str]] = {n.id: [] for n in nodes}
    waiting = dict.fromkeys(after, 0)
    for s, t in {(e.source, e.target): None for e in edges}:
        after[s].append(t)
        waiting[t] += 1
    by_id = {n.id: n for n in nodes}
    order = [i for i in after if not waiting[i]]
    for i in order:
        for j in after[i]:
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    return [by_id[i] for i in order]
