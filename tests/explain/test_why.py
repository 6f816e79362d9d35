"""`why`: every broken or thin link planted once, in functions, networks and static graphs; and healthy gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, static
from backlit.explain.answer import Why
from backlit.explain.links import MENDS

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
INPUTS = np.array([3.0, -1.0], np.float32)


def told(found: Why) -> str:
    """What is printed, checked for its form."""
    text = str(found)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert found.kind in (*MENDS, *OTHERS), found.kind
    assert found.headline.split("(")[0][:30] in text
    assert "<table>" in found._repr_html_()
    return " ".join(text.split())


OTHERS = (
    "not recorded", "no graph", "not a leaf", "no backward yet", "replaced", "unused", "cancelled", "nonfinite", "zero",
    "small", "fine",
)  # fmt: skip


def quietly(w: Any, x: Any) -> Any:
    with bl.no_grad():
        s = w * 2
    return (s * x).sum()


#: Kind and size, a function of w and x, the op to blame, and what is said.
PLANTED: list[tuple[str, str, Callable[..., Any], str, str]] = [
    ("detached", "none", lambda w, x: (bl.stop_gradient(w) * x).sum(), "stop_gradient", "it is detached"),
    ("detached", "none", lambda w, x: ((w * 2).detach() * x).sum(), "stop_gradient", "h1 is detached"),
    ("no_grad", "none", quietly, "multiply", "no_grad()"),
    ("integer", "none", lambda w, x: bl.take(x, bl.argmax(w * x)), "argmax", "whole numbers"),
    ("integer", "none", lambda w, x: (w.astype(bl.int32) * x).sum(), "astype", "whole numbers"),
    ("comparison", "none", lambda w, x: (bl.where(w * x > 0, 1.0, 0.0) * x).sum(), "greater", "only compared"),
    ("step function", "none", lambda w, x: (bl.round(w) * x).sum(), "round", "slope is 0"),
    ("step function", "none", lambda w, x: (bl.sign(w) * x).sum(), "sign", "slope is 0"),
    ("unused", "none", lambda w, x: x.sum(), "", "does not use it"),
    ("dead units", "zero", lambda w, x: bl.relu(-w).sum(), "relu", "100 % of its entries"),
    ("masked", "zero", lambda w, x: bl.where(x > 100, w * 2, x).sum(), "where", "condition is true, which it is not"),
    ("masked", "zero", lambda w, x: bl.where(x < 100, x, w * 2).sum(), "where", "condition is false"),
    ("saturated", "zero", lambda w, x: (bl.sigmoid(w * 200) * x).sum(), "sigmoid", "mean slope of sigmoid is 0"),
    ("saturated", "small", lambda w, x: 1 + bl.tanh(w * 7).sum(), "tanh", "mean slope"),
    ("saturated", "small", lambda w, x: bl.softmax(bl.stack([w.sum() * 4, x[1]]))[0], "softmax", "flat"),
    ("clipped", "zero", lambda w, x: bl.clip(w * 100, -1, 1).sum(), "clip", "beyond the bounds"),
    ("clipped", "zero", lambda w, x: bl.relu6(w * 100).sum(), "relu6", "beyond the bounds"),
    ("not selected", "zero", lambda w, x: bl.maximum(w, 10.0).sum(), "maximum", "takes the other value"),
    ("not selected", "zero", lambda w, x: bl.concat([w, x * 10]).max(), "concat", ""),
    ("multiplied by zero", "zero", lambda w, x: (w * (x * 0)).sum() + 1, "multiply", "0 throughout"),
    ("multiplied by zero", "zero", lambda w, x: (w * 0.0).sum() + 1, "multiply", "multiplied by 0"),
    ("multiplied by zero", "zero", lambda w, x: bl.zeros((2, 2)) @ w @ x, "matmul", "0 throughout"),
    ("multiplied by small numbers", "small", lambda w, x: 1 + (w * (x * 1e-6)).sum(), "multiply", "mean size is 2e-06"),
    ("multiplied by small numbers", "small", lambda w, x: 1 + (w / 1e6).sum(), "divide", "divided by 1e+06"),
    ("cancelled", "zero", lambda w, x: (w - w * 1.0).sum() + 1, "", "2 ways cancels"),
    ("cancelled", "small", lambda w, x: (w - w * 0.9999999).sum() + 1, "", "2 ways cancels"),
    ("flat", "zero", lambda w, x: bl.square(w - w.detach()).sum() + 1, "square", "slope of square is 0"),
    ("nonfinite", "nonfinite", lambda w, x: bl.sqrt(bl.relu(-w)).sum(), "divide", "derivative of a square root"),
    ("fine", "fine", lambda w, x: (w * x).sum(), "", "its norm is 3.16"),
    ("fine", "fine", lambda w, x: (w * x + w.detach()).sum(), "", "besides, it is taken as a constant"),
]  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", PLANTED, ids=[f"{p[0]}, {p[3]}" for p in PLANTED])
def test_each_kind(case: Any, compiled: bool) -> None:
    kind, size, function, op, said = case
    found = bl.why("w", bl.compile(function) if compiled else function, bl.tensor([1.0, 2.0]), INPUTS)
    text = told(found)
    assert (found.kind, found.size) == (kind, size) or op == "concat", text
    assert said in text
    assert found.name == "w"
    if op:
        assert found.where is not None
        assert op in ("concat", found.where.op)
        assert found.where.line.startswith("test_why.py")


# --- eager ------------------------------------------------------------------------------------------


def test_what_a_tensor_knows_of_itself() -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    assert bl.why(w).kind == "no backward yet"
    (w * 2).sum().backward()
    assert (bl.why(w).kind, bl.why(w).norm) == ("fine", pytest.approx(np.sqrt(8)))
    w.grad = bl.zeros(2)
    assert bl.why(w).kind == "zero"
    w.grad = bl.full(2, np.nan)
    assert bl.why(w).kind == "nonfinite"
    assert bl.why(bl.tensor([1.0])).kind == "not recorded"
    assert bl.why(bl.tensor([1])).kind == "integer"
    h = w * 2
    assert "multiply" in told(bl.why(h))
    assert bl.why(h).kind == "not a leaf"
    h[0] = 3.0
    assert bl.why(h).kind == "replaced"


def test_tensors_that_were_computed() -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    v = bl.tensor([3.0, 4.0], requires_grad=True)
    h = w * 2
    loss = (h.detach() * v).sum()
    found = bl.why(w, loss)
    assert (found.kind, found.name) == ("detached", "w")
    assert "the value of multiply at test_why.py" in told(found)
    direct = bl.why(w, (w.numpy() * v).sum())
    assert direct.kind == "detached"
    assert "its value stands in the graph" in told(direct)
    c = bl.tensor([5.0, 6.0])
    assert bl.why(c, (c * v).sum()).kind == "not recorded"
    assert bl.why(c, v.sum()).kind == "not recorded"
    assert bl.why(bl.tensor([1, 2]), loss).kind == "integer"
    elsewhere = bl.why(w, v.sum())
    assert elsewhere.kind == "unused"
    assert "used by multiply" in told(elsewhere)
    assert "only the function itself can tell" in told(bl.why(w, (v * np.ones(2, "f")).sum()))
    dead = bl.why(w, (bl.relu(-w) * v).sum())
    assert (dead.kind, dead.size) == ("dead units", "zero")
    assert bl.why(w, bl.tensor(1.0)).kind == "no graph"
    assert bl.why("w", lambda w: bl.ones(2), 1.0).kind == "no graph"
    compiled = bl.compile(lambda w, v: (bl.stop_gradient(w) * v).sum())(w, v)  # taken apart, so nothing is lost
    assert bl.why(w, compiled).kind == "detached"
    late = (v * w).sum()
    w = w * 1.5
    assert bl.why(w, late).kind == "replaced"
    freed = (v * 2).sum()
    freed.backward()
    with pytest.raises(bl.GradientError, match="retain_graph"):
        bl.why(v, freed)


def test_a_static_graph() -> None:
    with static.Graph().as_default(), static.Session() as session:
        x = static.placeholder("float32", (None, 4), name="x")
        w, u = static.Variable(np.ones((4, 1), "f"), name="w"), static.Variable(1.0, name="u")
        dead = bl.relu(x @ w - 100).sum()
        cut = (bl.stop_gradient(x @ w) * u).sum()
        session.run(static.global_variables_initializer())
        kinds = [bl.why(p, y, session=session, feed_dict={x: X}).kind for p, y in ((w, dead), (w, cut), (u, dead))]
        assert bl.why(u, cut, session=session, feed_dict={x: X}).kind == "fine"
    assert kinds == ["dead units", "detached", "unused"]


# --- networks ---------------------------------------------------------------------------------------


def network(*parts: Any, **changes: Any) -> nn.Layer:
    """A network in which some parameters are multiplied or set."""
    model = nn.Sequential(*parts).build((4,), key=0)
    values = {k: np.array(v) for k, v in model.values().items()}
    return model.load_values(values | {k: v(values[k]) for k, v in changes.items()})


def asked(model: nn.Layer, path: str, loss: Any = "mse", outputs: int = 1) -> Why:
    found = bl.why(path, model=model, loss=loss, batch=(X, X[:, :outputs]))
    told(found)
    return found


def test_networks() -> None:
    dead = network(nn.Dense(16, "relu"), nn.Dense(1), **{"0.bias": lambda b: b - 30})
    found = asked(dead, "0.weight")
    assert (found.kind, found.where and found.where.layer) == ("dead units", "0")
    assert "all 16 units are 0 on every sample" in told(found)
    nearly = asked(network(nn.Dense(16, "relu"), nn.Dense(1), **{"0.bias": lambda b: b - 1.4}), "0.weight")
    assert (nearly.kind, nearly.size) == ("dead units", "fine")
    assert any(0.9 < k.closed < 1 for k in nearly.links)
    flat = asked(network(nn.Dense(16, "tanh"), nn.Dense(1), **{"0.weight": lambda w: w * 100}), "0.weight")
    assert flat.kind == "saturated"
    deep = network(*[nn.Dense(16, "sigmoid") for _ in range(12)], nn.Dense(1))
    found = asked(deep, "0.weight")
    assert (found.kind, found.size) == ("shrunk", "small")
    assert "12 such ops" in told(found)
    assert asked(deep, "12.weight").kind == "fine"
    dropped = asked(network(nn.Dense(16, "tanh"), nn.Dropout(0.95), nn.Dense(1)), "0.weight")
    assert dropped.kind == "dropped out"
    blind = asked(network(nn.Dense(16, "tanh"), nn.Dense(1, init="zeros")), "0.weight")
    assert (blind.kind, blind.where and blind.where.layer) == ("multiplied by zero", "1")
    wild = asked(network(nn.Dense(16), nn.Dense(1), **{"0.weight": lambda w: w * 1e30}), "0.bias")
    assert wild.origin is not None
    assert wild.origin.key == "parameters have grown"


@pytest.mark.parametrize(
    "model",
    [
        network(nn.Dense(16, "relu"), nn.Dense(16, "relu"), nn.Dense(1)),
        network(nn.Dense(16, "tanh"), nn.LayerNorm(), nn.Dense(1)),
        network(nn.Dense(16, "gelu"), nn.Dropout(0.2), nn.Dense(1)),
        network(nn.Dense(8, "sigmoid"), nn.BatchNorm(), nn.Dense(1)),
        network(nn.Reshape(2, 2), nn.LSTM(4), lambda h: h[:, -1], nn.Dense(1)),
        network(nn.Reshape(1, 2, 2), nn.Conv2d(3, 2, activation="relu"), nn.Flatten(), nn.Dense(1)),
    ],
    ids=lambda m: type(m.layers[1]).__name__,
)
def test_healthy_networks(model: Any) -> None:
    for path in model.parameters():
        if path == "0.bias" and isinstance(model.layers[1], nn.BatchNorm):
            continue
        assert asked(model, path).kind == "fine", path


def test_a_parameter_may_be_given_itself() -> None:
    model = network(nn.Dense(2), nn.Dense(1))
    assert bl.why(model.parameters()["1.bias"], model=model, loss="mse", batch=(X, X[:, :1])).name == "1.bias"


def test_the_sum_of_a_softmax_is_flat_not_saturated() -> None:
    for scale, kind in [(1.0, "flat"), (100.0, "saturated")]:
        z = bl.tensor([scale, 2 * scale, 3 * scale], requires_grad=True)
        found = bl.why(z, bl.sum(bl.softmax(z)))
        assert (found.kind, found.size) == (kind, "zero")


def test_loss_and_batch_are_those_of_fit() -> None:
    model = network(nn.Dense(2), nn.Dense(1))
    for loss, batch in [
        ("auto", (X, X[:, 0])),
        ("mse", (X.tolist(), X[:, :1].tolist())),
        ("auto", ((X,), X[:, 0] > 0)),
    ]:
        assert bl.why("1.bias", model=model, loss=loss, batch=batch).kind == "fine"
        assert bl.trace_nonfinite(model=model, loss=loss, batch=batch) is None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: bl.why("w"), "expected a Tensor, or a path"),
        (lambda: bl.why(X, lambda w: (w**2).sum(), X), "or of a parameter of a model .a string., got ndarray"),
        (lambda: bl.why("v", lambda w: w * 2, 1.0), "no argument is called 'v'; there are w"),
        (lambda: bl.why("v", bl.tensor(1.0, requires_grad=True) * 2), "nothing in the graph is called 'v'"),
        (lambda: bl.why("w", model=network(nn.Dense(1))), "give loss= and batch="),
        (lambda: bl.why("w", model=network(nn.Dense(1)), loss="mse", batch=(X, X)), "there are 0.weight, 0.bias"),
    ],
)
def test_errors_teach(call: Any, text: str) -> None:
    with pytest.raises(bl.ArgumentError, match=text):
        call()
