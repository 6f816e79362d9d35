"""The flow: factors that add up to what is measured, each with its cause."""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.explain.flow import LOSS, Flow, flow_of
from backlit.explain.tape import Tape, tape_of

from .random_graphs import RandomGraph


def tape_for(model: nn.Layer, x: Any, loss: Any) -> Tape:
    with bl.settings(default_dtype=bl.float64):
        model(x)
        return tape_of(lambda p: loss(model.apply(p, x)[0]), model.parameters())


def norm_at(tape: Tape, layer: str) -> float:
    """The norm of the cotangent of what a layer returned: of the newest node made within it."""
    (call,) = (c for c in tape.calls if c.path == layer)
    last = max((n for n in tape.cotangents if tape.source(n).serial < call.stop), key=lambda n: n.serial)
    return float(np.linalg.norm(tape.cotangents[last]))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "gelu"])
def test_a_layers_factor_is_the_ratio_of_the_cotangents_before_and_behind_it(activation: str) -> None:
    x = np.random.default_rng(0).normal(size=(16, 8))
    model = nn.Sequential(*[nn.Dense(8, activation=activation) for _ in range(6)])
    tape = tape_for(model, x, lambda y: bl.mean(y**2))
    flow = flow_of(tape)
    parts = {part.path: part for part in flow.layers}
    for i in range(1, 6):
        measured = norm_at(tape, str(i - 1)) / norm_at(tape, str(i))
        assert parts[str(i)].ratio == pytest.approx(measured, rel=1e-9)
        assert set(parts[str(i)].causes) <= {"slope", "weights", "structure"}
    assert parts[LOSS].ratio == pytest.approx(norm_at(tape, "5"))
    assert sum(f.gain for f in flow.factors) == pytest.approx(log(flow.end / flow.start), abs=1e-9)


def test_convolutions_residual_branches_and_norms() -> None:
    x = np.random.default_rng(1).normal(size=(4, 2, 8, 8))
    inner = nn.Sequential(nn.Conv2d(4, 3, padding="same"), nn.ReLU())
    model = nn.Sequential(
        nn.Conv2d(4, 3), nn.Residual(inner), nn.LayerNorm(), nn.MaxPool2d(2), nn.Flatten(), nn.Dense(3)
    )
    tape = tape_for(model, x, lambda y: nn.losses.cross_entropy(y, np.array([0, 1, 2, 0])))
    flow = flow_of(tape)
    parts = {part.path: part for part in flow.layers}
    assert parts["2"].causes == {"normalisation": pytest.approx(parts["2"].gain)}
    between = flow.between("1", "1.inner.0")
    assert between.ratio == pytest.approx(norm_at(tape, "0") / norm_at(tape, "1"), rel=1e-9)


def test_an_orthogonal_recurrent_network_shrinks_by_its_slopes_alone() -> None:
    x = np.random.default_rng(2).normal(size=(5, 12, 4))
    for compiled in (False, True):
        model = nn.Sequential(nn.RNN(8, last=True), nn.Dense(3))
        with bl.settings(default_dtype=bl.float64):
            model(x)
            f = lambda p: bl.mean(model.apply(p, x)[0] ** 2)  # noqa: B023
            flow = flow_of(tape_of(bl.compile(f) if compiled else f, model.parameters()))
        assert [t.path[-2:].strip() for t in flow.turns] == [str(i) for i in range(11, -1, -1)]
        for turn in flow.turns[:-1]:
            assert turn.causes["weights"] == pytest.approx(0, abs=1e-9)
            assert turn.causes["slope"] < 0


def test_what_is_told_names_the_layers_the_share_and_the_slope(tmp_path: Path) -> None:
    x = np.random.default_rng(3).normal(size=(16, 8))
    model = nn.Sequential(*[nn.Dense(8, activation="sigmoid") for _ in range(10)])
    flow = flow_of(tape_for(model, x, lambda y: bl.mean(y**2)))
    (told,) = flow.sentences()
    whole = flow.between("9", "0")
    assert f"{exp(-whole.gain):.3g} times" in told
    assert "9 Dense to 0 Dense shrink" in told
    assert "sigmoid: mean |f'| = 0.2" in told
    assert str(flow).splitlines()[0].startswith("layer")
    flow.save(tmp_path / "flow.png")
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")


def test_a_dead_layer_ends_the_signal(tmp_path: Path) -> None:
    x = np.random.default_rng(4).normal(size=(16, 8))
    model = nn.Sequential(nn.Dense(8, activation="tanh"), nn.Dense(8, activation="relu"), nn.Dense(1))
    model(x)
    model.layers[1].bias = bl.tensor(np.full(8, -1000.0, np.float32))
    flow = flow_of(tape_for(model, x, lambda y: bl.mean((y - 1) ** 2)))
    assert flow.layers[-1].path == "1"
    assert flow.layers[-1].ratio == 0
    assert any("1 Dense" in s and "nothing comes through" in s for s in flow.sentences())
    flow.save(tmp_path / "dead.png")
    assert (tmp_path / "dead.png").exists()


def check_sum(flow: Flow, tape: Tape) -> None:
    gradients = [tape.cotangents[leaf] for leaf in tape.leaves if leaf in tape.cotangents]
    whole = np.sqrt(sum(np.sum(np.square(g)) for g in gradients)) / np.linalg.norm(tape.seed)
    assert sum(f.gain for f in flow.factors) == pytest.approx(log(whole), abs=1e-6)


def test_the_factors_of_a_graph_without_layers_add_up() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        u, v = bl.split(bl.tanh(a @ b), 2, axis=1)
        return bl.logsumexp(u * bl.exp(v) + c) + bl.mean(bl.sort(u, axis=0)[1:] * c[1:])

    rng = np.random.default_rng(5)
    tape = tape_of(f, rng.normal(size=(3, 4)), rng.normal(size=(4, 6)), rng.normal(size=(3, 3)))
    check_sum(flow_of(tape, to=tape.leaves), tape)


@pytest.mark.parametrize(("seed", "nodes", "scalars"), [(0, 40, False), (1, 300, True), (2, 2000, False)])
def test_the_factors_of_random_graphs_add_up(seed: int, nodes: int, scalars: bool) -> None:
    graph = RandomGraph(seed, nodes, scalars=scalars)
    tape = tape_of(graph, *graph.inputs)
    check_sum(flow_of(tape, to=tape.leaves), tape)
