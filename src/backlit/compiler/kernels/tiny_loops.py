"""Loops and branches over elements in registers: `scan`, `while_loop` and `cond` as native control flow.

What a loop carries is kept in registers, in those layouts in which its body reads it. The layouts are not known before
the body has been planned, so each round of planning takes what was asked for in the round before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..codegen.emitter import Emitter
from ..codegen.values import Ix
from ..codegen.writer import Var
from .tiny_values import (
    Base,
    Elements,
    Layout,
    Loaded,
    Memory,
    Ref,
    Step,
    ask,
    chosen,
    lanes_of,
    pieces,
    read,
    write,
)  # fmt: skip

Block = list[Step]


def ask_all(block: Sequence[Step], lanes: int) -> None:
    """Ask every step, the last first: a step is asked after all that use it."""
    for step in reversed(block):
        step.ask(lanes)


def every(block: Iterable[Step]) -> Iterable[Step]:
    """All steps, those within loops too."""
    todo = list(block)
    while todo:
        step = todo.pop()
        yield step
        todo += step.parts()


class Given(Base):
    """A value whose layouts are decided, and whose forms are set, by the loop or branch that it belongs to."""

    def ask(self, lanes: int) -> None:
        pass

    def emit(self, k: Emitter) -> None:
        pass

    def settle(self, asked: Iterable[Layout], lanes: int) -> None:
        """Choose layouts that hold all that is asked for; all elements, where nothing is known yet."""
        wanted = dict.fromkeys(asked)
        lanes = lanes_of(self.code, lanes)
        self.made = chosen(wanted, 1, lanes) if wanted else pieces(range(self.size), lanes)


class Carry:
    """What a loop carries on.

    Attributes:
        inner: its value at the start of a step.
        start, end: what it is before the first step, and what the step makes of it.
        after: its value when the loop has ended.
    """

    def __init__(self, start: Elements) -> None:
        self.start = self.end = start
        self.inner, self.after = (Given(start.code, len(start.refs)) for _ in range(2))
        self.variables: list[Var] = []

    def ask(self, lanes: int) -> None:
        """Choose the layouts and ask for them at the end of the step."""
        self.inner.settle([*self.inner.hints, *self.after.asked], lanes)
        ask_in(self.inner.made, self.end)

    def begin(self, k: Emitter) -> None:
        """The variables, with their first values."""
        self.variables = [k.var(read(k, refs)) for refs in in_layouts(self.inner.made, self.start)]

    def enter(self) -> None:
        """The values at the start of a step."""
        self.inner.forms = self._values()

    def leave(self) -> None:
        """The values after the loop."""
        self.after.forms = self._values()

    def _values(self) -> dict[Layout, Any]:
        return {layout: v.get() for layout, v in zip(self.inner.made, self.variables, strict=True)}


def in_layouts(layouts: Sequence[Layout], x: Elements) -> list[list[Ref]]:
    """The refs of a tensor in layouts of its elements."""
    return [[x.refs[e] for e in layout] for layout in layouts]


def ask_in(layouts: Sequence[Layout], x: Elements) -> None:
    """Ask for a tensor in layouts of its elements."""
    for refs in in_layouts(layouts, x):
        ask(refs)


def step_on(k: Emitter, carries: Sequence[Carry]) -> None:
    """Set the variables to what the step has made, once all of it is read."""
    new = [[read(k, refs) for refs in in_layouts(c.inner.made, c.end)] for c in carries]
    for carry, values in zip(carries, new, strict=True):
        for variable, value in zip(carry.variables, values, strict=True):
            variable.set(value)


class Loop(Step):
    """What loops share: the values carried on, and the steps of one turn."""

    def __init__(self, carries: Sequence[Carry]) -> None:
        self.carries = list(carries)
        self.block: Block = []

    def parts(self) -> Iterable[Step]:
        return [*self.block, *(b for c in self.carries for b in (c.inner, c.after))]

    def ask(self, lanes: int) -> None:
        for carry in self.carries:
            carry.ask(lanes)
        self.ask_at_end(lanes)
        ask_all(self.block, lanes)
        for carry in self.carries:
            ask_in(carry.inner.made, carry.start)

    def ask_at_end(self, lanes: int) -> None:
        """Ask for what is used at the end of each turn, beside what is carried on."""
        raise NotImplementedError


class Scan(Loop):
    """A loop of a known number of steps, over the slices of arrays in memory.

    Attributes:
        slices: what is read in each step, with the distance from one slice to the next.
        stacked: arrays in memory with what is written there in each step.
    """

    def __init__(self, carries: Sequence[Carry], length: int, reverse: bool) -> None:
        super().__init__(carries)
        self.length, self.reverse = length, reverse
        self.slices: list[tuple[Loaded, int]] = []
        self.stacked: list[tuple[Memory, Elements]] = []

    def ask_at_end(self, lanes: int) -> None:
        for _, y in self.stacked:
            for piece in y.pieces(lanes_of(y.code, lanes)):
                ask(piece)

    def emit(self, k: Emitter) -> None:
        for carry in self.carries:
            carry.begin(k)
        with k.loop(0, self.length) as i:
            at = self.length - 1 - i if self.reverse else i
            for carry in self.carries:
                carry.enter()
            for part, stride in self.slices:
                part.place = at * stride
            for step in self.block:
                step.emit(k)
            for (view, _), y in self.stacked:
                write(k, view._replace(shape=view.shape[1:], strides=view.strides[1:]), y, at * view.strides[0])
            step_on(k, self.carries)
        for carry in self.carries:
            carry.leave()


class While(Loop):
    """A loop that runs as long as a test holds.

    Attributes:
        first: the test of what is carried in, made before the loop.
        again: the test of what a step has made, at its end.
    """

    def __init__(self, carries: Sequence[Carry], first: Ref) -> None:
        super().__init__(carries)
        self.first = self.again = first

    def ask_at_end(self, lanes: int) -> None:
        ask([self.again])

    def ask(self, lanes: int) -> None:
        super().ask(lanes)
        ask([self.first])

    def emit(self, k: Emitter) -> None:
        for carry in self.carries:
            carry.begin(k)
        with k.when(k.cast(read(k, [self.first]), "b1")), k.loop_while() as repeat:
            for carry in self.carries:
                carry.enter()
            for step in self.block:
                step.emit(k)
            goes_on = k.cast(read(k, [self.again]), "b1")
            step_on(k, self.carries)
            repeat(goes_on)
        for carry in self.carries:
            carry.leave()


class Branches(Step):
    """One of two blocks, as a value decides.

    Attributes:
        results: for each result the value after the branches.
        true, false: each branch, with what it gives.
    """

    def __init__(self, which: Ref, true: tuple[Block, list[Elements]], false: tuple[Block, list[Elements]]) -> None:
        self.which, self.branches = which, (true, false)
        self.results = [Given(x.code, len(x.refs)) for x in true[1]]

    def parts(self) -> Iterable[Step]:
        return [*self.results, *(step for block, _ in self.branches for step in block)]

    def ask(self, lanes: int) -> None:
        for result in self.results:
            result.settle(result.asked, lanes)
        for block, ends in self.branches:
            for result, end in zip(self.results, ends, strict=True):
                ask_in(result.made, end)
            ask_all(block, lanes)
        ask([self.which])

    def emit(self, k: Emitter) -> None:
        which = k.cast(read(k, [self.which]), "b1")
        variables = [[k.var(k.const(0, r.code, len(layout))) for layout in r.made] for r in self.results]
        for holds, (block, ends) in zip((which, ~which), self.branches, strict=True):
            with k.when(holds):
                for step in block:
                    step.emit(k)
                for result, end, own in zip(self.results, ends, variables, strict=True):
                    for variable, refs in zip(own, in_layouts(result.made, end), strict=True):
                        variable.set(read(k, refs))
        for result, own in zip(self.results, variables, strict=True):
            result.forms = {layout: v.get() for layout, v in zip(result.made, own, strict=True)}


class Kept(Step):
    """Elements written to memory, to be read at places that are known only then, or slice by slice."""

    def __init__(self, memory: Memory, value: Elements) -> None:
        self.memory, self.value = memory, value

    def ask(self, lanes: int) -> None:
        for piece in self.value.pieces(lanes_of(self.value.code, lanes)):
            ask(piece)

    def emit(self, k: Emitter) -> None:
        write(k, self.memory.view, self.value, Ix(0))
