"""Inverse circular functions of `Val`s, and the distance that goes with an angle.

The angle of a point (b, a) of the first quadrant is 0, π/4 or π/2 and the arctangent of a number within ±tan(π/8)
(as Moshier's Cephes, `atan.c`), by a minimax polynomial (Remez's exchange; error below 2^-28.5 and 2^-58.5 of it).
asin takes a minimax polynomial up to 1/2 and half-angle formulas above (Sun's fdlibm, `e_asin.c`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .floats import FORMATS, exponent_and_significand, in_double, in_single, polynomial, scaled
from .values import Val

if TYPE_CHECKING:
    from .emitter import Emitter

#: (atan(q)/q - 1)/q² in powers of q², up to tan(π/8).
_ATAN = {
    "f4": (
        -0.33333316445350647, 0.1999848335981369, -0.1424373835325241, 0.10595142096281052, -0.06081162765622139,
    ),
    "f8": (
        -0.333333333333332, 0.1999999999995366, -0.14285714280203887, 0.11111110783808797, -0.0909089776693985,
        0.07692060359659039, -0.06663105434939529, 0.058478972632294665, -0.05039330335058442, 0.03806494431580616,
        -0.017907334055436142,
    ),
}  # fmt: skip
#: (asin(q)/q - 1)/q² in powers of q², up to 1/2.
_ASIN = {
    "f4": (
        0.16666753590106964, 0.07495241612195969, 0.04547708481550217, 0.02414766512811184, 0.04221845418214798,
    ),
    "f8": (
        0.16666666666666763, 0.07499999999970265, 0.04464285717511797, 0.03038194268373994, 0.022372215657124633,
        0.017351600144614145, 0.013980960865692291, 0.011397780423792882, 0.010786506047038534, 0.0036831223970174715,
        0.02176331789954383, -0.02107705415392365, 0.032676751199284475,
    ),
}  # fmt: skip
#: π in two parts.
_PI = {"f4": (3.1415927410125732, -8.742277657347586e-08), "f8": (math.pi, 1.2246467991473532e-16)}
_EIGHTH, _THREE_EIGHTHS = math.sqrt(2) - 1, math.sqrt(2) + 1  # tan(π/8), tan(3π/8)


def _angle(k: Emitter, a: Val, b: Val) -> tuple[Val, Val]:
    """The angle of the point (b, a), with a, b ≥ 0, as a sum of two numbers."""
    high, low = _PI[a.code]
    steep, flat = a > b * _THREE_EIGHTHS, a <= b * _EIGHTH
    over = k.select(flat, a, k.select(steep, -b, a - b))
    under = k.select(flat, b, k.select(steep, a, a + b))
    q = over / under
    z = q * q
    middle = k.select(steep, k.const(high / 2, a.code, a.lanes), high / 4)
    rest = k.select(steep, k.const(low / 2, a.code, a.lanes), low / 4)
    middle, rest = k.select(flat, 0, middle), k.select(flat, 0, rest)
    return middle, k.fma(q * z, polynomial(k, z, _ATAN[a.code]), rest) + q


@in_single
def atan(k: Emitter, x: Val) -> Val:
    """The angle from -π/2 to π/2 whose tangent is x."""
    high, low = _angle(k, k.abs(x), k.const(1, x.code, x.lanes))
    return k.copysign(high + low, x)


@in_single
def atan2(k: Emitter, y: Val, x: Val) -> Val:
    """The angle of the point (x, y), from -π to π, with the signs of zeros; of infinities as of equal numbers."""
    high, low = _PI[x.code]
    a, b = k.abs(y), k.abs(x)
    huge = k.maximum(a, b) > 2.0 ** (FORMATS[x.code].bias - 4)  # where a + b could overflow
    both = k.equal(a, math.inf) & k.equal(b, math.inf)
    a, b = (k.select(both, 1, k.select(huge, v * 0.25, v)) for v in (a, b))
    b = k.select(k.equal(a, 0), 1, b)
    first, second = _angle(k, a, b)
    angle = k.select(k.sign_bit(x), (high - first) + (low - second), first + second)
    return k.copysign(k.select(k.is_nan(x) | k.is_nan(y), x + y, angle), y)


def _asin_parts(k: Emitter, x: Val) -> tuple[Val, Val, Val]:
    """Is |x| ≤ 1/2? Then asin(|x|), else asin(sqrt((1 - |x|)/2)), as a sum of two numbers."""
    y = k.abs(x)
    small = y <= 0.5
    z = k.select(small, y * y, k.fma(y, -0.5, 0.5))
    q = k.select(small, y, k.sqrt(z))
    return small, q, q * z * polynomial(k, z, _ASIN[x.code])


@in_single
def asin(k: Emitter, x: Val) -> Val:
    """The angle from -π/2 to π/2 whose sine is x; NaN beyond -1 and 1."""
    high, low = _PI[x.code]
    small, q, more = _asin_parts(k, x)
    found = k.select(small, q + more, high / 2 - (k.fma(more, 2, -low / 2) + q * 2))
    return k.copysign(found, x)


@in_single
def acos(k: Emitter, x: Val) -> Val:
    """The angle from 0 to π whose cosine is x; NaN beyond -1 and 1."""
    high, low = _PI[x.code]
    small, q, more = _asin_parts(k, x)
    found = q + more
    near = high / 2 - (k.copysign(q, x) - (low / 2 - k.copysign(more, x)))
    far = k.select(x < 0, high - (k.fma(more, 2, -low) + q * 2), found * 2)
    return k.select(small, near, far)


@in_double
def hypot(k: Emitter, x: Val, y: Val) -> Val:
    """sqrt(x² + y²), brought near 1 first so that no square overflows; infinite where either is, even beside NaN."""
    a, b = k.abs(x), k.abs(y)
    most = k.maximum(a, b)
    e, _ = exponent_and_significand(k, most)
    a, b = scaled(k, a, -e), scaled(k, b, -e)
    found = scaled(k, k.sqrt(k.fma(a, a, b * b)), e)
    found = k.select(k.equal(most, 0), 0, found)
    return k.select(k.is_infinite(x) | k.is_infinite(y), math.inf, found)
