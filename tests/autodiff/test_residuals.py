"""What a loop keeps for its derivative, and what the derivative computes again."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad
from tests.recurrent import LOSSES

F64 = np.dtype(np.float64)
X = np.random.default_rng(3).normal(size=(4, 3))
M = SimpleNamespace(
    sigmoid=bl.sigmoid, tanh=bl.tanh, scan=bl.scan, zeros=lambda shape: bl.zeros(shape, dtype=bl.float64),
    concat=lambda parts: bl.concat(parts, axis=-1),
)  # fmt: skip


def traced(f, *arrays):
    """The graph of a function, and its loops."""
    graph = trace(lambda *a: f(*a), [Spec(np.shape(a), np.asarray(a).dtype) for a in arrays])
    return graph, [n for n in graph.nodes if n.op.name == "scan"]


def loops_of(step, x=X):
    """The forward and the backward loop of the gradient of the last state of `step`, from the first row of x."""
    loss = lambda x: bl.scan(lambda c, v: (step(c, v), None), x[0], x)[0].sum()
    graph, loops = traced(bl.grad(loss), x)
    np.testing.assert_allclose(graph(x)[0], bl.grad(loss)(x).numpy(), rtol=1e-12, atol=1e-14)
    return loops


def kept(loop):
    """The names of the ops whose results a loop gives out in each step ("leaf" is a carry), in the order of names."""
    return sorted(o.op.name for o in loop.params["body"].outputs[loop.params["carries"] :])


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (lambda c, v: bl.tanh(c * v), ["leaf", "tanh"]),  # 1 - tanh² is computed again, and c is needed for v
        (lambda c, v: bl.sigmoid(c) + v, ["multiply"]),  # s (1 - s) instead of s: as large, and nothing else needs s
        (lambda c, v: bl.relu(c + v), ["greater"]),  # one byte an element
        (lambda c, v: c * bl.exp(v), ["exp", "leaf"]),
        (lambda c, v: bl.where(v > 0, c, v), []),  # the slices are at hand
        (lambda c, v: c + 2 * v, []),  # nothing
        (lambda c, v: bl.checkpoint(lambda c: bl.tanh(bl.exp(c) * v))(c), ["leaf"]),
    ],
)
def test_what_is_kept(step, what):
    loops = loops_of(step)
    assert [kept(n) for n in loops[:-1]] == ([what] if what else [])


def test_nothing_is_run_again_where_nothing_is_kept():
    assert len(loops_of(lambda c, v: c + v * v)) == 1


def test_products_are_not_computed_again():
    w = np.eye(3) / 2
    *_, back = loops_of(lambda c, v: bl.relu(bl.tanh(c @ w) * v))
    assert [n.op.name for n in back.params["body"].nodes].count("matmul") == 1


def test_a_counter_is_counted_back():
    """No array is made of it, however many steps there are."""
    many = 10**12
    graph, loops = traced(bl.grad(lambda x: bl.fori_loop(0, many, lambda i, c: c + x * i, x)), 1.0)
    assert all(len(n.inputs) == n.params["constants"] + n.params["carries"] for n in loops)
    few, loops = traced(bl.grad(lambda x: bl.fori_loop(2, 7, lambda i, c: bl.sin(c) * i, x)), 1.0)
    expected = bl.grad(lambda x: bl.fori_loop(2, 7, lambda i, c: bl.sin(c) * i, x))(1.0)
    np.testing.assert_allclose(few(np.float64(1))[0], expected.numpy(), rtol=1e-6)
    assert str(graph)


@pytest.mark.parametrize("name", LOSSES)
def test_recurrent_networks_against_differences(name):
    loss, given, count = LOSSES[name]
    graph, _ = traced(lambda *a: loss(M, *a), *given)
    check_grad(lambda *w: graph.replay([*w, *map(bl.tensor, given[count:])])[0], given[:count], order=2)
