"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import as_dtype, bool_, int64
from ..base.errors import ShapeError
from ..base.shapes import as_axes, as_axis, reduced, size_of
from ..graph.op import op
from ..graph.opdef import Spec
from .movement import astype, broadcast_to, flip, permute_dims, reshape
from .operands import accumulator, operand
from .scans import cumulative_prod

Axes = int | tuple[int, ...] | None


def spread(g: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """The cotangent of a sum, given back to every element that was summed."""
    return broadcast_to(aligned(g, x, axis), x.shape)


def aligned(y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """The result of a reduction of `x`, with the axes that were reduced kept at size 1."""
    kept = reduced(x.shape, axis, True)
    return y if y.shape == kept else reshape(y, kept)


def _over(name: str) -> Any:
    """The public signature of the reductions that take no more than axes."""

    def prepare(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Any:
        x = operand(x)
        return (x,), {"axis": as_axes(axis, x.ndim, name), "keepdims": bool(keepdims)}

    return prepare


def _shape_rule(x: Any, *, axis: tuple[int, ...], keepdims: bool, **_: Any) -> Spec:
    return Spec(reduced(x.shape, axis, keepdims), x.dtype)


def _boolean_rule(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Spec:
    return Spec(reduced(x.shape, axis, keepdims), bool_)


def _cases(rng: Any) -> list[Any]:
    """What the reductions are tested on: all axes, one, several, kept and not."""
    x = rng.normal(size=(3, 4, 2))
    return [((x,), {}), ((x,), {"axis": 1}), ((x,), {"axis": (0, -1), "keepdims": True}), ((x[0, 0, 0],), {})]


# --- sums and products -----------------------------------------------------------------------------


def _sum_params(x: Any, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Any:
    x = operand(x)
    return _accumulated(x, dtype), {"axis": as_axes(axis, x.ndim, "sum"), "keepdims": bool(keepdims)}


def _prod_params(x: Any, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Any:
    x = operand(x)
    return _accumulated(x, dtype), {"axis": as_axes(axis, x.ndim, "prod"), "keepdims": bool(keepdims)}


def _accumulated(x: Any, dtype: Any) -> tuple[Any]:
    wanted = as_dtype(dtype) if dtype is not None else accumulator(x.dtype)
    return (x if wanted == x.dtype else astype(x, wanted),)


@op(
    prepare=_sum_params, infer=_shape_rule, saves="", traits="jointly_linear", onnx="ReduceSum", array_api=True,
    transpose=(lambda g, x, *, axis, keepdims: spread(g, x, axis),), samples=_cases,
)  # fmt: skip
def sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """The sum of the elements over `axis` (all axes by default). Integers are summed in 64 bits.

    >>> import backlit as bl
    >>> bl.sum(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.], dtype=float32)
    """
    return np.add.reduce(x, axis=axis, dtype=x.dtype, keepdims=keepdims)


def _prod_vjp(g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The product of all others is that of those before times that of those after: no division, zeros are no matter."""
    if not axis or not x.ndim:
        return (aligned(g, x, axis),)
    order = (*(a for a in range(x.ndim) if a not in axis), *axis)
    moved = permute_dims(x, order)
    flat = reshape(moved, (*moved.shape[: x.ndim - len(axis)], size_of(moved.shape[x.ndim - len(axis) :])))
    before = cumulative_prod(flat, axis=-1, include_initial=True)[..., :-1]
    after = flip(cumulative_prod(flip(flat, axis=-1), axis=-1, include_initial=True)[..., :-1], axis=-1)
    others = permute_dims(reshape(before * after, moved.shape), tuple(np.argsort(order).tolist()))
    return (aligned(g, x, axis) * conjugate(others),)


def conjugate(x: Any) -> Any:
    """The complex conjugate; a real value as it is."""
    if x.dtype.kind != "c":
        return x
    from .complex import conj

    return conj(x)


def _zero_cases(rng: Any) -> list[Any]:
    x = rng.uniform(0.5, 1.5, size=(3, 4))
    x[1, 2] = 0.0
    return [((x,), {}), ((x,), {"axis": 1}), ((x[1:] * x[1:] - 0.5,), {"axis": 0, "keepdims": True}), ((x[0, 0],), {})]


@op(
    prepare=_prod_params, infer=_shape_rule, saves="x", onnx="ReduceProd", array_api=True, vjp=_prod_vjp,
    samples=_zero_cases,
)  # fmt: skip
def prod(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """The product of the elements over `axis` (all axes by default). Its derivative is right at zeros too."""
    return np.multiply.reduce(x, axis=axis, dtype=x.dtype, keepdims=keepdims)


# --- mean and spread -------------------------------------------------------------------------------


def counted(x: Any, axis: tuple[int, ...]) -> int:
    """How many elements go into one element of the reduction."""
    return size_of(tuple(x.shape[a] for a in axis))


@op(
    prepare=_over("mean"), infer=_shape_rule, saves="", traits="jointly_linear", dtypes="floating-point",
    transpose=(lambda g, x, *, axis, keepdims: spread(g / (counted(x, axis) or 1), x, axis),), onnx="ReduceMean",
    array_api=True, samples=_cases,
)  # fmt: skip
def mean(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """The arithmetic mean over `axis` (all axes by default); NaN of no elements."""
    if x.dtype.char == "e":  # float16 overflows at 65504; NumPy adds it up in float32
        return np.mean(x, axis=axis, keepdims=keepdims)
    return np.add.reduce(x, axis=axis, keepdims=keepdims) / counted(x, axis)


def _var_params(x: Any, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    x = operand(x)
    return (x,), {
        "axis": as_axes(axis, x.ndim, "var"), "correction": float(correction), "keepdims": bool(keepdims),
    }  # fmt: skip


def _deviation(x: Any, axis: tuple[int, ...], correction: float) -> Any:
    """The deviation of each element from the mean, divided by the number of degrees of freedom."""
    return (x - mean(x, axis=axis, keepdims=True)) / (counted(x, axis) - correction)


def _var_vjp(g: Any, out: Any, x: Any, *, axis: Any, correction: float, keepdims: bool) -> Any:
    return (aligned(g, x, axis) * 2 * _deviation(x, axis, correction),)


def _std_vjp(g: Any, out: Any, x: Any, *, axis: Any, correction: float, keepdims: bool) -> Any:
    # Where all elements are equal the root has no derivative; 0 is the subgradient of least norm.
    spreads = astype(out > 0, x.dtype)
    return (aligned(g * spreads / (out + (1 - spreads)), x, axis) * _deviation(x, axis, correction),)


def _var_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(3, 4))
    return [((x,), {}), ((x,), {"axis": 1, "correction": 1}), ((x,), {"axis": (0, 1), "keepdims": True})]


@op(
    prepare=_var_params, infer=_shape_rule, saves="x", dtypes="real floating-point", vjp=_var_vjp, array_api=True,
    samples=_var_cases,
)  # fmt: skip
def var(x: Any, /, *, axis: Any, correction: float, keepdims: bool) -> Any:
    """The variance over `axis`, divided by N - `correction` (1 for the unbiased estimate from a sample)."""
    return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)


@op(
    prepare=_var_params, infer=_shape_rule, saves="out x", dtypes="real floating-point", vjp=_std_vjp, array_api=True,
    samples=_var_cases,
)  # fmt: skip
def std(x: Any, /, *, axis: Any, correction: float, keepdims: bool) -> Any:
    """The standard deviation over `axis`: the root of `var`. Where it is 0 its gradient counts as 0."""
    return np.std(x, axis=axis, ddof=correction, keepdims=keepdims)


# --- extremes --------------------------------------------------------------------------------------


def _extreme_rule(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Spec:
    result = Spec(reduced(x.shape, axis, keepdims), x.dtype)
    if size_of(result.shape) and not counted(x, axis):
        raise ShapeError(f"max or min of shape {x.shape} over axis {axis}: there is no extreme of no elements.")
    return result


def _extreme_vjp(g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """All elements that reach the extreme share the gradient equally: the mean of the one-sided choices."""
    ties = astype(x == aligned(out, x, axis), x.dtype)
    return (aligned(g, x, axis) * (ties / sum(ties, axis=axis, keepdims=True)),)


def _distinct_cases(rng: Any) -> list[Any]:
    x = rng.permutation(24.0 * np.ones(24) * 0.1 * np.arange(24)).reshape(3, 4, 2)
    return [((x,), {}), ((x,), {"axis": 1}), ((x,), {"axis": (0, -1), "keepdims": True})]


@op(
    prepare=_over("max"), infer=_extreme_rule, saves="out x", dtypes="real numeric", vjp=_extreme_vjp,
    onnx="ReduceMax", array_api=True, samples=_distinct_cases,
)  # fmt: skip
def max(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """The largest element over `axis` (all axes by default). Ties share the gradient equally."""
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


@op(
    prepare=_over("min"), infer=_extreme_rule, saves="out x", dtypes="real numeric", vjp=_extreme_vjp,
    onnx="ReduceMin", array_api=True, samples=_distinct_cases,
)  # fmt: skip
def min(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """The smallest element over `axis` (all axes by default). Ties share the gradient equally."""
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


def _arg_params(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    x = operand(x)
    return (x,), {"axis": None if axis is None else as_axis(axis, x.ndim, "argmax"), "keepdims": bool(keepdims)}


def _arg_rule(x: Any, *, axis: int | None, keepdims: bool) -> Spec:
    return Spec(_extreme_rule(x, axis=as_axes(axis, x.ndim, "argmax"), keepdims=keepdims).shape, int64)


_POSITION = "a position is an integer, constant wherever it does not jump"


def _arg_cases(rng: Any) -> list[Any]:
    return [case for case in _distinct_cases(rng) if not isinstance(case[1].get("axis"), tuple)]


@op(
    prepare=_arg_params, infer=_arg_rule, nondiff=_POSITION, dtypes="real numeric", onnx="ArgMax", array_api=True,
    samples=_arg_cases,
)  # fmt: skip
def argmax(x: Any, /, *, axis: int | None, keepdims: bool) -> Any:
    """The position (int64) of the largest element along `axis`, or in the flattened array; the first of equal ones."""
    return np.argmax(x, axis=axis, keepdims=keepdims)


@op(
    prepare=_arg_params, infer=_arg_rule, nondiff=_POSITION, dtypes="real numeric", onnx="ArgMin", array_api=True,
    samples=_arg_cases,
)  # fmt: skip
def argmin(x: Any, /, *, axis: int | None, keepdims: bool) -> Any:
    """The position (int64) of the smallest element along `axis`, or in the flattened array; the first of equal ones."""
    return np.argmin(x, axis=axis, keepdims=keepdims)


# --- truth and counts ------------------------------------------------------------------------------


_TRUTH = "the answer is yes or no"


@op(prepare=_over("all"), infer=_boolean_rule, nondiff=_TRUTH, result="boolean", array_api=True, samples=_cases)
def all(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """Are all elements over `axis` true (not zero)? True of no elements."""
    return np.logical_and.reduce(x, axis=axis, keepdims=keepdims)


@op(prepare=_over("any"), infer=_boolean_rule, nondiff=_TRUTH, result="boolean", array_api=True, samples=_cases)
def any(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """Is any element over `axis` true (not zero)? False of no elements."""
    return np.logical_or.reduce(x, axis=axis, keepdims=keepdims)


@op(
    prepare=_over("count_nonzero"), nondiff="a count is an integer", array_api=True, samples=_cases,
    infer=lambda x, *, axis, keepdims: Spec(reduced(x.shape, axis, keepdims), int64),
)  # fmt: skip
def count_nonzero(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """How many elements over `axis` are not zero (int64)."""
    return np.add.reduce(x != 0, axis=axis, dtype=np.int64, keepdims=keepdims)
