"""The folder that a training run leaves: parameters, settings, log, pictures and a report."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..base.trees import leaves, leaves_with_paths
from ..show import training as pictures
from ..train import Epoch, Training, confusion, save_params, write_whole
from .info import versions


class RunFolder:
    """A new folder `<data>-<model>-<date>-<time>`, in which the settings are written at once."""

    def __init__(self, options: argparse.Namespace, training: Training) -> None:
        self.settings = {k: v for k, v in vars(options).items() if k not in ("run", "parser", "out")}
        self.parameters = sum(leaf.size for leaf in leaves(training.params))
        name = f"{options.data}-{options.model}-{time.strftime('%Y%m%d-%H%M%S')}"
        self.path = _new(options.out, name)
        config = {
            "settings": self.settings,
            "parameters": {path: str(leaf.shape) for path, leaf in leaves_with_paths(training.params)},
            "data": {"name": training.data.name, "source": training.data.source, "sha256": training.data.checksum},
            "inputs": {"mean": training.scale.mean.item(), "scale": training.scale.scale.item()},
            "versions": versions(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        write_whole(self.path / "config.json", json.dumps(config, indent=2) + "\n")

    def save(self, training: Training, log: Sequence[Epoch], stopped: bool) -> float:
        """Write everything else; the test accuracy."""
        save_params(self.path / "params.npz", training.params)
        columns = [f.name for f in fields(Epoch)]
        rows = [",".join(f"{asdict(e)[c]:.6g}" for c in columns) for e in log]
        write_whole(self.path / "log.csv", "\n".join([",".join(columns), *rows]) + "\n")

        test, classes = training.data.test, training.data.classes
        scores = training.scores(test)
        said = scores.argmax(1)
        wrong = int(np.sum(said != test.y))
        accuracy = 1 - wrong / len(test)
        network = f"{self.settings['model']} on {training.data.name}"
        pictures.curves(
            self.path / "loss.png", log,
            f"{network}: {100 * log[-1].validation_accuracy:.1f} % right on validation after {_count(log, 'epoch')}",
        )  # fmt: skip
        pictures.confusion_matrix(
            self.path / "confusion.png", confusion(test.y, said, len(classes)), classes,
            f"{wrong} of {len(test):,} test images misread",
        )  # fmt: skip
        pictures.misread(
            self.path / "misread.png", test.x, test.y, scores, classes,
            f"The {min(wrong, 24)} surest of {wrong} misread images" if wrong else "Not one image misread",
        )  # fmt: skip
        write_whole(self.path / "report.md", self._report(training, log, accuracy, wrong, stopped))
        return accuracy

    def _report(self, training: Training, log: Sequence[Epoch], accuracy: float, wrong: int, stopped: bool) -> str:
        data, best = training.data, max(log, key=lambda e: e.validation_accuracy)
        seconds = sum(e.seconds for e in log)
        lines = [
            f"# {self.settings['model']} on {data.name}",
            "",
            f"Test accuracy **{100 * accuracy:.2f} %**: {wrong} of {len(data.test):,} images misread.",
            *(["", f"Stopped by Ctrl-C in epoch {len(log)} of {self.settings['epochs']}."] if stopped else []),
            "",
            "| | |",
            "|---|---|",
            f"| data | {len(data.train):,} training, {len(data.validation):,} validation, {len(data.test):,} test |",
            f"| network | {self.settings['model']}, {self.parameters:,} parameters |",
            f"| optimizer | {self.settings['optimizer']}, learning rate {self.settings['lr']:g}, "
            f"batches of {self.settings['batch_size']}, seed {self.settings['seed']} |",
            f"| training | {_count(log, 'epoch')} in {seconds:.1f} s, "
            f"{sum(e.seconds * e.samples_per_second for e in log) / seconds:,.0f} samples a second |",
            f"| best validation accuracy | {100 * best.validation_accuracy:.2f} % after epoch {best.epoch} |",
            "",
            "![Loss and error rate by epoch](loss.png)",
            "![Confusion matrix](confusion.png)",
            "![Misread images](misread.png)",
            "",
            "`params.npz` holds the parameters (`numpy.load`), `log.csv` every epoch, "
            "`config.json` settings, versions and the checksum of the data.",
        ]
        return "\n".join(lines) + "\n"


def _count(items: Sequence[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _new(parent: Path, name: str) -> Path:
    """A folder of this name, or with a number added where it exists."""
    for number in range(1, 1000):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{parent / name}: this and its next 998 names are taken.")
