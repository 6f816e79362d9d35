"""Register tiles of convolutions: positions of a row times output channels, chosen by a model of the processor."""

from __future__ import annotations

from typing import NamedTuple

from ..codegen.writer import Target
from .conv_axes import Axis

#: Kernels up to this long along the last axis are unrolled along it.
UNROLLED = 8
#: Bytes of weights that a tile may use for them to stay in the first-level cache.
NEAR = 1 << 14


class Tile(NamedTuple):
    """Accumulators: in each of some rows `wide` positions, times `deep` channels or vectors of channels."""

    wide: int
    deep: int


def best_tile(
    count: int, channels: int, axis: Axis, depth: int, weight: int, target: Target, rows: int = 1, step: int = 1,
    texts: int = 1,
) -> Tile:  # fmt: skip
    """The tile that takes the fewest cycles for `rows` rows of `count` positions, by a small model of the processor.

    Two products and two loads a cycle, but only one from the second-level cache; four cycles until a sum can be used
    again. `depth` is the number of input channels and taps of the other axes, `weight` the bytes of a weight, or vector
    of them. A tile's start and end cost some cycles too. The accumulators, the inputs of one tap and a weight must fit
    into the registers. It is some multiple of `step` wide. Of two that are about as fast the one with the shorter text
    is better: tiles at the border, and for channels left over, have texts of their own, all of it in `texts` phases.
    """
    taps_ = min(axis.taps, UNROLLED) or 1
    widest = min(count, max(16, step))
    seen: set[int] = set()
    reach = [0]  # how many inputs so many positions of a row see
    for i in range(widest):
        seen.update(axis.stride * i + axis.dilation * t for t in range(taps_))
        reach.append(rows * len(seen))

    def cycles(wide: int, deep: int) -> float:
        near = depth * axis.taps * deep * weight <= NEAR
        loads = reach[wide] / 2 + deep * taps_ / (2 if near else 1)
        work = max(rows * wide * deep * taps_ / 2, loads, 4 * taps_) + 0.1 * loads
        return depth * (work + 1) + rows * wide * deep + 8

    def whole(wide: int, deep: int) -> float:
        return count // wide * cycles(wide, deep) + (cycles(count % wide, deep) if count % wide else 0)

    def text(wide: int, deep: int) -> int:
        copies = len(edges(axis, wide)[2]) + 1
        return copies * taps_ * rows * wide * (deep + (channels % deep if channels > deep else 0))

    best, least = Tile(step, 1), float("inf")
    for wide in range(step, widest + 1, step):
        for deep in range(1, min(channels, 8) + 1):
            if rows * wide * (deep + 1) + 2 > target.vector_registers:
                break
            total = channels // deep * whole(wide, deep) + (whole(wide, channels % deep) if channels % deep else 0)
            total *= 1 + texts * text(wide, deep) / 5000
            if total < least:
                best, least = Tile(wide, deep), total
    return best


def edges(axis: Axis, wide: int) -> tuple[int, int, list[int]]:
    """A row in tiles: from which to which all taps lie in the input, and the numbers of the other tiles."""
    low, high = axis.inner
    whole = axis.positions // wide
    first = min(whole, -(-low // wide))
    last = max(first, min(whole, high // wide))
    return first, last, [t for t in range(-(-axis.positions // wide)) if not first <= t < last]
