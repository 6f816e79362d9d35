"""Which values are kept in memory between kernels, which are computed again instead, and which go to several places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.tensor import LEAF
from ..kernels.views import View
from .groups import REDUCTIONS, Group, Grouping, is_elementwise
from .storage import Storage

#: So many cheap nodes are at most computed again where their result is used, from so many arrays of its size.
CHAIN, WIDE = 6, 2

#: A value is small beside another that has so many times its elements.
SMALL = 16


class Kept:
    """What groups hand to one another through memory.

    Attributes:
        nodes: the nodes whose values are kept.
        direct: for each `concat` and `stack` the inputs that are written into its result by what computes them.
        extra: for such nodes, the places; known once `settle` has been called.
    """

    def __init__(self, graph: Graph, storage: Storage, grouping: Grouping, wanted: Sequence[View | None]) -> None:
        self.graph, self.storage, self.grouping = graph, storage, grouping
        pairs = [(o, t) for o, t in zip(graph.outputs, wanted, strict=True) if t is not None and isinstance(o, Node)]
        self._ends = {storage.root(o) for o, _ in pairs}
        self._writers = {t.buffer: grouping.of.get(o) for o, t in pairs}
        self.extra: dict[Node, list[View]] = {}
        self.direct: dict[Node, set[Node]] = {
            node: self._written_directly(node)
            for node in graph.nodes
            if node.op.name in ("concat", "stack") and node in grouping.of
        }
        self.nodes = {storage.root(x) for node, x, _ in self._readers() if x not in self.direct.get(node, ())}
        self.nodes |= self._ends
        self._recompute()

    def settle(self) -> None:
        """Decide where values go, once every node has its last place; drop what nobody needs."""
        for node, inputs in self.direct.items():
            for x, place in zip(node.inputs or (), places(node, self.storage.views[node]), strict=True):
                if isinstance(x, Node) and x in inputs:
                    laid = self._carried(x, place)
                    assert laid is not None
                    self.extra.setdefault(self.storage.root(x), []).append(laid)
        self._prune()

    def _readers(self) -> Iterator[tuple[Node, Node, Group]]:
        """Every (node, input, its group), where the input is read from memory."""
        for group in self.grouping.groups:
            for node in group.nodes:
                for x in node.parents:
                    if self.storage.root(x) not in group.axes:
                        yield node, x, group

    def only_for(self, group: Group, x: Node, nodes: Sequence[Node]) -> bool:
        """Is `x` the only one of `nodes` that is needed in memory, and read there only by the anchor and its twins?"""
        if x in self._ends or [n for n in nodes if n in self.nodes] != [x]:
            return False
        if any(self.storage.root(y) in nodes for inputs in self.direct.values() for y in inputs):
            return False
        found = [(n, y, g) for n, y, g in self._readers() if self.storage.root(y) in nodes]
        return all(g is group and y is x and (n is g.anchor or n in g.twins) for n, y, g in found)

    # --- straight into a larger array --------------------------------------------------------------

    def _written_directly(self, node: Node) -> set[Node]:
        """The inputs of a `concat` or `stack` that can be written into its result, everywhere that they stand in it, by
        what computes them.
        """
        inputs: tuple[Any, ...] = node.inputs or ()
        pairs = [*zip(inputs, places(node, self.storage.views[node]), strict=True)]
        barred = {x for x, place in pairs if isinstance(x, Node) and not self._can_write(x, place)}
        return {x for x, _ in pairs if isinstance(x, Node)} - barred

    def _can_write(self, x: Node, place: View) -> bool:
        source = self.storage.root(x)
        group = self.grouping.of.get(source)
        if group is None or group.alone or source.op is PICK or group.splits:
            return False
        if group.anchor is not None and group.axes[source] != group.all_axes:
            return False
        laid = self._carried(x, place)
        return laid is not None and laid.reshaped(group.extent(group.axes[source])) is not None

    def _carried(self, x: Node, place: View) -> View | None:
        """A place for a node, as one for the node whose memory it shows, if it shows all of it."""
        seen, own = self.storage.views[x], self.storage.views[self.storage.root(x)]
        laid = place.reshaped(seen.shape)
        return None if laid is None else laid.carried(seen, own)

    # --- computed again ----------------------------------------------------------------------------

    def _recompute(self) -> None:
        """Let cheap values be computed again where they are used, instead of being written and read."""
        used: dict[Node, list[tuple[Node, Node, Group]]] = {}
        for node, x, group in self._readers():
            used.setdefault(self.storage.root(x), []).append((node, x, group))
        held = self._ends | {self.storage.root(x) for inputs in self.direct.values() for x in inputs}
        self.nodes |= {a for group in self.grouping.groups if (a := self._kept_instead(group, used, held)) is not None}
        for v in self.graph.nodes:
            if v not in self.nodes or v in held or v not in used:
                continue
            chain = self._repeated(v, used[v])
            if chain:
                for node, _, group in used[v]:
                    new = [m for m in chain if m not in group.axes]
                    axes = group.all_axes if node.op.name in REDUCTIONS else group.axes[node]
                    group.axes.update((m, axes) for m in new)
                    group.nodes = sorted([*group.nodes, *new], key=lambda n: n.serial)
                self.nodes.discard(v)
                self.nodes |= self._small

    def _repeated(self, v: Node, used: Sequence[tuple[Node, Node, Group]]) -> list[Node]:
        """The nodes by which all that read `v` from memory can compute it again; none where it is better kept."""
        users = {group for _, _, group in used}
        chain = self._cheap_chain(v, users) or self._cheap_chain(v, users, narrow=True)
        return chain if chain and all(self._can_repeat(chain, node, x, group) for node, x, group in used) else []

    def _kept_instead(
        self, group: Group, used: Mapping[Node, Sequence[tuple[Node, Node, Group]]], held: set[Node]
    ) -> Node | None:  # fmt: skip
        """The anchor of a group, if fewer values are kept with it, as others are then computed again from it."""
        anchor = group.anchor
        if anchor is None or anchor in self.nodes or sum(n in self.nodes for n in group.nodes) < 2:
            return None
        return anchor if self._left(group, used, held, {anchor}) < self._left(group, used, held, set()) else None

    def _left(
        self, group: Group, used: Mapping[Node, Sequence[tuple[Node, Node, Group]]], held: set[Node], also: set[Node]
    ) -> int:  # fmt: skip
        """How many values of a group would be kept, those that are `also` kept counted."""
        before = self.nodes
        self.nodes = before | also
        for v in group.nodes:
            if v in before and v not in held and v in used and self._repeated(v, used[v]):
                self.nodes.discard(v)
        left = sum(n in self.nodes for n in group.nodes)
        self.nodes = before
        return left

    def _cheap_chain(self, v: Node, users: set[Group], narrow: bool = False) -> list[Node]:
        """The nodes that compute `v` from one or two arrays in memory (and small ones), if few and cheap; else none.

        What is large and to be overwritten by another kernel than the users' is not read again later. With `narrow`,
        what is not in memory but has a smaller dtype than what is made of it, a mask say, is kept instead of that.
        """
        chain: set[Node] = set()
        wide: set[Node] = set()
        self._small: set[Node] = set()
        todo = [v]
        while todo:
            node = todo.pop()
            if not is_elementwise(node) or "dear" in node.op.traits or node.shape != v.shape or len(chain) == CHAIN:
                return []
            chain.add(node)
            for x in node.parents:
                if not self._in_memory(x):
                    if self._is_small_beside(x, v) or (narrow and self._is_narrow_beside(x, node)):
                        self._small.add(self.storage.root(x))
                    elif x not in chain:
                        todo.append(x)
                    continue
                buffer, small = self.storage.views[x].buffer, prod(x.shape) * SMALL <= prod(v.shape)
                if not small and buffer in self._writers and users != {self._writers[buffer]}:
                    return []
                if prod(x.shape) == prod(v.shape):
                    wide.add(self.storage.root(x))
        return sorted(chain, key=lambda n: n.serial) if len(wide) <= WIDE else []

    def _is_small_beside(self, x: Node, v: Node) -> bool:
        """Is it nothing to keep `x` (a value for each row, say), so that `v` can be computed again?"""
        root = self.storage.root(x)
        group = self.grouping.of.get(root)
        return (
            group is not None and group.anchor is None and not group.alone
            and prod(root.shape) * SMALL <= prod(v.shape)
        )  # fmt: skip

    def _is_narrow_beside(self, x: Node, node: Node) -> bool:
        """Does keeping `x` take less memory than keeping the `node` that is made of it?"""
        group = self.grouping.of.get(x)
        return (
            node.op.name == "astype" and x.dtype.itemsize < node.dtype.itemsize
            and group is not None and not group.alone and group.axes[x] == group.all_axes
        )  # fmt: skip

    def _in_memory(self, x: Node) -> bool:
        root = self.storage.root(x)
        return root in self.nodes or root.op is LEAF or root in self.graph.inputs

    def _can_repeat(self, chain: Sequence[Node], node: Node, x: Node, group: Group) -> bool:
        """Can a group that reads the last of a chain of nodes compute the chain itself, at the index of its reader?"""
        v = chain[-1]
        if x is not v or group.alone or node is group.anchor or node in group.twins:
            return False
        axes = group.all_axes if node.op.name in REDUCTIONS else group.axes[node]
        extent = group.extent(axes)
        if prod(v.shape) != prod(extent) or any(group.axes.get(m, axes) != axes for m in chain):
            return False
        alike = self.grouping.reads_alike
        if not alike(group, v, self.storage.seen(v, v.shape if node.op.name in REDUCTIONS else node.shape, extent)):
            return False
        return all(
            p in chain
            or (self.storage.root(p) not in group.axes and alike(group, p, self.storage.seen(p, v.shape, extent)))
            for m in chain
            for p in m.parents
        )

    def _prune(self) -> None:
        """Drop members that nobody needs any more."""
        for group in self.grouping.groups:
            if group.alone:
                continue
            own = (n for n in group.nodes if self.grouping.of[n] is group)
            needed = {n for n in own if n in self.nodes or n in self.extra}
            for node in reversed(group.nodes):
                if node in needed:
                    needed.update(m for x in node.parents if (m := self.storage.root(x)) in group.axes)
            group.nodes = [n for n in group.nodes if n in needed or n is group.anchor]


def places(node: Node, view: View) -> Iterator[View]:
    """The parts of the result of `concat` or `stack` that its inputs fill."""
    axis, start = node.params["axis"], 0
    for x in node.inputs or ():
        if node.op.name == "stack":
            shape, strides = list(view.shape), list(view.strides)
            del shape[axis], strides[axis]
            yield View(view.buffer, tuple(shape), tuple(strides), view.offset + start * view.strides[axis])
            start += 1
        else:
            n = x.shape[axis]
            yield view.sliced(axis, start, 1, n)
            start += n
