"""The Tape: the same flat graph, values and cotangents, whatever mode computed the value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, static
from backlit.explain.tape import tape_of


def neuron(x: Any, w: Any, b: Any) -> Any:
    return 1 / (1 + bl.exp(-(w * x + b)))


def test_every_mode_gives_the_same_tape() -> None:
    of = tape_of(neuron, 1.0, 0.0, 0.0)
    compiled = tape_of(bl.compile(neuron), 1.0, 0.0, 0.0)
    w = bl.tensor(0.0, requires_grad=True)
    through = tape_of(bl.compile(neuron)(1.0, w, 0.0), names={"w": w})
    with static.Graph().as_default(), static.Session() as session:
        p, v = static.placeholder("float32", name="x"), static.Variable(0.0, name="w")
        y = neuron(p, v, 0.0)
        session.run(static.global_variables_initializer())
        fed = tape_of(y, session=session, feed_dict={p: 1.0})
    for tape in (of, compiled, through, fed):
        assert [n.op.name for n in tape.nodes][-6:] == ["multiply", "add", "negative", "exp", "add", "divide"]
        (w_node,) = (n for n in tape.nodes if tape.name(n) == "w")
        assert tape.cotangents[w_node] == pytest.approx(0.25)


def test_the_pieces_along_edges_sum_to_the_cotangent() -> None:
    rng = np.random.default_rng(0)
    with bl.settings(default_dtype=bl.float64):
        model = nn.Sequential(nn.Dense(5, activation="tanh"), nn.LayerNorm(), nn.Dense(3))
        x = rng.normal(size=(4, 6))
        model(x)
        tape = tape_of(lambda p, x: bl.mean(model.apply(p, x)[0] ** 2), model.parameters(), x)
    sums: dict[Any, Any] = {}
    for e in tape.edges:
        if e.target in tape.cotangents and (piece := tape.pulled(e, tape.cotangents[e.target])) is not None:
            sums[e.source] = sums.get(e.source, 0) + piece
    for node, total in sums.items():
        np.testing.assert_allclose(total, tape.cotangents[node], rtol=1e-12, atol=1e-15)
    assert {tape.layer(n) for n in tape.nodes} == {"", "0", "1", "2"}


def test_loops_are_taken_apart() -> None:
    @bl.compile
    def rnn(w: Any, xs: Any) -> Any:
        return bl.scan(lambda c, x: (bl.tanh(w * c + x), c), 0.5, xs)[0]

    w = bl.tensor(0.3, requires_grad=True)
    y = rnn(w, bl.tensor([1.0, 2.0, 3.0]))
    tape = tape_of(y)
    assert [tape.turn(n)[-6:] for n in tape.nodes if n.op.name == "tanh"] == ["turn 0", "turn 1", "turn 2"]
    assert all("test_tape.py" in tape.line(n) for n in tape.nodes if n.op.name == "tanh")
    y.backward()
    assert w.grad is not None
    np.testing.assert_allclose(tape.cotangents[w._node], w.grad.numpy(), rtol=1e-6)


def test_a_graph_that_was_let_go_says_so() -> None:
    w = bl.tensor(0.3, requires_grad=True)
    y = w * w
    y.backward()
    with pytest.raises(bl.GradientError, match="retain_graph"):
        tape_of(y)
    with pytest.raises(bl.GradientError, match="nothing is recorded"):
        tape_of(bl.tensor(1.0))


def test_parameters_are_called_by_their_paths() -> None:
    model = nn.Sequential(nn.Dense(2), nn.Dense(1, use_bias=False))
    tape = tape_of(bl.sum(model(np.ones((3, 2), "float32"))))
    assert [tape.name(n) for n in tape.leaves] == ["0.weight", "0.bias", "1.weight"]


def test_a_cotangent_may_be_made_of_the_output() -> None:
    tape = tape_of(lambda x: bl.tanh(x), np.zeros((2, 3)), cotangent=lambda y: np.ones(y.shape))
    np.testing.assert_array_equal(tape.cotangents[tape.leaves[0]], np.ones((2, 3)))
