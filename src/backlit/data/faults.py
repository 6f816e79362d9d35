"""How readers say that a file is not what it should be: which file, where in it, what was expected and found."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import DataError


def fault(path: str | Path, kind: str, place: str, expected: str, found: str) -> DataError:
    """The error to raise about a damaged file.

    >>> print(fault("a.idx", "IDX file", "offset 2", "a type", "0x07"))
    a.idx: not a valid IDX file: at offset 2 expected a type, found 0x07.
    """
    return DataError(f"{path}: not a valid {kind}: at {place} expected {expected}, found {found}.")


def contents(path: str | Path) -> bytes:
    """All bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: str | Path, error: OSError) -> DataError:
    """The error to raise where the system refuses a file."""
    return DataError(f"{path}: cannot be read ({error.strerror}).")
