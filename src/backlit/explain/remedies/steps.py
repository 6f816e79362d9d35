"""Mends of the optimizer: its rate, clipping, decay, what it moves, and when it ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...base.trees import tree_map
from ...ops.comparison import where
from ...ops.creation import zeros
from ...optim import Optimizer, adam, chain, clip_by_global_norm, sgd
from ..changes import (
    also_moving,
    decaying,
    rate_of,
    rate_times,
    still,
)
from ..running import Runner, best_rate
from ..verdict import Experiment, Mend


def clipped(e: Experiment, norm: float = 1.0) -> Mend:
    """Gradients whose norm is bounded."""
    return Mend(
        f"clip the gradients: optim.chain(optim.clip_by_global_norm({norm:g}), optimizer)",
        lambda e: e._replace(optimizer=chain(clip_by_global_norm(norm), e.optimizer)),
    )


def slower(e: Experiment, factor: float = 10.0) -> Mend:
    """A learning rate lower by a factor."""
    return _other_rate(e, 1 / factor)


def faster(e: Experiment, factor: float = 10.0) -> Mend:
    """A learning rate higher by a factor."""
    return _other_rate(e, factor)


def _other_rate(e: Experiment, factor: float) -> Mend:
    word = "lower" if factor < 1 else "raise"
    told = f"{max(factor, 1 / factor):g} times"
    return Mend(f"{word} the learning rate {told}", lambda e: e._replace(optimizer=rate_times(e.optimizer, factor)))


def tested_rate(e: Experiment) -> Mend:
    """The learning rate that does best in short trainings with many; which one is known when it is applied."""

    def apply(e: Experiment) -> Experiment:
        factor, _ = best_rate(Runner(e))
        return e._replace(optimizer=rate_times(e.optimizer, factor))

    return Mend("take the learning rate that a range test finds (train.find_learning_rate)", apply)


def adam_instead(e: Experiment) -> Mend:
    """Adam at its usual rate: a step whose size does not follow that of the gradient."""
    return Mend("take optim.adam(1e-3)", lambda e: e._replace(optimizer=adam(1e-3)))


def unfrozen(e: Experiment, path: str) -> list[Mend]:
    """Parameters that the optimizer leaves as they are, trained too, at its rate: by Adam, or by descent."""
    params = e.model.parameters()
    held = still(e.optimizer, params)
    if not any(p == path or p.startswith(f"{path}." if path else "") for p in held):
        return []
    rate = rate_of(e.optimizer, params) or 1e-3
    told = ", ".join(sorted({p.rpartition(".")[0] or p for p in held}))

    def by(other: Optimizer, name: str) -> Mend:
        return Mend(
            f"train {told} too, by {name}({rate:.3g}): take it out of optim.freeze or optim.groups",
            lambda e: e._replace(optimizer=also_moving(e.optimizer, held, other)),
        )

    return [by(adam(rate), "optim.adam"), by(sgd(rate), "optim.sgd")]


def decayed(e: Experiment, decay: float) -> Mend:
    """A penalty of large weights."""
    return Mend(
        f"penalise large weights: weight_decay={decay:g}",
        lambda e: e._replace(optimizer=decaying(e.optimizer, decay)),
    )


def stopped(e: Experiment, steps: int = 400) -> Mend | None:
    """An end to training where the loss on validation data is least."""
    if e.validation is None:
        return None

    def apply(e: Experiment) -> Experiment:
        stops = [max(1, steps * k // 32) for k in range(1, 32)]
        run = Runner(e)(steps, stops=stops)
        best = min(run.curve, key=lambda point: point[1] if np.isfinite(point[1]) else np.inf)[0]
        return e._replace(optimizer=ending(e.optimizer, best))

    return Mend("stop when the validation loss no longer falls: callbacks=[train.EarlyStopping()]", apply)


def ending(optimizer: Optimizer, steps: int) -> Optimizer:
    """The optimizer for so many steps; after them parameters stay."""

    def init(params: Any) -> Any:
        return zeros((), dtype=np.int32), optimizer.init(params)

    def update(params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, Any]:
        done, inner = state
        moved, inner = optimizer.update(params, gradients, inner, scale)
        return tree_map(lambda new, old: where(done < steps, new, old), moved, params), (done + 1, inner)

    return Optimizer(init, update, optimizer.rate and (lambda state: optimizer.rate(state[1])))  # type: ignore[misc]
