"""`backlit evaluate`: what a trained network makes of data."""

from __future__ import annotations

import argparse
from typing import Any

from ..base.errors import ArgumentError
from ..train import evaluate
from .arguments import add_data, add_run
from .datasets import dataset
from .trained import one_line, opened


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("evaluate", help="measure a trained network on data", description=__doc__)
    add_run(command)
    add_data(command, default=None)
    command.add_argument(
        "--part", choices=("train", "validation", "test"), default="test", help="which part (%(default)s)"
    )
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Measure, and print the figures."""
    folder, model, form = opened(options.folder)
    asked = folder.config["settings"]
    if options.data is not None:
        asked = {"data": options.data}
    data = dataset(asked if options.target is None else {**asked, "data.target": options.target})
    part = getattr(data, options.part)
    if part.x.shape[1:] != form.train.x.shape[1:]:
        raise ArgumentError(
            f"{options.folder}: the network takes samples of shape {form.train.x.shape[1:]}, {data.name} has "
            f"{part.x.shape[1:]}."
        )
    print(f"{len(part):,} samples of {data.name} ({options.part}): {one_line(evaluate(model, part))}")
    return 0
