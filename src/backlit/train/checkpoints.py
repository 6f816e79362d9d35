"""`Checkpoints`: files from which a training goes on to the same bits, whenever it was killed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import ArgumentError, DataError
from .callbacks import Callback, monitored
from .files import load_arrays, save_arrays, save_values
from .history import falls

if TYPE_CHECKING:
    from .trainer import Trainer

#: `step-0000001200.safetensors`
_NAME = re.compile(r"step-(\d+)\.safetensors")


class Checkpoints(Callback):
    """Writes checkpoints into a folder.

    Each file is written whole or not at all: into a temporary file, flushed to disk, and renamed. So the newest
    one is always good, and a kill at any instant loses the steps since then and nothing else.

    Args:
        folder: made where it is not there.
        every: so many steps; None for the end of each epoch alone. There is always one at the end of an epoch.
        keep: so many of the newest stay.
        monitor: the parameters of the epoch that is best by this column of the history go to `best.safetensors`, for
            `model.load`; None for none.
    """

    last = True

    def __init__(
        self, folder: str | Path, *, every: int | None = None, keep: int = 2, monitor: str | None = "validation_loss"
    ) -> None:
        if keep < 1:
            raise ArgumentError(f"Checkpoints: keep must be 1 or more, got {keep}.")
        if every is not None and every < 1:
            raise ArgumentError(f"Checkpoints: every must be 1 step or more, or None, got {every}.")
        self.folder, self.every, self.keep, self.monitor = Path(folder), every, keep, monitor
        self.best: float | None = None

    def begin(self, trainer: Trainer) -> None:
        if trainer.fresh:
            self.best = None
            if found := written(self.folder):
                raise ArgumentError(
                    f"{self.folder}: there are checkpoints of another training here, up to {found[-1].name}. Go on "
                    "with it (resume=True), remove them, or name another folder."
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*.safetensors.*"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)

    def steps(self, trainer: Trainer) -> None:
        if self.every is not None and trainer.done < trainer.data.steps:
            self.write(trainer)

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        if self.monitor is not None and (self.monitor in row or not self.monitor.startswith("validation_")):
            value = monitored(row, self.monitor)
            if self.best is None or (value < self.best if falls(self.monitor) else value > self.best):
                self.best = value
                save_values(self.folder / "best.safetensors", trainer.values())
        self.write(trainer)

    def end(self, trainer: Trainer) -> None:
        if trainer.state is not None and trainer.done:
            self.write(trainer)

    def write(self, trainer: Trainer) -> Path:
        """Write a checkpoint now, and remove old ones."""
        arrays, notes = trainer.snapshot()
        path = self.folder / f"step-{int(trainer.running_state.step.item()):010}.safetensors"
        save_arrays(path, arrays, notes)
        for old in written(self.folder)[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.best = state["best"]


def written(folder: str | Path) -> list[Path]:
    """The checkpoints in a folder, the newest last."""
    found = [path for path in Path(folder).glob("step-*.safetensors") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name)


def latest(folder: str | Path) -> tuple[dict[str, Any], Any]:
    """What the newest checkpoint in a folder holds, for `Trainer.resume`.

    Raises:
        DataError: there is none, or it is damaged.
    """
    paths = written(folder)
    if not paths:
        raise DataError(f"{folder}: there is no checkpoint (step-*.safetensors) to go on from.")
    arrays, notes = load_arrays(paths[-1])
    if not isinstance(notes, dict) or "callbacks" not in notes:
        raise DataError(
            f"{paths[-1]}: a safetensors file, but no checkpoint of a training: its header says nothing of one."
        )
    return arrays, notes
