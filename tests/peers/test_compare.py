"""bl.compare beside PyTorch, JAX and TensorFlow: networks are equal, planted faults are found at their nodes."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, static
from backlit.graph.bind import bind
from backlit.graph.op import Op
from backlit.graph.opdef import OPS
from backlit.interop.comparison import Comparison

INSTALLED = [name for name in ("torch", "jax", "tensorflow") if find_spec(name) is not None]
RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3))


@pytest.fixture(params=INSTALLED)
def against(request: pytest.FixtureRequest) -> str:
    return request.param


def beside(model: nn.Layer, x: Any, loss: Callable[[Any], Any], against: str) -> Comparison:
    model(x)
    return bl.compare(lambda p, x: loss(model.apply(p, x)[0]), [model.parameters(), x], against=against)


LABELS = RNG.integers(0, 3, 8)

NETWORKS: dict[str, tuple[Callable[[], nn.Layer], tuple[int, ...], Callable[[Any], Any]]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Dense(8, activation="relu"), nn.LayerNorm(), nn.Dense(3), nn.BatchNorm()), (8, 5),
        lambda y: bl.softmax_cross_entropy(y, LABELS),
    ),
    "conv": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 3, activation="relu"), nn.MaxPool2d(2), nn.Conv2d(6, 3, padding="same", activation="tanh"),
            nn.AvgPool2d(2), nn.Flatten(), nn.Dense(3),
        ), (8, 2, 10, 10), lambda y: bl.softmax_cross_entropy(y, LABELS),
    ),
    "lstm": (lambda: nn.LSTM(4), (3, 4, 2), lambda y: bl.mean((y[0] if isinstance(y, tuple) else y) ** 2)),
    "attention": (
        lambda: nn.TransformerEncoderLayer(4, 2, dropout=0.0, activation="relu"), (2, 3, 4), lambda y: bl.mean(y**3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_equal(name: str, against: str) -> None:
    if against == "jax" and name != "mlp":
        pytest.skip("JAX compiles every op for every shape: a minute for what the twins' tests have seen op by op")
    made, shape, loss = NETWORKS[name]
    found = beside(made(), RNG.normal(size=shape).astype("float32"), loss, against)
    assert found.equal, str(found)
    assert not found.without
    assert {r.direction for r in found.rows} == {"forward", "backward"}
    assert found.dtypes == ("float32", "float64")
    assert found.largest is not None
    assert found.largest.share <= 1
    assert all(e.share <= 1 for e in found.ends)


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "binary_cross_entropy_with_logits"])
def test_losses_are_equal(name: str) -> None:
    pytest.importorskip("torch")
    assert bl.compare(getattr(bl, name), [X, 1 / (1 + np.exp(-X[::-1]))]).equal


@bl.custom_derivative
def right(x: Any, w: Any) -> Any:
    return bl.tanh(x) @ w


@right.vjp
def _(g: Any, out: Any, x: Any, w: Any) -> Any:
    y = bl.tanh(x)
    return (g @ w.mT) * (1 - y**2), y.mT @ g


#: A wrong rule for the same function, and what is said of it.
FAULTS: dict[str, tuple[Callable[..., Any], str]] = {
    "factor": (lambda dx, dw: (dx * 1.001, dw), "same factor 1.001"),
    "sign": (lambda dx, dw: (dx, -dw), "the sign is wrong"),
    "transpose": (lambda dx, dw: (dx, dw.mT), "a transpose is missing"),
    "axis": (lambda dx, dw: (bl.flip(dx, axis=1), dw), "turned round along axis 1"),
    "no path": (lambda dx, dw: (dx, None), "see no path"),
    "two ulp": (lambda dx, dw: (dx * (1 + 1e-11), dw), "the rule"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_rule_is_found_at_its_node(name: str, against: str) -> None:
    change, words = FAULTS[name]

    @bl.custom_derivative
    def wrong(x: Any, w: Any) -> Any:
        return bl.tanh(x) @ w

    wrong.vjp(lambda g, out, x, w: change(*right._vjp(g, out, x, w)))  # type: ignore[misc]
    f = lambda x, w: bl.mean(bl.square(wrong(bl.sin(x), w)))
    found = bl.compare(f, [X, W], against=against, dtypes=["float64"])
    assert found.first is not None, str(found)
    assert (found.first.op, found.first.direction) == ("wrong", "backward")
    assert [d.op for d in found.divergences] == ["wrong"]
    if name != "two ulp":  # less than differences can tell
        assert words in found.first.cause
        assert found.first.fault == "here"
    assert "test_compare.py" in found.first.line


def test_right_rules_are_equal(against: str) -> None:
    found = bl.compare(lambda x, w: bl.mean(bl.square(right(bl.sin(x), w))), [X, W], against=against)
    assert found.equal, str(found)


@pytest.mark.parametrize("ulps", [2, 1000, 1e12])
def test_a_wrong_value_is_found_at_its_node(ulps: float, against: str) -> None:
    """Two units in the last place are enough where the right result is known to the bit."""
    good = OPS["multiply"]
    wrong = Op(
        "multiply", lambda a, b: np.multiply(a, b) * (1 + ulps * np.finfo(np.float64).eps), partials=good.partials,
        family="elementwise", saves="x1 x2",
    )  # fmt: skip
    f = lambda x: bl.sum(bl.sin(bind(wrong, (bl.tanh(x), x), {})))
    found = bl.compare(f, [X], against=against, dtypes=["float64"])
    assert found.first is not None
    assert (found.first.op, found.first.direction, found.first.fault in ("", "here")) == ("multiply", "forward", True)
    assert {d.op for d in found.divergences} == {"multiply"}


def test_a_lower_precision_is_told_from_a_wrong_kernel() -> None:
    pytest.importorskip("torch")
    wrong = Op(
        "matmul", lambda a, b: (a.astype("float32") @ b.astype("float32")).astype("float64"), vjp=OPS["matmul"].vjp
        or (lambda g, out, a, b: (g @ b.mT, a.mT @ g)),
    )  # fmt: skip
    found = bl.compare(lambda x: bl.sum(bind(wrong, (x, bl.tensor(W)), {})), [X], dtypes=["float64"])
    assert found.first is not None
    assert found.first.op == "matmul"
    assert "single precision" in found.first.cause


def test_choices_at_ties_are_conventions() -> None:
    pytest.importorskip("jax")
    found = bl.compare(lambda x: bl.sum(bl.abs(x)), [np.array([0.0, 1.0])], against="jax", dtypes=["float64"])
    assert found.first is not None
    assert "a kink" in found.first.cause
    assert "at 0 is 0" in found.first.cause
    assert found.first.fault == ""


@pytest.mark.parametrize("against", [name for name in INSTALLED if name != "tensorflow"])  # which takes care of sqrt
def test_what_where_does_not_take(against: str) -> None:
    f = lambda x: bl.sum(bl.where(x > 0, bl.sqrt(x), x))
    found = bl.compare(f, [np.array([0.0, 4.0])], against=against, dtypes=["float64"])
    assert found.first is not None
    assert (found.first.op, found.first.fault) == ("sqrt", "there")
    assert "0 · inf" in found.first.cause


def test_static_graphs_and_registered_gradients(against: str) -> None:
    @static.RegisterGradient(f"twice beside {against}")
    def _(op: Any, grad: Any) -> Any:
        return 2 * grad * op.outputs[0]

    with static.Graph().as_default() as graph, static.Session() as session:
        x = static.placeholder("float64", shape=(2,), name="x")
        good = bl.sum(bl.exp(x) * 2)
        with graph.gradient_override_map({"exp": f"twice beside {against}"}):
            bad = bl.sum(bl.exp(x) * 2)
        feed = {x: [0.5, -1.0]}
        assert bl.compare(good, against=against, session=session, feed_dict=feed).equal
        found = bl.compare(bad, against=against, session=session, feed_dict=feed)
    assert found.first is not None
    assert (found.first.op, found.first.input, found.first.fault) == ("exp", "x", "here")
    assert "a factor 2 too much" in found.first.cause


def test_a_gradient_made_by_hand(against: str) -> None:
    f = lambda x, w: bl.sum(bl.tanh(x @ w))
    d = 1 - np.tanh(X @ W) ** 2
    assert bl.compare(f, [X, W], against=against, gradient=lambda x, w: (d @ w.T, x.T @ d)).equal
    found = bl.compare(f, [X, W], against=against, gradient=(d @ W.T, d.T @ X))
    assert found.first is not None
    assert (found.first.input, found.first.fault) == ("w", "here")
    assert "a transpose is missing" in found.first.cause


def test_random_numbers_are_taken_as_they_are() -> None:
    pytest.importorskip("torch")
    key = bl.random.key(0)

    def f(x: Any) -> Any:
        return bl.sum(x * bl.random.bernoulli(key, bl.sigmoid(x)))

    found = bl.compare(f, [X])
    assert found.equal, str(found)


def test_eigenvectors_are_compared_up_to_sign(against: str) -> None:
    def f(x: Any) -> Any:
        values, vectors = bl.linalg.eigh(x @ x.mT)
        return bl.sum(values * bl.sum(vectors**4, axis=0))

    assert bl.compare(f, [W], against=against, dtypes=["float64"]).equal
