"""Convolution backward to its weights: register tiles of taps or input channels times output channels.

A weight's gradient is a sum over all samples and positions. A tile of weights is held in registers while the kernel
walks over positions, with one element of x for each row of the tile and one element, or vector, of the cotangent for
each column. With samples in lanes both are vectors, each lane holds a sum of its own, and in the end these are added.
Otherwise lanes are output channels.

Arrays that do not stay in the cache are walked over once: in pieces of some samples, within which every tile has its
turn; between pieces the sums wait in the thread's own memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from math import prod
from typing import Any, ClassVar, NamedTuple

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from ..codegen.writer import Target, Var
from . import conv_axes
from .body import Body, load
from .conv_axes import Axis
from .conv_nest import account, in_pairs, is_split, made, positions, private, taken_apart, times_plus, with_lane
from .kernel import Kernel, pointer
from .lanes import sums
from .views import View

#: Bytes of both operands that are worked on before the next piece is begun; best is what stays near.
PIECE = 1 << 17


class _Tile(NamedTuple):
    """Rows: some taps of the last axis times some input channels. Columns: output channels, or vectors of them."""

    taps: int
    inputs: int
    columns: int


def best_tile(axis: Axis, inputs: int, columns: int, registers: int) -> _Tile:
    """The tile that takes the fewest cycles: two products and two loads a cycle, four until a sum can be used again.

    Loads cost a little even where products take longer. All taps of the last axis are rows at once, or only one is:
    then the loop over positions is exact, while with all of them the positions at the border are written one by one.
    """
    low, high = axis.inner
    choices = [1] if axis.taps > 16 or low + axis.positions - high > 4 else sorted({1, axis.taps})
    best, least = _Tile(1, 1, 1), float("inf")
    for together in choices:
        for some in range(1, min(inputs, 16) + 1):
            for deep in range(1, min(columns, 8) + 1):
                rows = together * some
                if rows * deep + deep + 2 > registers:
                    continue
                work = max(rows * deep / 2, (rows + deep) / 2, 4) + 0.1 * (rows + deep) + 0.5
                total = work * (axis.taps // together) * -(-inputs // some) * -(-columns // deep)
                if total < least:
                    best, least = _Tile(together, some, deep), total
    return best


class BackwardWeight(Kernel):
    """`convolve_weight`: operands x (N, C, *size) and g (N, O, *out); the body goes over (O, C / groups, *kernel).

    The batch axes of both operands may be split into (N / L, L): then L samples lie in the lanes.
    """

    kind: ClassVar[str] = "convolution, backward to its weights"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        self.name, self.nodes = node.op.name, (node, *body.nodes)
        self.node, self.body = node, body
        self.x, self.g = x, g = tuple(operands)
        self.code = x.buffer.code
        self.split = is_split(x, node.ndim)
        self.lanes = x.shape[1] if self.split else target.lanes(self.code)
        self.paired = in_pairs(node.params["groups"], node.shape, self.split)
        self.groups = 1 if self.paired else node.params["groups"]
        self.outputs, self.inputs = node.shape[0] // self.groups, node.shape[1]
        first = 3 if self.split else 2
        self.axes = conv_axes.forward(x.shape[first:], g.shape[first:], node.shape[2:], **conv_axes.geometry(node))
        columns = self.outputs if self.split else -(-self.outputs // self.lanes)
        self.tile = best_tile(self.axes[-1], self.inputs, columns, target.vector_registers)
        if self.split:  # their sums become one vector
            self.tile = self.tile._replace(columns=min(self.tile.columns, self.lanes))
        tile = self.tile
        self.blocks = (
            self.groups, -(-columns // tile.columns), -(-self.inputs // tile.inputs),
            *(a.taps for a in self.axes[:-1]), self.axes[-1].taps // tile.taps,
        )  # fmt: skip
        self.units = prod(self.blocks)
        self.samples = x.shape[0]
        each = (prod(x.shape[1:]) + prod(g.shape[1:])) * size_of(self.code)
        self.piece = max(1, min(self.samples, PIECE // max(each, 1)))
        self.pieces = max(1, -(-self.samples // self.piece))
        self.cells = [(r, j) for r in range(tile.taps * tile.inputs) for j in range(tile.columns)]
        if self.pieces > 1:
            self.room = private(self.units * len(self.cells) * self.lanes, self.code)
            self.private = self.room.nbytes
        flops = 2 * prod(node.shape) * prod(g.shape[first:]) * self.samples * (self.lanes if self.split else 1)
        account(self, (x, g), body, flops, prod(node.shape))

    def emit(self, k: Emitter) -> None:
        if self.pieces == 1:
            with k.loop(k.lo, k.hi) as unit:
                cells = self._begin(k)
                self._sum(k, cells, unit, 0, self.samples)
                self._end(k, unit, {cell: var.get() for cell, var in cells.items()})
            return
        zero = k.const(0, self.code, self.lanes)
        with k.loop(k.lo, k.hi) as unit:
            for cell in self.cells:
                self._keep(k, unit, cell, zero)
        with k.loop(0, self.pieces) as piece:
            first = piece * self.piece
            last: Any = first + self.piece
            if self.samples % self.piece:
                last = k.minimum(k.index(last), self.samples)
            with k.loop(k.lo, k.hi) as unit:
                cells = self._begin(k)
                self._sum(k, cells, unit, first, last)
                for cell, var in cells.items():
                    self._keep(k, unit, cell, self._kept(k, unit, cell) + var.get())
        with k.loop(k.lo, k.hi) as unit:
            self._end(k, unit, {cell: self._kept(k, unit, cell) for cell in self.cells})

    # --- sums between pieces -----------------------------------------------------------------------

    def _begin(self, k: Emitter) -> dict[tuple[int, int], Var]:
        return {cell: k.var(k.const(0, self.code, self.lanes)) for cell in self.cells}

    def _place(self, unit: Ix, cell: tuple[int, int]) -> Ix:
        return (unit * len(self.cells) + self.cells.index(cell)) * self.lanes

    def _kept(self, k: Emitter, unit: Ix, cell: tuple[int, int]) -> Val:
        return k.load(pointer(self.room), self._place(unit, cell), self.code, self.lanes)

    def _keep(self, k: Emitter, unit: Ix, cell: tuple[int, int], value: Val) -> None:
        k.store(pointer(self.room), self._place(unit, cell), value)

    # --- a tile ------------------------------------------------------------------------------------

    def _where(self, k: Emitter, unit: Ix) -> tuple[Ix, Ix, Ix, list[Ix]]:
        """A unit's group, its first column, its first input channel, and its (first) tap.

        The last tile along an axis of channels is moved back where it would go beyond the end.
        """
        g, column, c, *tap = taken_apart(k, unit, self.blocks)
        tile = self.tile
        column = column * tile.columns
        if self.split:
            column = _moved(k, column, self.outputs, tile.columns)
        return g, column, _moved(k, c * tile.inputs, self.inputs, tile.inputs), tap

    def _masks(self, k: Emitter, column: Ix) -> list[Val | None]:
        """Which lanes of each column hold a channel."""
        if self.split or self.outputs % (self.lanes * self.tile.columns) == 0:
            return [None] * self.tile.columns
        columns = range(self.tile.columns)
        return [k.lanes_below(self.outputs - (column + j) * self.lanes, self.lanes) for j in columns]

    def _sum(self, k: Emitter, cells: dict[tuple[int, int], Var], unit: Ix, first: Any, last: Any) -> None:
        """Add the products of the samples from `first` to `last` to a tile."""
        tile, axis = self.tile, self.axes[-1]
        g, column, c, tap = self._where(k, unit)
        masks = self._masks(k, column)
        with k.loop(first, last) as n, positions(k, self.axes[:-1], tap[:-1]) as at:
            above = [a.place(p, t) for a, p, t in zip(self.axes, at, tap, strict=False)]

            def products(x: Ix, rows: Sequence[int]) -> None:
                columns = [
                    self._cotangent(k, (n, g * self.outputs, *at, x), column + j, masks[j]) for j in range(tile.columns)
                ]
                for r in rows:
                    t, i = divmod(r, tile.inputs)
                    place = axis.place(x, tap[-1] * tile.taps + t)
                    for j in range(tile.columns):
                        channel = (column + j) * self.lanes if self.paired else g * self.inputs + c + i
                        element = self._input(k, (n, channel, *above, place), masks[j])
                        cells[r, j].set(times_plus(k, element, columns[j], cells[r, j].get()))

            every = range(tile.taps * tile.inputs)
            if tile.taps == 1:
                with k.loop(*axis.positions_of(k, tap[-1])) as x:
                    products(x, every)
                return
            low, high = axis.inner
            for x in (*range(low), *range(high, axis.positions)):
                products(Ix(x), [r for r in every if axis.sees(x, r // tile.inputs)])
            with k.loop(low, high) as x:
                products(x, every)

    def _cotangent(self, k: Emitter, index: Sequence[Any], column: Ix, mask: Val | None) -> Val:
        n, first, *at = index
        channel = first + (column if self.split else column * self.lanes)
        return load(k, self.g, with_lane((n, channel, *at), self.split), self.lanes, axis=1, mask=mask, fixed=True)

    def _input(self, k: Emitter, index: Sequence[Any], mask: Val | None) -> Val:
        lanes = self.lanes if self.split or self.paired else 1
        mask = mask if self.paired else None
        found = load(k, self.x, with_lane(index, self.split), lanes, axis=1, mask=mask, fixed=True)
        return k.spread(found, self.code, self.lanes)

    def _end(self, k: Emitter, unit: Ix, cells: dict[tuple[int, int], Val]) -> None:
        """Hand a finished tile to the body."""
        tile = self.tile
        g, column, c, tap = self._where(k, unit)
        _, block, row, *_ = taken_apart(k, unit, self.blocks)
        masks = self._masks(k, column)
        for r in range(tile.taps * tile.inputs):
            t, i = divmod(r, tile.inputs)
            at = (c + i, *tap[:-1], tap[-1] * tile.taps + t)
            # Channels of a tile that was moved back belong to the one before it.
            own = self.inputs % tile.inputs and i < tile.inputs - self.inputs % tile.inputs
            with k.when(k.compare("ge", k.index(c + i), k.index(row * tile.inputs))) if own else nullcontext():
                if self.split:
                    value, mask = sums(k, [cells[r, j] for j in range(tile.columns)]), None
                    if self.outputs % tile.columns:
                        start = k.cast(k.index(block * tile.columns - column), "i4")
                        mask = k.compare("ge", k.lane_numbers("i4", tile.columns), start)
                    self.body.emit(
                        k, {self.node: value}, (g * self.outputs + column, *at), tile.columns, axis=0, mask=mask
                    )  # fmt: skip
                    continue
                for j in range(tile.columns):
                    index = (g * self.outputs + (column + j) * self.lanes, *at)
                    self.body.emit(k, {self.node: cells[r, j]}, index, self.lanes, axis=0, mask=masks[j])

    def source(self) -> Sequence[str]:
        names = "zyx"[-len(self.axes) :]
        seen = ", ".join(f"{a.stride}*{v}+{a.dilation}*k{v}-{a.lo}" for v, a in zip(names, self.axes, strict=True))
        return [
            f"# {'samples' if self.split else 'channels'} in {self.lanes} lanes, "
            f"tiles of {self.tile.taps} taps x {self.tile.inputs} c x {self.tile.columns} o, "
            f"in {self.pieces} pieces of {self.piece} samples",
            f"for o, c, taps in {self.node.shape}:",
            f"    s = sum(x[n, c, {seen}] * g[n, o, {', '.join(names)}]) over {self.g.shape[:1]} n, "
            f"{tuple(a.positions for a in self.axes)} positions",
            f"    w[o, c, {', '.join('k' + v for v in names)}] = {made(self.body)}",
        ]


def _moved(k: Emitter, start: Ix, count: int, tile: int) -> Ix:
    """Where a tile starts, moved back if it would go beyond the end."""
    return start if count % tile == 0 else Ix.of(k.minimum(k.index(start), count - tile))
