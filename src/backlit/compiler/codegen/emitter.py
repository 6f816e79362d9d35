"""`Emitter`: a writer of functions that also knows mathematics. What `native` facets and kernels are handed."""

from __future__ import annotations

import math

from . import angles, discrete, exponentials, floats, logarithms, powers, special, trigonometry
from .memory import Memory
from .values import Val


class Emitter(Memory):
    """Writes one function, with the functions of mathematics on numbers and vectors of any number of lanes.

    They take values of float16, float32 and float64, and are right to 2 units in the last place, where nothing else is
    said; infinities, NaN, signed zeros and subnormal numbers included.
    """

    exp, exp2, expm1 = exponentials.exp, exponentials.exp2, exponentials.expm1
    sigmoid = exponentials.sigmoid
    tanh, sinh, cosh = exponentials.tanh, exponentials.sinh, exponentials.cosh
    log, log1p, log2, log10 = logarithms.log, logarithms.log1p, logarithms.log2, logarithms.log10
    logaddexp = logarithms.logaddexp
    asinh, acosh, atanh = logarithms.asinh, logarithms.acosh, logarithms.atanh
    pow = powers.pow
    sin, cos, tan = trigonometry.sin, trigonometry.cos, trigonometry.tan
    asin, acos, atan, atan2 = angles.asin, angles.acos, angles.atan, angles.atan2
    hypot = angles.hypot
    erf, erfc = special.erf, special.erfc
    polynomial = floats.polynomial

    shift_left, shift_right = discrete.shift_left, discrete.shift_right
    floor_divide, modulo, nextafter = discrete.floor_divide, discrete.remainder, discrete.nextafter

    def sqrt(self, x: Val) -> Val:
        """The square root, correctly rounded."""
        return self.intrinsic("sqrt", x)

    def abs(self, x: Val) -> Val:
        """The magnitude."""
        if x.code[0] == "f":
            return self.intrinsic("fabs", x)
        return self.select(x < 0, -x, x) if x.code[0] == "i" else x

    def floor(self, x: Val) -> Val:
        """Rounded down; an integer as it is."""
        return self.intrinsic("floor", x) if x.code[0] == "f" else x

    def ceil(self, x: Val) -> Val:
        """Rounded up; an integer as it is."""
        return self.intrinsic("ceil", x) if x.code[0] == "f" else x

    def trunc(self, x: Val) -> Val:
        """Rounded towards zero; an integer as it is."""
        return self.intrinsic("trunc", x) if x.code[0] == "f" else x

    def rint(self, x: Val) -> Val:
        """Rounded to the nearest integer, to the even one of two; an integer as it is."""
        return self.intrinsic("rint", x) if x.code[0] == "f" else x

    def copysign(self, x: Val, y: Val) -> Val:
        """The magnitude of x with the sign of y."""
        return self.intrinsic("copysign", x, y)

    def is_finite(self, x: Val) -> Val:
        """Is it neither infinite nor NaN? An integer always is."""
        return self.abs(x) < math.inf if x.code[0] == "f" else self.const(True, "b1", x.lanes)

    def is_infinite(self, x: Val) -> Val:
        """Is it infinite? An integer never is."""
        return self.equal(self.abs(x), math.inf) if x.code[0] == "f" else self.const(False, "b1", x.lanes)

    def is_not_a_number(self, x: Val) -> Val:
        """Is it NaN? An integer never is."""
        return self.is_nan(x) if x.code[0] == "f" else self.const(False, "b1", x.lanes)

    def sign_bit(self, x: Val) -> Val:
        """Is the sign bit set, as that of -0 is?"""
        return self.bitcast(x, f"i{x.code[1:]}") < 0
