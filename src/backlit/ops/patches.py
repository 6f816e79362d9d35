"""NumPy kernels of convolution: patches of the input laid out as a matrix, and one matrix product per block.

The three products of a convolution are the three ways to contract the trilinear form
sum x[n, c, s·p + d·k - lo] · w[o, c, k] · g[n, o, p]. Each walks over the batch in blocks whose patches
stay in the cache (im2col; Chellapilla, Puri & Simard 2006), which is worth a factor of two over
one large matrix that goes through memory.

Arrays come and go as (batch, channels, *space). Where channels are many, a block is gathered with channels last: the
pieces that are copied are longer, and one product serves the whole block.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def padded(x: Array, padding: Pairs, fill: Any = 0, channels_last: bool = False) -> Array:
    """`x` (batch, channels, *size) with a border, in memory channels first or last; a negative border cuts off."""
    if any(map(any, padding)):
        keep = (slice(max(-lo, 0), n + min(hi, 0)) for n, (lo, hi) in zip(x.shape[2:], padding, strict=True))
        x = x[(..., *keep)]
        padding = tuple((max(lo, 0), max(hi, 0)) for lo, hi in padding)
    elif not channels_last:
        return x
    count, channels, *size = x.shape
    shape = tuple(n + lo + hi for n, (lo, hi) in zip(size, padding, strict=True))
    wide = np.full((count, *shape, channels) if channels_last else (count, channels, *shape), fill, x.dtype)
    if channels_last:
        wide = wide.transpose(0, -1, *range(1, wide.ndim - 1))
    wide[inner(tuple(size), padding)] = x
    return wide


def inner(size: Ints, padding: Pairs) -> tuple[Any, ...]:
    """The index of what lies inside the border."""
    return (..., *(slice(lo, lo + n) for n, (lo, _) in zip(size, padding, strict=True)))


def blocks(
    x: Array, kernel: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Iterator[tuple[slice, Array]]:
    """The batch in blocks, each with its patches: about `BLOCK` bytes, overwritten by the next block.

    Where the pieces to copy are longer with channels last, they are one matrix (groups, positions, taps); else
    one for each sample, (batch, groups, taps, positions). Taps are numbered by kernel axes first, then channels.
    """
    count, channels = x.shape[0], x.shape[1] // groups
    plain = prod(kernel) == max(stride) == 1
    by_rows = kernel[-1] * channels > (prod(out) if plain else out[-1])
    x = padded(x, padding, channels_last=by_rows)
    batch, channel, *space = x.strides
    group = channels * channel
    steps = [s * p for s, p in zip(stride, space, strict=True)]
    taps = [d * p for d, p in zip(dilation, space, strict=True)]
    columns = (*kernel, channels)
    size = groups * prod(out) * prod(columns)
    step = max(1, min(count, BLOCK // max(size * x.itemsize, 1)))
    if by_rows:
        patches = as_strided(x, (groups, count, *out, *columns), (group, batch, *steps, *taps, channel))
    else:
        patches = as_strided(x, (count, groups, *columns, *out), (batch, group, *taps, channel, *steps))
    buffer = np.empty(0 if plain and not by_rows else step * size, x.dtype)
    for start in range(0, count, step):
        part = slice(start, min(count, start + step))
        block = patches[:, part] if by_rows else patches[part]
        if buffer.size:
            piece, block = block, buffer[: block.size].reshape(block.shape)
            np.copyto(block, piece)
        if by_rows:
            yield part, block.reshape(groups, (part.stop - start) * prod(out), prod(columns))
        else:
            yield part, block.reshape(part.stop - start, groups, prod(columns), prod(out))


def forward(x: Array, w: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """The convolution of `x` (batch, channels, *size) with `w` (outputs, channels / groups, *kernel)."""
    count, outputs, kernel = len(x), len(w), w.shape[2:]
    out = window_positions(x.shape[2:], kernel, stride, padding, dilation)
    each = outputs // groups
    matrix = w.transpose(0, *range(2, w.ndim), 1).reshape(groups, each, w.shape[1] * prod(kernel))
    turned = np.ascontiguousarray(np.swapaxes(matrix, 1, 2))
    result = np.empty((count, outputs, *out), np.result_type(x, w))
    rows = result.reshape(count, groups, each, prod(out))
    for part, block in blocks(x, kernel, out, stride, padding, dilation, groups):
        if block.ndim == 4:
            np.matmul(matrix, block, out=rows[part])
        else:
            y = np.matmul(block, turned).reshape(groups, part.stop - part.start, prod(out), each)
            rows[part] = y.transpose(1, 0, 3, 2)
    return result


def backward_weight(
    x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """What `forward` is transposed to with respect to `w` with that `kernel`."""
    count, outputs, *out = g.shape
    channels, each = x.shape[1] // groups, outputs // groups
    rows = g.reshape(count, groups, each, prod(out))
    result = np.zeros((groups, each, channels * prod(kernel)), np.result_type(x, g))
    for part, block in blocks(x, kernel, tuple(out), stride, padding, dilation, groups):
        if block.ndim == 4:
            result += np.matmul(rows[part], np.swapaxes(block, 2, 3)).sum(axis=0)
        else:
            result += np.matmul(rows[part].transpose(1, 2, 0, 3).reshape(groups, each, block.shape[1]), block)
    result = result.reshape(outputs, *kernel, channels)
    return np.ascontiguousarray(result.transpose(0, -1, *range(1, result.ndim - 1)))


def backward_input(g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """What `forward` is transposed to with respect to `x` of `size`.

    Along the last axis every s-th element of `x`, beginning with number r, has met the same taps of the kernel, those
    with d·k = lo + r modulo s. So for each such phase it is a convolution with stride 1 of `g` with these taps,
    turned round (Dumoulin & Visin 2016, section 4). Along the other axes its results are added where they came from:
    that is done in long pieces, and spares the products with a border of zeros.
    """
    count, outputs, *out = g.shape
    channels, lead = w.shape[1], w.shape[2:-1]
    full = tuple(n + lo + hi for n, (lo, hi) in zip(size[:-1], padding[:-1], strict=True))
    w = w.reshape(groups, outputs // groups, channels, *w.shape[2:])
    w = w.transpose(0, *range(3, w.ndim - 1), 2, 1, -1)
    w = w.reshape(groups * prod(lead) * channels, outputs // groups, *(1 for _ in lead), w.shape[-1])
    result = np.zeros((count, groups, channels, *full, size[-1]), np.result_type(g, w))
    reach = [
        tuple(slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, n, s in zip(tap, dilation, out, stride, strict=False))
        for tap in np.ndindex(*lead)
    ]
    ones, none = (1,) * len(lead), ((0, 0),) * len(lead)
    step = max(1, BLOCK // max(len(w) * prod(out[:-1]) * size[-1] * g.itemsize, 1))
    along = (size[-1], w.shape[-1], stride[-1], padding[-1][0], dilation[-1], out[-1])
    for places, taps, border, spread in _phases(*along):
        for start in range(0, count, step):
            part = slice(start, min(count, start + step))
            y = forward(g[part], w[..., taps], (*ones, 1), (*none, border), (*ones, spread), groups)
            y = y.reshape(len(y), groups, len(reach), channels, *y.shape[2:])
            for i, where in enumerate(reach):
                result[(part, slice(None), slice(None), *where, places)] += y[:, :, i]
    return result.reshape(count, groups * channels, *full, size[-1])[inner(size, (*padding[:-1], (0, 0)))]


def _phases(n: int, k: int, s: int, lo: int, d: int, m: int) -> Iterator[tuple[slice, slice, tuple[int, int], int]]:
    """For each phase that has taps: its places in x, its taps turned round, the border of g, and the dilation."""
    for r in range(min(s, n)):
        met = [t for t in range(k) if (lo + r - d * t) % s == 0]
        if met:
            first, last = (lo + r - d * met[-1]) // s, (lo + r - d * met[0]) // s  # of g, that x[r] has met
            count = (n - r - 1) // s + 1
            taps = slice(met[-1], met[0] - 1 if met[0] else None, -(s // gcd(s, d)))
            yield slice(r, None, s), taps, (-first, last + count - m), d // gcd(s, d)
