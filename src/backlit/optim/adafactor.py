"""Adafactor: Adam's running size of the gradient, kept of a matrix as one row and one column."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, shown
from ..graph.tensor import Tensor
from ..ops.comparison import maximum, minimum
from .checks import learning_rate, not_negative, positive
from .optimizer import Optimizer, Rate, by_rule


def adafactor(
    lr: Rate = 1e-2,
    *,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adafactor (Shazeer & Stern 2018, algorithms 4 and 5): memory for rows and columns in the place of a matrix.

    The last two axes are those that are factored; vectors and numbers keep a whole mean square.

    Args:
        lr: the largest relative step, a number or a schedule; after t updates it is at most `1/√t`.
        beta2_decay: at update t the means take in `t**beta2_decay` of what is new; below 0.
        eps: the least size of a gradient (None: the dtype's machine epsilon), and of a parameter in what the step is
            relative to.
        d: the largest root-mean-square of the gradient in units of its size, above which it is clipped.
        weight_decay: each parameter shrinks by `lr·weight_decay` of itself in each step.
    """
    learning_rate(lr)
    positive(d=d)
    if not beta2_decay < 0:
        raise ArgumentError(f"beta2_decay: expected a number below 0, got {shown(beta2_decay)}.")
    least, relative = eps
    not_negative(**{"eps[1]": relative} if least is None else {"eps[0]": least, "eps[1]": relative})

    def shared(rate: Any, t: Any) -> tuple[Any, ...]:
        return minimum(rate, 1 / t.sqrt()), t**beta2_decay

    def change(p: Any, g: Any, row: Any, column: Any, rate: Any, new: Any) -> tuple[Any, ...]:
        floor = np.finfo(p.dtype).eps.item() if least is None else least
        square = g * g
        if p.ndim > 1:
            row = row + new * (square.mean(axis=-1, keepdims=True) - row)
            column = column + new * (square.mean(axis=-2, keepdims=True) - column)
            size = row * column / maximum(row.mean(axis=-2, keepdims=True), floor)
        else:
            row = size = row + new * (square - row)
        along = g / maximum(size, floor * floor).sqrt()
        clip = maximum(1.0, _rms(along) / d)
        return maximum(relative, _rms(p)) * rate / clip * along, row, column

    return by_rule(
        "adafactor", lr, change, slots={"row": _row, "column": _column}, shared=shared,
        weight_decay=weight_decay, decoupled=True,
    )  # fmt: skip


def _rms(x: Any) -> Any:
    return (x * x).sum().sqrt() / math.sqrt(x.size)


def _row(p: Tensor) -> Tensor:
    """The means along the last axis; of a vector, the whole mean square."""
    return Tensor(np.zeros(p.shape if p.ndim < 2 else (*p.shape[:-1], 1), p.dtype))


def _column(p: Tensor) -> Tensor:
    """The means along the axis before; of a vector, a 0 that nobody looks at."""
    return Tensor(np.zeros(() if p.ndim < 2 else (*p.shape[:-2], 1, p.shape[-1]), p.dtype))
