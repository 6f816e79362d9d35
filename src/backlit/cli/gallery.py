"""`backlit gallery`: run the experiments by which people learn how networks learn."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ..show import stage


def add(commands: Any) -> None:
    """Add the command to the parser."""
    names = stage.names()
    command = commands.add_parser(
        "gallery",
        help="experiments that show how networks learn, in numbers and pictures",
        description="Run an experiment: it prints its numbers, saves a picture, and explains a gradient of it: as text "
        "and HTML, as a drawing of the graph, and as a page in which it can be stepped through and changed.",
        epilog="\n".join(["experiments:", *(f"  {name:12} {stage.question(name)}" for name in names)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument("name", nargs="?", choices=names, metavar="NAME", help="the experiment; without one, a list")
    which.add_argument("--all", action="store_true", help="run every experiment")
    stage.options(command)
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Run one experiment or all, or list them."""
    if not options.name and not options.all:
        for name in stage.names():
            print(f"{name:12} {stage.question(name)}")
        print("\nbacklit gallery NAME runs one, backlit gallery --all every one.")
        return 0
    for name in stage.names() if options.all else (options.name,):
        start = time.perf_counter()
        print(f"── {name}: {stage.question(name)}\n", flush=True)
        stage.load(name).main(Path(options.out), quick=options.quick)
        files = stage.explain(name, Path(options.out))
        print(f"Its gradient explained: {', '.join(file.name for file in files)}")
        print(f"\n   {time.perf_counter() - start:.1f} s\n", flush=True)
    return 0
