"""`Callback`: what may happen between the steps and epochs of a training, and the usual ones."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import ArgumentError
from ..optim import Plateau, plateau, with_scale
from .history import falls

if TYPE_CHECKING:
    from .trainer import Trainer


class Callback:
    """What is done during a training; overwrite what is needed.

    Attributes:
        every: `steps` is called when a multiple of so many steps is done; None for whenever the native loop comes back.
        last: is it called after the others, as what writes down their state must be? In the end it is called first,
            before they change what was reached.
    """

    every: int | None = None
    last: bool = False

    def begin(self, trainer: Trainer) -> None:
        """Before the first step, and when a training goes on. Where `trainer.fresh`, forget an earlier training."""

    def steps(self, trainer: Trainer) -> None:
        """Some steps were done."""

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """An epoch was done; `row` is its row of the history."""

    def end(self, trainer: Trainer) -> None:
        """After the last step, also after an error or Ctrl-C."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold for this to go on: what JSON can say, and under "arrays" arrays by name."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""


class EarlyStopping(Callback):
    """Ends training when a figure has not improved for some epochs, and goes back to the best parameters
    (Prechelt 1998, 'Early stopping - but when?', its criterion UP).

    Args:
        monitor: a column of the history.
        patience: so many epochs without improvement are borne.
        min_delta: what counts as one.
        restore_best: take the parameters of the best epoch in the end.
    """

    def __init__(
        self, monitor: str = "validation_loss", patience: int = 5, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.waited = 0
        self._values: dict[str, Any] = {}

    def begin(self, trainer: Trainer) -> None:
        if trainer.fresh:
            self._forget()

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        value = monitored(row, self.monitor)
        gain = None if self.best is None else (self.best - value if falls(self.monitor) else value - self.best)
        if gain is None or gain > self.min_delta:
            self.best, self.waited = value, 0
            if self.restore_best:
                self._values = {k: np.array(v.numpy()) for k, v in trainer.values().items()}
        else:
            self.waited += 1
            if self.waited >= self.patience:
                trainer.stop(f"{self.monitor} has not improved for {self.waited} epochs; the best was {self.best:.5g}")

    def end(self, trainer: Trainer) -> None:
        if self._values and trainer.state is not None:
            trainer.take_over(self._values)

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "arrays": self._values}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.best, self.waited = state["best"], state["waited"]
        self._values = dict(state["arrays"])


class ReduceOnPlateau(Callback):
    """Lowers the learning rate when a figure no longer improves; the options are those of `optim.plateau`.

    The optimizer must allow it: `optim.rate_scaled(optim.adam(1e-3))`.
    """

    def __init__(self, monitor: str = "validation_loss", **options: Any) -> None:
        self.monitor = monitor
        self._rule: Plateau = plateau(mode="min" if falls(monitor) else "max", **options)
        self._now = self._rule.init()

    def begin(self, trainer: Trainer) -> None:
        if trainer.fresh:
            self._now = self._rule.init()

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        self._now = self._rule.update(monitored(row, self.monitor), self._now)
        trainer.set_optimizer_state(with_scale(trainer.running_state.optimizer, self._now.scale))

    def state(self) -> dict[str, Any]:
        return {"now": list(self._now)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._now = type(self._now)(*state["now"])


class LossLog(Callback):
    """Keeps the loss of every step, in `losses`."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def begin(self, trainer: Trainer) -> None:
        if trainer.fresh:
            self.losses = []

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        self.losses += trainer.losses().tolist()

    def state(self) -> dict[str, Any]:
        return {"losses": self.losses}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.losses = list(state["losses"])


class Timing(Callback):
    """Where the time of a training goes; print it when training is over.

    Attributes:
        seconds: by what they were spent on: "steps" (with compiling and the gathering of batches), "validation", and
            "rest" (callbacks, checkpoints, unfinished epochs).
    """

    def __init__(self) -> None:
        self.seconds = {"steps": 0.0, "validation": 0.0, "rest": 0.0}
        self._begun = 0.0

    def begin(self, trainer: Trainer) -> None:
        self.seconds = dict.fromkeys(self.seconds, 0.0)
        self._begun = perf_counter()

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        self.seconds["steps"] += row["seconds"]
        self.seconds["validation"] += trainer.measuring

    def end(self, trainer: Trainer) -> None:
        known = self.seconds["steps"] + self.seconds["validation"]
        self.seconds["rest"] = max(0.0, perf_counter() - self._begun - known)

    def __repr__(self) -> str:
        whole = sum(self.seconds.values()) or 1.0
        return "Timing(" + ", ".join(f"{k} {v:.3g} s ({v / whole:.0%})" for k, v in self.seconds.items()) + ")"


def monitored(row: Mapping[str, Any], column: str) -> float:
    """The figure in a column, which must be there."""
    if column not in row:
        numbers = [name for name, value in row.items() if isinstance(value, (int, float))]
        hint = " Give validation data to fit." if column.startswith("validation_") else ""
        raise ArgumentError(f"there is no figure {column!r} to go by; there are {', '.join(numbers)}.{hint}")
    return float(row[column])
