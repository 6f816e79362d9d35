"""Adagrad, RMSProp and Adadelta: each parameter's step is measured by the gradients it has had."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.tensor import Tensor
from .checks import fraction, not_negative, positive
from .optimizer import Optimizer, Rate, by_rule, zeros


def adagrad(
    lr: Rate = 1e-2,
    *,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Optimizer:
    """Adagrad (Duchi, Hazan & Singer 2011): the gradient over the root of the sum of all squares so far.

    Args:
        lr: learning rate, a number or a schedule.
        lr_decay: after n updates the rate is divided by `1 + n·lr_decay`; 0 or more.
        weight_decay: times the parameter, added to its gradient.
        initial_accumulator_value: what the sum of squares begins with; 0 or more.
        eps: added to the root; above 0.
    """
    not_negative(lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value)
    positive(eps=eps)

    def shared(rate: Any, t: Any) -> tuple[Any, ...]:
        return (rate / (1 + (t - 1) * lr_decay) if lr_decay else rate,)

    def change(p: Any, g: Any, total: Any, rate: Any) -> tuple[Any, ...]:
        total = total + g * g
        return rate * g / (total.sqrt() + eps), total

    slots = {"total": lambda p: Tensor(np.full(p.shape, initial_accumulator_value, p.dtype))}
    return by_rule("adagrad", lr, change, slots=slots, shared=shared, counts=lr_decay > 0, weight_decay=weight_decay)


def rmsprop(
    lr: Rate = 1e-2,
    *,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Optimizer:
    """RMSProp (Tieleman & Hinton 2012, lecture 6.5): the gradient over the root of its running mean square.

    Args:
        lr: learning rate, a number or a schedule.
        alpha: the part of the running mean that stays in a step, in [0, 1).
        eps: added to the root; above 0.
        weight_decay: times the parameter, added to its gradient.
        momentum: the part of the last step that stays, in [0, 1).
        centered: divide by the running standard deviation instead (Graves 2013, equation 40).
    """
    fraction(alpha=alpha, momentum=momentum)
    positive(eps=eps)
    names = ("square", *(["mean"] if centered else []), *(["velocity"] if momentum else []))

    def change(p: Any, g: Any, *rest: Any) -> tuple[Any, ...]:
        *kept, rate = rest
        slots = dict(zip(names, kept, strict=True))
        slots["square"] = size = alpha * slots["square"] + (1 - alpha) * (g * g)
        if centered:
            slots["mean"] = alpha * slots["mean"] + (1 - alpha) * g
            size = size - slots["mean"] * slots["mean"]
        along = g / (size.sqrt() + eps)
        if momentum:
            slots["velocity"] = along = momentum * slots["velocity"] + along
        return rate * along, *slots.values()

    return by_rule("rmsprop", lr, change, slots=dict.fromkeys(names, zeros), counts=False, weight_decay=weight_decay)


def adadelta(lr: Rate = 1.0, *, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0) -> Optimizer:
    """Adadelta (Zeiler 2012, algorithm 1): the gradient times the root of the ratio of mean square steps and gradients.

    Args:
        lr: factor of the step, a number or a schedule.
        rho: the part of the running means that stays in a step, in [0, 1).
        eps: added to both mean squares; above 0.
        weight_decay: times the parameter, added to its gradient.
    """
    fraction(rho=rho)
    positive(eps=eps)

    def change(p: Any, g: Any, square: Any, steps: Any, rate: Any) -> tuple[Any, ...]:
        square = rho * square + (1 - rho) * (g * g)
        step = (steps + eps).sqrt() / (square + eps).sqrt() * g
        return rate * step, square, rho * steps + (1 - rho) * (step * step)

    slots = {"square": zeros, "steps": zeros}
    return by_rule("adadelta", lr, change, slots=slots, counts=False, weight_decay=weight_decay)
