"""`RunFolder`: what a training leaves behind, readable a year later."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import DataError
from ..base.higher import higher
from ..base.trees import leaves_with_paths
from ..base.versions import versions
from ..data import Dataset, Loader, Part
from .callbacks import Callback
from .checkpoints import Checkpoints, latest, written
from .files import save_values, write_whole
from .history import History
from .logs import CSVLog
from .trainer import Trainer

CONFIG, LOG, PARAMS, CHECKPOINTS = "config.json", "log.csv", "params.safetensors", "checkpoints"
NONFINITE = "nonfinite.txt"


class RunFolder:
    """The folder of one training.

    It holds `config.json` (settings, parameters by path, data with their checksum, versions), `log.csv` (a line for
    each epoch), `checkpoints/` and, in the end, `params.safetensors`, pictures and a report; where the loss became no
    finite number, `nonfinite.txt` tells what made it so. Every file is written whole or not at all.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def new(cls, parent: str | Path, name: str) -> RunFolder:
        """A folder of this name and the time; with a number added where it exists."""
        stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        for number in range(1, 1000):
            path = Path(parent) / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(path)
        raise FileExistsError(f"{Path(parent) / stem}: this and its next 998 names are taken.")

    def callbacks(
        self, settings: dict[str, Any], data: Dataset | Loader, every: int | None = None, keep: int = 2,
        monitor: str | None = "validation_loss",
    ) -> list[Callback]:  # fmt: skip
        """What writes the files, for a trainer: `config.json` at the beginning, then the log, the checkpoints, and
        what `bl.watch` sees.
        """
        return [
            _Begin(self, settings, data),
            higher("watch")(self.path),
            CSVLog(self.path / LOG),
            Checkpoints(self.path / CHECKPOINTS, every=every, keep=keep, monitor=monitor),
        ]

    def begin(self, trainer: Trainer, settings: dict[str, Any], data: Dataset | Loader) -> None:
        """Write `config.json`."""
        self.path.mkdir(parents=True, exist_ok=True)
        values = trainer.model.parameters()
        config = {
            "settings": settings,
            "model": repr(trainer.model),
            "loss": trainer.goal.name,
            "metrics": [m.name for m in trainer.goal.metrics],
            "parameters": {path: list(p.shape) for path, p in leaves_with_paths(values)},
            "data": about(data),
            "threads": trainer.threads,
            "versions": versions(),
            "machine": platform.platform(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        write_whole(self.path / CONFIG, json.dumps(config, indent=2) + "\n")

    @property
    def config(self) -> dict[str, Any]:
        """What `config.json` says.

        Raises:
            DataError: this is no run folder, or the file is damaged.
        """
        path = self.path / CONFIG
        try:
            found = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            what = f"there is no {CONFIG} in it" if self.path.exists() else "there is no such folder"
            raise DataError(f"{self.path}: not a run folder: {what}.") from None
        except ValueError as problem:
            raise DataError(f"{path}: not valid JSON: {problem}.") from None
        if not isinstance(found, dict) or "settings" not in found:
            raise DataError(f"{path}: expected an object with the settings of a run.")
        return found

    def change(self, settings: dict[str, Any]) -> None:
        """Write other settings into `config.json`."""
        config = self.config
        config["settings"] |= settings
        write_whole(self.path / CONFIG, json.dumps(config, indent=2) + "\n")

    def resume(self, trainer: Trainer) -> bool:
        """Let a trainer go on from the newest checkpoint; False where there is none yet."""
        if not written(self.path / CHECKPOINTS):
            return False
        trainer.resume(*latest(self.path / CHECKPOINTS))
        return True

    def finish(self, trainer: Trainer) -> None:
        """Write the parameters and the curves."""
        save_values(self.path / PARAMS, trainer.model.values())
        if trainer.history:  # pictures are made in a layer above
            higher("curves")(self.path / "curves.png", trainer.history, title(trainer.history))

    def history(self) -> History:
        """The rows of `log.csv`."""
        path = self.path / LOG
        if not path.is_file():
            return History()
        head, *rows = path.read_text("utf-8").splitlines()
        names = head.split(",")
        return History([dict(zip(names, map(float, row.split(",")), strict=True)) for row in rows])


class _Begin(Callback):
    def __init__(self, folder: RunFolder, settings: dict[str, Any], data: Dataset | Loader) -> None:
        self.folder, self.settings, self.data = folder, settings, data

    def begin(self, trainer: Trainer) -> None:
        if not (self.folder.path / CONFIG).exists():
            self.folder.begin(trainer, self.settings, self.data)

    def end(self, trainer: Trainer) -> None:
        if trainer.diverged is not None:
            write_whole(self.folder.path / NONFINITE, f"{trainer.diverged}\n")


def about(data: Dataset | Loader) -> dict[str, Any]:
    """What there is to say of data: for a data set name, source, checksum, and the form of its samples."""
    if not isinstance(data, Dataset):
        return {"name": repr(data)}
    x, y = data.train.x, data.train.y
    return {
        "name": data.name, "source": data.source, "sha256": data.checksum, "task": data.task,
        "classes": list(data.classes), "x": [x.dtype.name, *x.shape[1:]], "y": [y.dtype.name, *y.shape[1:]],
    }  # fmt: skip


def form_of(about: dict[str, Any]) -> Dataset:
    """A data set of one blank sample with the form that `about` tells: enough to make a network for it."""
    blank = lambda dtype, *shape: np.zeros((1, *shape), dtype)
    part = Part(blank(*about["x"]), blank(*about["y"]))
    return Dataset(about["name"], part, part, part, tuple(about["classes"]), about["source"], about["task"])


def title(history: History) -> str:
    """What the curves show, in a line."""
    column = next((c for c in ("validation_accuracy", "validation_r2", "validation_loss") if c in history[-1]), "loss")
    best = history.best(column)
    return f"Best {column.replace('_', ' ')} {best[column]:.4g} in epoch {int(best['epoch'])} of {len(history)}"
