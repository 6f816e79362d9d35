"""Packing: copies of parts of a product's operands, in the order in which its inner loop reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codegen.arithmetic import transposed
from ..codegen.emitter import Emitter
from ..codegen.values import Ix
from .body import load
from .contract_micro import greatest, least
from .contract_tile import Cut, Panels
from .views import View

#: The side of the square blocks that are transposed in registers: larger ones take no less time, and more text.
SIDE = 8


def pack_panels(
    k: Emitter, view: View, batch: Sequence[Any], panels: Panels, first: Any, last: Any, low: Ix, high: Ix,
    to: str, at: int, slot: int,
) -> None:  # fmt: skip
    """Copy the panels from `first` to `last` of the right operand, rows `low` to `high`: each k a row of whole vectors.

    Lanes beyond the last column hold zeros or what stands elsewhere in the operand; no result depends on them.

    Args:
        to, at: pointer, and the place of the first panel in it.
        slot: elements from one panel to the next.
    """
    code = view.buffer.code
    lanes = k.target.lanes(code)
    for width, p0, p1 in panels.versions:
        vectors = -(-width // lanes)
        with k.loop(greatest(k, first, p0), least(k, last, p1)) as p:
            place = (p - first) * slot + at
            if view.strides[-2] == 1 and view.strides[-1] != 1:
                _turn(k, view, batch, p * panels.width, vectors, low, high, to, place)
                continue
            with k.loop(low, high) as row:
                for q in range(vectors):
                    count = min(lanes, width - q * lanes)
                    mask = None if count == lanes else k.first_lanes(count, lanes)
                    index = (*batch, row, p * panels.width + q * lanes)
                    value = load(k, view, index, lanes, mask=mask, fixed=True)
                    k.store(to, place + (row - low) * (vectors * lanes) + q * lanes, k.spread(value, code, lanes))


def _turn(
    k: Emitter, view: View, batch: Sequence[Any], column: Ix, vectors: int, low: Ix, high: Ix, to: str, place: Ix
) -> None:
    """Copy a panel whose columns lie in memory one after another: square blocks are read by columns and transposed."""
    code, (deep, n) = view.buffer.code, view.shape[-2:]
    lanes = k.target.lanes(code)
    side = min(SIDE, lanes)
    with k.loop(low, high, side) as row, k.loop(0, vectors * lanes, side) as across:
        mask = None if deep % side == 0 else k.lanes_below(high - row, side)
        block = []
        for c in range(side):
            at = column + across + c
            if n % lanes:
                at = least(k, at, n - 1)
            block.append(load(k, view, (*batch, row, at), side, axis=-2, mask=mask, fixed=True))
        for r, value in enumerate(transposed(k, block)):
            k.store(to, place + (row - low + r) * (vectors * lanes) + across, value)


def pack_tiles(
    k: Emitter, view: View, batch: Sequence[Any], rows: Cut, first: Any, last: Any, low: Ix, high: Ix,
    to: str, at: int, slot: int,
) -> None:  # fmt: skip
    """Copy the tiles from `first` to `last` of a left operand that lies column by column: each k a row of a tile."""
    code = view.buffer.code
    widest = k.target.lanes(code)
    for height, t0, t1, extra in rows.versions:
        with k.loop(low, high) as column, k.loop(greatest(k, first, t0), least(k, last, t1)) as t:
            done = 0
            while done < height:
                lanes = min(widest, _below(height - done))
                value = load(k, view, (*batch, t * height + extra + done, column), lanes, axis=-2, fixed=True)
                k.store(to, (t - first) * slot + (column - low) * rows.height + at + done, value)
                done += lanes


def row_of(k: Emitter, rows: Cut, tile: Any) -> Ix:
    """The first row of a tile."""
    tile = Ix.of(tile)
    if rows.big == rows.tiles:
        return tile * rows.height
    return tile * (rows.height - 1) + least(k, tile, rows.big)


def _below(n: int) -> int:
    return 1 << (n.bit_length() - 1)
