"""The error function of `Val`s, its complement and its inverse.

Near 0 erf is x times a minimax polynomial in x². Further out erfc(x) = exp(-x²)·P(t) / (1 + 2x) with P a minimax
polynomial in t = (x - K) / (x + K) (Shepherd & Laframboise, 'Chebyshev approximation of (1 + 2x)·exp(x²)·erfc(x)',
Math. Comp. 36, 1981), and x² in two parts. In float32 erf takes 1 - exp(-t - t·P(t)) (Juffa's form), which is shorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exponentials import exp_of_sum
from .floats import in_double, in_single, polynomial, two_product
from .values import Val

if TYPE_CHECKING:
    from .emitter import Emitter


#: erf(x)/x - 1 in powers of x², for |x| ≤ 1.
_NEAR = {
    "f4": (
        0.12837916612625122, -0.3761262595653534, 0.1128358542919159, -0.026853810995817184, 0.00518832728266716,
        -0.0008010191959328949, 7.853857823647559e-05,
    ),
    "f8": (
        0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072893, 0.005223977624780838,
        -0.0008548326978740622, 0.000120553310368449, -1.4925593505645053e-05, 1.646097279815068e-06,
        -1.6350025034086767e-07, 1.4657878650325638e-08, -1.1365661644367267e-09, 5.945254923277616e-11,
    ),
}  # fmt: skip
#: P in float64, for x from 0.46 to 27.3, and what rounding took from its first coefficient.
_K = 3.75
_P = (
    1.2375126308378275, -0.1402405985855468, 0.003585415485466552, 0.08227673849012195, -0.10880393014189313,
    0.09230432116131099, -0.0586933985858082, 0.028362277402065362, -0.009746579610225818, 0.0017556260189838676,
    0.0002937140818216232, -0.00029015505499206993, 5.1647021794221296e-05, 2.238780913711403e-05,
    -1.1437452865966206e-05, -9.818224149237261e-07, 1.7376654277071748e-06, -4.540610592891383e-08,
    -2.4029473295961093e-07, 1.357894787134333e-08, 2.4589570611573593e-08,
)  # fmt: skip
_P_LOW = 9.800266655275479e-17
#: (-log(erfc(t)) - t)/t in powers of t, for t from 0.92 to 4, where erfc vanishes beside 1; for float32.
_FAR = (
    0.12864847481250763, 0.6351513266563416, 0.10623688995838165, -0.02376207523047924, 0.003642464755102992,
    -0.0003228052519261837, 1.1231449207116384e-05,
)  # fmt: skip


def _near(k: Emitter, x: Val) -> Val:
    """erf(x) for |x| ≤ 1."""
    return k.fma(x, polynomial(k, x * x, _NEAR[x.code]), x)


def _complement(k: Emitter, y: Val) -> Val:
    """erfc(y) for y from 0.46 on, in float64."""
    square, lost = two_product(k, y, y)
    t = (y - _K) / (y + _K)
    p = k.fma(t, polynomial(k, t, _P[1:]), _P_LOW) + _P[0]
    return exp_of_sum(k, -square, -lost) * p / (y + y + 1)


@in_single
def erf(k: Emitter, x: Val) -> Val:
    """2/√π times the integral of exp(-t²) from 0 to x."""
    y = k.abs(x)
    if x.code == "f4":
        y = k.smaller(4.0, y)
        found = k.select(y < 0.92, _near(k, y), 1 - k.exp(-k.fma(y, polynomial(k, y, _FAR), y)))
    else:
        y = k.smaller(6.0, y)
        found = k.select(y < 1, _near(k, y), 1 - _complement(k, y))
    return k.copysign(found, x)


@in_double
def erfc(k: Emitter, x: Val) -> Val:
    """1 - erf(x), exact to rounding also where it is tiny."""
    y = k.smaller(28.0, k.abs(x))  # beyond it is 0
    tail = _complement(k, y)
    return k.select(y < 0.47, 1 - _near(k, x), k.select(x < 0, 2 - tail, tail))
