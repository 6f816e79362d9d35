"""`backlit train`: train a network on real data, and leave a run folder that one can read a year later."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..base.extras import require
from ..data import load
from ..data.sources import SOURCES
from ..optim import adam, sgd
from ..train import MODELS, Epoch, Stop, Training
from .progress import reporter
from .run_folder import RunFolder

OPTIMIZERS = {"adam": (adam, 1e-3), "sgd": (sgd, 0.1)}
EPOCHS = {("digits", "mlp"): 40, ("digits", "cnn"): 20, ("mnist", "mlp"): 10, ("mnist", "cnn"): 3}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train",
        help="train a network on real data and leave a run folder",
        description="Train a network on images of handwritten digits, test it, and leave a folder with its "
        "parameters, settings, log, pictures and a report. Ctrl-C finishes the step, saves and stops.",
    )
    command.add_argument("--data", choices=SOURCES, default="digits", help="digits (the default) needs no download")
    command.add_argument(
        "--model", choices=MODELS, default="mlp", help="fully connected (the default) or convolutional"
    )
    command.add_argument(
        "--epochs", type=_positive(int), help="passes over the data; by default as many as suit it", metavar="N"
    )
    command.add_argument(
        "--batch-size", type=_positive(int), default=64, metavar="N", help="samples per step (%(default)s)"
    )
    command.add_argument(
        "--optimizer", choices=OPTIMIZERS, default="adam", help="how gradients become steps (%(default)s)"
    )
    command.add_argument(
        "--lr", type=_positive(float), metavar="RATE", help="learning rate (0.001 for adam, 0.1 for sgd)"
    )
    command.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the first weights and of the order of samples (%(default)s)",
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where run folders are made (%(default)s)"
    )
    command.set_defaults(run=run, parser=command)


def _positive(kind: type) -> Any:
    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"
    return number


def run(options: argparse.Namespace) -> int:
    """Train, test, save."""
    require("matplotlib", "train")
    terminal = sys.stdout.isatty()
    if terminal:
        require("rich", "train")
    make, lr = OPTIMIZERS[options.optimizer]
    options.lr = options.lr or lr
    options.epochs = options.epochs or EPOCHS[options.data, options.model]

    data = load(options.data)
    training = Training(MODELS[options.model], data, make(options.lr), options.batch_size, options.seed)
    folder = RunFolder(options, training)
    print(f"{data!r} from {data.source}\n{options.model} with {folder.parameters:,} parameters, {options.optimizer}, "
          f"learning rate {options.lr:g}, batches of {options.batch_size}, seed {options.seed}")  # fmt: skip

    stop = Stop()
    log: list[Epoch] = []
    with stop.on_interrupt(), reporter(terminal, options.epochs) as report:
        for epoch in training.epochs(options.epochs, stop, report.progress):
            report.epoch(epoch)
            log.append(epoch)
    if stop.wanted:
        print(f"Stopped by Ctrl-C after step {log[-1].steps} of epoch {log[-1].epoch}; saving.")

    accuracy = folder.save(training, log, stopped=stop.wanted)
    print(f"Test accuracy {100 * accuracy:.2f} % on {len(data.test):,} images that training never saw.\n"
          f"Saved in {folder.path}: {', '.join(sorted(p.name for p in folder.path.iterdir()))}")  # fmt: skip
    return 130 if stop.wanted else 0
