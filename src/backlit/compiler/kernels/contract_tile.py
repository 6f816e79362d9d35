"""The cut of a matrix product into register tiles: which height and how many vectors, by counting cycles."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ..codegen.writer import Target

#: Independent sums that a core must have in flight: two fused multiply-adds start in each cycle and take four or five.
IN_FLIGHT = 10
#: Cycles of a tile outside its inner loop, and per accumulator: zeroing, the epilogue, the branches.
TILE_COST, ACCUMULATOR_COST = 25, 1.5
#: What one more version of the inner loop must gain, for the text that it adds.
VERSION_COST = 0.1


class Cut(NamedTuple):
    """Rows cut into `tiles` of nearly equal height: the first `big` have `height` rows, the others one less."""

    size: int
    height: int
    tiles: int
    big: int

    @staticmethod
    def of(size: int, highest: int) -> Cut:
        """As few tiles as possible, none higher than `highest`."""
        tiles = max(1, -(-size // highest))
        height = max(1, -(-size // tiles))
        return Cut(size, height, tiles, size - tiles * (height - 1))

    @property
    def versions(self) -> list[tuple[int, int, int, int]]:
        """For each height that occurs: the height, its first and last tile, and what to add to `tile · height`."""
        found = [(self.height, 0, self.big, 0), (self.height - 1, self.big, self.tiles, self.big)]
        return [v for v in found if v[1] < v[2] and v[0]]


class Panels(NamedTuple):
    """Columns cut into panels of `width`; the last may be narrower."""

    size: int
    width: int

    @property
    def number(self) -> int:
        return -(-self.size // self.width)

    @property
    def versions(self) -> list[tuple[int, int, int]]:
        """For each width that occurs: the width, and its first and last panel."""
        full = self.size // self.width
        found = [(self.width, 0, full), (self.size % self.width, full, self.number)]
        return [v for v in found if v[1] < v[2]]


def chains(sums: int) -> int:
    """In how many parts, each of every n-th term, a tile of so many sums is best summed."""
    return max(1, IN_FLIGHT // sums)


@lru_cache(256)
def tile(
    m: int, n: int, k: int, code: str, target: Target, most: int = 64, batch: int = 1, threads: int = 1
) -> tuple[Cut, Panels]:
    """Rows and panels of the cheapest tile for an m × k by k × n product with the lanes along n.

    In a step of the inner loop a tile of h rows and v vectors takes h·v multiply-adds, and loads h numbers (each
    spread over a vector) and v vectors; two of either go in a cycle. Too few sums in flight wait for one another.
    """
    lanes = target.lanes(code)
    best: tuple[float, Cut, Panels] | None = None
    for v in range(1, min(8, -(-n // lanes)) + 1):
        for highest in range(1, max(1, min(most, (target.vector_registers - v - 1) // v)) + 1):
            rows, panels = Cut.of(m, highest), Panels(n, v * lanes)
            if rows.height != highest and highest != 1:
                continue
            cost = 0.0
            for h, t0, t1, _ in rows.versions:
                for width, p0, p1 in panels.versions:
                    w = -(-width // lanes)
                    step = max(h * w, h + w, IN_FLIGHT / chains(h * w)) / 2
                    cost += (t1 - t0) * (p1 - p0) * (k * step + TILE_COST + ACCUMULATOR_COST * h * w)
            units = rows.tiles * panels.number * batch
            cost *= -(-units // threads) * threads / units
            cost *= 1 + VERSION_COST * (len(rows.versions) * len(panels.versions) - 1)
            if best is None or cost < best[0]:
                best = cost, rows, panels
    assert best is not None
    return best[1], best[2]


def dots_tile(m: int, n: int, code: str, target: Target) -> tuple[Cut, Panels]:
    """Rows and panels for a product with the lanes along k: every result of a tile has an accumulator of its own."""
    width = min(_power(n), 4, target.lanes(code))
    return Cut.of(m, min(4, (target.vector_registers - width - 1) // width)), Panels(n, width)


def _power(n: int) -> int:
    """The smallest power of two that is no less than n."""
    return 1 << (n - 1).bit_length()
