"""The optimizers, against their formulas written out in NumPy and in double precision."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.base.errors import ArgumentError
from backlit.base.trees import tree_map


def run(optimizer, gradients, x):
    params = {"a": bl.tensor(x), "b": [bl.tensor(x[0])]}
    state = optimizer.init(params)
    for g in gradients:
        params, state = optimizer.update(params, {"a": bl.tensor(g), "b": [bl.tensor(g[0])]}, state)
    assert params["b"][0].item() == params["a"].numpy()[0]
    return params["a"].numpy()


def by_sgd(gradients, x):
    for g in gradients:
        x = x - 0.1 * g
    return x


def by_momentum(gradients, x):
    v = 0
    for g in gradients:
        v = 0.9 * v + g
        x = x - 0.1 * v
    return x


def by_adam(gradients, x):
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


@pytest.mark.parametrize(
    ("optimizer", "formula"),
    [(optim.sgd(0.1), by_sgd), (optim.momentum(0.1), by_momentum), (optim.adam(0.1), by_adam)],
    ids=["sgd", "momentum", "adam"],
)
def test_steps_follow_the_formula(optimizer, formula):
    rng = np.random.default_rng(0)
    x, gradients = rng.normal(size=5), rng.normal(size=(50, 5))
    np.testing.assert_allclose(run(optimizer, gradients, x), formula(gradients, x), rtol=2e-5)


def test_parameters_are_left_as_they_were_and_nothing_is_recorded():
    w = bl.tensor([1.0], requires_grad=True)
    optimizer = optim.adam()
    new, _ = optimizer.update(w, bl.tensor([2.0]), optimizer.init(w))
    assert w.tolist() == [1.0]
    assert not new.requires_grad


def test_other_structure_is_refused():
    optimizer = optim.adam()
    params = {"a": bl.tensor([1.0])}
    with pytest.raises(ArgumentError, match="differ at the root"):
        optimizer.update(params, {"b": bl.tensor([1.0])}, optimizer.init(params))


@pytest.mark.parametrize("make", [lambda: optim.sgd(0), lambda: optim.adam(-1), lambda: optim.momentum(1, 1.0)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(ArgumentError, match="expected a"):
        make()


def test_dtype_is_kept():
    params = {"a": bl.tensor(np.ones(3, np.float32))}
    for optimizer in (optim.sgd(0.1), optim.momentum(0.1), optim.adam(0.1)):
        new, _ = optimizer.update(params, params, optimizer.init(params))
        tree_map(lambda p: p.dtype == np.float32 or pytest.fail(str(p.dtype)), new)
