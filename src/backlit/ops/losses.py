"""Loss functions: how far predictions are from targets."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..base.dtypes import INTEGER
from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axis, reduced
from ..graph.op import composite, function, op
from ..graph.opdef import Spec
from .activation import softplus
from .arithmetic import abs_, guarded_multiply, square
from .comparison import less_equal, where
from .exponential import exp
from .operands import operand
from .reduce import aligned, mean
from .reduce import sum as sum_
from .softmax import log_softmax, peak

Reduction = Literal["mean", "sum", "none"]


def _reduced(losses: Any, reduction: str, name: str) -> Any:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum_(losses)
    if reduction == "none":
        return losses
    raise ArgumentError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")


def _equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Are these shapes equal, as far as they are known yet?"""
    return len(one) == len(other) and all(m == n or m is None or n is None for m, n in zip(one, other, strict=True))


def _paired(predictions: Any, targets: Any, name: str) -> tuple[Any, Any]:
    """Both as arrays of one shape: (n, 1) beside (n,) would broadcast to (n, n), and train towards nonsense."""
    x, t = operand(predictions), operand(targets)
    if not _equal(x.shape, t.shape):
        raise ShapeError(
            f"{name}: predictions of shape {x.shape} and targets of shape {t.shape} do not pair up; "
            "reshape one of them, for example with .reshape(-1, 1), so that the shapes are equal."
        )
    return x, t


def _pairs(rng: np.random.Generator) -> Any:
    x, gap = rng.normal(size=(3, 4)), rng.choice([-1, 1], (3, 4)) * rng.uniform(0.1, 0.9, (3, 4))
    return [
        ((x, x + gap), {}),
        ((x, x + 3 * gap), {"reduction": "sum"}),
        ((x[0], x[0] + gap[0]), {"reduction": "none"}),
    ]


@composite(samples=_pairs, latex="\\overline{{({0} - {1})^2}}")
def mse(predictions: Any, targets: Any, /, *, reduction: Reduction = "mean") -> Any:
    """The mean squared error, (predictions - targets)² averaged ('mean'), added up ('sum') or one by one ('none').

    >>> import backlit as bl
    >>> bl.mse(bl.tensor([1.0, 2.0]), bl.tensor([1.0, 4.0]))
    tensor(2., dtype=float32)
    """
    x, t = _paired(predictions, targets, "mse")
    return _reduced(square(x - t), reduction, "mse")


@composite(samples=_pairs, latex="\\overline{{|{0} - {1}|}}")
def mae(predictions: Any, targets: Any, /, *, reduction: Reduction = "mean") -> Any:
    """The mean absolute error, |predictions - targets|; where they are equal the gradient is 0."""
    x, t = _paired(predictions, targets, "mae")
    return _reduced(abs_(x - t), reduction, "mae")


def _huber_pairs(rng: np.random.Generator) -> Any:
    x, far = rng.normal(size=(3, 4)), rng.choice([-1.5, -0.5, 0.5, 1.5], (3, 4)) + rng.uniform(-0.3, 0.3, (3, 4))
    return [((x, x + far), {}), ((x, x + 2 * far), {"delta": 2.0, "reduction": "sum"})]


@composite(samples=_huber_pairs)
def huber(predictions: Any, targets: Any, /, *, delta: float = 1.0, reduction: Reduction = "mean") -> Any:
    """Half the squared error up to `delta`, from there on a straight line (Huber 1964): outliers pull less."""
    x, t = _paired(predictions, targets, "huber")
    error = abs_(x - t)
    losses = where(less_equal(error, delta), 0.5 * square(error), delta * (error - 0.5 * delta))
    return _reduced(losses, reduction, "huber")


def _logit_pairs(rng: np.random.Generator) -> Any:
    x, t = rng.uniform(-4, 4, (3, 4)), rng.uniform(0, 1, (3, 4))
    return [((x, t), {}), ((x, t), {"reduction": "sum"}), ((x[0], t[0]), {"reduction": "none"})]


@composite(samples=_logit_pairs)
def binary_cross_entropy_with_logits(logits: Any, targets: Any, /, *, reduction: Reduction = "mean") -> Any:
    """-t ln σ(x) - (1 - t) ln(1 - σ(x)) for targets t from 0 to 1, computed from the logits x without overflow.

    >>> import backlit as bl
    >>> bl.binary_cross_entropy_with_logits(bl.tensor([1000.0, -1000.0]), bl.tensor([1.0, 1.0]))
    tensor(500., dtype=float32)
    """
    x, t = _paired(logits, targets, "binary_cross_entropy_with_logits")
    return _reduced(softplus(x) - x * t, reduction, "binary_cross_entropy_with_logits")


# --- softmax and cross-entropy in one --------------------------------------------------------------


def _at_labels(labels: Any, axis: int) -> tuple[Any, ...]:
    """The index of each label's entry, along `axis`, in an array of scores."""
    grid = [np.arange(n).reshape(n, *(1,) * (labels.ndim - 1 - i)) for i, n in enumerate(labels.shape)]
    return (*grid[:axis], labels, *grid[axis:])


def _entries_spec(x: Any, labels: Any, *, axis: int) -> Spec:
    return Spec(labels.shape, x.dtype)


def _entry_cases(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(4, 3, 2))
    return [((x[:, :, 0], rng.integers(0, 3, 4)), {"axis": 1}), ((x, rng.integers(0, 3, (4, 2))), {"axis": 1})]


@op(
    namespace="hidden", infer=_entries_spec, promotes=(0,), saves="labels", samples=_entry_cases,
    transpose=(lambda g, x, labels, *, axis: _scattered(g, labels, x, axis), None),
)  # fmt: skip
def entries_at(x: Any, labels: Any, /, *, axis: int) -> Any:
    """The entry of `x` that each label picks along `axis`."""
    return x[_at_labels(labels, axis)]


