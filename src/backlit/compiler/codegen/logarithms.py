"""Logarithms of `Val`s.

x = 2^e·(1 + f) with 1 + f from 3/4 to 3/2, and log(1 + f) = f + r. In float32 r = -f²/2 + f³·L(f) with L a minimax
polynomial (Remez's exchange; Cody & Waite, ch. 5). In float64 r follows from s = f / (2 + f) and 2·artanh(s), as in
Sun's fdlibm (`e_log.c`), with a minimax polynomial for [0, 1/5].
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from .floats import FORMATS, exponent_and_significand, in_double, in_single, polynomial, power_of_two
from .values import Val

if TYPE_CHECKING:
    from .emitter import Emitter

#: L in float32: the error of log(1 + f) is below 2^-26.7 of it.
_L = (
    0.33333447575569153, -0.2500009536743164, 0.19990861415863037, -0.1664731353521347, 0.14478394389152527,
    -0.13161183893680573, 0.10463005304336548, -0.045074716210365295,
)  # fmt: skip
#: (2·artanh(s) / s - 2) / s² in powers of s², in float64: below 2^-60.3.
_R = (
    0.666666666666666, 0.4000000000005594, 0.28571428556007117, 0.22222224276202557, 0.18181667088807596,
    0.1539107241067017, 0.1317426226014691, 0.13838563476713397,
)  # fmt: skip


class _Base(NamedTuple):
    """Factors of a base, in two parts each: of e (its product with the first part is exact), and of log(1 + f)."""

    e_high: float
    e_low: float
    f_high: float
    f_low: float


_NATURAL = {
    "f4": _Base(6.9313812256e-01, 9.0580006145e-06, 1.0, 0.0),
    "f8": _Base(6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.0, 0.0),
}
_BINARY = {
    "f4": _Base(1.0, 0.0, 1.4426950216293335, 1.925963033500011e-08),
    "f8": _Base(1.0, 0.0, 1.4426950408889634, 2.0355273740931033e-17),
}
_DECIMAL = {
    "f4": _Base(3.0102920532e-01, 7.9034151668e-07, 0.4342944920063019, -1.0103049952192578e-08),
    "f8": _Base(3.01029995663611771306e-01, 3.69423907715893078616e-13, 0.4342944819032518, 1.098319650216765e-17),
}


def _series(k: Emitter, f: Val) -> Val:
    """log(1 + f) - f for f from -1/4 to 1/2."""
    half_square = f * f * 0.5
    if f.code == "f4":
        return k.fma(f * f * f, polynomial(k, f, _L), -half_square)
    s = f / (f + 2)
    z = s * s
    return k.fma(s, k.fma(z, polynomial(k, z, _R), half_square), -half_square)


def _sum(k: Emitter, e: Val, f: Val, base: _Base) -> Val:
    """The logarithm of 2^e·(1 + f)."""
    r = _series(k, f)
    if base.f_high == 1:
        return k.fma(e, base.e_high, f + k.fma(e, base.e_low, r))
    low = (
        k.fma(f, base.f_low, k.fma(r, base.f_high, e * base.e_low))
        if base.e_low
        else k.fma(f, base.f_low, r * base.f_high)
    )
    return k.fma(e, base.e_high, k.fma(f, base.f_high, low))


def _specials(k: Emitter, x: Val, found: Val) -> Val:
    """-inf for 0, NaN below it, inf for inf. AVX-512's exponents bring them about by themselves."""
    if k.target.avx512:
        return found
    found = k.select(x < math.inf, found, x)
    return k.select(x > 0, found, k.select(k.equal(x, 0), k.const(-math.inf, x.code, x.lanes), math.nan))


def _logarithm(k: Emitter, x: Val, base: _Base) -> Val:
    e, m = exponent_and_significand(k, x)
    return _specials(k, x, _sum(k, e, m - 1, base))


@in_single
def log(k: Emitter, x: Val) -> Val:
    """The natural logarithm."""
    return _logarithm(k, x, _NATURAL[x.code])


@in_single
def log1p(k: Emitter, x: Val) -> Val:
    """log(1 + x), exact to rounding near 0: what 1 + x rounds away is added to f (Sun's fdlibm, `s_log1p.c`)."""
    u = x + 1
    lost = k.select(x < 1, x - (u - 1), 1 - (u - x))
    e, m = exponent_and_significand(k, u)
    shrink = power_of_two(k, k.larger(1 - FORMATS[x.code].bias, -e))
    found = _sum(k, e, k.fma(lost, shrink, m - 1), _NATURAL[x.code])
    found = k.select(k.equal(u, 0), k.const(-math.inf, x.code, x.lanes), k.select(x < math.inf, found, x))
    return k.copysign(k.select(u < 0, k.const(math.nan, x.code, x.lanes), found), x)


@in_single
def log2(k: Emitter, x: Val) -> Val:
    """The logarithm to base 2, exact for powers of 2."""
    return _logarithm(k, x, _BINARY[x.code])


@in_single
def log10(k: Emitter, x: Val) -> Val:
    """The logarithm to base 10."""
    return _logarithm(k, x, _DECIMAL[x.code])


@in_double
def logaddexp(k: Emitter, x: Val, y: Val) -> Val:
    """log(exp(x) + exp(y)): the larger, and log1p of what the other adds to it."""
    apart = k.abs(x - y)
    found = k.maximum(x, y) + k.log1p(k.exp(-apart))
    return k.select(k.equal(x, y), x + math.log(2), found)  # also where both are the same infinity


# --- inverses of the hyperbolic functions ----------------------------------------------------------
# As in Sun's fdlibm (`s_asinh.c`, `e_acosh.c`, `e_atanh.c`), with log1p in place of all logarithms.

#: From here on 1 is nothing beside x.
_LARGE = 2.0**60


@in_double
def asinh(k: Emitter, x: Val) -> Val:
    """The number whose hyperbolic sine is x."""
    y = k.abs(x)
    square = y * y
    more = y + square / (k.sqrt(square + 1) + 1)
    large = y > _LARGE
    found = k.log1p(k.select(large, y, more)) + k.select(large, k.const(math.log(2), x.code, x.lanes), 0)
    return k.copysign(found, x)


@in_double
def acosh(k: Emitter, x: Val) -> Val:
    """The number not below 0 whose hyperbolic cosine is x; NaN below 1."""
    y = x - 1
    large = x > _LARGE
    more = k.log1p(k.select(large, y, y + k.sqrt(k.fma(y, y, y + y))))
    return k.select(x >= 1, more + k.select(large, k.const(math.log(2), x.code, x.lanes), 0), math.nan)


@in_double
def atanh(k: Emitter, x: Val) -> Val:
    """The number whose hyperbolic tangent is x; NaN beyond -1 and 1."""
    y = k.abs(x)
    double = y + y
    more = k.select(y < 0.5, double + double * y / (1 - y), double / (1 - y))
    return k.copysign(k.log1p(more) * 0.5, x)
