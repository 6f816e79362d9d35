"""Products of matrices and tensors: `matmul` and what is made of it. `einsum` has a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axis, as_index, broadcast, size_of
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .arithmetic import add, multiply
from .einsum import conjugated, einsum
from .movement import matrix_transpose, reshape
from .operands import operand


def column(x: Any) -> Any:
    """A new last axis of size 1."""
    return reshape(x, (*x.shape, 1))


def rows(x: Any) -> Any:
    """All axes but the last as one."""
    *front, n = x.shape
    return reshape(x, (-1 if None in front else size_of(tuple(front)), n))


# --- matmul ------------------------------------------------------------------------------------------


def matmul_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a matrix product; raises the error that explains why there is none."""
    if not a or not b:
        raise ShapeError(
            f"matmul: expected operands with 1 or more dimensions, got shapes {a} and {b}; a scalar multiplies with *."
        )
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        meets = "columns of x1 meet rows of x2" if len(a) > 1 and len(b) > 1 else "their lengths meet"
        raise ShapeError(
            f"matmul: shapes {a} and {b} do not fit: {meets}, and {a[-1]} is not {inner}. "
            "Perhaps one operand should be transposed: x1 @ x2.mT, or x1.mT @ x2."
        )
    batch = broadcast(a[:-2], b[:-2], where=f"matmul of shapes {a} and {b}, leading axes")
    return batch + (a[-2:-1] if len(a) > 1 else ()) + (b[-1:] if len(b) > 1 else ())


def _left(g: Any, x1: Any, x2: Any) -> Any:
    x2 = conjugated(x2)
    if x2.ndim == 1:
        return multiply(g if x1.ndim == 1 else column(g), x2)
    if x1.ndim == 1:
        return matmul(x2, g) if x2.ndim == 2 else reshape(matmul(x2, column(g)), x2.shape[:-1])
    return matmul(g, matrix_transpose(x2))


def _right(g: Any, x1: Any, x2: Any) -> Any:
    x1 = conjugated(x1)
    if x1.ndim == 1:
        return multiply(x1, g) if x2.ndim == 1 else multiply(column(x1), matrix_transpose(column(g)))
    if x2.ndim == 1:
        return matmul(reshape(g, (-1 if None in g.shape else size_of(g.shape),)), rows(x1))
    if x2.ndim == 2 and x1.ndim > 2:  # one large product instead of many and their sum
        return matmul(matrix_transpose(rows(x1)), rows(g))
    return matmul(matrix_transpose(x1), g)


@op(
    infer=lambda x1, x2: Spec(matmul_shape(x1.shape, x2.shape), x1.dtype), transpose=(_left, _right), saves="x1 x2",
    dtypes="numeric", array_api=True, onnx="MatMul", latex="{0} \\, {1}",
    samples=lambda rng: [
        ((rng.normal(size=a), rng.normal(size=b)), {})
        for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((2, 2, 3), (3, 2)),
                     ((2, 1, 2, 3), (3, 3, 2))]
    ],
)  # fmt: skip
def matmul(x1: Any, x2: Any, /) -> Any:
    """The matrix product x1 @ x2.

    The last two axes are matrices, the axes before them broadcast. A one-dimensional `x1` is a row, a
    one-dimensional `x2` a column, and the axis added for it is dropped from the result.

    >>> import backlit as bl
    >>> bl.matmul(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), bl.tensor([1.0, 10.0]))
    tensor([21., 43.], dtype=float32)
    """
    try:
        if x1.ndim > 2 and x2.ndim == 2 and x1.size and x1.flags.c_contiguous:
            return np.matmul(x1.reshape(-1, x1.shape[-1]), x2).reshape(*x1.shape[:-1], x2.shape[-1])
        return np.matmul(x1, x2)
    except (ValueError, AttributeError):
        matmul_shape(np.shape(x1), np.shape(x2))
        raise


# --- made of it --------------------------------------------------------------------------------------


@composite(
    dtypes="numeric", onnx="Gemm",
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)), {}),
        ((rng.normal(size=(2, 2, 3)), rng.normal(size=(3, 2)), None), {}),
    ],
)  # fmt: skip
def linear(x: Any, w: Any, b: Any = None, /) -> Any:
    """x @ w + b, the affine map of a dense layer: `w` has shape (inputs, outputs), `b` (outputs,) or None."""
    product = matmul(operand(x), operand(w))
    return product if b is None else add(product, operand(b))


