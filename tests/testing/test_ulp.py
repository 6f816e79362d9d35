"""Distances in units in the last place: beside NumPy's nextafter and spacing, and at the odd numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.testing.tolerances import roundings
from backlit.testing.ulp import apart, counted, ulp_distance


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_steps_are_counted(dtype: str) -> None:
    x = np.concatenate([np.geomspace(1e-3, 1e3, 30), -np.geomspace(1e-3, 1e3, 30), [0.0]]).astype(dtype)
    y: Any = x
    for n in range(5):
        np.testing.assert_array_equal(ulp_distance(x, y), n)
        np.testing.assert_array_equal(ulp_distance(y, x), n)
        y = np.nextafter(y, np.asarray(np.inf, dtype))


def test_odd_numbers() -> None:
    tiny = np.finfo(np.float32).smallest_subnormal
    a = np.array([0.0, tiny, np.nan, np.nan, np.inf, np.inf, np.inf], "float32")
    b = np.array([-0.0, -tiny, np.nan, 1.0, np.inf, -np.inf, 1.0], "float32")
    np.testing.assert_array_equal(ulp_distance(a, b), [0, 2, 0, np.inf, 0, np.inf, np.inf])
    assert ulp_distance(np.float64(-1.7e308), np.float64(1.7e308)) > 1.8e19
    assert ulp_distance(1 + 0j, np.nextafter(1.0, 2) + 0j) == 1
    assert ulp_distance(np.zeros((0, 2)), np.zeros((0, 2))).shape == (0, 2)


def test_bad_input() -> None:
    with pytest.raises(bl.ArgumentError, match="float64 and float32"):
        ulp_distance(1.0, np.float32(1))
    with pytest.raises(bl.ArgumentError, match="int64"):
        ulp_distance(1, 2)
    with pytest.raises(bl.ArgumentError, match="as wide as"):
        ulp_distance(np.zeros(1, np.longdouble), np.zeros(1, np.longdouble))


def test_words() -> None:
    assert apart(1.0, 1.5) == "0.5 (2.3e+15 ulp)"
    assert counted(3) == "3 ulp"
    assert counted(np.inf) == "infinitely many ulp"


def test_roundings() -> None:
    assert roundings("add") == 0
    assert roundings("exp") == 6
    assert roundings("sum", 10000) == 64 + 100
