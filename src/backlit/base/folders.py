"""Where files are kept between runs: downloads, and the object code of plans."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """`$BACKLIT_CACHE`, or a folder of the user's cache. (`0` turns the cache of plans off, and names no folder.)

    Raises `RuntimeError` where none is named and the user has no home.
    """
    chosen = os.environ.get("BACKLIT_CACHE")
    if chosen and chosen != "0":
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "backlit"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/backlit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backlit"
