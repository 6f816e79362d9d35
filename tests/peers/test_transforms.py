"""Transforms and control flow beside JAX, in float64: the same functions, the same derivatives."""

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec

jax = pytest.importorskip("jax")
jnp = jax.numpy
RNG = np.random.default_rng(3)
W, XS = RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(5, 3))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


class Ours:
    np, tanh, sin, exp = bl, bl.tanh, bl.sin, bl.exp
    scan, cond, while_loop, fori_loop = bl.scan, bl.cond, bl.while_loop, bl.fori_loop
    grad, checkpoint, custom = bl.grad, bl.checkpoint, bl.custom_derivative
    jvp = staticmethod(lambda f, x, t: bl.jvp(f, x, t))
    forward = staticmethod(lambda f, argnums=0: bl.jacobian(f, argnums, "forward"))
    reverse = staticmethod(lambda f, argnums=0: bl.jacobian(f, argnums, "reverse"))
    hessian = bl.hessian


class Theirs:
    np, tanh, sin, exp = jnp, jnp.tanh, jnp.sin, jnp.exp
    scan, cond, while_loop, fori_loop = jax.lax.scan, jax.lax.cond, jax.lax.while_loop, jax.lax.fori_loop
    grad, checkpoint, custom = jax.grad, jax.checkpoint, jax.custom_jvp
    jvp = staticmethod(lambda f, x, t: jax.jvp(f, tuple(x), tuple(t)))
    forward, reverse, hessian = jax.jacfwd, jax.jacrev, jax.hessian


def dense(m, w, xs):
    """A tree of outputs."""
    h = m.tanh(xs @ w)
    return {"h": h.sum(axis=0) * w[0], "n": [(h * h).sum(), m.exp(w[1, 1]) * xs[0]]}


def recurrent(m, w, xs):
    def step(c, x):
        h = m.tanh(w @ c["h"] + x) * c["s"]
        return {"h": h, "s": c["s"] * 0.9}, (h * x).sum()

    last, ys = m.scan(step, {"h": xs[0], "s": xs[1, 1]}, xs, reverse=True)
    return (last["h"] * ys[:3]).sum() + last["s"]


def branching(m, w, xs):
    def body(i, c):
        return m.cond(c.sum() > 0, lambda c: m.sin(c @ w) * i, lambda c: m.exp(c * 0.1) + xs[0], c)

    return (m.fori_loop(0, 4, body, xs[2]) ** 2).sum()


def searching(m, w, xs):
    stop = lambda s: (s[0] < 6) & (s[1].sum() < 50)
    return m.while_loop(stop, lambda s: (s[0] + 1, s[1] * 1.3 + w[0]), (0, xs[0] * xs[0]))[1].sum()


def saved(m, w, xs):
    block = m.checkpoint(lambda h: m.tanh(h @ w) * h.sum())
    return block(block(xs)).sum()


def customised(m, w, xs):
    @m.custom
    def f(x, y):
        return x * y

    if m is Ours:
        f.jvp(lambda t, out, x, y: t[0] * m.sin(y) + t[1] * x * x)
    else:
        f.defjvp(lambda p, t: (f(*p), t[0] * m.sin(p[1]) + t[1] * p[0] * p[0]))
    return (f(w[0], xs[0]) * f(xs[1], w[1])).sum()


SCALAR = [recurrent, branching, saved, customised]

CASES = [
    *[(f.__name__ + " value", lambda m, f=f: lambda w, xs: f(m, w, xs)) for f in [dense, searching, *SCALAR]],
    *[(f.__name__ + " grad", lambda m, f=f: m.grad(lambda w, xs: f(m, w, xs), (0, 1))) for f in SCALAR],
    *[(f.__name__ + " hessian", lambda m, f=f: m.hessian(lambda w, xs: f(m, w, xs), (0, 1))) for f in SCALAR[:3]],
    *[
        (f.__name__ + " jvp of grad", lambda m, f=f: lambda w, xs: m.jvp(
            m.grad(lambda w, xs: f(m, w, xs), (0, 1)), [w, xs], [w * w, m.sin(xs)]))
        for f in SCALAR
    ],
    ("dense forward", lambda m: m.forward(lambda w, xs: dense(m, w, xs), (0, 1))),
    ("dense reverse", lambda m: m.reverse(lambda w, xs: dense(m, w, xs), (0, 1))),
    ("dense forward of reverse", lambda m: m.forward(m.reverse(lambda w, xs: dense(m, w, xs)), 1)),
    ("searching jvp", lambda m: lambda w, xs: m.jvp(lambda w, xs: searching(m, w, xs), [w, xs], [w * w, xs])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), CASES, ids=[name for name, _ in CASES])
def test_as_jax_does(name, make):
    theirs = jax.tree.leaves(jax.jit(make(Theirs))(W, XS))
    eager = leaves(make(Ours)(bl.tensor(W), bl.tensor(XS)))
    graph = trace(lambda *a: leaves(make(Ours)(*a)), [Spec(W.shape, W.dtype), Spec(XS.shape, XS.dtype)])
    for mine, traced, reference in zip(eager, graph(W, XS), theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), reference, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(traced, reference, rtol=1e-10, atol=1e-12)
