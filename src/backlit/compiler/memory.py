"""Memory planning: one arena for all scratch buffers, in which those share room that are never in use together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .kernels.views import Buffer, View
from .lower.steps import Branch, Call, Loop, Run, Step, While

#: Buffers begin at multiples of a cache line, which is also the widest vector.
LINE = 64


class Arena(NamedTuple):
    """Where each scratch buffer lies.

    Attributes:
        places: byte offsets.
        size: bytes of the whole.
        naive: bytes without sharing, for comparison.
    """

    places: dict[Buffer, int]
    size: int
    naive: int


def root(buffer: Buffer) -> Buffer:
    """The buffer that a slice moves over; any other buffer itself."""
    while buffer.of is not None:
        buffer = buffer.of.buffer
    return buffer


def plan(steps: Sequence[Step]) -> Arena:
    """Place every scratch buffer of some steps."""
    lives = _lives(steps)
    order = sorted(lives, key=lambda b: (-b.nbytes, lives[b]))
    places: dict[Buffer, int] = {}
    size = 0
    for buffer in order:
        first, last = lives[buffer]
        taken = sorted(
            (places[b], places[b] + _rounded(b)) for b in places if lives[b][0] <= last and first <= lives[b][1]
        )
        at = 0
        for low, high in taken:
            if at + _rounded(buffer) <= low:
                break
            at = max(at, high)
        places[buffer] = at
        size = max(size, at + _rounded(buffer))
    return Arena(places, size, sum(map(_rounded, lives)))


def _rounded(buffer: Buffer) -> int:
    return -(-max(1, buffer.nbytes) // LINE) * LINE


def accesses(step: Step) -> Iterator[tuple[Buffer, bool]]:
    """The buffers that a step uses itself, those within others left out, and whether it writes them; reads first."""
    if isinstance(step, Run):
        yield from ((root(b), False) for b in step.kernel.reads)
        yield from ((root(b), True) for b in step.kernel.writes)
    elif isinstance(step, Call):
        yield from ((root(v.buffer), False) for v in step.inputs if isinstance(v, View))
        yield from ((root(v.buffer), True) for v in step.outputs)
    elif isinstance(step, (While, Branch)):
        yield root(step.flag.buffer), False


def _lives(steps: Sequence[Step]) -> dict[Buffer, tuple[int, int]]:
    """For each scratch buffer the first and the last moment of its use.

    What is used within a loop and also outside, or is read in a turn before it is written, lives as long as the loop.
    """
    lives: dict[Buffer, tuple[int, int]] = {}
    now = 0

    def touch(buffer: Buffer, first: int, last: int) -> None:
        if buffer.kind == "scratch":
            a, b = lives.get(buffer, (first, last))
            lives[buffer] = min(a, first), max(b, last)

    def visit(step: Step) -> dict[Buffer, bool]:
        """The buffers used, and whether the first use reads."""
        nonlocal now
        now += 1
        start = now
        used: dict[Buffer, bool] = {}
        for buffer, writes in accesses(step):
            used.setdefault(buffer, not writes)
            touch(buffer, start, start)
        inside: list[Step] = []
        if isinstance(step, Loop):
            inside = step.body
        elif isinstance(step, While):
            inside = [*step.test, *step.body]
        elif isinstance(step, Branch):
            inside = [*step.yes, *step.no]
        before = set(lives)
        within: dict[Buffer, bool] = {}
        for s in inside:
            for buffer, reads in visit(s).items():
                within.setdefault(buffer, reads)
        now += 1
        if isinstance(step, While):
            within[root(step.flag.buffer)] = True
        for buffer, reads in within.items():
            used.setdefault(buffer, reads)
            if reads or buffer in before or isinstance(step, Branch):
                touch(buffer, start, now)
        if isinstance(step, (Loop, While)):
            loops.append((start, now, set(within)))
        return used

    loops: list[tuple[int, int, set[Buffer]]] = []
    for step in steps:
        visit(step)
    changed = True
    while changed:  # what is used after a loop, too, must outlive its last turn
        changed = False
        for start, end, within in loops:
            for buffer in within:
                a, b = lives.get(buffer, (start, end))
                if (a < start or b > end) and (a > start or b < end):
                    lives[buffer] = min(a, start), max(b, end)
                    changed = True
    return lives
