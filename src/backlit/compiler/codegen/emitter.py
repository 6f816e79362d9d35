"""`Emitter`: a `Writer` that also knows mathematics. What `native` facets and kernels are handed."""

from __future__ import annotations

from . import exponentials, logarithms, trigonometry
from .values import Val
from .writer import Writer


class Emitter(Writer):
    """Writes one function, with the functions of mathematics on numbers and vectors of any number of lanes.

    They take values of float16, float32 and float64, and are right to 2 units in the last place, where nothing else is
    said; infinities, NaN, signed zeros and subnormal numbers included.
    """

    exp, exp2, expm1 = exponentials.exp, exponentials.exp2, exponentials.expm1
    sigmoid = exponentials.sigmoid
    tanh, sinh, cosh = exponentials.tanh, exponentials.sinh, exponentials.cosh
    log, log1p = logarithms.log, logarithms.log1p
    sin, cos, tan = trigonometry.sin, trigonometry.cos, trigonometry.tan

    def sqrt(self, x: Val) -> Val:
        """The square root, correctly rounded."""
        return self.intrinsic("sqrt", x)

    def abs(self, x: Val) -> Val:
        """The magnitude."""
        if x.code[0] == "f":
            return self.intrinsic("fabs", x)
        return self.select(x < 0, -x, x) if x.code[0] == "i" else x

    def floor(self, x: Val) -> Val:
        """Rounded down."""
        return self.intrinsic("floor", x)

    def ceil(self, x: Val) -> Val:
        """Rounded up."""
        return self.intrinsic("ceil", x)

    def trunc(self, x: Val) -> Val:
        """Rounded towards zero."""
        return self.intrinsic("trunc", x)

    def rint(self, x: Val) -> Val:
        """Rounded to the nearest integer, to the even one of two."""
        return self.intrinsic("rint", x)

    def copysign(self, x: Val, y: Val) -> Val:
        """The magnitude of x with the sign of y."""
        return self.intrinsic("copysign", x, y)
