"""Integers and bits of `Val`s: shifts, powers, division with remainder, the neighbour of a float."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .floats import in_single
from .values import Val, size_of

if TYPE_CHECKING:
    from .emitter import Emitter


def _shiftable(k: Emitter, n: Val) -> Val:
    """Is 0 ≤ n < the width? (A negative count is a huge one without sign.)"""
    return k.cast(n, "u" + n.code[1:]) < 8 * size_of(n.code)


def shift_left(k: Emitter, x: Val, n: Val) -> Val:
    """x · 2^n; 0 where n is negative or not below the width."""
    return k.select(_shiftable(k, n), x << n, 0)


def shift_right(k: Emitter, x: Val, n: Val) -> Val:
    """x / 2^n rounded down; where n is negative or not below the width only the sign is left."""
    return k.select(_shiftable(k, n), x >> n, x >> 8 * size_of(x.code) - 1 if x.code[0] == "i" else 0)


def integer_pow(k: Emitter, x: Val, n: Val) -> Val:
    """x to the power n ≥ 0, by squaring for each bit of n (Knuth 4.6.3 A); it wraps."""
    x, n = k.together(x, n)
    found, square, left = k.var(k.const(1, x.code, x.lanes)), k.var(x), k.var(n)
    with k.loop_while() as again:
        bits = left.get()
        found.set(k.select(k.equal(bits & 1, 0), found.get(), found.get() * square.get()))
        square.set(square.get() * square.get())
        bits = k.bitwise("lshr", bits, 1)
        left.set(bits)
        again(k.any_lane(k.not_equal(bits, 0)))
    return found.get()


# --- division with remainder -----------------------------------------------------------------------


@in_single
def floor_divide(k: Emitter, a: Val, b: Val) -> Val:
    """a / b rounded down; of integers 0 where b is 0, and nothing traps."""
    if a.code[0] != "f":
        quotient, rest, zero = _divided(k, a, b)
        if a.code[0] == "i":
            quotient = quotient - k.select(_opposite(k, rest, b), k.const(1, a.code, a.lanes), 0)
        return k.select(zero, 0, quotient)
    rest = fmod(k, a, b)
    quotient = (a - rest) / b
    quotient = k.select(_opposite(k, rest, b), quotient - 1, quotient)
    whole = k.floor(quotient)  # the quotient is an integer but for rounding
    whole = k.select(quotient - whole > 0.5, whole + 1, whole)
    whole = k.select(k.equal(quotient, 0), k.copysign(quotient, a / b), whole)
    return k.select(k.equal(b, 0), a / b, whole)


@in_single
def remainder(k: Emitter, a: Val, b: Val) -> Val:
    """a - b·floor(a / b), with the sign of b; of integers 0 where b is 0."""
    if a.code[0] != "f":
        _, rest, zero = _divided(k, a, b)
        if a.code[0] == "i":
            rest = k.select(_opposite(k, rest, b), rest + b, rest)
        return k.select(zero, 0, rest)
    rest = fmod(k, a, b)
    return k.select(k.equal(rest, 0), k.copysign(rest, b), k.select(_opposite(k, rest, b), rest + b, rest))


def _opposite(k: Emitter, rest: Val, b: Val) -> Val:
    """Is there a remainder, with another sign than b?"""
    return k.not_equal(rest, 0) & ((rest < 0) ^ (b < 0))


def _divided(k: Emitter, a: Val, b: Val) -> tuple[Val, Val, Val]:
    """a / b towards zero, the remainder, and whether b is 0. By 0 and by -1 nothing is divided: both could trap."""
    zero = k.equal(b, 0)
    if a.code[0] == "u":
        divisor = k.select(zero, k.const(1, b.code, b.lanes), b)
        quotient = a / divisor
        return quotient, a - quotient * divisor, zero
    minus = k.equal(b, -1)
    divisor = k.select(zero | minus, k.const(1, b.code, b.lanes), b)
    quotient = k.select(minus, -a, a / divisor)
    return quotient, a - quotient * b, zero


#: Up to this quotient the remainder is one fused multiply-add.
_LARGE_QUOTIENT = 2.0**20


def fmod(k: Emitter, a: Val, b: Val) -> Val:
    """The exact remainder of a / b, with the sign of a.

    With q = trunc(a / b), which rounding may have made too large by one, a - q·b has no rounding error. Large quotients
    (and all, on a processor without fused multiply-add) go to the C library, lane by lane.
    """
    a, b = k.together(a, b)
    size, magnitude = k.abs(b), k.abs(a)
    library = f"frem {a.type} {magnitude.name}, {size.name}"
    if not k.target.fma:
        return k.copysign(k.pure(library, a.code, a.lanes, (magnitude, size)), a)
    rest = k.fma(-k.trunc(magnitude / size), size, magnitude)
    rest = k.select(magnitude < size, magnitude, k.select(rest < 0, rest + size, rest))
    ordinary = magnitude < size * _LARGE_QUOTIENT
    kept = k.var(rest)
    with k.when(k.any_lane(~ordinary)):
        kept.set(k.select(ordinary, rest, k.pure(library, a.code, a.lanes, (magnitude, size))))
    return k.copysign(kept.get(), a)


# --- neighbours ------------------------------------------------------------------------------------


def nextafter(k: Emitter, x: Val, y: Val) -> Val:
    """The next float after x toward y: the bits of a float are ordered as its magnitude is."""
    integer = f"i{size_of(x.code)}"
    bits = k.bitcast(x, integer)
    step = k.select((x < y) ^ (x < 0), k.const(1, integer, x.lanes), -1)
    one = k.bitcast(k.const(1, integer, x.lanes), x.code)
    moved = k.select(k.equal(x, 0), k.copysign(one, y), k.bitcast(bits + step, x.code))
    return k.select(k.equal(x, y), y, k.select(k.is_nan(x) | k.is_nan(y), x + y, moved))
