"""`Emitter`: a `Writer` that also knows mathematics. What `native` facets and kernels are handed."""

from __future__ import annotations

from .values import Val
from .writer import Writer


class Emitter(Writer):
    """Writes one function, with the functions of mathematics on numbers and vectors of any number of lanes."""

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
