"""Reading memory at places that are known only when it runs, and copying arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..codegen.emitter import Emitter
from ..codegen.values import Ix
from .tiny_ops import Note, legal
from .tiny_values import Base, Elements, Memory, ask, chosen, joined, lanes_of, places_of, read
from .views import View


class Taken(Base):
    """Slices of an array in memory along an axis, at indices that are known only when it runs.

    Args:
        memory: the array.
        axis: along this axis; those of the indices take its place.
        indices: their elements.
        shape: the shape of the result.
        note: where an index out of range is noted.
    """

    def __init__(self, memory: Memory, axis: int, indices: Elements, shape: tuple[int, ...], note: Note | None) -> None:
        view, self.note = memory.view, note
        super().__init__(view.buffer.code, int(np.prod(shape, dtype=int)))
        self.memory, self.indices = memory, indices
        self.stride, self.count = view.strides[axis], view.shape[axis]
        row = view.sliced(axis, 0, 1, 1)
        many = len(indices.refs)
        fixed = np.asarray(places_of(row)).reshape(row.shape)
        numbers = np.arange(many).reshape(-1, *(1,) * (len(view.shape) - axis - 1))
        full = (*view.shape[:axis], many, *view.shape[axis + 1 :])
        self.places = np.broadcast_to(fixed, full).reshape(-1).tolist()
        self.which = np.broadcast_to(numbers, full).reshape(-1).tolist()

    def ask(self, lanes: int) -> None:
        self.made = chosen(self.asked, 3, lanes_of(self.code, lanes))
        for layout in self.made:
            ask(self._indices(layout))

    def _indices(self, layout: Any) -> list[Any]:
        found = [self.indices.refs[self.which[e]] for e in layout]
        return found[:1] if len(set(found)) == 1 else found

    def emit(self, k: Emitter) -> None:
        view, fixed = self.memory
        pointer, code = f"%{view.buffer.name}", view.buffer.code
        for layout in self.made:
            index = legal(k, read(k, self._indices(layout)), self.count, self.note)
            places = [self.places[e] for e in layout]
            if index.lanes > 1:
                at = index * self.stride + k.table(places, "i8")
                self.forms[layout] = k.gather(pointer, at, code, fixed=fixed)
                continue
            at = Ix.of(index) * self.stride
            if all(p == places[0] + i for i, p in enumerate(places)):
                self.forms[layout] = k.load(pointer, at + places[0], code, len(places), fixed=fixed)
            else:
                self.forms[layout] = joined(k, [k.load(pointer, at + p, code, fixed=fixed) for p in places])


def copied(k: Emitter, source: View, target: View, index: tuple[Any, ...] = ()) -> None:
    """Copy an array in memory, element by element."""
    axis = len(index)
    if axis < len(source.shape):
        with k.loop(0, source.shape[axis]) as i:
            copied(k, source, target, (*index, i))
        return
    value = k.load(f"%{source.buffer.name}", source.at(index), source.buffer.code)
    k.store(f"%{target.buffer.name}", target.at(index), value)
