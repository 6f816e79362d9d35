"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError
from ..data import names
from .datasets import name_or_path


def positive(kind: type) -> Any:
    """A converter for numbers greater than 0."""

    def number(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} greater than 0, got {text!r}")
        return value

    return number


def _data(text: str) -> str:
    try:
        return name_or_path(text)
    except ArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_data(command: argparse.ArgumentParser, default: str | None) -> None:
    """Add `--data`."""
    command.add_argument(
        "--data",
        type=_data,
        default=default,
        metavar="DATA",
        help=f"{', '.join(names())} (digits needs no download); or a CSV, Parquet, npz or text file, or a folder",
    )
    command.add_argument("--target", metavar="COLUMN", help="what to predict, where the data are a table")


def add_run(command: argparse.ArgumentParser) -> None:
    """Add the run folder."""
    command.add_argument("folder", type=Path, metavar="RUN", help="a run folder, as `backlit train` leaves it")
