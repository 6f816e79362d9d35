"""Pooling: maxima (with or without their places), sums, and both backward, in any layout.

Lanes run over samples, over channels, or along a row, whichever lie one after another in memory. Backward, each element
of the input looks at the windows that contain it, so that what it gets is complete when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import product
from math import prod
from typing import Any, ClassVar, NamedTuple

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from ..codegen.writer import Target
from . import conv_axes
from .body import Body, load
from .conv_axes import Axis
from .conv_nest import account, is_split, made, taken_apart, taps
from .kernel import Kernel
from .pool_best import Best, lowest, stops_at_nan
from .pool_rows import Row, aligned, seen_backward, seen_forward
from .views import View

#: Windows with so many taps are written out where no border comes into it.
UNROLLED = 9


class Spot(NamedTuple):
    """Where a vector of results lies: sample, channel, positions of the window, how many lanes, and which count."""

    n: Ix
    c: Ix
    q: tuple[Ix, ...]
    lanes: int
    mask: Val | None


class Pool(Kernel):
    """What poolings share: which axis lies in the lanes, the loops over positions, and the loops over taps."""

    node: Node
    body: Body
    axis: str
    parts: Sequence[tuple[Axis, ...]]

    def _prepare(
        self, nodes: Sequence[Node], operands: Sequence[View], body: Body, target: Target,
        parts: Sequence[tuple[Axis, ...]],
    ) -> None:  # fmt: skip
        self.node, self.body, self.parts = nodes[0], body, parts
        self.name, self.nodes = "_and_".join(n.op.name for n in nodes), (*nodes, *body.nodes)
        self.operands = operands
        node, first = nodes[0], operands[0]
        self.split = is_split(first, node.ndim)
        views = [*operands, *(v for views in body.writes.values() for v in views)]
        last = sum(v.strides[1] == 1 for v in views) > sum(v.strides[-1] == 1 for v in views)
        self.axis = "samples" if self.split else "channels" if last and node.shape[1] > 1 else "row"
        self.lanes = first.shape[1] if self.split else target.lanes(first.buffer.code)
        self.channels = node.shape[1]
        axes = range(len(parts[0]))
        self.counts = tuple(max(part[i].positions for part in parts) for i in axes)
        self.units = first.shape[0] * prod(self.counts[:-1])
        elements = prod(node.shape)
        account(self, operands, body, 4 * elements * len(nodes) * max(prod(a.taps for a in p) for p in parts), elements)

    def emit(self, k: Emitter) -> None:
        with k.loop(k.lo, k.hi) as unit:
            n, *q = taken_apart(k, unit, (self.operands[0].shape[0], *self.counts[:-1]))
            row, lanes = self.counts[-1], self.lanes
            if self.axis == "samples":
                with k.loop(0, self.channels) as c, k.loop(0, row) as x:
                    self._all(k, Spot(n, c, (*q, x), lanes, None))
            elif self.axis == "channels":
                with k.loop(0, row) as x:
                    for c, mask in _vectors(k, self.channels, lanes):
                        self._all(k, Spot(n, c, (*q, x), lanes, mask))
            else:
                with k.loop(0, self.channels) as c:
                    for x, mask in _vectors(k, row, lanes):
                        self._all(k, Spot(n, c, (*q, x), lanes, mask))

    def _all(self, k: Emitter, spot: Spot) -> None:
        """Every phase at a spot, if it reaches so far."""
        for axes in self.parts:
            inside: Val | None = None
            for at, count, axis in zip(spot.q, self.counts, axes, strict=True):
                if axis.positions < count:
                    here = k.compare("lt", k.index(at), axis.positions)
                    inside = here if inside is None else inside & here
            with nullcontext() if inside is None else k.when(inside):
                self._one(k, axes, spot)

    def _one(self, k: Emitter, axes: tuple[Axis, ...], spot: Spot) -> None:
        raise NotImplementedError

    def _read(self, k: Emitter, view: View, spot: Spot, places: Sequence[Any]) -> Val:
        """Elements of an operand for the lanes of a spot."""
        index, axis = (spot.n, *((0,) if self.split else ()), spot.c, *places), -1 if self.axis == "row" else 1
        found = load(k, view, index, spot.lanes, axis=axis, mask=spot.mask, fixed=True)
        return k.spread(found, found.code, spot.lanes)

    def _write(self, k: Emitter, given: dict[Node, Val], spot: Spot, places: Sequence[Any]) -> None:
        index = (spot.n, *((0,) if self.split else ()), spot.c, *places)
        self.body.emit(k, given, index, spot.lanes, axis=-1 if self.axis == "row" else 1, mask=spot.mask)

    def source(self) -> Sequence[str]:
        lines = [f"# {self.axis if self.axis != 'row' else 'positions of a row'} in {self.lanes} lanes"]
        for axes in self.parts:
            lines += [
                f"for n, c, position in {(self.operands[0].shape[0], self.channels)} x "
                f"{tuple(a.positions for a in axes)}:",
                f"    s = over {tuple(a.taps for a in axes)} taps: {self.node.op.name}",
                f"    y[n, c, {', '.join(f'{a.step}*p+{a.start}' for a in axes)}] = {made(self.body)}",
            ]
        return lines


@contextmanager
def _each_tap(k: Emitter, axes: Sequence[Axis], q: Sequence[Ix], row: bool) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The taps that see something: written out where all do and they are few, else a loop over them.

    Where lanes run along a row, they differ in what a tap of the last axis sees, and all of these taps are taken.
    """
    alike = axes[:-1] if row else axes
    if all(a.open for a in alike) and prod(a.taps for a in axes) <= UNROLLED:
        yield list(product(*(range(a.taps) for a in axes)))
        return
    with taps(k, alike, q[: len(alike)]) as tap:
        if not row:
            yield [tuple(tap)]
            return
        with k.loop(0, axes[-1].taps) as last:
            yield [(*tap, last)]


