"""What one sees while a network trains: a live line in a terminal, one plain line per epoch anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..base.extras import require
from ..train import Epoch, Progress


def line(epoch: Epoch, count: int) -> str:
    """One epoch in one line of less than 80 characters."""
    return (
        f"epoch {epoch.epoch:{len(str(count))}}/{count}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
        f"validation {epoch.validation_accuracy:.4f}  {epoch.samples_per_second:6,.0f} samples/s"
    )


class Plain:
    """Lines for logs and pipes."""

    def __init__(self, count: int) -> None:
        self.count = count

    def progress(self, now: Progress) -> None:
        """Nothing: a log has no use for a line that moves."""

    def epoch(self, epoch: Epoch) -> None:
        """Print the epoch."""
        print(line(epoch, self.count), flush=True)


class Live:
    """A bar that moves, with the remaining time of the whole training; finished epochs scroll up as lines."""

    def __init__(self, count: int, bar: Any) -> None:
        self.count, self.bar = count, bar
        self.task = bar.add_task("", text=f"epoch 1/{count}")

    def progress(self, now: Progress) -> None:
        """Move the bar."""
        text = (
            f"epoch {now.epoch}/{self.count}  loss {now.loss:.4f}  accuracy {now.accuracy:.4f}  "
            f"{now.samples_per_second:,.0f} samples/s"
        )
        done = (now.epoch - 1) * now.samples + now.done
        self.bar.update(self.task, completed=done, total=self.count * now.samples, text=text)

    def epoch(self, epoch: Epoch) -> None:
        """Print the epoch above the bar."""
        self.bar.console.print(line(epoch, self.count), highlight=False, soft_wrap=True)


@contextmanager
def reporter(terminal: bool, count: int) -> Iterator[Plain | Live]:
    """Where to report to while the block runs."""
    if not terminal:
        yield Plain(count)
        return
    rich = require("rich.progress", "train")

    columns = (rich.TextColumn("{task.fields[text]}"), rich.BarColumn(12), rich.TimeRemainingColumn(compact=True))
    with rich.Progress(*columns, transient=True, refresh_per_second=10) as bar:
        yield Live(count, bar)