def _scattered(g: Any, labels: Any, x: Any, axis: int) -> Any:
    return subtract_at(np.zeros(x.shape, x.dtype), -g, labels, axis=axis)


@op(
    namespace="hidden", infer=lambda x, y, labels, *, axis: Spec(x.shape, x.dtype), promotes=(0, 1), saves="labels",
    traits="jointly_linear",
    transpose=(
        lambda g, x, y, labels, *, axis: g,
        lambda g, x, y, labels, *, axis: -entries_at(g, labels, axis=axis),
        None,
    ),
    samples=lambda rng: [((x, rng.normal(size=t.shape), t), kw) for (x, t), kw in _entry_cases(rng)],
)  # fmt: skip
def subtract_at(x: Any, y: Any, labels: Any, /, *, axis: int) -> Any:
    """`x` less `y` at the entries that the labels pick along `axis`."""
    out = x.copy()
    out[_at_labels(labels, axis)] -= y
    return out


def _class_params(logits: Any, labels: Any, /, *, axis: int = -1) -> Any:
    logits, labels = operand(logits), operand(labels)
    axis = as_axis(axis, logits.ndim, "softmax_cross_entropy")
    expected = reduced(logits.shape, (axis,), False)
    if not _equal(labels.shape, expected):
        raise ShapeError(
            f"softmax_cross_entropy: logits of shape {logits.shape} with classes along axis {axis} need integer labels "
            f"of shape {expected}, got {labels.shape}. Probabilities have the shape of the logits and a floating dtype."
        )
    return (logits, labels), {"axis": axis}


def _class_vjp(g: Any, out: Any, logits: Any, labels: Any, *, axis: int) -> Any:
    by_loss, by_total = g
    weight = aligned(by_loss + by_total, logits, (axis,))
    softmax = exp(logits - aligned(out[1], logits, (axis,)))
    return subtract_at(softmax * weight, by_loss, labels, axis=axis), None


def _class_spec(logits: Any, labels: Any, *, axis: int) -> tuple[Spec, Spec]:
    spec = Spec(labels.shape, logits.dtype)
    return spec, spec


@op(
    name="softmax_cross_entropy", namespace="hidden", prepare=_class_params, infer=_class_spec, vjp=_class_vjp,
    results=tuple, promotes=(0,), dtypes="real floating-point", onnx="SoftmaxCrossEntropyLoss",
    latex="-\\ln\\mathrm{{softmax}}({0})_{{{1}}}",
    samples=lambda rng: [((x, t), kw) for (x, t), kw in _entry_cases(rng)],
)  # fmt: skip
def class_cross_entropy(logits: Any, labels: Any, /, *, axis: int) -> Any:
    """The loss of each label, and the logarithm of the sum of exponentials, from which backward has the softmax."""
    classes = logits.shape[axis]
    if labels.size and not (np.minimum.reduce(labels, None) >= 0 and np.maximum.reduce(labels, None) < classes):
        wrong = int(labels[(labels < 0) | (labels >= classes)].flat[0]) if labels.ndim else int(labels)
        raise ArgumentError(
            f"softmax_cross_entropy: label {wrong} names no class: along axis {axis} the logits have {classes} classes, "
            f"0 to {classes - 1}."
        )
    top = peak(logits, axis)
    shifted = logits - top
    picked = shifted[_at_labels(labels, axis)]
    total = np.log(np.add.reduce(np.exp(shifted, out=shifted), axis))
    return total - picked, total + top.reshape(total.shape)


@function()
def softmax_cross_entropy(
    logits: Any, labels: Any, /, *, axis: int = -1, reduction: Reduction = "mean"
) -> Any:  # fmt: skip
    """-ln softmax(logits) at the true class: the loss of a classifier, computed from its scores without overflow.

    Args:
        logits: scores, with the classes along `axis`.
        labels: the number of the true class, of an integer dtype and the shape of `logits` without `axis`; or
            probabilities (one-hot or soft), floating-point and of the shape of `logits`.
        axis: where the classes are.
        reduction: 'mean' over all examples, 'sum', or 'none' for one loss each.

    Raises:
        ShapeError: labels that do not pair up with the logits.
        ArgumentError: a label that names no class; a reduction there is not.

    >>> import backlit as bl
    >>> scores = bl.tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = bl.softmax_cross_entropy(scores, bl.tensor([0, 1]))
    >>> loss.item() == (bl.softplus(-2.0) + bl.log(2.0)).item() / 2
    True
    >>> loss.backward()
    >>> scores.grad[1]
    tensor([ 0.25, -0.25], dtype=float32)
    """
    labels = operand(labels)
    if labels.dtype.char in INTEGER:
        losses, _ = class_cross_entropy.public(logits, labels, axis=axis)
    else:
        losses = _soft_cross_entropy.public(logits, labels, axis=axis)
    return _reduced(losses, reduction, "softmax_cross_entropy")


@composite(
    namespace="hidden", name="soft_cross_entropy",
    samples=lambda rng: [((rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), 3)), {})],
)  # fmt: skip
def _soft_cross_entropy(logits: Any, labels: Any, /, *, axis: int = -1) -> Any:
    """-Σ p ln softmax(logits) for probabilities p; a class of probability 0 adds nothing, were its logit -inf."""
    x, p = operand(logits), operand(labels)
    if not _equal(x.shape, p.shape):
        raise ShapeError(
            f"softmax_cross_entropy: probabilities must have the shape of the logits, {x.shape}, got {p.shape}. "
            "Labels that are class numbers have an integer dtype."
        )
    return -sum_(guarded_multiply(p, log_softmax(x, axis=axis)), axis=axis)
