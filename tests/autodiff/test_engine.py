"""The engine: linear work, no recursion, every path counted once, memory let go."""

import gc
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import GradientError
from backlit.graph.op import Op


def leaf(value):
    return bl.tensor(value, dtype=bl.float64, requires_grad=True)


def counting(calls):
    """x squared, as an op that notes each call of its derivative rule."""

    def rule(g, out, x):
        calls.append(1)
        return (g * 2 * x,)

    return Op("counted_square", np.square, vjp=rule, saves="x", namespace="hidden", dtypes="numeric")


def test_a_long_chain_needs_no_recursion():
    limit = sys.getrecursionlimit()
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward(retain_graph=True)
    assert x.grad.item() == 1.0
    del y  # and so does letting it go
    gc.collect()
    assert sys.getrecursionlimit() == limit


def test_a_long_chain_in_functional_form():
    def f(x):
        for _ in range(20_000):
            x = x * 1.0
        return x

    assert bl.grad(f)(2.0).item() == 1.0
    assert bl.jvp(f, [2.0], [3.0])[1].item() == 3.0


def test_shared_subexpressions_cost_one_step_each():
    calls = []
    square = counting(calls)
    x = leaf(0.5)
    y = x
    for _ in range(5_000):
        y = square(y) * 0.5 + y * 0.5
    y.backward()
    assert len(calls) == 5_000
    slope, value = 1.0, 0.5
    for _ in range(5_000):
        slope, value = slope * (value + 0.5), value * value * 0.5 + value * 0.5
    np.testing.assert_allclose(x.grad.item(), slope, rtol=1e-10)


def test_every_use_of_a_tensor_counts():
    x = leaf([2.0, 3.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]
    f = lambda a, b: (a * b * b).sum()
    x.grad = None
    f(x, x).backward()
    assert x.grad.tolist() == [12.0, 27.0]
    x.grad = None
    sum(((k + 1) * x).sum() for k in range(10)).backward()
    assert x.grad.tolist() == [55.0, 55.0]
    one, two = bl.grad(f, argnums=(0, 1))(x.detach(), x.detach())
    assert (one.tolist(), two.tolist()) == ([4.0, 9.0], [8.0, 18.0])


def test_consumers_that_lead_nowhere_are_ignored():
    calls = []
    square = counting(calls)
    x = leaf(3.0)
    loss = x * 2
    aside = [square(x) for _ in range(5)]
    later = square(loss)
    loss.backward(retain_graph=True)
    assert x.grad.item() == 2.0
    assert calls == []
    later.backward()
    assert len(calls) == 1
    assert x.grad.item() == 2 + 24
    assert len(aside) == 5


def test_a_node_waits_for_all_its_consumers():
    """A short and a long way to the loss: breadth-first order would reach `h` before the long way is done."""
    x = leaf(2.0)
    h = x * x
    long = h
    for _ in range(5):
        long = long * 2.0
    (h * long).backward()
    assert x.grad.item() == pytest.approx(32 * 4 * 2**3)


def test_second_backward_needs_the_graph():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0
    with pytest.raises(GradientError, match=r"freed by an earlier backward.*retain_graph=True"):
        y.backward()


def test_gradients_add_up_until_cleared():
    x = leaf(2.0)
    for _ in range(3):
        (x * 3).backward()
    assert x.grad.item() == 9.0
    x.grad = None
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_create_graph_gives_higher_orders():
    x = leaf(2.0)
    (x * x * x * x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward(create_graph=True)
    second = x.grad
    x.grad = None
    second.backward()
    assert (first.item(), second.item(), x.grad.item()) == (32.0, 48.0, 48.0)


def test_no_grad_and_detach_cut_the_tape():
    x = leaf(2.0)
    with bl.no_grad():
        hidden = x * x
        with bl.enable_grad():
            seen = x * x
    assert (hidden.requires_grad, seen.requires_grad, x.detach().requires_grad) == (False, True, False)
    (x * x.detach()).backward()
    assert x.grad.item() == 2.0

    @bl.no_grad()
    def double(t):
        return t * 2

    assert not double(x).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(GradientError, match="nothing is recorded"):
        hidden.backward()


def test_in_place_on_a_leaf_is_refused_and_elsewhere_right():
    x = leaf([1.0, 2.0])
    with pytest.raises(GradientError, match="leaf that requires grad"):
        x += 1.0 * x
    y = x * 3
    before = y
    y *= x
    assert y is before
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]
    with bl.no_grad():
        x += 1
    assert x.is_leaf
    assert x.requires_grad
    assert x.tolist() == [2.0, 3.0]


def test_assignment_to_elements_moves_gradients():
    x, y = leaf([1.0, 2.0, 3.0]), leaf(5.0)
    z = x * 1
    z[1] = y * y
    (z * z).sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 6.0]
    assert y.grad.item() == 4 * 5.0**3


def test_backward_lets_memory_go_on_the_way():
    refs = []
    n, size = 40, 50_000

    def forward(x):
        for _ in range(n):
            x = bl.exp(x * 1e-3)
        return x.sum()

    x = bl.tensor(np.zeros(size), requires_grad=True)
    y = forward(x)
    node = y.node
    while node.inputs:
        if isinstance(node.value, np.ndarray):
            refs.append(weakref.ref(node.value))
        node = node.inputs[0]
    del node
    assert len(refs) >= n
    y.backward()
    assert not any(r() is not None for r in refs)
    tracemalloc.start()
    y = forward(x)
    tracemalloc.reset_peak()
    held = tracemalloc.get_traced_memory()[0]
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - held < 6 * size * 8


def test_the_tape_goes_with_the_result():
    x = leaf(np.zeros(1000))
    h = bl.exp(x)
    kept = weakref.ref(h.node)
    loss = (h * h).sum()
    del h
    assert kept() is not None
    del loss
    gc.collect()
    assert kept() is None
