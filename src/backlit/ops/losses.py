"""Loss functions: how far predictions are from targets."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..base.dtypes import INTEGER
from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axis, reduced, size_of
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .activation import softplus
from .arithmetic import abs_, guarded_product, square
from .comparison import less_equal, where
from .movement import astype
from .operands import operand
from .reduce import aligned, mean
from .reduce import sum as sum_
from .softmax import by_columns, log_softmax, peak, softmax

Reduction = Literal["mean", "sum", "none"]


def _reduced(losses: Any, reduction: str, name: str) -> Any:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum_(losses)
    if reduction == "none":
        return losses
    raise _bad_reduction(reduction, name)


def _bad_reduction(reduction: Any, name: str) -> ArgumentError:
    return ArgumentError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}.")


def _paired(predictions: Any, targets: Any, name: str) -> tuple[Any, Any]:
    """Both as arrays of one shape: (n, 1) beside (n,) would broadcast to (n, n), and train towards nonsense."""
    x, t = operand(predictions), operand(targets)
    if x.shape != t.shape:
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


@op(
    namespace="hidden", infer=lambda x, labels, *, axis: x, partials=(1, None), promotes=(0,), saves="",
    samples=lambda rng: [((rng.normal(size=(4, 3)), rng.integers(0, 3, 4)), {"axis": 1})],
)  # fmt: skip
def minus_one_hot(x: Any, labels: Any, /, *, axis: int) -> Any:
    """`x` less 1 at the entries that the labels pick along `axis`."""
    out = x.copy("K")
    out[_at_labels(labels, axis)] -= 1
    return out


def _cross_entropy_params(
    logits: Any, labels: Any, /, *, axis: int = -1, reduction: Reduction = "mean"
) -> Any:  # fmt: skip
    logits, labels = operand(logits), operand(labels)
    axis = as_axis(axis, logits.ndim, "softmax_cross_entropy")
    if labels.dtype.char in INTEGER:
        expected = reduced(logits.shape, (axis,), False)
    else:
        expected = logits.shape
        labels = labels if labels.dtype == logits.dtype else astype(labels, logits.dtype)
    if labels.shape != expected:
        raise ShapeError(
            f"softmax_cross_entropy: {labels.dtype.name} labels of shape {labels.shape} do not pair up with logits of "
            f"shape {logits.shape} and classes along axis {axis}. Class numbers have an integer dtype and the shape "
            "without that axis; probabilities, one-hot ones too, a floating-point dtype and the shape of the logits."
        )
    if reduction not in ("mean", "sum", "none"):
        raise _bad_reduction(reduction, "softmax_cross_entropy")
    return (logits, labels), {"axis": axis, "reduction": reduction}


def _cross_entropy_spec(logits: Any, labels: Any, *, axis: int, reduction: str) -> Spec:
    return Spec(reduced(logits.shape, (axis,), False) if reduction == "none" else (), logits.dtype)


def _cross_entropy_vjp(g: Any, out: Any, logits: Any, labels: Any, *, axis: int, reduction: str) -> Any:
    if reduction == "none":
        g = aligned(g, logits, (axis,))
    elif reduction == "mean":
        g = g / (size_of(reduced(logits.shape, (axis,), False)) or 1)
    p = softmax(logits, axis=axis)
    if labels.dtype.char in INTEGER:
        return minus_one_hot(p, labels, axis=axis) * g, None
    return (p * sum_(labels, axis=axis, keepdims=True) - labels) * g, -log_softmax(logits, axis=axis) * g


def _cross_entropy_cases(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(4, 3, 2))
    return [
        ((x[:, :, 0], rng.integers(0, 3, 4)), {}),
        ((x, rng.integers(0, 3, (4, 2))), {"axis": 1, "reduction": "none"}),
        ((x[:, :, 0], rng.integers(0, 3, 4)), {"reduction": "sum"}),
        ((x[:, :, 0], rng.dirichlet(np.ones(3), 4)), {}),
        ((x, rng.dirichlet(np.ones(4), (3, 2)).transpose(2, 0, 1)), {"axis": 0, "reduction": "none"}),
    ]


@op(
    prepare=_cross_entropy_params, infer=_cross_entropy_spec, vjp=_cross_entropy_vjp, saves="logits labels",
    promotes=(0,), dtypes="real floating-point", onnx="SoftmaxCrossEntropyLoss", samples=_cross_entropy_cases,
    latex="-\\ln\\mathrm{{softmax}}({0})_{{{1}}}",
)  # fmt: skip
def softmax_cross_entropy(logits: Any, labels: Any, /, *, axis: int, reduction: str) -> Any:
    """-ln softmax(logits) at the true class: the loss of a classifier, computed from its scores without overflow.

    Args:
        logits: scores, with the classes along `axis`.
        labels: the number of the true class, of an integer dtype and the shape of `logits` without `axis`; or
            probabilities p (one-hot or soft) of the shape of `logits`, for -Σ p ln softmax(logits). A class of
            probability 0 adds nothing, were its logit -inf.
        axis: where the classes are.
        reduction: 'mean' over all examples, 'sum', or 'none' for one loss each.

    Raises:
        ShapeError: labels that do not pair up with the logits.
        ArgumentError: a label that names no class; a reduction there is not.

    >>> import backlit as bl
    >>> scores = bl.tensor([[1000.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> bl.softmax_cross_entropy(scores, [0, 1]).backward()
    >>> scores.grad
    tensor([[ 0.  ,  0.  ],
            [ 0.25, -0.25]], dtype=float32)
    """
    logits = by_columns(logits, axis)
    shifted = logits - peak(logits, axis)
    if labels.dtype.char in INTEGER:
        _in_range(labels, logits.shape[axis], axis)
        wanted = shifted[_at_labels(labels, axis)]
        losses = np.log(np.add.reduce(np.exp(shifted, out=shifted), axis)) - wanted
    else:
        shifted -= np.log(np.add.reduce(np.exp(shifted), axis, keepdims=True))
        with np.errstate(invalid="ignore"):  # 0 · -inf, of a class that cannot be, is 0 here
            losses = -np.add.reduce(guarded_product(labels, shifted), axis)
    if reduction == "none":
        return losses
    total = np.add.reduce(losses, None)
    return total if reduction == "sum" else total / np.size(losses)


def _in_range(labels: Any, classes: int, axis: int) -> None:
    if labels.size and not 0 <= np.minimum.reduce(labels, None) <= np.maximum.reduce(labels, None) < classes:
        wrong = labels[(labels < 0) | (labels >= classes)]
        raise ArgumentError(
            f"softmax_cross_entropy: label {np.ravel(wrong)[0]} names no class: the logits have {classes} classes "
            f"along axis {axis}, 0 to {classes - 1}."
        )
