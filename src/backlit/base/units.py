"""Times, counts and sizes as people read them."""

from __future__ import annotations


def as_time(seconds: float) -> str:
    """A time in milliseconds or microseconds."""
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} us"


def as_count(n: float) -> str:
    """A number in units, thousands, millions or billions: `1.2 M`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n:.0f}"


def as_bytes(n: float) -> str:
    """A size in bytes, kilobytes or megabytes."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n:.0f} B"
