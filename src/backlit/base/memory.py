"""Asking the C library to keep the memory that one training step frees for the next one.

A step allocates and frees the same few hundred kilobytes again and again. glibc gives blocks of that
size back to the system when they are freed, and the next step pays for every page anew: on a
784-128-10 perceptron about a tenth of the step, on large elementwise work many times the arithmetic.
"""

from __future__ import annotations

import os
from functools import cache

#: Parameters of glibc's mallopt(3), and what they are set to, in bytes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 128 << 20
_LARGEST = 32 << 20


@cache
def keep_freed_memory() -> bool:
    """Let the process keep up to 128 MiB of freed memory, and serve blocks of up to 32 MiB from it.

    Called once, before the first derivative, not at import. `BACKLIT_KEEP_MEMORY=0` in the environment
    prevents it, and `MALLOC_TRIM_THRESHOLD_`, set by the user, has precedence. Returns whether it was done:
    other C libraries than glibc keep their own ways.
    """
    if os.environ.get("BACKLIT_KEEP_MEMORY") == "0" or "MALLOC_TRIM_THRESHOLD_" in os.environ or os.name != "posix":
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))
