"""The arena: no two buffers that are in use at once overlap, found by following every run of every plan."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.kernels.views import Buffer
from backlit.compiler.lower.steps import Branch, Call, Loop, Run, Step, While, walk
from backlit.compiler.memory import LINE, Arena, accesses, root

from .. import programs
from ..programs import Program
from .native import in_memory
from .test_random_native import MIDDLE, both

Event = tuple[Buffer, bool]


def histories(steps: Sequence[Step], rng: random.Random) -> Iterator[Event]:
    """What a run touches, in order: loops go round twice (once, or not at all), branches go either way."""
    for step in steps:
        if not isinstance(step, While):
            yield from accesses(step)
        if isinstance(step, Loop):
            for _ in range(min(step.turns, 3)):
                yield from histories(step.body, rng)
        elif isinstance(step, While):
            for _ in range(rng.choice([0, 1, 2, 3])):
                yield from histories(step.test, rng)
                yield step.flag.buffer, False
                yield from histories(step.body, rng)
            yield from histories(step.test, rng)
            yield step.flag.buffer, False
        elif isinstance(step, Branch):
            yield from histories(rng.choice([step.yes, step.no]), rng)


def assert_nothing_is_lost(steps: Sequence[Step], arena: Arena, rng: random.Random) -> None:
    """Every byte that is read was last written through the buffer that reads it."""
    owner: list[Any] = [None] * (arena.size // LINE + 1)
    for buffer, writes in histories(steps, rng):
        if root(buffer).kind != "scratch":
            continue
        at, size = arena.places[root(buffer)], root(buffer).nbytes
        assert at % LINE == 0
        assert at + size <= arena.size
        lines = range(at // LINE, (at + max(size, 1) - 1) // LINE + 1)
        if not writes:
            assert all(owner[i] in (buffer, None) for i in lines), (
                f"{buffer} is read where {owner[lines[0]]} was written"
            )
        else:
            for i in lines:
                owner[i] = root(buffer)


def assert_right(function: Any, values: Sequence[Any], turns: int = 4) -> Arena:
    with in_memory():
        plan: Any = bl.compile(function).plan(*values)
    for seed in range(turns):
        assert_nothing_is_lost(plan.steps, plan.arena, random.Random(seed))
    assert plan.arena.size <= plan.arena.naive
    assert {root(b) for s in walk(plan.steps) for b, _ in accesses(s) if root(b).kind == "scratch"} <= set(
        plan.arena.places
    )
    return plan.arena


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed):
    with mock.patch.multiple(programs, SHAPES=MIDDLE, NODES=14, FEW=600):
        p = Program(random.Random(seed).choice)
    assert_right(both(p), p.inputs)


def test_loops_and_branches():
    x = np.ones((20, 30, 40), "f4")
    w = np.ones((40, 40), "f4")

    def function(x: Any, w: Any) -> Any:
        def turn(h: Any, row: Any) -> Any:
            a = bl.tanh(h @ w + row)
            b = bl.cond(bl.sum(a) > 0, lambda a: a @ w, lambda a: bl.exp(a) @ w, a)
            return b, bl.softmax(b @ w, axis=1)

        h, ys = bl.scan(turn, bl.sin(x[0]) @ w, x)
        h = bl.while_loop(lambda h: bl.sum(h @ w) < 3, lambda h: bl.cos(h @ w) + 1, h)
        return bl.sum(ys * h) + bl.sum(bl.exp(h) @ w)

    assert_right(function, [x, w])
    assert_right(
        lambda x, w: bl.grad(lambda w: bl.sum(bl.scan(lambda h, r: (bl.tanh(h @ w + r), None), x[0], x)[0]))(w), [x, w]
    )


def test_a_long_chain_takes_the_room_of_two():
    def chain(x: Any) -> Any:
        for _ in range(12):
            x = bl.sort(x, axis=0) @ bl.ones((64, 64))
        return x

    arena = assert_right(chain, [np.ones((64, 64), "f4")])
    assert arena.size <= 3 * 64 * 64 * 4
    assert arena.naive >= 20 * 64 * 64 * 4


def test_what_is_called_by_numpy_is_followed_too():
    with in_memory():
        plan: Any = bl.compile(lambda x: bl.sort(bl.exp(x) * 2, axis=0) + 1).plan(np.ones((9, 9), "f4"))
    assert any(isinstance(s, Call) for s in plan.steps)
    assert any(isinstance(s, Run) for s in plan.steps)
    assert_nothing_is_lost(plan.steps, plan.arena, random.Random(0))
