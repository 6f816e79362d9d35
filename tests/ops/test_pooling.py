"""Pooling against NumPy's sliding windows; ties, borders, and windows that do not tile."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import backlit as bl
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
SIZES = {1: (9,), 2: (7, 6), 3: (4, 5, 4)}


def windows(x: Any, window: int, stride: int, padding: int, dilation: int, fill: float) -> Any:
    """(batch, channels, *positions, taps) of what each window sees."""
    n = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(padding, padding)] * n], constant_values=fill)
    seen = sliding_window_view(x, (dilation * (window - 1) + 1,) * n, axis=tuple(range(2, n + 2)))
    seen = seen[(slice(None), slice(None), *(slice(None, None, stride),) * n, *(slice(None, None, dilation),) * n)]
    return seen.reshape(*seen.shape[: n + 2], -1)


GEOMETRIES = [(2, 2, 0, 1), (3, 2, 1, 1), (2, 1, 1, 2), (3, 1, 0, 1), (1, 2, 0, 1), (2, 3, 0, 1), (3, 3, 1, 1)]
EVERY = [(n, *g) for n, g in itertools.product(SIZES, GEOMETRIES)]


@pytest.mark.parametrize(("n", "window", "stride", "padding", "dilation"), EVERY)
def test_maxima(n: int, window: int, stride: int, padding: int, dilation: int) -> None:
    x = RNG.normal(size=(2, 3, *SIZES[n]))
    found = getattr(bl, f"max_pool{n}d")(x, window, stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_array_equal(found.numpy(), windows(x, window, stride, padding, dilation, -np.inf).max(-1))


@pytest.mark.parametrize(("n", "window", "stride", "padding"), [g[:-1] for g in EVERY if g[-1] == 1])
def test_means(n: int, window: int, stride: int, padding: int) -> None:
    x = RNG.normal(size=(2, 3, *SIZES[n]))
    pool = getattr(bl, f"avg_pool{n}d")
    wanted = windows(x, window, stride, padding, 1, 0.0).mean(-1)
    np.testing.assert_allclose(pool(x, window, stride=stride, padding=padding).numpy(), wanted, atol=1e-14)
    inside = np.nanmean(windows(x, window, stride, padding, 1, np.nan), axis=-1)
    found = pool(x, window, stride=stride, padding=padding, count_include_pad=False)
    np.testing.assert_allclose(found.numpy(), inside, atol=1e-14)


@pytest.mark.parametrize(("n", "window", "stride", "padding", "dilation"), EVERY)
def test_the_gradient_goes_to_the_first_maximum(n: int, window: int, stride: int, padding: int, dilation: int) -> None:
    x = RNG.integers(0, 3, size=(1, 2, *SIZES[n])).astype(float)
    t = bl.tensor(x, requires_grad=True)
    y = getattr(bl, f"max_pool{n}d")(t, window, stride=stride, padding=padding, dilation=dilation)
    g = RNG.normal(size=y.shape)
    y.backward(bl.tensor(g))
    numbers = np.arange(x.size, dtype=float).reshape(x.shape)
    which = windows(x, window, stride, padding, dilation, -np.inf).argmax(-1)[..., None]
    places = np.take_along_axis(windows(numbers, window, stride, padding, dilation, -1), which, -1)[..., 0]
    wanted = np.zeros(x.size)
    np.add.at(wanted, places.astype(int), g)
    np.testing.assert_allclose(t.grad.numpy(), wanted.reshape(x.shape), atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_adaptive_windows(n: int, size: int) -> None:
    x = RNG.normal(size=(2, 3, *SIZES[n]))
    means, maxima = bl.adaptive_avg_pool(x, size).numpy(), bl.adaptive_max_pool(x, size).numpy()
    for index in np.ndindex(*(size,) * n):
        part = x[(..., *(slice(i * m // size, -(-(i + 1) * m // size)) for i, m in zip(index, SIZES[n], strict=True)))]
        axes = tuple(range(2, n + 2))
        np.testing.assert_allclose(means[(..., *index)], part.mean(axes))
        np.testing.assert_array_equal(maxima[(..., *index)], part.max(axes))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_global_pooling(n: int) -> None:
    x = RNG.normal(size=(2, 3, *SIZES[n]))
    axes = tuple(range(2, n + 2))
    np.testing.assert_allclose(bl.global_avg_pool(x).numpy(), x.mean(axes))
    np.testing.assert_array_equal(bl.global_max_pool(x, keepdims=True).numpy(), x.max(axes, keepdims=True))


def test_second_order() -> None:
    x = RNG.permutation(np.arange(50.0)).reshape(1, 2, 5, 5)
    check_grad(lambda x: bl.max_pool2d(x, 3, stride=2, padding=1) ** 3, (x / 50,), order=2)
    check_grad(lambda x: bl.adaptive_max_pool(x, (2, 3)) ** 3, (x / 50,), order=2)
    uneven = {"stride": 2, "padding": 1, "count_include_pad": False}
    check_grad(lambda x: bl.avg_pool2d(x, (3, 2), **uneven) ** 3, (x / 50,), order=2)


def test_dtypes_and_extremes() -> None:
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert bl.max_pool2d(x, 2).dtype == bl.avg_pool2d(x, 2).dtype == bl.adaptive_avg_pool(x, 3).dtype == bl.float32
    assert bl.max_pool2d(x.astype(int) - 20, 3, padding=1).numpy().max() == -5
    assert bl.max_pool2d(np.full((1, 1, 2, 2), -np.inf), 2).item() == -np.inf
    assert np.isnan(bl.max_pool2d(np.array([[[[1.0, np.nan], [3.0, 2.0]]]]), 2).item())
    assert bl.max_pool2d(np.zeros((0, 1, 4, 4)), 2).shape == (0, 1, 2, 2)


def test_windows_of_more_than_255_taps() -> None:
    x = bl.tensor(RNG.permutation(np.arange(800.0)).reshape(1, 1, 40, 20), requires_grad=True)
    bl.max_pool2d(x, (20, 19), stride=1).sum().backward()
    assert x.grad.numpy().sum() == 21 * 2


X = np.ones((1, 1, 4, 4))
WRONG = [
    (
        lambda: bl.max_pool2d(X, 5),
        bl.ShapeError,
        r"the window \(5, 5\) does not fit into the input \(4, 4\)",
    ),
    (lambda: bl.max_pool2d(X, 2, padding=2), bl.ArgumentError, "as wide as the window"),
    (
        lambda: bl.avg_pool2d(X[0], 2),
        bl.ShapeError,
        r"expected x of shape \(batch, channels, height, width\)",
    ),
    (lambda: bl.max_pool2d(X, 0), bl.ArgumentError, "window=0; expected 1 or more"),
    (lambda: bl.global_avg_pool(X[0, 0]), bl.ShapeError, r"\(batch, channels, \*space\)"),
    (lambda: bl.adaptive_avg_pool(X, (1, 2, 3)), bl.ArgumentError, "size=.* has 3 entries; give one int, or 2"),
    (lambda: bl.adaptive_max_pool(X[:, :, :0], 2), bl.ShapeError, "empty spatial axis"),
]


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call()
