"""Arrays that may lie on disk: which ones do, how rows are gathered from them, and a checksum taken block by block."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: How much of an array on disk is looked at together, in bytes.
_BLOCK = 1 << 21


def on_disk(array: Array) -> bool:
    """Does the memory of this array belong to a memory-mapped file, seen through views too?"""
    owner: Any = array
    while owner is not None:
        if isinstance(owner, mmap.mmap):
            return True
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return False


def compact(array: Array) -> bool:
    """Does each element have a place of its own, unlike those of overlapping windows or of a broadcast array?"""
    low, high = np.lib.array_utils.byte_bounds(array)
    return array.nbytes <= high - low


def gather(array: Array, rows: Array) -> Array:
    """`array[rows]` in ordinary memory. A file is read forwards, from its beginning to its end.

    >>> gather(np.arange(10) ** 2, np.array([3, 1, 3]))
    array([9, 1, 9])
    """
    if not on_disk(array):
        return array[rows]
    order = np.argsort(rows, kind="stable")
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    found[order] = array[rows[order]]
    return found


def blocks(array: Array) -> Iterator[Array]:
    """The array from its first row to its last in contiguous pieces of some 2 MB, for what must not copy it whole."""
    rows = max(1, _BLOCK * max(1, len(array)) // max(1, array.nbytes)) if array.ndim else 1
    for start in range(0, len(array), rows) if array.ndim else ():
        yield np.ascontiguousarray(array[start : start + rows])
