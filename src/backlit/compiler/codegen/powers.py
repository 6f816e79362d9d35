"""Powers of `Val`s: exp(y·log(x)), the logarithm with more digits than the result; of integers by squaring."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .discrete import integer_pow
from .exponentials import exp_of_sum
from .floats import exponent_and_significand, known_number, polynomial, two_product, two_sum
from .values import Val

if TYPE_CHECKING:
    from .emitter import Emitter

#: ln 2 with 32 bits, so that its product with an exponent is exact, and the rest.
_LN2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
#: 2/3 in two parts, and (2·artanh(s)/s - 2 - s²·2/3)/s⁴ in powers of s², up to 1/5: the error is below 2^-67 of artanh.
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_REST = (
    0.3999999999999972, 0.2857142857157987, 0.2222222219079338, 0.18181821567006828, 0.1538440459006481,
    0.13341202967910995, 0.11591481216291517, 0.1257683083782842,
)  # fmt: skip


def pow(k: Emitter, x: Val, y: Val) -> Val:
    """x to the power y; of integers, which wrap, for y ≥ 0.

    A few constant exponents are products, as in NumPy's operator. float32 goes through the float64 functions.
    """
    if x.code[0] != "f":
        return integer_pow(k, x, y)
    match known_number(y):
        case 0.5:
            return k.sqrt(x)
        case -1.0:
            return 1 / x
        case 1.0 | 2.0 | 3.0 as n:
            return x if n == 1 else x * x if n == 2 else x * x * x
        case -2.0:
            return 1 / (x * x)
    return k.cast(_signed(k, k.cast(x, "f8"), k.cast(y, "f8"), exactly=x.code == "f8"), x.code)


def _signed(k: Emitter, x: Val, y: Val, *, exactly: bool) -> Val:
    """The power in float64, with the special cases of IEEE 754 (9.2.1)."""
    size = k.abs(x)
    if exactly:
        log, log_low = _accurate_log(k, size)
        log = k.select(k.equal(size, 0), -math.inf, k.select(size < math.inf, log, size))
        product, low = two_product(k, y, log)
        low = low + y * log_low
        found = exp_of_sum(k, product, k.select(k.abs(product) < 1000, low, 0))  # else it over- or underflows anyway
    else:
        found = k.exp(y * k.log(size))
    whole, half = k.equal(k.trunc(y), y), y * 0.5
    odd = whole & k.not_equal(k.trunc(half), half)
    found = k.select(odd, k.copysign(found, x), found)
    found = k.select((x < 0) & (x > -math.inf) & ~whole, math.nan, found)
    return k.select(k.equal(y, 0) | k.equal(x, 1) | (k.equal(size, 1) & k.is_infinite(y)), 1, found)


def _accurate_log(k: Emitter, x: Val) -> tuple[Val, Val]:
    """log(x) for x > 0, as a sum of two numbers, to about 2^-64 of it.

    log(1 + f) = 2·artanh(s) with s = f / (2 + f) in two parts, and its first two terms too; so is e·log(2).
    """
    e, m = exponent_and_significand(k, x)
    f = m - 1
    below = f + 2
    s = f / below
    back, back_low = two_product(k, s, below)
    s_low = (((f - back) - back_low) - s * (f - (below - 2))) / below
    z, z_low = two_product(k, s, s)
    cube, cube_low = two_product(k, z, s)
    cube_low = cube_low + (z_low * s + z * s_low * 3)
    third, third_low = two_product(k, cube, k.const(_TWO_THIRDS[0], x.code, x.lanes))
    third_low = third_low + (cube_low * _TWO_THIRDS[0] + cube * _TWO_THIRDS[1])
    total, low = two_sum(k, e * _LN2[0], s * 2)
    total, more = two_sum(k, total, third)
    low = low + more + (e * _LN2[1] + s_low * 2 + (third_low + cube * z * polynomial(k, z, _REST)))
    found = total + low
    return found, low - (found - total)
