"""Poolings whose lanes run along a row: what each lane sees of x forward, of the cotangent backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from .body import load
from .conv_axes import Axis
from .views import View


class Row(NamedTuple):
    """Neighbouring positions of a row, one in each lane.

    Attributes:
        x: the first of them.
        lanes: how many.
        mask: those that count; None for all.
    """

    x: Ix
    lanes: int
    mask: Val | None


#: Reads the elements of a view whose index on all axes but the last is given.
Reader = Callable[[View, Sequence[Any]], Val]


def seen_forward(k: Emitter, axis: Axis, tap: Any, row: Row) -> tuple[Reader, Val | None]:
    """What one tap of the windows sees, and in which lanes it sees anything; None for all that count."""

    def gathered(view: View, index: Sequence[Any]) -> Val:
        return _gathered(k, view, index, place, inside)

    def loaded(view: View, index: Sequence[Any]) -> Val:
        if view.strides[-1] != 1:
            return gathered(view, index)
        if axis.stride == 1:
            return load(k, view, (*index, axis.place(row.x, tap)), row.lanes, mask=row.mask, fixed=True)
        # Every other element: of two vectors. Taps 2i and 2i + 1 share these.
        even = axis.dilation * tap - axis.lo
        odd = even % 2
        first = row.x * 2 + (even - odd)
        pieces = []
        for i in range(2):
            start = first + i * row.lanes
            left = k.lanes_below(axis.size - start, row.lanes) if row.mask or axis.size % (2 * row.lanes) else None
            pieces.append(load(k, view, (*index, start), row.lanes, mask=left, fixed=True))
        return k.shuffle(pieces[0], range(odd, 2 * row.lanes, 2), pieces[1])

    place = k.lane_numbers("i4", row.lanes) * axis.stride + k.cast(k.index(axis.place(row.x, tap)), "i4")
    inside = row.mask
    if axis.open:
        return (loaded if axis.stride == 1 or (axis.stride == 2 and isinstance(tap, int)) else gathered), None
    here = k.compare("ge", place, 0) & k.compare("lt", place, axis.size)
    inside = here if inside is None else inside & here
    return gathered, inside


def aligned(axis: Axis, lanes: int) -> bool:
    """Do the windows tile the row from its first element on, and a vector of elements hold whole windows?"""
    return axis.taps == axis.stride and axis.dilation == 1 and axis.lo == 0 and lanes % axis.stride == 0


def seen_backward(k: Emitter, axis: Axis, tap: Any, row: Row) -> tuple[Reader, Val, Val | None]:
    """What sees the row's elements through a tap: a reader, the tap's number in each lane, and where any does.

    Where the windows tile the row, one reading serves all taps, and `tap` is not asked.
    """
    s, lanes = axis.stride, row.lanes
    if aligned(axis, lanes):
        first = Ix.of(k.index(row.x) / k.const(s, "i8"))
        few = lanes // s
        left = k.lanes_below(axis.positions - first, few) if row.mask or axis.positions * s % lanes else None

        def repeated(view: View, index: Sequence[Any]) -> Val:
            found = load(k, view, (*index, first), few, mask=left, fixed=True)
            return k.shuffle(k.spread(found, found.code, few), [i // s for i in range(lanes)])

        return repeated, k.table([i % s for i in range(lanes)], "i4"), None
    distance = k.lane_numbers("i4", lanes) + k.cast(k.index(row.x + axis.lo - Ix.of(tap) * axis.dilation), "i4")
    place = distance / k.const(s, "i4", lanes) if s > 1 else distance
    inside = k.compare("ge", distance, 0) & k.compare("lt", place, axis.positions)
    if s > 1:
        inside = inside & k.equal(place * s, distance)
    if row.mask is not None:
        inside = inside & row.mask
    number = k.spread(k.cast(k.index(tap), "i4"), "i4", lanes)
    return lambda view, index: _gathered(k, view, index, place, inside), number, inside


def _gathered(k: Emitter, view: View, index: Sequence[Any], place: Val, inside: Val | None) -> Val:
    base = k.spread(k.index(view.at((*index, 0))), "i8", place.lanes)
    at = base + k.cast(place, "i8") * view.strides[-1]
    return k.gather(f"%{view.buffer.name}", at, view.buffer.code, mask=inside, fixed=True)
