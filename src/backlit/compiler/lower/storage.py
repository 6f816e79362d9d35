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
from ..kernels.views import Buffer, View, code_of, contiguous
from .aliases import aliased, is_movement


class Storage:
    """Buffers and views of the nodes of a graph.

    Attributes:
        views: the view of every node that has one value (an op with several outputs has them in its picks).
        base: for each node that is a view, the node whose memory it shows.
        copies: the movement nodes that no view expresses, and that are therefore copied.
    """

    def __init__(self, graph: Graph, names: Names, given: Sequence[View]) -> None:
        self.graph = graph
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
            view = aliased(node, self.views[source])
            if view is not None:
                self.views[node] = view
                self.base[node] = self.base.get(source, source)
                return
            self.copies.add(node)
        order = self._orders.get(node, tuple(range(node.ndim)))
        buffer = self._buffer(node, "scratch")
        laid = View.whole(buffer, [node.shape[a] for a in order])
        self.views[node] = laid.permuted(np.argsort(order).tolist()) if node.ndim else laid

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