@composite(
    dtypes="numeric",
    array_api=True,
    samples=lambda rng: [((rng.normal(size=3), rng.normal(size=4)), {})],
)
def outer(x1: Any, x2: Any, /) -> Any:
    """The outer product of two vectors: element (i, j) is x1[i] · x2[j]."""
    x1, x2 = operand(x1), operand(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(
            f"outer: expected two one-dimensional operands, got shapes {x1.shape} and {x2.shape}; "
            "reshape them with x.reshape(-1), or use einsum."
        )
    return multiply(column(x1), x2)


@composite(
    dtypes="numeric", array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}),
        ((rng.normal(size=(2, 3, 1)), rng.normal(size=(3, 4))), {"axis": -2}),
    ],
)  # fmt: skip
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The dot product of vectors along `axis`, the first conjugated: sum(conj(x1) · x2). Other axes broadcast."""
    x1, x2 = operand(x1), operand(x2)
    smaller = min(x1.ndim, x2.ndim)
    if smaller == 0:
        raise ShapeError(f"vecdot: expected operands with 1 or more dimensions, got {x1.shape} and {x2.shape}.")
    at = as_index(axis, "axis", "vecdot")
    if at >= 0:
        if x1.ndim != x2.ndim:
            raise ArgumentError(
                f"vecdot: axis {axis} counts from the front, but the operands have {x1.ndim} and {x2.ndim} dimensions; "
                "give a negative axis, which counts from the end of both."
            )
        at -= x1.ndim
    as_axis(at, smaller, "vecdot")
    if x1.shape[at] != x2.shape[at]:
        raise ShapeError(
            f"vecdot: the vectors have lengths {x1.shape[at]} and {x2.shape[at]} along axis {axis}; they must be equal."
        )
    tail = "abcdefghijklmnopqrstuvwxyz"[:-at]
    return einsum(f"...{tail},...{tail}->...{tail[1:]}", conjugated(x1), x2)


@composite(
    dtypes="numeric", array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 4)), rng.normal(size=(3, 4, 2))), {}),
        ((rng.normal(size=(2, 3)), rng.normal(size=(4, 2))), {"axes": ((0,), (1,))}),
        ((rng.normal(size=2), rng.normal(size=3)), {"axes": 0}),
    ],
)  # fmt: skip
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """The sum of products over several axes of two arrays.

    Args:
        axes: how many of the last axes of `x1` are contracted with as many first axes of `x2`, or a
            pair of sequences naming the axes of each.
    """
    x1, x2 = operand(x1), operand(x2)
    if isinstance(axes, Iterable):
        pair = tuple(axes)
        if len(pair) != 2:
            raise ArgumentError(f"tensordot: expected a number of axes or a pair of sequences, got {axes!r}.")
        first, second = (tuple(p) if isinstance(p, Iterable) else (p,) for p in pair)
    else:
        n = as_index(axes, "axes", "tensordot")
        if not 0 <= n <= min(x1.ndim, x2.ndim):
            raise ShapeError(
                f"tensordot: cannot contract {n} axes of operands with {x1.ndim} and {x2.ndim} dimensions."
            )
        first, second = tuple(range(x1.ndim - n, x1.ndim)), tuple(range(n))
    if len(first) != len(second):
        raise ShapeError(f"tensordot: axes names {len(first)} axes of x1 and {len(second)} of x2; they pair up.")
    first = tuple(as_axis(a, x1.ndim, "tensordot") for a in first)
    second = tuple(as_axis(a, x2.ndim, "tensordot") for a in second)
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    one = [next(letters) for _ in x1.shape]
    two = [next(letters) for _ in x2.shape]
    for a, b in zip(first, second, strict=True):
        if x1.shape[a] != x2.shape[b]:
            raise ShapeError(
                f"tensordot: axis {a} of x1 has size {x1.shape[a]}, axis {b} of x2 {x2.shape[b]}; they must be equal."
            )
        two[b] = one[a]
    kept = [c for c in one if c not in two] + [c for c in two if c not in one]
    return einsum(f"{''.join(one)},{''.join(two)}->{''.join(kept)}", x1, x2)
