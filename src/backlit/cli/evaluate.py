"""`backlit evaluate`: what a trained network makes of data."""

from __future__ import annotations

import argparse
from typing import Any

from ..base.errors import ArgumentError
from ..data import load
from ..train import evaluate
from .arguments import add_data, add_run
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
    data = load(options.data or folder.config["settings"]["data"])
    part = getattr(data, options.part)
    if part.x.shape[1:] != form.train.x.shape[1:]:
        raise ArgumentError(
            f"{options.folder}: the network takes samples of shape {form.train.x.shape[1:]}, {data.name} has "
            f"{part.x.shape[1:]}."
        )
    print(f"{len(part):,} samples of {data.name} ({options.part}): {one_line(evaluate(model, part))}")
    return 0
