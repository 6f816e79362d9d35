"""Cumulative sums, products and extremes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import as_dtype, int64
from ..base.errors import ShapeError
from ..base.shapes import as_axis
from ..graph.op import composite, op
from ..graph.opdef import PUBLIC, Spec
from .index import take_along_axis
from .joining import along, concat
from .movement import astype, flip
from .operands import accumulator, operand


def _scan_params(name: str) -> Any:
    def prepare(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        x = operand(x)
        wanted = as_dtype(dtype) if dtype is not None else accumulator(x.dtype)
        return (x if wanted == x.dtype else astype(x, wanted),), {
            "axis": _scan_axis(x, axis, name), "include_initial": bool(include_initial),
        }  # fmt: skip

    return prepare


def _scan_axis(x: Any, axis: int | None, name: str) -> int:
    if axis is None:
        if x.ndim != 1:
            raise ShapeError(f"{name}: with {x.ndim} dimensions axis= must be given; only for one it has a default.")
        return 0
    return as_axis(axis, x.ndim, name)


def _scan_rule(x: Any, *, axis: int, include_initial: bool = False) -> Spec:
    return Spec(tuple(n + (i == axis and include_initial) for i, n in enumerate(x.shape)), x.dtype)


def _with_initial(out: Any, axis: int, initial: int) -> Any:
    shape = tuple(1 if i == axis else n for i, n in enumerate(out.shape))
    return np.concatenate([np.full(shape, initial, out.dtype), out], axis=axis)


def _scan_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(3, 4))
    x[1, 2] = 0.0
    return [((x[1],), {}), ((x,), {"axis": 0}), ((x,), {"axis": -1, "include_initial": True})]


def _sum_transpose(g: Any, x: Any, *, axis: int, include_initial: bool) -> Any:
    if include_initial:
        g = g[along(axis, slice(1, None))]
    return flip(cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis)


@op(
    prepare=_scan_params("cumulative_sum"), infer=_scan_rule, saves="", traits="jointly_linear", onnx="CumSum",
    transpose=(_sum_transpose,), array_api=True, samples=_scan_cases,
)  # fmt: skip
def cumulative_sum(x: Any, /, *, axis: int, include_initial: bool) -> Any:
    """The sums of the first 1, 2, 3... elements along `axis`; with `include_initial` the empty sum 0 stands first.

    >>> import backlit as bl
    >>> bl.cumulative_sum(bl.tensor([1, 2, 3]))
    tensor([1, 3, 6], dtype=int64)
    """
    out = np.add.accumulate(x, axis=axis, dtype=x.dtype)
    return _with_initial(out, axis, 0) if include_initial else out


def _recurrence_vjp(g: Any, out: Any, a: Any, b: Any, *, axis: int) -> Any:
    """The adjoint of a linear recurrence is the same recurrence, run backward."""
    from .complex import conj

    a, out = (conj(v) if v.dtype.kind == "c" else v for v in (a, out))
    first = along(axis, slice(0, 1))
    nothing = a[first] * 0
    following = concat([a[along(axis, slice(1, None))], nothing], axis=axis)
    adjoint = flip(linear_recurrence(flip(following, axis=axis), flip(g, axis=axis), axis=axis), axis=axis)
    previous = concat([out[first] * 0, out[along(axis, slice(None, -1))]], axis=axis)
    return adjoint * previous, adjoint


def _recurrence_cases(rng: Any) -> list[Any]:
    return [((rng.normal(size=(2, 5)), rng.normal(size=(2, 5))), {"axis": axis}) for axis in (0, 1)]


@op(
    prepare=lambda a, b, /, *, axis: ((a, b), {"axis": axis % a.ndim}),
    infer=lambda a, b, *, axis: Spec(a.shape, a.dtype),
    saves="out a", vjp=_recurrence_vjp, namespace="hidden", samples=_recurrence_cases,
)  # fmt: skip
def linear_recurrence(a: Any, b: Any, /, *, axis: int) -> Any:
    """h[i] = a[i] h[i-1] + b[i] along `axis`, from h[-1] = 0.

    Computed by doubling (Hillis & Steele 1986): log2(n) passes, each composing the affine maps of
    neighbouring blocks; no division, so that zeros in `a` are no matter.
    """
    a, h = np.moveaxis(np.array(a), axis, 0), np.moveaxis(np.array(b), axis, 0)
    step = 1
    while step < len(h):
        h[step:] = h[step:] + a[step:] * h[:-step]
        a[step:] = a[step:] * a[:-step]
        step *= 2
    return np.moveaxis(h, 0, axis)


def _prod_vjp(g: Any, out: Any, x: Any, *, axis: int, include_initial: bool) -> Any:
    """x[i] enters product k >= i as (those before i) times (those from i + 1 to k): a recurrence adds up the latter."""
    from .complex import conj

    if include_initial:
        g = g[along(axis, slice(1, None))]
    if not x.shape[axis]:
        return (g,)
    x = conj(x) if x.dtype.kind == "c" else x
    before = cumulative_prod(x, axis=axis, include_initial=True)[along(axis, slice(None, -1))]
    following = concat([x[along(axis, slice(1, None))], x[along(axis, slice(0, 1))] * 0], axis=axis)
    later = flip(linear_recurrence(flip(following, axis=axis), flip(g, axis=axis), axis=axis), axis=axis)
    return (before * later,)


@op(
    prepare=_scan_params("cumulative_prod"), infer=_scan_rule, saves="x", vjp=_prod_vjp, array_api=True,
    samples=_scan_cases,
)  # fmt: skip
def cumulative_prod(x: Any, /, *, axis: int, include_initial: bool) -> Any:
    """The products of the first 1, 2, 3... elements along `axis`; with `include_initial` the empty product 1 first.

    The derivative needs no division and is right at zeros.
    """
    out = np.multiply.accumulate(x, axis=axis, dtype=x.dtype)
    return _with_initial(out, axis, 1) if include_initial else out


PUBLIC["cumsum"] = cumulative_sum.public
PUBLIC["cumprod"] = cumulative_prod.public


# --- running extremes ------------------------------------------------------------------------------


def _running_params(x: Any, /, *, axis: int | None = None, largest: bool = True) -> Any:
    x = operand(x)
    return (x,), {"axis": _scan_axis(x, axis, "cumulative_max"), "largest": bool(largest)}


@op(
    prepare=_running_params, infer=lambda x, *, axis, largest: Spec(x.shape, int64), dtypes="real numeric",
    nondiff="a position is an integer", namespace="hidden",
    samples=lambda rng: [((rng.normal(size=(3, 5)),), {"axis": 1}), ((rng.normal(size=4),), {"largest": False})],
)  # fmt: skip
def running_argmax(x: Any, /, *, axis: int, largest: bool) -> Any:
    """Where along `axis` the extreme of the elements so far was reached last."""
    extreme = (np.maximum if largest else np.minimum).accumulate(x, axis=axis)
    shape = tuple(-1 if i == axis else 1 for i in range(x.ndim))
    position = np.arange(x.shape[axis]).reshape(shape)
    return np.maximum.accumulate(np.where((x == extreme) | (x != x), position, 0), axis=axis)


def _running_cases(rng: Any) -> list[Any]:
    return [((rng.normal(size=6),), {}), ((rng.normal(size=(3, 4)),), {"axis": 0})]


@composite(dtypes="real numeric", samples=_running_cases)
def cumulative_max(x: Any, /, *, axis: int | None = None) -> Any:
    """The largest of the elements so far, along `axis`; the gradient goes to the one that was reached last."""
    x = operand(x)
    axis = _scan_axis(x, axis, "cumulative_max")
    return take_along_axis(x, running_argmax(x, axis=axis), axis=axis)


@composite(dtypes="real numeric", samples=_running_cases)
def cumulative_min(x: Any, /, *, axis: int | None = None) -> Any:
    """The smallest of the elements so far, along `axis`; the gradient goes to the one that was reached last."""
    x = operand(x)
    axis = _scan_axis(x, axis, "cumulative_min")
    return take_along_axis(x, running_argmax(x, axis=axis, largest=False), axis=axis)
