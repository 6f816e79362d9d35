"""`Progress`: what one sees of a training: a line that moves in a terminal, one plain line per epoch anywhere else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..base.extras import require
from .callbacks import Callback

if TYPE_CHECKING:
    from .trainer import Trainer

#: Columns of the history that a line has no room for, or shows in another place.
_ELSEWHERE = ("epoch", "step", "lr", "seconds", "samples_per_second")


class Progress(Callback):
    """Prints a line for each epoch; in a terminal also a bar with the time that is left, by the package rich."""

    def __init__(self, live: bool | None = None) -> None:
        self.live = sys.stdout.isatty() if live is None else live
        self._bar: Any = None
        self._task: Any = None

    def begin(self, trainer: Trainer) -> None:
        if not self.live:
            return
        try:
            rich = require("rich.progress", "train")
        except ImportError:
            return  # lines will do
        columns = (rich.TextColumn("{task.fields[text]}"), rich.BarColumn(16), rich.TimeRemainingColumn(compact=True))
        self._bar = rich.Progress(*columns, transient=True, refresh_per_second=10)
        self._task = self._bar.add_task("", total=trainer.epochs * trainer.data.steps, text="compiling")
        self._bar.start()

    def steps(self, trainer: Trainer) -> None:
        if self._bar is not None:
            text = f"epoch {trainer.epoch + 1}/{trainer.epochs}  loss {_short(trainer.mean_loss())}"
            self._bar.update(self._task, completed=trainer.epoch * trainer.data.steps + trainer.done, text=text)

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        text = line(row, trainer.epochs)
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, soft_wrap=True)
        else:
            print(text, flush=True)

    def end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if trainer.history.stopped:
            print(trainer.history.stopped[:1].upper() + trainer.history.stopped[1:] + ".", flush=True)


def _short(x: float) -> str:
    return f"{x:.4f}" if 1e-3 <= abs(x) < 1e5 or not x else f"{x:.3g}"


def line(row: dict[str, Any], epochs: int) -> str:
    """An epoch in one line."""
    figures = [
        f"{name.replace('validation_', 'val ')} {_short(value)}"
        for name, value in row.items()
        if isinstance(value, float) and name not in _ELSEWHERE
    ]
    return "  ".join(
        [f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}", *figures, f"{row['samples_per_second']:,.0f} samples/s"]
    )
