"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..base.shapes import as_axes, reduced
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .arithmetic import abs_, divide, masked_multiply, multiply, pow_
from .comparison import equal, not_equal, where
from .decompositions import svdvals
from .linalg import linalg, matrices, real_of
from .movement import astype, reshape
from .operands import operand
from .reduce import aligned
from .reduce import max as max_
from .reduce import min as min_
from .reduce import sum as sum_

Axes = int | tuple[int, ...] | None


def _norm_vjp(g: Any, out: Any, x: Any, *, axis: Any, keepdims: bool, ord: float) -> Any:
    """g · x/|x| · (|x|/norm)^(ord - 1), and 0 where the norm is 0."""
    g, out = aligned(g, x, axis), aligned(out, x, axis)
    safe = where(equal(out, 0), 1, out)
    if ord == 2:
        return (multiply(x, divide(g, safe)),)
    size = abs_(x)
    zero = equal(size, 0)
    unit = divide(x, where(zero, 1, size))
    share = where(zero, 0, pow_(divide(where(zero, 1, size), safe), ord - 1))
    return (masked_multiply(unit, multiply(g, share)),)


@op(
    namespace="hidden", saves="out x", dtypes="floating-point", vjp=_norm_vjp, onnx="LpNormalization",
    infer=lambda x, *, axis, keepdims, ord: Spec(reduced(x.shape, axis, keepdims), real_of(x.dtype)),
    samples=lambda rng: [
        ((rng.normal(size=(3, 2)),), {"axis": (0, 1), "keepdims": False, "ord": 2}),
        ((rng.uniform(0.5, 2, size=(3, 2)),), {"axis": (0,), "keepdims": True, "ord": 3.5}),
        ((rng.uniform(0.5, 2, size=(3, 2)),), {"axis": (1,), "keepdims": False, "ord": -1.5}),
    ],
)  # fmt: skip
def power_norm(x: Any, /, *, axis: tuple[int, ...], keepdims: bool, ord: float) -> Any:
    """sum(|x|^ord)^(1/ord) over `axis`."""
    if not axis or not x.ndim:
        return np.abs(x)
    with np.errstate(divide="ignore"):  # a negative power of 0 is inf, and the norm 0
        return np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def _vector_samples(rng: Any) -> list[Any]:
    x = rng.permutation(np.arange(12.0)).reshape(3, 4) + 0.6  # no two of equal size after 6 is taken away
    orders = (1, 3, math.inf, -math.inf)
    return [((x - 6,), {}), *(((x - 6,), {"axis": 1, "ord": p, "keepdims": p == 1}) for p in orders)]


@composite(namespace=linalg, dtypes="floating-point", array_api=True, samples=_vector_samples)
def vector_norm(x: Any, /, *, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Any:
    """The norm sum(|x|^ord)^(1/ord) over `axis` (all axes by default).

    `ord` may be inf or -inf (the largest and smallest |x|) and 0 (how many elements are not zero).
    Where the norm is 0 the gradient is 0.

    >>> import backlit as bl
    >>> bl.linalg.vector_norm(bl.tensor([3.0, 4.0]))
    tensor(5., dtype=float32)
    """
    x = operand(x)
    axes = as_axes(axis, len(x.shape), "vector_norm")
    if isinstance(ord, bool) or not isinstance(ord, (int, float)) or math.isnan(ord):
        raise ArgumentError(f"vector_norm: ord={ord!r}; expected a number, inf or -inf.")
    if ord == 0:
        return sum_(astype(not_equal(x, 0), real_of(x.dtype)), axis=axes, keepdims=keepdims)
    if ord == 1:
        return sum_(abs_(x), axis=axes, keepdims=keepdims)
    if math.isinf(ord):
        return (max_ if ord > 0 else min_)(abs_(x), axis=axes, keepdims=keepdims)
    return power_norm(x, axis=axes, keepdims=keepdims, ord=ord)


@composite(
    namespace=linalg, dtypes="floating-point", array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 2)),), {"ord": p, "keepdims": p == 1}) for p in ("fro", "nuc", 1, -1, 2, -2, math.inf)
    ],
)  # fmt: skip
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norms of matrices.

    `ord` is "fro" (Frobenius), "nuc" (sum of singular values), 2 or -2 (largest or smallest singular
    value), 1 or -1 (largest or smallest sum of |x| down a column), inf or -inf (along a row).
    """
    x = matrices(operand(x), "matrix_norm")
    if ord == "fro":
        return power_norm(x, axis=(len(x.shape) - 2, len(x.shape) - 1), keepdims=keepdims, ord=2)
    if ord in (1, -1, math.inf, -math.inf):
        sums = sum_(abs_(x), axis=-2 if abs(ord) == 1 else -1, keepdims=True)
        found = (max_ if ord > 0 else min_)(sums, axis=(-2, -1), keepdims=keepdims)
        return found
    if ord not in ("nuc", 2, -2):
        raise ArgumentError(f"matrix_norm: ord={ord!r}; expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf.")
    values = svdvals(x)
    found = sum_(values, axis=-1) if ord == "nuc" else (max_ if ord > 0 else min_)(values, axis=-1)
    return reshape(found, (*found.shape, 1, 1)) if keepdims else found
