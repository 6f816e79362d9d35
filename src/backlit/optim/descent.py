"""Steps along the gradient, `sgd` with momentum, and along its sign, `lion`.

>>> import backlit as bl
>>> from backlit import optim
>>> optimizer = optim.sgd(0.1, momentum=0.5)
>>> p = {"x": bl.tensor(5.0)}
>>> state = optimizer.init(p)
>>> for _ in range(100):
...     slope = bl.grad(lambda p: (p["x"] - 3.0) ** 2)(p)
...     p, state = optimizer.update(p, slope, state)
>>> round(p["x"].item(), 3)
3.0
"""

from __future__ import annotations

from typing import Any

from ..base.errors import ArgumentError
from ..ops.arithmetic import sign
from .checks import fraction, not_negative, two_fractions
from .optimizer import Optimizer, Rate, by_rule, zeros


def sgd(
    lr: Rate, *, momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
) -> Optimizer:
    """Gradient descent, `p - lr·g`; with momentum `v = momentum·v + (1 - dampening)·g`, `p - lr·v` (Polyak 1964).

    Args:
        lr: learning rate, a number or a schedule.
        momentum: the part of the last step's velocity that stays, in [0, 1).
        dampening: the part of the gradient that does not enter the velocity, but for the first step's.
        nesterov: step along `g + momentum·v` instead of `v` (Sutskever et al. 2013, section 2).
        weight_decay: times the parameter, added to its gradient.
    """
    fraction(momentum=momentum, dampening=dampening)
    if nesterov and (not momentum or dampening):
        raise ArgumentError(
            f"sgd: nesterov=True needs a momentum above 0 and no dampening, got momentum={momentum}, "
            f"dampening={dampening}."
        )

    def shared(rate: Any, t: Any) -> tuple[Any, ...]:
        return rate, 1 - dampening * (t > 1).astype(t.dtype) if dampening else 1.0

    def plain(p: Any, g: Any, rate: Any, share: Any) -> tuple[Any, ...]:
        return (rate * g,)

    def heavy(p: Any, g: Any, velocity: Any, rate: Any, share: Any) -> tuple[Any, ...]:
        velocity = momentum * velocity + (share * g if dampening else g)
        return rate * (g + momentum * velocity if nesterov else velocity), velocity

    slots = {"velocity": zeros} if momentum else {}
    return by_rule(
        "sgd", lr, heavy if momentum else plain, slots=slots, shared=shared, counts=dampening > 0,
        weight_decay=weight_decay, allow_complex=True,
    )  # fmt: skip


def lion(lr: Rate = 1e-4, *, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0) -> Optimizer:
    """Lion (Chen et al. 2023, algorithm 2): steps of exactly `lr`, along the sign of an interpolated gradient.

    Args:
        lr: learning rate, a number or a schedule; about a tenth of what suits Adam.
        betas: how the mean counts in the direction, and how much of it stays; each in [0, 1).
        weight_decay: the parameter shrinks by `lr·weight_decay` of itself in each step.
    """
    one, two = two_fractions(betas)
    not_negative(weight_decay=weight_decay)

    def change(p: Any, g: Any, mean: Any, rate: Any) -> tuple[Any, ...]:
        return rate * sign(one * mean + (1 - one) * g), two * mean + (1 - two) * g

    return by_rule("lion", lr, change, slots={"mean": zeros}, counts=False, weight_decay=weight_decay, decoupled=True)
