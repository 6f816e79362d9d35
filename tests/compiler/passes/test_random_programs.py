"""Random programs and loops go through all passes: values and gradients stay, but for rounding."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.compiler import pipeline
from tests.ops.test_control import DIFFERENTIABLE, unrolled_while
from tests.programs import Ours, Program

from .running import traced, unchanged, with_gradient

programs = st.builds(lambda data: Program(lambda options: data.draw(st.sampled_from(options))), st.data())


@settings(max_examples=150, deadline=None)
@given(programs)
def test_program(p):
    graph = traced(lambda *xs: bl.value_and_grad(lambda *xs: p(Ours(), *xs), range(len(xs)))(*xs), *p.inputs)
    unchanged(graph, p.inputs, ulps=1 << 14)


@settings(max_examples=40, deadline=None)
@given(programs)
def test_second_derivatives(p):
    f = lambda *xs: p(Ours(), *xs)
    graph = traced(lambda *xs: bl.hvp(f, list(xs), list(xs)), *p.inputs)
    unchanged(graph, p.inputs, ulps=1 << 18)


@settings(max_examples=40, deadline=None)
@given(programs)
def test_in_float32(p):
    xs = [x.astype("f") for x in p.inputs]
    p.weights = p.weights.astype("f")
    graph = traced(lambda *xs: bl.value_and_grad(lambda *xs: p(Ours(), *xs), range(len(xs)))(*xs), *xs)
    unchanged(graph, xs, ulps=1 << 12)


@pytest.mark.parametrize(("function", "arrays"), [*DIFFERENTIABLE, (unrolled_while, DIFFERENTIABLE[2][1])])
def test_loops(function, arrays):
    unchanged(traced(function, *arrays), arrays)
    if function is not unrolled_while:
        unchanged(traced(with_gradient(function, len(arrays)), *arrays), arrays, ulps=256)
    tangent = lambda *xs: bl.jvp(function, list(xs), list(xs))
    unchanged(traced(tangent, *arrays), arrays, ulps=256)


@settings(max_examples=40, deadline=None)
@given(programs, st.booleans())
def test_programs_in_loops(p, reverse):
    """A program as the step of a scan: it closes over all inputs, and the first is carried."""

    def function(*xs):
        def step(c, v):
            y = p(Ours(), c, *xs[1:])
            return bl.tanh(c + y * 0.01), y * v

        return bl.scan(step, xs[0], np.arange(3.0), reverse=reverse)

    unchanged(traced(function, *p.inputs), p.inputs, ulps=1 << 14)
    unchanged(traced(with_gradient(function, len(p.inputs)), *p.inputs), p.inputs, ulps=1 << 16)


def test_the_same_graph_gives_the_same_plan():
    rng = random.Random(0)
    p = Program(lambda options: rng.choice(list(options)))
    graph = traced(lambda *xs: p(Ours(), *xs), *p.inputs)
    assert str(pipeline.run(graph)) == str(pipeline.run(graph))
