"""NumPy kernels of convolution: patches of the input laid out as a matrix, and one matrix product per block.

The three products of a convolution are the three ways to contract the trilinear form
sum x[n, c, s·p + d·k - lo] · w[o, c, k] · g[n, o, p]. They are made of two kernels that walk over the batch in blocks
whose patches stay in the cache (im2col; Chellapilla, Puri & Simard 2006), which is worth a factor of two over
one large matrix that goes through memory. The product with respect to x is again convolutions, of g with parts
of w turned round (`backward_input`): to read patches is many times faster than to add them up in place.

Arrays come and go as (batch, channels, *space). Within a block channels lie last wherever that makes the pieces that
are copied into patches longer; a few layers of 8 to 64 channels gain a factor of two to four by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Array = np.ndarray[Any, Any]

#: Bytes of patches worked on at a time; measured best between 256 KiB and 1 MiB.
BLOCK = 1 << 20


def window_positions(size: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    """How many places a window has along each axis; less than 1 where it does not fit."""
    return tuple(
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def padded(x: Array, padding: Pairs, fill: Any = 0) -> Array:
    """`x` (batch, channels, *size) with a border; what a negative border cuts off is gone."""
    if not any(lo or hi for lo, hi in padding):
        return x
    x = x[(..., *(slice(max(-lo, 0), n + min(hi, 0)) for n, (lo, hi) in zip(x.shape[2:], padding, strict=True)))]
    padding = tuple((max(lo, 0), max(hi, 0)) for lo, hi in padding)
    shape = tuple(n + lo + hi for n, (lo, hi) in zip(x.shape[2:], padding, strict=True))
    wide = np.full((*x.shape[:2], *shape), fill, x.dtype)
    wide[inner(x.shape[2:], padding)] = x
    return wide


def inner(size: Ints, padding: Pairs) -> tuple[Any, ...]:
    """The index of what lies inside the border."""
    return (..., *(slice(lo, lo + n) for n, (lo, _) in zip(size, padding, strict=True)))


def blocks(
    x: Array, kernel: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Iterator[tuple[slice, Array]]:
    """The batch in blocks, each with its patches as matrices (groups, positions, taps), taps in the order of `taps_of`.

    A block takes about `BLOCK` bytes, and is overwritten by the next one.
    """
    count, channels = x.shape[0], x.shape[1] // groups
    axes = range(3, 3 + len(kernel))
    by_rows = kernel[-1] * channels > out[-1]  # copy pieces of all channels; else pieces of neighbouring positions
    x = padded(x, padding)
    x = x.reshape(count, groups, channels, *x.shape[2:])
    if by_rows:
        x = np.ascontiguousarray(x.transpose(0, 1, *axes, 2)).transpose(0, 1, -1, *(a - 1 for a in axes))
    else:
        x = np.ascontiguousarray(x)
    batch, group, channel, *space = x.strides
    steps = [s * p for s, p in zip(stride, space, strict=True)]
    taps = [d * p for d, p in zip(dilation, space, strict=True)]
    columns, rows = (*kernel, channels), (count, *out)
    if by_rows:
        shape, strides, where = (groups, *rows, *columns), (group, batch, *steps, *taps, channel), 1
    else:
        shape, strides, where = (groups, *columns, *rows), (group, *taps, channel, batch, *steps), 2 + len(kernel)
    patches = as_strided(x, shape, strides, writeable=False)
    positions, width = prod(out), prod(columns)
    step = max(1, min(count, BLOCK // max(groups * positions * width * x.itemsize, 1)))
    buffer = np.empty(groups * step * positions * width, x.dtype)
    before = (slice(None),) * where
    for start in range(0, count, step):
        part = slice(start, min(count, start + step))
        piece = patches[(*before, part)]
        block = buffer[: piece.size].reshape(piece.shape)
        np.copyto(block, piece)
        if by_rows:
            yield part, block.reshape(groups, -1, width)
        else:
            yield part, np.swapaxes(block.reshape(groups, width, -1), 1, 2)


def forward(x: Array, w: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """The convolution of `x` (batch, channels, *size) with `w` (outputs, channels / groups, *kernel)."""
    count, outputs, kernel = len(x), len(w), w.shape[2:]
    out = window_positions(x.shape[2:], kernel, stride, padding, dilation)
    taps = np.moveaxis(w.reshape(groups, outputs // groups, *w.shape[1:]), 2, -1)
    matrix = np.ascontiguousarray(np.swapaxes(taps.reshape(groups, outputs // groups, w[0].size), 1, 2))
    result = np.empty((count, outputs, *out), np.result_type(x, w))
    rows = result.reshape(count, groups, outputs // groups, prod(out))
    for part, block in blocks(x, kernel, out, stride, padding, dilation, groups):
        y = np.matmul(block, matrix)
        rows[part] = y.reshape(groups, -1, prod(out), outputs // groups).transpose(1, 0, 3, 2)
    return result


def backward_weight(
    x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """What `forward` is transposed to with respect to `w` with that `kernel`."""
    count, outputs, *out = g.shape
    channels = x.shape[1] // groups
    rows = g.reshape(count, groups, outputs // groups, prod(out))
    result = np.zeros((groups, channels * prod(kernel), outputs // groups), np.result_type(x, g))
    for part, block in blocks(x, kernel, tuple(out), stride, padding, dilation, groups):
        columns = rows[part].transpose(1, 0, 3, 2).reshape(groups, -1, outputs // groups)
        result += np.matmul(np.swapaxes(block, 1, 2), columns)
    taps = np.swapaxes(result, 1, 2).reshape(outputs, *kernel, channels)
    return np.ascontiguousarray(np.moveaxis(taps, -1, 1))


def backward_input(g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """What `forward` is transposed to with respect to `x` of `size`.

    Every s-th element of `x` along an axis, beginning with number r, has met the same taps of the kernel, those with
    d·k = lo + r modulo s. So for each such phase it is one convolution with stride 1 of `g` with these taps, turned
    round (Dumoulin & Visin 2016, section 4).
    """
    count, outputs = g.shape[:2]
    channels = w.shape[1]
    w = np.swapaxes(w.reshape(groups, outputs // groups, *w.shape[1:]), 1, 2)
    w = w.reshape(groups * channels, outputs // groups, *w.shape[3:])
    every = [
        _phases(n, k, s, lo, d, m)
        for n, k, s, (lo, _), d, m in zip(size, w.shape[2:], stride, padding, dilation, g.shape[2:], strict=True)
    ]
    steps = tuple(d // gcd(s, d) for s, d in zip(stride, dilation, strict=True))
    ones = (1,) * len(size)
    whole = max(stride) == 1
    result = None if whole else np.zeros((count, groups * channels, *size), np.result_type(g, w))
    for phase in product(*every):
        places, taps, pads = zip(*phase, strict=True)
        y = forward(g, w[(..., *taps)], ones, pads, steps, groups)
        if result is None:
            return y
        result[(..., *places)] = y
    return result


def _phases(n: int, k: int, s: int, lo: int, d: int, m: int) -> Iterator[tuple[slice, slice, tuple[int, int]]]:
    """Along one axis, for each phase that has taps: its places in x, its taps turned round, and the border of g."""
    for r in range(min(s, n)):
        met = [t for t in range(k) if (lo + r - d * t) % s == 0]
        if met:
            first, last = (lo + r - d * met[-1]) // s, (lo + r - d * met[0]) // s  # of g, that x[r] has met
            count = (n - r - 1) // s + 1
            stop = met[0] - 1 if met[0] else None
            taps = slice(met[-1], stop, -(s // gcd(s, d)))
            yield slice(r, None, s), taps, (-first, last + count - m)
