"""Exponential functions of `Val`s: exp and its relatives, the logistic function, the hyperbolic functions.

All of them write x = n·ln 2 + r with |r| ≤ ln(2)/2 (Cody & Waite, 'Software manual for the elementary functions',
ch. 6) and take exp(r) - 1 = r + r²·Q(r) with Q a minimax polynomial (Remez's exchange, relative error of exp(r) below
2^-27.7 in float32 and 2^-60 in float64).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from .floats import between, in_single, nearest, polynomial, power_of_two, scaled
from .values import Val

if TYPE_CHECKING:
    from .emitter import Emitter


class _Exp(NamedTuple):
    low: float  # below it exp is 0, ...
    high: float  # ... and above it infinite
    ln2_high: float  # ln 2 in two parts; the first has so few bits that its product with n is exact
    ln2_low: float
    q: tuple[float, ...]


_EXP = {
    "f4": _Exp(-104.0, 89.0, 6.9313812256e-01, 9.0580006145e-06, (
        0.4999999403953552, 0.1666651964187622, 0.04166839271783829, 0.0083687799051404, 0.0013814466074109077,
    )),
    "f8": _Exp(-746.0, 710.0, 6.93145751953125e-1, 1.42860682030941723212e-6, (
        0.5, 0.16666666666666682, 0.04166666666666609, 0.008333333333316918, 0.0013888888889117177,
        0.0001984126989667861, 2.4801586924757624e-05, 2.7557234560975575e-06, 2.7557582677026877e-07,
        2.511214376859525e-08, 2.0826570113950062e-09,
    )),
}  # fmt: skip
_LOG2_E = 1 / math.log(2)


def _reduced(k: Emitter, x: Val) -> tuple[Val, Val]:
    """n and r with x = n·ln 2 + r."""
    e = _EXP[x.code]
    n, _ = nearest(k, x, _LOG2_E, x.code)
    return n, k.fma(n, -e.ln2_low, k.fma(n, -e.ln2_high, x))


def _less_1(k: Emitter, r: Val) -> Val:
    """exp(r) - 1 for |r| ≤ ln(2)/2."""
    return k.fma(r * r, polynomial(k, r, _EXP[r.code].q), r)


@in_single
def exp(k: Emitter, x: Val) -> Val:
    """e to the power of x."""
    e = _EXP[x.code]
    n, r = _reduced(k, between(k, e.low, x, e.high))
    return scaled(k, _less_1(k, r) + 1, n)


def exp_of_sum(k: Emitter, x: Val, low: Val) -> Val:
    """exp(x + low), where low is what rounding took from x."""
    e = _EXP[x.code]
    n, r = _reduced(k, between(k, e.low, x, e.high))
    return scaled(k, _less_1(k, r + low) + 1, n)


@in_single
def exp2(k: Emitter, x: Val) -> Val:
    """2 to the power of x."""
    e = _EXP[x.code]
    x = between(k, math.floor(e.low * _LOG2_E), x, math.ceil(e.high * _LOG2_E))
    n, _ = nearest(k, x, 1.0, x.code)
    return scaled(k, _less_1(k, (x - n) * math.log(2)) + 1, n)


@in_single
def expm1(k: Emitter, x: Val) -> Val:
    """exp(x) - 1, exact to rounding near 0: 2^n·(exp(r) - 1) + (2^n - 1)."""
    e = _EXP[x.code]
    n, r = _reduced(k, between(k, e.low, x, e.high))
    less_1 = _less_1(k, r)
    half = scaled(k, 0.5, n)  # 2^n itself may overflow where the result does not
    found = k.select(k.equal(n, 0), less_1, k.fma(half, less_1, half - 0.5) * 2)
    return k.copysign(found, x)  # -0 for -0


@in_single
def sigmoid(k: Emitter, x: Val) -> Val:
    """1 / (1 + exp(-x)), as 2^n / (2^n + exp(-r)): 2^n is ready before exp(-r) is, and nothing overflows."""
    e = _EXP[x.code]
    x = between(k, e.low, x, 40.0)  # where it has long been 1
    n, _ = nearest(k, x, _LOG2_E, x.code)
    r = k.fma(n, e.ln2_low, k.fma(n, e.ln2_high, -x))
    power = scaled(k, 1.0, n)
    total = power + 1
    return power / (total + (_less_1(k, r) + (power - (total - 1))))  # with what `total` rounds away


# --- hyperbolic functions --------------------------------------------------------------------------

#: (tanh(x)/x - 1)/x² in powers of x²: in float32 minimax for |x| ≤ 0.55; in float64 a quotient up to 5/8 (Moshier's
#: Cephes, `tanh.c`).
_TANH = (-0.3333294689655304, 0.13320699334144592, -0.05267015099525452, 0.0164343174546957)
_TANH_P = (-1.61468768441708447952e3, -9.92877231001918586564e1, -9.64399179425052238628e-1)
_TANH_Q = (4.84406305325125486048e3, 2.23548839060100448583e3, 1.12811678491632931402e2, 1.0)
#: Q of degree 3, for float32: beside 1 an error of 2^-23 of exp(2|x|) is small enough.
_SHORT_Q = (0.4999922811985016, 0.16667115688323975, 0.041890550404787064, 0.00831247866153717)


@in_single
def tanh(k: Emitter, x: Val) -> Val:
    """The hyperbolic tangent: |x|·(1 + x²·T(x²)) near 0, and from there 1 - 2 / (exp(2|x|) + 1)."""
    y, z = k.abs(x), x * x
    double = k.smaller(44.0, y + y)  # tanh(22) rounds to 1
    if x.code == "f4":
        near = y < 0.55
        n, _ = nearest(k, double, _LOG2_E, x.code)
        r = k.fma(n, -math.log(2), double)  # one product: where n is large the exponential hardly counts
        power = power_of_two(k, n)
        divisor = k.fma(power, k.fma(r * r, polynomial(k, r, _SHORT_Q), r), power + 1)
        part = k.select(near, z * polynomial(k, z, _TANH), -2 / divisor)
    else:
        near = y < 0.625
        n, r = _reduced(k, double)
        power = power_of_two(k, n)
        divisor = k.fma(power, _less_1(k, r), power + 1)
        part = k.select(near, z * polynomial(k, z, _TANH_P), -2) / k.select(near, polynomial(k, z, _TANH_Q), divisor)
    scale = k.select(near, y, 1)
    return k.copysign(k.fma(scale, part, scale), x)


#: (sinh(x)/x - 1)/x² in powers of x², for |x| ≤ 1.
_SINH = {
    "f4": (0.1666666716337204, 0.008333349600434303, 0.0001983615948120132, 2.8169511097075883e-06),
    "f8": (
        0.16666666666666669, 0.008333333333333148, 0.00019841269841431867, 2.7557319157073576e-06,
        2.5052123136460718e-08, 1.605725978848793e-10, 7.758748221703521e-13,
    ),
}  # fmt: skip


def _half_exp(k: Emitter, x: Val) -> Val:
    """exp(|x|) / 2, which overflows only where sinh and cosh do."""
    n, r = _reduced(k, between(k, 0, k.abs(x), _EXP[x.code].high + 1))
    return scaled(k, _less_1(k, r) + 1, n - 1)


@in_single
def sinh(k: Emitter, x: Val) -> Val:
    """The hyperbolic sine: a polynomial up to 1, above it half the difference of two exponentials."""
    half = _half_exp(k, x)
    z = x * x
    near = k.fma(x * z, polynomial(k, z, _SINH[x.code]), x)
    far = half - 0.25 / half
    return k.copysign(k.select(k.abs(x) < 1, near, far), x)


@in_single
def cosh(k: Emitter, x: Val) -> Val:
    """The hyperbolic cosine."""
    half = _half_exp(k, x)
    return half + 0.25 / half
