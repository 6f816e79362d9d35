"""Values that end where others lie: donated arguments that swap, rotate, stay, or are read after their update."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import backlit as bl

from .native import agree, arrays, eager, in_memory

RNG = np.random.default_rng(0)

#: Functions of two or three arrays of one shape, all donated; as many results take their memory.
CASES: dict[str, Callable[..., Any]] = {
    "identity": lambda a, b: (a, b),
    "swap": lambda a, b: (b, a),
    "rotate": lambda a, b, c: (b, c, a),
    "one to both": lambda a, b: (a, a),
    "swap and change": lambda a, b: (b + 1, a * 2),
    "update and old value": lambda a, b: (a - 0.1 * b, a),
    "old value and update": lambda a, b: (a, a - 0.1 * b),
    "read after update": lambda a, b: (a + 1, (a + 1) * b + a),
    "sum of both": lambda a, b: (a + b, a - b),
    "reduced after": lambda a, b: (a * 2, b + bl.sum(a)),
    "reduced before": lambda a, b: (a * bl.sum(b), b + 1),
    "each reduces the other": lambda a, b: (a + bl.sum(b), b + bl.sum(a)),
    "rows": lambda a, b: (a - bl.mean(a, axis=1, keepdims=True), b / bl.sum(a * a + 0.1, axis=0)),
    "softmax": lambda a, b: (bl.softmax(a, axis=1), bl.softmax(b, axis=0) + a),
    "transposed": lambda a, b: (a.mT + b, b.mT + a),
    "own transpose": lambda a, b: (a.mT, b + 1),
    "flipped": lambda a, b: (a[::-1], b[:, ::-1] + a),
    "rolled": lambda a, b: (bl.roll(a, 1, axis=0), bl.roll(b, 3, axis=1) + a),
    "product": lambda a, b: (a @ b, b + 1),
    "product into its operand": lambda a, b: (a @ b, a),
    "update by a product": lambda a, b: (a - 0.1 * (b.mT @ b), b - 0.1 * (a @ a)),
    "symmetric update": lambda a, b: (a - a.mT @ a, b),
    "rows set": lambda a, b: (bl.index_update(a, np.array([0, 2]), 1.0), bl.index_add(b, np.array([1, 1]), a[:2])),
    "rows set from itself": lambda a, b: (bl.index_update(a, np.array([0, 1]), a[1:3]), b + a),
    "constant": lambda a, b: (bl.zeros(a.shape, dtype=a.dtype), a + b),
    "broadcast": lambda a, b: (bl.broadcast_to(a[:1], a.shape), bl.broadcast_to(b[:, :1], b.shape) + a),
    "joined": lambda a, b: (bl.concat([a[2:], b[:2]], axis=0), bl.concat([b[1:], a[:1]], axis=0)),
    "reshaped": lambda a, b: (bl.reshape(bl.reshape(a, (-1,))[::-1], a.shape), b),
    "sorted": lambda a, b: (bl.sort(a, axis=0), a + b),
    "cumulated": lambda a, b: (bl.cumulative_sum(a, axis=0), bl.cumulative_sum(b, axis=1) + a),
    "chain": lambda a, b, c: (a + 1, b + (a + 1), c + (b + (a + 1))),
    "chain backwards": lambda a, b, c: (a + b, b + c, c + a),
}


@pytest.mark.parametrize("name", CASES)
def test_donated(name):
    function = CASES[name]
    names = "abc"[: function.__code__.co_argcount]
    for shape in ((5, 5), (64, 64), (200, 200)) if len(names) == 2 else ((6, 5), (300, 7), (40, 900)):
        values = [RNG.normal(size=shape).astype("f4") for _ in names]
        expected = [(y, 64.0) for y in eager(function, values)]
        for form in (nullcontext, in_memory):
            with form():
                run = bl.compile(function, donate=list(names))
                for _ in range(2):
                    given = [bl.tensor(v.copy()) for v in values]
                    agree(arrays(run(*given)), expected, f"{name} of {shape}, {form.__name__}")


@pytest.mark.parametrize("name", CASES)
def test_carried(name):
    """The same as carries of a loop: each turn's results lie where its arguments lay."""
    function = CASES[name]
    count = function.__code__.co_argcount
    shape = (5, 5) if count == 2 else (6, 5)
    values = [RNG.normal(size=shape).astype("f4") * 0.1 for _ in range(count)]

    def looped(*xs: Any) -> Any:
        small = lambda c: tuple(bl.tanh(y) for y in function(*c))
        return bl.fori_loop(0, 3, lambda i, c: function(*c), xs), bl.fori_loop(0, 4, lambda i, c: small(c), xs)

    expected = [(y, max(8.0, float(np.abs(y).max()))) for y in eager(looped, values)]
    for form in (nullcontext, in_memory):
        with form():
            agree(arrays(bl.compile(looped)(*values)), expected, f"{name}, {form.__name__}", 1024)
