"""Fusion: which nodes are computed by one kernel.

A group has an index space (the axes of its largest values). A member depends on some of these axes: on all (a full
value), on those that its group's reductions leave (a value for each row), or on none. Walking the graph in order, an
elementwise node or a reduction joins the group of one of its producers where it finds that producer's value at the same
index, and where no cycle of groups arises; otherwise it begins a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.tensor import LEAF
from ..kernels.views import View, contiguous
from .aliases import aliased
from .storage import CONVOLUTIONS, POOLINGS, Storage, virtual

REDUCTIONS = frozenset(("sum", "prod", "max", "min", "any", "all", "argmax", "argmin"))

#: Ops whose kernels take an elementwise epilogue over their output.
ANCHORS = CONVOLUTIONS | POOLINGS | {"matmul"}

#: Above this many elements a reduction to few results is cut into pieces, each with a result of its own.
SPLIT = 1 << 15


class Group:
    """Nodes that one kernel computes.

    Attributes:
        space: the sizes of the axes of the index space.
        nodes: the members, in order.
        axes: for each member, the axes of the space that it depends on.
        shown: for each view node (reshape, broadcast) between members, the member whose value it is.
        reduced: the axes that the group's reductions sum over; None where it has none.
        anchor: the product, convolution or pooling that the group is the epilogue of, if any.
        twins: more of a pooling's maxima, their places and what is picked there: the anchor's kernel computes them too.
        source: of a pooling, the group of the convolution whose result its kernel takes from registers.
        alone: nothing can join.
        before: the numbers of the groups that must run before this one, as bits.
    """

    def __init__(self, number: int, space: Sequence[int]) -> None:
        self.number, self.space = number, tuple(space)
        self.nodes: list[Node] = []
        self.axes: dict[Node, frozenset[int]] = {}
        self.shown: dict[Node, Node] = {}
        self.reduced: frozenset[int] | None = None
        self.anchor: Node | None = None
        self.twins: list[Node] = []
        self.source: Group | None = None
        self.alone = False
        self.before = 0

    @property
    def all_axes(self) -> frozenset[int]:
        """The axes of a full value."""
        return frozenset(i for i, n in enumerate(self.space) if n != 1)

    def extent(self, axes: frozenset[int]) -> tuple[int, ...]:
        """The space with the axes that are not among `axes` at size 1."""
        return tuple(n if i in axes else 1 for i, n in enumerate(self.space))

    @property
    def every(self) -> list[Node]:
        """The members, after those of the source."""
        return [*(self.source.nodes if self.source is not None else ()), *self.nodes]

    @property
    def splits(self) -> bool:
        """Are its reductions cut into pieces, so that their results are complete only after the kernel?"""
        if self.reduced is None:
            return False
        left = prod(n for i, n in enumerate(self.space) if i not in self.reduced)
        return prod(self.space) > SPLIT and left < 64

    def __repr__(self) -> str:
        return f"<group {self.number} {self.space}: {' '.join(n.op.name for n in self.nodes)}>"


class Grouping:
    """The groups of a graph, in an order in which they can run."""

    def __init__(self, graph: Graph, storage: Storage) -> None:
        self.graph, self.storage = graph, storage
        self.groups: list[Group] = []
        self.of: dict[Node, Group] = {}
        self._dead: set[Group] = set()
        self._count = 0
        for node in graph.nodes:
            if node.op is LEAF or node in storage.base or node.op is PICK:
                if node.op is PICK:
                    self.of[node] = self.of[next(node.parents)]
                continue
            self._add(node)

    # --- growing -----------------------------------------------------------------------------------

    def _add(self, node: Node) -> None:
        if node.op.name in REDUCTIONS and is_real(node) and 0 not in next(node.parents).shape:
            group = self._joined_reduction(node) or self._reduction(node)
        elif is_elementwise(node):
            group = self._joined(node) or self._begun(node, self._shape_of(node))
        else:
            group = self._twin(node) or self._begun(node, self._space(node))
            if node.op.name not in ANCHORS or not is_real(node):
                group.alone = True
            elif group.anchor is None:
                group.anchor = node
            else:
                group.twins.append(node)
        self._enter(group, node)

    def _twin(self, node: Node) -> Group | None:
        """For maxima of windows, their places, or what is picked there, the group that computes another of these."""
        picks = node.op.name == "pool_pick" and not any(map(any, node.params["padding"]))
        if not picks and node.op.name not in ("pool_max", "pool_argmax"):
            return None
        x, *which = node.parents
        for group in self.groups:
            other = group.anchor
            if other is None or other.op.name not in ("pool_max", "pool_argmax") or next(other.parents) is not x:
                continue
            if other.params != node.params or node.op in (n.op for n in (other, *group.twins)):
                continue
            if any(self.of.get(w) is not group or w.op.name != "pool_argmax" for w in which):
                continue
            if self.storage.views[other].shape == self.storage.views[node].shape:
                group.axes[node] = group.all_axes
                return group
        return None

    def _space(self, node: Node) -> tuple[int, ...]:
        """The index space of a node that is not elementwise; a product always has rows and columns."""
        if node.op.results is not None:
            return ()
        if node.op.name != "matmul":
            return self.storage.views[node].shape
        a, b = (len(x.shape) for x in node.inputs or ())
        batch = node.shape[: node.ndim - (a > 1) - (b > 1)]
        return (*batch, node.shape[len(batch)] if a > 1 else 1, node.shape[-1] if b > 1 else 1)

    def _shape_of(self, node: Node) -> tuple[int, ...]:
        """The index space of an elementwise node: its own axes, or those in which all that it reads can be seen.

        These are its own but for a batch axis in two, if an input has samples side by side in vectors.
        """
        own = self.storage.views[node]
        shapes = [own.shape, *(self.storage.views[x].shape for x in node.parents if x.shape == node.shape)]
        for shape in dict.fromkeys(shapes):
            seen = (self.storage.seen(x, node.shape, shape) for x in node.parents)
            if own.reshaped(shape) is not None and all(v is not None for v in seen):
                return shape
        return own.shape

    def _begun(self, node: Node, space: Sequence[int]) -> Group:
        group = Group(self._count, space)
        self._count += 1
        group.axes[node] = group.all_axes
        self.groups.append(group)
        return group

    def _enter(self, group: Group, node: Node) -> None:
        group.nodes.append(node)
        self.of[node] = group
        for x in node.parents:
            other = self._producer(x)
            if other is not None and other is not group:
                self.order(other, group)

    def order(self, first: Group, second: Group) -> None:
        """Let one group run before another."""
        needed = first.before | 1 << first.number
        if needed & ~second.before:
            second.before |= needed
            for g in self.groups:
                if g.before >> second.number & 1:
                    g.before |= second.before

    def _producer(self, x: Node) -> Group | None:
        return self.of.get(self.storage.root(x))

    def _candidates(self, node: Node) -> Iterator[Group]:
        """The groups of the producers of a node that it might join, the latest first."""
        producers = [g for g in map(self._producer, node.parents) if g is not None]
        for group in sorted(set(producers), key=lambda g: -g.number):
            if group.alone or any(p is not group and p.before >> group.number & 1 for p in producers):
                continue
            yield group

    def _joined(self, node: Node) -> Group | None:
        self._merge_producers(node)
        for group in self._candidates(node):
            found = self._axes_of(group, node)
            if found is None:
                continue
            if group.reduced is not None and found != group.all_axes and (found & group.reduced):
                continue
            if not self._may_follow(group, node, found):
                continue
            axes, shown = found, self._shown(group, node)
            group.axes[node] = axes
            group.shown.update(shown)
            return group
        return None

    def _merge_producers(self, node: Node) -> None:
        """Make one of the groups of producers that go over the same space and do not need one another."""
        groups = [g for g in dict.fromkeys(map(self._producer, node.parents)) if g is not None and not g.alone]
        for i, first in enumerate(groups):
            for second in groups[i + 1 :]:
                a, b = (first, second) if second.anchor is None else (second, first)
                if a in self._dead or b in self._dead or not self._fit_together(a, b):
                    continue
                if self._axes_of(a, node, b) is not None:
                    self.merge(a, b)

    def _fit_together(self, a: Group, b: Group) -> bool:
        if a.space != b.space or b.anchor is not None or a.before >> b.number & 1 or b.before >> a.number & 1:
            return False
        if a.anchor is not None:
            return b.reduced is None and all(axes == b.all_axes for axes in b.axes.values())
        if a.reduced is not None and b.reduced is not None and a.reduced != b.reduced:
            return False
        outside = ((n, x) for n in b.nodes for x in n.parents if self.storage.root(x) not in b.axes)
        placed = ((x, self._placed(b, n, x)) for n, x in outside)
        return all(self.reads_alike(a, x, view) for x, view in placed if view is not None)

    def merge(self, a: Group, b: Group) -> None:
        """Let all of `b` be computed with `a`."""
        a.nodes = sorted({*a.nodes, *b.nodes}, key=lambda n: n.serial)
        a.axes.update(b.axes)
        a.shown.update(b.shown)
        a.reduced = a.reduced if a.reduced is not None else b.reduced
        for n in b.nodes:
            if self.of[n] is b:
                self.of[n] = a
        b.nodes = []
        self._dead.add(b)
        self._replace(b, a)

    def absorb(self, pool: Group, source: Group) -> None:
        """Let a pooling's kernel compute the group whose result it pools."""
        pool.source = source
        self._replace(source, pool)

    def _replace(self, b: Group, a: Group) -> None:
        """Let `a` run where `b` would have to."""
        self.order(b, a)
        gone = 1 << b.number
        for g in self.groups:
            if g.before & gone:
                g.before &= ~gone
                if g is not a:
                    g.before |= a.before & ~gone | 1 << a.number
        self.groups.remove(b)

    def _may_follow(self, group: Group, node: Node, axes: frozenset[int]) -> bool:
        """May a node that uses the results of the group's reductions be in the same kernel?"""
        if group.anchor is not None:
            return axes == group.all_axes
        if group.reduced is None:
            return True
        full = axes == group.all_axes
        uses = any(
            group.axes[m] != group.all_axes or m.op.name in REDUCTIONS
            for x in node.parents
            if (m := self.storage.root(x)) in group.axes
        )
        if group.splits:
            return full and not uses
        return not (full and uses) or self.inner(group)

    def inner(self, group: Group) -> bool:
        """Do the reductions of a group go over its last axes, so that a kernel can go over each row several times?"""
        kept = [i for i in group.all_axes if i not in (group.reduced or ())]
        return not kept or not group.reduced or max(kept) < min(group.reduced)

    def _reduction(self, node: Node) -> Group:
        x = next(node.parents)
        group = self._begun(node, self.storage.views[x].shape)
        self._reduces(group, node, self._reduced_axes(group, node, x.shape))
        return group

    def _joined_reduction(self, node: Node) -> Group | None:
        x = next(node.parents, None)
        if x is None:
            return None
        for group in self._candidates(node):
            if group.anchor is not None or self.storage.root(x) not in group.axes:
                continue
            if group.axes[self.storage.root(x)] != group.all_axes or not self._found_at(group, x, x.shape, group.space):
                continue
            reduced = self._reduced_axes(group, node, x.shape)
            if reduced is None or (group.reduced is not None and reduced != group.reduced):
                continue
            if not reduced or (group.reduced is None and not self._all_full(group)):
                continue
            before = group.reduced
            group.reduced = reduced
            depends = self._depends_on_reduction(group, x)
            if depends and (group.splits or not self.inner(group)):
                group.reduced = before
                continue
            group.shown.update(self._shown(group, node))
            self._reduces(group, node, reduced)
            return group
        return None

    def _all_full(self, group: Group) -> bool:
        return all(a in (group.all_axes, frozenset()) for a in group.axes.values())

    def _depends_on_reduction(self, group: Group, x: Node) -> bool:
        return any(n.op.name in REDUCTIONS for n in group.nodes) and self.stages(group)[self.storage.root(x)] > 0

    def _reduces(self, group: Group, node: Node, reduced: frozenset[int] | None) -> None:
        group.reduced = reduced if reduced is not None else frozenset()
        group.axes[node] = group.all_axes - group.reduced

    def _reduced_axes(self, group: Group, node: Node, shape: Sequence[int]) -> frozenset[int] | None:
        """The axes of the space that a reduction of a value of `shape` goes over; None where they are no whole axes."""
        view = virtual(shape)
        over = set(node.params["axis"]) if isinstance(node.params["axis"], tuple) else _one(node, shape)
        strides = tuple(0 if i in over else s for i, s in enumerate(view.strides))
        laid = view._replace(strides=strides).reshaped(group.space)
        if laid is None:
            return None
        return frozenset(i for i, n in enumerate(group.space) if n != 1 and laid.strides[i] == 0)

    # --- where a value stands in the space ---------------------------------------------------------

    def _axes_of(self, group: Group, node: Node, other: Group | None = None) -> frozenset[int] | None:
        """The axes that a node would depend on in a group; None where its inputs are not at the same index.

        With `other`, in that group and another one made one.
        """
        known = group.axes if other is None else {**group.axes, **other.axes}
        inside = [x for x in node.parents if self.storage.root(x) in known]
        used = frozenset().union(*(known[self.storage.root(x)] for x in inside))
        size = prod(node.shape)
        if size == prod(group.space):
            axes = group.all_axes
        elif size == prod(group.extent(used)):
            axes = used
        else:
            return None
        extent = group.extent(axes)
        for x in node.parents:
            if x in inside:
                home = group if self.storage.root(x) in group.axes or other is None else other
                if not self._found_at(home, x, node.shape, extent):
                    return None
            elif not self.reads_alike(group, x, self.storage.seen(x, node.shape, extent)):
                return None
        return axes

    def reads_alike(self, group: Group, x: Node, view: View | None) -> bool:
        """Can a group read a value from memory as `view` shows it? Not if a member reads its rows as columns."""
        if view is None:
            return False
        readers = (n for n in group.nodes if n is not group.anchor and x in n.parents)
        return all(self._placed(group, n, x) in (None, view._replace(shape=group.space)) for n in readers)

    def _placed(self, group: Group, node: Node, x: Node) -> View | None:
        """How a member reads a value from memory, over the space of its group."""
        if node.op.name in REDUCTIONS:
            seen = self.storage.seen(x, x.shape, group.space)
        else:
            seen = self.storage.seen(x, node.shape, group.extent(group.axes[node]))
        return None if seen is None else seen._replace(shape=group.space)

    def _found_at(self, group: Group, x: Node, shape: Sequence[int], extent: Sequence[int]) -> bool:
        """Is a member's value, seen through views as `x`, at each index of the space its own there?"""
        member = self.storage.root(x)
        axes = group.axes[member]
        view = virtual(member.shape)
        for step in _chain(x, member):
            after = aliased(step, view)
            if after is None:
                return False
            view = after
        laid = view.broadcast(shape).reshaped(extent)
        own = contiguous([n for i, n in enumerate(group.space) if i in axes])
        strides = dict(zip(sorted(axes), own, strict=True))
        return (
            laid is not None
            and laid.offset == 0
            and all(n == 1 or laid.strides[i] == strides.get(i, 0) for i, n in enumerate(extent))
        )

    def _shown(self, group: Group, node: Node) -> dict[Node, Node]:
        """The views through which a node sees members."""
        return {x: m for x in node.parents if (m := self.storage.root(x)) in group.axes and x is not m}

    # --- stages and order --------------------------------------------------------------------------

    def stages(self, group: Group) -> dict[Node, int]:
        """For each member, how many reductions must be complete before it can be computed."""
        stage: dict[Node, int] = {}
        for node in group.nodes:
            own = 0
            for x in node.parents:
                m = self.storage.root(x)
                if m in stage:
                    own = max(own, stage[m] + (m.op.name in REDUCTIONS))
            stage[node] = own
        return stage

    def graph_order(self, group: Group) -> int:
        """Where a group stands: after the last of its members' places in the graph."""
        return max((n.serial for n in group.nodes), default=0)


def _chain(x: Node, member: Node) -> list[Node]:
    """The view nodes that lead from a member to `x`, in order."""
    steps = []
    while x is not member:
        steps.append(x)
        x = next(x.parents)
    return steps[::-1]


def _one(node: Node, shape: Sequence[int]) -> set[int]:
    axis = node.params["axis"]
    return set(range(len(shape))) if axis is None else {axis % max(1, len(shape))}


def is_real(node: Node) -> bool:
    """Are a node and its inputs of dtypes that native code knows?"""
    if node.op.results is not None:
        return False
    return node.dtype.kind in "biuf" and all(x.op.results is None and x.dtype.kind in "biuf" for x in node.parents)


def is_elementwise(node: Node) -> bool:
    """Can a fused kernel compute this node element by element?"""
    return node.op.native is not None and node.op.results is None and is_real(node)
