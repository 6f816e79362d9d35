"""Schedules: learning rates that are functions of the number of updates done, and trace into native plans.

A schedule takes the updates done so far, a floating-point Tensor of shape () or a number, and returns the rate of
the next update. Any function of that kind is one; these make the usual ones.

>>> from backlit import optim
>>> rate = optim.cosine(0.1, 1000)
>>> [round(float(rate(step)), 4) for step in (0, 500, 1000)]
[0.1, 0.05, 0.0]
>>> optimizer = optim.adam(optim.warm_up(rate, 100))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, shown
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.comparison import maximum, minimum, where
from ..ops.exponential import log
from ..ops.rounding import floor
from ..ops.trigonometric import cos
from .checks import learning_rate, not_negative, positive, whole
from .optimizer import Rate

Schedule = Callable[[Any], Any]


def step_decay(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """`lr`, times `gamma` after every `step_size` updates."""
    positive(lr=lr, gamma=gamma)
    whole(step_size=step_size)
    return _schedule(lambda t: lr * gamma ** floor(t / step_size))


def multistep(lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """`lr`, times `gamma` once for every one of the `milestones` (numbers of updates) that is reached."""
    positive(lr=lr, gamma=gamma)

    def rate(t: Any) -> Any:
        passed = sum(((t >= m).astype(t.dtype) for m in milestones), 0.0 * t)
        return lr * gamma**passed

    return _schedule(rate)


def exponential(lr: float, gamma: float) -> Schedule:
    """`lr·gamma**t` after t updates."""
    positive(lr=lr, gamma=gamma)
    return _schedule(lambda t: lr * gamma**t)


def polynomial(lr: float, steps: int, power: float = 1.0) -> Schedule:
    """`lr·(1 - t/steps)**power`, and 0 from `steps` updates on."""
    positive(lr=lr, power=power)
    whole(steps=steps)
    return _schedule(lambda t: lr * (1 - minimum(t / steps, 1.0)) ** power)


def linear(lr: float, steps: int, start: float = 1 / 3, end: float = 1.0) -> Schedule:
    """From `start·lr` to `end·lr` in `steps` updates along a line, then `end·lr`."""
    positive(lr=lr)
    not_negative(start=start, end=end)
    whole(steps=steps)
    return _schedule(lambda t: lr * (start + (end - start) * minimum(t / steps, 1.0)))


def cosine(lr: float, steps: int, min_lr: float = 0.0) -> Schedule:
    """From `lr` to `min_lr` in `steps` updates along half a cosine, then `min_lr` (Loshchilov & Hutter 2017, eq. 5)."""
    positive(lr=lr)
    not_negative(min_lr=min_lr)
    whole(steps=steps)
    return _schedule(lambda t: _half_cosine(lr, min_lr, minimum(t / steps, 1.0)))


def cosine_restarts(lr: float, steps: int, growth: int = 1, min_lr: float = 0.0) -> Schedule:
    """Half cosines from `lr` to `min_lr` again and again, as in SGDR (Loshchilov & Hutter 2017, section 3).

    Args:
        lr: the rate at each start.
        steps: updates of the first round.
        growth: each round has this many times the updates of the one before, a whole number.
        min_lr: what each round comes down to.
    """
    positive(lr=lr)
    not_negative(min_lr=min_lr)
    whole(steps=steps, growth=growth)

    def rate(t: Any) -> Any:
        if growth == 1:
            return _half_cosine(lr, min_lr, t / steps - floor(t / steps))
        # Half an update is added so that the whole numbers, where rounds begin, are not those where floor is in doubt.
        done = floor(log((t + 0.5) / steps * (growth - 1) + 1) / math.log(growth))
        length = growth**done
        begin = steps * (length - 1) / (growth - 1)
        return _half_cosine(lr, min_lr, (t - begin) / (steps * length))

    return _schedule(rate)


def one_cycle(
    max_lr: float,
    total_steps: int,
    *,
    pct_start: float = 0.3,
    anneal: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """Up to `max_lr` and down to almost nothing, once (Smith & Topin 2018).

    Args:
        max_lr: the highest rate.
        total_steps: updates in all; later ones keep the last rate.
        pct_start: the part of the updates in which the rate rises.
        anneal: "cos" for half cosines, "linear" for lines.
        div_factor: the rate begins at `max_lr/div_factor`,
        final_div_factor: and ends at that over `final_div_factor`.
        three_phase: come down to the first rate as fast as it rose, and from there to the last.
    """
    positive(max_lr=max_lr, div_factor=div_factor, final_div_factor=final_div_factor)
    whole(total_steps=total_steps)
    if not 0 < pct_start < (0.5 if three_phase else 1):
        raise ArgumentError(
            f"pct_start: expected a number between 0 and {0.5 if three_phase else 1}, got {shown(pct_start)}."
        )
    if anneal not in ("cos", "linear"):
        raise ArgumentError(f"anneal: expected 'cos' or 'linear', got {shown(anneal)}.")
    first = max_lr / div_factor
    last = first / final_div_factor
    peak = pct_start * total_steps - 1
    if three_phase:
        ends = [(peak, max_lr), (2 * peak, first), (total_steps - 1, last)]
    else:
        ends = [(peak, max_lr), (total_steps - 1, last)]
    if peak <= 0:
        raise ArgumentError(
            f"one_cycle: the rise takes pct_start·total_steps - 1 = {peak:g} updates; expected more than 0. "
            "Give more steps or a larger pct_start."
        )

    def rate(t: Any) -> Any:
        found, begin, low = None, 0.0, first
        for end, high in ends:
            part = minimum(maximum((t - begin) / (end - begin), 0.0), 1.0)
            piece = _half_cosine(low, high, part) if anneal == "cos" else low + (high - low) * part
            found = piece if found is None else where(t > begin, piece, found)
            begin, low = end, high
        return found

    return _schedule(rate)


def warm_up(lr: Rate, steps: int, start: float = 0.0) -> Schedule:
    """From `start` times the first rate up to it in `steps` updates along a line; then `lr` from its beginning.

    Args:
        lr: a number or a schedule.
        steps: updates until the full rate is reached.
        start: the part of the rate with which the first update is done; 0 or more.
    """
    learning_rate(lr)
    not_negative(start=start)
    whole(steps=steps)

    def rate(t: Any) -> Any:
        first = value(lr, 0.0 * t)
        return first * (start + (1 - start) * minimum(t / steps, 1.0))

    return chained(rate, lr, at=[steps])


def chained(*rates: Rate, at: Sequence[int]) -> Schedule:
    """One schedule after another, each from its own beginning.

    Args:
        *rates: numbers or schedules.
        at: after how many updates in all the second begins, the third, and so on; one number less than schedules.
    """
    for rate in rates:
        learning_rate(rate)
    if len(at) != len(rates) - 1 or list(at) != sorted(set(at)):
        raise ArgumentError(
            f"chained: {len(rates)} schedules need {len(rates) - 1} rising numbers at which the next begins, "
            f"got at={shown(at)}."
        )

    def joined(t: Any) -> Any:
        found = value(rates[0], t)
        for begin, rate in zip(at, rates[1:], strict=True):
            # Before its time a schedule stands at its beginning, so that none is asked about a negative number.
            found = where(t >= begin, value(rate, maximum(t - begin, 0.0)), found)
        return found

    return _schedule(joined)


def product(*rates: Rate) -> Schedule:
    """The product of schedules, or of a schedule and numbers: `product(cosine(1, 1000), step_decay(0.1, 100))`."""
    for rate in rates:
        learning_rate(rate)
    return _schedule(lambda t: math.prod((value(rate, t) for rate in rates), start=1.0))


def value(rate: Rate, t: Any) -> Any:
    """What a number or a schedule says after `t` updates, in the dtype of `t`."""
    return as_tensor(rate(t)).astype(t.dtype) if callable(rate) else rate + 0.0 * t


def _schedule(rate: Schedule) -> Schedule:
    """A schedule that takes numbers too."""

    def schedule(step: Any) -> Any:
        t = step if isinstance(step, Tensor) else Tensor(np.asarray(step, np.float64))
        return rate(t if t.dtype.kind == "f" else t.astype(np.float64))

    return schedule


def _half_cosine(start: float, end: float, part: Any) -> Any:
    return end + (start - end) * (1 + cos(math.pi * part)) / 2
