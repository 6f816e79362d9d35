"""Derivatives of functions and control flow on tensors of a static graph, kept as calls until shapes are known."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.base.trees import leaves


@pytest.fixture(autouse=True)
def graph():
    with static.Graph() as g:
        yield g


@bl.custom_derivative
def tripled(x):
    return x * 1.0


@tripled.vjp
def _(g, out, x):
    return 3.0 * g


def quartic(x):
    return bl.sum(x * x * x * x)


CALLS = [
    ("grad", lambda x: bl.grad(quartic)(x)),
    ("value_and_grad", lambda x: bl.value_and_grad(quartic)(x)),
    ("grad over a tree", lambda x: bl.grad(lambda p: quartic(p["a"] * p["b"]))({"a": x, "b": x + 1})),
    ("grad of grad", lambda x: bl.grad(lambda t: bl.sum(bl.grad(quartic)(t) * t))(x)),
    ("jacobian", lambda x: bl.jacobian(lambda t: t * t)(x)),
    ("hessian", lambda x: bl.hessian(quartic)(x)),
    ("jvp", lambda x: bl.jvp(bl.sin, [x], [x * 2])),
    ("hvp", lambda x: bl.hvp(quartic, [x], [x + 1])),
    ("checkpoint", lambda x: bl.checkpoint(lambda t: bl.sin(bl.sin(t)))(x)),
    ("custom derivative", lambda x: tripled(x) * x),
    ("cond", lambda x: bl.cond(bl.sum(x) > 0, lambda t: t * t, lambda t: -t, x)),
    ("cond by closure", lambda x: bl.cond(bl.sum(x) > 0, lambda: x * x, lambda: -x)),
    ("while_loop", lambda x: bl.while_loop(lambda t: bl.max(t) < 50, lambda t: t * 2, x)),
    ("fori_loop", lambda x: bl.fori_loop(0, 3, lambda i, t: t * t + i, x)),
    ("scan over the unknown axis", lambda x: bl.scan(lambda c, t: (c + t, c * t), 0.0 * x[0], x)),
    ("scan by closure", lambda x: bl.scan(lambda c, i: (c * x, None), x, np.arange(3))[0]),
]  # fmt: skip


@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in CALLS])
def test_agrees_with_eager_mode(f):
    x = static.placeholder("float64", (None,), name="x")
    y = f(x)
    with static.Session() as session:
        for value in (np.array([0.5, 2.0, -1.0]), np.array([-1.0, 0.25])):
            found = leaves(session.run(y, {x: value}))
            expected = leaves(f(bl.tensor(value)))
            assert len(found) == len(expected)
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_allclose(a, b.numpy(), rtol=1e-14, atol=0)


DIFFERENTIABLE = [c for c in CALLS if c[0] not in ("while_loop",)]


@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in DIFFERENTIABLE])
def test_gradients_agree_with_eager_mode(f):
    x = static.placeholder("float64", (None,), name="x")
    ys = leaves(f(x))
    (g,) = static.gradients(ys, x)
    value = np.array([0.5, 2.0, -1.0])
    expected = bl.grad(lambda t: sum((bl.sum(y) for y in leaves(f(t))), start=bl.tensor(0.0)))(bl.tensor(value))
    with static.Session() as session:
        np.testing.assert_allclose(session.run(g, {x: value}), expected.numpy(), rtol=1e-13, atol=1e-13)


def test_what_cannot_work_is_explained():
    x = static.placeholder("float64", (2,), name="x")
    with pytest.raises(bl.GraphError, match=r"static\.gradients"):
        bl.vjp(lambda t: t * 2, x)
    with pytest.raises(bl.GraphError, match="reaches by closure"):
        bl.grad(lambda w: bl.sum(w * x))(np.ones(2))
