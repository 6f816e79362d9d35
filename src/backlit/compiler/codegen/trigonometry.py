"""Circular functions of `Val`s.

x = n·π/2 + r with |r| ≤ π/4: by Cody & Waite's sums of parts of π/2 (ch. 8) for x of ordinary size, and behind one
branch for the whole vector, by Payne & Hanek's exact product with 2/π where a lane is huge. Sine and cosine of one
x share the reduction and both minimax polynomials (Remez's exchange; relative error below 2^-28 and 2^-63).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from .floats import FORMATS, in_single, nearest, polynomial
from .payne_hanek import reduce_huge
from .values import Val

if TYPE_CHECKING:
    from .emitter import Emitter


class _Circle(NamedTuple):
    limit: float  # from here on |x| is huge
    half_pi: tuple[float, ...]  # π/2 as a sum, for processors with a fused multiply-add
    short_parts: tuple[float, ...]  # the same of parts so short that their products with n are exact
    sine: tuple[float, ...]  # (sin(r)/r - 1)/r² in powers of r²
    cosine: tuple[float, ...]  # (cos(r) - 1 + r²/2)/r⁴ in powers of r²


_CIRCLE = {
    "f4": _Circle(
        2.0**13, (1.570796251296997, 7.549789415861596e-08, 5.390302529957765e-15),
        (1.5703125, 0.0004837512969970703, 7.549533620476723e-08, 2.5633440682570896e-12),
        (-0.16666655242443085, 0.008332190103828907, -0.00019518405315466225),
        (0.04166664555668831, -0.00138873013202101, 2.4430670237052254e-05),
    ),
    "f8": _Circle(
        2.0**20, (1.5707963267948966, 6.123233995736765e-17, 1.0828566739219139e-32),
        (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32),
        (-0.16666666666666666, 0.008333333333333038, -0.0001984126984095601, 2.755731906976528e-06,
         -2.5052069669889152e-08, 1.6054138259549498e-10, -7.380396013786105e-13),
        (0.0416666666666666, -0.0013888888888874441, 2.4801587289636314e-05, -2.7557314387469883e-07,
         2.087572705897872e-09, -1.1359802471593814e-11),
    ),
}  # fmt: skip


class _Quarters(NamedTuple):
    """x = n·π/2 + r + tail. The tail is only filled in where x is huge."""

    r: Val
    n: Val  # in the lowest bits
    tail: Val


def _reduced(k: Emitter, x: Val) -> _Quarters:
    return k.once(("quarters", x.name), lambda: _reduce(k, x))


def _reduce(k: Emitter, x: Val) -> _Quarters:
    c = _CIRCLE[x.code]
    n, shifted = nearest(k, x, 2 / math.pi, x.code)
    r = x
    for part in c.half_pi if k.target.fma else c.short_parts:
        r = k.fma(n, -part, r)
    kept = [k.var(v) for v in (r, shifted, k.const(0, x.code, x.lanes))]
    with k.when(k.any_lane(k.abs(x) >= c.limit)):
        for place, value in zip(kept, reduce_huge(k, x, r, shifted, c.limit), strict=True):
            place.set(value)
    r, shifted, tail = (place.get() for place in kept)
    return _Quarters(r, k.bitcast(shifted, FORMATS[x.code].integer), tail)


def _quarters(k: Emitter, x: Val) -> tuple[Val, Val, Val]:
    """sin(r), cos(r) and the number of quarter turns."""
    c = _CIRCLE[x.code]
    r, n, _ = _reduced(k, x)
    z = r * r
    sine = k.copysign(k.fma(r * z, polynomial(k, z, c.sine), r), r)  # else -0 would become 0
    cosine = k.fma(z, k.fma(z, polynomial(k, z, c.cosine), -0.5), 1)
    return sine, cosine, n


def _signed(k: Emitter, x: Val, n: Val) -> Val:
    """x, negated where bit 1 of n is set."""
    form = FORMATS[x.code]
    bit = n << (8 * int(x.code[1:]) - 2) & form.sign
    return k.bitcast(k.bitcast(x, form.integer) ^ bit, x.code)


@in_single
def sin(k: Emitter, x: Val) -> Val:
    """The sine of x in radians."""
    sine, cosine, n = _quarters(k, x)
    return _signed(k, k.select(k.equal(n & 1, 0), sine, cosine), n)


@in_single
def cos(k: Emitter, x: Val) -> Val:
    """The cosine of x in radians."""
    sine, cosine, n = _quarters(k, x)
    return _signed(k, k.select(k.equal(n & 1, 0), cosine, sine), n + 1)


#: (tan(r)/r - 1)/r² in powers of r².
_TANGENT = {
    "f4": (
        0.33333155512809753, 0.1333886682987213, 0.053405579179525375, 0.0244508795440197, 0.003086051670834422,
        0.009405786171555519,
    ),
    "f8": (
        0.3333333333333338, 0.13333333333325567, 0.05396825397278073, 0.021869488402693517,
        0.008863237867276223, 0.003592101461767435, 0.0014560413888414627, 0.0005888854345133446,
        0.00024367667570820523, 8.374906764648668e-05, 6.687616432102623e-05, -2.5197199116727632e-05,
        4.827209558286538e-05, -2.409403931963334e-05, 9.759088859357781e-06,
    ),
}  # fmt: skip


@in_single
def tan(k: Emitter, x: Val) -> Val:
    """The tangent of x in radians: t = tan(r), or -1 / t in odd quarters; r with what rounding took from it."""
    r, n, tail = _reduced(k, x)
    z = r * r
    more = r * z * polynomial(k, z, _TANGENT[x.code])
    t = r + more
    t = k.copysign(r + k.fma(tail + _tail(k, x, r, n), k.fma(t, t, 1), more), r)
    even = k.equal(n & 1, 0)
    return k.select(even, t, -1) / k.select(even, k.const(1, x.code, x.lanes), t)


def _tail(k: Emitter, x: Val, r: Val, n: Val) -> Val:
    """What rounding took from r in the sum of parts of π/2; 0 for huge x, and where r is small and so is its error."""
    c = _CIRCLE[x.code]
    turns = k.bitcast(n, x.code) - FORMATS[x.code].shifter
    parts = c.half_pi if k.target.fma else c.short_parts
    tail = x
    for part in parts[:-2]:
        tail = k.fma(turns, -part, tail)
    tail = tail - r  # exact up to here, for r is far larger than the other parts
    for part in parts[-2:]:
        tail = k.fma(turns, -part, tail)
    return k.select((k.abs(x) < c.limit) & (k.abs(r) > 0.001), tail, 0)
