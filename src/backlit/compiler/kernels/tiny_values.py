"""Values in the lanes of registers: which element lies in which lane, asked for beforehand and read in any order.

A small tensor is a tuple of `Ref`s, one an element: the `Base` that computes it and its number there. To move elements
(transpose, broadcast, slice, join) is to write down other refs and costs nothing. What is computed is computed in
*layouts*: for each lane the number of an element, the same element as often as its users like. First, from the outputs
backwards, every base is asked for the layouts that its users want and decides in which of them it will be made; then,
forwards, it is. What is read in a layout that was not made is put together by shuffles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from .views import View

#: For each lane the number of an element.
Layout = tuple[int, ...]


class Ref(NamedTuple):
    """One element of what a base computes."""

    base: Base
    at: int


class Elements(NamedTuple):
    """A small tensor: where each of its elements, row by row, comes from."""

    shape: tuple[int, ...]
    code: str
    refs: tuple[Ref, ...]

    def pieces(self, lanes: int) -> list[tuple[Ref, ...]]:
        """Its elements in order, as vectors of at most so many lanes."""
        return [tuple(self.refs[i] for i in piece) for piece in pieces(range(len(self.refs)), lanes)]


class Step:
    """A part of the function: a value that is computed, or a loop, or a write to memory."""

    def parts(self) -> Iterable[Step]:
        """The steps within."""
        return ()

    def ask(self, lanes: int) -> None:
        """Decide what is made, on vectors of `lanes` 4-byte lanes, and ask for what that needs."""
        raise NotImplementedError

    def emit(self, k: Emitter) -> None:
        """Write it."""
        raise NotImplementedError


class Base(Step):
    """A value that is computed.

    Attributes:
        code, size: its dtype and number of elements.
        asked: the layouts that its users want.
        hints: what was asked in the round of planning before.
        made: the layouts in which it is computed.
        forms: while code is written, its value in each of these.
    """

    def __init__(self, code: str, size: int) -> None:
        self.code, self.size = code, size
        self.asked: dict[Layout, None] = {}
        self.hints: dict[Layout, None] = {}
        self.made: list[Layout] = []
        self.forms: dict[Layout, Val] = {}

    @property
    def elements(self) -> tuple[Ref, ...]:
        """All its elements in order."""
        return tuple(Ref(self, i) for i in range(self.size))


class Constant(Base):
    """Elements that are known; they are there in every layout."""

    def __init__(self, array: Any, code: str) -> None:
        self.values = np.asarray(array).reshape(-1)
        super().__init__(code, self.values.size)

    def vector(self, k: Emitter, at: Sequence[int]) -> Val:
        """The elements in these lanes; anything where a number is negative."""
        values = [self.values[max(i, 0)] for i in at]
        same = all(v == values[0] for v in values) and len({np.signbit(v) for v in values if v == 0}) < 2
        return k.const(values[0], self.code, len(at)) if same else k.table(values, self.code)


class Memory(NamedTuple):
    """An array that stays in memory. With `fixed`, nothing here writes to it."""

    view: View
    fixed: bool


class Loaded(Base):
    """An array in memory, or (`moves`) in each step of a loop a slice of one, read when its turn comes."""

    def __init__(self, memory: Memory, moves: bool = False) -> None:
        self.view, self.fixed = memory
        self.moves = moves
        #: What the step of the loop adds to the place in memory.
        self.place: Ix = Ix(0)
        super().__init__(self.view.buffer.code, int(np.prod(self.view.shape, dtype=int)))

    def ask(self, lanes: int) -> None:
        whole = pieces(range(self.size), lanes_of(self.code, lanes))
        self.made = [p for p in self.asked if is_run(p) or len(set(p)) == 1]
        if any(p not in self.made for p in self.asked):
            self.made += [p for p in whole if p not in self.made]

    def emit(self, k: Emitter) -> None:
        pointer = f"%{self.view.buffer.name}"
        places = places_of(self.view)

        def load(e: int, lanes: int) -> Val:
            return k.load(pointer, self.place + places[e], self.code, lanes, fixed=self.fixed)

        for layout in self.made:
            count = len(set(layout))
            first = layout[0]
            if count == 1:
                value = k.spread(load(first, 1), self.code, len(layout))
            elif all(places[e] - places[first] == i for i, e in enumerate(layout[:count])):
                value = load(first, count)
                value = k.shuffle(value, [i % count for i in range(len(layout))])
            else:
                value = joined(k, [load(e, 1) for e in layout])
            self.forms[layout] = value


# --- layouts -----------------------------------------------------------------------------------------


def lanes_of(code: str, lanes: int) -> int:
    """The lanes of a dtype in a vector that has `lanes` of 4 bytes."""
    return max(1, lanes * 4 // size_of(code)) if code != "b1" else lanes


def padded(elements: Sequence[int]) -> Layout:
    """Elements as a layout of a power of two lanes, from the start again behind the last."""
    n = len(elements)
    return tuple(elements[i % n] for i in range(1 << (n - 1).bit_length()))


def pieces(elements: Iterable[int], lanes: int) -> list[Layout]:
    """Elements as layouts of at most so many lanes."""
    rest = iter(elements)
    found = []
    while piece := tuple(islice(rest, lanes)):
        found.append(padded(piece))
    return found


def is_run(layout: Layout) -> bool:
    """Do the elements follow one another, but for what pads to a power of two?"""
    n = len(set(layout))
    return layout == padded(range(layout[0], layout[0] + n))


def is_start(short: Layout, long: Layout) -> bool:
    """Is a layout the first lanes of another? Then it is there with it."""
    return long[: len(short)] == short


def distinct(asked: Iterable[Layout]) -> list[Layout]:
    """The layouts that are not the start of another."""
    every = list(asked)
    return [a for a in every if not any(a is not b and is_start(a, b) for b in every)]


def chosen(asked: Iterable[Layout], cost: float, lanes: int) -> list[Layout]:
    """The layouts to compute, where one costs about `cost` instructions; the others are shuffled from these."""
    wide = distinct(asked)
    if cost <= 2 and len(wide) <= 4:
        return wide
    cover: list[Layout] = []
    needed: set[int] = set()
    for layout in sorted(wide, key=lambda a: -len(set(a))):
        if not needed.issuperset(layout):
            cover.append(layout)
            needed.update(layout)
    whole = pieces(sorted(needed), lanes)
    return whole if len(whole) < len(cover) else cover


# --- asking and reading ------------------------------------------------------------------------------


def layout_of(refs: Sequence[Ref]) -> tuple[Base, Layout] | None:
    """Base and layout of elements that all come from one base."""
    base = refs[0].base
    return (base, tuple(r.at for r in refs)) if all(r.base is base for r in refs) else None


def ask(refs: Sequence[Ref]) -> None:
    """Say that these elements will be read in this order."""
    if one := layout_of(refs):
        one[0].asked[one[1]] = None
        return
    parts: dict[Base, dict[int, None]] = {}
    for base, at in refs:
        parts.setdefault(base, {})[at] = None
    for base, elements in parts.items():
        base.asked[padded(list(elements))] = None


def shuffles(refs: Sequence[Ref]) -> float:
    """How many shuffles it will take, about, to read elements in this order; known after a round of planning."""
    if one := layout_of(refs):
        base, layout = one
        if isinstance(base, Constant) or any(is_start(layout, a) for a in (*base.asked, *base.hints)):
            return 0
        return 0.25 if isinstance(base, Loaded) and base.fixed else 1
    return len({r.base for r in refs if not isinstance(r.base, Constant)})


def read(k: Emitter, refs: Sequence[Ref]) -> Val:
    """Elements in this order, one in each lane."""
    if one := layout_of(refs):
        base, layout = one
        if isinstance(base, Constant):
            return base.vector(k, layout)
        if layout in base.forms:
            return base.forms[layout]
        for form, value in base.forms.items():
            if is_start(layout, form):
                return k.shuffle(value, range(len(layout)))
    return _assembled(k, refs)


def _assembled(k: Emitter, refs: Sequence[Ref]) -> Val:
    """Elements shuffled together from what there is; whatever gives most lanes first."""
    n = len(refs)
    todo = set(range(n))
    found: Val | None = None
    while todo:
        best, lanes = _best(k, refs, todo)
        if n == 1:
            return k.lane(best, lanes[0])
        part = k.shuffle(best, [lanes.get(i, -1) for i in range(n)])
        found = part if found is None else k.shuffle(found, [n + i if i in lanes else i for i in range(n)], part)
        todo -= set(lanes)
    assert found is not None
    return found


def _best(k: Emitter, refs: Sequence[Ref], todo: set[int]) -> tuple[Val, dict[int, int]]:
    """A value that holds as many of the wanted elements as any, and for each such lane the lane where it lies."""
    best: tuple[Val, dict[int, int]] | None = None
    for base in dict.fromkeys(refs[i].base for i in sorted(todo)):
        wanted = {i: refs[i].at for i in todo if refs[i].base is base}
        if isinstance(base, Constant):
            value = base.vector(k, [wanted.get(i, -1) for i in range(len(refs))])
            candidates = [(value, {i: i for i in wanted})]
        else:
            candidates = [
                (value, {i: _lane(form, e, i) for i, e in wanted.items() if e in form})
                for form, value in base.forms.items()
            ]
        for value, lanes in candidates:
            if best is None or (len(lanes), -value.lanes) > (len(best[1]), -best[0].lanes):
                best = value, lanes
    assert best is not None
    return best


def _lane(form: Layout, element: int, wanted: int) -> int:
    """The lane of a form that holds the element: the wanted one itself, or near to it."""
    return min((i for i, e in enumerate(form) if e == element), key=lambda i: (i != wanted, i // 4 != wanted // 4, i))


def joined(k: Emitter, numbers: Sequence[Val]) -> Val:
    """Single numbers as a vector."""
    if len(numbers) == 1:
        return numbers[0]
    n = len(numbers)
    found = k.spread(numbers[0], numbers[0].code, n)
    for i, x in enumerate(numbers[1:], 1):
        if x is not numbers[0]:
            found = k.shuffle(found, [n + j if j == i else j for j in range(n)], k.spread(x, x.code, n))
    return found


# --- memory ------------------------------------------------------------------------------------------


def places_of(view: View) -> list[int]:
    """For each element of an array, row by row, its place in the buffer."""
    places = np.full(view.shape, view.offset)
    for axis, (n, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        places = places + (np.arange(n) * stride).reshape(-1, *(1,) * (len(view.shape) - axis - 1))
    return places.reshape(-1).tolist()


def write(k: Emitter, view: View, elements: Elements, place: Ix) -> None:
    """Store a small tensor in memory, `place` further on than the view says."""
    pointer = f"%{view.buffer.name}"
    places = places_of(view)
    start = 0
    for piece in elements.pieces(k.target.lanes(elements.code)):
        value = read(k, piece)
        count = min(len(piece), len(places) - start)
        if all(places[start + i] - places[start] == i for i in range(count)):
            k.store(pointer, place + places[start], k.shuffle(value, range(count)))
        else:
            for i in range(count):
                k.store(pointer, place + places[start + i], k.lane(value, i))
        start += count
