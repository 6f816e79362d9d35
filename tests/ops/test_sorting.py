"""Sorting, searching and sets against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec

RNG = np.random.default_rng(5)
X = RNG.integers(0, 5, (3, 6)).astype(np.float64)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("descending", [False, True])
def test_order(axis: int, descending: bool) -> None:
    want = np.sort(X, axis=axis)
    order = bl.argsort(X, axis=axis, descending=descending)
    assert order.dtype == bl.int64
    want = np.flip(want, axis) if descending else want
    np.testing.assert_array_equal(bl.sort(X, axis=axis, descending=descending).numpy(), want)
    np.testing.assert_array_equal(bl.take_along_axis(X, order, axis=axis).numpy(), want)
    # Stable: among equal elements positions ascend, in both directions.
    stable = np.argsort(-X if descending else X, axis=axis, stable=True)
    np.testing.assert_array_equal(order.numpy(), stable)


def test_the_gradient_goes_back_to_where_elements_came_from() -> None:
    x = bl.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (bl.sort(x, descending=True) * bl.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 100.0, 10.0]


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("k", [0, 1, 3, 6])
def test_top_k(largest: bool, k: int) -> None:
    values, indices = bl.top_k(X, k, largest=largest)
    ordered = np.sort(X, axis=1)
    np.testing.assert_array_equal(values.numpy(), (ordered[:, ::-1] if largest else ordered)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(X, indices.numpy(), 1), values.numpy())
    assert indices.dtype == bl.int64
    with pytest.raises(bl.ArgumentError, match="k must be 0 to 6"):
        bl.top_k(X, 7)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side: Any) -> None:
    grid, x = np.array([0.0, 1.0, 1.0, 3.0]), RNG.uniform(-1, 4, (2, 3))
    np.testing.assert_array_equal(bl.searchsorted(grid, x, side=side).numpy(), np.searchsorted(grid, x, side))
    mixed = np.array([3.0, 0.0, 1.0])
    np.testing.assert_array_equal(
        bl.searchsorted(mixed, x, side=side, sorter=np.argsort(mixed)).numpy(),
        np.searchsorted(mixed, x, side, np.argsort(mixed)),
    )
    with pytest.raises(bl.ArgumentError, match="side"):
        bl.searchsorted(grid, x, side="middle")
    with pytest.raises(bl.ShapeError, match="one dimension"):
        bl.searchsorted(X, x)


def test_sets() -> None:
    x = np.array([[2, 1, 2], [7, 7, 2]])
    for got, want in zip(bl.unique_all(x), np.unique_all(x), strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    assert bl.unique_values(x).tolist() == [1, 2, 7]
    assert bl.unique_counts(x).counts.tolist() == [1, 3, 2]
    assert bl.unique_inverse(x).inverse_indices.shape == x.shape
    assert bl.unique_values(bl.asarray([np.nan, 1.0, np.nan])).size == 3
    for got, want in zip(bl.nonzero(x > 1), np.nonzero(x > 1), strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(bl.isin(x, [1, 7]).numpy(), np.isin(x, [1, 7]))
    with pytest.raises(bl.ShapeError, match="no positions"):
        bl.nonzero(bl.asarray(1))


def test_shapes_that_depend_on_values_need_values() -> None:
    for f in (bl.unique_values, lambda x: bl.nonzero(x)[0]):
        with pytest.raises(bl.GraphError, match="its shape depends on values"):
            trace(f, [Spec((3,), bl.float32)])


def test_sorting_needs_an_axis() -> None:
    with pytest.raises(bl.ShapeError, match="no axis to sort along"):
        bl.sort(bl.asarray(1.0))
