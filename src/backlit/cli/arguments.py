"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data.sources import SOURCES


def positive(kind: type) -> Any:
    """A converter for numbers greater than 0."""

    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"
    return number


def add_data(command: argparse.ArgumentParser, default: str | None) -> None:
    """Add `--data`."""
    command.add_argument(
        "--data",
        choices=SOURCES,
        default=default,
        metavar="NAME",
        help=f"{', '.join(SOURCES)} (digits needs no download)",
    )


def add_run(command: argparse.ArgumentParser) -> None:
    """Add the run folder."""
    command.add_argument("folder", type=Path, metavar="RUN", help="a run folder, as `backlit train` leaves it")
