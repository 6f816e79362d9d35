"""`plateau`: a rate that falls when a measured figure no longer improves, decided between epochs.

>>> from backlit import optim
>>> watch = optim.plateau(factor=0.5, patience=1)
>>> state = watch.init()
>>> for loss in (1.0, 0.9, 0.95, 0.92):
...     state = watch.update(loss, state)
>>> state.scale                     # for optim.with_scale
0.5
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..base.errors import ArgumentError, shown
from .checks import fraction, not_negative


class PlateauState(NamedTuple):
    """What `plateau` remembers, as plain numbers.

    Attributes:
        scale: the factor of the learning rate now.
        best: the best figure so far.
        bad: figures since then that were no better.
        rest: figures that are still passed over after the last reduction.
    """

    scale: float
    best: float
    bad: int
    rest: int


class Plateau(NamedTuple):
    """A pair of functions: `init() -> state` and `update(figure, state) -> state`."""

    init: Callable[[], PlateauState]
    update: Callable[[Any, PlateauState], PlateauState]


def plateau(
    *,
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_scale: float = 0.0,
) -> Plateau:
    """Scale the rate down when a figure stops improving; for `rate_scaled` and `with_scale`.

    Args:
        mode: "min" if small figures are good (a loss), "max" if large ones are (an accuracy).
        factor: what the scale is multiplied with; in [0, 1).
        patience: figures without improvement that are borne; the next one reduces the rate.
        threshold: by how much a figure must be better to count,
        threshold_mode: as a part of the best one ("rel") or in its own unit ("abs").
        cooldown: figures after a reduction that do not count as bad.
        min_scale: the scale falls no lower.
    """
    fraction(factor=factor)
    not_negative(patience=patience, threshold=threshold, cooldown=cooldown, min_scale=min_scale)
    for name, given, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
        if given not in known:
            raise ArgumentError(f"{name}: expected {known[0]!r} or {known[1]!r}, got {shown(given)}.")
    sign = 1 if mode == "min" else -1

    def update(figure: Any, state: PlateauState) -> PlateauState:
        figure = float(figure)
        # The first figure is better than infinity, whatever the threshold is a part of.
        margin = threshold * (state.best if threshold_mode == "rel" else 1) if math.isfinite(state.best) else 0
        better = sign * figure < sign * state.best - margin
        best, bad = (figure, 0) if better else (state.best, state.bad + 1)
        rest = state.rest
        if rest:
            rest, bad = rest - 1, 0
        if bad > patience:
            return PlateauState(max(state.scale * factor, min_scale), best, 0, cooldown)
        return PlateauState(state.scale, best, bad, rest)

    return Plateau(lambda: PlateauState(1.0, sign * math.inf, 0, 0), update)
