"""In which order a matrix product is done: what is packed, how much at a time, and how threads share it."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..codegen.values import size_of
from ..codegen.writer import Target
from .contract_tile import Cut, Panels, dots_tile, tile
from .views import View

#: Bytes of a block of the left operand, which should stay in the second level beside a panel of the right one.
BLOCK = 192 << 10
#: Bytes of columns packed at once, and of a left operand that may be read again for each panel, from the third level.
PACKED, READ_AGAIN = 4 << 20, 4 << 20
#: Sums longer than this are cut: panels must stay in the second level, and errors should not grow with k.
DEEP = 2048
#: Bytes of sums that wait for the rest of k.
SUMS = 2 << 20
#: Multiply-adds below which another thread costs more than it brings.
WORTH = 25_000


class Plan(NamedTuple):
    """The order of work of a product m × k by k × n, for each of a batch of matrices.

    Columns are cut into panels and rows into tiles. A unit of work is a block of `tiles` tiles by `width` panels.
    Units are numbered by matrix, then by block of columns, then by block of rows.

    Attributes:
        rows, panels: the cut into tiles.
        along_k: are the lanes along k? Else they are along the columns.
        tiles, width: tiles and panels of a block.
        chunk: how many tiles are packed, and go over a panel, at a time.
        deep: how much of k is summed in registers at a time.
        pack_lhs: is the left operand packed?
        pack_rhs: is the right operand packed?
    """

    rows: Cut
    panels: Panels
    along_k: bool
    tiles: int
    width: int
    chunk: int
    deep: int
    pack_lhs: bool
    pack_rhs: bool

    @property
    def row_blocks(self) -> int:
        return -(-self.rows.tiles // self.tiles)

    @property
    def column_blocks(self) -> int:
        return -(-self.panels.number // self.width)


def plan(lhs: View, rhs: View, code: str, target: Target, threads: int) -> Plan:
    """The plan for views of shapes (*batch, m, k) and (*batch, k, n), nothing of them 0; `code` is that of the sums."""
    (m, deep), n = lhs.shape[-2:], rhs.shape[-1]
    batch = math.prod(lhs.shape[:-2])
    lanes = target.lanes(code)
    fast = code[0] == "f" and lhs.buffer.code == rhs.buffer.code == code
    if fast and _dots(m, deep, lanes, lhs, rhs):
        rows, panels = dots_tile(m, n, code, target)
        return Plan(rows, panels, True, 1, 1, 1, deep, False, False)
    highest = _rows_at_once(lhs, size_of(code))
    rows, panels = tile(m, n, deep, code, target, highest, batch, threads)
    if not fast:
        return Plan(rows, panels, False, 1, 1, 1, deep, False, False)
    size = size_of(code)
    blocks = -(-deep // DEEP)
    at_once = deep if blocks == 1 else -(-deep // (blocks * lanes)) * lanes
    pack_rhs = _rhs_packed(rhs, at_once, rows.tiles, lanes, size)
    pack_lhs = _lhs_packed(lhs, at_once, panels.number, size)
    tiles = width = 1
    if batch >= 2 * threads:
        tiles, width = rows.tiles, panels.number
    elif blocks > 1 or (pack_lhs and pack_rhs) or m * deep * size > READ_AGAIN:
        tiles, width = rows.tiles, panels.number
        by_columns = _unevenness(panels.number, threads), m * pack_lhs  # what every thread must pack for itself
        by_rows = _unevenness(rows.tiles, threads), n * pack_rhs
        if by_columns <= by_rows:
            width = -(-panels.number // threads)
        else:
            tiles = -(-rows.tiles // threads)
    elif pack_lhs:  # as many tiles as use whole lines of the cache
        tiles, width = min(max(1, 64 // (rows.height * size)), -(-rows.tiles // threads)), panels.number
    width = max(1, min(width, PACKED // (at_once * panels.width * size)))
    chunk = max(1, min(tiles, BLOCK // (at_once * rows.height * size)))
    if blocks > 1:
        tiles = max(chunk, min(tiles, SUMS // (rows.height * width * panels.width * size)))
    else:
        most = -(-tiles // -(-tiles // chunk))
        others = batch * -(-panels.number // width)
        tiles = min(range(most, most // 2, -1), key=lambda t: _unevenness(-(-rows.tiles // t) * others, threads))
        chunk = tiles
    return Plan(rows, panels, False, tiles, width, chunk, at_once, pack_lhs, pack_rhs)


def _unevenness(parts: int, threads: int) -> float:
    """The largest share of a thread, against an equal one."""
    return -(-parts // threads) * threads / parts


def _dots(m: int, deep: int, lanes: int, lhs: View, rhs: View) -> bool:
    """Are lanes along k better? Both operands must lie along it, and transposing the right one must not pay."""
    if lhs.strides[-1] != 1 or rhs.strides[-2] != 1 or rhs.strides[-1] == 1 or deep < 2 * lanes:
        return False
    return m <= 4 * lanes and 4 * m < deep


def _rows_at_once(lhs: View, size: int) -> int:
    """How many rows the first level can hold beside each other: those a power of two apart share a few places."""
    across, along = (abs(s) * size for s in lhs.strides[-2:])
    return 64 if across < along else 8 * _places(across, 4 << 10)


def _rhs_packed(rhs: View, deep: int, tiles: int, lanes: int, size: int) -> bool:
    """Is a panel worth a copy? It costs about as much as a tile or two; most tiles gain less than that from it."""
    n = rhs.shape[-1]
    if rhs.strides[-1] != 1:
        return n > 1
    step = rhs.strides[-2] * size
    poor = n < lanes or _scattered(step, deep)  # part of a vector in each row: it may lie in two lines
    return (tiles >= 8 and poor) or (tiles >= 32 and deep > 8 * _places(step, 4 << 10))


def _lhs_packed(lhs: View, deep: int, panels: int, size: int) -> bool:
    across, along = lhs.strides[-2:]
    return panels >= 3 and across == 1 and along != 1 and _scattered(along * size, deep)


def _scattered(step: int, lines: int) -> bool:
    """Do lines of memory that lie `step` bytes apart push one another out of the second level, or take too many pages?

    That level has 16 places for lines at the same address modulo 64 KiB; half of them may be counted on.
    """
    return lines > 8 * _places(step, 64 << 10) or lines * min(abs(step), 4096) > 2 << 20


def _places(step: int, period: int) -> int:
    """How many different addresses modulo `period` lie `step` bytes apart."""
    return period // math.gcd(step, period)
