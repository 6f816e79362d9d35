"""Random programs: eager, traced and static runs agree to the last bit, and every derivative with every other."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import static
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad

from .programs import Ours, Program

programs = st.builds(lambda data: Program(lambda options: data.draw(st.sampled_from(options))), st.data())
few = settings(max_examples=250, deadline=None)


def both(p: Program, *xs: Any) -> list[Any]:
    """The value and the gradient."""
    value, gradient = bl.value_and_grad(lambda *xs: p(Ours(), *xs), range(len(xs)))(*xs)
    return [value, *gradient]


def eager(p: Program) -> list[Any]:
    return [t.numpy() for t in both(p, *map(bl.tensor, p.inputs))]


def assert_same_bits(found: Any, expected: Any) -> None:
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype == np.float64
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes(), (a, b)


@few
@given(programs)
def test_a_traced_run_gives_the_same_bits(p):
    graph = trace(lambda *xs: both(p, *xs), [Spec(x.shape, x.dtype) for x in p.inputs])
    graph.verify()
    assert_same_bits(graph(*p.inputs), eager(p))


@few
@given(programs)
def test_a_static_run_gives_the_same_bits(p):
    """On the kernels of eager mode; native plans are compared in tests/compiler."""
    with bl.settings(native=False), static.Graph().as_default(), static.Session() as session:
        xs = [static.placeholder(bl.float64, x.shape) for x in p.inputs]
        loss = p(Ours(), *xs)
        slopes = static.gradients(loss, xs)
        fetches = [loss, *(g for g in slopes if g is not None)]
        found = session.run(fetches, dict(zip(xs, p.inputs, strict=True)))
    value, *gradient = eager(p)
    paths = [g is not None for g in slopes]
    assert_same_bits(found, [value, *(g for g, there in zip(gradient, paths, strict=True) if there)])
    assert all(there or not g.any() for g, there in zip(gradient, paths, strict=True))


@few
@given(programs)
def test_backward_gives_the_same_bits(p):
    xs = [bl.tensor(x, requires_grad=True) for x in p.inputs]
    loss = p(Ours(), *xs)
    loss.backward()
    slopes = [np.zeros(x.shape) if t.grad is None else t.grad.numpy() for t, x in zip(xs, p.inputs, strict=True)]
    assert_same_bits([loss.numpy(), *slopes], eager(p))


@few
@given(programs)
def test_forward_equals_reverse_to_second_order(p):
    f = lambda *xs: p(Ours(), *xs)
    primals, v = [[bl.tensor(a) for a in arrays] for arrays in (p.inputs, p.directions)]
    tangent = bl.jvp(f, primals, v)[1].numpy()
    _, *gradient = eager(p)
    terms = [g * d for g, d in zip(gradient, p.directions, strict=True)]
    np.testing.assert_allclose(tangent, sum(t.sum() for t in terms), rtol=1e-10, atol=1e-11 * _scale(terms))

    forward = bl.hvp(f, primals, v)
    slope = bl.grad(f, range(len(primals)))
    along = lambda *xs: sum(bl.sum(g * d) for g, d in zip(slope(*xs), v, strict=True))
    reverse = bl.grad(along, range(len(primals)))(*primals)
    twice = bl.grad(lambda *xs: bl.jvp(f, xs, v)[1], range(len(primals)))(*primals)
    for a, b, c in zip(forward, reverse, twice, strict=True):
        tol = {"rtol": 1e-9, "atol": 1e-10 * _scale([a.numpy()])}
        np.testing.assert_allclose(a.numpy(), b.numpy(), **tol)
        np.testing.assert_allclose(a.numpy(), c.numpy(), **tol)


@few
@given(programs)
def test_derivatives_equal_differences(p):
    assert check_grad(lambda *xs: p(Ours(), *xs), p.inputs, full=0) < 1


def _scale(arrays: Any) -> float:
    return 1 + max((float(np.abs(a).max(initial=0.0)) for a in arrays), default=0.0)