def _vectors(k: Emitter, count: int, lanes: int) -> Iterator[tuple[Ix, Val | None]]:
    """An axis in vectors: a loop over the full ones, then what is left, with a mask."""
    whole = count // lanes * lanes
    if whole:
        with k.loop(0, whole, lanes) as at:
            yield at, None
    if count > whole:
        yield Ix(whole), k.first_lanes(count - whole, lanes)


def _number(tap: Sequence[Any], axes: Sequence[Axis], window: Sequence[int]) -> Ix:
    """The number of a tap in its window, row by row."""
    number = Ix(0)
    for t, a, size in zip(tap, axes, window, strict=True):
        number = number * size + Ix.of(t) * a.turn + a.first
    return number


class PoolForward(Pool):
    """`pool_max`, `pool_argmax` and what is picked there (or several of these, of one input), `pool_sum`, `pool_pick`.

    Operands x (N, C, *size), for `pool_pick` alone also the numbers of the taps (N, C, *out); the body goes over these.
    The batch axis may be split into (N / L, L): then L samples lie in the lanes.
    """

    kind: ClassVar[str] = "pooling"

    def __init__(
        self, node: Node | Sequence[Node], operands: Sequence[View], body: Body, target: Target, threads: int
    ) -> None:
        nodes = [node] if isinstance(node, Node) else list(node)
        params, x = nodes[0].params, operands[0]
        self.window = params["window"]
        geometry = conv_axes.geometry(nodes[0])
        first = 3 if is_split(x, nodes[0].ndim) else 2
        axes = conv_axes.forward(x.shape[first:], nodes[0].shape[2:], self.window, **geometry)
        self.kinds = {n.op.name: n for n in nodes}
        self.stops_at_nan = stops_at_nan(nodes[0], x.shape[first:])
        self._prepare(nodes, operands, body, target, [axes])

    def _one(self, k: Emitter, axes: tuple[Axis, ...], spot: Spot) -> None:
        x, code, lanes, kinds = self.operands[0], self.operands[0].buffer.code, spot.lanes, self.kinds
        total = k.var(k.const(0, code, lanes))
        picks = "pool_pick" in kinds and len(self.operands) == 1
        best = Best(k, k.const(lowest(code), code, lanes), "pool_argmax" in kinds, self.stops_at_nan, picks)
        row = self.axis == "row"
        which = self._read(k, self.operands[1], spot, spot.q) if len(self.operands) > 1 else None
        with _each_tap(k, axes, spot.q, row) as found:
            for tap in found:
                places = [a.place(at, t) for a, at, t in zip(axes, spot.q, tap, strict=True)]
                inside: Val | None = None
                if row:
                    reader, inside = seen_forward(k, axes[-1], tap[-1], Row(spot.q[-1], lanes, spot.mask))
                    seen = reader(x, (spot.n, spot.c, *places[:-1]))
                else:
                    seen = self._read(k, x, spot, places)
                number = k.spread(k.cast(k.index(_number(tap, axes, self.window)), "i4"), "i4", lanes)
                if which is not None or "pool_sum" in kinds:
                    hit = inside
                    if which is not None:
                        there = k.equal(k.cast(which, "i4"), number)
                        hit = there if inside is None else there & inside
                    zero = k.const(0, code, lanes)
                    total.set(total.get() + (seen if hit is None else k.select(hit, seen, zero)))
                else:
                    best.meet(
                        seen if inside is None else k.select(inside, seen, k.const(lowest(code), code, lanes)), number
                    )
        found = {"pool_max": best.value, "pool_argmax": best.number, "pool_sum": total}
        found["pool_pick"] = best.picked or total
        given = {node: var.get() for name, node in kinds.items() if (var := found[name]) is not None}
        self._write(k, given, spot, spot.q)


