"""Distances between floating-point numbers, counted in representable numbers: units in the last place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX
from ..base.errors import ArgumentError

_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def ulp_distance(a: Any, b: Any) -> Any:
    """How many steps to the next representable number lead from `a` to `b`, elementwise, as float64.

    Floating-point numbers of one sign are ordered as their bits read as integers are (IEEE 754, section 5.10; Goldberg,
    What every computer scientist should know about floating-point arithmetic, 1991), so this is a difference of
    integers; numbers of different signs are as far apart as both are from 0. The two zeros are equal. NaN is equal to
    NaN and infinitely far from all numbers; an infinity is equal to itself and infinitely far from all others. Of
    complex numbers it is the larger of the distances of the parts.

    Args:
        a, b: arrays or numbers of the same dtype, float16 to float64 or complex.

    Raises:
        ArgumentError: other dtypes, or two different ones.

    >>> import numpy as np
    >>> float(ulp_distance(1.0, np.nextafter(1.0, 2.0))), float(ulp_distance(0.0, -0.0))
    (1.0, 0.0)
    >>> float(ulp_distance(np.float32(1), np.float32(1.0001)))
    839.0
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or a.dtype.kind not in "fc":
        raise ArgumentError(
            f"ulp_distance: expected two floating-point arrays of one dtype, got {a.dtype.name} and {b.dtype.name}."
        )
    if a.dtype.char in COMPLEX:
        return np.maximum(ulp_distance(a.real, b.real), ulp_distance(a.imag, b.imag))
    kind = _BITS.get(a.dtype.itemsize)
    if kind is None:
        raise ArgumentError(f"ulp_distance: no integers are as wide as {a.dtype.name}.")
    m, n = (np.abs(x).view(kind) for x in (np.atleast_1d(a), np.atleast_1d(b)))
    one_side = np.signbit(a) == np.signbit(b)
    found = np.where(one_side, np.abs(m - n).astype(np.float64), m.astype(np.float64) + n.astype(np.float64))
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(finite, found, np.inf)).reshape(np.broadcast_shapes(a.shape, b.shape))


def apart(a: Any, b: Any) -> str:
    """How far two numbers of one dtype are apart, in words: `0.00012 (839 ulp)`."""
    a, b = (np.asarray(x) for x in (a, b))
    with np.errstate(invalid="ignore", over="ignore"):
        return f"{float(np.abs(a - b)):.3g} ({counted(float(ulp_distance(a, b)))})"


def counted(ulps: float) -> str:
    """A distance in words: `3 ulp`, `1.2e+09 ulp`, `infinitely many ulp`."""
    return "infinitely many ulp" if np.isinf(ulps) else f"{ulps:.0f} ulp" if ulps < 1e6 else f"{ulps:.2g} ulp"
