"""Recipes of random numbers: Threefry on an array of counters, and what each distribution makes of its bits.

Integers and keys are those of the eager kernels to the bit, and floats up to the rounding of `log` and `erfinv`.
What sorts (`random_order`) stays with NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...base.dtypes import bool_, float64, int64, uint32
from ...base.shapes import Shape, size_of
from ...graph.node import Node
from ...graph.opdef import OPS, OpDef
from ...graph.tensor import Tensor, wrap
from ...ops.arithmetic import add, multiply, negative, remainder
from ...ops.bits import bitwise_left_shift, bitwise_or, bitwise_right_shift
from ...ops.comparison import less, maximum, minimum, where
from ...ops.erfinv import erfinv
from ...ops.exponential import log, log1p
from ...ops.movement import astype, broadcast_to, reshape
from ...ops.reduce import argmax
from ...ops.threefry import threefry
from .recipes import Recipe
from .recipes_movement import part

#: More counters than `LARGE` are the sums of two small arrays, since a plan holds its constants, on disk too: a number
#: for each row, and one for each place in a row. Rows are axes of the shape, if that makes at most `MANY` numbers.
LARGE, MANY = 1 << 16, 1 << 18

#: Which of the two words of a key each of its elements is.
_FIRST = np.array([True, False])


def _later(op: OpDef, *inputs: Any, **params: Any) -> Any:
    """An op left to the plan even where all its inputs are known: what is large shall be no constant."""
    inputs = tuple(x._node if isinstance(x, Tensor) else x for x in inputs)
    like = op.infer(*[x.spec if type(x) is Node else x for x in inputs], **params)  # type: ignore[misc]
    return wrap(None, Node(op, inputs, params, None, like))


def _row(shape: Shape) -> int:
    """How many elements make a row, where counters are those of the row and that of each in it."""
    n = size_of(shape)
    if n <= LARGE:
        return n
    rows = [size_of(shape[i:]) for i in range(1, len(shape))]
    best = min(rows, key=lambda row: row + n // row, default=n)
    if best + n // best <= MANY:
        return best
    return n // next(d for d in range(math.isqrt(n), 0, -1) if n % d == 0)


def _words(key: tuple[Any, Any], shape: Shape, *words: str) -> Any:
    """For each element of an array the words that belong to its number."""
    n, row = size_of(shape), _row(shape)
    counters = np.arange(row, dtype=uint32)
    if row < n:
        counters = _later(add, np.arange(0, n, row, dtype=uint32)[:, None], counters)
    else:
        counters = counters.reshape(shape)
    found = (_later(threefry, *key, counters, word=word) for word in words)
    return tuple(x if x.shape == shape else reshape(x, shape) for x in found)


def _halves(key: Any) -> tuple[Any, Any]:
    """The two words of a key."""
    return reshape(part(key, 0, 0, 1), ()), reshape(part(key, 0, 1, 2), ())


def _pair(key: tuple[Any, Any], counters: Any) -> tuple[Any, Any]:
    """Both words that belong to each counter."""
    return _later(threefry, *key, counters, word="first"), _later(threefry, *key, counters, word="second")


# --- keys ------------------------------------------------------------------------------------------
# The counters have the shape of the result, so that one kernel computes both words and chooses.


def _split(key: Any, *, n: int) -> Any:
    if n == 0:
        return np.zeros((0, 2), uint32)
    return where(_FIRST, *_pair(_halves(key), np.repeat(np.arange(n, dtype=uint32), 2).reshape(n, 2)))


def _fold_in(key: Any, data: Any) -> Any:
    return where(_FIRST, *_pair(_halves(key), astype(broadcast_to(data, (2,)), uint32)))


# --- what every distribution is made of --------------------------------------------------------------


def _random(key: tuple[Any, Any], shape: Shape, dtype: Any) -> Any:
    if dtype.itemsize < 8:
        (mixed,) = _words(key, shape, "mixed")
        return mixed if dtype == uint32 else astype(mixed, dtype)
    first, second = (astype(word, dtype) for word in _words(key, shape, "first", "second"))
    return bitwise_or(bitwise_left_shift(first, dtype.type(32)), second)


def _uniform(key: Any, shape: Shape, dtype: Any) -> Any:
    """As many leading bits as a mantissa has, as a whole number (of a dtype with sign: these convert fast), scaled."""
    size, mantissa = dtype.itemsize, np.finfo(dtype).nmant
    unsigned = np.dtype(f"u{size}")
    leading = bitwise_right_shift(_random(_halves(key), shape, unsigned), unsigned.type(8 * size - mantissa))
    return multiply(astype(astype(leading, np.dtype(f"i{size}")), dtype), dtype.type(2.0**-mantissa))


def _large(shape: Shape) -> bool:
    return size_of(shape) > 1 << 32  # the counter has a second word then


def _drawn(recipe: Recipe) -> Recipe:
    """A recipe for an array of known shape and dtype, in whose place stands an empty array where it has no elements."""

    def drawn(key: Any, *, shape: Shape, dtype: Any, **params: Any) -> Any:
        if _large(shape):
            return None
        return np.zeros(shape, dtype) if 0 in shape else recipe(key, shape=shape, dtype=dtype, **params)

    return drawn


def _bits(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return _random(_halves(key), shape, dtype)


def _unit_uniform(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return _uniform(key, shape, dtype)


def _standard_normal(key: Any, *, shape: Shape, dtype: Any) -> Any:
    low = np.nextafter(dtype.type(-1), dtype.type(0))
    u = add(multiply(_uniform(key, shape, dtype), 1 - low), low)
    return multiply(erfinv(u), dtype.type(math.sqrt(2)))


def _truncated_normal(key: Any, *, lower: float, upper: float, shape: Shape, dtype: Any) -> Any:
    a, b = math.erf(lower / math.sqrt(2)), math.erf(upper / math.sqrt(2))
    u = add(multiply(astype(_uniform(key, shape, dtype), float64), b - a), a)
    found = astype(multiply(erfinv(u), math.sqrt(2)), dtype)
    inner = [np.nextafter(dtype.type(lower), dtype.type(np.inf)), np.nextafter(dtype.type(upper), dtype.type(-np.inf))]
    return minimum(maximum(found, inner[0]), inner[1])


def _gumbel(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return negative(log(negative(log(maximum(_uniform(key, shape, dtype), np.finfo(dtype).tiny)))))


def _exponential(key: Any, *, shape: Shape, dtype: Any) -> Any:
    return negative(log1p(negative(_uniform(key, shape, dtype))))


# --- choices ---------------------------------------------------------------------------------------


def _bernoulli(key: Any, p: Any, *, shape: Shape) -> Any:
    if _large(shape):
        return None
    return np.zeros(shape, bool_) if 0 in shape else less(_uniform(key, shape, p.dtype), p)


def _categorical(key: Any, logits: Any, *, axis: int, shape: Shape) -> Any:
    count, ndim = logits.shape[axis], logits.ndim
    prefix, batch = shape[: len(shape) - ndim + 1], list(shape[len(shape) - ndim + 1 :])
    batch.insert(len(batch) + axis + 1, count)
    sizes = (*prefix, *batch)
    if count == 0 or _large(sizes) or logits.dtype.kind != "f":
        return None
    if 0 in shape:
        return np.zeros(shape, int64)
    return argmax(add(_gumbel(key, shape=sizes, dtype=logits.dtype), logits), axis=axis)


def _randint(key: Any, *, shape: Shape, low: int, high: int, dtype: Any) -> Any:
    bits = 8 * dtype.itemsize
    unsigned, span, keys = np.dtype(f"u{dtype.itemsize}"), high - low, _split(key, n=2)
    upper, lower = (_random(_halves(reshape(part(keys, 0, i, i + 1), (2,))), shape, unsigned) for i in (0, 1))
    if span == 2**bits:
        offset = lower
    else:
        half = 2 ** (bits // 2) % span
        size, fold = unsigned.type(span), unsigned.type(half * half % 2**bits % span)
        offset = remainder(add(multiply(remainder(upper, size), fold), remainder(lower, size)), size)
    return astype(add(offset, unsigned.type(low % 2**bits)), dtype)


#: What each op becomes: a function of its inputs and parameters.
RANDOM: dict[OpDef, Recipe] = {
    OPS["split_key"]: _split,
    OPS["fold_in"]: _fold_in,
    OPS["bits"]: _drawn(_bits),
    OPS["unit_uniform"]: _drawn(_unit_uniform),
    OPS["standard_normal"]: _drawn(_standard_normal),
    OPS["truncated_normal"]: _drawn(_truncated_normal),
    OPS["gumbel"]: _drawn(_gumbel),
    OPS["exponential"]: _drawn(_exponential),
    OPS["bernoulli"]: _bernoulli,
    OPS["categorical"]: _categorical,
    OPS["randint"]: _drawn(_randint),
}
