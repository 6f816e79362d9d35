"""`Goal`: what is to become small in training, and what is counted beside it; by the targets, or as the user says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..base.config import no_grad
from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError
from ..nn import Layer
from ..nn.losses import loss_of
from ..nn.metrics import Metric, metric_of
from ..nn.passes import unmade

Loss = Callable[..., Any]


class Goal(NamedTuple):
    """What a training is after.

    Attributes:
        loss: `loss(outputs, targets)`.
        name: how it is called.
        metrics: what is counted.
        blank: for each metric zeros of the form of its sums.
        weighted: do batches end with a weight for each sample?
    """

    loss: Loss
    name: str
    metrics: tuple[Metric, ...]
    blank: dict[str, Any]
    weighted: bool

    def opened(self, batch: Sequence[Any]) -> tuple[Sequence[Any], Any, dict[str, Any]]:
        """A batch (inputs, targets, weights) as inputs, targets and what the loss is given besides."""
        if self.weighted:
            return batch[:-2], batch[-2], {"weights": batch[-1]}
        return batch[:-1], batch[-1], {}


def goal_of(
    model: Layer, batch: Sequence[Any], loss: str | Loss, metrics: Sequence[str | Metric] | None, *,
    weighted: bool = False, seed: int = 0,
) -> Goal:  # fmt: skip
    """The goal for a model, found by running it on a few samples; parameters that are not there yet are made."""
    if len(batch) < 2 + weighted:
        raise ArgumentError(
            f"a batch must hold inputs and targets{' and weights' * weighted}; there is {len(batch)} array in it."
        )
    inputs, y = (batch[:-2], batch[-2]) if weighted else (batch[:-1], batch[-1])
    if unmade(model):
        model.build(*inputs, key=seed)
    with no_grad():
        out = model(*inputs)
    shapes = tuple(out.shape), tuple(y.shape)
    whole = y.dtype.char not in FLOAT
    if loss == "auto":
        loss = _suggested(shapes, whole)
    function = loss_of(loss) if isinstance(loss, str) else loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    if metrics is None:
        metrics = ["accuracy"] if whole and name in ("cross_entropy", "binary_cross_entropy") else []
    found = tuple(metric_of(m) if isinstance(m, str) else m for m in metrics)
    with no_grad():
        value = function(out, y)
        blank = {m.name: np.zeros_like(np.asarray(m.sums(out, y))) for m in found}
    if tuple(value.shape):
        raise ArgumentError(f"the loss {name} must return one number, got shape {tuple(value.shape)}; take its mean.")
    return Goal(function, name, found, blank, weighted)


def _suggested(shapes: tuple[tuple[int, ...], tuple[int, ...]], whole: bool) -> str:
    out, y = shapes
    if whole and out[:-1] == y:
        return "cross_entropy"
    if out == y:
        return "binary_cross_entropy" if whole else "mse"
    kind = "integers" if whole else "floats"
    raise ArgumentError(
        f"no loss suits outputs of shape {out} and targets, {kind}, of shape {y}: expected integer targets of "
        f"shape {out[:-1]} "
        f"(classes), or targets of shape {out}. Change the last layer or the targets, or name a loss."
    )
