"""Random programs with their gradients as native plans: what eager mode gives, in every form of kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl

from .. import programs
from ..programs import Ours, Program
from .native import Array, agree, in_memory, native

few = settings(max_examples=40, deadline=None)

#: From shapes whose graphs fit into registers to such that several threads share.
SMALL = programs.SHAPES
MIDDLE = [(37,), (5, 33), (1, 33), (5, 1), (2, 3, 17), (19, 16), ()]
LARGE = [(300, 65), (65,), (300, 1), (2, 150, 65), ()]


def drawn(shapes: Sequence[Any], nodes: int, few: int = 100) -> st.SearchStrategy[Program]:
    changes = {"SHAPES": shapes, "NODES": nodes, "FEW": few}

    def build(data: Any) -> Program:
        with mock.patch.multiple(programs, **changes):
            return Program(lambda options: data.draw(st.sampled_from(options)))

    return st.builds(build, st.data())


def both(p: Program) -> Callable[..., list[Any]]:
    """The value and the gradient."""

    def function(*xs: Any) -> list[Any]:
        value, gradient = bl.value_and_grad(lambda *xs: p(Ours(), *xs), range(len(xs)))(*xs)
        return [value, *gradient]

    return function


def expected(p: Program) -> list[tuple[Array, float]]:
    """The results, each with the size of the terms it is made of."""
    found = [t.numpy() for t in both(p)(*map(bl.tensor, p.inputs))]
    terms = float(np.abs(p.weights).sum()) + 1
    return [(y, 16 * max(terms, float(np.abs(y).max(initial=0)))) for y in found]


@few
@given(drawn(SMALL, 12))
def test_small_programs(p):
    wanted = expected(p)
    agree(native(both(p), p.inputs), wanted, "as it comes")
    with in_memory():
        agree(native(both(p), p.inputs), wanted, "in kernels for arrays")


@few
@given(drawn(MIDDLE, 10, 600))
def test_programs_of_vectors_with_tails(p):
    with in_memory():
        agree(native(both(p), p.inputs), expected(p))


@settings(max_examples=25, deadline=None)
@given(drawn(LARGE, 8, 40_000))
def test_programs_that_threads_share(p):
    wanted = expected(p)
    one = native(both(p), p.inputs, threads=1)
    agree(one, wanted)
    for a, b in zip(native(both(p), p.inputs, threads=3), one, strict=True):
        assert a.tobytes() == b.tobytes(), "other bits on three threads"


@settings(max_examples=30, deadline=None)
@given(drawn(MIDDLE, 8))
def test_single_precision(p):
    """Against the same program in double precision, as far as rounding may take it."""
    p.weights = p.weights.astype("f4")
    singles = [x.astype("f4") for x in p.inputs]
    with in_memory():
        found = native(both(p), singles)
    for a, (b, scale) in zip(found, expected(p), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=64 * float(np.finfo("f4").eps) * scale)
