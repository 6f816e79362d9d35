"""`bl.explain`: what it says, in every mode and for every kind of network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, static
from backlit.explain.explanation import Explanation
from backlit.explain.plain import WIDTH

from .random_graphs import RandomGraph


def neuron(x: Any, w: Any, b: Any) -> Any:
    return 1 / (1 + bl.exp(-(w * x + b)))


def wide(e: Explanation) -> int:
    return max(map(len, str(e).split("\n")))


def test_the_neuron_of_the_lecture() -> None:
    x, w, b = (bl.tensor(v, requires_grad=True) for v in (1.0, 0.0, 0.0))
    found = bl.explain(neuron(x, w, b))
    assert [row.name for row in found.nodes] == ["x", "w", "b", "h1", "h2", "h3", "h4", "h5", "h6"]
    assert [local.number for row in found.nodes for local in row.locals] == list(range(1, 9))
    assert [local.value for local in found.locals.values()] == [1, 0, 1, 1, -1, 1, 1, -0.25]
    assert {k: float(v) for k, v in found.gradient.items()} == {"x": 0.0, "w": 0.25, "b": 0.25}
    told = str(found)
    for line in (
        "y = h6 = 0.5   at x = 1, w = 0, b = 0",
        "⑥ ∂h4/∂h3 = exp(h3) = 1",
        "⑧ ∂h6/∂h5 = -1 / h5² = -0.25",
        "∂y/∂w = 0.25: one path",
        "= ① · ③ · ⑤ · ⑥ · ⑦ · ⑧",
        "= x · 1 · (-1) · exp(h3) · 1 · (-1 / h5²)",
        "= 1 · 1 · (-1) · 1 · 1 · (-0.25) = 0.25",
        "∂y/∂x = 0: one path, with a factor of 0",
    ):
        assert line in told
    assert repr(found) == told


def test_every_mode_gives_the_same_explanation() -> None:
    args = tuple(map(np.float64, (1.0, 0.5, -0.2)))
    eager = str(bl.explain(neuron, *args))
    assert str(bl.explain(bl.compile(neuron), *args)) == eager
    w = bl.tensor(args[1], requires_grad=True)
    through = bl.explain(bl.compile(neuron)(args[0], w, args[2]))
    assert float(through["w"].gradient) == pytest.approx(0.2445, abs=1e-4)
    with static.Graph().as_default(), static.Session() as session:
        x, b = (static.placeholder("float64", name=n) for n in "xb")
        w = static.Variable(args[1], name="variable")
        y = neuron(x, w, b)
        session.run(static.global_variables_initializer())
        fed = bl.explain(y, session=session, feed_dict={x: args[0], b: args[2]}, wrt=[x, w])
    assert {k: float(g) for k, g in fed.gradient.items()} == {
        k: pytest.approx(float(g), rel=1e-12) for k, g in bl.explain(neuron, *args, wrt=["x", "w"]).gradient.items()
    }


def test_static_graphs_with_rules_of_the_users_own_and_open_shapes() -> None:
    with static.Graph().as_default() as graph, static.Session() as session:
        x = static.placeholder("float32", shape=(None, 2), name="x")
        with graph.gradient_override_map({"round": "straight through"}):
            y = bl.sum(bl.round(x), axis=0)[0]
        assert "sum(round, axis=0)" in str(bl.draw(y))  # before anything is fed
        told = str(bl.explain(y, session=session, feed_dict={x: [[1.2, 3.4]]}))
        other = static.placeholder("float32", name="other")
        with pytest.raises(bl.GraphError) as problem:
            session.run([y, other * 2], {x: [[1.0, 2.0]]})
    assert "The rule is not the one of round but one of your own" in told
    assert "'multiply' (multiply)" in str(problem.value)
    assert "getitem" not in str(problem.value)


@static.RegisterGradient("straight through")
def _(op: Any, grad: Any) -> Any:
    return grad


def test_names_are_those_of_the_callers_variables() -> None:
    params = {"W": bl.tensor(np.ones((3, 2)), requires_grad=True), "b": bl.tensor(np.zeros(2), requires_grad=True)}
    inputs = np.arange(12.0).reshape(4, 3)
    hidden = bl.tanh(0.01 * inputs @ params["W"] + params["b"])
    loss = bl.mean(hidden)
    found = bl.explain(loss)
    assert list(found.parts) == ["params.W", "params.b"]
    assert {"hidden", "loss"} <= {row.name for row in found.nodes}
    assert str(found).startswith("loss = ")
    by = {"a": params["W"]}
    assert list(bl.explain(loss, wrt=params["W"], names=by).parts) == ["a"]
    layer = nn.Sequential(nn.Dense(2))
    layer(inputs)
    del by, hidden, params
    for p in layer.parameters().values():
        p.requires_grad = True
    out = bl.sum(layer(inputs))
    assert list(bl.explain(out).parts) == ["layer.0.weight", "layer.0.bias"]


def test_any_node_may_be_asked_for_and_two_may_have_one_name() -> None:
    one, two = (bl.tensor(v, dtype="float64", requires_grad=True, name="w") for v in (2.0, 3.0))
    hidden = one * two
    loss = hidden * hidden
    del one, two
    assert {k: float(g) for k, g in bl.explain(loss).gradient.items()} == {"w": 36.0, "w (2)": 24.0}
    assert float(bl.explain(loss, wrt=hidden).gradient) == float(bl.explain(loss, wrt="hidden").gradient) == 12.0
    assert "∂loss/∂hidden = 12: 2 paths" in str(bl.explain(loss, wrt=hidden))


def test_sums_with_a_remainder_add_up_in_print() -> None:
    found = bl.explain(lambda x: x * x * x + bl.sin(x) * x - 3 / x, np.float64(2.0), paths=3)
    assert "6 paths, the 3 strongest" in str(found)
    assert re.search(r"∂y/∂x = 4 \+ 4 \+ 4 \+ remainder 0.827\d* \(3 more paths\) = 12.8\d*; shown \+", str(found))
    assert len(found.paths) == 3
    assert float(found.remainder) + sum(float(p.gradient) for p in found.paths) == pytest.approx(float(found.gradient))


def test_tensors_tell_shapes_and_reasons() -> None:
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    W = bl.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    c = bl.tensor(np.zeros(2), requires_grad=True)
    loss = bl.mean((bl.tanh(X @ W + c) - T) ** 2) + 0.1 * bl.sum(W**2)
    found = bl.explain(loss)
    told = str(found)
    assert "∂loss/∂W ← Xᵀ @ G    (4, 3)ᵀ·(4, 2) → (3, 2)" in told
    assert "The sum runs over i, and the transpose puts i inside" in told
    assert "∂loss/∂c ← sum(G, axis=0)    (4, 2) → (2,)" in told
    assert "W → h7 → h8 → h9 → loss" in told
    assert wide(found) <= WIDTH
    assert sum(p.share for p in found["W"].shown) == pytest.approx(1)
    into_loss = [s for e, s in found.shares("W").items() if e.target is found.tape.output]
    assert sum(into_loss) == pytest.approx(1)
    with pytest.raises(bl.ArgumentError, match="of which leaf"):
        found.shares()


def networks() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    block = lambda: nn.Residual(nn.Sequential(nn.LayerNorm(), nn.Dense(6, activation="relu"), nn.Dense(6)))
    return {
        "residual": (nn.Sequential(nn.Dense(6), *[block() for _ in range(3)], nn.Dense(3)), rng.normal(size=(8, 6))),
        "deep": (nn.Sequential(*[block() for _ in range(12)], nn.Dense(1)), rng.normal(size=(4, 6))),
        "lstm": (nn.Sequential(nn.LSTM(8), nn.Dense(2)), rng.normal(size=(4, 10, 3))),
        "cnn": (
            nn.Sequential(nn.Conv2d(4, 3), nn.BatchNorm(), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dense(3)),
            rng.normal(size=(2, 1, 8, 8)),
        ),
        "transformer": (
            nn.Sequential(nn.Embedding(30, 16), nn.TransformerEncoderLayer(4, 32), nn.Dense(30)),
            rng.integers(0, 30, size=(4, 12)),
        ),
    }


@pytest.mark.parametrize("name", list(networks()))
def test_networks_are_explained_by_layers(name: str) -> None:
    model, x = networks()[name]
    with bl.settings(default_dtype=bl.float64):
        model(x)
        start = perf_counter()
        found = bl.explain(lambda p: bl.mean(model.apply(p, x)[0] ** 2), model.parameters())
    told = str(found)
    assert perf_counter() - start < 10  # a tenth of it on a machine that does nothing else
    assert wide(found) <= WIDTH
    for part in found.parts.values():
        assert part.error < 1e-12 or part.rounding
    assert set(found.parts) == {f"p.{path}" for path in model.parameters()}
    if name == "residual":
        assert "⤳" in told
        assert "64 paths from op to op; from layer to layer the 3 strongest" in told
        assert len(found["p.0.weight"].shown) == 3
    if name == "deep":
        assert re.search(r"e\+\d+ paths from op to op; from layer to layer the 3\s+strongest", told)
    if name == "transformer":
        assert re.search(r"key.bias, \(16,\), norm [\d.e-]+: 18 paths; it is rounding error of parts of size", told)
    if name == "lstm":
        assert "turn 9" in told
    found._repr_html_()


def test_files(tmp_path: Path) -> None:
    found = bl.explain(neuron, 1.0, 0.0, 0.0)
    for kind in ("html", "tex", "txt", "svg"):
        assert found.save(tmp_path / f"e.{kind}").read_text("utf-8")
    page = (tmp_path / "e.html").read_text("utf-8")
    HTMLParser().feed(page)
    assert "h<sub>6</sub>" in page
    assert "src=" not in page
    assert (tmp_path / "e.txt").read_text("utf-8") == f"{found}\n"
    tex = (tmp_path / "e.tex").read_text("utf-8")
    assert tex.count("\\begin{align*}") == tex.count("\\end{align*}") == 4
    assert r"\frac{\partial h_{6}}{\partial h_{5}} &= -\frac{1}{h_{5}^2} = -0.25" in tex
    with pytest.raises(bl.ArgumentError, match=r"\.html, \.tex"):
        found.save(tmp_path / "e.docx")


def test_bad_requests_are_told() -> None:
    x = bl.tensor(2.0, requires_grad=True)
    y = x * x
    layer = nn.Dense(1).build((2,))
    loss = bl.sum(layer(bl.ones((1, 2))))
    assert bl.explain(loss, wrt="bias").gradient.shape == (1,)  # called layer.bias
    with pytest.raises(bl.ArgumentError, match="the leaves are x"):
        bl.explain(y, wrt="w")
    with pytest.raises(bl.ArgumentError, match="a Tensor of shape"):
        bl.explain(y, wrt=bl.tensor(1.0))
    with pytest.raises(bl.ArgumentError, match="'w' is not among"):
        bl.explain(y)["w"]
    with pytest.raises(bl.ArgumentError, match="a Tensor or a function"):
        bl.explain(3.0)


def test_complex_numbers_are_told() -> None:
    x = np.float32([[0.5, -1.0], [2.0, 0.1]])
    for told in [bl.explain, bl.draw, bl.explore, bl.trace_nonfinite]:
        str(told(lambda a, b: bl.real(bl.sum((a + 1j * b) * bl.exp(1j * b))), x, x))
    assert "1j · h1" in str(bl.explain(lambda a: bl.sum(bl.abs(1j * a) ** 2), x))
    assert bl.why("a", lambda a, c: bl.sum(bl.abs(c * a) ** 2), x, np.complex64([1, 1j])).kind == "fine"


def test_what_is_not_finite_says_so() -> None:
    with np.errstate(all="ignore"):
        found = bl.explain(bl.log, np.float64(0.0))
        assert "not finite: bl.trace_nonfinite" in str(found)
        assert np.isinf(found.gradient)


@pytest.mark.parametrize("scalars", [True, False])
def test_native_plans_of_random_graphs_are_explained_as_eager_mode_is(scalars: bool) -> None:
    graph = RandomGraph(2, 60, scalars=scalars)
    eager = bl.explain(graph, *graph.inputs)
    inputs = [bl.tensor(x, requires_grad=True) for x in graph.inputs]
    native = bl.explain(bl.compile(graph)(*inputs), wrt=inputs)
    for ours, theirs in zip(native.parts.values(), eager.parts.values(), strict=True):
        assert ours.number == theirs.number
        assert ours.error < 1e-12
        np.testing.assert_allclose(ours.gradient, theirs.gradient, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose([p.size for p in ours.shown], [p.size for p in theirs.shown], rtol=1e-9, atol=1e-12)


def test_large_graphs_are_told_in_part() -> None:
    graph = RandomGraph(0, 400)
    found = bl.explain(graph, *graph.inputs, paths=2)
    told = str(found)
    assert wide(found) <= WIDTH
    assert re.search(r"… and [\d,]+ more nodes", told)
    assert re.search(r"→ … \d+ stops … →", told)
    assert "The graph is large" in found._repr_html_()
    assert r"\vdots" in found.latex()
