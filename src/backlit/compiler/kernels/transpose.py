"""`Transpose`: a copy whose source and target run along different axes, in squares that are turned in registers.

Element by element such a copy would gather or scatter; here both sides are whole vectors.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from math import prod
from typing import ClassVar, NamedTuple

from ..codegen.arithmetic import transposed
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, size_of
from ..codegen.writer import Target
from .alike import Likeness
from .body import load, store
from .conv_nest import taken_apart
from .kernel import Kernel
from .views import View

#: The largest square has so many rows: more would not fit into the registers.
SIDE = 16

#: So many bytes are worth a thread of their own.
WORTH = 1 << 15


class Run(NamedTuple):
    """Axes of an array that lie one after another in memory, cut into tiles of as many elements as a vector has.

    Attributes:
        axes: outermost first.
        sizes: theirs.
        step: so many places of the outermost axis are in a tile.
    """

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    step: int

    @property
    def whole(self) -> int:
        """The number of whole tiles."""
        return self.sizes[0] // self.step

    @property
    def rest(self) -> int:
        """The number of elements after these."""
        return self.sizes[0] % self.step * prod(self.sizes[1:])

    def at(self, tile: Ix, number: int) -> dict[int, Ix]:
        """The index of an element of a tile, by axes."""
        found: dict[int, Ix] = {}
        for axis, size in zip(reversed(self.axes[1:]), reversed(self.sizes[1:]), strict=True):
            number, inner = divmod(number, size)
            found[axis] = Ix(inner)
        found[self.axes[0]] = tile * self.step + number
        return found


def _run(view: View, lanes: int) -> Run | None:
    """The innermost axes of a view, as many as fill a vector."""
    axes: list[int] = []
    length = 1
    while length < lanes and lanes % length == 0:
        following = [i for i, n in enumerate(view.shape) if n > 1 and view.strides[i] == length and i not in axes]
        if not following:
            break
        axes.insert(0, following[0])
        length *= view.shape[following[0]]
    if length < 4:
        return None
    sizes = tuple(view.shape[i] for i in axes)
    return Run(tuple(axes), sizes, lanes // prod(sizes[1:]))


def can_transpose(source: View, target: View, lanes: int) -> bool:
    """Do these, of one shape and dtype, run along different axes, far enough to fill a good part of a vector?"""
    a, b = _run(source, lanes), _run(target, lanes)
    if a is None or b is None or set(a.axes) & set(b.axes) or source.buffer is target.buffer:
        return False
    return size_of(source.buffer.code) >= 4 and lanes >= 4 and 0 not in source.strides


def lanes_of(source: View, target: Target) -> int:
    """The side of the squares."""
    return min(SIDE, target.lanes(source.buffer.code))


class Transpose(Kernel):
    """A copy from one view to another of the same shape; a unit is a tile of the source's run."""

    kind: ClassVar[str] = "transposition"

    def __init__(self, name: str, source: View, target: View, host: Target) -> None:
        self.name, self.nodes = name, ()
        self.x, self.y, self.lanes = source, target, lanes_of(source, host)
        a, b = _run(source, self.lanes), _run(target, self.lanes)
        assert a is not None
        assert b is not None
        self.a, self.b = a, b
        self.others = [i for i in range(len(source.shape)) if i not in a.axes and i not in b.axes]
        self.counts = [*(source.shape[i] for i in self.others), a.whole + (a.rest > 0)]
        self.units = prod(self.counts)
        self.reads, self.writes = (source.buffer,), (target.buffer,)
        self.nbytes = 2 * prod(source.shape) * size_of(source.buffer.code)
        self.grain = max(1, -(-WORTH * self.units // max(1, self.nbytes)))

    def likeness(self) -> Hashable:
        alike = Likeness(self.buffers)
        return alike.key("transpose", alike.view(self.x), alike.view(self.y))

    def emit(self, k: Emitter) -> None:
        with k.loop(k.lo, k.hi) as unit:
            *index, tile = taken_apart(k, unit, self.counts)
            at = dict(zip(self.others, index, strict=True))
            if not self.a.rest:
                self._tiles(k, at, tile, self.lanes)
                return
            last = k.equal(k.index(tile), self.a.whole) if self.a.whole else None
            if last is not None:
                with k.when(~last):
                    self._tiles(k, at, tile, self.lanes)
            with nullcontext() if last is None else k.when(last):
                self._tiles(k, at, Ix(self.a.whole), self.a.rest)

    def _tiles(self, k: Emitter, at: dict[int, Ix], tile: Ix, wide: int) -> None:
        """Every square of a tile of the source's run, of which `wide` elements count."""
        if self.b.whole:
            with k.loop(0, self.b.whole) as other:
                self._square(k, at, tile, wide, other, self.lanes)
        if self.b.rest:
            self._square(k, at, tile, wide, Ix(self.b.whole), self.b.rest)

    def _square(self, k: Emitter, at: dict[int, Ix], tile: Ix, wide: int, other: Ix, high: int) -> None:
        lanes, code = self.lanes, self.x.buffer.code
        across, down = (None if n == lanes else k.first_lanes(n, lanes) for n in (wide, high))
        rows = []
        for i in range(lanes):
            if i < high:
                place = self._place({**at, **self.a.at(tile, 0), **self.b.at(other, i)})
                rows.append(load(k, self.x, place, lanes, axis=self.a.axes[-1], mask=across, fixed=True))
            else:
                rows.append(k.const(0, code, lanes))
        for i, value in enumerate(transposed(k, rows)[:wide]):
            place = self._place({**at, **self.a.at(tile, i), **self.b.at(other, 0)})
            store(k, self.y, place, value, axis=self.b.axes[-1], mask=down)

    def _place(self, at: dict[int, Ix]) -> list[Ix]:
        return [at[i] for i in range(len(self.x.shape))]

    def source(self) -> Sequence[str]:
        names = "ijklmnopq"[: len(self.x.shape)]
        return [
            f"# in squares of {self.lanes} x {self.lanes}, turned in registers",
            f"for {', '.join(names)} in {' x '.join(map(str, self.x.shape))}:",
            f"    {self.y.buffer.name}[{', '.join(names)}] = {self.x.buffer.name}[{', '.join(names)}]",
        ]


__all__ = ["Transpose", "can_transpose", "lanes_of"]
