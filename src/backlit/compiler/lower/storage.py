"""Where each node of a graph would lie in memory: its buffer and view, decided before anything is fused.

A node that is only a view of another has no buffer. One whose value is never needed in memory (because it is computed
and used within one kernel) keeps a buffer here that is never allotted.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.tensor import LEAF
from ..codegen.writer import Target
from ..kernels.conv_layout import layouts
from ..kernels.views import Buffer, View, code_of, contiguous
from .aliases import aliased, is_movement

CONVOLUTIONS = frozenset(("convolve", "convolve_transposed", "convolve_weight"))
POOLINGS = frozenset(("pool_max", "pool_argmax", "pool_place", "pool_pick", "pool_sum", "pool_spread"))


class Storage:
    """Buffers and views of the nodes of a graph.

    Attributes:
        views: the view of every node that has one value (an op with several outputs has them in its picks).
        base: for each node that is a view, the node whose memory it shows.
        copies: the movement nodes that no view expresses, and that are therefore copied.
    """

    def __init__(self, graph: Graph, names: Names, given: Sequence[View], target: Target, plain: set[Any]) -> None:
        self.graph, self.target, self._plain = graph, target, plain
        self.views: dict[Node, View] = {}
        self.base: dict[Node, Node] = {}
        self.copies: set[Node] = set()
        self._names = names
        self._orders = _orders(graph)
        self.views.update(zip(graph.inputs, given, strict=True))
        for node in graph.nodes:
            self._place(node)

    def _place(self, node: Node) -> None:
        if node.op.results is not None:
            return
        if node.op is LEAF:
            value = np.ascontiguousarray(node.value)
            self.views[node] = View.whole(self._buffer(node, "constant", value), node.shape)
            return
        if is_movement(node) and node.op is not PICK and isinstance(source := (node.inputs or (None,))[0], Node):
            view = self._shown(node, source)
            if view is not None:
                self.views[node] = view
                self.base[node] = self.base.get(source, source)
                return
            self.copies.add(node)
        shape, order = self._layout(node)
        laid = View.whole(self._buffer(node, "scratch"), [shape[a] for a in order])
        self.views[node] = laid.permuted(np.argsort(order).tolist()) if order else laid

    def _shown(self, node: Node, source: Node) -> View | None:
        """The view that a node is of its source, if it is one."""
        view = self.views[source]
        if view.shape == source.shape:
            return aliased(node, view)
        if node.op.name in ("copy", "stop_gradient", "positive"):
            return view
        return view.reshaped(node.shape) if node.op.name == "reshape" else None

    def _layout(self, node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes of a node in memory and their order, outermost first.

        Convolutions have theirs; poolings and elementwise nodes follow an input that has not the ordinary one. The
        axes are those of the node, or with the batch axis in two, when samples lie side by side in vectors.
        """
        if node in self._plain:
            return node.shape, tuple(range(node.ndim))
        plain = (node.shape, self._orders.get(node, tuple(range(node.ndim))))
        if node.op.name in CONVOLUTIONS and node.dtype.kind == "f":
            wish = layouts(node, self.target)
            n = wish.lanes
            if n and node.op.name != "convolve_weight":
                return (node.shape[0] // n, n, *node.shape[1:]), wish.output
            return node.shape, wish.output
        if node.op.native is None and node.op.name not in POOLINGS:
            return plain
        for x in node.parents:
            view = self.views.get(x)
            if view is None or x.ndim != node.ndim or x.op is LEAF or node in self._orders:
                continue
            if x.shape != node.shape and not (node.op.name in POOLINGS and x.shape[:2] == node.shape[:2]):
                continue
            order = _from_outside(view)
            if view.shape == x.shape and (order == tuple(range(node.ndim)) or 0 in view.strides):
                continue
            if view.shape != x.shape:
                return (*view.shape[:2], *node.shape[1:]), order
            return node.shape, order
        return plain

    def seen(self, x: Node, shape: Sequence[int], extent: Sequence[int]) -> View | None:
        """A node broadcast to `shape`, in the form `extent`; None where no strides express it."""
        view = self.views[x]
        if view.shape == x.shape:
            return view.over(shape, extent)
        return view.reshaped(extent) if tuple(shape) == x.shape else None

    def _buffer(self, node: Node, kind: str, value: Any = None) -> Buffer:
        name = self._names.of(node)
        return Buffer(name, code_of(node.dtype), max(1, prod(node.shape)), kind, value)

    def move(self, node: Node, place: View) -> None:
        """Let a node, and all that show its memory, lie in another place, row by row."""
        for x in (node, *(x for x, base in self.base.items() if base is node)):
            view = self.views[x]
            self.views[x] = view._replace(buffer=place.buffer, offset=view.offset + place.offset)

    def root(self, node: Node) -> Node:
        """The node whose memory a node shows: itself, where it is no view."""
        return self.base.get(node, node)


def _from_outside(view: View) -> tuple[int, ...]:
    """The axes of a view, that with the longest stride first."""
    return tuple(sorted(range(len(view.shape)), key=lambda a: (-view.strides[a], a)))


class Names:
    """Readable names for buffers and kernels, each given once."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def of(self, node: Node) -> str:
        """A name for the value of a node: the user's own, or the op's."""
        return self.unique(node.name or node.op.name)

    def unique(self, wanted: str) -> str:
        """The wanted name, as far as LLVM takes it, with a number where it is taken."""
        name = "".join(c if c.isalnum() and c.isascii() else "_" for c in wanted) or "x"
        count = self._taken.get(name)
        self._taken[name] = (count or 0) + 1
        return self.unique(f"{name}_{count + 1}") if count is not None else name


def _orders(graph: Graph) -> dict[Node, tuple[int, ...]]:
    """In what order of axes a node is better laid out than row by row: so that a reshape of its transpose is a view.

    Only orders that leave the last axis where it is, so that vectors stay vectors.
    """
    seen: dict[Node, tuple[Node, tuple[int, ...]]] = {}
    wanted: dict[Node, tuple[int, ...]] = {}
    inputs = set(graph.inputs)
    for node in graph.nodes:
        name, source = node.op.name, next(node.parents, None)
        if source is None or source.op is LEAF:
            continue
        if name in ("permute_dims", "matrix_transpose"):
            start, before = seen.get(source, (source, tuple(range(source.ndim))))
            axes = node.params["axes"] if name == "permute_dims" else _swapped(node.ndim)
            seen[node] = (start, tuple(before[a] for a in axes))
        elif name == "copy" and source in seen:
            seen[node] = seen[source]
        elif name == "reshape" and source in seen:
            start, order = seen[source]
            if start in inputs or is_movement(start) or not order or order[-1] != len(order) - 1:
                continue
            plain = View.whole(_NOWHERE, start.shape).permuted(order)
            if plain.reshaped(node.shape) is None:
                wanted.setdefault(start, order)
    return wanted


def _swapped(n: int) -> tuple[int, ...]:
    return (*range(n - 2), n - 1, n - 2)


_NOWHERE = Buffer("nowhere", "f4", 1)


def virtual(shape: Sequence[int]) -> View:
    """A view of no memory, row by row: to find out where the elements of a shape go under reshapes and broadcasts."""
    return View(_NOWHERE, tuple(shape), contiguous(shape))
