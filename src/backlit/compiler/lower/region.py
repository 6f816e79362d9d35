"""`Region`: one graph lowered to steps. A loop's body is a region of its own, inside that of the graph around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from ...base.errors import GraphError
from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.opdef import OPS
from ...graph.tensor import LEAF
from ...ops.indexing import ARRAY, Cut, Index
from ..codegen.values import code_of
from ..codegen.writer import Target
from ..kernels.body import Body
from ..kernels.contract import Contraction
from ..kernels.conv_choice import convolution
from ..kernels.conv_layout import batched, layouts
from ..kernels.conv_pool import PooledConvolution
from ..kernels.indexed import Status
from ..kernels.kernel import Kernel
from ..kernels.pool import PoolBackward, PoolForward
from ..kernels.rows import Rows
from ..kernels.space import simplified
from ..kernels.tiny import Tiny, fits
from ..kernels.transpose import Transpose, can_transpose, lanes_of
from ..kernels.views import Buffer, View
from .aliases import aliased, cut, is_movement
from .assign import Assignments
from .blocks import together
from .groups import ANCHORS, REDUCTIONS, Group, Grouping, is_elementwise
from .indexing import lower_indexing
from .kept import Kept, places
from .loops import lower_control
from .order import ordered
from .pooled import pool_in_convolutions
from .siblings import merge_siblings
from .steps import Call, Run, Step
from .storage import CONVOLUTIONS, Names, Storage


class Context:
    """What all regions of a plan share: names, the processor, the number of threads."""

    def __init__(self, target: Target, threads: int) -> None:
        self.target, self.threads, self.names = target, threads, Names()
        self.status = Status(self.names.unique("status"))


class Region:
    """A graph lowered.

    Args:
        context: what all regions of the plan share.
        graph: what is to be computed.
        given: the views of its inputs.
        wanted: for each output the view in which its value must be at the end; None for an output nobody wants.

    Attributes:
        steps: what computes it.
        parts: for each group of nodes the first of its steps, the one after its last, and the group.
    """

    def __init__(self, context: Context, graph: Graph, given: Sequence[View], wanted: Sequence[View | None]) -> None:
        self.context, self.graph = context, _with_constants(graph)
        self.target = context.target
        self.parts: list[tuple[int, int, Group]] = []
        small, few = _with_used_inputs(graph, given)
        if fits(small, self.target):
            self.steps: list[Step] = [self._tiny(small, few, wanted)]
            return
        pairs = zip(self.graph.outputs, wanted, strict=True)
        plain = {o for o, place in pairs if place is not None and isinstance(o, Node)}
        self.storage = Storage(self.graph, context.names, given, context.target, plain)
        self.grouping = Grouping(self.graph, self.storage)
        self.kept = Kept(self.graph, self.storage, self.grouping, wanted)
        merge_siblings(self.grouping, self.storage)
        pool_in_convolutions(self.grouping, self.kept, self.target)
        self.assignments = Assignments(self.graph, self.storage, self.grouping, wanted)
        self.kept.settle()
        self._relaid: dict[tuple[Node, int], View] = {}
        self.steps = [Run(k) for k in self.assignments.first(self)]
        for group in ordered(self.grouping, self.storage, self.kept.nodes):
            first = len(self.steps)
            self.steps += self._lowered(group)
            self.parts.append((first, len(self.steps), group))
        self.steps += [Run(k) for k in self.assignments.copies(self)]

    def _tiny(self, graph: Graph, given: Sequence[View], wanted: Sequence[View | None]) -> Run:
        """One kernel for a graph that fits into registers."""
        writes = [(i, view) for i, view in enumerate(wanted) if view is not None]
        kernel = Tiny(graph, dict(zip(graph.inputs, given, strict=True)), writes, self.target, self.context.status)
        kernel.name = self.context.names.unique("tiny")
        return Run(kernel)

    # --- kernels -----------------------------------------------------------------------------------

    def _lowered(self, group: Group) -> list[Step]:
        if not any(self._is_needed(n, group) for n in group.nodes):
            return []
        first = group.nodes[0]
        if group.anchor is not None:
            return [Run(k) for k in self._anchored(group)]
        if not group.alone:
            return [Run(k) for k in self._rows(group)]
        copies: list[Kernel] = []
        for x in first.parents if first not in self.storage.copies else ():
            if x.op.results is None:
                self.plain(x, copies)
        return [*map(Run, copies), *self._alone(first)]

    def _alone(self, first: Node) -> list[Step]:
        """The steps of a node that shares a kernel with no other."""
        controlled = lower_control(self, first)
        if controlled is not None:
            return controlled
        if first in self.kept.direct:
            return [Run(k) for k in self._joined(first)]
        if first in self.storage.copies:
            return self._shown_as(first)
        if first.op.name == "pad_zeros" or (first.op.name == "place" and len(first.inputs or ()) == 1):
            return [Run(k) for k in self._surrounded(first)]
        indexed = lower_indexing(self, first)
        return [Run(k) for k in indexed] if indexed is not None else [self._called(first)]

    def holds(self, group: Group, node: Node) -> bool:
        """Does a group leave the value of a node in memory of its own?"""
        return self.grouping.of[node] is group and (node in self.kept.nodes or group.alone)

    def _is_needed(self, node: Node, group: Group) -> bool:
        return group.alone or node in self.kept.nodes or node in self.kept.extra

    def _body(self, group: Group, copies: list[Kernel]) -> tuple[dict[Node, View], dict[Node, tuple[View, ...]]]:
        """What a group reads and writes, over its index space; what does not lie evenly in it is copied first."""
        reads: dict[Node, View] = {}
        for node in group.nodes:
            if node is group.anchor or node in group.twins:
                continue
            extent = group.extent(group.axes[node])
            shape: Sequence[int] = node.shape
            if node.op.name in REDUCTIONS:
                shape, extent = _source(node).shape, group.space
            for x in node.parents:
                if self.storage.root(x) in group.axes:
                    if self.storage.root(x) is not x:
                        group.shown[x] = self.storage.root(x)
                    continue
                view = self.storage.seen(x, shape, extent) or self.plain(x, copies).over(shape, extent)
                if view is None:
                    raise GraphError(f"{x.label} does not lie evenly in {group!r}.")
                view = view._replace(shape=group.space)
                if reads.setdefault(x, view) != view:
                    raise GraphError(f"{x.label} is read in two ways in {group!r}.")
        writes: dict[Node, tuple[View, ...]] = {}
        for node in group.nodes:
            extent = group.extent(group.axes[node])
            own = self.grouping.of[node] is group
            places = [self.storage.views[node]] if own and node in self.kept.nodes else []
            places += self.kept.extra.get(node, []) if own else []
            laid = [p.reshaped(extent) for p in places]
            if None in laid:
                raise GraphError(f"{node.label} cannot be written as it should lie by {group!r}.")
            if laid:
                writes[node] = tuple(p for p in laid if p is not None)
        return reads, writes

    def _rows(self, group: Group) -> list[Kernel]:
        copies: list[Kernel] = []
        reads, writes = self._body(group, copies)
        space = simplified(group.space, group.reduced or frozenset(), group.axes, reads, writes)
        name = self._name(group.nodes)
        kernel = Rows(name, space, group.nodes, group.shown, self.target, group.splits)
        last = together(kernel, writes, self.context.names.unique) if group.splits else ()
        return [*copies, kernel, *last]

    def _anchored(self, group: Group) -> list[Kernel]:
        node = group.anchor
        assert node is not None
        copies: list[Kernel] = []
        reads, writes = self._body(group, copies)
        own = [node, *group.twins]
        body = Body([n for n in group.nodes if n not in own], reads, writes, group.shown)
        if group.source is not None:
            kernels = self._pooled(group.source, own, body)
        elif node.op.name == "matmul":
            kernels = [self._product(group, node, body)]
        else:
            kernels = self._windowed(group, own, body)
        kernels[-1].name = self._name(group.every)
        return [*copies, *kernels]

    def _product(self, group: Group, node: Node, body: Body) -> Kernel:
        """The kernel of a matrix product."""
        a, b = (self.storage.views[x] for x in node.parents)
        batch = group.space[:-2]
        lhs = a if len(a.shape) > 1 else View(a.buffer, (1, *a.shape), (0, *a.strides), a.offset)
        rhs = b if len(b.shape) > 1 else View(b.buffer, (*b.shape, 1), (*b.strides, 0), b.offset)
        return Contraction(
            node, lhs.broadcast((*batch, *lhs.shape[-2:])), rhs.broadcast((*batch, *rhs.shape[-2:])), body,
            self.target, self.context.threads,
        )  # fmt: skip

    def _windowed(self, group: Group, nodes: Sequence[Node], body: Body) -> list[Kernel]:
        """The kernel of a convolution or pooling, after copies of its operands into the layout it wants."""
        node, target, threads = nodes[0], self.target, self.context.threads
        name = node.op.name
        lanes = 0
        if name == "convolve_weight":
            lanes = layouts(node, target).lanes
        elif len(group.space) > node.ndim:
            lanes = group.space[1]
        copies: list[Kernel] = []
        operands: list[View] = []
        for i, x in enumerate(node.parents):
            weights = name in ("convolve", "convolve_transposed") and i == 1
            operands.append(self._laid(x, 0 if weights else lanes, copies))
        if name in CONVOLUTIONS:
            return [*copies, convolution(node, operands, body, target, threads)]
        if name in ("pool_place", "pool_spread"):
            return [*copies, PoolBackward(node, operands, body, target, threads)]
        return [*copies, PoolForward(nodes, operands, body, target, threads)]

    def _pooled(self, source: Group, pools: Sequence[Node], pooled: Body) -> list[Kernel]:
        """The kernel of a convolution with a pooling after it."""
        node = source.anchor
        assert node is not None
        copies: list[Kernel] = []
        reads, writes = self._body(source, copies)
        body = Body([n for n in source.nodes if n is not node], reads, writes, source.shown)
        x, w = node.parents
        operands = [
            self._laid(x, source.space[1] if len(source.space) > node.ndim else 0, copies),
            self._laid(w, 0, copies),
        ]
        kernel = PooledConvolution(node, operands, body, self.target, self.context.threads, pools, pooled)
        return [*copies, kernel]

    def plain(self, x: Node, copies: list[Kernel]) -> View:
        """The view of a node in its own shape, copied where samples lie side by side in vectors."""
        return self._laid(x, 0, copies)

    def _laid(self, x: Node, lanes: int, copies: list[Kernel]) -> View:
        """The view of a node with `lanes` samples side by side (0: in its own shape), copied where it is not so."""
        view = self.storage.views[x]
        if view.shape == x.shape and not lanes:
            return view
        n, *rest = x.shape
        shape = (n // lanes, lanes, *rest) if lanes else x.shape
        if view.shape == shape:
            return view
        if (x, lanes) not in self._relaid:
            order = batched(len(rest) - 1) if lanes else tuple(range(x.ndim))
            buffer = Buffer(
                self.context.names.unique(f"{x.name or x.op.name}_laid"), view.buffer.code, max(1, prod(shape))
            )
            laid = View.whole(buffer, [shape[a] for a in order]).permuted(np.argsort(order).tolist())
            self._relaid[x, lanes] = laid
            if lanes:
                source = view.reshaped(shape)
                assert source is not None
                copies.append(self.copy(x, source, laid))
            else:
                split = laid.reshaped(view.shape)
                assert split is not None
                copies.append(self.copy(x, view, split))
        return self._relaid[x, lanes]

    def _joined(self, node: Node) -> Iterator[Kernel]:
        """Copies of those parts of a `concat` or `stack` that are not written there by whatever computes them."""
        for x, place in zip(node.inputs or (), places(node, self.storage.views[node]), strict=True):
            if isinstance(x, Node) and x not in self.kept.direct[node] and prod(place.shape):
                yield self.copy(x, self.view_of(x), place)

    def _surrounded(self, node: Node) -> Iterator[Kernel]:
        """Zeros, and the input within them."""
        x, view = _source(node), self.storage.views[node]
        yield self.zeros(node, view)
        if node.op.name == "pad_zeros":
            index = Index([Cut(a, a + n) for n, (a, _) in zip(x.shape, node.params["pads"], strict=True)])
        else:
            index = node.params["index"]
        inner = cut(index, view)
        if inner is None or ARRAY in index.parts:
            raise GraphError(f"{node.label} has no kernel.")
        if prod(x.shape):
            yield self.copy(x, self.view_of(x).broadcast(inner.shape), inner, node.op.name)

    def zeros(self, node: Node, view: View) -> Kernel:
        """The kernel that fills an array with zeros."""
        zero = Node(LEAF, (), {}, np.zeros((), node.dtype), np.zeros((), node.dtype))
        buffer = Buffer(self.context.names.unique("zero"), code_of(node.dtype), 1, "constant", zero.value)
        return self.copy(zero, View(buffer, (), ()).broadcast(view.shape), view, f"{node.op.name}_zeros")

    def copy(self, node: Node, source: View, target: View, name: str = "copy") -> Kernel:
        """The kernel that copies an array."""
        axes = {node: frozenset(range(len(source.shape)))}
        space = simplified(source.shape, frozenset(), axes, {node: source}, {node: [target]})
        unique = self.context.names.unique(f"{name}_{node.name or node.op.name}")
        x, (y,) = space.reads[node], space.writes[node]
        if can_transpose(x, y, lanes_of(x, self.target)):
            return Transpose(unique, x, y, self.target)
        return Rows(unique, space, [], {}, self.target)

    def _shown_as(self, node: Node) -> list[Step]:
        """A copy of what a movement node shows, where no view can."""
        x, copies = _source(node), list[Kernel]()
        target: View | None = self.storage.views[node]
        if node.op.name == "reshape":
            source: View | None = self.storage.views[x]
            target = target.reshaped(source.shape)
        else:
            source = aliased(node, self.plain(x, copies))
        if source is None or target is None:
            return [self._called(node)]
        return [*map(Run, copies), Run(self.copy(x, source, target))]

    def _called(self, node: Node) -> Call:
        inputs = [self.view_of(x) if isinstance(x, Node) else x for x in node.inputs or ()]
        return Call(node, inputs, [v for v in self.results(node) if v is not None])

    def results(self, node: Node) -> list[View | None]:
        """Where the results of a node go; None for one of several that nobody uses."""
        if node.op.results is None:
            return [self.storage.views[node]]
        found: list[View | None] = [None] * len(node.like)
        for pick in self.graph.nodes:
            if pick.op is PICK and pick.inputs and pick.inputs[0] is node:
                found[pick.params["index"]] = self.storage.views[pick]
        return found

    def _name(self, nodes: Sequence[Node]) -> str:
        names = [n.name or n.op.name for n in nodes if n.op.name not in ("astype", "copy")]
        shown = names if len(names) <= 4 else [*names[:2], "and", str(len(names) - 3), names[-1]]
        return self.context.names.unique("_".join(shown) or "copy")

    def view_of(self, x: Any) -> View:
        """Where an output lies: a node's view, or a constant's own."""
        if isinstance(x, Node):
            return self._relaid.get((x, 0), self.storage.views[x])
        value = np.ascontiguousarray(x)
        buffer = Buffer(
            self.context.names.unique("constant"), code_of(value.dtype), max(1, value.size), "constant", value
        )
        return View.whole(buffer, value.shape)


def _source(node: Node) -> Node:
    return next(node.parents)


def _with_used_inputs(graph: Graph, given: Sequence[View]) -> tuple[Graph, list[View]]:
    """The graph without the inputs that nothing in it uses, and the views of the others."""
    used = {x for n in graph.nodes for x in n.parents} | {o for o in graph.outputs if isinstance(o, Node)}
    pairs = [(n, v) for n, v in zip(graph.inputs, given, strict=True) if n in used]
    return Graph([n for n, _ in pairs], graph.outputs), [v for _, v in pairs]


def _with_constants(graph: Graph) -> Graph:
    """The graph with arrays among the inputs of nodes made leaves, so that every array has a node. Numbers stay."""
    leaves: dict[int, Node] = {}
    made: dict[Node, Node] = {}

    def leaf(x: Any) -> Node:
        if id(x) not in leaves:
            leaves[id(x)] = Node(LEAF, (), {}, x, x)
        return leaves[id(x)]

    changed = False
    for node in graph.nodes:
        inputs = []
        for x in node.inputs or ():
            if isinstance(x, Node):
                inputs.append(made.get(x, x))
            elif isinstance(x, (np.ndarray, np.generic)) and (np.ndim(x) or not is_elementwise(node)):
                inputs.append(leaf(np.asarray(x)))
            else:
                inputs.append(x)
        if any(a is not b for a, b in zip(inputs, node.inputs or (), strict=True)):
            new = Node(node.op, tuple(inputs), node.params, None, node.like, node.place, node.origin)
            new.name = node.name
            made[node] = new
            changed = True
    if not changed:
        return graph
    return Graph(graph.inputs, [made.get(o, o) if isinstance(o, Node) else o for o in graph.outputs])


__all__ = ["ANCHORS", "OPS", "Context", "Region", "is_movement"]
