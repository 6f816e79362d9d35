"""Attention: gradients, masks, plans, errors. Beside torch: tests/peers/test_nn_sequence.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.base.errors import ArgumentError, DtypeError, ShapeError
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
X, MEMORY = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 6))
MASK = np.array([[True, False, True, True, False], [False] * 5, [True] * 5])
COUNTS = np.array([[True] * 5, [True, True, False, False, False]])


def in_float64(model: Any) -> dict[str, np.ndarray]:
    return {path: p.numpy().astype("float64") for path, p in model.parameters().items()}


@pytest.mark.parametrize("masks", [{}, {"mask": MASK}, {"mask": MASK, "key_mask": COUNTS}])
def test_gradients(masks: dict[str, Any]) -> None:
    model = nn.MultiHeadAttention(2).build(X, MEMORY)
    check_grad(lambda p, x, m: model.apply(p, x, m, **masks)[0], [in_float64(model), X, MEMORY])


@pytest.mark.parametrize("options", [{"causal": True}, {"rotary": True}, {"causal": True, "use_bias": False}])
def test_gradients_to_itself(options: dict[str, Any]) -> None:
    model = nn.MultiHeadAttention(2, **options).build(X)
    check_grad(lambda p, x: model.apply(p, x)[0], [in_float64(model), X])


def test_gradient_of_a_mask_that_is_added() -> None:
    model = nn.MultiHeadAttention(2).build(X, MEMORY)
    values = in_float64(model)
    check_grad(lambda mask: model.apply(values, X, MEMORY, mask=mask, key_mask=COUNTS)[0], [RNG.normal(size=(3, 5))])


def test_forms_of_masks_agree() -> None:
    model = nn.MultiHeadAttention(2)
    plain = model(X, MEMORY, mask=MASK).numpy()
    for mask in (
        MASK[None], MASK[None, None], np.broadcast_to(MASK, (2, 3, 5)), np.broadcast_to(MASK, (2, 2, 3, 5)),
        np.where(MASK, 0.0, -np.inf), MASK.tolist(),
    ):  # fmt: skip
        np.testing.assert_allclose(model(X, MEMORY, mask=mask), plain, atol=1e-6)
    np.testing.assert_allclose(
        model(X, MEMORY, key_mask=COUNTS), model(X, MEMORY, mask=np.broadcast_to(COUNTS[:, None], (2, 1, 5))), atol=1e-6
    )


def test_causal_is_a_triangular_mask() -> None:
    model, causal = nn.MultiHeadAttention(2), nn.MultiHeadAttention(2, causal=True)
    expected = model(X, mask=np.tri(3, dtype=bool))
    causal.build(X).load_values(model.values())
    np.testing.assert_allclose(causal(X), expected, atol=1e-6)
    np.testing.assert_allclose(causal(X[:, :2]), expected[:, :2], atol=1e-6)


def test_padding_is_as_if_it_were_not_there() -> None:
    model = nn.MultiHeadAttention(2)
    whole = model(X, MEMORY, key_mask=COUNTS)
    np.testing.assert_allclose(whole[1:], model(X[1:], MEMORY[1:, :2]), atol=1e-6)
    changed = MEMORY.copy()
    changed[1, 2:] = 1e3
    np.testing.assert_array_equal(model(X, changed, key_mask=COUNTS), whole)


def test_a_query_that_sees_nothing_gets_the_bias() -> None:
    model = nn.MultiHeadAttention(2).build(X, MEMORY)
    values = {path: RNG.normal(size=p.shape) for path, p in model.parameters().items()}
    out, _ = model.apply(values, X, MEMORY, mask=MASK)
    np.testing.assert_allclose(out[:, 1], np.broadcast_to(values["out.bias"], (2, 4)))


def test_dropout_of_weights() -> None:
    """In the mean over many draws it changes nothing; with one key it is one draw."""
    model = nn.MultiHeadAttention(2, dropout=0.5)
    plain = model(X, MEMORY, mask=MASK).numpy()
    draw = lambda i: model.apply({}, X, MEMORY, mask=MASK, training=True, key=bl.random.key(i))[0].numpy()
    assert not np.allclose(draw(0), plain)
    np.testing.assert_array_equal(draw(0), draw(0))
    draws = np.stack([draw(i) for i in range(400)])
    assert np.all(np.abs(draws.mean(0) - plain) < 5 * draws.std(0) / np.sqrt(400) + 1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_a_plan_of_training_is_native_and_agrees(dropout: float) -> None:
    model = nn.MultiHeadAttention(2, dropout=dropout, rotary=True, causal=True).build(X)
    key_mask = np.array([[True] * 3, [True, False, False]])

    def step(p: Any, x: Any, key_mask: Any) -> Any:
        run = lambda p: bl.sum(model.apply(p, x, key_mask=key_mask, training=True, key=bl.random.key(1))[0] ** 2)
        return bl.value_and_grad(run)(p)

    given = (in_float64(model), X, key_mask)
    compiled = bl.compile(step)
    (a, by_a), (b, by_b) = step(*given), compiled(*given)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    for path in by_a:
        np.testing.assert_allclose(by_a[path].numpy(), by_b[path].numpy(), rtol=1e-10, atol=1e-12, err_msg=path)
    assert "NumPy" not in str(compiled.plan(*given).report())


def test_parts_are_sized_by_the_input_and_made_anew_by_build() -> None:
    model = nn.MultiHeadAttention(2)
    assert model.build((3, 4)).parameters()["query.weight"].shape == (4, 4)
    assert model.build((3, 8), (5, 6)).parameters()["key.weight"].shape == (6, 8)
    assert list(nn.MultiHeadAttention(2, use_bias=False).build((3, 4)).parameters()) == [
        "query.weight", "key.weight", "value.weight", "out.weight"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ArgumentError, "3 heads do not divide the width 4 of the query; take one of 1, 2, 4",
         lambda: nn.MultiHeadAttention(3)(X)),
        (ArgumentError, "heads must be 1 or more", lambda: nn.MultiHeadAttention(0)),
        (ShapeError, r"query must have shape \(n, time, width\), got \(3, 4\)", lambda: nn.MultiHeadAttention(2)(X[0])),
        (ShapeError, "mask has shape", lambda: nn.MultiHeadAttention(2)(X, MEMORY, mask=MASK.T)),
        (ShapeError, "mask has shape", lambda: nn.MultiHeadAttention(2)(X, MEMORY, mask=MASK[0])),
        (ShapeError, r"here \(3, 5\), or \(2, 3, 5\) or \(2, 2, 3, 5\)",
         lambda: nn.MultiHeadAttention(2)(X, MEMORY, mask=np.ones((3, 3, 5), bool))),
        (DtypeError, "mask has dtype int64", lambda: nn.MultiHeadAttention(2)(X, MEMORY, mask=MASK.astype(int))),
        (ShapeError, "key_mask is bool", lambda: nn.MultiHeadAttention(2)(X, MEMORY, key_mask=COUNTS[:, :3])),
        (ShapeError, "key_mask is float64", lambda: nn.MultiHeadAttention(2)(X, MEMORY, key_mask=COUNTS * 1.0)),
        (ShapeError, "even width", lambda: nn.MultiHeadAttention(4, rotary=True)(X)),
    ],
)  # fmt: skip
def test_errors(error: type[Exception], words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()
