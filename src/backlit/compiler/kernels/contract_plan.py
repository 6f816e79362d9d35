"""In which order a matrix product is done: what is packed, how much at a time, and how threads share it."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..codegen.values import size_of
from ..codegen.writer import Target
from .contract_tile import Cut, Panels, dots_tile, tile
from .views import View

#: Bytes of the caches of a core that blocks are made for: the first level, and what may be counted on of the second.
FIRST, SECOND = 32 << 10, 512 << 10
#: Columns packed at once must not exceed this (they lie in the third level); longer sums than DEEP are cut.
PACKED, DEEP = 4 << 20, 2048
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
        deep: how much of k is summed in registers at a time.
        pack_lhs: how the left operand is packed: "" not at all, "rows", or "columns" (for one that lies by columns).
        pack_rhs: is the right operand packed?
    """

    rows: Cut
    panels: Panels
    along_k: bool
    tiles: int
    width: int
    deep: int
    pack_lhs: str
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
        return Plan(rows, panels, True, 1, 1, deep, "", False)
    rows, panels = tile(m, n, deep, code, target)
    if not fast:
        return Plan(rows, panels, False, 1, 1, deep, "", False)
    size = size_of(code)
    blocks = -(-deep // DEEP)
    at_once = deep if blocks == 1 else -(-deep // (blocks * lanes)) * lanes
    pack_rhs = _rhs_packed(rhs, rows.tiles, size)
    pack_lhs = _lhs_packed(lhs, panels.number, size)
    tiles = width = 1
    if batch >= 2 * threads:
        tiles, width = rows.tiles, panels.number
    elif blocks > 1 or (pack_lhs and pack_rhs):
        tiles, width = rows.tiles, -(-panels.number // threads)
    elif pack_lhs:
        width = panels.number
    width = max(1, min(width, PACKED // (at_once * panels.width * size)))
    tiles = max(1, min(tiles, SECOND // (at_once * rows.height * size)))
    return Plan(rows, panels, False, tiles, width, at_once, pack_lhs, pack_rhs)


def _dots(m: int, deep: int, lanes: int, lhs: View, rhs: View) -> bool:
    """Are lanes along k better? Both operands must lie along it, and transposing the right one must not pay."""
    if lhs.strides[-1] != 1 or rhs.strides[-2] != 1 or rhs.strides[-1] == 1 or deep < 2 * lanes:
        return False
    return m <= 4 * lanes and 4 * m < deep


def _rhs_packed(rhs: View, tiles: int, size: int) -> bool:
    if rhs.strides[-1] != 1:
        return rhs.shape[-1] > 1
    step = abs(rhs.strides[-2]) * size
    return tiles >= 4 and step >= 2048


def _lhs_packed(lhs: View, panels: int, size: int) -> str:
    step, along = lhs.strides[-2:]
    if panels < 3:
        return ""
    if along == 1:
        return "rows" if abs(step) * size % 2048 == 0 else ""
    return "columns" if step == 1 and abs(along) * size >= 1024 else ""
