"""Special functions beside mpmath and SciPy, over wide ranges, at poles, infinities and NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
from numpy.testing import assert_allclose

import backlit as bl
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
SMALL, LARGE = 10.0 ** RNG.uniform(-300, 0, 40), 10.0 ** RNG.uniform(0, 15, 40)
POSITIVE = np.concatenate([RNG.uniform(0, 12, 300), RNG.uniform(0.9, 1.1, 50), RNG.uniform(1.9, 2.1, 50), SMALL, LARGE])
NEGATIVE = RNG.uniform(-20, 0, 200)
TOWARDS_ONE = np.concatenate([RNG.uniform(-1, 1, 200), 1 - 10.0 ** RNG.uniform(-12, 0, 50)])
CENTRE = np.concatenate([RNG.uniform(-6, 6, 300), SMALL, -SMALL])


def _log_gamma(x: Any) -> Any:
    return mpmath.log(abs(mpmath.gamma(x)))


def _sinc(x: Any) -> Any:
    return mpmath.sinc(mpmath.pi * x)


#: Each function with its oracle, its points, and the units in the last place that it may be off. Those are of the
#: value, or, where the value passes through 0, of the larger of the value and 1.
TABLE: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any, float, bool]] = {
    "erf": (bl.erf, mpmath.erf, CENTRE, 4, False),
    "erfc": (bl.erfc, mpmath.erfc, np.concatenate([CENTRE, RNG.uniform(5, 26, 100)]), 8, False),
    "erfinv": (bl.erfinv, mpmath.erfinv, TOWARDS_ONE, 16, False),
    "lgamma": (bl.lgamma, mpmath.loggamma, POSITIVE, 5, False),
    "lgamma below 0": (bl.lgamma, _log_gamma, NEGATIVE, 8, True),
    "digamma": (bl.digamma, mpmath.digamma, POSITIVE, 10, True),
    "digamma below 0": (bl.digamma, mpmath.digamma, NEGATIVE, 30, True),
    "trigamma": (partial(bl.polygamma, 1), partial(mpmath.polygamma, 1), POSITIVE[POSITIVE > 1e-100], 6, False),
    "trigamma below 0": (partial(bl.polygamma, 1), partial(mpmath.polygamma, 1), NEGATIVE, 30, True),
    "polygamma 3": (partial(bl.polygamma, 3), partial(mpmath.polygamma, 3), POSITIVE[POSITIVE > 1e-70], 8, False),
    "sinc": (bl.sinc, _sinc, RNG.uniform(-9, 9, 200), 4, True),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_accurate_to_a_few_units_in_the_last_place(name: str) -> None:
    f, oracle, points, units, absolute = TABLE[name]
    with mpmath.workdps(40):
        exact = [oracle(mpmath.mpf(float(x))) for x in points]
        got = f(points).numpy()
        errors = [
            float(abs(mpmath.mpf(float(y)) - e) / np.spacing(max(abs(float(e)), 1.0 if absolute else 0.0)))
            for y, e in zip(got, exact, strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= units, f"{name}({points[worst]!r}) = {got[worst]!r} is off by {errors[worst]:.1f} units"


@pytest.mark.parametrize("name", TABLE)
def test_float32_is_float64_rounded(name: str) -> None:
    f, _, points, _, absolute = TABLE[name]
    x = points[abs(points) > 1e-12].astype(np.float32)
    x = x[abs(x) != 1]
    got, exact = f(x).numpy(), f(x.astype(np.float64)).numpy()
    assert got.dtype == np.float32
    assert_allclose(got, exact, rtol=1e-6, atol=1e-6 if absolute else np.finfo(np.float32).tiny)


EDGES = np.array([0.0, -1.0, -2.0, -1e300, np.inf, np.nan, 1.0, 2.0, 171.0, 1e305])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (bl.erf, scipy.special.erf),
        (bl.erfc, scipy.special.erfc),
        (bl.lgamma, scipy.special.gammaln),
        (bl.digamma, scipy.special.digamma),
        (lambda x: bl.polygamma(1, x), lambda x: scipy.special.polygamma(1, x)),
    ],
)
def test_edges_are_scipys(ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    assert_allclose(ours(EDGES).numpy(), theirs(EDGES), rtol=1e-14, atol=1e-300)


def test_ends() -> None:
    assert bl.erf(np.array([-np.inf, np.inf])).tolist() == [-1, 1]
    assert bl.erfc(np.array([-np.inf, np.inf])).tolist() == [2, 0]
    assert bl.erf(np.float32([-np.inf, -30, 30, np.inf])).tolist() == [-1, -1, 1, 1]
    assert bl.lgamma(-np.inf).item() == math.lgamma(-math.inf)
    assert bl.erfinv(np.array([-1.0, 0.0, 1.0])).tolist() == [-np.inf, 0, np.inf]
    assert math.isnan(bl.erfinv(1.5).item())


def test_derivatives_of_lgamma_are_the_polygammas() -> None:
    f = bl.lgamma
    for n in range(4):
        f = bl.grad(f)
        for x in (0.7, 3.3, -1.4):
            assert f(np.float64(x)).item() == pytest.approx(float(mpmath.polygamma(n, x)), rel=1e-12)


@pytest.mark.parametrize("x", [0.0, 1e-9, 1e-3, 0.4, 0.7, 3.0, 50.5])
def test_derivatives_of_sinc_hold_at_zero(x: float) -> None:
    f = bl.sinc
    for n in range(1, 4):
        f = bl.grad(f)
        with mpmath.workdps(40):
            exact = float(mpmath.diff(lambda t: mpmath.sinc(mpmath.pi * t), x, n))
        assert f(np.float64(x)).item() == pytest.approx(exact, rel=1e-10, abs=1e-12)


def test_second_order_through_the_error_functions() -> None:
    check_grad(lambda x: bl.sum(bl.erf(x) * bl.erfc(x)), [np.linspace(-2, 2, 5)], order=2)


def test_polygamma_of_no_order() -> None:
    assert bl.polygamma(0, 2.5).item() == bl.digamma(2.5).item()
    with pytest.raises(bl.ArgumentError, match=r"order n must be an integer of 0 or more, got -1"):
        bl.polygamma(-1, 2.0)
