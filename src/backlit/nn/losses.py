"""Losses: how far outputs are from targets, as functions with options, and by name.

Every loss takes `weights`, one for each sample (or for each entry, where the loss is one number for each), and
`reduction`: "mean", which is the weighted mean Σwl / Σw; "sum"; or "none".
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from ..base.dtypes import FLOAT, INTEGER
from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..graph.closure import as_tensor
from ..ops.activation import relu, softplus
from ..ops.comparison import equal, maximum, where
from ..ops.index import take, take_along_axis
from ..ops.losses import binary_cross_entropy_with_logits, softmax_cross_entropy
from ..ops.losses import huber as plain_huber
from ..ops.losses import mae as plain_mae
from ..ops.losses import mse as plain_mse
from ..ops.movement import astype, expand_dims, reshape, squeeze
from ..ops.reduce import sum as sum_
from ..ops.softmax import log_softmax

__all__ = [
    "LOSSES", "binary_cross_entropy", "cosine", "cross_entropy", "hinge", "huber", "kl_divergence", "mae", "mse", "nll",
    "smooth_l1",
]  # fmt: skip


def averaged(losses: Any, weights: Any, reduction: str, name: str, count: Any = None) -> Any:
    """Losses one by one, brought together; the one place where weights are looked at.

    Args:
        count: what the mean divides by, where it is not the number of losses or the sum of their weights.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")
    if weights is not None:
        weights = astype(as_tensor(weights), losses.dtype)
        if tuple(weights.shape) not in (tuple(losses.shape), tuple(losses.shape[:1])):
            raise ShapeError(
                f"{name}: weights of shape {tuple(weights.shape)} do not pair up with losses of shape "
                f"{tuple(losses.shape)}; "
                "give one weight for each sample."
            )
        weights = reshape(weights, (*weights.shape, *(1,) * (losses.ndim - weights.ndim)))
        if count is None:
            count = sum_(weights) * (losses.size // max(1, weights.size))
        losses = losses * weights
    if reduction == "none":
        return losses
    total = sum_(losses)
    return total if reduction == "sum" else total / (max(1, losses.size) if count is None else count)


def mse(outputs: Any, targets: Any, /, *, weights: Any = None, reduction: str = "mean") -> Any:
    """The squared error, (outputs - targets)²."""
    return averaged(plain_mse(as_tensor(outputs), targets, reduction="none"), weights, reduction, "mse")


def mae(outputs: Any, targets: Any, /, *, weights: Any = None, reduction: str = "mean") -> Any:
    """The absolute error, |outputs - targets|."""
    return averaged(plain_mae(as_tensor(outputs), targets, reduction="none"), weights, reduction, "mae")


def huber(outputs: Any, targets: Any, /, *, delta: float = 1.0, weights: Any = None, reduction: str = "mean") -> Any:
    """Half the squared error up to `delta`, from there on a straight line (Huber 1964)."""
    return averaged(
        plain_huber(as_tensor(outputs), targets, delta=delta, reduction="none"), weights, reduction, "huber"
    )


def smooth_l1(outputs: Any, targets: Any, /, *, beta: float = 1.0, weights: Any = None, reduction: str = "mean") -> Any:
    """`huber` divided by `beta` (Girshick 2015, equation 3): the slope far away is 1 for every `beta`."""
    return averaged(
        plain_huber(as_tensor(outputs), targets, delta=beta, reduction="none") / beta, weights, reduction, "smooth_l1"
    )


def cross_entropy(
    logits: Any, targets: Any, /, *, label_smoothing: float = 0.0, class_weights: Any = None,
    ignore_index: int | None = None, weights: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """-ln softmax(logits) at the true class, from scores along the last axis.

    Args:
        logits: (..., classes).
        targets: class numbers of shape (...), or probabilities of the shape of the logits.
        label_smoothing: the true class counts as 1 - ε, and ε is spread over all (Szegedy et al. 2016, section 7).
        class_weights: (classes,), by which the loss of each class is multiplied; the mean divides by their sum.
        ignore_index: the class number of samples that do not count.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.losses.cross_entropy(bl.tensor([[2.0, 0.0]]), bl.tensor([0])).item() < 0.127
    True
    """
    x, y = as_tensor(logits), as_tensor(targets)
    plain = not label_smoothing and class_weights is None and ignore_index is None
    if plain:
        if weights is None:
            return softmax_cross_entropy(x, y, reduction=reduction)
        return averaged(softmax_cross_entropy(x, y, reduction="none"), weights, reduction, "cross_entropy")
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}.")
    classes = x.shape[-1]
    log_p = log_softmax(x, axis=-1)
    factor = None if class_weights is None else _class_weights(class_weights, log_p, "cross_entropy")
    weighted = log_p if factor is None else log_p * factor
    if y.dtype.char not in INTEGER:
        if ignore_index is not None:
            raise DtypeError("cross_entropy: ignore_index is for class numbers, but the targets are probabilities.")
        soft = astype(y, x.dtype) * (1 - label_smoothing) + label_smoothing / classes
        return averaged(-sum_(weighted * _same_shape(soft, x), axis=-1), weights, reduction, "cross_entropy")
    _class_numbers(x, y, "cross_entropy")
    counted, y = _counted(y, ignore_index, x.dtype)
    of_class = 1.0 if factor is None else take(factor, y, axis=0)
    losses = -_at(weighted, y) * (1 - label_smoothing)
    if label_smoothing:
        losses = losses - sum_(weighted, axis=-1) * (label_smoothing / classes)
    if counted is not None:
        losses, of_class = losses * counted, of_class * counted
    return averaged(losses, weights, reduction, "cross_entropy", _total(of_class, weights, losses))


def nll(
    log_probabilities: Any, targets: Any, /, *, class_weights: Any = None, ignore_index: int | None = None,
    weights: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """-ln p at the true class, for logarithms of probabilities (..., classes) and class numbers (...)."""
    x, y = as_tensor(log_probabilities), as_tensor(targets)
    _class_numbers(x, y, "nll")
    counted, y = _counted(y, ignore_index, x.dtype)
    of_class = 1.0 if class_weights is None else take(_class_weights(class_weights, x, "nll"), y, axis=0)
    if counted is not None:
        of_class = of_class * counted
    return averaged(-_at(x, y) * of_class, weights, reduction, "nll", _total(of_class, weights, y))


def binary_cross_entropy(
    logits: Any, targets: Any, /, *, label_smoothing: float = 0.0, pos_weight: Any = None, weights: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """-t ln σ(x) - (1 - t) ln(1 - σ(x)), from logits x, for targets t from 0 to 1.

    Args:
        label_smoothing: targets are drawn towards ½: t(1 - ε) + ε/2.
        pos_weight: the factor of the first term, to make up for few positives.
    """
    x, t = as_tensor(logits), as_tensor(targets)
    if t.dtype.char not in FLOAT:
        t = astype(t, x.dtype)
    if label_smoothing:
        t = t * (1 - label_smoothing) + label_smoothing / 2
    if pos_weight is None:
        losses = binary_cross_entropy_with_logits(x, t, reduction="none")
    else:
        t = _same_shape(t, x)
        losses = (1 - t) * x + (1 + (pos_weight - 1) * t) * softplus(-x)
    return averaged(losses, weights, reduction, "binary_cross_entropy")


def kl_divergence(log_q: Any, p: Any, /, *, weights: Any = None, reduction: str = "mean") -> Any:
    """Σ p (ln p - ln q) over the last axis (Kullback & Leibler 1951), from ln q and p; 0 ln 0 is 0."""
    q, p = as_tensor(log_q), as_tensor(p)
    p = _same_shape(p, q)
    own = p * where(p > 0, where(p > 0, p, 1.0).log(), 0.0)
    return averaged(sum_(own - p * q, axis=-1), weights, reduction, "kl_divergence")


def hinge(outputs: Any, targets: Any, /, *, margin: float = 1.0, weights: Any = None, reduction: str = "mean") -> Any:
    """max(0, margin - t·x) for targets t of -1 and 1; or, for scores (..., classes) and class numbers (...), the mean
    over classes j of max(0, margin - x_y + x_j) without the true one (Crammer & Singer 2001; as in PyTorch's
    multi_margin_loss).
    """
    x, t = as_tensor(outputs), as_tensor(targets)
    if t.dtype.char in INTEGER and t.ndim == x.ndim - 1:
        _class_numbers(x, t, "hinge")
        gaps = relu(margin - expand_dims(_at(x, t), axis=-1) + x)
        return averaged((sum_(gaps, axis=-1) - margin) / x.shape[-1], weights, reduction, "hinge")
    return averaged(relu(margin - astype(_same_shape(t, x), x.dtype) * x), weights, reduction, "hinge")


def cosine(
    outputs: Any, targets: Any, /, *, epsilon: float = 1e-8, weights: Any = None, reduction: str = "mean"
) -> Any:
    """1 - cos of the angle between outputs and targets along the last axis; `epsilon` bounds the lengths from below."""
    x, t = as_tensor(outputs), as_tensor(targets)
    t = _same_shape(t, x)
    lengths = [maximum(sum_(v * v, axis=-1), epsilon**2).sqrt() for v in (x, t)]
    return averaged(1 - sum_(x * t, axis=-1) / (lengths[0] * lengths[1]), weights, reduction, "cosine")


# --- what several of them need ------------------------------------------------------------------------


def _at(x: Any, labels: Any) -> Any:
    """The entries of the last axis that the labels pick."""
    return squeeze(take_along_axis(x, expand_dims(labels, axis=-1), axis=-1), axis=-1)


def _counted(labels: Any, ignore_index: int | None, dtype: Any) -> tuple[Any, Any]:
    """1 for labels that count and 0 for others, which become class 0; None where all count."""
    if ignore_index is None:
        return None, labels
    ignored = equal(labels, ignore_index)
    return astype(~ignored, dtype), where(ignored, 0, labels)


def _total(of_class: Any, weights: Any, losses: Any) -> Any:
    """What the mean divides by: the sum of the weights of the classes, times those of the samples."""
    if isinstance(of_class, float):
        return None
    if weights is None:
        return sum_(of_class)
    weights = astype(as_tensor(weights), of_class.dtype)
    return sum_(of_class * reshape(weights, (*weights.shape, *(1,) * (losses.ndim - weights.ndim))))


def _class_weights(given: Any, x: Any, name: str) -> Any:
    w = astype(as_tensor(given), x.dtype)
    if tuple(w.shape) != (x.shape[-1],):
        raise ShapeError(
            f"{name}: class_weights must have shape ({x.shape[-1]},), one for each class, got {tuple(w.shape)}."
        )
    return w


def _class_numbers(x: Any, y: Any, name: str) -> None:
    if y.dtype.char not in INTEGER:
        raise DtypeError(f"{name}: expected class numbers, integers, as targets, got {y.dtype.name}.")
    if tuple(y.shape) != tuple(x.shape[:-1]):
        raise ShapeError(
            f"{name}: class numbers of shape {tuple(y.shape)} do not pair up with scores of shape "
            f"{tuple(x.shape)}, whose "
            f"last axis holds the classes; expected shape {tuple(x.shape[:-1])}."
        )


def _same_shape(t: Any, x: Any) -> Any:
    if tuple(t.shape) != tuple(x.shape):
        raise ShapeError(f"targets of shape {tuple(t.shape)} do not pair up with outputs of shape {tuple(x.shape)}.")
    return astype(t, x.dtype)


LOSSES: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (mse, mae, huber, smooth_l1, cross_entropy, binary_cross_entropy, nll, kl_divergence, hinge, cosine)
}


def loss_of(name: str) -> Callable[..., Any]:
    """The loss of this name."""
    if name not in LOSSES:
        close = get_close_matches(str(name), LOSSES, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no loss is named {name!r}; there are {', '.join(LOSSES)}.{hint}")
    return LOSSES[name]
