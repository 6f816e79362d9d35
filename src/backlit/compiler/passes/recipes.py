"""Recipes of reductions, softmax and its loss: library code on Tensors without values, which `decompose` runs.

Each computes what the eager kernel of its op computes, in the same order of operations. What appears in several
recipes is written the same way in each, so that `cse` finds it: a loss and its gradient share one softmax. A
recipe returns None where it does not apply, such as for empty arrays, and the op stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...base.dtypes import UNSIGNED, int32, int64
from ...base.shapes import reduced, size_of
from ...graph.opdef import OpDef
from ...ops.arithmetic import abs_, add, divide, guarded_multiply, multiply, negative, pow_, sqrt, subtract
from ...ops.bits import logical_and
from ...ops.comparison import equal, greater_equal, isfinite, less, not_equal, where
from ...ops.creation import one_hot
from ...ops.exponential import exp, log
from ...ops.losses import minus_one_hot, softmax_cross_entropy
from ...ops.movement import astype, reshape
from ...ops.norms import power_norm
from ...ops.reduce import count_nonzero, counted, mean, std, var
from ...ops.reduce import max as max_
from ...ops.reduce import sum as sum_
from ...ops.softmax import log_softmax, logsumexp, softmax

Recipe = Callable[..., Any]
Axes = tuple[int, ...]

_SINGLE = np.dtype(np.float32)


def _sum(x: Any, axis: Axes, keepdims: bool = True) -> Any:
    return sum_(x, axis=axis, keepdims=keepdims)


def _empty(x: Any) -> bool:
    return 0 in x.shape


# --- softmax and its loss --------------------------------------------------------------------------


def _shifted(x: Any, axis: int) -> Any:
    """The distances to the largest element along `axis`."""
    return subtract(x, max_(x, axis=axis, keepdims=True))


def _softmax(x: Any, *, axis: int) -> Any:
    if _empty(x):
        return None
    e = exp(_shifted(x, axis))
    return divide(e, _sum(e, (axis,)))


def _log_softmax(x: Any, *, axis: int) -> Any:
    if _empty(x):
        return None
    d = _shifted(x, axis)
    return subtract(d, log(_sum(exp(d), (axis,))))


def _logsumexp(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    if _empty(x):
        return None
    top = max_(x, axis=axis, keepdims=True)
    top = where(isfinite(top), top, 0)
    out = add(log(_sum(exp(subtract(x, top)), axis)), top)
    return out if keepdims else reshape(out, reduced(x.shape, axis, False))


def _at_labels(labels: Any, classes: int, axis: int) -> Any:
    """True at the entry of each label along a new axis `axis`."""
    shape = (*labels.shape[:axis], 1, *labels.shape[axis:])
    numbers = np.arange(classes, dtype=int32).reshape(classes, *(1,) * (labels.ndim - axis))
    return equal(reshape(astype(labels, int32), shape), numbers)


def _named(labels: Any, classes: int) -> Any:
    """Is each label the number of a class?"""
    labels = labels if labels.dtype.itemsize >= 4 else astype(labels, int32)  # so that `classes` fits its dtype
    below = less(labels, classes)
    return below if labels.dtype.char in UNSIGNED else logical_and(greater_equal(labels, 0), below)


def _cross_entropy(logits: Any, labels: Any, *, axis: int, reduction: str) -> Any:
    """The loss; a label that names no class gives NaN, since a plan does not stop to raise an error."""
    if _empty(logits):
        return None
    d = _shifted(logits, axis)
    total = log(_sum(exp(d), (axis,)))
    kept = reduced(logits.shape, (axis,), False)
    if labels.dtype.kind in "iu":
        classes = logits.shape[axis]
        wanted = _sum(where(_at_labels(labels, classes, axis), d, 0), (axis,))
        losses = where(_named(reshape(labels, total.shape), classes), subtract(total, wanted), np.nan)
    else:
        losses = negative(_sum(guarded_multiply(labels, subtract(d, total)), (axis,)))
    if reduction == "none":
        return reshape(losses, kept)
    total = _sum(losses, tuple(range(losses.ndim)), False)
    return total if reduction == "sum" else divide(total, size_of(kept))


def _minus_one_hot(x: Any, labels: Any, *, axis: int) -> Any:
    return subtract(x, astype(_at_labels(labels, x.shape[axis], axis), x.dtype))


def _one_hot(x: Any, *, num_classes: int, dtype: Any, axis: int) -> Any:
    """A label that names no class gives NaN, and a row of zeros where the dtype has none."""
    found = astype(_at_labels(x, num_classes, axis), dtype)
    if dtype.kind not in "fc":
        return found
    known = reshape(_named(x, num_classes), (*x.shape[:axis], 1, *x.shape[axis:]))
    return where(known, found, np.nan)


# --- reductions ------------------------------------------------------------------------------------


def _wide(x: Any) -> Any:
    """float16 is averaged in float32, as NumPy does."""
    return astype(x, _SINGLE) if x.dtype.char == "e" else x


def _average(x: Any, axis: Axes, keepdims: bool) -> Any:
    return divide(_sum(x, axis, keepdims), counted(x, axis))


def _mean(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    if _empty(x):
        return None
    out = _average(_wide(x), axis, keepdims)
    return out if out.dtype == x.dtype else astype(out, x.dtype)


def _variance(x: Any, axis: Axes, correction: float, keepdims: bool) -> Any:
    freedom = counted(x, axis) - correction
    if _empty(x) or freedom <= 0:
        return None
    wide = _wide(x)
    away = subtract(wide, _average(wide, axis, True))
    return divide(_sum(multiply(away, away), axis, keepdims), freedom)


def _var(x: Any, *, axis: Axes, correction: float, keepdims: bool) -> Any:
    out = _variance(x, axis, correction, keepdims)
    return out if out is None or out.dtype == x.dtype else astype(out, x.dtype)


def _std(x: Any, *, axis: Axes, correction: float, keepdims: bool) -> Any:
    out = _variance(x, axis, correction, keepdims)
    if out is None:
        return None
    out = sqrt(out)
    return out if out.dtype == x.dtype else astype(out, x.dtype)


def _count_nonzero(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    true = x if x.dtype.kind == "b" else not_equal(x, 0)
    return _sum(astype(true, int64), axis, keepdims)


def _power_norm(x: Any, *, axis: Axes, keepdims: bool, ord: float) -> Any:
    if _empty(x) or x.dtype.kind == "c":
        return None
    if not axis or not x.ndim:
        return abs_(x)
    if ord == 2:
        return sqrt(_sum(multiply(x, x), axis, keepdims))
    return pow_(_sum(pow_(abs_(x), ord), axis, keepdims), 1 / ord)


#: What each op becomes: a function of its inputs and parameters.
RECIPES: dict[OpDef, Recipe] = {
    softmax: _softmax,
    log_softmax: _log_softmax,
    logsumexp: _logsumexp,
    softmax_cross_entropy: _cross_entropy,
    minus_one_hot: _minus_one_hot,
    one_hot: _one_hot,
    mean: _mean,
    var: _var,
    std: _std,
    count_nonzero: _count_nonzero,
    power_norm: _power_norm,
}
