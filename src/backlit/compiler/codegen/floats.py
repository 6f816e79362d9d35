"""What functions on floats are made of: the two formats, polynomials, powers of two, exponents and significands."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from .values import LLVM, Val, vector

if TYPE_CHECKING:
    from .emitter import Emitter


class Format(NamedTuple):
    """How a binary float is laid out (IEEE 754, 3.4).

    Attributes:
        integer: the integer dtype of the same size.
        stored: bits of the significand that are stored: 23 or 52.
        bias: what is added to the exponent.
        shifter: 1.5 times the power of two at which neighbours are 1 apart. Added to a small number it rounds it to
            an integer, which then stands in the lowest bits.
    """

    integer: str
    stored: int
    bias: int
    shifter: float

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (8 * int(self.integer[1:]) - 1)


FORMATS = {"f4": Format("i4", 23, 127, 1.5 * 2**23), "f8": Format("i8", 52, 1023, 1.5 * 2**52)}


def in_single(function: Callable[..., Val]) -> Callable[..., Val]:
    """A function for float32 and float64, for float16 too: computed in float32 and rounded."""

    @wraps(function)
    def wide(k: Emitter, *values: Any) -> Val:
        if not any(isinstance(v, Val) and v.code == "f2" for v in values):
            return function(k, *values)
        return k.cast(function(k, *(k.cast(v, "f4") if isinstance(v, Val) else v for v in values)), "f2")

    return wide


def in_double(function: Callable[..., Val]) -> Callable[..., Val]:
    """A function for float64, for narrower floats too: computed in float64 and rounded."""

    @wraps(function)
    def wide(k: Emitter, *values: Any) -> Val:
        code = next(v.code for v in values if isinstance(v, Val))
        return k.cast(function(k, *(k.cast(v, "f8") if isinstance(v, Val) else v for v in values)), code)

    return wide


# --- polynomials -----------------------------------------------------------------------------------


def polynomial(k: Emitter, x: Val, coefficients: Sequence[float]) -> Val:
    """The polynomial with the coefficients from the lowest power up.

    Even and odd powers are summed apart by Horner's scheme (Knuth 4.6.4, exercise 'second-order'): one multiplication
    more, and half as long a chain of dependent instructions.
    """
    if len(coefficients) <= 4:
        return _horner(k, x, coefficients)
    square = x * x
    return k.fma(_horner(k, square, coefficients[1::2]), x, _horner(k, square, coefficients[0::2]))


def _horner(k: Emitter, x: Val, coefficients: Sequence[float]) -> Val:
    *rest, last = coefficients
    found = k.const(last, x.code, x.lanes)
    for c in reversed(rest):
        found = k.fma(found, x, c)
    return found


# --- sums and products with what rounding takes from them --------------------------------------------


def two_sum(k: Emitter, a: Val, b: Val) -> tuple[Val, Val]:
    """a + b rounded, and what rounding takes from it (Knuth 4.2.2, theorem B)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(k: Emitter, a: Val, b: Val) -> tuple[Val, Val]:
    """a · b rounded, and what rounding takes from it: by a fused multiply-add, or by halves (Dekker 1971, Veltkamp)."""
    product = a * b
    if k.target.fma:
        return product, k.fma(a, b, -product)
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2)


