"""Metrics as sums over samples: those of batches add up to those of an epoch, exactly, whatever the size of the
batches.

Sums are computed in the same native step as the loss; what they come to is worked out at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, ShapeError
from ..graph.closure import as_tensor
from ..ops.comparison import equal, greater
from ..ops.creation import arange
from ..ops.index import take_along_axis
from ..ops.joining import stack
from ..ops.movement import astype, expand_dims, reshape
from ..ops.reduce import argmax
from ..ops.reduce import sum as sum_

__all__ = [
    "METRICS", "Metric", "accuracy", "confusion_matrix", "f1", "mae", "mse", "precision", "r2", "recall", "top_k",
]  # fmt: skip

Array = np.ndarray[Any, Any]


class Metric(NamedTuple):
    """A figure beside the loss.

    Attributes:
        name: the name of its column.
        sums: `sums(outputs, targets)`, an array of one form for any number of samples; those of two batches add up.
        value: what the sums, as a NumPy array, come to.
    """

    name: str
    sums: Callable[[Any, Any], Any]
    value: Callable[[Array], Any]

    def __call__(self, outputs: Any, targets: Any) -> Any:
        """The figure of all these samples.

        >>> import backlit as bl
        >>> from backlit import nn
        >>> nn.metrics.accuracy()(bl.tensor([[0.1, 0.9], [0.8, 0.2]]), bl.tensor([1, 1]))
        0.5
        """
        return self.value(np.asarray(self.sums(as_tensor(outputs), as_tensor(targets))))


def accuracy() -> Metric:
    """The share of samples whose largest score is that of their class; of one score each, with the right sign."""
    return Metric("accuracy", lambda out, y: _hits(equal(predicted(out, y), _classes_of(out, y))), _share)


def top_k(k: int = 5) -> Metric:
    """The share of samples whose class is among the `k` with the largest scores; ties count in favour."""
    if k < 1:
        raise ArgumentError(f"top_k: k must be 1 or more, got {k}.")

    def sums(out: Any, y: Any) -> Any:
        own = take_along_axis(out, expand_dims(_labels(out, y), axis=-1), axis=-1)
        better = sum_(astype(greater(out, own), "int64"), axis=-1)
        return _hits(better < k)

    return Metric(f"top_{k}", sums, _share)


def confusion_matrix(classes: int) -> Metric:
    """Counts by true class (row) and predicted class (column)."""
    return Metric("confusion_matrix", lambda out, y: _confusion(out, y, classes), lambda sums: sums)


def precision(classes: int, average: str = "macro") -> Metric:
    """Of those taken for a class, the share that are of it; see `f1` for `average`."""
    return Metric(
        "precision", lambda out, y: _confusion(out, y, classes), lambda c: _averaged(c, 0, average, "precision")
    )


def recall(classes: int, average: str = "macro") -> Metric:
    """Of those of a class, the share that are taken for it; see `f1` for `average`."""
    return Metric("recall", lambda out, y: _confusion(out, y, classes), lambda c: _averaged(c, 1, average, "recall"))


def f1(classes: int, average: str = "macro") -> Metric:
    """The harmonic mean of precision and recall (van Rijsbergen 1979, chapter 7).

    Args:
        average: over classes, "macro" (all alike) or "weighted" (by their samples); "micro" takes all samples together;
            "binary" looks at class 1 alone; "none" gives an array. A share of nothing counts as 0.
    """
    return Metric("f1", lambda out, y: _confusion(out, y, classes), lambda c: _averaged(c, None, average, "f1"))


def mse() -> Metric:
    """The mean squared error."""
    return Metric("mse", lambda out, y: _errors(out, y, lambda e: e * e), _share)


def mae() -> Metric:
    """The mean absolute error."""
    return Metric("mae", lambda out, y: _errors(out, y, abs), _share)


def r2() -> Metric:
    """The coefficient of determination, 1 - Σ(y - ŷ)² / Σ(y - ȳ)², the mean over columns where there are several.

    A column of equal targets counts 1 where it is met exactly, else 0, as in scikit-learn.
    """

    def sums(out: Any, y: Any) -> Any:
        _alike(out, y, "r2")
        y = astype(y, "float64")
        error = astype(out, "float64") - y
        columns = lambda x: sum_(reshape(x, (x.shape[0], -1)), axis=0)
        return stack([columns(error * error), columns(y), columns(y * y), columns(y * 0 + 1)])

    def value(s: Array) -> float:
        left, n = s[0], s[3]
        whole = np.maximum(s[2] - s[1] ** 2 / n, 0)
        flat = whole <= 1e-12 * np.maximum(s[2], 1e-300)
        return float(np.mean(np.where(flat, np.where(left > 0, 0.0, 1.0), 1 - left / np.where(flat, 1, whole))))

    return Metric("r2", sums, value)


def predicted(out: Any, y: Any) -> Any:
    """Class numbers for scores: of the largest along the last axis, or, of one score each, whether it is positive."""
    if out.ndim == y.ndim + 1 or (out.shape == y.shape and y.dtype.char in FLOAT and y.ndim and y.shape[-1] > 1):
        return argmax(out, axis=-1)
    _alike(out, y, "accuracy")
    return astype(greater(out, 0), "int64")


def _labels(out: Any, y: Any) -> Any:
    if tuple(y.shape) != tuple(out.shape[:-1]):
        raise ShapeError(f"expected class numbers of shape {tuple(out.shape[:-1])}, got shape {tuple(y.shape)}.")
    return astype(y, "int64")


def _classes_of(out: Any, y: Any) -> Any:
    """Targets as class numbers, also where they are given one-hot."""
    if out.ndim == y.ndim and y.dtype.char in FLOAT and y.ndim and y.shape[-1] > 1:
        return argmax(y, axis=-1)
    return astype(y, "int64") if out.ndim != y.ndim + 1 else _labels(out, y)


def _hits(right: Any) -> Any:
    right = astype(right, "float64")
    return stack([sum_(right), sum_(right * 0 + 1)])


def _errors(out: Any, y: Any, of: Callable[[Any], Any]) -> Any:
    _alike(out, y, "the error")
    error = of(astype(out, "float64") - astype(y, "float64"))
    return stack([sum_(error), sum_(error * 0 + 1)])


def _alike(out: Any, y: Any, what: str) -> None:
    if tuple(out.shape) != tuple(y.shape):
        raise ShapeError(
            f"{what}: outputs of shape {tuple(out.shape)} and targets of shape {tuple(y.shape)} do not pair up."
        )


def _share(sums: Array) -> float:
    return float(sums[0] / sums[1]) if sums[1] else float("nan")


def _confusion(out: Any, y: Any, classes: int) -> Any:
    one_hot = lambda n: astype(equal(expand_dims(reshape(n, (-1,)), axis=1), arange(classes)), "float64")
    return one_hot(_classes_of(out, y)).mT @ one_hot(predicted(out, y))


def _averaged(counts: Array, axis: int | None, average: str, name: str) -> Any:
    right, of_class, taken = np.diag(counts), counts.sum(1), counts.sum(0)
    whole = {0: taken, 1: of_class, None: (taken + of_class) / 2}[axis]
    if average == "micro":
        return float(right.sum() / whole.sum())
    shares = np.divide(right, whole, out=np.zeros(len(right)), where=whole > 0)
    if average == "none":
        return shares
    if average == "binary":
        return float(shares[1])
    present = (taken + of_class) > 0  # as in scikit-learn, a class that appears nowhere is left out
    if average in ("macro", "weighted"):
        return float(np.average(shares[present], weights=None if average == "macro" else of_class[present]))
    raise ArgumentError(f"{name}: average must be macro, weighted, micro, binary or none, got {average!r}.")


METRICS: dict[str, Callable[..., Metric]] = {f.__name__: f for f in (accuracy, top_k, r2, mse, mae)}


def metric_of(name: str) -> Metric:
    """The metric of this name, with its default options."""
    if name not in METRICS:
        close = get_close_matches(str(name), METRICS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        needs = " (precision, recall, f1 and confusion_matrix need the number of classes: nn.metrics.f1(10))"
        raise ArgumentError(f"no metric is named {name!r}; there are {', '.join(METRICS)}{needs}.{hint}")
    return METRICS[name]()
