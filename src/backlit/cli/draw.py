"""`backlit draw`: the graph of a formula, of a run's network or of a script, as text or as a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..base.errors import MissingExtra
from ..base.extras import require
from ..explain.expression import Expression, assignments
from ..show.graph.drawing import Drawing, draw
from .subject import subject

#: What a drawing is written as, besides the text.
FILES = ("svg", "html", "png")
#: How the pieces of a line look in a terminal.
STYLES = {
    "tree": "dim", "faint": "dim", "title": "bold", "head": "", "value": "", "gradient": "blue", "bar": "blue",
    "bad": "bold red", "leaf": "cyan", "parameter": "yellow", "constant": "dim", "op": "", "output": "green",
    "group": "magenta",
}  # fmt: skip


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "draw",
        help="the graph of a formula, run or script, with values and gradients",
        description="Draw the graph behind a value: nodes by layer, values, gradients, red where these vanish or "
        "burst. RUN is a run folder: the loss of its network on some of its samples. SCRIPT.py is run, and the last "
        "value that it called backward() on is drawn, or the variable NAME.",
        epilog='Example: backlit draw "1/(1+exp(-(w*x+b)))" x=1 w=0 b=0',
    )
    command.add_argument("subject", metavar="EXPRESSION|RUN|SCRIPT.py[:NAME]", help="what to draw")
    command.add_argument(
        "values", nargs="*", default=[], metavar="NAME=VALUE", help="of the expression: x=1, W=[1,2;3,4]"
    )
    for kind in FILES:
        command.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write it as {kind.upper()}")
    command.add_argument("--wrt", metavar="NAME", help="widths by the share of the gradient by this node or parameter")
    command.add_argument(
        "--collapse", default="auto", type=_collapse, metavar="HOW",
        help="layers drawn as one node: auto, all, none, a depth, or paths with commas between (%(default)s)",
    )  # fmt: skip
    command.set_defaults(run=run, parser=command)


def _collapse(text: str) -> Any:
    known = {"auto": "auto", "all": True, "none": False}
    return known[text] if text in known else int(text) if text.isdigit() else text.split(",")


def run(options: argparse.Namespace) -> int:
    """Draw it."""
    chosen = {"wrt": options.wrt, "collapse": options.collapse}
    if options.values:
        expression = Expression(options.subject)
        values = assignments(options.values, expression)
        drawing = draw(expression.function(tuple(values)), *values.values(), title=expression.source, **chosen)
    else:
        found = subject(options.subject)
        drawing = draw(found.y, names=found.names, title=found.title, **chosen)
    asked = {kind: path for kind in FILES if (path := getattr(options, kind)) is not None}
    for kind, path in asked.items():
        print(f"written: {drawing.save(path, kind)}")
    if not asked:
        show(drawing)
    return 0


def show(drawing: Drawing) -> None:
    """Print a drawing; in colours where this is a terminal and the package rich is there."""
    if sys.stdout.isatty():
        try:
            text, console = require("rich.text", "train"), require("rich.console", "train")
        except MissingExtra:
            print(drawing)
            return
        screen = console.Console(highlight=False)
        for line in drawing.lines():
            screen.print(text.Text.assemble(*((piece, STYLES[kind]) for piece, kind in line)), soft_wrap=True)
    else:
        print(drawing)
