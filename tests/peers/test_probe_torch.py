"""The figures of layers, activations and parameters, beside those of the same network in PyTorch, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.explain.findings import Snapshot
from backlit.explain.probe import FLAT, SLOPES, Probe

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def root(x: torch.Tensor) -> float:
    return float(x.detach().square().mean().sqrt())


def seen(model: nn.Layer, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> Snapshot:
    probe = Probe(model, lambda out, batch: nn.losses.cross_entropy(out, batch[1]), lambda batch: [batch[0]])
    batch = (bl.tensor(x), bl.tensor(y))
    return probe.snapshot(probe({**model.parameters(), **model.state()}, batch, bl.random.key(0)))


def built(x: np.ndarray[Any, Any], *layers: nn.Layer) -> nn.Layer:
    with bl.settings(default_dtype=bl.float64):
        model = nn.Sequential(*layers).build(x[:1], key=0)
    assert all(p.dtype == np.float64 for p in model.parameters().values())
    return model


def copied(model: nn.Layer) -> dict[str, torch.Tensor]:
    return {path: torch.tensor(p.numpy(), requires_grad=True) for path, p in model.parameters().items()}


def same(found: Snapshot, path: str, out: torch.Tensor) -> None:
    """The figures of a layer's output and of what came back to it, from a tensor that kept its gradient."""
    mine = found.layers[path]
    assert out.grad is not None
    assert mine.rms == pytest.approx(root(out), rel=1e-9)
    assert mine.largest == pytest.approx(float(out.detach().abs().max()), rel=1e-9)
    assert mine.spread == pytest.approx(float(out.detach().std(0, correction=0).mean()) / root(out), rel=1e-9)
    assert mine.cotangent == pytest.approx(root(out.grad), rel=1e-9)


def alike(found: Snapshot, theirs: dict[str, torch.Tensor]) -> None:
    assert list(found.parameters) == list(theirs)
    for path, p in theirs.items():
        assert p.grad is not None
        mine = found.parameters[path]
        assert mine.rms == pytest.approx(root(p), rel=1e-9)
        assert mine.spread == pytest.approx(float(p.detach().std(correction=0)), rel=1e-9, abs=1e-15)
        assert mine.gradient == pytest.approx(root(p.grad), rel=1e-9)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu", "silu", "elu", "softplus", "selu", "mish"])
def test_dense_layers_and_slopes_of_activations(name: str) -> None:
    x, y = 3 * RNG.normal(size=(32, 6)), RNG.integers(0, 4, 32)
    model = built(x, nn.Dense(16, name), nn.Dense(16, name), nn.Dense(4))
    model.load_values({"1.bias": np.where(np.arange(16) < 4, -50.0, 0.3)})
    found = seen(model, x, y)

    theirs = copied(model)
    signal, outs, slopes = torch.tensor(x), [], []
    for i in range(3):
        before = signal @ theirs[f"{i}.weight"] + theirs[f"{i}.bias"]
        signal = before
        if i < 2:
            entered = before.detach().requires_grad_()
            getattr(torch.nn.functional, name)(entered).sum().backward()
            assert entered.grad is not None
            slopes.append(entered.grad.abs())
            signal = getattr(torch.nn.functional, name)(before)
        signal.retain_grad()
        outs.append(signal)
    loss = torch.nn.functional.cross_entropy(signal, torch.tensor(y))
    loss.backward()

    assert found.loss == pytest.approx(float(loss.detach()), rel=1e-9)
    alike(found, theirs)
    for i, out in enumerate(outs):
        same(found, str(i), out)
    for i, slope in enumerate(slopes):
        mine = found.layers[str(i)]
        assert mine.activation == name
        assert mine.slope == pytest.approx(float(slope.mean()), rel=1e-9)
        assert mine.saturated == pytest.approx(float((slope < FLAT * SLOPES[name]).double().mean()), abs=1e-6)
    if name == "relu":
        assert found.layers["1"].dead == pytest.approx(float((outs[1] == 0).all(0).double().mean()), abs=1e-6)
        assert found.layers["1"].dead >= 0.25
    said = torch.bincount(outs[2].argmax(1), minlength=4) / 32
    assert found.classes == pytest.approx(tuple(said.tolist()), abs=1e-6)


def test_a_convolutional_network_with_a_norm() -> None:
    x, y = RNG.normal(size=(8, 2, 9, 9)), RNG.integers(0, 3, 8)
    model = built(x, nn.Conv2d(5, 3, activation="relu"), nn.BatchNorm(), nn.Flatten(), nn.Dense(3))
    model.load_values({"0.bias": np.array([-50.0, 0, 0, 0, 0])})
    found = seen(model, x, y)

    theirs = copied(model)
    weight, bias = theirs["0.weight"], theirs["0.bias"]
    conv = torch.relu(torch.nn.functional.conv2d(torch.tensor(x), weight, bias))
    scale, shift = (p for path, p in theirs.items() if path.startswith("1."))
    norm = torch.nn.functional.batch_norm(conv, None, None, scale, shift, training=True, eps=1e-5)
    out = norm.flatten(1) @ theirs["3.weight"] + theirs["3.bias"]
    for signal in (conv, norm, out):
        signal.retain_grad()
    torch.nn.functional.cross_entropy(out, torch.tensor(y)).backward()

    alike(found, theirs)
    for path, signal in (("0", conv), ("1", norm), ("3", out)):
        same(found, path, signal)
    assert found.layers["0"].dead == pytest.approx(0.2, abs=1e-6)


def test_a_recurrent_network_and_the_slopes_of_all_its_steps() -> None:
    x, y = RNG.normal(size=(8, 7, 3)), RNG.integers(0, 3, 8)
    model = built(x, nn.RNN(6, last=True), nn.Dense(3))
    found = seen(model, x, y)

    theirs = copied(model)
    parts = {path.rpartition(".")[2]: p for path, p in theirs.items() if path.startswith("0.")}
    state, slopes = torch.zeros(8, 6, dtype=torch.float64), []
    for t in range(7):
        state = torch.tanh(torch.tensor(x[:, t]) @ parts["weight"] + state @ parts["recurrent"] + parts["bias"])
        slopes.append(float((1 - state.detach().square()).mean()))
    state.retain_grad()
    out = state @ theirs["1.weight"] + theirs["1.bias"]
    out.retain_grad()
    torch.nn.functional.cross_entropy(out, torch.tensor(y)).backward()

    alike(found, theirs)
    same(found, "1", out)
    same(found, "0", state)
    (slope,) = (layer.slope for layer in found.layers.values() if layer.activation == "tanh")
    assert slope == pytest.approx(np.mean(slopes), rel=1e-9)
