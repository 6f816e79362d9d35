"""Reductions inside kernels: what they start from, how a value is taken in, and how lanes are brought together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Val, code_of

State = list[Val]


def lowest(code: str, largest: bool = False) -> Any:
    """The smallest value of a dtype, or the largest."""
    if code[0] == "f":
        return np.inf if largest else -np.inf
    if code[0] == "b":
        return largest
    info = np.iinfo(np.dtype(code))
    return info.max if largest else info.min


def start(k: Emitter, node: Node, code: str, lanes: int) -> State:
    """The state of a reduction of nothing yet. A sum starts at -0.0, which leaves every number as it is."""
    name = node.op.name
    nothing = 0 in next(x for x in node.inputs or () if isinstance(x, Node)).shape
    if name in ("argmax", "argmin"):
        worst = lowest(code, largest=name == "argmin")
        return [k.const(worst, code, lanes), k.const(np.iinfo(np.int64).max, "i8", lanes)]
    first = {
        "sum": -0.0 if code[0] == "f" and not nothing else 0, "prod": 1, "any": False, "all": True,
        "max": lowest(code), "min": lowest(code, largest=True),
    }[name]  # fmt: skip
    return [k.const(first, code, lanes)]


def take(k: Emitter, node: Node, state: Sequence[Val], x: Val, place: Val | None = None) -> State:
    """The state after taking in `x`; `place` is its position, for argmax and argmin."""
    name, best = node.op.name, state[0]
    if name == "sum":
        return [best + x]
    if name == "prod":
        return [best * x]
    if name == "any":
        return [best | x]
    if name == "all":
        return [best & x]
    if name in ("max", "min"):
        return [_extreme(k, name, best, x)]
    assert place is not None
    return _first_best(k, name, state, [x, place])


def _extreme(k: Emitter, name: str, best: Val, x: Val) -> Val:
    if x.code == "b1":
        return best | x if name == "max" else best & x
    found = k.larger(x, best) if name == "max" else k.smaller(x, best)
    return k.select(k.is_nan(x), x, found) if x.code[0] == "f" else found


def _first_best(k: Emitter, name: str, a: Sequence[Val], b: Sequence[Val]) -> State:
    """Of two candidates the better, or the earlier of equals; NaN is better than any number, as in NumPy."""
    better = b[0] > a[0] if name == "argmax" else b[0] < a[0]
    same = k.equal(a[0], b[0])
    if a[0].code[0] == "f":
        nan_a, nan_b = k.is_nan(a[0]), k.is_nan(b[0])
        better = (better & ~nan_a) | (nan_b & ~nan_a)
        same = same | (nan_a & nan_b)
    wins = better | (same & (b[1] < a[1]))
    return [k.select(wins, y, x) for x, y in zip(a, b, strict=True)]


def merge(k: Emitter, node: Node, a: Sequence[Val], b: Sequence[Val]) -> State:
    """Two states as one."""
    if node.op.name in ("argmax", "argmin"):
        return _first_best(k, node.op.name, a, b)
    return take(k, node, a, b[0])


def together(k: Emitter, node: Node, state: Sequence[Val]) -> State:
    """The lanes of a state brought together, by halves."""
    if node.op.name in ("max", "min") and state[0].code[0] == "f" and state[0].lanes > 1:
        return [_extreme_lane(k, node.op.name, state[0])]
    while state[0].lanes > 1:
        n = state[0].lanes
        half = n // 2
        a = [k.shuffle(v, range(half)) for v in state]
        b = [k.shuffle(v, range(half, 2 * half)) for v in state]
        joined = merge(k, node, a, b)
        if n % 2:
            last = [k.lane(v, n - 1) for v in state]
            if half == 1:
                joined = merge(k, node, joined, last)
            else:
                joined = [
                    k.shuffle(v, [*range(half), half], k.spread(w, w.code, half))
                    for v, w in zip(joined, last, strict=True)
                ]
        state = joined
    return list(state)


def _extreme_lane(k: Emitter, name: str, x: Val) -> Val:
    """The largest or smallest lane; NaN where there is one, which is looked for once, not at each halving."""
    nan, code = k.any_lane(k.is_nan(x)), x.code
    better = k.larger if name == "max" else k.smaller
    while x.lanes > 1:
        half = -(-x.lanes // 2)  # of an odd number the one in the middle is in both halves
        x = better(k.shuffle(x, range(x.lanes - half, x.lanes)), k.shuffle(x, range(half)))
    return k.select(nan, k.const(np.nan, code), x)


def result(k: Emitter, node: Node, state: Sequence[Val]) -> Val:
    """What a reduction gives: its state's value, or the position it found."""
    found = state[1] if node.op.name in ("argmax", "argmin") else state[0]
    return k.cast(found, code_of(node.dtype))


class Accumulator:
    """A reduction under way in variables, several of them side by side so that one need not wait for the other.

    Args:
        node: the reduction.
        code: the dtype of what it takes in.
        ways: how many variables.
        absorbs: will it take in others?
    """

    def __init__(self, k: Emitter, node: Node, code: str, lanes: int, ways: int, absorbs: bool = False) -> None:
        self.k, self.node, self.lanes = k, node, lanes
        self.ways = [[k.var(v) for v in start(k, node, code, lanes)] for _ in range(ways)]
        floats = node.op.name == "sum" and code[0] == "f"
        #: Of each way what rounding has lost when others were absorbed, in sums of floats that absorb others.
        self._lost = [k.var(k.const(0, code, lanes)) for _ in range(ways if absorbs and floats else 0)]

    def add(self, way: int, x: Val, place: Val | None = None, mask: Val | None = None) -> None:
        """Take in a vector; lanes outside `mask` count for nothing."""
        k, chosen = self.k, self.ways[way % len(self.ways)]
        before = [v.get() for v in chosen]
        x = k.spread(x, x.code, self.lanes)
        after = take(k, self.node, before, x, place)
        if mask is not None:
            after = [k.select(mask, a, b) for a, b in zip(after, before, strict=True)]
        for variable, v in zip(chosen, after, strict=True):
            variable.set(v)

    def absorb(self, inner: Accumulator) -> None:
        """Take in what another has gathered, and let it start again. Of sums, what rounding loses is kept beside."""
        k = self.k
        if self._lost:
            self._compensated(inner)
            return
        for own, other in zip(self.ways, inner.ways, strict=True):
            joined = merge(k, self.node, [v.get() for v in own], [v.get() for v in other])
            fresh = start(k, self.node, own[0].code, self.lanes)
            for a, b, value, first in zip(own, other, joined, fresh, strict=True):
                a.set(value)
                b.set(first)

    def _compensated(self, inner: Accumulator) -> None:
        """The sums of `inner` added by Kahan's method ("Further remarks on reducing truncation errors", 1965)."""
        k = self.k
        for (own,), (other,), lost in zip(self.ways, inner.ways, self._lost, strict=True):
            before = own.get()
            term = other.get() - lost.get()
            after = before + term
            error = (after - before) - term
            lost.set(k.select(k.equal(error, error), error, 0))  # at infinity it is no number
            own.set(after)
            other.set(start(k, self.node, own.code, self.lanes)[0])

    def total(self) -> State:
        """The ways merged; the lanes still apart."""
        states = [[v.get() for v in way] for way in self.ways]
        while len(states) > 1:
            states = [
                merge(self.k, self.node, *states[i : i + 2]) if i + 1 < len(states) else states[i]
                for i in range(0, len(states), 2)
            ]
        return states[0]


__all__ = ["Accumulator", "lowest", "merge", "result", "start", "take", "together"]
