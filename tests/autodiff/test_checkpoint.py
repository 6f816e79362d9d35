"""checkpoint: the same bits, every gradient, less memory."""

import tracemalloc

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import GradientError
from backlit.base.trees import leaves
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad

F64 = np.dtype(np.float64)
rng = np.random.default_rng(0)
W, X = rng.normal(size=(3, 3)), rng.normal(size=3)


def network(wrap):
    """Two blocks that close over a Tensor, over one computed from it, and over a constant."""

    def f(w, x):
        v = w * 2
        block = wrap(lambda h: bl.tanh(bl.matmul(v, h)) * h.sum() + w[0] + bl.tensor(X))
        return (block(block(x)) ** 2).sum()

    return f


plain, saving = network(lambda f: f), network(bl.checkpoint)

DERIVATIVES = [
    lambda f: lambda w, x: f(w, x),
    lambda f: bl.grad(f, argnums=(0, 1)),
    lambda f: lambda w, x: bl.jvp(f, [w, x], [w, x]),
    lambda f: lambda w, x: bl.hvp(f, [w, x], [w, x]),
    lambda f: bl.grad(lambda w, x: (bl.grad(f)(w, x) ** 2).sum(), argnums=(0, 1)),
]


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_equal_to_the_bit(derivative):
    for a, b in zip(leaves(derivative(plain)(W, X)), leaves(derivative(saving)(W, X)), strict=True):
        if derivative is DERIVATIVES[-1]:  # here contributions are added in another order
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)
        else:
            assert np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_in_a_graph_without_values(derivative):
    found = [trace(lambda w, x, f=f: leaves(derivative(f)(w, x)), [Spec((3, 3), F64), Spec((3,), F64)])
             for f in (plain, saving)]  # fmt: skip
    for a, b in zip(found[0](W, X), found[1](W, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_third_order_against_differences():
    check_grad(network(bl.checkpoint), [W, X], order=3, rtol=1e-5)


def test_backward_fills_leaves_found_by_closure():
    grads = []
    for f in (plain, saving):
        w = bl.tensor(W, requires_grad=True)
        f(w, X).backward()
        grads.append(w.grad.numpy())
    assert np.array_equal(*grads)


def test_trees_keywords_and_results():
    @bl.checkpoint
    def f(p, *, power):
        return {"y": p["a"] ** power * p["n"], "n": p["n"]}

    p = {"a": bl.tensor(3.0, requires_grad=True), "n": np.int64(2), "unused": None}
    out = f(p, power=2)
    assert out["n"].item() == 2
    out["y"].backward()
    assert p["a"].grad.item() == 12.0
    assert f({"a": 3.0, "n": 2}, power=2)["y"].node is None
    assert bl.checkpoint(lambda: bl.tensor(1.0))().item() == 1.0
    with bl.no_grad():
        assert f(p, power=2)["y"].node is None


def test_one_input_computed_from_another_is_not_counted_twice():
    def g(wrap):
        def f(x):
            h = x * x
            return wrap(lambda h, y: h * y * h * x)(h, x)

        return f

    assert bl.grad(g(bl.checkpoint))(2.0).item() == bl.grad(g(lambda f: f))(2.0).item() == 6 * 2.0**5


def test_memory_is_lower():
    size, layers, blocks = 20_000, 10, 10

    def run(wrap):
        def block(x):
            for _ in range(layers):
                x = bl.exp(x * 1e-3)
            return x

        x = bl.tensor(np.zeros(size), requires_grad=True)
        block = wrap(block)
        tracemalloc.start()
        y = x
        for _ in range(blocks):
            y = block(y)
        y = y.sum()
        held = tracemalloc.get_traced_memory()[0]
        y.backward()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held / (8 * size), peak / (8 * size), x.grad.numpy()

    held, peak, grad = run(lambda f: f)
    held_less, peak_less, same = run(bl.checkpoint)
    assert np.array_equal(grad, same)
    assert held > 0.9 * layers * blocks
    assert held_less < blocks + 3
    assert peak_less < blocks + 2 * layers + 5 < peak


def test_a_function_that_changes_is_caught():
    tensors = [bl.tensor(2.0, requires_grad=True), bl.tensor(3.0, requires_grad=True)]
    y = bl.checkpoint(lambda x: x * tensors[0])(bl.tensor(1.0, requires_grad=True))
    tensors.pop(0)
    with pytest.raises(GradientError, match="used other Tensors than at first"):
        y.backward()
