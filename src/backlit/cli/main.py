"""The parser of the command line, and what happens to errors.

Exit codes: 0 done, 1 an error that the message explains, 2 a wrong command line, 130 stopped by Ctrl-C, 141
the reader of the output went away. `doctor` ends with 3 where it found something.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from io import TextIOWrapper
from typing import NoReturn

from ..base.errors import BacklitError
from . import doctor, draw, evaluate, explain, explore, gallery, info, predict, runs, summary, train


class Parser(argparse.ArgumentParser):
    """A parser that suggests the nearest choice or option where one is misspelt."""

    def error(self, message: str) -> NoReturn:
        known = [option for action in self._actions for option in action.option_strings]
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            wrong, known = found[1], re.findall(r"[\w-]+", found[2])
        else:
            found = re.search(r"unrecognized arguments: (-[^\s=]+)", message)
            wrong = found[1] if found else ""
        close = get_close_matches(wrong, known, 1)
        hint = f"\nDid you mean {close[0]}?" if close else ""
        self.exit(2, f"{self.prog}: {message}{hint}\nSee {self.prog} --help.\n")


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="backlit",
        description="Backpropagation you can see through: train a network, or see how one learns.",
        epilog="backlit COMMAND --help says more about a command.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in (train, runs, evaluate, predict, summary, doctor, draw, explain, explore, gallery, info):
        command.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no ∂ shows a question mark
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = options.run(options)
        sys.stdout.flush()  # here, where a reader that went away is caught
        return code
    except BacklitError as error:
        print(f"backlit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("backlit: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who read the output, as `| head` does, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
