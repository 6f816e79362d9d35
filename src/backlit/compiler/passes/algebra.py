"""The rules of `simplify` for arithmetic: each takes a node and returns what equals it and costs less, or None."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...base.dtypes import COMPLEX, REAL_FLOAT, WEAK
from ...base.shapes import broadcast
from ...graph.node import Node
from ...graph.opdef import OpDef
from ...ops.arithmetic import (
    add,
    divide,
    guarded_multiply,
    masked_multiply,
    multiply,
    negative,
    pow_,
    sqrt,
    subtract,
)  # fmt: skip
from ...ops.bits import logical_not
from ...ops.comparison import clip, equal, not_equal, where
from ...ops.movement import astype, broadcast_to, permute_dims, reshape
from .rewrite import made, renewed, scalar, shape_of

Simplification = Callable[[Node], Any]


def args(node: Node) -> tuple[Any, ...]:
    """The inputs of a node, which in a graph to be compiled has them."""
    return node.inputs or ()


def filling(node: Node, x: Any) -> Any:
    """`x`, which has the numbers of `node`, in its shape and dtype."""
    if type(x) in WEAK:
        x = node.dtype.type(x)
    return x if x.shape == node.shape else made(node, broadcast_to, x, shape=node.shape)


def _inner(x: Any, op: OpDef) -> Any:
    """What `op` was applied to, if `x` is a node of it, else None."""
    return args(x)[0] if type(x) is Node and x.op is op else None


def _real(node: Node) -> bool:
    return node.dtype.char in REAL_FLOAT


def _is_zero(c: Any, sign: float) -> bool:
    """Is `c` the zero of this sign (of an integer: zero)?"""
    return isinstance(c, (int, float)) and c == 0 and (isinstance(c, int) or math.copysign(1, c) == sign)


def _opposite(x: Any) -> Any:
    """A constant of one element with the other sign, exactly."""
    return x.dtype.type(-x) if isinstance(x, np.ndarray) else -x


# --- any elementwise op ----------------------------------------------------------------------------


def operands(node: Node) -> Any:
    """Operands that only repeat a smaller one are replaced by it; where all do, the result is repeated instead."""
    inputs = args(node)
    smaller = [_unrepeated(x) for x in inputs]
    if all(a is b for a, b in zip(smaller, inputs, strict=True)):
        return None
    shape = broadcast(*map(shape_of, smaller))
    if shape == node.shape:
        return renewed(node, smaller)
    if not any(type(x) is Node for x in smaller):
        return None  # a constant, which `fold` makes unless it is large
    return made(node, broadcast_to, renewed(node, smaller, like=node.spec._replace(shape=shape)), shape=node.shape)


def _unrepeated(x: Any) -> Any:
    if type(x) is Node:
        return args(x)[0] if x.op is broadcast_to else x
    if isinstance(x, np.ndarray) and x.size > 1:
        return uniform(x)
    return x


def uniform(x: Any) -> Any:
    """The element that all elements of an array equal to the last bit, else the array."""
    first = x.flat[0]
    bits = first.tobytes()
    if x.flat[-1].tobytes() != bits or x.flat[x.size // 2].tobytes() != bits:
        return x
    if all(s == 0 or n == 1 for s, n in zip(x.strides, x.shape, strict=True)):
        return first
    same = np.ascontiguousarray(x).reshape(-1).view(f"V{x.dtype.itemsize}") == np.void(bits)
    return first if same.all() else x


def idempotent(node: Node) -> Any:
    """f(f(x)) is f(x), or f(x, x) is x."""
    inputs = args(node)
    if len(inputs) == 1:
        return inputs[0] if type(inputs[0]) is Node and inputs[0].op is node.op else None
    return inputs[0] if inputs[0] is inputs[1] and type(inputs[0]) is Node else None


# --- sums and differences --------------------------------------------------------------------------


def _add(node: Node) -> Any:
    a, b = args(node)
    for x, y in ((a, b), (b, a)):
        if type(x) is Node and _is_zero(scalar(y), -1.0):
            return filling(node, x)
        if (inner := _inner(y, negative)) is not None:
            return renewed(node, (x, inner), op=subtract)
    return None


def _subtract(node: Node) -> Any:
    a, b = args(node)
    if type(a) is Node and _is_zero(scalar(b), 1.0):
        return filling(node, a)
    if (inner := _inner(b, negative)) is not None:
        return renewed(node, (a, inner), op=add)
    return None


def _negative(node: Node) -> Any:
    return _inner(node.inputs[0], negative)  # type: ignore[index]


# --- products and quotients ------------------------------------------------------------------------


def _multiply(node: Node) -> Any:
    a, b = args(node)
    for x, y in ((a, b), (b, a)):
        c = scalar(y)
        if c is not None and type(x) is Node:
            if c == 1:
                return filling(node, x)
            if _real(node) and c == -1:
                return renewed(node, (filling(node, x),), op=negative)
            if _real(node) and (inner := _inner(x, negative)) is not None:
                return renewed(node, (inner, _opposite(y)))
    first, second = _inner(a, negative), _inner(b, negative)
    return renewed(node, (first, second)) if first is not None and second is not None else None


def _divide(node: Node) -> Any:
    a, b = args(node)
    c = scalar(b)
    if c is None or type(a) is not Node or not _real(node):
        return None
    if c == 1:
        return filling(node, a)
    if (inner := _inner(a, negative)) is not None:
        return renewed(node, (inner, _opposite(b)))
    c = float(c)
    if c and math.isfinite(c) and abs(math.frexp(c)[0]) == 0.5 and abs(1 / c) >= np.finfo(node.dtype).tiny:
        inverse = 1 / c
        return renewed(node, (a, inverse if type(b) in WEAK else b.dtype.type(inverse)), op=multiply)
    return None


def _guarded(node: Node) -> Any:
    """A product is guarded against infinities and NaN of the second factor: not needed where it has none."""
    g, partial = args(node)
    return renewed(node, op=multiply) if finite(partial) or _nowhere_zero(g) else None


def _masked(node: Node) -> Any:
    a, b = args(node)
    return renewed(node, op=multiply) if finite(a) and finite(b) else None


def finite(x: Any, depth: int = 8) -> bool:
    """Is it certain, whatever the inputs of the graph, that all elements of `x` are finite?"""
    if type(x) is not Node:
        return bool(np.isfinite(x).all())
    if x.dtype.char not in REAL_FLOAT + COMPLEX:
        return True
    op, inputs = x.op, args(x)
    if op is astype:
        source = inputs[0].dtype
        return source.char == "?" or (source.kind in "iu" and x.dtype.char != "e")
    if not depth:
        return False
    if op is where:
        return finite(inputs[1], depth - 1) and finite(inputs[2], depth - 1)
    if op in (broadcast_to, reshape, permute_dims, negative):
        return finite(inputs[0], depth - 1)
    return False


def _nowhere_zero(x: Any) -> bool:
    return type(x) is not Node and bool(np.all(x))


def _pow(node: Node) -> Any:
    """Powers that NumPy computes by products and roots; 3 and 4 by two products, of an ulp each."""
    x, power = args(node)
    if type(power) not in (int, float) or type(x) is not Node or not _real(node):
        return None
    if power == 1:
        return x
    if power == 0.5 and node.shape:  # of a single number NumPy takes the power, which is inf at -inf
        return renewed(node, (x,), op=sqrt)
    if power not in (2, 3, 4):
        return None
    squared = renewed(node, (x, x), op=multiply)
    return squared if power == 2 else renewed(node, (squared, x if power == 3 else squared), op=multiply)


# --- choices, truth and dtypes ---------------------------------------------------------------------


def _where(node: Node) -> Any:
    condition, a, b = args(node)
    known = scalar(condition)
    if known is not None:
        return filling(node, a if known else b)
    if a is b and type(a) is Node:
        return filling(node, a)
    if (inner := _inner(condition, logical_not)) is not None and inner.dtype.char == "?":
        return renewed(node, (inner, b, a))
    if _inner(a, where) is condition:
        return renewed(node, (condition, args(a)[1], b))
    if _inner(b, where) is condition:
        return renewed(node, (condition, a, args(b)[2]))
    return None


def _not(node: Node) -> Any:
    x = args(node)[0]
    if type(x) is not Node or x.dtype.char != "?":
        return None
    for op, other in ((equal, not_equal), (not_equal, equal)):
        if x.op is op:
            return renewed(x, op=other)
    inner = _inner(x, logical_not)
    return inner if inner is not None and inner.dtype.char == "?" else None


def _clip(node: Node) -> Any:
    x, low, high = args(node)
    return filling(node, x) if low is None and high is None and type(x) is Node else None


def _astype(node: Node) -> Any:
    x = args(node)[0]
    if type(x) is not Node:
        return None
    if x.dtype == node.dtype:
        return x
    inner = _inner(x, astype)
    return renewed(node, (inner,)) if inner is not None and _exact(inner.dtype, x.dtype) else None


def _exact(source: Any, target: Any) -> bool:
    """Does every number of dtype `source` exist in `target`?"""
    return np.can_cast(source, target, "safe") and not (
        source.kind in "iu" and source.itemsize == 8 and target.kind in "fc"
    )


ALGEBRA: dict[OpDef, Simplification] = {
    add: _add,
    subtract: _subtract,
    negative: _negative,
    multiply: _multiply,
    divide: _divide,
    guarded_multiply: _guarded,
    masked_multiply: _masked,
    pow_: _pow,
    where: _where,
    logical_not: _not,
    clip: _clip,
    astype: _astype,
}