def _halves(a: Val) -> tuple[Val, Val]:
    scaled_up = a * (2.0 ** (FORMATS[a.code].stored // 2 + 1) + 1)
    high = scaled_up - (scaled_up - a)
    return high, a - high


# --- powers of two ---------------------------------------------------------------------------------


def nearest(k: Emitter, x: Val, factor: float, code: str) -> tuple[Val, Val]:
    """x · factor rounded to an integer: as float, and shifted, so that its lowest bits are the integer."""
    shifter = FORMATS[code].shifter
    shifted = k.fma(x, factor, shifter)
    return shifted - shifter, shifted


def scaled(k: Emitter, x: Any, n: Val) -> Val:
    """x · 2^n for a float n that is an integer, rounded once also where the result is subnormal.

    Without AVX-512's instruction for it |n| must be below twice the bias: 2^n is then the product of two that exist.
    """
    x = k.spread(x, n.code, n.lanes) if isinstance(x, Val) else k.const(x, n.code, n.lanes)
    if k.target.avx512:
        return _exponents(k, "scalef", x, n)
    form = FORMATS[n.code]
    number = k.cast(n, form.integer)
    half = number >> 1
    first, second = (k.bitcast((i + form.bias) << form.stored, n.code) for i in (half, number - half))
    return x * first * second


def power_of_two(k: Emitter, n: Val) -> Val:
    """2^n for a float n that is an integer, within the exponents of normal numbers."""
    if k.target.avx512:
        return _exponents(k, "scalef", k.const(1, n.code, n.lanes), n)
    form = FORMATS[n.code]
    return k.bitcast((k.cast(n, form.integer) + form.bias) << form.stored, n.code)


def exponent_and_significand(k: Emitter, x: Val) -> tuple[Val, Val]:
    """e and m with x = m · 2^e and m from 3/4 to 3/2, for x > 0, subnormal ones too; e as float.

    With AVX-512 it is also right for all others in that a logarithm made of it is: e is -inf for 0 and inf for inf,
    m is NaN for x < 0 and for NaN.
    """
    form = FORMATS[x.code]
    if k.target.avx512:
        m = _exponents(k, "getmant", x)
        return _exponents(k, "getexp", x) - _exponents(k, "getexp", m), m
    raised = form.stored + 1
    tiny = x < 2.0 ** (1 - form.bias)
    bits = k.bitcast(k.select(tiny, x * 2.0**raised, x), form.integer)
    three_quarters = (form.bias - 1 << form.stored) + (1 << form.stored - 1)
    e = bits - three_quarters >> form.stored
    m = k.bitcast(bits - (e << form.stored), x.code)
    return k.cast(e, x.code) - k.select(tiny, k.const(raised, x.code, x.lanes), 0), m


#: The immediate operand of `vgetmant`: significands from 3/4 to 3/2, NaN for negative numbers.
_THREE_QUARTERS = 0b1011
#: Round as the processor is set to.
_CURRENT = 4


def _exponents(k: Emitter, what: str, x: Val, *others: Val) -> Val:
    """One of AVX-512's instructions on exponents: `scalef`, `getexp` or `getmant`, for any number of lanes."""
    size = int(x.code[1:])
    lanes, widest = x.lanes, 64 // size
    if lanes > widest or lanes not in (16 // size, 32 // size, widest):
        if lanes < widest:  # in the next wider register
            wide = next(w for w in (16 // size, 32 // size, widest) if w > lanes)
            order = [*range(lanes), *[-1] * (wide - lanes)] if lanes > 1 else [0] * wide
            found = _exponents(k, what, *(k.shuffle(v, order) for v in (x, *others)))
            return k.shuffle(found, range(lanes))
        half = lanes // 2
        low, high = (
            _exponents(k, what, *(k.shuffle(v, part) for v in (x, *others)))
            for part in (range(half), range(half, lanes))
        )
        order = [*range(half), *range(max(half, lanes - half), max(half, lanes - half) + lanes - half)]
        if lanes % 2:
            low = k.shuffle(low, [*range(half), -1])
        return k.shuffle(low, order, high)
    bits = 8 * size * lanes
    name = f"llvm.x86.avx512.mask.{what}.p{'s' if x.code == 'f4' else 'd'}.{bits}"
    mask = f"i{max(8, lanes)}"
    operands = [x, *others]
    extra, types = ([f"i32 {_THREE_QUARTERS}"], ["i32"]) if what == "getmant" else ([], [])
    rounding = bits == 512
    result = vector(LLVM[x.code], lanes)
    types = [v.type for v in operands] + types + [result, mask] + ["i32"] * rounding
    k.declarations.add(f"declare {result} @{name}({', '.join(types)})")
    arguments = [v.typed for v in operands] + extra
    arguments += [f"{result} zeroinitializer", f"{mask} -1"] + [f"i32 {_CURRENT}"] * rounding
    return k.pure(f"call {result} @{name}({', '.join(arguments)})", x.code, lanes, operands)


# --- ranges, and numbers that are known --------------------------------------------------------------


def between(k: Emitter, low: float, x: Val, high: float) -> Val:
    """x brought into the range; NaN stays. Two instructions."""
    return k.smaller(high, k.larger(low, x))


def known_number(x: Val) -> float | None:
    """The number that a constant float32 or float64 is in all lanes; None for all other values."""
    text = x.name.removeprefix(f"splat ({LLVM[x.code]} ").removesuffix(")")
    if x.code not in FORMATS or not text.startswith("0x"):
        return None
    return struct.unpack("<d", int(text, 16).to_bytes(8, "little"))[0]
