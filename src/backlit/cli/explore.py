"""`backlit explore`: a page in which a formula, a run's network or a script's loss is stepped through and changed."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..explain.expression import Expression, assignments
from ..show.explore.page import Page, explore
from .subject import subject


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "explore",
        help="a page to step through a gradient and change its inputs by hand",
        description="Write one HTML file that needs no network: the graph, the forward and the backward pass step by "
        "step, every formula with its numbers, and inputs and weights that can be dragged. RUN is a run folder: the "
        "loss of its network on some of its samples, with what the training recorded. SCRIPT.py is run, and the last "
        "value that it called backward() on is shown, or the variable NAME.",
        epilog='Example: backlit explore "1/(1+exp(-(w*x+b)))" x=1 w=0 b=0',
    )
    command.add_argument("subject", metavar="RUN|SCRIPT.py[:NAME]|EXPRESSION", help="what to show")
    command.add_argument(
        "values", nargs="*", default=[], metavar="NAME=VALUE", help="of an expression: x=1, W=[1,2;3,4]"
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default: a temporary file)")
    command.add_argument("--no-open", action="store_true", help="do not open it in the browser")
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Write the page, say where it is, and open it."""
    page = page_of(options.subject, options.values)
    out = options.out or Path(tempfile.mkdtemp(prefix="backlit-")) / "explore.html"
    print(page.save(out))
    if not options.no_open and _has_display():
        webbrowser.open(out.resolve().as_uri())
    return 0


def page_of(text: str, values: list[str]) -> Page:
    """The page of what was named."""
    if Path(text).is_dir() or text.rpartition(":")[0].endswith(".py") or text.endswith(".py"):
        if values:
            raise ArgumentError(f"{values[0]}: values are for an expression; {text} has its own.")
        found = subject(text)
        run_folder = Path(text) if found.model is not None else None
        return explore(found.y, names=found.names, model=found.model, run=run_folder, title=found.title)
    expression = Expression(text)
    given = assignments(values, expression)
    if not given:
        raise ArgumentError(f"{expression.source}: there is no variable in it that it could depend on.")
    with np.errstate(all="ignore"):
        return explore(expression.function(tuple(given)), *given.values(), title=expression.source)


def _has_display() -> bool:
    """Can a browser be opened here?"""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
