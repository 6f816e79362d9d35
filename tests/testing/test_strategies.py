"""Strategies draw what they say, and every dtype can be drawn."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import backlit as bl
from backlit.base.dtypes import ALL, CATEGORIES
from backlit.base.errors import ArgumentError, BacklitError
from backlit.testing import check_grad, strategies, tolerance

few = settings(max_examples=25)


@few
@given(strategies.arrays(strategies.dtypes(), elements=(-3, 300)))
def test_arrays_of_every_dtype(a: Any) -> None:
    assert a.dtype in ALL
    if a.dtype.kind in "iuf":
        assert (a >= -3).all()
        assert (a <= 300).all()
    assert np.isfinite(a).all()


@pytest.mark.parametrize("category", CATEGORIES)
def test_dtypes_of_a_category(category: str) -> None:
    @few
    @given(strategies.dtypes(category))
    def check(dtype: Any) -> None:
        assert dtype.char in CATEGORIES[category]

    check()


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(ArgumentError, match="'reals' is not one of"):
        strategies.dtypes("reals")


@few
@given(strategies.shapes(max_dims=2, max_side=3, min_side=1))
def test_shapes(shape: tuple[int, ...]) -> None:
    assert len(shape) <= 2
    assert all(1 <= n <= 3 for n in shape)


@given(strategies.broadcastable_pairs())
def test_pairs_broadcast_as_numpy_has_it(pair: strategies.Pair) -> None:
    assert pair.shape == np.broadcast_shapes(pair.first.shape, pair.second.shape)
    found = bl.add(pair.first, pair.second)
    assert found.shape == pair.shape
    np.testing.assert_array_equal(found.numpy(), pair.first + pair.second)


@few
@given(strategies.broadcastable_pairs("float64", (0.5, 2.0), max_dims=2))
def test_gradients_of_broadcast_functions(pair: strategies.Pair) -> None:
    check_grad(lambda x, y: bl.exp(-x) * y / (x + y), [pair.first, pair.second], order=2)


@few
@given(strategies.tensors("complex64", (2,), requires_grad=True))
def test_tensors(t: bl.Tensor) -> None:
    assert (t.shape, t.dtype, t.requires_grad) == ((2,), bl.complex64, True)


@given(strategies.arrays("float32", strategies.shapes(1, 40)))
def test_tolerances_hold_for_sums_in_another_order(a: Any) -> None:
    exact = float(np.sum(a.astype(np.float64)))
    allowed = tolerance("float32")
    size = float(np.sum(np.abs(a.astype(np.float64))))
    assert abs(float(bl.sum(a)) - exact) <= allowed.relative * size + allowed.absolute


def test_without_hypothesis_a_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis.strategies", None)
    with pytest.raises(BacklitError, match=r"backlit\[dev\]"):
        strategies.shapes()
