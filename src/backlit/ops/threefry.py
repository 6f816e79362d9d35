"""Threefry-2x32: random bits as a function of a key and a counter, in vectorised NumPy.

Salmon, Moraes, Dror & Shaw 2011, 'Parallel random numbers: as easy as 1, 2, 3' (SC '11), with 20 rounds.
Counters and the use of the two words are those of `jax.random` (its `threefry_partitionable` form), so
that a key gives the same bits there and here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.shapes import Shape, size_of
from ..graph.op import elementwise

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_MASK = 0xFFFFFFFF
#: Counters mixed at a time: few enough to stay in the cache, enough to hide the cost of a call.
_BLOCK = 16384


def threefry2x32(key: Any, high: Any, low: Any) -> tuple[Any, Any]:
    """The two words that `key` gives for the counters `(high, low)`, uint32 arrays of one shape."""
    x0, x1 = np.array(high, np.uint32, ndmin=1), np.array(low, np.uint32, ndmin=1)
    _mix(int(key[0]), int(key[1]), x0, x1, np.empty_like(x1))
    return x0, x1


def _mix(k0: Any, k1: Any, x0: Any, x1: Any, spare: Any) -> None:
    """Twenty rounds on the counters in `x0` and `x1`, in place; the key as two ints, or arrays that broadcast."""
    schedule = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0 += np.uint32(k0)
    x1 += np.uint32(k1)
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            x0 += x1
            np.left_shift(x1, np.uint32(turn), out=spare)
            np.right_shift(x1, np.uint32(32 - turn), out=x1)
            np.bitwise_or(x1, spare, out=x1)
            np.bitwise_xor(x1, x0, out=x1)
        x0 += np.uint32(schedule[(group + 1) % 3])
        x1 += np.uint32((schedule[(group + 2) % 3] + group + 1) & _MASK)


def words(key: Any, n: int) -> tuple[Any, Any]:
    """The two words for each of the counters 0 to n-1."""
    k0, k1 = int(key[0]), int(key[1])
    first, second = np.empty(n, np.uint32), np.empty(n, np.uint32)
    spare = np.empty(min(n, _BLOCK), np.uint32)
    for start in range(0, n, _BLOCK):
        x0, x1 = first[start : start + _BLOCK], second[start : start + _BLOCK]
        counters = np.arange(start, start + x0.size, dtype=np.uint64)
        x0[:] = counters >> np.uint64(32)
        x1[:] = counters & np.uint64(_MASK)
        _mix(k0, k1, x0, x1, spare[: x0.size])
    return first, second


def random_bits(key: Any, shape: Shape, dtype: Any) -> Any:
    """Uniform bits in an unsigned integer dtype of 8 to 64 bits."""
    first, second = words(key, size_of(shape))
    if dtype.itemsize == 8:
        found = (first.astype(np.uint64) << np.uint64(32)) | second
    else:
        found = np.bitwise_xor(first, second, out=first).astype(dtype, copy=False)
    return found.reshape(shape)


def unit_uniforms(key: Any, shape: Shape, dtype: Any) -> Any:
    """Uniform numbers in [0, 1): random mantissas under the exponent of 1, less 1."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    mantissa = np.finfo(dtype).nmant
    bits = random_bits(key, shape, unsigned)
    bits >>= unsigned.type(8 * dtype.itemsize - mantissa)
    bits |= np.ones((), dtype).view(unsigned)
    found = bits.view(dtype)
    found -= dtype.type(1)
    return found


# --- the same as an op: what native plans make of all random ops -----------------------------------


def _chosen(first: Any, second: Any, word: str) -> Any:
    return {"first": lambda: first, "second": lambda: second, "mixed": lambda: first ^ second}[word]()


def _eval(k0: Any, k1: Any, counter: Any, /, *, word: str) -> Any:
    shape = np.broadcast_shapes(np.shape(k0), np.shape(k1), np.shape(counter))
    x0, x1 = np.zeros(shape or 1, np.uint32), np.array(np.broadcast_to(counter, shape), ndmin=1)
    _mix(np.array(k0, np.uint32, ndmin=1), np.array(k1, np.uint32, ndmin=1), x0, x1, np.empty_like(x1))
    return _chosen(x0, x1, word).reshape(shape)[()]


def _native(k: Any, k0: Any, k1: Any, counter: Any, *, word: str) -> Any:
    schedule = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = k0, counter + k1
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << turn | x1 >> 32 - turn) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + (schedule[(group + 2) % 3] + (group + 1))
    return _chosen(x0, x1, word)


threefry = elementwise(
    "threefry", "A word that a key of two words gives for a counter below 2³²: the `first` or the `second`, or both "
    "`mixed` by exclusive or (Threefry-2x32).",
    eval=_eval, native=_native, namespace="hidden", dtypes="uint32", traits="dear",
    nondiff="random numbers do not change with their key",
    samples=lambda rng: [(tuple(rng.integers(0, 2**32, shape, dtype=np.uint32) for shape in ((), (), (3, 4))),
                          {"word": word}) for word in ("first", "second", "mixed")],
)  # fmt: skip
