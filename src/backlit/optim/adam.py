"""Adam and its relatives: steps along the running mean of the gradient, in units of its running size.

>>> import backlit as bl
>>> from backlit import optim
>>> optimizer = optim.adam(0.1)
>>> p = {"x": bl.tensor(5.0)}
>>> state = optimizer.init(p)
>>> for _ in range(200):
...     slope = bl.grad(lambda p: (p["x"] - 3.0) ** 2)(p)
...     p, state = optimizer.update(p, slope, state)
>>> round(p["x"].item(), 2)
3.0
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.tensor import Tensor
from ..ops.comparison import maximum
from .checks import not_negative, positive, two_fractions
from .optimizer import Optimizer, Rate, by_rule, one_minus_power, zeros


def adam(
    lr: Rate = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> Optimizer:
    """Adam (Kingma & Ba 2015, algorithm 1): steps of about `lr` in each parameter, whatever its gradient's size.

    Args:
        lr: learning rate, a number or a schedule.
        betas: the parts of the running means of the gradient and of its square that stay in a step, in [0, 1).
        eps: added to the root of the mean square; above 0.
        weight_decay: times the parameter, added to its gradient; see `adamw` for the decoupled form.
        amsgrad: divide by the largest mean square so far (Reddi et al. 2018, algorithm 2).
    """
    return _adam("adam", lr, betas, eps, weight_decay, amsgrad, decoupled=False)


def adamw(
    lr: Rate = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2): see `adam`.

    Args:
        lr: learning rate, a number or a schedule.
        betas: the parts of the running means of the gradient and of its square that stay in a step, in [0, 1).
        eps: added to the root of the mean square; above 0.
        weight_decay: each parameter shrinks by `lr·weight_decay` of itself in each step.
        amsgrad: divide by the largest mean square so far.
    """
    return _adam("adamw", lr, betas, eps, weight_decay, amsgrad, decoupled=True)


def _adam(
    name: str, lr: Rate, betas: Any, eps: float, weight_decay: float, amsgrad: bool, decoupled: bool
) -> Optimizer:
    one, two = two_fractions(betas)
    positive(eps=eps)

    def shared(rate: Any, t: Any) -> tuple[Any, ...]:
        # m̂ / (√v̂ + ε) with the two corrections taken out of it, so that each parameter costs one root and one division.
        return rate / one_minus_power(one, t), 1 / one_minus_power(two, t).sqrt()

    def change(p: Any, g: Any, mean: Any, square: Any, *rest: Any) -> tuple[Any, ...]:
        *largest, rate, root = rest
        mean = one * mean + (1 - one) * g
        square = two * square + (1 - two) * (g * g)
        largest = [maximum(x, square) for x in largest]
        size = largest[0] if amsgrad else square
        return rate / (size.sqrt() * root + eps) * mean, mean, square, *largest

    names: tuple[str, ...] = ("mean", "square", "largest") if amsgrad else ("mean", "square")
    return by_rule(
        name, lr, change, slots=dict.fromkeys(names, zeros), shared=shared,
        weight_decay=weight_decay, decoupled=decoupled,
    )  # fmt: skip


def nadam(
    lr: Rate = 2e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
) -> Optimizer:
    """NAdam: Adam with Nesterov's momentum (Dozat 2016, algorithm 2, and the schedule of its momentum from section 3).

    Args:
        lr: learning rate, a number or a schedule.
        betas: the parts of the running means of the gradient and of its square that stay in a step, in [0, 1).
        eps: added to the root of the mean square; above 0.
        weight_decay: times the parameter, added to its gradient, or, with
        decoupled_weight_decay: each parameter shrinks by `lr·weight_decay` of itself.
        momentum_decay: how fast the momentum rises from half of `betas[0]` to all of it; 0 or more.
    """
    one, two = two_fractions(betas)
    positive(eps=eps)
    not_negative(momentum_decay=momentum_decay)

    def momentum(t: Any) -> Any:
        return one * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    def shared(rate: Any, t: Any) -> tuple[Any, ...]:
        return rate, momentum(t), momentum(t + 1), 1 / one_minus_power(two, t).sqrt()

    def change(
        p: Any, g: Any, mean: Any, square: Any, product: Any, rate: Any, now: Any, after: Any, root: Any
    ) -> tuple[Any, ...]:
        mean = one * mean + (1 - one) * g
        square = two * square + (1 - two) * (g * g)
        product = product * now
        along = (1 - now) / (1 - product) * g + after / (1 - product * after) * mean
        return rate / (square.sqrt() * root + eps) * along, mean, square, product

    # The product of all momenta so far is one number, kept with each parameter in its dtype.
    slots = {"mean": zeros, "square": zeros, "product": lambda p: Tensor(np.ones((), p.dtype))}
    return by_rule(
        "nadam", lr, change, slots=slots, shared=shared, weight_decay=weight_decay, decoupled=decoupled_weight_decay
    )
