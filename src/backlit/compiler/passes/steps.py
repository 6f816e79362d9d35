"""`all_steps`: what the body of a loop computes, for all steps at once, outside the loop.

A value of shape S in the body becomes an array of shape (length, *S), as slices of arrays are. What is the same in
every step keeps its shape. This is the vectorising map of JAX (`vmap`), for the ops that a pass moves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ...base.shapes import size_of
from ...graph.node import Node
from ...graph.opdef import OPS, OpDef
from ...graph.tensor import LEAF
from ...graph.walk import ancestors
from ...ops.contraction import matmul
from ...ops.index import getitem, take
from ...ops.indexing import Cut, Index
from ...ops.joining import concat
from ...ops.movement import astype, broadcast_to, flip, permute_dims, reshape
from .rewrite import made, renewed, shape_of

#: Ops that only name elements otherwise, so that their inputs are as good as their results.
VIEWS = frozenset({reshape, permute_dims, broadcast_to, flip})


class Steps:
    """Values in the body of a loop as values outside.

    Attributes:
        length: the number of steps.
        fixed: for values that are the same in each step, the value outside.
        columns: for others, the array outside that has them all, along its first axis.
    """

    __slots__ = ("columns", "fixed", "length")

    def __init__(self, length: int, fixed: dict[Node, Any], columns: dict[Node, Any]) -> None:
        self.length, self.fixed, self.columns = length, dict(fixed), dict(columns)

    def extend(self, wanted: Iterable[Any]) -> None:
        """Take in the values in the body that `wanted` are computed from, as far as they follow from those known."""
        known = {*self.fixed, *self.columns}
        for node in ancestors([x for x in wanted if isinstance(x, Node)], known):
            if node in known or node.op is LEAF or node.inputs is None:
                continue
            if all(self.is_fixed(x) for x in node.inputs):
                if node.op.results is None:
                    self.fixed[node] = renewed(node, [self.fixed.get(x, x) if isinstance(x, Node) else x
                                                      for x in node.inputs])  # fmt: skip
            elif stackable(node) and all(self.is_fixed(x) or x in self.columns for x in node.inputs):
                self.columns[node] = self._column(node)

    def is_fixed(self, x: Any) -> bool:
        """Is this the same in each step?"""
        return not isinstance(x, Node) or x in self.fixed

    def column(self, x: Any, at: Node) -> Any:
        """The values of `x` in all steps; copies of it where it is the same in each."""
        if isinstance(x, Node) and x in self.columns:
            return self.columns[x]
        outside = self.fixed[x] if isinstance(x, Node) else x
        return made(at, broadcast_to, outside, shape=(self.length, *shape_of(x)))

    def rows(self, x: Any, at: Node) -> Any:
        """The values of a matrix (m, n) in all steps as one of (length · m, n)."""
        m, n = x.shape
        return made(at, reshape, self.column(x, at), shape=(self.length * m, n))

    def _column(self, node: Node) -> Node:
        inputs = inputs_of(node)
        if node.op.family == "elementwise":
            return made(node, node.op, *(self._beside(x, node) for x in inputs), **node.params)
        if node.op is matmul:
            return self._product(node, *inputs)
        if node.op is take:
            return made(node, take, self.fixed.get(inputs[0], inputs[0]), self.columns[inputs[1]], **node.params)
        params = _RULES[node.op](node, self.length)
        return made(node, node.op, *(self._aligned(x, node) for x in inputs), **params)

    def _product(self, node: Node, x1: Any, x2: Any) -> Node:
        if len(shape_of(x1)) == 2 and len(shape_of(x2)) == 2 and self.is_fixed(x2):
            product = made(node, matmul, self.rows(x1, node), self.fixed.get(x2, x2))
            return made(node, reshape, product, shape=(self.length, *node.shape))
        return made(node, matmul, self._beside(x1, node), self._beside(x2, node))

    def _beside(self, x: Any, node: Node) -> Any:
        """An operand that broadcasts: a column has new axes after its first, if it has fewer axes than the result."""
        if self.is_fixed(x):
            return self.fixed[x] if isinstance(x, Node) else x
        ones = (1,) * (len(node.shape) - len(x.shape))
        column = self.columns[x]
        return made(node, reshape, column, shape=(self.length, *ones, *x.shape)) if ones else column

    def _aligned(self, x: Any, node: Node) -> Any:
        if node.op is broadcast_to:
            return self._beside(x, node)
        return self.column(x, node)


def stackable(node: Node) -> bool:
    """Is there a rule by which this node is computed for all steps?"""
    if node.op is getitem:
        return not node.params["index"].arrays
    if node.op is take:
        return node.params["axis"] == 0
    return node.op is matmul or node.op in _RULES or (node.op.family == "elementwise" and node.op.results is None)


def _later(axes: Collection[int]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axes)


def _reduction(node: Node, length: int) -> dict[str, Any]:
    return {**node.params, "axis": _later(node.params["axis"])}


#: The parameters with which an op is applied to columns.
_RULES: dict[OpDef, Callable[[Node, int], dict[str, Any]]] = {
    reshape: lambda node, length: {"shape": (length, *node.shape)},
    broadcast_to: lambda node, length: {"shape": (length, *node.shape)},
    permute_dims: lambda node, length: {"axes": (0, *_later(node.params["axes"]))},
    flip: lambda node, length: {"axis": _later(node.params["axis"])},
    concat: lambda node, length: {"axis": node.params["axis"] + 1},
    astype: lambda node, length: node.params,
    getitem: lambda node, length: {"index": Index((Cut(0, length, 1), *node.params["index"].parts))},
    **{OPS[name]: _reduction for name in ("sum", "prod", "max", "min", "any", "all")},
}


def inputs_of(node: Node) -> tuple[Any, ...]:
    """The inputs of a node that is no leaf."""
    return node.inputs or ()


def rows_of(x: Any) -> int:
    """The number of rows that a product with `x` on its left has: all sizes but the last, multiplied."""
    return size_of(shape_of(x)[:-1])
