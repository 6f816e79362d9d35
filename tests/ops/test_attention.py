"""Scaled dot-product attention against its formula in SciPy, and masks that hide everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import backlit as bl
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
Q, K, V = RNG.normal(size=(2, 2, 3, 4)), RNG.normal(size=(2, 2, 5, 4)), RNG.normal(size=(2, 2, 5, 2))


def attend(q: Any, k: Any, v: Any, added: Any = 0.0, scale: float = 0.5) -> Any:
    return softmax(scale * q @ np.swapaxes(k, -1, -2) + added, axis=-1) @ v


def hidden(seen: Any) -> Any:
    return np.where(seen, 0.0, -np.inf)


SEEN = RNG.random((3, 5)) < 0.6
SEEN[:, 0] = True
NUMBERS = RNG.normal(size=(2, 1, 3, 5))
CASES: list[tuple[dict[str, Any], Any]] = [
    ({}, 0.0),
    ({"mask": SEEN}, hidden(SEEN)),
    ({"mask": NUMBERS}, NUMBERS),
    ({"mask": hidden(SEEN)}, hidden(SEEN)),
    ({"causal": True}, hidden(np.tri(3, 5, dtype=bool))),
    ({"causal": True, "mask": SEEN}, hidden(np.tri(3, 5, dtype=bool) & SEEN)),
]


@pytest.mark.parametrize("i", range(len(CASES)))
def test_values_and_gradients(i: int) -> None:
    kwargs, added = CASES[i]
    attention = bl.scaled_dot_product_attention
    np.testing.assert_allclose(attention(Q, K, V, **kwargs).numpy(), attend(Q, K, V, added), rtol=1e-12)
    scaled = attention(Q, K, V, scale=0.1, **kwargs).numpy()
    np.testing.assert_allclose(scaled, attend(Q, K, V, added, 0.1), rtol=1e-12)
    check_grad(lambda *x: attention(*x, **kwargs), (Q[0], K[0], V[0]) if i != 2 else (Q, K, V), order=1)


@pytest.mark.parametrize("make", [lambda s: s, hidden, lambda s: hidden(s).astype(np.float32)])
def test_a_query_that_sees_nothing_gets_zero(make: Any) -> None:
    seen = SEEN.copy()
    seen[1] = False
    inputs = [bl.tensor(x.astype(np.float32), requires_grad=True) for x in (Q, K, V)]
    y = bl.scaled_dot_product_attention(*inputs, make(seen))
    assert not y.numpy()[..., 1, :].any()
    bl.sum(y * y).backward()
    assert not inputs[0].grad.numpy()[..., 1, :].any()
    assert all(np.isfinite(x.grad.numpy()).all() for x in inputs)


def test_scores_beyond_the_range_of_exp() -> None:
    y = bl.scaled_dot_product_attention(Q * 1e4, K, V)
    np.testing.assert_allclose(y.numpy(), attend(Q * 1e4, K, V))


WRONG = [
    (lambda: bl.scaled_dot_product_attention(Q, V, V), bl.ShapeError, "q has vectors of length 4, k of 2"),
    (lambda: bl.scaled_dot_product_attention(Q, K, Q), bl.ShapeError, "there are 5 keys, but 3 values"),
    (lambda: bl.scaled_dot_product_attention(Q[0, 0, 0], K, V), bl.ShapeError, r"expected q \(..., queries, d\)"),
    (lambda: bl.scaled_dot_product_attention(Q, K, V, SEEN.astype(int)), bl.DtypeError, "mask has dtype int64"),
    (lambda: bl.scaled_dot_product_attention(Q, K, V, SEEN.T), bl.ShapeError, "mask and scores"),
    (lambda: bl.scaled_dot_product_attention(Q, K, V, np.ones((7, 2, 2, 3, 5))), bl.ShapeError, "does not broadcast"),
]


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call()
