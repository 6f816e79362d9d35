"""Convolution and its transpose with respect to the input: register tiles of positions times output channels.

Either samples lie in the lanes of a vector, or output channels do. In both cases an accumulator belongs to one position
of a row and one output channel (or vector of them), and for each tap and input channel each position's element of the
input meets each channel's weight. With samples in lanes the inputs are vectors and the weights numbers, else the other
way round. Backward, the same is done for each phase of the strides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from .kernel import Kernel, pointer
from .views import View, contiguous

#: Kernels up to this long along the last axis are unrolled along it.
UNROLLED = 8
#: Bytes of weights that a tile may use for them to stay in the first-level cache.
NEAR = 1 << 14


class Tile(NamedTuple):
    """Accumulators: in each of some rows `wide` positions, times `deep` channels or vectors of channels."""

    wide: int
    deep: int


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


def best_tile(
    count: int, channels: int, axis: Axis, depth: int, weight: int, target: Target, rows: int = 1, step: int = 1
) -> Tile:  # fmt: skip
    """The tile that takes the fewest cycles for `rows` rows of `count` positions, by a small model of the processor.

    Two products and two loads a cycle, but only one from the second-level cache; four cycles until a sum can be used
    again. `depth` is the number of input channels and taps of the other axes, `weight` the bytes of a weight, or vector
    of them. A tile's start and end cost some cycles too. The accumulators, the inputs of
    one tap and a weight must fit into the registers. It is some multiple of `step` wide. Of two that are about as fast
    the one with the shorter text is better: tiles at the border, and for channels left over, have texts of their own.
    """
    taps_ = min(axis.taps, UNROLLED) or 1

    def cycles(wide: int, deep: int) -> float:
        reach = rows * len({axis.stride * i + axis.dilation * t for i in range(wide) for t in range(taps_)})
        near = depth * axis.taps * deep * weight <= NEAR
        loads = reach / 2 + deep * taps_ / (2 if near else 1)
        work = max(rows * wide * deep * taps_ / 2, loads, 4 * taps_) + 0.1 * loads
        return depth * (work + 1) + rows * wide * deep + 8

    def whole(wide: int, deep: int) -> float:
        return count // wide * cycles(wide, deep) + (cycles(count % wide, deep) if count % wide else 0)

    def text(wide: int, deep: int) -> int:
        copies = len(_edges(axis, wide)[2]) + 1
        return copies * taps_ * rows * wide * (deep + (channels % deep if channels > deep else 0))

    best, least = Tile(step, 1), float("inf")
    for wide in range(step, min(count, max(16, step)) + 1, step):
        for deep in range(1, min(channels, 8) + 1):
            if rows * wide * (deep + 1) + 2 > target.vector_registers:
                break
            total = channels // deep * whole(wide, deep) + (whole(wide, channels % deep) if channels % deep else 0)
            total *= 1 + text(wide, deep) / 5000
            if total < least:
                best, least = Tile(wide, deep), total
    return best


def _edges(axis: Axis, wide: int) -> tuple[int, int, list[int]]:
    """A row in tiles: from which to which all taps lie in the input, and the numbers of the other tiles."""
    low, high = axis.inner
    whole = axis.positions // wide
    first = min(whole, -(-low // wide))
    last = max(first, min(whole, high // wide))
    return first, last, [t for t in range(-(-axis.positions // wide)) if not first <= t < last]


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
        with k.loop(k.lo, k.hi) as unit:
            n, *q = taken_apart(k, unit, (self.x.shape[0], *self.rows))
            for axes in self.parts:
                short = [at for at, size, axis in zip(q, self.rows, axes, strict=False) if axis.positions < size]
                counts = [axis.positions for size, axis in zip(self.rows, axes, strict=False) if axis.positions < size]
                if not short:
                    self._row(k, axes, n, q)
                    continue
                inside = k.const(True, "b1")
                for at, count in zip(short, counts, strict=True):
                    inside = inside & k.compare("lt", k.index(at), count)
                with k.when(inside):
                    self._row(k, axes, n, q)

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

    def _row(self, k: Emitter, axes: tuple[Axis, ...], n: Ix, q: Sequence[Ix]) -> None:
        """All channels of the rows of a unit."""
        depth = self.inputs * prod(axis.taps for axis in axes[:-1])
        rows = self._rows(q)
        weight = size_of(self.code) * (1 if self.split else self.lanes)
        tile = best_tile(
            axes[-1].positions, self.columns, axes[-1], depth, weight, self.target, len(rows), self.step
        )  # fmt: skip
        whole = self.columns // tile.deep
        tail = self.columns % tile.deep
        ragged = not self.split and self.outputs % self.lanes > 0
        if ragged and not tail:  # the last vector is not full: give its tile a text of its own
            whole, tail = whole - 1, tile.deep
        with k.loop(0, self.groups) as g:
            with k.loop(0, whole) as number:
                self._tiles(k, Block(axes, n, g, rows, number * tile.deep, None), tile)
            if tail:
                mask = k.first_lanes(self.outputs % self.lanes, self.lanes) if ragged else None
                self._tiles(k, Block(axes, n, g, rows, Ix(whole * tile.deep), mask), Tile(tile.wide, tail))

    def _tiles(self, k: Emitter, block: Block, tile: Tile) -> None:
        """Rows in tiles. Those that touch the border are written one by one, with only the taps that see something."""
        axis = block.axes[-1]
        a, b, edges = _edges(axis, tile.wide)
        with k.loop(a, b) as t:
            self._tile(k, block, t * tile.wide, tile)
        if axis.taps <= UNROLLED and len(edges) <= 4:
            for t in edges:
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
        lines = [f"{self.name}: {self.node.op.name}, {'samples' if self.split else 'channels'} in {self.lanes} lanes"]
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
        geometry = {key: node.params[key] for key in ("stride", "padding", "dilation")}
        axes = conv_axes.forward(x.shape[first:], node.shape[2:], w.shape[2:], **geometry)
        self._prepare(node, x, w, body, target, [axes], backward=False)


class BackwardData(Direct):
    """`convolve_transposed`: operands g (N, O, *out), w (O, C / groups, *kernel); the body goes over (N, C, *size)."""

    kind: ClassVar[str] = "convolution, backward to its input"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        g, w = operands
        self.name, self.nodes = node.op.name, (node, *body.nodes)
        first = 3 if is_split(g, node.ndim) else 2
        geometry = {key: node.params[key] for key in ("stride", "padding", "dilation")}
        parts = conv_axes.phases(node.shape[2:], g.shape[first:], w.shape[2:], **geometry)
        self._prepare(node, g, w, body, target, parts, backward=True)
