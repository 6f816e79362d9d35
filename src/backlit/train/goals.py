"""`Goal`: what is to become small in training, and what is counted beside it; by the targets, or as the user says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..base.config import config, no_grad
from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError
from ..data import Loader
from ..nn import Layer
from ..nn.losses import LOSSES, loss_of
from ..nn.metrics import Metric, metric_of
from ..nn.passes import unmade
from ..ops.movement import astype, expand_dims

Loss = Callable[..., Any]

#: So many targets are looked at at once; they may lie on disk.
ONCE = 1 << 22


class Goal(NamedTuple):
    """What a training is after.

    Attributes:
        loss: `loss(outputs, targets)`.
        name: how it is called.
        metrics: what is counted.
        blank: for each metric zeros of the form of its sums.
        weighted: do batches end with a weight for each sample?
        column: are targets of shape (batch,) a column, as the outputs are?
        classes: class numbers are below this; None where targets are no class numbers.
    """

    loss: Loss
    name: str
    metrics: tuple[Metric, ...]
    blank: dict[str, Any]
    weighted: bool
    column: bool
    classes: int | None

    def opened(self, batch: Sequence[Any]) -> tuple[Sequence[Any], Any, dict[str, Any]]:
        """A batch (inputs, targets, weights) as inputs, targets and what the loss is given besides."""
        *inputs, y = batch[:-1] if self.weighted else batch
        return [*map(as_parameters, inputs)], _targets(y, self.column), {"weights": batch[-1]} if self.weighted else {}

    def check(self, data: Loader, what: str) -> None:
        """Look once at all targets: a plan cannot stop at a bad one, it would go on with NaN.

        Raises:
            ArgumentError: a class number that names no class, or a target that is no finite number.
        """
        y = data.arrays[-2 if self.weighted else -1]
        if y.dtype.kind == "f" and LOSSES.get(self.name) is self.loss:
            fine, wanted, mend = np.isfinite, "a finite number", "Mend or drop these samples."
        elif self.classes is not None and y.dtype.kind in "iu":
            fine = lambda y: (y >= 0) & (y < self.classes)
            wanted = f"a class from 0 to {self.classes - 1}, which the outputs have"
            mend = "Number the classes anew, classes, y = np.unique(y, return_inverse=True), or change the last layer."
        else:
            return
        many = max(1, ONCE // max(1, y[:1].size))
        for start in range(0, len(y), many):
            some = y[start : start + many]
            good = fine(some)
            if not good.all():
                i = np.unravel_index(int(np.argmin(good)), good.shape)
                raise ArgumentError(
                    f"{what}: the target of sample {start + i[0]} is {some[i]}; expected {wanted}. {mend}"
                )


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
    inputs = [*map(as_parameters, inputs)]
    if unmade(model):
        model.build(*inputs, key=seed)
    with no_grad():
        out = model(*inputs)
    whole = y.dtype.char not in FLOAT
    column = tuple(out.shape) == (*y.shape, 1)
    if column and not isinstance(loss, str) and loss not in LOSSES.values():
        raise ArgumentError(
            f"a loss of your own would get outputs of shape {tuple(out.shape)} and targets of shape {tuple(y.shape)} "
            "for a sample, which broadcast against each other: give the targets as a column, y[..., None]."
        )
    y = _targets(y, column)
    if loss == "auto":
        loss = _suggested(tuple(out.shape), tuple(y.shape), whole)
    function = loss_of(loss) if isinstance(loss, str) else loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    classes = _classes(name, function, out, y) if whole else None
    if metrics is None:
        metrics = ["accuracy"] if whole and name in ("cross_entropy", "binary_cross_entropy") else []
    found = tuple(metric_of(m) if isinstance(m, str) else m for m in metrics)
    with no_grad():
        value = function(out, y)
        blank = {m.name: np.zeros_like(np.asarray(m.sums(out, y))) for m in found}
    if tuple(value.shape):
        raise ArgumentError(f"the loss {name} must return one number, got shape {tuple(value.shape)}; take its mean.")
    return Goal(function, name, found, blank, weighted, column, classes)


def as_parameters(x: Any) -> Any:
    """Inputs as models take them: float64 in the dtype that parameters have; others as they are."""
    return astype(x, config.get().default_dtype) if x.dtype == np.float64 else x


def _targets(y: Any, column: bool) -> Any:
    """Targets as losses take them: yes and no as 1 and 0; a column beside outputs that are one."""
    y = astype(y, np.dtype(np.int64)) if y.dtype == np.bool_ else y
    return expand_dims(y, axis=-1) if column else y


def _classes(name: str, function: Loss, out: Any, y: Any) -> int | None:
    """How many classes there are, where a loss of `nn.losses` takes whole numbers for classes."""
    if LOSSES.get(name) is not function:
        return None
    if name == "binary_cross_entropy":
        return 2
    return int(out.shape[-1]) if name in ("cross_entropy", "nll", "hinge") and y.ndim == out.ndim - 1 else None


def _suggested(out: tuple[int, ...], y: tuple[int, ...], whole: bool) -> str:
    if whole and out[:-1] == y:
        return "cross_entropy"
    if out == y:
        return "binary_cross_entropy" if whole else "mse"
    kind, mend = "integers" if whole else "floats", ""
    if whole and y == (*out[:-1], 1):
        mend = " Class numbers have no last axis: y[..., 0]."
    if not whole and y[: len(out) - 1] == out[:-1]:
        mend += " Class numbers are integers: y.astype(int)."
    raise ArgumentError(
        f"no loss suits outputs of shape {out} and targets, {kind}, of shape {y}: expected integer targets of "
        f"shape {out[:-1]} (classes), or targets of shape {out}.{mend} Change the last layer or the targets, or name "
        "a loss."
    )
