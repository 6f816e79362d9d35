"""Transformers: gradients, plans, forms. Beside torch: tests/peers/test_nn_sequence.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.base.errors import ArgumentError
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
X, MEMORY = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 4))


def in_float64(model: Any) -> dict[str, np.ndarray]:
    """Values of the parameters, with norms and biases that do something."""
    rng = np.random.default_rng(1)
    return {
        path: p.numpy().astype("float64") + 0.1 * rng.normal(size=p.shape) for path, p in model.parameters().items()
    }


MODELS: dict[str, tuple[Any, list[np.ndarray]]] = {
    "encoder": (nn.TransformerEncoder(2, 2, activation="gelu"), [X]),
    "norm first": (nn.TransformerEncoder(2, 2, 5, activation="tanh", norm_first=True, causal=True), [X]),
    "decoder": (nn.TransformerDecoder(1, 2, activation="gelu", rotary=True), [X, MEMORY]),
    "decoder, norm first": (nn.TransformerDecoder(1, 2, norm_first=True, use_bias=False), [X, MEMORY]),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_gradients(name: str) -> None:
    model, inputs = MODELS[name]
    model.build(*inputs)
    check_grad(lambda p, *x: model.apply(p, *x)[0], [in_float64(model), *inputs])


@pytest.mark.parametrize("name", MODELS)
def test_a_plan_of_training_is_native_and_agrees(name: str) -> None:
    model, inputs = MODELS[name]
    model.build(*inputs)

    def step(p: Any, *x: Any) -> Any:
        run = lambda p: bl.sum(model.apply(p, *x, training=True, key=bl.random.key(1))[0] ** 3)
        return bl.value_and_grad(run)(p)

    given = (in_float64(model), *inputs)
    compiled = bl.compile(step)
    (a, by_a), (b, by_b) = step(*given), compiled(*given)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    for path in by_a:
        np.testing.assert_allclose(by_a[path].numpy(), by_b[path].numpy(), rtol=1e-9, atol=1e-10, err_msg=path)
    assert "NumPy" not in str(compiled.plan(*given).report())


def test_a_causal_model_does_not_look_ahead() -> None:
    model = nn.TransformerEncoder(2, 2, causal=True, norm_first=True)
    changed = X.copy()
    changed[:, 2:] = 9.0
    np.testing.assert_allclose(model(X)[:, :2], model(changed)[:, :2], atol=1e-6)
    decoder = nn.TransformerDecoder(2, 2)
    np.testing.assert_allclose(decoder(X, MEMORY)[:, :2], decoder(changed, MEMORY)[:, :2], atol=1e-6)


def test_dropout_is_off_in_evaluation() -> None:
    model = nn.TransformerEncoder(1, 2, dropout=0.5)
    np.testing.assert_array_equal(model(X), model(X))
    draws = [model.apply({}, X, training=True, key=bl.random.key(i))[0].numpy() for i in range(2)]
    assert not np.allclose(*draws)


def test_paths_and_forms() -> None:
    model = nn.TransformerEncoder(2, 2, norm_first=True, activation="gelu")
    assert repr(model) == "TransformerEncoder(2, 2, norm_first=True, activation='gelu')"
    paths = model.build(X).parameters()
    assert paths["blocks.1.feed_forward.inner.weight"].shape == (4, 16)
    assert "blocks.0.attention.query.weight" in paths
    assert "norm.scale" in paths
    assert "norm.scale" not in nn.TransformerEncoder(2, 2).build(X).parameters()


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ArgumentError, "layers must be 1 or more", lambda: nn.TransformerEncoder(0, 2)),
        (ArgumentError, "layers must be 1 or more", lambda: nn.TransformerDecoder(0, 2)),
        (ArgumentError, "hidden must be 1 or more", lambda: nn.TransformerEncoderLayer(2, 0)),
        (ArgumentError, "3 heads do not divide the width 4", lambda: nn.TransformerEncoder(1, 3)(X)),
        (ArgumentError, "no activation is named 'gulu'", lambda: nn.FeedForward(2, "gulu")),
        (TypeError, "heds", lambda: nn.TransformerEncoder(1, 2, heds=3)),
    ],
)
def test_errors(error: type[Exception], words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()
