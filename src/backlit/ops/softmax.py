"""Softmax, its logarithm, and the logarithm of a sum of exponentials, along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.shapes import as_axes, as_axis, reduced
from ..graph.op import op
from ..graph.opdef import Spec
from .comparison import finite_or_zero
from .exponential import exp
from .operands import operand
from .reduce import aligned
from .reduce import sum as sum_


def by_columns(x: Any, axis: int | tuple[int, ...]) -> Any:
    """`x`, laid out by columns where it has few: along a short last axis NumPy works element by element."""
    if x.ndim == 2 and axis == 1 and 0 < x.shape[1] <= 64:
        return x.copy("F")
    return x


def peak(x: Any, axis: int | tuple[int, ...]) -> Any:
    """The largest element over `axis`, which stays with size 1; -inf of no elements."""
    return np.maximum.reduce(x, axis, keepdims=True, initial=-np.inf)


def _along(name: str) -> Any:
    def prepare(x: Any, /, *, axis: int = -1) -> Any:
        x = operand(x)
        return (x,), {"axis": as_axis(axis, x.ndim, name)}

    return prepare


def _same(x: Any, *, axis: int) -> Spec:
    return Spec(x.shape, x.dtype)


def _cases(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(3, 4, 2))
    return [((x,), {}), ((x,), {"axis": 1}), ((x[0] + 1000,), {"axis": 0}), ((x[:, :, 0],), {})]


def _softmax_vjp(g: Any, out: Any, x: Any, *, axis: int) -> tuple[Any]:
    product = g * out
    return (product - out * sum_(product, axis=axis, keepdims=True),)


@op(
    prepare=_along("softmax"), infer=_same, vjp=_softmax_vjp, saves="out", dtypes="real floating-point",
    onnx="Softmax", latex="\\mathrm{{softmax}}({0})", samples=_cases,
)  # fmt: skip
def softmax(x: Any, /, *, axis: int) -> Any:
    """exp(x) divided by its sum along `axis`: numbers between 0 and 1 that add up to 1.

    It is computed from the distances to the largest element, so that nothing overflows. Where all
    elements are -inf there is no distribution, and the result is NaN.

    >>> import backlit as bl
    >>> bl.softmax(bl.tensor([1000.0, 1000.0, -1000.0]))
    tensor([0.5, 0.5, 0. ], dtype=float32)
    """
    x = by_columns(x, axis)
    out = x - peak(x, axis)
    np.exp(out, out=out)
    out /= np.add.reduce(out, axis, keepdims=True)
    return out


def _log_softmax_vjp(g: Any, out: Any, x: Any, *, axis: int) -> tuple[Any]:
    return (g - exp(out) * sum_(g, axis=axis, keepdims=True),)


@op(
    prepare=_along("log_softmax"), infer=_same, vjp=_log_softmax_vjp, saves="out", dtypes="real floating-point",
    onnx="LogSoftmax", latex="\\ln\\mathrm{{softmax}}({0})", samples=_cases,
)  # fmt: skip
def log_softmax(x: Any, /, *, axis: int) -> Any:
    """The logarithm of softmax along `axis`, finite where softmax itself would round to 0.

    >>> import backlit as bl
    >>> bl.log_softmax(bl.tensor([0.0, 1000.0]))
    tensor([-1000.,     0.], dtype=float32)
    """
    x = by_columns(x, axis)
    out = x - peak(x, axis)
    out -= np.log(np.add.reduce(np.exp(out), axis, keepdims=True))
    return out


def _logsumexp_params(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    x = operand(x)
    return (x,), {"axis": as_axes(axis, x.ndim, "logsumexp"), "keepdims": bool(keepdims)}


def _logsumexp_vjp(g: Any, out: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Any]:
    return (aligned(g, x, axis) * exp(x - finite_or_zero(aligned(out, x, axis))),)


@op(
    prepare=_logsumexp_params, vjp=_logsumexp_vjp, saves="out x", dtypes="real floating-point", onnx="ReduceLogSumExp",
    infer=lambda x, *, axis, keepdims: Spec(reduced(x.shape, axis, keepdims), x.dtype), latex="\\ln \\sum e^{{{0}}}",
    samples=lambda rng: [
        ((x := rng.normal(size=(3, 4, 2)),), {}),
        ((x,), {"axis": -1}),
        ((x,), {"axis": (0, 2), "keepdims": True}),
        ((x[:, 0] - 1000,), {"axis": 1}),
    ],
)  # fmt: skip
def logsumexp(x: Any, /, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """ln(sum(exp(x))) over `axis` (all axes by default), computed without overflow.

    -inf entries add nothing and get gradient 0; of -inf alone the result is -inf.

    >>> import backlit as bl
    >>> bl.logsumexp(bl.tensor([1000.0, 0.0]))
    tensor(1000., dtype=float32)
    """
    top = peak(x, axis)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # the logarithm of an empty sum is the -inf that is wanted
        out = np.log(np.add.reduce(np.exp(x - top), axis, keepdims=True)) + top
    return out if keepdims else out.reshape(reduced(x.shape, axis, False))
