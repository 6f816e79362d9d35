"""Chance for every sample on its own: numbers that follow from one key for each row.

A sample gets the same numbers in whatever batch it is read, so that training can stop and go on anywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.erfinv import inverse_erf
from ..ops.threefry import threefry
from .arrays import Array

#: Numbers made at a time: few enough to stay in the cache.
_BLOCK = 16384


def child_keys(keys: Array, number: int) -> Array:
    """New keys of keys (n, 2) and a number, such as the place of a step in a sequence."""
    k0, k1 = np.ascontiguousarray(keys.T)
    return np.stack([threefry.eval(k0, k1, np.uint32(number), word=word) for word in ("first", "second")], axis=-1)


def bits(keys: Array, count: int) -> Array:
    """`count` uint32 numbers for every key, those that `bl.random.bits` makes of it: (n, count)."""
    counters = np.arange(count, dtype=np.uint32)[None]
    found = np.empty((len(keys), count), np.uint32)
    rows = max(1, _BLOCK // max(1, count))
    for start in range(0, len(keys), rows):
        k0, k1 = keys[start : start + rows, :1], keys[start : start + rows, 1:]
        found[start : start + rows] = threefry.eval(k0, k1, counters, word="mixed")
    return found


def integers(keys: Array, count: int, end: Any) -> Array:
    """`count` whole numbers from 0 up to, without, `end` (one number, or one a column): (n, count)."""
    return (bits(keys, count).astype(np.uint64) * np.asarray(end, np.uint64) >> np.uint64(32)).astype(np.int64)


def uniforms(keys: Array, count: int) -> Array:
    """`count` numbers in (0, 1) for every key, float64 (n, count)."""
    return (bits(keys, count) + 0.5) * 2.0**-32


def normals(keys: Array, count: int) -> Array:
    """`count` standard normal numbers for every key, float32 (n, count)."""
    # Odd multiples of 2^-24 between -1 and 1: float32 holds them exactly, and none is -1 or 1.
    odd = (bits(keys, count) >> np.uint32(8)).astype(np.int32) * 2 + (1 - 2**24)
    return np.float32(math.sqrt(2)) * inverse_erf(odd.astype(np.float32) * np.float32(2**-24))
