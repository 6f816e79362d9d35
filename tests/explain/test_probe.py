"""The figures of a network: the same eagerly and natively, and as NumPy computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.explain.findings import Snapshot
from backlit.explain.probe import Probe, rms


def setting() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    x = bl.tensor(rng.normal(size=(32, 1, 8, 8)).astype(np.float32))
    batch = (x, bl.tensor(np.arange(32) % 10))
    model = nn.Sequential(
        nn.Conv2d(4, 3, activation="relu"), nn.BatchNorm(), nn.ReLU(), nn.Flatten(), nn.Dense(16, "tanh"), nn.Dense(10)
    )
    model.build(x[:1], key=0)
    return model, {**model.parameters(), **model.state()}, batch


def probed(model: Any, values: Any, batch: Any, compiled: bool) -> Snapshot:
    probe = Probe(model, lambda out, b: nn.losses.cross_entropy(out, b[1]), lambda b: [b[0]])
    run = bl.compile(probe) if compiled else probe
    return probe.snapshot(run(values, batch, bl.random.key(0)), 7)


def test_it_is_the_same_eagerly_and_natively() -> None:
    model, values, batch = setting()
    eager, native = (probed(model, values, batch, compiled) for compiled in (False, True))
    assert eager.step == 7
    assert eager.loss == pytest.approx(native.loss, rel=1e-5)
    assert eager.classes == pytest.approx(native.classes)
    for mine, other in ((eager.layers, native.layers), (eager.parameters, native.parameters)):
        assert list(mine) == list(other)
        for path in mine:
            for a, b in zip(mine[path], other[path], strict=True):
                assert a == (pytest.approx(b, rel=1e-4, abs=1e-12, nan_ok=True) if isinstance(b, float) else b)


def test_it_is_what_numpy_computes() -> None:
    model, values, batch = setting()
    model.load_values({"0.bias": np.array([-100.0, 0, 0, -100.0], np.float32)})
    values = {**model.parameters(), **model.state()}
    found = probed(model, values, batch, False)
    first = bl.relu(model.layers[0].apply({}, batch[0])[0]).numpy()
    assert found.layers["0"].dead == 0.5
    assert found.layers["0"].rms == pytest.approx(np.sqrt(np.mean(first**2)), rel=1e-5)
    assert found.layers["0"].largest == pytest.approx(first.max(), rel=1e-6)
    gradients = bl.grad(
        lambda p: nn.losses.cross_entropy(model.apply({**values, **p}, batch[0], training=True)[0], batch[1])
    )(model.parameters())
    for path, g in gradients.items():
        assert found.parameters[path].gradient == pytest.approx(np.sqrt(np.mean(g.numpy() ** 2)), rel=1e-4)
        assert found.parameters[path].used
    assert sum(found.classes) == pytest.approx(1)
    assert found.finite


def test_squares_that_would_vanish_do_not() -> None:
    assert float(rms(bl.tensor([3e-30, -4e-30])).numpy()) == pytest.approx(np.sqrt(12.5) * 1e-30)
    assert float(rms(bl.tensor([0.0, 0.0])).numpy()) == 0
