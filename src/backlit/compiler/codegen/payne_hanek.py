"""The remainder of huge numbers by π/2: Payne & Hanek, 'Radian reduction for trigonometric functions' (1983).

x = m·2^e with an integer m. Of the product of m with the bits of 2/π only those matter whose weight is below 4, and
of them the first 128 say in which quarter turn x lies and, to full precision, where in it. One lane at a time, in a
function of its own, which is written once in a module: it is hardly ever called.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .floats import FORMATS, two_product
from .values import Ix, Val

if TYPE_CHECKING:
    from .emitter import Emitter

#: The first 1,216 bits of 2/π after the point, in 64-bit words; computed by integer arithmetic from Machin's formula.
_BITS = 1216


@cache
def _two_over_pi() -> tuple[int, ...]:
    """Words of 2/π: one of zeros (what stands before the point), then those after it."""
    scale = _BITS + 64

    def arctan_of_inverse(n: int) -> int:
        term = total = (1 << scale) // n
        i = 1
        while term:
            term //= -n * n
            i += 2
            total += term // i
        return total

    quarter_pi = 4 * arctan_of_inverse(5) - arctan_of_inverse(239)  # Machin 1706
    bits = (1 << (2 * scale - 1)) // quarter_pi >> 64
    return 0, *((bits >> (_BITS - 64 * (i + 1))) & (2**64 - 1) for i in range(_BITS // 64))


def reduce_huge(k: Emitter, x: Val, r: Val, shifted: Val, limit: float) -> tuple[Val, Val, Val]:
    """`r` and `shifted` with the lanes where |x| is at least `limit` replaced; and what rounding took from r there."""
    code, lanes = x.code, x.lanes
    name = f"payne_hanek_{code}"
    k.declarations.add(_function(k, name, code, limit))
    places = [k.local(lanes, code) for _ in range(4)]
    for place, value in zip(places, (x, r, shifted, k.const(0, code, lanes)), strict=True):
        k.store(place, 0, value)
    k.line(f"call void @{name}({', '.join(f'ptr {p}' for p in places)}, i64 0, i64 {lanes}, i64 0, i64 1)")
    _, r, shifted, tail = (k.load(place, 0, code, lanes) for place in places)
    return r, shifted, tail


def _function(k: Emitter, name: str, code: str, limit: float) -> str:
    """The text of the function."""
    k = type(k)(name, ("x", "r", "shifted", "tail"), k.target)
    table = k.local(len(_two_over_pi()), "u8")
    for i, word in enumerate(_two_over_pi()):
        k.store(table, i, k.const(word, "u8"))
    with k.loop(k.lo, k.hi) as i:
        x = k.load("%x", i, code)
        with k.when(k.abs(x) >= limit):
            quarters, large, small = _reduced(k, k.cast(x, "f8"), table)
            r = k.cast(large + small, code)
            k.store("%r", i, r + (x - x))  # NaN where x is infinite
            k.store("%tail", i, k.cast((large - k.cast(r, "f8")) + small, code))
            k.store("%shifted", i, k.cast(quarters, code) + FORMATS[code].shifter)
    return k.finish()


#: π/2 in two parts.
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17)


def _reduced(k: Emitter, x: Val, table: str) -> tuple[Val, Val, Val]:
    """The quarter turns of a float64, from -2 to 2, and what remains, in radians, as a sum of two numbers."""
    bits = k.bitcast(x, "u8")
    m = bits & (1 << 52) - 1 | 1 << 52
    first = k.cast(k.cast(bits >> 52 & 0x7FF, "i8") - (1075 + 2 - 64), "i8")  # of the bits that count, in the table
    word, shift = Ix.of(first >> 6), k.cast(first & 63, "u8")
    words = [k.load(table, word + i, "u8") for i in range(4)]
    w = [words[i] << shift | words[i + 1] >> 1 >> (63 - shift) for i in range(3)]
    middle = m * w[1] + _high_product(k, m, w[2])
    carry = k.cast(middle < _high_product(k, m, w[2]), "u8")
    high = m * w[0] + _high_product(k, m, w[1]) + carry
    quarters = k.cast(high + (1 << 61), "i8") >> 62
    rest = k.cast(high, "i8") - (quarters << 62)
    exact = rest & -2048  # 53 bits; the others go with `middle`
    small = k.cast(rest & 2047, "f8") + k.cast(middle, "f8") * 2.0**-64
    sign = k.copysign(k.const(2.0**-62, "f8"), x)
    coarse, fine = k.cast(exact, "f8") * sign, small * sign
    large, lost = two_product(k, coarse, k.const(_HALF_PI[0], "f8"))
    turns = k.cast(quarters, "f8")
    return k.select(x < 0, -turns, turns), large, lost + k.fma(coarse, _HALF_PI[1], fine * _HALF_PI[0])


def _high_product(k: Emitter, a: Val, b: Val) -> Val:
    """The upper 64 bits of a product of two 64-bit numbers (Warren, 'Hacker's Delight', 8-2)."""
    low = (1 << 32) - 1
    a0, a1, b0, b1 = a & low, a >> 32, b & low, b >> 32
    t = a1 * b0 + (a0 * b0 >> 32)
    u = a0 * b1 + (t & low)
    return a1 * b1 + (t >> 32) + (u >> 32)
