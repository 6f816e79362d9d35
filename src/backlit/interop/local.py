"""One node by itself, as computed here: its cotangents, how far results may lie apart, what differences say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.rules import vjp_of
from ..base.config import no_grad
from ..base.dtypes import COMPLEX, FLOAT
from ..graph.node import Node
from ..graph.opdef import OpDef
from ..graph.tensor import Tensor, wrap
from ..testing.diagnosis import Jacobians
from ..testing.differences import along
from ..testing.flat import FlatFunction, pack
from ..testing.tolerances import EXACT, ROUNDINGS, SUBTRACT, ULPS, roundings
from .libraries import moves

#: What results change by when inputs and cotangents are moved by a few units in the last place is measured this often,
TRIALS, MOVED = 3, 4.0
#: and this many times that is what rounding may do: kernels round more than once, and a trial may hit a small change.
AMPLIFIED = 16.0
#: No entry is held to less than this share of the usual change: that of its own may round to 0 by chance.
USUAL = 0.5
#: Up to so many numbers all derivatives of a node are found by differences; else along `DIRECTIONS` directions.
FULL, DIRECTIONS = 48, 6
#: A derivative by differences is good to this, relatively (see `check_grad`).
BY_DIFFERENCES = 1e-6


class Local(NamedTuple):
    """A node with the values that it is looked at with.

    Attributes:
        values: of its inputs.
        outs: its results, several or one.
        cotangents: of these, None where there is none.
        guarded: does a cotangent of 0 stay 0 whatever it meets, because something behind it selects?
    """

    op: OpDef
    values: tuple[Any, ...]
    params: dict[str, Any]
    outs: tuple[Any, ...]
    cotangents: tuple[Any, ...] = ()
    guarded: bool = False

    @property
    def wanted(self) -> list[bool]:
        """Which inputs have derivatives."""
        return [moves(x) for x in self.values]

    @property
    def differentiable(self) -> bool:
        """Has the op a rule, and a cotangent come to it?"""
        return self.op.nondiff is None and not self.op.stops and any(g is not None for g in self.cotangents)

    @property
    def chooses(self) -> bool:
        """Does it move or choose numbers, or round correctly? Then nothing but the same bits will do."""
        if self.op.family == "movement":
            return True
        return self.op.name in EXACT and not any(np.iscomplexobj(x) for x in self.values)

    def pulled(self) -> list[Any]:
        """The cotangents of the inputs, by the rule."""
        several = self.op.results is not None
        node = Node(
            self.op, self.values, self.params, self.outs if several else self.outs[0],
            self.outs if several else self.outs[0],
        )  # fmt: skip
        g: Any = tuple(
            np.zeros_like(y) if c is None else c for c, y in zip(self.cotangents, self.outs, strict=True)
        )  # fmt: skip
        with no_grad(), np.errstate(all="ignore"):
            found = vjp_of(node, g if several else g[0], self.wanted, False, self.guarded)
        return [c.value if isinstance(c, Tensor) else c for c in found]  # rules of the user's own give Tensors

    def again(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The results on other values."""
        with np.errstate(all="ignore"):
            found = self.op.eval(*values, **self.params)
        return tuple(found) if self.op.results is not None else (found,)

    def slack(self) -> list[Any]:
        """For each result how far, entry by entry, that of another good kernel may lie apart."""
        terms = _terms(self.values, self.outs)
        ulps = 0.0 if self.chooses else (roundings(self.op.name, terms) or ROUNDINGS)
        allowed = [_eps(y) * ulps * np.abs(y) if _floats(y) else None for y in self.outs]
        if self.chooses:
            return allowed
        if self.op.name in SUBTRACT:
            allowed = [None if a is None else a + 4 * _eps(y) for a, y in zip(allowed, self.outs, strict=True)]
        rng = np.random.default_rng(0)
        factor = AMPLIFIED if self.op.name not in ULPS else 1.0
        for _ in range(TRIALS):
            moved = zip(allowed, self.outs, self.again([_jittered(x, rng) for x in self.values]), strict=True)
            allowed = [_grown(a, y, m, factor, self.op.name not in ULPS) for a, y, m in moved]
        return allowed

    def slack_of_cotangents(self, found: Sequence[Any]) -> list[Any]:
        """The same for the cotangents of the inputs, which are `found`."""
        terms = _terms(self.outs, self.values)
        allowed = [None if c is None else _eps(c) * (ROUNDINGS + terms**0.5) * np.abs(c) for c in found]
        rng = np.random.default_rng(1)
        for _ in range(TRIALS):
            values, outs = self.values, self.outs
            if not self.chooses:  # a tie, or a kink, would be lost if inputs moved
                values = tuple(_jittered(x, rng) for x in values)
                outs = tuple(_jittered(y, rng) for y in self.again(values))
            g = tuple(_jittered(c, rng) for c in self.cotangents)
            moved = self._replace(values=values, outs=outs, cotangents=g)
            allowed = [_grown(a, c, m, AMPLIFIED) for a, c, m in zip(allowed, found, moved.pulled(), strict=True)]
        return allowed

    def by_differences(self, found: Sequence[Any], singly: bool = False) -> Jacobians:
        """The cotangents `found` of the inputs beside central differences, in float64 at the same point.

        Along each number where they are few, else in random directions; or `singly`, along some numbers by themselves:
        a direction that moves all at once comes past kinks of some.
        """
        wide = [_double(x) if w else x for x, w in zip(self.values, self.wanted, strict=True)]

        def f(*moving: Any) -> list[Any]:
            rest = iter(moving)
            values = [next(rest).numpy() if w else x for x, w in zip(wide, self.wanted, strict=True)]
            return [wrap(y) for y in self.again(values) if _floats(y)]

        flat = FlatFunction(f, [x for x, w in zip(wide, self.wanted, strict=True) if w])
        row = pack(
            [np.zeros(y.shape) if c is None else np.asarray(c)
             for c, y in zip(self.cotangents, self.outs, strict=True) if _floats(y)], flat.outputs,
        )[None]  # fmt: skip
        rule = pack(
            [np.zeros(x.shape) if c is None else c for c, x, w in zip(found, wide, self.wanted, strict=True) if w],
            flat.inputs,
        )
        size = flat.x.size
        rng = np.random.default_rng(2)
        if size <= FULL:
            columns = np.eye(size)
        elif singly:  # the largest ones, and others
            some = np.concatenate([np.argsort(-np.abs(rule))[: FULL // 4], rng.choice(size, FULL // 4, replace=False)])
            columns = np.zeros((len(some), size))
            columns[np.arange(len(some)), some] = 1
        else:
            columns = rng.uniform(-1, 1, (DIRECTIONS, size))
        both = [along(flat, v) for v in columns]
        numeric = np.stack([row @ d for d, _ in both], axis=1)
        noise = np.stack([np.abs(row) @ n for _, n in both], axis=1)
        by_rule = (columns @ rule)[None]
        largest = float(np.max(np.abs(numeric), initial=0.0))
        allowed = BY_DIFFERENCES * (np.maximum(np.abs(by_rule), np.abs(numeric)) + 0.01 * largest) + noise
        return Jacobians(flat, columns, row, by_rule, numeric, allowed + np.finfo(float).tiny)


def _terms(many: Sequence[Any], few: Sequence[Any]) -> float:
    """How many numbers one number is made of, at least: the largest ratio of sizes."""
    sizes = [np.size(x) for x in few if moves(x)]
    return max((np.size(x) for x in many if moves(x)), default=1) / max(min(sizes, default=1), 1)


def _floats(y: Any) -> bool:
    return np.asarray(y).dtype.char in FLOAT


def _eps(y: Any) -> float:
    return float(np.finfo(np.asarray(y).dtype).eps)


def _jittered(x: Any, rng: np.random.Generator) -> Any:
    """Every number a few units in the last place up or down."""
    if not moves(x):
        return x
    return (x * (1 + MOVED * _eps(x) * rng.choice([-1.0, 1.0], np.shape(x)))).astype(x.dtype)


def _grown(allowed: Any, y: Any, moved: Any, factor: float, usual_too: bool = True) -> Any:
    if allowed is None:
        return None
    with np.errstate(all="ignore"):
        change = np.nan_to_num(np.abs(moved - y), nan=0.0, posinf=0.0)
        usual = float(np.sqrt(np.mean(np.square(change, dtype=np.float64)))) if usual_too and change.size else 0.0
        return np.maximum(allowed, factor * np.maximum(change, USUAL * usual))


def _double(x: Any) -> Any:
    return np.asarray(x, "complex128" if x.dtype.char in COMPLEX else "float64")
