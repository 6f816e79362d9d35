"""Reductions of the same arrays over the same axes, none of which needs another, become one sweep over these arrays.

The gradients of a scale and a shift are such sums, and so are those that a normalisation's own derivative needs.
"""

from __future__ import annotations

from itertools import combinations
from math import prod

from ...graph.node import Node
from ..kernels.views import View
from .groups import REDUCTIONS, Group, Grouping
from .storage import Storage

#: So many reductions are at most made in one sweep: their sums and what they are made of stay in registers.
MOST = 6


def merge_siblings(grouping: Grouping, storage: Storage) -> None:
    """Make one of groups that reduce over the same axes of one space and read a large array that both need."""
    alike: dict[tuple[tuple[int, ...], frozenset[int]], list[Group]] = {}
    for group in grouping.groups:
        if group.reduced and group.anchor is None and not group.alone:
            alike.setdefault((group.space, group.reduced), []).append(group)
    for groups in alike.values():
        seen = {g: _seen(g, storage) for g in groups} if len(groups) > 1 else {}
        gone: set[Group] = set()
        for a, b in combinations(groups, 2):
            if a not in gone and b not in gone and _are_siblings(a, b, seen[a], seen[b], storage):
                grouping.merge(a, b)
                gone.add(b)
                seen[a].update(seen[b])


def _seen(group: Group, storage: Storage) -> dict[Node, View | None]:
    """The nodes that a group reads from memory, as it sees them; None where it sees one in several ways."""
    found: dict[Node, View | None] = {}
    for node in group.nodes:
        shape, extent = node.shape, group.extent(group.axes[node])
        if node.op.name in REDUCTIONS:
            shape, extent = next(node.parents).shape, group.space
        for x in node.parents:
            if storage.root(x) not in group.axes:
                view = storage.seen(x, shape, extent)
                found[x] = None if view is None or found.get(x, view) != view else view
    return found


def _are_siblings(
    a: Group, b: Group, of_a: dict[Node, View | None], of_b: dict[Node, View | None], storage: Storage
) -> bool:  # fmt: skip
    if a.before >> b.number & 1 or b.before >> a.number & 1:
        return False
    both = of_a.keys() & of_b.keys()
    if not any(prod(x.shape) == prod(a.space) for x in both):
        return False
    if any(of_a[x] is None or of_a[x] != of_b[x] for x in both):
        return False
    if any(storage.root(x) in g.axes for g, others in ((a, of_b), (b, of_a)) for x in others):
        return False
    if any(a.axes[n] != b.axes[n] for n in a.axes.keys() & b.axes.keys()):
        return False
    return sum(n.op.name in REDUCTIONS for n in {*a.nodes, *b.nodes}) <= MOST


__all__ = ["merge_siblings"]
