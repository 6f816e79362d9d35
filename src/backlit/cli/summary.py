"""`backlit summary`: the layers of a network with shapes, parameters and FLOPs."""

from __future__ import annotations

import argparse
from typing import Any

from ..train.networks import NETWORKS, network
from .arguments import add_data, positive
from .datasets import dataset


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("summary", help="the layers of a network", description=__doc__)
    command.add_argument("model", metavar="MODEL", help=f"{', '.join(NETWORKS)}, or FILE.py:NAME")
    add_data(command, default="digits")
    command.add_argument("--batch", type=positive(int), default=1, metavar="N", help="samples at a time (%(default)s)")
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    data = dataset({"data": options.data} | ({"data.target": options.target} if options.target else {}))
    x = data.train.x
    print(network(options.model, data).summary(x.shape[1:], batch=options.batch, dtype=x.dtype.name))
    return 0
