"""Paths: what is shown and the remainder add up to the gradient, and the strongest paths are the strongest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.explain.contributions import Route, shares
from backlit.explain.paths import Paths, paths_of
from backlit.explain.tape import Edge, Tape, tape_of
from backlit.graph.node import Node
from backlit.ops.exponential import exp
from backlit.testing import check_grad

from .random_graphs import RandomGraph

SIZES = [30, 200]


def off(found: Paths) -> float:
    """By how much paths and remainder miss the gradient, relative to it."""
    total = sum((p.gradient for p in found.shown), start=found.remainder)
    return float(np.linalg.norm(total - found.gradient)) / (float(np.linalg.norm(found.gradient)) or 1.0)


@pytest.mark.parametrize("nodes", SIZES)
@pytest.mark.parametrize("scalars", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_paths_and_remainder_add_up_to_the_gradient(seed: int, scalars: bool, nodes: int) -> None:
    graph = RandomGraph(seed, nodes, scalars=scalars)
    tape = tape_of(graph, *graph.inputs)
    assert len(tape.nodes) >= nodes
    for leaf in tape.leaves:
        for most in (0, 1, 8):
            found = paths_of(tape, leaf, most)
            assert off(found) < 1e-9
            assert found.error < 1e-12
            assert len(found.shown) == min(most, found.number)
            assert found.others == found.number - len(found.shown)


@pytest.mark.parametrize("scalars", [True, False])
def test_large_graphs_with_very_many_paths(scalars: bool) -> None:
    """What `tools/measure_paths.py` measures on many graphs."""
    graph = RandomGraph(7, 2000, scalars=scalars)
    tape = tape_of(graph, *graph.inputs)
    for leaf in tape.leaves:
        found = paths_of(tape, leaf)
        assert off(found) < 1e-9
    assert paths_of(tape, tape.leaves[0]).number > 1e9


@pytest.mark.parametrize("scalars", [True, False])
def test_the_gradient_that_is_taken_apart_is_that_of_finite_differences(scalars: bool) -> None:
    graph = RandomGraph(1, 60, scalars=scalars)
    assert check_grad(graph, graph.inputs, modes="reverse") <= 1
    tape = tape_of(graph, *graph.inputs)
    for leaf, g in zip(tape.leaves, bl.grad(graph, tuple(range(len(graph.inputs))))(*graph.inputs), strict=True):
        np.testing.assert_allclose(paths_of(tape, leaf).gradient, g.numpy(), rtol=1e-12)


def walked(tape: Tape, node: Node, start: Node) -> Iterator[list[Edge]]:
    """Every path from `start` to `node`, by recursion."""
    if node is start:
        yield []
        return
    for i, x in enumerate(node.inputs or ()):
        if isinstance(x, Node):
            for path in walked(tape, x, start):
                yield [*path, Edge(x, node, i)]


def along(tape: Tape, path: list[Edge]) -> Any:
    g = tape.seed
    for edge in reversed(path):
        g = tape.pulled(edge, g)
        if g is None:
            return None
    return g


@pytest.mark.parametrize("scalars", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_the_strongest_paths_are_those_of_brute_force(seed: int, scalars: bool) -> None:
    graph = RandomGraph(seed, 45, scalars=scalars)
    tape = tape_of(graph, *graph.inputs)
    for leaf in tape.leaves:
        route = Route(tape, leaf)
        every = {tuple(p): g for p in walked(tape, tape.output, leaf) if (g := along(tape, p)) is not None}
        found = paths_of(tape, leaf, 5 if scalars else max(1, -(-len(every) // 4)))
        assert found.number == len(every)
        if not route.tangents:
            continue
        sizes = sorted((abs(route.share({leaf: g})) for g in every.values()), reverse=True)
        np.testing.assert_allclose([abs(p.share) for p in found.shown], sizes[: len(found.shown)], atol=1e-12)
        for path in found.shown:
            np.testing.assert_allclose(path.gradient, every[path.edges], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_conserved_as_a_flow_is(seed: int) -> None:
    graph = RandomGraph(seed, 120)
    tape = tape_of(graph, *graph.inputs)
    for leaf in tape.leaves:
        into: dict[Node, float] = {}
        out: dict[Node, float] = {}
        for edge, share in shares(tape, leaf).items():
            into[edge.target] = into.get(edge.target, 0.0) + share
            out[edge.source] = out.get(edge.source, 0.0) + share
        if not into:
            continue
        assert out[leaf] == pytest.approx(1, abs=1e-12)
        assert into[tape.output] == pytest.approx(1, abs=1e-12)
        for node in into.keys() & out.keys():
            assert into[node] == pytest.approx(out[node], abs=1e-12)


def test_ops_with_several_outputs_and_selections_are_passed() -> None:
    def f(x: Any) -> Any:
        a, b = bl.split(x, 2)
        values, vectors = bl.linalg.eigh(bl.outer(a, a) + b * np.eye(3))
        return bl.sum(values**2) + bl.sum(bl.where(x > 0, bl.log(x), 0.0)) + bl.sum(vectors[0] * a)

    x = np.array([0.5, -1.0, 2.0, 0.0, 1.5, -0.5])
    with np.errstate(all="ignore"):
        tape = tape_of(f, x)
        expected = bl.grad(f)(bl.tensor(x)).numpy()
    found = paths_of(tape, tape.leaves[0], 4)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-12)
    assert off(found) < 1e-12
    assert sum(s for e, s in shares(tape, tape.leaves[0]).items() if e.target is tape.output) == pytest.approx(1)


def test_a_gradient_of_zero_has_paths_but_no_shares() -> None:
    tape = tape_of(lambda x: x * 3 - bl.sin(x) * 0 - x * 3, 2.0)
    found = paths_of(tape, tape.leaves[0])
    assert float(found.gradient) == 0.0
    assert shares(tape, tape.leaves[0]) == {}
    assert [float(p.gradient) for p in found.shown] == [3.0, -3.0, 0.0]
    assert all(np.isnan(p.share) for p in found.shown)


def test_a_wrong_rule_is_seen() -> None:
    graph = RandomGraph(3, 60)
    tape = tape_of(lambda x, *rest: bl.sum(bl.exp(0.1 * x)) + graph(x, *rest), *graph.inputs)
    assert off(paths_of(tape, tape.leaves[0])) < 1e-9
    _ = tape.cotangents  # computed by the rule as it should be
    partials, exp.partials = exp.partials, (lambda out, x: out * 1.001,)
    try:
        assert off(paths_of(tape, tape.leaves[0])) > 1e-6
    finally:
        exp.partials = partials


def test_stations_are_layers_where_there_are_any() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4))
    block = nn.Residual(nn.Sequential(nn.Dense(4, activation="tanh"), nn.Dense(4)))
    model = nn.Sequential(nn.Dense(4), block, nn.Residual(nn.Dense(4)), nn.Dense(1))
    with bl.settings(default_dtype=bl.float64):
        model(x)
        tape = tape_of(lambda p: bl.mean(model.apply(p, x)[0] ** 2), model.parameters())
    (leaf,) = (n for n in tape.leaves if tape.name(n).endswith("0.weight") and "inner" not in tape.name(n))
    found = paths_of(tape, leaf)
    assert (len(found.shown), found.others) == (4, 0)
    assert off(found) < 1e-12
    np.testing.assert_allclose(found.remainder, 0, atol=1e-15)
    assert sum(p.share for p in found.shown) == pytest.approx(1)
    ways = {tuple(s.layer for s in p.stations if s.layer) for p in found.shown}
    inner = ("1.inner.0", "1.inner.1", "1")
    assert ways == {("0", "1", "2", "3"), ("0", *inner, "2", "3"), ("0", "1", "2.inner", "2", "3"),
                    ("0", *inner, "2.inner", "2", "3")}  # fmt: skip
    assert {sum(s.skips for s in p.stations) for p in found.shown} == {0, 1, 2}
    assert paths_of(tape, leaf, stations="node").others == 0
    with pytest.raises(bl.ArgumentError, match="node, layer"):
        paths_of(tape, leaf, stations="layers")


def test_the_paths_of_a_recurrent_network_are_its_time_steps() -> None:
    def rnn(w: Any) -> Any:
        return bl.scan(lambda c, x: (bl.tanh(w * c + x), c), 0.5, bl.tensor(np.array([1.0, -2.0, 0.3])))[0]

    tape = tape_of(bl.compile(rnn), np.float64(0.3))
    found = paths_of(tape, tape.leaves[0])
    assert sorted(len(p.stations) for p in found.shown) == [1, 2, 3]
    assert all(p.stations[-1].turn.endswith("turn 2") for p in found.shown)
    np.testing.assert_allclose(sum(p.gradient for p in found.shown), bl.grad(rnn)(np.float64(0.3)).numpy(), rtol=1e-12)


def test_what_is_not_there_has_no_paths() -> None:
    tape = tape_of(lambda x: x * x, 2.0)
    with pytest.raises(bl.ArgumentError, match="is no part"):
        paths_of(tape, bl.tensor(1.0))
    with pytest.raises(bl.ArgumentError, match="0 or more"):
        paths_of(tape, tape.leaves[0], -1)
