"""Logs of a training as files: CSV, JSON lines, TensorBoard. Each is rewritten from the history, so that a training
that goes on after a crash leaves no line twice.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.extras import require
from .callbacks import Callback
from .files import write_whole
from .history import History

if TYPE_CHECKING:
    from .trainer import Trainer


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """The plain numbers of a row."""
    return {name: value for name, value in row.items() if isinstance(value, (int, float))}


class CSVLog(Callback):
    """The history as a table, written anew after each epoch."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        write_whole(self.path, as_csv(trainer.history))


class JSONLog(Callback):
    """The history as JSON, an object in a line for each epoch."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        write_whole(self.path, "".join(json.dumps(numbers(r)) + "\n" for r in trainer.history))


class TensorBoard(Callback):
    """Figures for TensorBoard, through the package tensorboardX."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._writer: Any = None

    def begin(self, trainer: Trainer) -> None:
        # What was written beyond the step that a training goes on from is struck out.
        self._writer = require("tensorboardX", "train").SummaryWriter(
            str(self.folder), purge_step=len(trainer.history) + 1 if trainer.history else None
        )

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        for name, value in numbers(row).items():
            if name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()

    def end(self, trainer: Trainer) -> None:
        if self._writer is not None:
            self._writer.close()


def as_csv(history: History) -> str:
    """A history as CSV text with a line of column names."""
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in history for name in numbers(row)))
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in history:
        writer.writerow(
            {name: value if isinstance(value, int) else f"{value:.9g}" for name, value in numbers(row).items()}
        )
    return text.getvalue()
