"""NumPy kernels of convolution: patches of the input laid out as a matrix, and one matrix product per block.

The three products of a convolution are the three ways to contract the trilinear form
sum x[n, c, s·p + d·k] · w[o, c, k] · g[n, o, p]. Each walks over the batch in blocks whose patches
stay in the cache (im2col; Chellapilla, Puri & Simard 2006), which is worth a factor of two over
one large matrix that goes through memory.

With unit strides the positions p are taken as one flat run along whole rows of the input, so that a patch is a
plain shifted copy. The few positions at row ends that are no outputs are computed and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Array = np.ndarray[Any, Any]

#: Bytes of patches worked on at a time; measured best between 256 KiB and 2 MiB.
BLOCK = 1 << 20


def window_positions(size: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    """How many places a window has along each axis; less than 1 where it does not fit."""
    return tuple(
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def padded(x: Array, padding: Pairs, fill: Any = 0) -> Array:
    """`x` (batch, channels, *size) with a border, contiguous."""
    if not any(lo or hi for lo, hi in padding):
        return np.ascontiguousarray(x)
    shape = tuple(n + lo + hi for n, (lo, hi) in zip(x.shape[2:], padding, strict=True))
    wide = np.full((*x.shape[:2], *shape), fill, x.dtype)
    wide[inner(x.shape[2:], padding)] = x
    return wide


def inner(size: Ints, padding: Pairs) -> tuple[Any, ...]:
    """The index of what lies inside the border."""
    return (..., *(slice(lo, lo + n) for n, (lo, _) in zip(size, padding, strict=True)))


class Layout(NamedTuple):
    """How the positions of windows over an input of `size` (border included) lie in the columns of the patch matrix.

    `out` are the positions along each axis, `pitch` how many elements lie between neighbours along each
    axis of the input, `columns` how many columns there are.
    """

    size: Ints
    kernel: Ints
    stride: Ints
    dilation: Ints
    out: Ints
    pitch: Ints
    columns: int
    flat: bool


@lru_cache(maxsize=256)
def layout(size: Ints, kernel: Ints, stride: Ints, dilation: Ints) -> Layout:
    """The layout of a convolution: flat runs unless a stride forbids them or most of them would be dropped."""
    out = window_positions(size, kernel, stride, ((0, 0),) * len(size), dilation)
    pitch = tuple(prod(size[i + 1 :]) for i in range(len(size)))
    run = sum((n - 1) * p for n, p in zip(out, pitch, strict=True)) + 1
    flat = max(stride) == 1 and run <= 2 * prod(out)
    return Layout(size, kernel, stride, dilation, out, pitch, run if flat else prod(out), flat)


def patches_of(x: Array, lay: Layout) -> Array:
    """A view (batch, channels, *kernel, *columns) of the contiguous `x`: what each tap of the kernel sees."""
    item = x.itemsize
    taps = tuple(d * p * item for d, p in zip(lay.dilation, lay.pitch, strict=True))
    if lay.flat:
        shape, steps = (lay.columns,), (item,)
    else:
        shape, steps = lay.out, tuple(s * p * item for s, p in zip(lay.stride, lay.pitch, strict=True))
    return as_strided(x, (*x.shape[:2], *lay.kernel, *shape), (*x.strides[:2], *taps, *steps), writeable=False)


def spread(g: Array, lay: Layout) -> Array:
    """A cotangent (batch, channels, *out) in columns, zero where the columns are no outputs."""
    n, o = g.shape[:2]
    if not lay.flat or lay.out[1:] == lay.size[1:]:
        return np.ascontiguousarray(g).reshape(n, o, prod(lay.out))
    wide = np.zeros((n, o, lay.out[0], *lay.size[1:]), g.dtype)
    wide[(..., *map(slice, lay.out))] = g
    return wide.reshape(n, o, prod(wide.shape[2:]))[..., : lay.columns]


def blocks(batch: int, channels: int, itemsize: int, lay: Layout) -> Iterator[slice]:
    """The batch in blocks whose patches take about `BLOCK` bytes."""
    per = channels * prod(lay.kernel) * lay.columns * itemsize
    step = max(1, BLOCK // max(per, 1))
    return (slice(i, min(batch, i + step)) for i in range(0, batch, step))


def gathered(patches: Array, part: slice, buffer: list[Array]) -> Array:
    """The patches of a block in one piece, copied only where they are scattered."""
    block = patches[part]
    if not block.flags.c_contiguous:
        if not buffer or len(buffer[0]) < len(block):
            buffer[:] = [np.empty(block.shape, block.dtype)]
        into = buffer[0][: len(block)]
        np.copyto(into, block)
        block = into
    return block


def forward(x: Array, w: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """The convolution of `x` (batch, channels, *size) with `w` (outputs, channels / groups, *kernel)."""
    x = padded(x, padding)
    lay = layout(x.shape[2:], w.shape[2:], stride, dilation)
    patches = patches_of(x, lay)
    count, channels, outputs = len(x), x.shape[1], len(w)
    taps = channels // groups * prod(lay.kernel)
    matrix = w.reshape(groups, outputs // groups, taps)
    result = np.empty((count, outputs, *lay.out), np.result_type(x, w))
    trimmed = lay.flat and lay.out[1:] != lay.size[1:]
    buffer: list[Array] = []
    for part in blocks(count, channels, x.itemsize, lay):
        block = gathered(patches, part, buffer)
        n = len(block)
        block = block.reshape(n, groups, taps, lay.columns)
        if trimmed:
            rows = np.empty((n, groups, outputs // groups, lay.out[0] * prod(lay.size[1:])), result.dtype)
            np.matmul(matrix, block, out=rows[..., : lay.columns])
            rows = rows.reshape(n, outputs, lay.out[0], *lay.size[1:])
            result[part] = rows[(..., *map(slice, lay.out))]
        else:
            np.matmul(matrix, block, out=result[part].reshape(n, groups, outputs // groups, lay.columns))
    return result


def backward_input(g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """What `forward` is transposed to with respect to `x` of `size`: patches are added back where they came from."""
    full = tuple(n + lo + hi for n, (lo, hi) in zip(size, padding, strict=True))
    lay = layout(full, w.shape[2:], stride, dilation)
    count, outputs = g.shape[:2]
    channels = w.shape[1] * groups
    taps = w.shape[1] * prod(lay.kernel)
    matrix = np.ascontiguousarray(np.swapaxes(w.reshape(groups, outputs // groups, taps), 1, 2))
    columns = spread(g, lay).reshape(count, groups, outputs // groups, lay.columns)
    result = np.zeros((count, channels, *full), np.result_type(g, w))
    run = result.reshape(count, channels, prod(full))
    for part in blocks(count, channels, g.itemsize, lay):
        block = np.matmul(matrix, columns[part])
        block = block.reshape(len(block), channels, *lay.kernel, *((lay.columns,) if lay.flat else lay.out))
        for tap in np.ndindex(*lay.kernel):
            start = tuple(d * k for d, k in zip(lay.dilation, tap, strict=True))
            if lay.flat:
                at = sum(k * p for k, p in zip(start, lay.pitch, strict=True))
                target = run[part, :, at : at + lay.columns]
            else:
                ends = (slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(start, lay.out, lay.stride, strict=True))
                target = result[(part, slice(None), *ends)]
            target += block[(slice(None), slice(None), *tap)]
    return result[inner(size, padding)]


def backward_weight(
    x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """What `forward` is transposed to with respect to `w` with that `kernel`."""
    x = padded(x, padding)
    lay = layout(x.shape[2:], kernel, stride, dilation)
    patches = patches_of(x, lay)
    count, channels, outputs = len(x), x.shape[1], g.shape[1]
    taps = channels // groups * prod(kernel)
    columns = spread(g, lay).reshape(count, groups, outputs // groups, lay.columns)
    result = np.zeros((groups, outputs // groups, taps), np.result_type(x, g))
    buffer: list[Array] = []
    for part in blocks(count, channels, x.itemsize, lay):
        block = gathered(patches, part, buffer)
        block = block.reshape(len(block), groups, taps, lay.columns)
        result += np.matmul(columns[part], np.swapaxes(block, -1, -2)).sum(axis=0)
    return result.reshape(outputs, channels // groups, *kernel)
