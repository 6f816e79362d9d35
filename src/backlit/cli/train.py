"""`backlit train`: train a network on real data, and leave a run folder that one can read a year later."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..base.extras import require
from ..base.trees import leaves
from ..data import Dataset, Loader
from ..train import Callback, EarlyStopping, Progress, Trainer
from ..train.networks import NETWORKS, network
from ..train.run_folder import CHECKPOINTS, RunFolder
from .arguments import add_data, positive
from .datasets import dataset
from .run_report import report
from .settings import optimizer, settings

#: Settings that have an option of their own.
OPTIONS = {
    "data": "data", "data.target": "target", "model": "model", "epochs": "epochs", "batch_size": "batch_size",
    "optim.name": "optimizer", "optim.lr": "lr", "seed": "seed",
}  # fmt: skip


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "train",
        help="train a network on real data and leave a run folder",
        description="Train a network, test it, and leave a folder with its parameters, checkpoints, settings, log, "
        "pictures and a report. Ctrl-C finishes the step, saves, and says how to go on.",
        epilog=f"models: {', '.join(NETWORKS)}, or FILE.py:NAME. Settings beyond these options: patience (early "
        "stopping), threads, checkpoints.every (steps), checkpoints.keep, optim.clip, the optimizer's arguments, and "
        "those of the data: data.words=one-hot, data.window=128, ...",
    )
    add_data(command, default=None)
    command.add_argument("--model", metavar="MODEL", help=f"{', '.join(NETWORKS)}, or FILE.py:NAME (mlp)")
    command.add_argument("--epochs", type=positive(int), metavar="N", help="passes over the data; by default as suits")
    command.add_argument("--batch-size", type=positive(int), metavar="N", help="samples in a step (64)")
    command.add_argument("--optimizer", metavar="NAME", help="how gradients become steps (adam)")
    command.add_argument("--lr", type=positive(float), metavar="RATE", help="learning rate (0.001 for adam)")
    command.add_argument("--seed", type=int, metavar="N", help="of first weights, order of samples, dropout (0)")
    command.add_argument("--config", metavar="FILE.toml", help="settings from a file")
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting: optim.lr=3e-4")
    command.add_argument("--resume", type=Path, metavar="RUN", help="go on with an interrupted run, with its settings")
    command.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where run folders are made (%(default)s)"
    )
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Train, test, save."""
    require("matplotlib", "train")
    require("safetensors", "train")
    if sys.stdout.isatty():
        require("rich", "train")
    folder = None if options.resume is None else RunFolder(options.resume)
    found = _new_settings(options) if folder is None else _settings_of(folder, options)
    data = dataset(found)
    if folder is not None:
        _same_data(folder, data)
    training, validation = loaders(data, found)
    model = network(found["model"], data)
    model.build(*(a[:1] for a in training.arrays[:-1]), key=found["seed"])
    word = found["model"].rpartition(":")[2]
    folder = folder or RunFolder.new(options.out, f"{data.name}-{word}")
    stopping = [EarlyStopping(patience=found["patience"])] if found["patience"] else []
    callbacks: list[Callback] = [
        *stopping,
        *folder.callbacks(found, data, found["checkpoints.every"], found["checkpoints.keep"]),
        Progress(),
    ]
    trainer = Trainer(
        model, optimizer(found), callbacks=callbacks, seed=found["seed"], threads=found["threads"],
    )  # fmt: skip
    went_on = options.resume is not None and folder.resume(trainer)
    size = sum(leaf.size for leaf in leaves(model.parameters()))
    print(f"{data!r} from {data.source}\n{word} with {size:,} parameters, {found['optim.name']}, learning rate "
          f"{found['optim.lr']:g}, batches of {found['batch_size']}, seed {found['seed']}", flush=True)  # fmt: skip
    if went_on:
        print(f"Going on from the newest checkpoint in {folder.path / CHECKPOINTS}.", flush=True)
    history = trainer.fit(training, found["epochs"], validation)
    folder.finish(trainer)
    interrupted = history.stopped.startswith("stopped by Ctrl-C")
    if not history:
        print(f"Not one epoch was finished. Go on with: backlit train --resume {folder.path}")
        return 130
    print(report(folder, trainer, data))
    if interrupted:
        print(f"Go on with: backlit train --resume {folder.path}")
    return 130 if interrupted else 0


def _new_settings(options: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(options, option) for name, option in OPTIONS.items()}
    found = settings(options.config, options.set, given)
    if ".py:" in found["model"]:
        file, _, name = found["model"].rpartition(":")
        found["model"] = f"{Path(file).resolve()}:{name}"
    return found


def _settings_of(folder: RunFolder, options: argparse.Namespace) -> dict[str, Any]:
    """The settings of a run that is to go on. It may go on for longer; with others it would be another run."""
    found = folder.config["settings"]
    others = [name for name, option in OPTIONS.items() if name != "epochs" and getattr(options, option) is not None]
    if others or options.config or options.set:
        what = ", ".join([*others, *["--config"] * bool(options.config), *["--set"] * bool(options.set)])
        raise ArgumentError(
            f"--resume goes on with the settings in {folder.path}; only --epochs can be given besides, for more of "
            f"them, not {what}. Leave it out, or begin a new run without --resume."
        )
    if options.epochs is not None:
        folder.change({"epochs": options.epochs})
        found = folder.config["settings"]
    return found


def loaders(data: Dataset, found: dict[str, Any]) -> tuple[Loader, Loader]:
    """The loaders of the training and of the validation part."""
    parts = [tuple(map(_plain, (part.x, part.y))) for part in (data.train, data.validation)]
    return (
        Loader(parts[0], found["batch_size"], key=found["seed"]),
        Loader(parts[1], 256, shuffle=False),
    )


def _plain(x: Any) -> Any:
    return x.astype(np.float32) if x.dtype == np.float64 else x


def _same_data(folder: RunFolder, data: Dataset) -> None:
    before = folder.config["data"].get("sha256")
    if before != data.checksum:
        raise ArgumentError(
            f"{folder.path}: the run was trained on data with the checksum {before}, but {data.name} has "
            f"{data.checksum} "
            "now; to go on, bring the old data back."
        )
