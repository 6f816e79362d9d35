"""Convolution and its transpose with respect to the input: register tiles of positions times output channels.

Either samples lie in the lanes of a vector, or output channels do. In both cases an accumulator belongs to one position
of a row and one output channel (or vector of them), and for each tap and input channel each position's element of the
input meets each channel's weight. With samples in lanes the inputs are vectors and the weights numbers, else the other
way round. Backward, the same is done for each phase of the strides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from ..codegen.writer import Target
from . import conv_axes
from .body import Body
from .conv_axes import Axis
from .conv_nest import account, is_split, made, private, taken_apart, taps, times_plus, with_lane, within
from .kernel import Kernel, pointer
from .views import View, contiguous

#: Kernels up to this long along the last axis are unrolled along it.
UNROLLED = 8


class _Tile(NamedTuple):
    """Accumulators: `wide` positions of a row times `deep` channels or vectors of channels."""

    wide: int
    deep: int


def best_tile(count: int, channels: int, axis: Axis, depth: int, target: Target) -> _Tile:
    """The tile that takes the fewest cycles for a row of `count` positions, by a small model of the processor.

    Two products and two loads a cycle, four cycles until a sum can be used again; `depth` is the number of input
    channels and taps of the other axes; a tile's start and end cost some cycles too. The accumulators, a row of inputs
    and a weight must fit into the registers.
    """
    taps_ = min(axis.taps, UNROLLED) or 1

    def cycles(wide: int, deep: int) -> float:
        reach = len({axis.stride * i + axis.dilation * t for i in range(wide) for t in range(taps_)})
        work = max(wide * deep * taps_ / 2, (reach + deep * taps_) / 2, 4 * taps_)
        return depth * (work + 1) + wide * deep + 8

    def row(wide: int, deep: int) -> float:
        return count // wide * cycles(wide, deep) + (cycles(count % wide, deep) if count % wide else 0)

    best, least = _Tile(1, 1), float("inf")
    for wide in range(1, min(count, 16) + 1):
        for deep in range(1, min(channels, 8) + 1):
            if wide * deep + wide + 2 > target.vector_registers and wide * deep > 1:
                continue
            total = channels // deep * row(wide, deep) + (row(wide, channels % deep) if channels % deep else 0)
            if total < least:
                best, least = _Tile(wide, deep), total
    return best


class _Direct(Kernel):
    """Sums over taps and input channels, for each phase of the output."""

    split: bool
    parts: Sequence[tuple[Axis, ...]]

    def _prepare(
        self, node: Node, x: View, w: View, body: Body, target: Target, parts: Sequence[tuple[Axis, ...]],
        backward: bool,
    ) -> None:  # fmt: skip
        self.node, self.x, self.body, self.target, self.parts = node, x, body, target, parts
        self.code = x.buffer.code
        self.groups = groups = node.params["groups"]
        self.split = is_split(x, node.ndim)
        self.lanes = x.shape[1] if self.split else target.lanes(self.code)
        # the weights as (group, output channel, input channel, *kernel)
        each = w.shape[0] // groups
        shape, strides = (groups, each, *w.shape[1:]), (each * w.strides[0], *w.strides)
        w = View(w.buffer, shape, strides, w.offset)
        self.w = w.permuted((0, 2, 1, *range(3, len(shape)))) if backward else w
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

    def _row(self, k: Emitter, axes: tuple[Axis, ...], n: Ix, q: Sequence[Ix]) -> None:
        """All channels of one row of the output."""
        depth = self.inputs * prod(axis.taps for axis in axes[:-1])
        tile = best_tile(axes[-1].positions, self.columns, axes[-1], depth, self.target)
        whole = self.columns // tile.deep
        tail = self.columns % tile.deep
        ragged = not self.split and self.outputs % self.lanes > 0
        if ragged and not tail:  # the last vector is not full: give its tile a text of its own
            whole, tail = whole - 1, tile.deep
        with k.loop(0, self.groups) as g:
            with k.loop(0, whole) as block:
                self._tiles(k, axes, n, q, g, block * tile.deep, tile, None)
            if tail:
                mask = k.first_lanes(self.outputs % self.lanes, self.lanes) if ragged else None
                self._tiles(k, axes, n, q, g, Ix(whole * tile.deep), _Tile(tile.wide, tail), mask)

    def _tiles(
        self, k: Emitter, axes: tuple[Axis, ...], n: Ix, q: Sequence[Ix], g: Ix, first: Ix, tile: _Tile,
        mask: Val | None,
    ) -> None:  # fmt: skip
        """A row in tiles. Those that touch the border are written one by one, with only the taps that see something."""
        axis = axes[-1]
        low, high = axis.inner
        whole = axis.positions // tile.wide
        a = min(whole, -(-low // tile.wide))
        b = max(a, min(whole, high // tile.wide))
        edges = [t for t in range(-(-axis.positions // tile.wide)) if not a <= t < b]
        at_hand = (axes, n, q, g, first)
        with k.loop(a, b) as t:
            self._tile(k, *at_hand, t * tile.wide, tile, mask, None)
        if axis.taps <= UNROLLED and len(edges) <= 4:
            for t in edges:
                x = t * tile.wide
                part = _Tile(min(tile.wide, axis.positions - x), tile.deep)
                self._tile(k, *at_hand, Ix(x), part, mask, lambda i, tap, x=x: axis.sees(x + i, tap))
            return
        for low, high in ((0, a), (b, whole)):
            with k.loop(low, high) as t:
                self._tile(k, *at_hand, t * tile.wide, tile, mask, None, careful=True)
        if axis.positions % tile.wide:
            part = _Tile(axis.positions % tile.wide, tile.deep)
            self._tile(k, *at_hand, Ix(whole * tile.wide), part, mask, None, careful=True)

    def _tile(
        self, k: Emitter, axes: tuple[Axis, ...], n: Ix, q: Sequence[Ix], g: Ix, first: Ix, x: Ix, tile: _Tile,
        mask: Val | None, sees: Callable[[int, int], bool] | None, careful: bool = False,
    ) -> None:  # fmt: skip
        """Some positions of a row, from `x` on, times some channels, from `first` on.

        `sees` says which positions see something through which tap; with `careful` each element is asked.
        """
        axis, code, lanes = axes[-1], self.code, self.lanes
        cells = [(i, j) for i in range(tile.wide) for j in range(tile.deep)]
        sums = {cell: k.var(k.const(0, code, lanes)) for cell in cells}
        w = self.weights
        for i, a in enumerate(axes, 3):
            w = _turned(w, i, a)
        with taps(k, axes[:-1], q) as tap, k.loop(0, self.inputs) as c:
            above = [a.place(at, t) for a, at, t in zip(axes, q, tap, strict=False)]

            def products(last: Any) -> None:
                now: dict[int, Val] = {}
                for j in range(tile.deep):
                    for i in range(tile.wide):
                        if sees and not sees(i, last):
                            continue
                        if not now.get(-1 - j):
                            now[-1 - j] = self._weight(
                                k, w, (g, first + j, c, *tap, last), mask if j == tile.deep - 1 else None
                            )  # fmt: skip
                        if i not in now:
                            now[i] = self._input(k, (n, g * self.inputs + c, *above), axis, x + i, last, careful)
                        total = values[i, j] if values else sums[i, j].get()
                        total = times_plus(k, now[i], now[-1 - j], total)
                        if values:
                            values[i, j] = total
                        else:
                            sums[i, j].set(total)

            values: dict[tuple[int, int], Val] = {}
            if axis.taps <= UNROLLED:
                values = {cell: sums[cell].get() for cell in cells}
                for last in range(axis.taps):
                    products(last)
                for cell in cells:
                    sums[cell].set(values[cell])
            else:
                with k.loop(0, axis.taps) as last:
                    products(last)
        place = [a.made(at) for a, at in zip(axes, q, strict=False)]
        for i, j in cells:
            column = (first + j) if self.split else (first + j) * lanes
            index = (n, g * self.outputs + column, *place, axis.made(x + i))
            last = mask if j == tile.deep - 1 else None
            self.body.emit(
                k, {self.node: sums[i, j].get()}, with_lane(index, self.split), lanes, axis=1, mask=last
            )  # fmt: skip

    def _weight(self, k: Emitter, w: View, index: Sequence[Any], mask: Val | None) -> Val:
        p, place = pointer(w.buffer), w.at(index)
        if self.split:
            return k.spread(k.load(p, place, self.code, fixed=True), self.code, self.lanes)
        if self.private:
            return k.load(p, place, self.code, self.lanes)
        return k.load(p, place, self.code, self.lanes, mask=mask, fixed=True)

    def _input(self, k: Emitter, index: Sequence[Any], axis: Axis, q: Ix, tap: Any, careful: bool) -> Val:
        at, inside = axis.place(q, tap), None
        if careful:
            inside, at = within(k, at, axis.size)
        place = self.x.at(with_lane((*index, at), self.split))
        found = k.load(pointer(self.x.buffer), place, self.code, self.lanes if self.split else 1, fixed=True)
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


def _turned(w: View, i: int, axis: Axis) -> View:
    """The weights with the taps of one phase, in the order in which they see the input."""
    return w.sliced(i, axis.first, axis.turn, axis.taps)


class Convolution(_Direct):
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


class BackwardData(_Direct):
    """`convolve_transposed`: operands g (N, O, *out), w (O, C / groups, *kernel); the body goes over (N, C, *size)."""

    kind: ClassVar[str] = "convolution, backward to its input"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        g, w = operands
        self.name, self.nodes = node.op.name, (node, *body.nodes)
        first = 3 if is_split(g, node.ndim) else 2
        geometry = {key: node.params[key] for key in ("stride", "padding", "dilation")}
        parts = conv_axes.phases(node.shape[2:], g.shape[first:], w.shape[2:], **geometry)
        self._prepare(node, g, w, body, target, parts, backward=True)
