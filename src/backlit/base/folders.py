"""Where files are kept between runs: downloads, and the object code of plans."""

from __future__ import annotations

import os
import sys


def cache_folder() -> str:
    """`$BACKLIT_CACHE`, or a folder of the user's cache. (`0` turns the cache of plans off, and names no folder.)

    A string: `pathlib` takes 2 ms to import, which a plan from the cache would feel.
    """
    chosen = os.environ.get("BACKLIT_CACHE")
    if chosen and chosen != "0":
        return chosen
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or home, "backlit")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "backlit")
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "backlit")
