"""Loops and branches in native plans: what the same steps give one by one; gradients, nested, long, donated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves

from .native import agree, arrays, check, eager, in_memory, native

RNG = np.random.default_rng(0)


def single(*shape: int, scale: float = 1.0) -> Any:
    return (RNG.normal(size=shape) * scale).astype("f4")


def recurrent(w: Any, u: Any, x: Any, reverse: bool = False) -> tuple[Any, Any]:
    """A recurrent network over x (steps, batch, features)."""

    def turn(h: Any, row: Any) -> Any:
        h = bl.tanh(h @ w + row @ u)
        return h, h * 2

    return bl.scan(turn, bl.zeros((x.shape[1], w.shape[0]), dtype=x.dtype), x, reverse=reverse)


def with_gradient(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    def number(*xs: Any) -> Any:
        return sum(bl.sum(y * bl.cos(y)) for y in leaves(function(*xs)) if y.dtype.kind == "f")

    return lambda *xs: (function(*xs), bl.grad(number, range(count))(*xs))


CASES: dict[str, tuple[Callable[..., Any], int, list[Any]]] = {
    "scan": (recurrent, 3, [single(20, 20, scale=0.3), single(7, 20), single(9, 12, 7)]),
    "scan of numbers": (recurrent, 3, [single(2, 2), single(3, 2), single(5, 1, 3)]),
    "reversed": (lambda *xs: recurrent(*xs, reverse=True), 3, [single(8, 8, scale=0.5), single(3, 8), single(9, 9, 3)]),
    "reversed input": (
        lambda w, u, x: recurrent(w, u, x[::-2]), 3, [single(8, 8, scale=0.5), single(3, 8), single(11, 4, 3)],
    ),
    "fori": (lambda x: bl.fori_loop(0, 13, lambda i, x: bl.sin(x) + 0.1 * i, x), 1, [single(300)]),
    "fori of several": (
        lambda x, y: bl.fori_loop(2, 9, lambda i, c: (c[1] * 0.5, c[0] + bl.cos(c[1])), (x, y)), 2, [single(40, 3)] * 2,
    ),
    "swap": (lambda x, y: bl.fori_loop(0, 5, lambda i, c: (c[1], c[0]), (x, y)), 2, [single(300), single(300)]),
    "rotate": (lambda x, y, z: bl.fori_loop(0, 4, lambda i, c: (c[1], c[2], c[0]), (x, y, z)), 3, [single(40)] * 3),
    "old value beside new": (
        lambda x: bl.fori_loop(0, 6, lambda i, c: (c[0] * 0.9 + 1, c[0]), (x, x)), 1, [single(500)],
    ),
    "cond": (lambda x: bl.cond(bl.sum(x) > 0, lambda x: x * 2, lambda x: bl.exp(x), x), 1, [single(400)]),
    "cond in scan": (
        lambda x: bl.scan(
            lambda c, r: (bl.cond(bl.sum(r) > 0, lambda c: c + r, lambda c: c * 0.5, c), bl.sum(c)), bl.zeros((50,)), x
        ), 1, [single(12, 50)],
    ),
    "scan in scan": (
        lambda x: bl.scan(
            lambda c, r: (bl.fori_loop(0, 3, lambda i, c: bl.tanh(c + r), c), c), bl.zeros((30,)), x
        ), 1, [single(6, 30)],
    ),
    "scan without steps": (lambda x: bl.scan(lambda c, r: (c + r, c), bl.ones((4,)), x[:0]), 1, [single(3, 4)]),
    "scan of what is computed": (
        lambda x: bl.scan(lambda c, r: (c + bl.sum(r), r * c), bl.sum(x), bl.exp(x).mT @ x),
        1, [single(9, 9, scale=0.3)],
    ),
    "carry handed out twice": (
        lambda x: (lambda c: (c, c * 2))(bl.fori_loop(0, 3, lambda i, x: x + 1, x)), 1, [single(70)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_loop_and_its_gradient(name):
    function, count, values = CASES[name]
    both = with_gradient(function, count)
    expected = [(y, max(1.0, float(np.abs(y).max(initial=0))) * 8) for y in eager(both, values)]
    for form in (nullcontext, in_memory):
        with form():
            agree(native(both, values), expected, f"{name}, {form.__name__}")
            agree(native(both, values, threads=1), expected, f"{name}, {form.__name__}, one thread")


@pytest.mark.parametrize("form", [nullcontext, in_memory])
def test_while_loops(form):
    growing = lambda x: bl.while_loop(lambda x: bl.sum(x) < 100, lambda x: x * 1.5 + 0.1, x)
    cases = [
        (growing, [np.ones(5, "f4")]), (growing, [np.full((30, 40), 1e-3, "f4")]),
        (lambda x: bl.while_loop(lambda x: bl.sum(x) < -1, lambda x: x + 1, x), [np.ones(500, "f4")]),  # never
        (
            lambda x, n: bl.while_loop(lambda c: c[1] > 0, lambda c: (bl.sin(c[0]), c[1] - 1), (x, n))[0],
            [single(300), np.int64(11)],
        ),
        (
            lambda a: bl.while_loop(
                lambda c: bl.max(c) > 1,
                lambda c: bl.while_loop(lambda d: bl.sum(d) > 3, lambda d: d * 0.7, c) * 0.9, a,
            ),
            [np.full(200, 4, "f4")],
        ),
    ]  # fmt: skip
    for function, values in cases:
        with form():
            check(function, values, ulps=512)


def train(params: Any, x: Any, y: Any) -> Any:
    def loss(p: Any) -> Any:
        return bl.mean((bl.tanh(x @ p["w"] + p["b"]) @ p["v"] - y) ** 2)

    value, slope = bl.value_and_grad(loss)(params)
    return {k: params[k] - 0.05 * slope[k] for k in params}, value


def started(width: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    params = {"w": rng.normal(size=(2, width)), "b": np.zeros(width), "v": rng.normal(size=(width, 1)) * 0.3}
    x = rng.uniform(-1, 1, (25, 2))
    return params, x, x[:, :1] * x[:, 1:]


@pytest.mark.parametrize("width", [3, 40])
def test_ten_thousand_steps_of_training(width):
    """In double precision the loop stays with the steps; the loss has fallen and is the same to many digits."""
    params, x, y = started(width)
    step = bl.compile(train)
    ended, losses = step.repeat(10_000, carry=1, collect=True)(params, x, y)
    by_hand = {k: bl.tensor(v) for k, v in params.items()}
    for i in range(10_000):
        by_hand, loss = step(by_hand, x, y)
        if i in (0, 99, 9_999):
            np.testing.assert_allclose(losses.numpy()[i], loss.numpy(), rtol=1e-9)
    for k in params:
        np.testing.assert_allclose(ended[k].numpy(), by_hand[k].numpy(), rtol=1e-8, atol=1e-10)
    assert losses.numpy()[-1] < 0.05 * losses.numpy()[0]


@pytest.mark.parametrize("width", [3, 60])
def test_a_loop_equals_steps_of_eager_mode(width):
    params, x, y = started(width)
    ended, losses = bl.compile(train).repeat(60, carry=1, collect=True)(params, x, y)
    by_hand = {k: bl.tensor(v) for k, v in params.items()}
    for i in range(60):
        by_hand, loss = train(by_hand, bl.tensor(x), bl.tensor(y))
        np.testing.assert_allclose(losses.numpy()[i], loss.numpy(), rtol=1e-11)
    agree([ended[k].numpy() for k in params], [by_hand[k].numpy() for k in params], ulps=4096)


@pytest.mark.parametrize("width", [3, 60])
@pytest.mark.parametrize("batch", [8, 25])
def test_repeat_and_epochs_are_those_on_numpy(width, batch):
    params, x, y = started(width)

    def run() -> list[Any]:
        step = bl.compile(train, donate="params")
        held = {k: bl.tensor(v) for k, v in params.items()}
        again, loss = step.repeat(7)(held, x, y)
        epochs = step.epochs((x, y), batch, state=(params,), shuffle=bl.random.key(5), epochs=3)
        return [*arrays(again), *arrays(loss), *arrays(epochs.state)]

    found = [y.copy() for y in run()]
    with bl.settings(native=False):
        agree(found, run(), ulps=4096)


def test_donated_state_is_updated_where_it_is():
    step = bl.compile(lambda w, x: (w - 0.1 * bl.sum(x) * w, bl.sum(w)), donate="w")
    w, x = bl.tensor(single(300, 40)), single(10)
    expected = eager(lambda w, x: (w - 0.1 * bl.sum(x) * w, bl.sum(w)), [w.numpy(), x])
    first, _ = step(w, x)
    place = first.numpy().ctypes.data
    agree([first.numpy().copy()], expected[:1])
    for _ in range(3):
        first, total = step(first, x)
    assert first.numpy().ctypes.data == place
    assert np.isfinite(total.numpy())
    with pytest.raises(bl.GraphError, match="donated"):
        w + 1
