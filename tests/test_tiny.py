"""The whole product in 150 lines: one network, XOR, met in every way that Backlit offers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import optim, static
from backlit.graph.op import elementwise
from backlit.graph.opdef import OPS, PUBLIC
from backlit.testing import check_grad, check_op

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)
STEPS, RATE = 2000, 2.0


def start() -> dict[str, Any]:
    """The first parameters: a tree, from an explicit key."""
    one, two = bl.random.split(bl.random.key(1))
    return {
        "hidden": {"w": bl.random.normal(one, (2, 4)), "b": bl.zeros(4)},
        "output": {"w": bl.random.normal(two, (4, 1)), "b": bl.zeros(1)},
    }


def network(p: Any, x: Any) -> bl.Tensor:
    hidden = bl.tanh(x @ p["hidden"]["w"] + p["hidden"]["b"])
    return bl.sigmoid(hidden @ p["output"]["w"] + p["output"]["b"])


def loss(p: Any, x: Any = X, y: Any = Y) -> bl.Tensor:
    return bl.mean((network(p, x) - y) ** 2)


def test_eager_with_backward() -> None:
    p = start()
    weights = [w for layer in p.values() for w in layer.values()]
    for w in weights:
        w.requires_grad = True
    for _ in range(STEPS):
        loss(p).backward()
        with bl.no_grad():
            for w in weights:
                w -= RATE * w.grad
                w.grad = None
    assert np.array_equal(np.round(network(p, X).numpy()), Y)


def test_eager_with_grad_and_an_optimizer() -> None:
    p, adam = start(), optim.adam(0.05)
    state = adam.init(p)
    for _ in range(300):
        value, gradient = bl.value_and_grad(loss)(p)
        p, state = adam.update(p, gradient, state)
    assert value.item() < 0.01
    assert np.array_equal(network(p, X).numpy() > 0.5, Y > 0.5)


def test_the_static_mode_takes_the_same_steps() -> None:
    p = start()
    with static.Graph().as_default(), static.Session() as session:
        x = static.placeholder(bl.float32, (None, 2), name="x")
        y = static.placeholder(bl.float32, (None, 1), name="y")
        v = {k: {n: static.Variable(w.numpy(), name=f"{k}_{n}") for n, w in layer.items()} for k, layer in p.items()}
        cost = loss(v, x, y)
        train = static.GradientDescentOptimizer(RATE).minimize(cost)
        session.run(static.global_variables_initializer())
        for _ in range(50):
            session.run(train, {x: X, y: Y})
            gradient = bl.grad(loss)(p)
            p = {k: {n: w - RATE * gradient[k][n] for n, w in layer.items()} for k, layer in p.items()}
        there = session.run(cost, {x: X, y: Y})
        with pytest.raises(bl.GraphError, match="not fed"):
            session.run(cost)
    np.testing.assert_allclose(there, loss(p).numpy(), rtol=1e-5)


def test_a_compiled_step_repeats_itself() -> None:
    adam = optim.adam(0.05)
    step = bl.compile(lambda p, s: adam.update(p, bl.grad(loss)(p), s), donate=(0, 1)).repeat(300)
    assert np.array_equal(network(step(start(), adam.init(start()))[0], X).numpy() > 0.5, Y > 0.5)


def test_derivatives_of_every_kind_agree() -> None:
    p = bl.random.normal(bl.random.key(2), (2,), bl.float64)
    f = lambda w: loss({"hidden": {"w": bl.outer(w, w), "b": w}, "output": {"w": w[:, None], "b": w[:1]}}, X[:, :2])
    gradient = bl.grad(f)(p)
    v = bl.tensor([0.3, -0.7], bl.float64)
    np.testing.assert_allclose(bl.jvp(f, [p], [v])[1].numpy(), (gradient @ v).numpy())
    hessian = bl.hessian(f)(p)
    np.testing.assert_allclose(bl.jacobian(bl.grad(f), mode="forward")(p).numpy(), hessian.numpy())
    np.testing.assert_allclose(bl.grad(lambda w: bl.grad(f)(w) @ v)(p).numpy(), (hessian @ v).numpy())
    y = f(leaf := bl.Tensor(p, requires_grad=True))
    y.backward(create_graph=True)
    slope = leaf.grad
    assert slope is not None
    leaf.grad = None
    slope[0].backward()
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad.numpy(), hessian[0].numpy())
    assert check_grad(f, [p], order=3) < 1


def test_an_op_of_ones_own_is_one_record() -> None:
    logcosh = elementwise(
        "logcosh", "log(cosh(x)).", eval=lambda x: np.logaddexp(x, -x) - x.dtype.type(np.log(2)),
        partials=(lambda out, x: OPS["tanh"](x),), saves="x", dtypes="real floating-point", samples=[(-3, 3)],
    )  # fmt: skip
    try:
        check_op(logcosh)
        x = bl.tensor([0.5, -2.0], requires_grad=True)
        logcosh.public(x).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), np.tanh(x.numpy()), rtol=1e-6)
    finally:
        del OPS["logcosh"], PUBLIC["logcosh"]


def test_numpy_speaks_with_it() -> None:
    x = bl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = np.sin(x) + np.ones(2, np.float32)
    assert isinstance(y, bl.Tensor)
    y[0] = 5.0 * x[1]
    y.sum().backward()
    assert x.grad is not None
    expected = np.array([[0, 0], 5 + np.cos([3.0, 4.0])])
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(np.from_dlpack(bl.arange(3)), np.arange(3))
    assert x.__array_namespace__() is bl


def test_errors_point_to_the_line() -> None:
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    y = (x * 2).sum()
    y.backward()
    with pytest.raises(bl.GradientError, match=r"test_tiny.py:\d+ was freed .*retain_graph=True"):
        y.backward()


def test_a_shared_chain_is_linear_in_its_length() -> None:
    x = y = bl.tensor(0.001, bl.float64, requires_grad=True)
    for _ in range(5000):
        y = y * y * 0.5 + y * 0.999
    y.backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.item())
