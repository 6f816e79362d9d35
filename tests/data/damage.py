"""Every way in which a test damages a file: cut at each length, one bit of the header turned over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backlit.base.errors import DataError


def cuts(raw: bytes, step: int = 1) -> Iterator[bytes]:
    """All beginnings of the file but the file itself."""
    for length in range(0, len(raw), step):
        yield raw[:length]


def flips(raw: bytes, places: range) -> Iterator[bytes]:
    """The file with a single bit turned over, for each bit of these bytes."""
    for place in places:
        for bit in range(8):
            yield raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]


def survivors(path: Path, damaged: Iterator[bytes], read: Callable[[Path], Any]) -> list[Any]:
    """What was read in spite of the damage. All else must be a DataError that names the file."""
    found = []
    for raw in damaged:
        path.write_bytes(raw)
        try:
            found.append(read(path))
        except DataError as refused:
            error = refused
        else:
            continue
        assert str(path) in str(error)
    return found
