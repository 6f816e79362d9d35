"""`trace_nonfinite`: every reason of the table planted, in functions and networks; none where all is finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, static
from backlit.explain.nonfinite_reasons import TABLE
from backlit.explain.origin import Origin

from .random_graphs import RandomGraph, applied

INF = np.inf


def t(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


def found(*args: Any, **options: Any) -> Origin:
    """What is traced, which must be there."""
    origin = bl.trace_nonfinite(*args, **options)
    assert origin is not None
    return origin


MASK = np.array([[True, False], [False, False]])
A = bl.ones((2, 2)) * 1e25

#: The key of a reason, a function, its arguments, the op that is to blame.
PLANTED: list[tuple[str, Callable[..., Any], tuple[Any, ...], str]] = [
    ("log of a softmax that underflowed", lambda x: -bl.log(bl.softmax(x))[0], (t(0, 200),), "log"),
    ("log of a sigmoid that underflowed", lambda x: bl.log(1 - bl.sigmoid(x)).sum(), (t(0, 50),), "log"),
    ("log of an exp that underflowed", lambda x: bl.log(bl.sum(bl.exp(x))), (t(-500, -300),), "log"),
    ("log of 0", lambda x: (x * bl.log(x)).sum(), (t(1, 0),), "log"),
    ("log of 0", lambda x: bl.log1p(x).sum(), (t(1, -1),), "log1p"),
    ("log of a negative number", lambda x: bl.log2(x).sum(), (t(1, -1),), "log2"),
    ("0/0", lambda x: (x / x.sum()).sum(), (t(0, 0),), "divide"),
    ("normalised by a spread of 0", lambda x: ((x + 1) / bl.std(x)).sum(), (t(1, 1),), "divide"),
    ("division by 0", lambda x: bl.sum(2 / x), (t(1, 0),), "divide"),
    ("division by 0", lambda x: bl.sum(bl.rsqrt(x)), (t(1, 0),), "rsqrt"),
    ("division by 0", lambda x: bl.sum(bl.reciprocal(x)), (t(1, 0),), "reciprocal"),
    ("overflow in a quotient", lambda x: bl.sum(1e10 / x), (t(1, 1e-35),), "divide"),
    ("root of a negative number", lambda x: bl.sqrt(bl.mean(x) - 2).sum(), (t(1, 1),), "sqrt"),
    ("0 to a negative power", lambda x: (x**-2).sum(), (t(1, 0),), "pow"),
    ("fractional power of a negative number", lambda x: (x**0.5).sum(), (t(1, -2),), "pow"),
    ("out of the domain", lambda x: bl.acos(x).sum(), (t(1.001, 0),), "acos"),
    ("out of the domain", lambda x: bl.acosh(x).sum(), (t(0.5, 2),), "acosh"),
    ("a row that is masked throughout",
     lambda x: bl.softmax(bl.where(MASK, x, -INF))[1, 0], (np.ones((2, 2)),), "softmax"),
    ("inf - inf", lambda x: (bl.where(MASK, x, -INF) - bl.where(MASK, x, -INF)).sum(), (np.ones((2, 2)),), "subtract"),
    ("inf/inf", lambda x: (bl.where(MASK, x, INF) / bl.where(MASK, x, INF)).sum(), (np.ones((2, 2)),), "divide"),
    ("0 * inf in a derivative", lambda x: bl.tanh(x * np.array([1, INF])).sum(), (t(1, 2),), ""),
    ("0 * inf", lambda x: (x * bl.where(MASK, x, -INF)).sum(), (np.array([[1.0, 0], [1, 1]]),), "multiply"),
    ("parameters have grown", lambda w: ((w * 1e15) ** 2).sum(), (t(1e8, 1),), "pow"),
    ("inputs are huge", lambda w, x: ((w * x) ** 2).sum(), (t(1, 1), t(1e25, 1)), "pow"),
    ("the state of a loop has grown", lambda w: bl.scan(lambda c, x: (c * w, c), 1.0, np.zeros(20))[0], (1e3,),
     "multiply"),
    ("overflow in exp of a softmax by hand", lambda x: (bl.exp(x) / bl.exp(x).sum())[0], (t(90, 1),), "exp"),
    ("overflow in exp", lambda x: bl.log(1 + bl.exp(x)).sum(), (t(90, 1),), "exp"),
    ("overflow in a product of matrices", lambda x: (A @ (x * 1e20)).sum(), (np.ones((2, 2), "f"),), "matmul"),
    ("overflow in a square", lambda x: bl.square(x * 1e20).sum(), (t(1, 2),), "square"),
    ("overflow in a sum", lambda x: (x * 2e38).sum(), (t(1, 1),), "sum"),
    ("overflow in a product", lambda x: bl.prod(x), (t(*[1e5] * 10),), "prod"),
    ("too large for the dtype", lambda x: (x * 1e50).astype(bl.float32).sum(), (np.ones(2),), "astype"),
    ("nothing to average", lambda x: bl.mean(x[2:]), (t(1, 2),), "mean"),
    ("norm'(0)", lambda x: bl.sqrt((x**2).sum()), (t(0, 0),), "divide"),
    ("sqrt'(0)", lambda x: bl.sqrt(bl.relu(x)).sum(), (t(0, 1),), "divide"),
    ("pow'(0)", lambda x: (bl.relu(x) ** 0.3).sum(), (t(0, 1),), "pow"),
    ("log'(0)", lambda x: bl.log(x).sum(), (t(1e-39, 1),), "divide"),
    ("derivative at the edge of the domain", lambda x: bl.asin(x).sum(), (t(1, 0),), ""),
    ("derivative of a quotient", lambda x: (1 / x).sum(), (t(1e-25, 1),), ""),
    ("equal eigenvalues", lambda x: bl.linalg.eigh(x)[1][0, 1], (np.eye(2),), ""),
    ("the gradient grew beyond all bounds", lambda x: (x * 1e30 * 1e30).sum(), (t(0, 0),), ""),
    ("the branch of where that was not taken", lambda w, x: bl.where(x.sum(axis=1) > 3, bl.log(x) @ w, 0.0).sum(),
     (t(1, 2), np.array([[0, 1], [2, 3]], "f")), "log"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "function", "args", "op"), PLANTED, ids=[f"{p[0]}, {p[3]}" for p in PLANTED])
def test_each_reason(key: str, function: Any, args: Any, op: str) -> None:
    origin = found(function, *map(bl.tensor, args))
    assert origin.key == key, str(origin)
    assert op in ("", origin.op)
    assert origin.line.startswith("test_nonfinite.py")
    assert origin.number >= 1
    assert origin.way
    assert all(len(line) <= 100 for line in str(origin).splitlines())
    assert origin.reason in str(origin).replace("\n           ", " ")
    assert "<table>" in origin._repr_html_()


def test_the_whole_table_is_planted() -> None:
    assert {r.key for r in TABLE} - {p[0] for p in PLANTED} == set()


def test_what_is_given_may_be_at_fault() -> None:
    x = np.ones((4, 3), np.float32)
    x[2, 1] = np.nan
    origin = found(lambda w, x: (x @ w).sum(), bl.ones(3), x)
    assert (origin.direction, origin.name, origin.entries, origin.what) == ("input", "x", ((2, 1),), "NaN")
    ruined = found(lambda w: (w * 2).sum(), bl.tensor([1.0, np.inf]))
    assert "step before" in ruined.mend
    constant = found(lambda w: (w * np.array([1.0, np.nan], np.float32)).sum(), bl.ones(2))
    assert constant.key == "a constant that is not finite"
    assert constant.op == "multiply"


HEALTHY: list[tuple[Callable[..., Any], Any]] = [
    (lambda x: bl.where(x > 0, bl.log(x), 0.0).sum(), t(0, 1)),  # the guard of where
    (lambda x: bl.softmax(bl.where(x > 0, x, -INF)).sum(), t(0, 1)),  # a mask
    (lambda x: bl.linalg.vector_norm(x), t(0, 0)),
    (lambda x: bl.std(x), t(1, 1)),
    (lambda x: bl.log_softmax(x)[0], t(0, 1e4)),
    (lambda x: bl.softplus(x).sum(), t(1e3, -1e3)),
    (lambda x: bl.logsumexp(x), t(1e3, -1e3)),
    (
        lambda x: bl.minimum(bl.stop_gradient(bl.exp(x)), 2.0).sum() + x.sum(),
        t(100, 1),
    ),  # inf on the way, not in the end
]


@pytest.mark.parametrize("i", range(len(HEALTHY)))
def test_nothing_is_found_where_all_is_finite(i: int) -> None:
    function, x = HEALTHY[i]
    assert bl.trace_nonfinite(function, bl.tensor(x)) is None


# --- random graphs ------------------------------------------------------------------------------------


class Poisoned(RandomGraph):
    """A random graph in which the value of one step is replaced by a logarithm of negative numbers."""

    at = 0

    def __call__(self, *xs: Any) -> Any:
        values = list(xs)
        for i, step in enumerate(self.steps):
            values.append(applied(step, values))
            if i == self.at:
                values[-1] = bl.log(-1 - bl.square(values[-1]))
        return sum((bl.sum(bl.sin(values[i] + 0.1 * i)) for i in self.unused), 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed: int) -> None:
    graph = RandomGraph(seed, 60)
    args = [bl.tensor(x) for x in graph.inputs]
    assert bl.trace_nonfinite(graph, *args) is None
    poisoned = Poisoned(seed, 60)
    poisoned.at = seed * len(poisoned.steps) // 12
    origin = found(poisoned, *args)
    assert (origin.op, origin.key) == ("log", "log of a negative number")
    assert origin.number == np.prod(origin.shape)
    assert origin.way[-1].op in ("sum", "add")


# --- networks ---------------------------------------------------------------------------------------


def log_of_softmax(out: Any, y: Any) -> Any:
    return -bl.mean(bl.take_along_axis(bl.log(bl.softmax(out, axis=-1)), y[:, None], axis=1))


NETWORKS: dict[str, tuple[Callable[[], nn.Layer], tuple[int, ...], str]] = {
    "MLP": (lambda: nn.Sequential(nn.Dense(8, "relu"), nn.Dense(3)), (5, 4), "1"),
    "CNN": (lambda: nn.Sequential(nn.Conv2d(2, 3, activation="relu"), nn.Flatten(), nn.Dense(3)), (5, 1, 6, 6), "2"),
    "RNN": (lambda: nn.Sequential(nn.LSTM(6), lambda h: h[:, -1], nn.Dense(3)), (5, 7, 4), "2"),
    "transformer": (
        lambda: nn.Sequential(nn.Dense(8), nn.TransformerEncoderLayer(8, 2), lambda h: h.mean(axis=1), nn.Dense(3)),
        (5, 4, 4), "3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, compiled: bool) -> None:
    make, shape, last = NETWORKS[name]
    model = make()
    x = np.random.default_rng(0).normal(size=shape).astype("f")
    model.build(x, key=0)
    params = dict(model.parameters())
    y = np.arange(5) % 3

    def loss(params: Any, x: Any, y: Any) -> Any:
        return log_of_softmax(model.apply({**params, **model.state()}, x)[0], y)

    f = bl.compile(loss) if compiled else loss
    assert bl.trace_nonfinite(f, params, x, y) is None
    wild = {**params, f"{last}.weight": params[f"{last}.weight"] * 1e4}
    origin = found(f, wild, x, y)
    assert origin.key == "log of a softmax that underflowed"
    assert origin.layer == ""
    assert origin.direction == "forward"
    grown = {**params, f"{last}.weight": np.full(params[f"{last}.weight"].shape, INF, "f")}
    origin = found(f, grown, x, y)
    assert origin.name == f"params.{last}.weight"
    ruined = make().build(x, key=0)
    ruined.load_values(
        {f"{last}.weight": np.full(params[f"{last}.weight"].shape, INF, "f")},
    )
    assert found(model=ruined, loss="cross_entropy", batch=(x, y)).name == f"params.{last}.weight"
    huge = {k: v * 1e25 for k, v in params.items()}
    origin = found(lambda p, x: bl.sum(model.apply({**p, **model.state()}, x)[0] ** 2), huge, x)
    assert origin.key == "parameters have grown"
    x[3] = np.nan
    origin = found(f, params, x, y)
    assert origin.name == "x"
    assert {e[0] for e in origin.entries} == {3}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_backward_pass_of_networks(name: str) -> None:
    make, shape, last = NETWORKS[name]
    x = np.random.default_rng(0).normal(size=shape).astype("f")
    model = make().build(x, key=0)
    model.load_values({f"{last}.weight": np.zeros(model.parameters()[f"{last}.weight"].shape, "f")})
    origin = found(model=model, loss=lambda out, y: bl.mean(bl.sqrt(bl.abs(out))), batch=(x, x))
    assert (origin.direction, origin.of, origin.key) == ("backward", "sqrt", "sqrt'(0)")
    assert origin.way[-1].op.startswith("gradient of params.")
    origin = found(model=model, loss=lambda out, y: bl.sqrt(bl.sum(out * out)), batch=(x, x))
    assert origin.key == "norm'(0)"


def test_the_state_of_a_recurrent_network() -> None:
    x = np.random.default_rng(0).normal(size=(5, 60, 4)).astype("f")
    model = nn.Sequential(nn.RNN(6, activation="relu"), lambda h: h[:, -1], nn.Dense(3)).build(x, key=0)
    model.load_values({"0.forwards.0.recurrent": model.parameters()["0.forwards.0.recurrent"].numpy() * 10})
    origin = found(model=model, loss="cross_entropy", batch=(x, np.arange(5) % 3))
    assert (origin.key, origin.layer) == ("the state of a loop has grown", "0.forwards.0")
    assert "turn" in origin.turn


def test_the_turn_of_a_loop() -> None:
    @bl.compile
    def rnn(w: Any, xs: Any) -> Any:
        return bl.scan(lambda c, x: (bl.log(w * c + x), c), 5.0, xs)[0]

    origin = found(rnn, 1.0, t(1, 1, 1, -3, 2))
    assert origin.turn.endswith("turn 3")
    assert origin.key == "log of a negative number"


def test_a_static_graph() -> None:
    with static.Graph().as_default(), static.Session() as session:
        x = static.placeholder("float32", shape=(None,), name="x")
        w = static.Variable([1.0, 2.0], name="w")
        y = bl.log(w * x).sum()
        session.run(static.global_variables_initializer())
        assert bl.trace_nonfinite(y, session=session, feed_dict={x: [1, 1]}) is None
        origin = found(y, session=session, feed_dict={x: [1, 0]})
    assert origin.key == "log of 0"
    assert origin.entries == ((1,),)


def test_a_tensor_and_a_function_that_looks_at_values() -> None:
    w = bl.tensor([0.0, 1.0], requires_grad=True)
    origin = found(bl.sqrt(w).sum(), names={"w": w})
    assert origin.direction == "backward"
    assert origin.of == "sqrt"
    assert origin.end.startswith("The gradient of w")
    branching = lambda x: bl.log(x - 1).sum() if x.max() > 0 else x.sum()
    origin = found(branching, bl.tensor([1.0, 2.0]))
    assert origin.op == "log"


def test_only_the_gradients_that_are_asked_for() -> None:
    f = lambda a, b: (a * bl.sqrt(b)).sum()
    a, b = bl.tensor([1.0, 1.0]), bl.tensor([0.0, 1.0])
    assert bl.trace_nonfinite(f, a, b) is None
    origin = found(f, a, b, wrt="b")
    assert origin.of == "sqrt"
    with pytest.raises(bl.ArgumentError, match="wrt names c, but the leaves are a, b"):
        bl.trace_nonfinite(f, a, b, wrt="c")
    with pytest.raises(bl.ArgumentError, match="computed already"):
        bl.trace_nonfinite(a, b)
    with pytest.raises(bl.ArgumentError, match="give loss= and batch="):
        bl.trace_nonfinite(model=nn.Dense(1))
