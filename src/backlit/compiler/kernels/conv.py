"""Convolution and its transpose with respect to the input: register tiles of positions times output channels.

Either samples lie in the lanes of a vector, or output channels do. In both cases an accumulator belongs to one position
of a row and one output channel (or vector of them), and for each tap and input channel each position's element of the
input meets each channel's weight. With samples in lanes the inputs are vectors and the weights numbers, else the other
way round. Backward, the same is done for each phase of the strides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from math import prod
from typing import Any, ClassVar, NamedTuple

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from ..codegen.writer import Target
from . import conv_axes
from .body import Body, load
from .conv_axes import Axis
from .conv_nest import account, in_pairs, is_split, made, private, taken_apart, taps, times_plus, with_lane, within
from .conv_tile import UNROLLED, Tile, best_tile, edges
from .kernel import Kernel, pointer
from .views import View, contiguous

#: Bytes of weights, or of rows of inputs, that stay in the second-level cache.
CACHED = 1 << 18


class Block(NamedTuple):
    """Where a tile lies.

    Attributes:
        axes: the spatial axes of the phase.
        n, g: the sample (or group of samples in lanes), and the group of channels.
        rows: for each of its rows the positions on all axes but the last.
        first: its first output channel, or vector of them.
        mask: the lanes that count in its last vector of channels; None for all.
    """

    axes: tuple[Axis, ...]
    n: Ix
    g: Ix
    rows: Sequence[Sequence[Ix]]
    first: Ix
    mask: Val | None


class Direct(Kernel):
    """Sums over taps and input channels, for each phase of the output."""

    split: bool
    parts: Sequence[tuple[Axis, ...]]
    step = 1  # tiles are a multiple of it wide

    def _prepare(
        self, node: Node, x: View, w: View, body: Body, target: Target, parts: Sequence[tuple[Axis, ...]],
        backward: bool,
    ) -> None:  # fmt: skip
        self.node, self.x, self.body, self.target, self.parts = node, x, body, target, parts
        self.code = x.buffer.code
        self.split = is_split(x, node.ndim)
        self.lanes = x.shape[1] if self.split else target.lanes(self.code)
        self.paired = in_pairs(node.params["groups"], w.shape, self.split)
        self.groups = groups = 1 if self.paired else node.params["groups"]
        # the weights as (group, output channel, input channel, *kernel)
        each = w.shape[0] // groups
        shape, strides = (groups, each, *w.shape[1:]), (each * w.strides[0], *w.strides)
        w = View(w.buffer, shape, strides, w.offset)
        self.w = w.permuted((0, 2, 1, *range(3, len(shape)))) if backward and not self.paired else w
        self.outputs, self.inputs = self.w.shape[1:3]
        self.weights = self.w
        self.columns = self.outputs
        if not self.split:
            self.columns = -(-self.outputs // self.lanes)
            self.weights = self._by_vectors()
        # every unit is a row of the output, or in each phase of the strides one
        self.rows = tuple(max(axes[i].positions for axes in parts) for i in range(len(parts[0]) - 1))
        self.units = x.shape[0] * prod(self.rows)
        taps_ = prod(self.w.shape[3:])
        # Weights that do not stay in the second-level cache are used for several units before the next come.
        size = size_of(self.code)
        row = self.inputs * groups * x.shape[-1] * (self.lanes if self.split else 1) * size
        self.at_once = max(1, CACHED // row) if self.outputs * self.inputs * taps_ * size > CACHED else 1
        positions = prod(x.shape[-len(self.parts[0]) :] if backward else node.shape[2:])
        samples = x.shape[0] * (self.lanes if self.split else 1)
        flops = 2 * samples * positions * taps_ * self.outputs * self.inputs * groups
        account(self, (x, w), body, flops, prod(node.shape))

    def _by_vectors(self) -> View:
        """The weights by vectors of output channels, (group, vector, input channel, *kernel): in place, or packed."""
        w = self.w
        if w.strides[1] == 1 or self.outputs == 1:
            strides = (w.strides[0], self.lanes, *w.strides[2:])
            return View(w.buffer, (w.shape[0], self.columns, *w.shape[2:]), strides, w.offset)
        kernel = w.shape[3:]
        sizes = (self.groups, self.columns, *kernel, self.inputs, self.lanes)
        self.private = prod(sizes) * size_of(self.code)
        steps = contiguous(sizes)
        order = (0, 1, len(sizes) - 2, *range(2, len(sizes) - 2))
        shape = tuple(sizes[i] for i in order)
        return View(private(prod(sizes), self.code), shape, tuple(steps[i] for i in order))

    # --- writing -----------------------------------------------------------------------------------

    def emit(self, k: Emitter) -> None:
        if self.private:
            self._pack(k)
        if self.at_once == 1:
            with k.loop(k.lo, k.hi) as unit:
                self._units(k, unit, unit)
            return
        with k.loop(k.lo, k.hi, self.at_once) as first:
            self._units(k, first, Ix.of(k.minimum(k.index(first + self.at_once), k.hi)))

    def _units(self, k: Emitter, first: Ix, last: Ix) -> None:
        """The units from `first` up to `last` (the first alone where both are the same), block of channels by block."""
        for axes in self.parts:
            with k.loop(0, self.groups) as g:
                for column, tile, mask in self._columns(k, axes):
                    if first is last:
                        self._unit(k, first, axes, g, column, tile, mask)
                        continue
                    with k.loop(first, last) as unit:
                        self._unit(k, unit, axes, g, column, tile, mask)

    def _unit(
        self, k: Emitter, unit: Ix, axes: tuple[Axis, ...], g: Ix, column: Ix, tile: Tile, mask: Val | None
    ) -> None:  # fmt: skip
        """The rows of a unit, if this phase has so many."""
        n, *q = taken_apart(k, unit, (self.x.shape[0], *self.rows))
        inside: Val | None = None
        for at, size, axis in zip(q, self.rows, axes, strict=False):
            if axis.positions < size:
                here = k.compare("lt", k.index(at), axis.positions)
                inside = here if inside is None else inside & here
        with nullcontext() if inside is None else k.when(inside):
            self._tiles(k, Block(axes, n, g, self._rows(q), column, mask), tile)

    def _pack(self, k: Emitter) -> None:
        """Copy the weights so that each vector of output channels lies together, filled up with zeros."""
        w, to, lanes = self.w, self.weights, self.lanes
        k.comment("weights, packed by vectors of output channels")
        sizes = (self.groups, self.columns, *to.shape[3:])
        with k.loop(0, prod(sizes)) as number:
            g, j, *tap = taken_apart(k, number, sizes)
            with k.loop(0, self.inputs) as c:
                first = w.at((g, j * lanes, c, *tap))
                at = k.spread(k.index(first), "i8", lanes) + k.lane_numbers("i8", lanes) * w.strides[1]
                mask = None if self.outputs % lanes == 0 else k.lanes_below(self.outputs - j * lanes, lanes)
                found = k.gather(pointer(w.buffer), at, self.code, mask=mask, fixed=True)
                k.store(pointer(to.buffer), to.at((g, j, c, *tap)), found)

    def _rows(self, q: Sequence[Ix]) -> Sequence[Sequence[Ix]]:
        """The rows that a unit of work makes."""
        return [q]

    def _columns(self, k: Emitter, axes: tuple[Axis, ...]) -> Iterator[tuple[Ix, Tile, Val | None]]:
        """Blocks of output channels: the first channel (or vector) of each, the tile, the mask of its last vector."""
        depth = self.inputs * prod(axis.taps for axis in axes[:-1])
        rows = len(self._rows([Ix() for _ in axes[:-1]]))
        weight = size_of(self.code) * (1 if self.split else self.lanes)
        tile = best_tile(
            axes[-1].positions, self.columns, axes[-1], depth, weight, self.target, rows, self.step, len(self.parts)
        )  # fmt: skip
        whole = self.columns // tile.deep
        tail = self.columns % tile.deep
        ragged = not self.split and self.outputs % self.lanes > 0
        if ragged and not tail:  # the last vector is not full: give its tile a text of its own
            whole, tail = whole - 1, tile.deep
        if whole:
            with k.loop(0, whole) as number:
                yield number * tile.deep, tile, None
        if tail:
            mask = k.first_lanes(self.outputs % self.lanes, self.lanes) if ragged else None
            yield Ix(whole * tile.deep), Tile(tile.wide, tail), mask

    def _tiles(self, k: Emitter, block: Block, tile: Tile) -> None:
        """Rows in tiles. Those that touch the border are written one by one, with only the taps that see something."""
        axis = block.axes[-1]
        a, b, border = edges(axis, tile.wide)
        with k.loop(a, b) as t:
            self._tile(k, block, t * tile.wide, tile)
        if axis.taps <= UNROLLED and len(border) <= 4:
            for t in border:
                x = t * tile.wide
                part = Tile(min(tile.wide, axis.positions - x), tile.deep)
                self._tile(k, block, Ix(x), part, lambda i, tap, x=x: axis.sees(x + i, tap))
            return
        whole = axis.positions // tile.wide
        for low, high in ((0, a), (b, whole)):
            with k.loop(low, high) as t:
                self._tile(k, block, t * tile.wide, tile, careful=True)
        if axis.positions % tile.wide:
            part = Tile(axis.positions % tile.wide, tile.deep)
            self._tile(k, block, Ix(whole * tile.wide), part, careful=True)

    def _tile(
        self, k: Emitter, block: Block, x: Ix, tile: Tile, sees: Callable[[int, int], bool] | None = None,
        careful: bool = False,
    ) -> None:  # fmt: skip
        """Some positions from `x` on, times some channels.

        `sees` says which positions see something through which tap; with `careful` each element is asked.
        """
        numbers = range(len(block.rows))
        cells = [(r, i, j) for r in numbers for i in range(tile.wide) for j in range(tile.deep)]
        sums = {cell: k.var(k.const(0, self.code, self.lanes)) for cell in cells}
        outer, axis = block.axes[:-1], block.axes[-1]
        # Rows go together where they have the same taps.
        together = [numbers] if all(a.open for a in outer) else [[r] for r in numbers]
        for rows in together:
            own = [cell for cell in cells if cell[0] in rows]
            with taps(k, outer, block.rows[rows[0]]) as tap, k.loop(0, self.inputs) as c:
                if axis.taps <= UNROLLED:
                    values = {cell: sums[cell].get() for cell in own}
                    for last in range(axis.taps):
                        seen = [cell for cell in own if sees is None or sees(cell[1], last)]
                        self._products(k, block, x, (*tap, last), c, tile, seen, values, careful)
                else:
                    with k.loop(0, axis.taps) as last:
                        values = {cell: sums[cell].get() for cell in own}
                        self._products(k, block, x, (*tap, last), c, tile, own, values, careful)
                        for cell in own:
                            sums[cell].set(values[cell])
                    continue
                for cell in own:
                    sums[cell].set(values[cell])
        self._finish(k, block, x, tile, {cell: var.get() for cell, var in sums.items()})

    def _products(
        self, k: Emitter, block: Block, x: Ix, tap: Sequence[Any], c: Ix, tile: Tile,
        cells: Sequence[tuple[int, int, int]], values: dict[tuple[int, int, int], Val], careful: bool,
    ) -> None:  # fmt: skip
        """Add the products of one tap and one input channel to some cells."""
        inputs: dict[tuple[int, int, int], Val] = {}
        for j in range(tile.deep):
            weight: Val | None = None
            for r, i, column in cells:
                if column != j:
                    continue
                if weight is None:
                    mask = block.mask if j == tile.deep - 1 else None
                    weight = self._weight(k, block, (block.g, block.first + j, c, *tap), mask)
                at = (r, i, j if self.paired else 0)
                if at not in inputs:
                    above = [a.place(q, t) for a, q, t in zip(block.axes, block.rows[r], tap, strict=False)]
                    channel = self._channel(block, j) if self.paired else block.g * self.inputs + c
                    mask = block.mask if j == tile.deep - 1 else None
                    index = (block.n, channel, *above)
                    inputs[at] = self._input(k, index, block.axes[-1], x + i, tap[-1], careful, mask)
                values[r, i, j] = times_plus(k, inputs[at], weight, values[r, i, j])

    def _finish(
        self, k: Emitter, block: Block, x: Ix, tile: Tile, values: Mapping[tuple[int, int, int], Val]
    ) -> None:  # fmt: skip
        """Hand finished sums to the body."""
        for r, i, j in values:
            self._elementwise(k, block, x + i, tile, r, j, values[r, i, j])

    def _elementwise(
        self, k: Emitter, block: Block, x: Ix, tile: Tile, r: int, j: int, value: Val
    ) -> Mapping[Node, Val]:  # fmt: skip
        """Evaluate the body for one sum."""
        place = [a.made(at) for a, at in zip(block.axes, (*block.rows[r], x), strict=True)]
        index = with_lane((block.n, self._channel(block, j), *place), self.split)
        mask = block.mask if j == tile.deep - 1 else None
        return self.body.emit(k, {self.node: value}, index, self.lanes, axis=1, mask=mask)

    def _channel(self, block: Block, j: int) -> Ix:
        """The (first) output channel of a column of a block."""
        return block.g * self.outputs + (block.first + j) * (1 if self.split else self.lanes)

    def _weight(self, k: Emitter, block: Block, index: Sequence[Any], mask: Val | None) -> Val:
        w = self.weights
        for i, axis in enumerate(block.axes, 3):  # the taps of the phase, in the order in which they see the input
            w = w.sliced(i, axis.first, axis.turn, axis.taps)
        p, place = pointer(w.buffer), w.at(index)
        if self.split:
            return k.spread(k.load(p, place, self.code, fixed=True), self.code, self.lanes)
        if self.private:
            return k.load(p, place, self.code, self.lanes)
        return k.load(p, place, self.code, self.lanes, mask=mask, fixed=True)

    def _input(
        self, k: Emitter, index: Sequence[Any], axis: Axis, q: Ix, tap: Any, careful: bool, mask: Val | None
    ) -> Val:  # fmt: skip
        """What a position sees through a tap, in all lanes: a vector of samples or channels, or one number."""
        at, inside = axis.place(q, tap), None
        if careful:
            inside, at = within(k, at, axis.size)
        index = with_lane((*index, at), self.split)
        lanes = self.lanes if self.split or self.paired else 1
        found = load(k, self.x, index, lanes, axis=1, mask=mask if self.paired else None, fixed=True)
        found = k.spread(found, self.code, self.lanes)
        return found if inside is None else k.select(inside, found, k.const(0, self.code, self.lanes))

    def source(self) -> Sequence[str]:
        names = "zyx"[-len(self.parts[0]) :]
        lines = [f"# {'samples' if self.split else 'channels'} in {self.lanes} lanes"]
        for axes in self.parts:
            out = ", ".join(
                v if (a.step, a.start) == (1, 0) else f"{a.step}*{v}+{a.start}"
                for v, a in zip(names, axes, strict=True)
            )
            seen = ", ".join(
                f"{a.stride}*{v}+{a.dilation}*k{v}-{a.lo}" for v, a in zip(names, axes, strict=True)
            )  # fmt: skip
            lines += [
                f"for n, o, {', '.join(names)} in {(self.x.shape[0], self.outputs * self.groups)} x "
                f"{tuple(a.positions for a in axes)}:",
                f"    s = sum(x[n, c, {seen}] * w[o, c, {', '.join('k' + v for v in names)}]) over {self.inputs} c, "
                f"{tuple(a.taps for a in axes)} taps",
                f"    y[n, o, {out}] = {made(self.body)}",
            ]
        return lines


class Convolution(Direct):
    """`convolve`: operands x (N, C, *size) and w (O, C / groups, *kernel); the body goes over (N, O, *out).

    The batch axis of x and of the body's views may be split into (N / L, L): then L samples lie in the lanes.
    """

    kind: ClassVar[str] = "convolution"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        x, w = operands
        self.name, self.nodes = node.op.name, (node, *body.nodes)
        first = 3 if is_split(x, node.ndim) else 2
        axes = conv_axes.forward(x.shape[first:], node.shape[2:], w.shape[2:], **conv_axes.geometry(node))
        self._prepare(node, x, w, body, target, [axes], backward=False)


class BackwardData(Direct):
    """`convolve_transposed`: operands g (N, O, *out), w (O, C / groups, *kernel); the body goes over (N, C, *size)."""

    kind: ClassVar[str] = "convolution, backward to its input"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        g, w = operands
        self.name, self.nodes = node.op.name, (node, *body.nodes)
        first = 3 if is_split(g, node.ndim) else 2
        parts = conv_axes.phases(node.shape[2:], g.shape[first:], w.shape[2:], **conv_axes.geometry(node))
        self._prepare(node, g, w, body, target, parts, backward=True)
