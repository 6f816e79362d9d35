"""`Contraction`: the product of (batches of) matrices, with elementwise work done on its results in registers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, code_of, size_of
from ..codegen.writer import Target
from .alike import Likeness
from .body import Body, load
from .contract_ahead import LINE, Ahead
from .contract_micro import dots_tile, gathered, greatest, least, outer_tile
from .contract_pack import pack_panels, pack_tiles, row_of
from .contract_plan import WORTH, plan
from .kernel import Kernel, pointer
from .text import Names, entry, loop
from .views import View

PRIVATE = "%private"


#: A sum of so many terms takes longer than memory does to bring what is needed after it.
FORESEEN = 48

#: After so many terms of a sum, more lines are asked for.
PART = 32

#: An operand of so many bytes may have been driven out of the second level since it was written.
FAR = 192 << 10


class Contraction(Kernel):
    """The product of `lhs` (*batch, m, k) and `rhs` (*batch, k, n), and `body` on its results.

    Where the result has a single column, or is kept column by column, the transposed product is computed. A batch of
    left matrices with one right matrix is one tall left matrix, if everything lies so.

    Args:
        node: the graph's product; `body` gets its value.
        body: what is done with the results; its index space is (*batch, m, n). It does all stores.
        threads: how many threads may share the work.
    """

    kind = "matmul"

    def __init__(self, node: Node, lhs: View, rhs: View, body: Body, target: Target, threads: int) -> None:
        self.name = node.op.name
        lhs, rhs, body = _merged(lhs, rhs, body)
        self.node, self.body, self.target = node, body, target
        self.nodes = (node, *body.nodes)
        written = [v.buffer for views in body.writes.values() for v in views]
        read = [lhs.buffer, rhs.buffer, *(v.buffer for v in body.reads.values())]
        self.reads, self.writes = tuple(dict.fromkeys(read)), tuple(dict.fromkeys(written))
        self.batch = lhs.shape[:-2]
        self.turned = self._is_better_turned(lhs, rhs)
        self.shown = lhs, rhs
        if self.turned:
            lhs, rhs = _turned(rhs), _turned(lhs)
        self.lhs, self.rhs = lhs, rhs
        (m, deep), n = lhs.shape[-2:], rhs.shape[-1]
        results = math.prod(self.batch) * m * n
        self.flops = results * (2 * deep + body.flops)
        self.nbytes = sum(b.nbytes for b in self.reads) + sum(b.nbytes for b in self.writes)
        code = code_of(node.dtype)
        self.code = "f4" if code == "f2" else code
        self.units = 0
        if results:
            self.plan = (
                plan(lhs, rhs, self.code, target, threads)
                if deep
                else plan(*_single(lhs, rhs), self.code, target, threads)
            )
            self._measure()
            self.units = math.prod(self.batch) * self.plan.row_blocks * self.plan.column_blocks
            self.grain = max(1, -(-WORTH * self.units // (results * (deep + body.flops + 1))))

    def likeness(self) -> Hashable:
        """A key that only kernels with the same code have."""
        alike, body = Likeness(self.buffers), self.body
        own = alike.number(self.node)
        alike.add(body.nodes, body.reads, body.writes, body.shown)
        return alike.key("matmul", own, self.code, self.turned, alike.view(self.lhs), alike.view(self.rhs))

    def _is_better_turned(self, lhs: View, rhs: View) -> bool:
        m, n = lhs.shape[-2], rhs.shape[-1]
        if m == 1 or n == 1:
            return n == 1 and m > 1
        kept = [v for views in self.body.writes.values() for v in views]
        return bool(kept) and all(v.strides[-2] == 1 and v.strides[-1] != 1 for v in kept)

    def _measure(self) -> None:
        """Lay out the thread's own memory: packed panels, packed tiles, sums not finished yet."""
        p, lanes = self.plan, self.target.lanes(self.code)
        along = -(-p.deep // lanes) * lanes
        self.panel_slot = along * p.panels.width
        self.tile_slot = along * p.rows.height
        rhs = p.width * self.panel_slot if p.pack_rhs else 0
        lhs = p.chunk * self.tile_slot if p.pack_lhs else 0
        sums = p.tiles * p.rows.height * p.width * p.panels.width if self._in_blocks else 0
        self.lhs_at, self.sums_at = rhs, rhs + -(-lhs // lanes) * lanes
        self.private = (self.sums_at + sums) * size_of(self.code)

    @property
    def _deep(self) -> int:
        return self.lhs.shape[-1]

    @property
    def _in_blocks(self) -> bool:
        return self.plan.deep < self._deep

    # --- the order of work -------------------------------------------------------------------------

    def emit(self, k: Emitter) -> None:
        if not self.units:
            return
        p = self.plan
        with (
            _split(k, k.lo, k.hi, math.prod(self.batch), p.row_blocks * p.column_blocks) as (matrix, low, high),
            _split(k, low, high, p.column_blocks, p.row_blocks) as (column, start, stop),
        ):
            batch = self._batch_index(k, matrix)
            first = column * p.width
            last = least(k, first + p.width, p.panels.number)
            whole = Ix(0), Ix(self._deep)
            if not self._in_blocks:
                self._pack_rhs(k, batch, first, last, *whole)
            with k.loop(start, stop) as block:
                tiles = block * p.tiles, least(k, block * p.tiles + p.tiles, p.rows.tiles)
                if self._in_blocks:
                    self._long_block(k, batch, tiles, (first, last))
                else:
                    self._pack_lhs(k, batch, *tiles, *whole)
                    ahead = self._needed_next(k, batch, matrix, column, block)
                    self._block(k, batch, tiles, (first, last), *whole, self._finish, ahead)

    def _long_block(self, k: Emitter, batch: Sequence[Ix], tiles: tuple[Ix, Ix], panels: tuple[Ix, Ix]) -> None:
        """A block whose sums over k are made piece by piece and wait in memory."""
        self._clear(k, tiles, panels)
        with k.loop(0, self._deep, self.plan.deep) as at:
            part = at, least(k, at + self.plan.deep, self._deep)
            self._pack_rhs(k, batch, *panels, *part)
            with k.loop(*tiles, self.plan.chunk) as first:
                chunk = first, least(k, first + self.plan.chunk, tiles[1])
                self._pack_lhs(k, batch, *chunk, *part)
                self._block(k, batch, chunk, panels, *part, self._accumulate(tiles[0], panels[0]))
        self._finish_block(k, batch, tiles, panels)

    def _needed_next(self, k: Emitter, batch: Sequence[Ix], matrix: Ix, column: Ix, block: Ix) -> list[Ahead]:
        """The parts of the operands that are needed after this unit, and do not simply follow in memory."""
        p, (m, deep), n = self.plan, self.lhs.shape[-2:], self.rhs.shape[-1]
        tiles, number = p.tiles * p.width, math.prod(self.batch)
        wanted: list[Ahead | None] = []
        lhs, rhs = (v.buffer.nbytes >= FAR for v in (self.lhs, self.rhs))
        if p.row_blocks * p.column_blocks == 1:
            following = self._batch_index(k, least(k, matrix + 1, number - 1)) if number > 1 else ()
            if lhs and any(self.lhs.strides[:-2]):
                wanted.append(Ahead.of(self.lhs, following, (0, 0), (m, deep), tiles))
            if rhs and any(self.rhs.strides[:-2]):
                wanted.append(Ahead.of(self.rhs, following, (0, 0), (deep, n), tiles))
            return [a for a in wanted if a is not None]
        if lhs and self.lhs.strides[-1] != 1 and p.row_blocks > 1:
            wanted += self._rows_needed_next(k, batch, column, block)
        if rhs and p.column_blocks > 1:
            width = p.width * p.panels.width
            place = 0, least(k, column + 1, p.column_blocks - 1) * width
            wanted.append(Ahead.of(self.rhs, batch, place, (deep, width), p.row_blocks * tiles, block * tiles))
        return [a for a in wanted if a is not None]

    def _rows_needed_next(self, k: Emitter, batch: Sequence[Ix], column: Ix, block: Ix) -> Iterator[Ahead | None]:
        """Of a left operand that lies column by column, the rows of the next block."""
        p, deep, height = self.plan, self._deep, self.plan.rows.height
        last = p.row_blocks - 1
        if p.pack_lhs:
            row = row_of(k, p.rows, least(k, block + 1, last) * p.tiles)
            yield Ahead.of(self.lhs, batch, (row, 0), (p.tiles * height, deep), p.tiles * p.width)
        elif p.tiles == 1:  # read in place: some tiles share lines; after the thread's first columns all are near
            beside = max(1, LINE // (height * size_of(self.lhs.buffer.code)))
            group, within = Ix.of(k.index(block) / beside), Ix.of(k.remainder(k.index(block), beside))
            row = row_of(k, p.rows, least(k, group * beside + beside, last))
            turn = column - Ix.of(k.index(k.lo) / p.row_blocks)
            first = (turn * beside + within) * p.width
            yield Ahead.of(self.lhs, batch, (row, 0), (beside * height, deep), beside * p.width, first)

    def _batch_index(self, k: Emitter, matrix: Ix) -> tuple[Ix, ...]:
        index: list[Ix] = []
        for n in reversed(self.batch):
            if len(self.batch) == 1 or n == 1:
                index.append(matrix if n > 1 else Ix(0))
                continue
            number = k.index(matrix)
            index.append(Ix.of(k.remainder(number, n)))
            matrix = Ix.of(number / n)
        return tuple(reversed(index))

    def _pack_rhs(self, k: Emitter, batch: Sequence[Ix], first: Ix, last: Ix, low: Ix, high: Ix) -> None:
        if self.plan.pack_rhs:
            panels = self.plan.panels
            pack_panels(k, self.rhs, batch, panels, first, last, low, high, PRIVATE, 0, self.panel_slot)

    def _pack_lhs(self, k: Emitter, batch: Sequence[Ix], first: Ix, last: Ix, low: Ix, high: Ix) -> None:
        if self.plan.pack_lhs:
            rows = self.plan.rows
            pack_tiles(k, self.lhs, batch, rows, first, last, low, high, PRIVATE, self.lhs_at, self.tile_slot)

    def _block(
        self, k: Emitter, batch: Sequence[Ix], tiles: tuple[Ix, Ix], panels: tuple[Ix, Ix], low: Ix, high: Ix,
        finish: Callable[..., None], following: Sequence[Ahead] = (),
    ) -> None:  # fmt: skip
        """All tiles of a block: a panel stays in the cache while the tiles of all rows go over it."""
        p = self.plan
        for width, p0, p1 in p.panels.versions:
            with k.loop(greatest(k, panels[0], p0), least(k, panels[1], p1)) as panel:
                for height, t0, t1, extra in p.rows.versions:
                    with k.loop(greatest(k, tiles[0], t0), least(k, tiles[1], t1)) as t:
                        row, column = t * height + extra, panel * p.panels.width
                        if p.along_k:
                            self._dots(k, batch, row, column, height, width)
                            continue
                        lanes = self._vectors(width)
                        lhs = self._lhs_operand(k, batch, row, t - tiles[0], low)
                        rhs = self._rhs_operand(k, batch, column, panel - panels[0], width, low)
                        number = (panel - panels[0]) * p.tiles + t - tiles[0]
                        ahead = self._foresight(k, batch, row, column, height, width, number, following)
                        sums = outer_tile(k, self.code, lanes, height, low, high, self._deep, lhs, rhs, ahead)
                        finish(k, batch, row, column, width, sums)

    def _foresight(
        self, k: Emitter, batch: Sequence[Ix], row: Ix, column: Ix, height: int, width: int, number: Ix,
        following: Sequence[Ahead],
    ) -> tuple[int, Callable[[Ix], None]] | None:  # fmt: skip
        """Ask for what the body will read and write at this tile, so that it is there when the sums are done, and for
        a share of the operands' parts that follow.

        It is asked for bit by bit, between parts of the sums: there is room for some lines at a time on their way.

        Args:
            number: how many tiles of this unit came before this one.
        """
        views = [*self.body.reads.values(), *(v for vs in self.body.writes.values() for v in vs)]
        rows, columns = (-1, -2) if self.turned else (-2, -1)
        long = self._deep >= FORESEEN
        views = [v for v in dict.fromkeys(views) if long and v.strides[columns] == 1 and v.strides[rows]]
        parts = max(height, self._deep // PART) if long else 1
        if self._in_blocks or not (views or following):
            return None

        def ask(part: Ix) -> None:
            for view in views:
                with k.loop(part, least(k, part + 1, height)) as r:
                    for j in range(0, width, max(1, LINE // size_of(view.buffer.code))):
                        place = (column + j, row + r) if self.turned else (row + r, column + j)
                        at = view.at((*batch, *place))
                        k.prefetch(pointer(view.buffer), at, view.buffer.code, write=view.buffer in self.writes)
            for other in following:
                other.ask(k, number, part, parts)

        return parts, ask

    def _vectors(self, width: int) -> list[int]:
        """The lanes of each vector of a panel. Vectors of 16 bytes are not masked but shorter, where the panel ends."""
        lanes = self.target.lanes(self.code)
        count = -(-width // lanes)
        short = width % lanes if self.target.vector_bytes <= 16 else 0
        return [lanes] * (count - 1) + [short or lanes]

    def _mask(self, k: Emitter, lanes: int, width: int) -> Val | None:
        return None if lanes <= width else k.first_lanes(width, lanes)

    # --- operands ----------------------------------------------------------------------------------

    def _lhs_operand(self, k: Emitter, batch: Sequence[Ix], row: Ix, tile: Ix, low: Ix) -> Callable[[int, Ix], Val]:
        code = self.lhs.buffer.code
        if not self.plan.pack_lhs:
            step = self.lhs.strides[-2]

            def plain(r: int, at: Ix) -> Val:
                place = self.lhs.at((*batch, row, at)) + r * step
                return k.cast(k.load(pointer(self.lhs.buffer), place, code, fixed=True), self.code)

            return plain
        base, height = tile * self.tile_slot + self.lhs_at, self.plan.rows.height
        return lambda r, at: k.load(PRIVATE, base + (at - low) * height + r, code)

    def _rhs_operand(
        self, k: Emitter, batch: Sequence[Ix], column: Ix, panel: Ix, width: int, low: Ix
    ) -> Callable[[int, Ix], Val]:
        code, wide, lanes = self.rhs.buffer.code, self.target.lanes(self.code), self._vectors(width)
        if self.plan.pack_rhs:
            base, row = panel * self.panel_slot, wide * len(lanes)
            return lambda q, at: k.load(PRIVATE, base + (at - low) * row + q * wide, code, lanes[q])

        def plain(q: int, at: Ix) -> Val:
            mask = self._mask(k, lanes[q], width - q * wide)
            value = load(k, self.rhs, (*batch, at, column + q * wide), lanes[q], mask=mask, fixed=True)
            return k.cast(value, self.code)

        return plain

    def _dots(self, k: Emitter, batch: Sequence[Ix], row: Ix, column: Ix, height: int, width: int) -> None:
        lanes, full = self.target.lanes(self.code), self.plan.panels.width

        def lhs(r: int, at: Ix, mask: Val | None) -> Val:
            return load(k, self.lhs, (*batch, row + r, at), lanes, mask=mask, fixed=True)

        def rhs(q: int, at: Ix, mask: Val | None) -> Val:
            return load(k, self.rhs, (*batch, at, column + q), lanes, axis=-2, mask=mask, fixed=True)

        sums = dots_tile(k, self.code, lanes, height, width, self._deep, lhs, rhs)
        for r, line in enumerate(sums):
            values = gathered(k, line + [line[-1]] * (full - width))
            if width < full:
                values = k.shuffle(values, range(width))
            self._emit_body(k, batch, row + r, column, values, None)

    # --- results -----------------------------------------------------------------------------------

    def _emit_body(self, k: Emitter, batch: Sequence[Ix], i: Ix, j: Ix, value: Val, mask: Val | None) -> None:
        value = k.cast(value, code_of(self.node.dtype))
        place, axis = ((j, i), -2) if self.turned else ((i, j), -1)
        self.body.emit(k, {self.node: value}, (*batch, *place), value.lanes, axis=axis, mask=mask)

    def _finish(self, k: Emitter, batch: Sequence[Ix], row: Ix, column: Ix, width: int, sums: list[list[Val]]) -> None:
        wide = self.target.lanes(self.code)
        for r, line in enumerate(sums):
            for q, value in enumerate(line):
                mask = self._mask(k, value.lanes, width - q * wide)
                self._emit_body(k, batch, row + r, column + q * wide, value, mask)

    # --- sums over blocks of k ---------------------------------------------------------------------

    @property
    def _line(self) -> int:
        """Elements from one row of unfinished sums to the next."""
        return self.plan.width * self.plan.panels.width

    def _clear(self, k: Emitter, tiles: tuple[Ix, Ix], panels: tuple[Ix, Ix]) -> None:
        lanes, rows = self.target.lanes(self.code), self.plan.rows
        with (
            k.loop(0, row_of(k, rows, tiles[1]) - row_of(k, rows, tiles[0])) as i,
            k.loop(0, self._line, lanes) as j,
        ):
            k.store(PRIVATE, i * self._line + j + self.sums_at, k.const(0, self.code, lanes))

    def _accumulate(self, tile: Ix, panel: Ix) -> Callable[..., None]:
        wide = self.target.lanes(self.code)

        def add(k: Emitter, batch: Sequence[Ix], row: Ix, column: Ix, width: int, sums: list[list[Val]]) -> None:
            i, j = row - row_of(k, self.plan.rows, tile), column - panel * self.plan.panels.width
            for r, line in enumerate(sums):
                for q, value in enumerate(line):
                    at = (i + r) * self._line + j + self.sums_at + q * wide
                    k.store(PRIVATE, at, k.load(PRIVATE, at, self.code, value.lanes) + value)

        return add

    def _finish_block(self, k: Emitter, batch: Sequence[Ix], tiles: tuple[Ix, Ix], panels: tuple[Ix, Ix]) -> None:
        p, wide = self.plan, self.target.lanes(self.code)
        start = row_of(k, p.rows, tiles[0])
        with k.loop(start, row_of(k, p.rows, tiles[1])) as i:
            for width, p0, p1 in p.panels.versions:
                with k.loop(greatest(k, panels[0], p0), least(k, panels[1], p1)) as panel:
                    for q, lanes in enumerate(self._vectors(width)):
                        at = (i - start) * self._line + (panel - panels[0]) * p.panels.width + q * wide
                        value = k.load(PRIVATE, at + self.sums_at, self.code, lanes)
                        mask = self._mask(k, lanes, width - q * wide)
                        self._emit_body(k, batch, i, panel * p.panels.width + q * wide, value, mask)

    # --- for reading -------------------------------------------------------------------------------

    def source(self) -> Sequence[str]:
        lhs, rhs = self.shown
        m, n, deep = lhs.shape[-2], rhs.shape[-1], lhs.shape[-1]
        axes = [*"abcdefgh"[: len(self.batch)], "i", "j"]
        steps = [1] * len(axes)
        if self.units:
            tiles = [self.plan.rows.height, self.plan.panels.width]
            steps[-2:] = tiles[::-1] if self.turned else tiles
        lines: list[str] = []
        for axis, size, step in zip(axes, (*self.batch, m, n), steps, strict=True):
            lines.append(f"{'  ' * (len(lines) + 1)}{loop(axis, size, step)}")
        indent = "  " * (len(lines) + 1)
        names = Names(self.body.reads, self.body.writes, self.body.shown, axes)
        left, right = entry(lhs, [*axes[:-1], "k"]), entry(rhs, [*axes[:-2], "k", axes[-1]])
        lines += [indent + t for t in names.lines(self.node, f"sum({left} * {right} for k in 0..{deep})")]
        return [*lines, *(indent + t for node in self.body.nodes for t in names.lines(node))]


def _turned(view: View) -> View:
    axes = list(range(len(view.shape)))
    return view.permuted([*axes[:-2], axes[-1], axes[-2]])


def _merged(lhs: View, rhs: View, body: Body) -> tuple[View, View, Body]:
    """The batch as rows of one matrix, if all share the right operand; otherwise as it was."""
    batch, (m, deep), n = lhs.shape[:-2], lhs.shape[-2:], rhs.shape[-1]
    if not batch or any(s and size > 1 for s, size in zip(rhs.strides[:-2], batch, strict=True)):
        return lhs, rhs, body
    rows = math.prod(batch) * m
    tall = lhs.reshaped((rows, deep))
    reads = {node: v.reshaped((rows, n)) for node, v in body.reads.items()}
    writes = {node: [v.reshaped((rows, n)) for v in views] for node, views in body.writes.items()}
    if tall is None or None in reads.values() or any(None in views for views in writes.values()):
        return lhs, rhs, body
    one = rhs._replace(shape=rhs.shape[-2:], strides=rhs.strides[-2:])
    return tall, one, Body(body.nodes, cast(Any, reads), cast(Any, writes), body.shown)


def _single(lhs: View, rhs: View) -> tuple[View, View]:
    """Views as if k were 1, for the plan of a product over nothing."""
    return (
        lhs._replace(shape=(*lhs.shape[:-1], 1)),
        rhs._replace(shape=(*rhs.shape[:-2], 1, rhs.shape[-1])),
    )


@contextmanager
def _split(k: Emitter, low: Any, high: Any, outer: int, inner: int) -> Iterator[tuple[Ix, Ix, Ix]]:
    """A range of `outer · inner` units as a loop over the outer number, with the part of the inner range for each."""
    low, high = Ix.of(low), Ix.of(high)
    if outer == 1:
        yield Ix(0), low, high
        return
    if inner == 1:
        with k.loop(low, high) as number:
            yield number, Ix(0), Ix(1)
        return
    first = k.index(low) / inner
    last = k.index(high + (inner - 1)) / inner
    with k.loop(first, last) as number:
        yield number, greatest(k, low - number * inner, 0), least(k, high - number * inner, inner)
