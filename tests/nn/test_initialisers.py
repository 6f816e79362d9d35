"""Initialisers: mean, variance and range by statistics, and the structure of those that have one."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.nn.initialisers import (
    CUT,
    INITIALISERS,
    Constant,
    Identity,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
)

KEY, SHAPE = bl.random.key(0), (400, 250)
FANS = 400, 250


def drawn(init: Any, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    with bl.settings(default_dtype="float64"):
        return init(KEY, shape, *FANS).numpy()


#: Variance that theory gives, and the farthest value in standard deviations of it.
SCALED = [
    ("glorot_uniform", 2 / 650, sqrt(3)),
    ("glorot_normal", 2 / 650, 2 / CUT),
    ("he_uniform", 2 / 400, sqrt(3)),
    ("he_normal", 2 / 400, 2 / CUT),
    ("lecun_uniform", 1 / 400, sqrt(3)),
    ("lecun_normal", 1 / 400, 2 / CUT),
    (VarianceScaling(3.0, "fan_out", "normal"), 3 / 250, 6),
    (Uniform(-1.0, 1.0), 1 / 3, sqrt(3)),
    (Normal(0.3), 0.09, 6),
    (TruncatedNormal(0.3), (0.3 * CUT) ** 2, 2 / CUT),
    ("standard_normal", 1.0, 6),
]


@pytest.mark.parametrize(("init", "variance", "farthest"), SCALED, ids=lambda x: str(x))
def test_mean_variance_and_range(init: Any, variance: float, farthest: float) -> None:
    w = drawn(INITIALISERS[init] if isinstance(init, str) else init)
    std, n = sqrt(variance), w.size
    assert abs(w.mean()) < 5 * std / sqrt(n)
    assert abs(w.var() / variance - 1) < 5 * sqrt(2 / n)  # 5 standard deviations, for normal and shorter tails
    assert abs(w).max() <= farthest * std
    assert abs(w).max() > 0.99 * min(farthest, 3) * std


def test_the_cut_is_what_the_normal_distribution_says() -> None:
    from math import erf, exp, pi

    inside, density = erf(sqrt(2)), exp(-2) / sqrt(2 * pi)
    assert pytest.approx(sqrt(1 - 4 * density / inside), rel=1e-14) == CUT


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 2, 4), (8, 2, 2)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = drawn(Orthogonal(2.0), shape).reshape(shape[0], -1) / 2
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_orthogonal_is_drawn_uniformly() -> None:
    """Of a uniform draw every entry has mean 0 and variance 1/n; without the signs of R the diagonal would not."""
    with bl.settings(default_dtype="float64"):
        found = np.stack([Orthogonal()(bl.random.key(i), (3, 3), 3, 3).numpy() for i in range(400)])
    assert abs(found.mean(axis=0)).max() < 5 * sqrt(1 / 3 / 400)
    assert abs(found.var(axis=0) * 3 - 1).max() < 0.35


def test_identity() -> None:
    x = bl.random.normal(KEY, (2, 3, 5, 4))
    conv = nn.Conv2d(3, 3, padding="same", init="identity")
    assert (conv(x) == x).all()
    assert nn.Dense(2, init=Identity(3.0))(bl.ones((1, 3))).tolist() == [[3.0, 3.0]]


def test_constants() -> None:
    assert nn.Dense(2, init="zeros")(bl.ones((1, 3))).tolist() == [[0.0, 0.0]]
    assert nn.Dense(2, init="ones")(bl.ones((1, 3))).tolist() == [[3.0, 3.0]]
    assert nn.Dense(1, init=Constant(0.5))(bl.ones((1, 3))).tolist() == [[1.5]]


def test_fans_of_a_grouped_convolution() -> None:
    seen = []

    def init(key: Any, shape: Any, fan_in: int, fan_out: int) -> Any:
        seen.append((shape, fan_in, fan_out))
        return bl.zeros(shape)

    nn.Conv2d(6, (3, 2), groups=2, init=init).build((4, 5, 5))
    nn.ConvTranspose2d(6, (3, 2), groups=2, init=init).build((4, 5, 5))
    assert seen == [((6, 2, 3, 2), 12, 18), ((4, 3, 3, 2), 12, 18)]


@pytest.mark.parametrize("init", list(INITIALISERS))
def test_keys_and_dtypes(init: str) -> None:
    f = INITIALISERS[init]
    a, b = f(KEY, (4, 3), 4, 3), f(KEY, (4, 3), 4, 3)
    assert a.dtype == bl.float32
    assert (a == b).all()
    with bl.settings(default_dtype="float64"):
        assert f(KEY, (4, 3), 4, 3).dtype == bl.float64
    if init not in ("zeros", "ones", "identity"):
        assert not (a == f(bl.random.key(1), (4, 3), 4, 3)).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: VarianceScaling(0.0), "scale must be above 0"),
        (lambda: VarianceScaling(1.0, "fan"), "expected fan_in"),  # type: ignore[arg-type]
        (lambda: VarianceScaling(1.0, "fan_in", "gauss"), "expected uniform"),  # type: ignore[arg-type]
        (lambda: Orthogonal()(KEY, (3,), 3, 3), "2 or more axes"),
        (lambda: Identity()(KEY, (3,), 3, 3), "2 or more axes"),
    ],
)
def test_errors(make: Any, said: str) -> None:
    with pytest.raises((bl.ArgumentError, bl.ShapeError), match=said):
        make()
