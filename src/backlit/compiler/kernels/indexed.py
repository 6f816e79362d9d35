"""Reading and writing at indices that are computed: `take`, windows from a computed start, and updates of rows.

An index out of range must not touch memory that is not the array's. It is moved to the nearest end, and the number of
the node is left in the plan's status, so that the call raises the error that eager mode raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from ..codegen.writer import Target
from .body import load, store
from .kernel import Kernel
from .views import Buffer, View

#: Elements that are worth a thread of their own.
WORTH = 8192


class Status:
    """Where a plan notes that an index was out of range, and which nodes could have."""

    def __init__(self, name: str) -> None:
        self.buffer = Buffer(name, "i8", 1, "status")
        self.nodes: list[Node] = []

    def number(self, node: Node) -> int:
        """The number that stands for a node; 0 stands for none."""
        self.nodes.append(node)
        return len(self.nodes)


class _Indexed(Kernel):
    """What kernels with computed indices share."""

    node: Node
    target: Target
    status: Status
    number: int

    def _begin(self, node: Node, target: Target, status: Status, reads: Sequence[View], out: View) -> None:
        self.node, self.nodes, self.target, self.status = node, (node,), target, status
        self.name = node.name or node.op.name
        self.number = status.number(node)
        self.reads = tuple(dict.fromkeys(v.buffer for v in reads))
        self.writes = (out.buffer, status.buffer)
        self.nbytes = 2 * prod(out.shape) * max(1, out.buffer.nbytes // out.buffer.size)

    def _within(self, k: Emitter, index: Val, count: int, negative: bool = True) -> Ix:
        """An index moved into `range(count)`; negative ones count from the end, if they may."""
        i = k.cast(index, "i8")
        if negative:
            i = k.select(i < 0, i + count, i)
        last = k.const(max(count - 1, 0), "i8")
        inside = (i >= 0) & (i <= last)
        with k.when(~inside):
            k.store(f"%{self.status.buffer.name}", 0, k.const(self.number, "i8"))
        return Ix.of(k.select(i < 0, k.const(0, "i8"), k.select(i > last, last, i)))

    def _rows(self, k: Emitter, sizes: Sequence[int], unit: Ix) -> list[Ix]:
        """A unit's number as an index over `sizes`."""
        found: list[Ix] = []
        rest = k.index(unit)
        for n in reversed(sizes[1:]):
            found.append(Ix.of(k.remainder(rest, n)) if n > 1 else Ix(0))
            rest = rest / n if n > 1 else rest
        return [Ix.of(rest), *reversed(found)] if sizes else []

    def _copy(
        self, k: Emitter, source: View, at: Sequence[Any], out: View, to: Sequence[Any], sizes: Sequence[int]
    ) -> None:
        """Copy what stands behind an index of the source to behind one of the output; `sizes` is its shape."""
        code = source.buffer.code
        if not sizes:
            store(k, out, to, load(k, source, at, 1))
            return
        if len(sizes) > 1:
            with k.loop(0, sizes[0]) as i:
                self._copy(k, source, [*at, i], out, [*to, i], sizes[1:])
            return
        lanes, n = self.target.lanes(code), sizes[0]
        with k.loop(0, n // lanes * lanes, lanes) as i:
            store(k, out, [*to, i], k.spread(load(k, source, [*at, i], lanes), code, lanes))
        if n % lanes:
            mask, i = k.first_lanes(n % lanes, lanes), Ix(n // lanes * lanes)
            store(k, out, [*to, i], k.spread(load(k, source, [*at, i], lanes, mask=mask), code, lanes), mask=mask)


class Take(_Indexed):
    """`take`: the slices of `x` along `axis` at the indices; out (*before, *indices, *after)."""

    kind: ClassVar[str] = "take"

    def __init__(
        self, node: Node, x: View, indices: View, axis: int, out: View, target: Target, status: Status
    ) -> None:
        self._begin(node, target, status, (x, indices), out)
        self.x, self.indices, self.axis, self.out = x, indices, axis, out
        self.before, self.after = x.shape[:axis], x.shape[axis + 1 :]
        self.after_one = prod(self.after) == 1 and len(indices.shape) > 0
        rows = (*self.before, *indices.shape)
        self.sizes = rows[:-1] if self.after_one else rows
        self.units = prod(self.sizes)
        each = max(1, prod(out.shape) // max(1, self.units))
        self.grain = -(-WORTH // each)

    def emit(self, k: Emitter) -> None:
        first = len(self.before)
        with k.loop(k.lo, k.hi) as unit:
            index = self._rows(k, self.sizes, unit)
            if not self.after_one:
                at = self._within(k, load(k, self.indices, index[first:], 1), self.x.shape[self.axis])
                self._copy(k, self.x, [*index[:first], at], self.out, index, self.after)
                return
            with k.loop(0, self.indices.shape[-1]) as j:
                at = self._within(k, load(k, self.indices, [*index[first:], j], 1), self.x.shape[self.axis])
                zeros = [0] * len(self.after)
                store(k, self.out, [*index, j, *zeros], load(k, self.x, [*index[:first], at, *zeros], 1))

    def source(self) -> Sequence[str]:
        i, x = self.indices.buffer.name, self.x.buffer.name
        return [f"  for r in 0..{self.units}:", f"    {self.out.buffer.name}[r, :] = {x}[{i}[r], :]"]


class Window(_Indexed):
    """`dynamic_slice`: a part of `x` along `axis` from a computed start; or (`into`) a part written there."""

    kind: ClassVar[str] = "window"

    def __init__(
        self, node: Node, x: View, start: View, axis: int, out: View, target: Target, status: Status, into: bool = False
    ) -> None:
        self._begin(node, target, status, (x, start), out)
        self.x, self.start, self.axis, self.out, self.into = x, start, axis, out, into
        self.part = x if into else out
        self.room = (out if into else x).shape[axis] - self.part.shape[axis] + 1
        self.sizes = self.part.shape[: axis + 1]
        self.units = prod(self.sizes)
        self.grain = -(-WORTH // max(1, prod(self.part.shape[axis + 1 :])))

    def emit(self, k: Emitter) -> None:
        with k.loop(k.lo, k.hi) as unit:
            start = self._within(k, load(k, self.start, [], 1), self.room, negative=False)
            index = self._rows(k, self.sizes, unit)
            moved = [*index[:-1], index[-1] + start]
            at, to = (index, moved) if self.into else (moved, index)
            self._copy(k, self.x, at, self.out, to, self.part.shape[self.axis + 1 :])

    def source(self) -> Sequence[str]:
        return [
            f"  {self.out.buffer.name} = {self.x.buffer.name} from {self.start.buffer.name} on, along axis {self.axis}"
        ]


class Update(_Indexed):
    """Rows of an array set to new values or added to, at indices along the first axis, one after another.

    What the array held before has been put into `out` already. Equal indices: the last value stays, or all are added.
    Units are pieces of a row, so that threads never meet.
    """

    kind: ClassVar[str] = "update"

    def __init__(
        self, node: Node, y: View, indices: View, out: View, target: Target, status: Status, adds: bool
    ) -> None:
        self._begin(node, target, status, (y, indices, out), out)
        self.y, self.indices, self.out, self.adds = y, indices, out, adds
        self.rest = out.shape[1:]
        code = out.buffer.code
        self.lanes = target.lanes(code) if self.rest and self.rest[-1] > 1 else 1
        self.pieces = -(-self.rest[-1] // self.lanes) if self.rest else 1
        self.units = prod(self.rest[:-1]) * self.pieces if prod(self.rest) else 0
        self.grain = max(1, -(-WORTH // max(1, prod(indices.shape) * self.lanes)))
        self.flops = prod(y.shape) if adds else 0

    def emit(self, k: Emitter) -> None:
        n = self.rest[-1] if self.rest else 1
        with k.loop(k.lo, k.hi) as unit:
            index = self._rows(k, [*self.rest[:-1], self.pieces], unit) if self.rest else []
            if self.lanes == 1 or n % self.lanes == 0:
                self._piece(k, index, None)
                return
            last = k.equal(k.index(index[-1]), self.pieces - 1)
            with k.when(~last):
                self._piece(k, index, None)
            with k.when(last):
                self._piece(k, index, k.first_lanes(n % self.lanes, self.lanes))

    def _piece(self, k: Emitter, index: Sequence[Ix], mask: Val | None) -> None:
        tail = [*index[:-1], index[-1] * self.lanes] if index else []

        def walk(sizes: Sequence[int], j: list[Any]) -> None:
            if sizes:
                with k.loop(0, sizes[0]) as i:
                    walk(sizes[1:], [*j, i])
                return
            row = self._within(k, load(k, self.indices, j, 1), self.out.shape[0])
            value = load(k, self.y, [*j, *tail], self.lanes, mask=mask)
            if self.adds:
                value = load(k, self.out, [row, *tail], self.lanes, mask=mask) + value
            store(k, self.out, [row, *tail], k.spread(value, value.code, self.lanes), mask=mask)

        walk(self.indices.shape, [])

    def source(self) -> Sequence[str]:
        sign = "+=" if self.adds else "="
        return [
            f"  for r in 0..{prod(self.indices.shape)}:",
            f"    {self.out.buffer.name}[{self.indices.buffer.name}[r], :] {sign} {self.y.buffer.name}[r, :]",
        ]