class PoolBackward(Pool):
    """`pool_place` and `pool_spread`: operands g (N, C, *out) and, for the first, the numbers of the taps, alike.

    The body goes over (N, C, *size). The batch axis may be split into (N / L, L): then L samples lie in the lanes.
    """

    kind: ClassVar[str] = "pooling, backward"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        self.window = node.params["window"]
        geometry = conv_axes.geometry(node)
        out = operands[0].shape[3 if is_split(operands[0], node.ndim) else 2 :]
        parts = conv_axes.phases(node.shape[2:], out, self.window, **geometry)
        self._prepare([node], operands, body, target, parts)
        self.last = conv_axes.forward(node.shape[-1:], out[-1:], self.window[-1:], **_last(geometry))[0]
        if self.axis == "row":  # phases of the other axes only, for lanes are neighbours on the last
            flat = Axis(node.shape[-1], 1 if aligned(self.last, self.lanes) else self.last.taps, node.shape[-1])
            self.parts = list(dict.fromkeys((*axes[:-1], flat) for axes in parts))
            self.counts = (*self.counts[:-1], node.shape[-1])

    def _one(self, k: Emitter, axes: tuple[Axis, ...], spot: Spot) -> None:
        g, which = self.operands[0], self.operands[1] if len(self.operands) > 1 else None
        row, zero = self.axis == "row", k.const(0, g.buffer.code, spot.lanes)
        total = k.var(zero)
        with _each_tap(k, axes, spot.q, row) as found:
            for tap in found:
                places = [a.place(at, t) for a, at, t in zip(axes, spot.q, tap, strict=True)]
                inside: Val | None = None
                if row:
                    here = Row(spot.q[-1], spot.lanes, spot.mask)
                    reader, last, inside = seen_backward(k, self.last, tap[-1], here)
                    above = _number(tap[:-1], axes[:-1], self.window[:-1]) * self.window[-1]
                    number = last + k.cast(k.index(above), "i4")
                    index = (spot.n, spot.c, *places[:-1])
                    read = lambda view, reader=reader, index=index: reader(view, index)
                else:
                    number = k.cast(k.index(_number(tap, axes, self.window)), "i4")
                    read = lambda view, places=places: self._read(k, view, spot, places)
                seen = read(g)
                if which is not None:
                    hit = k.equal(k.cast(read(which), "i4"), number)
                    seen = k.select(hit if inside is None else hit & inside, seen, zero)
                total.set(total.get() + seen)
        self._write(k, {self.node: total.get()}, spot, [a.made(at) for a, at in zip(axes, spot.q, strict=True)])


def _last(geometry: dict[str, Any]) -> dict[str, Any]:
    return {key: value[-1:] for key, value in geometry.items()}
