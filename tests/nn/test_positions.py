"""Encodings of positions against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.base.errors import ArgumentError, ShapeError
from backlit.testing import check_grad


def test_sinusoids() -> None:
    """Vaswani et al. 2017, section 3.5, entry by entry."""
    table = nn.SinusoidalPositions()(bl.zeros((7, 6), dtype="float64")).numpy()
    for t in range(7):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(table[t, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], atol=1e-15)


def test_learned_positions() -> None:
    layer = nn.LearnedPositions(5)
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    out = layer(x)
    weight = layer.parameters()["weight"]
    assert weight.shape == (5, 4)
    np.testing.assert_allclose(out, x + weight.numpy()[:3], rtol=1e-6)
    check_grad(lambda w, x: layer.apply({"weight": w}, x)[0], [weight.numpy().astype("float64"), x])


def test_rotated_products_depend_on_distance_alone() -> None:
    q, k = np.random.default_rng(0).normal(size=(2, 6))
    turned_q, turned_k = (nn.rotary(bl.tensor(np.tile(v, (8, 1)))).numpy() for v in (q, k))
    products = turned_q @ turned_k.T
    for distance in range(-7, 8):
        along = np.diagonal(products, distance)
        np.testing.assert_allclose(along, along[0], rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(turned_q, axis=1), np.linalg.norm(q))
    check_grad(nn.rotary, [np.tile(q, (3, 1))])


def test_plans_agree() -> None:
    x = bl.tensor(np.random.default_rng(0).normal(size=(2, 3, 4)))
    for function in (nn.SinusoidalPositions(), nn.rotary):
        compiled = bl.compile(lambda x, f=function: f(x))
        np.testing.assert_allclose(compiled(x), function(x), rtol=1e-12)
        assert "NumPy" not in str(compiled.plan(x).report())


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ShapeError, "the sequence has 3 places, but only 2", lambda: nn.LearnedPositions(2)(bl.ones((1, 3, 4)))),
        (ArgumentError, "length must be 1 or more", lambda: nn.LearnedPositions(0)),
        (ShapeError, "SinusoidalPositions: expected .* even width", lambda: nn.SinusoidalPositions()(bl.ones((2, 3)))),
        (ShapeError, "rotary: expected", lambda: nn.rotary(bl.ones(4))),
    ],
)
def test_errors(error: type[Exception], words: str, call: Any) -> None:
    with pytest.raises(error, match=words):
        call()
