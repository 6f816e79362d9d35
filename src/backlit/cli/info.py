"""`backlit info`: what is installed, and what the library is set to."""

from __future__ import annotations

import argparse
import os
import platform
from typing import Any

from ..base.config import config
from ..base.folders import cache_folder
from ..base.versions import versions
from ..data import find
from ..runtime.cache import status
from ..runtime.host import host
from ..runtime.pool import default_threads


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("info", help="versions, settings and where data is looked for", description=__doc__)
    command.set_defaults(run=run, parser=command)


def _kept() -> str:
    """What is in the disk cache of plans, or what is wrong with it."""
    found = status()
    return found.problem or f"{found.entries}, {found.bytes / 2**20:.1f} of {found.limit / 2**20:.0f} MB"


def _native() -> str:
    """The machine that plans are compiled for, and the threads they get."""
    machine = host()
    if machine is None:
        return "no: llvmlite is missing, or BACKLIT_LLVM=0"
    return f"for {machine.cpu}, vectors of {machine.vector_bytes} bytes, {default_threads()} threads"


def run(options: argparse.Namespace) -> int:
    """Print it."""
    rows: list[tuple[str, Any]] = [(name, version or "not installed") for name, version in versions().items()]
    rows += [("platform", platform.platform()), ("", "")]
    settings = config.get()
    rows += settings._asdict().items()
    rows += [
        ("", ""),
        ("BACKLIT_DATA", os.environ.get("BACKLIT_DATA", "not set")),
        ("cache", cache_folder()),
        ("plans kept", _kept()),
        ("native code", _native()),
        ("mnist", find("mnist") or "not on this machine; backlit train --data mnist downloads it"),
    ]
    for name, value in rows:
        print(f"{name:14} {value}".rstrip())
    return 0
