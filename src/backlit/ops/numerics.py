"""NumPy kernels of special functions, accurate to a few units in the last place of float64.

All compute in float64 and return the dtype that came in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Kernel = Callable[..., Any]
Array = np.ndarray[Any, Any]


def in_double(kernel: Kernel) -> Kernel:
    """Let a kernel written for flat float64 arrays take real values of any dtype and shape."""

    def wrapped(x: Any, /, *args: Any) -> Any:
        flat = np.asarray(x, np.float64).reshape(-1)
        with np.errstate(all="ignore"):  # each branch is computed where another one is right
            found = kernel(flat, *args)
        return found.astype(x.dtype, copy=False).reshape(x.shape)[()]

    wrapped.__doc__ = kernel.__doc__
    return wrapped


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """The polynomial whose coefficients are given from the highest power down (Horner's scheme)."""
    found = x * coefficients[0]
    for c in coefficients[1:-1]:
        found += c
        found *= x
    found += coefficients[-1]
    return found


# --- error function --------------------------------------------------------------------------------
# W. J. Cody, 'Rational Chebyshev approximations for the error function', Math. Comp. 23 (1969), in the
# form of his SPECFUN routine CALERF: erf by one quotient near 0, erfc by two others further out.

_ERF = (
    [1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3],
    [1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3],
)  # fmt: skip
_ERFC_NEAR = (
    [2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3],
    [1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3],
)  # fmt: skip
_ERFC_FAR = (
    [1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4],
    [1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3],
)  # fmt: skip
_NEAR, _FAR, _VANISHES = 0.46875, 4.0, 27.3


def _quotient(x: Any, pair: tuple[list[float], list[float]]) -> Any:
    return polynomial(x, pair[0]) / polynomial(x, pair[1])


def _erf_near(x: Array) -> Array:
    return x * _quotient(x * x, _ERF)


def _erfc_of_positive(y: Array) -> Array:
    """erfc for y > 0.46875. exp(-y²) is split so that the rounding of y² does not enter it."""
    far = y > _FAR
    middle = ~far
    found = np.empty_like(y)
    found[middle] = _quotient(y[middle], _ERFC_NEAR)
    z = np.minimum(y[far], _VANISHES)
    w = 1 / (z * z)
    found[far] = (1 / math.sqrt(math.pi) - w * _quotient(w, _ERFC_FAR)) / z
    coarse = np.trunc(np.minimum(y, _VANISHES) * 16) / 16
    rest = np.minimum(y, _VANISHES) - coarse
    found *= np.exp(-coarse * coarse) * np.exp(-rest * (2 * coarse + rest))
    found[y > _VANISHES] = 0
    return found


@in_double
def _erf_double(x: Array) -> Array:
    found = _erf_near(x)
    outer = ~(abs(x) <= _NEAR)
    y = x[outer]
    found[outer] = np.copysign(1 - _erfc_of_positive(abs(y)), y) if y.size else y
    found[np.isnan(x)] = np.nan
    return found


#: One quotient for all of float32: x P(x²) / Q(x²), as Eigen and XLA have it; beyond the clamp erf rounds to 1.
_ERF_SINGLE = (
    [-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
     -2.95459980854025e-03, -1.60960333262415e-02],
    [-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02],
)  # fmt: skip


def erf(x: Any, /) -> Any:
    """2/√π times the integral of exp(-t²) from 0 to x."""
    if x.dtype != np.float32:
        return _erf_double(x)
    x = np.clip(x, -4, 4)
    return np.clip(x * _quotient(x * x, _ERF_SINGLE), -1, 1)


@in_double
def erfc(x: Array) -> Array:
    """1 - erf(x), exact to rounding also where it is tiny."""
    found = 1 - _erf_near(x)
    outer = ~(abs(x) <= _NEAR)
    y = x[outer]
    tail = _erfc_of_positive(abs(y))
    found[outer] = np.where(y < 0, 2 - tail, tail)
    found[np.isnan(x)] = np.nan
    return found


# --- logarithm of the gamma function ---------------------------------------------------------------

#: (1 - γ, then (-1)^n (ζ(n) - 1)/n for n = 2, 3, ...): ln Γ(2 + z) = Σ c_n z^n (Abramowitz & Stegun 6.1.33).
_ZETA_LESS_1 = [
    6.449340668482264365e-1, 2.020569031595942854e-1, 8.232323371113819152e-2, 3.692775514336992633e-2,
    1.734306198444913971e-2, 8.349277381922826839e-3, 4.077356197944339378e-3, 2.008392826082214418e-3,
    9.945751278180853371e-4, 4.941886041194645587e-4, 2.460865533080482986e-4, 1.227133475784891468e-4,
    6.124813505870482926e-5, 3.058823630702049355e-5, 1.528225940865187174e-5, 7.637197637899762274e-6,
    3.817293264999839856e-6, 1.908212716553938925e-6, 9.539620338727961132e-7, 4.769329867878064631e-7,
    2.384505027277329900e-7, 1.192199259653110730e-7, 5.960818905125947961e-8, 2.980350351465228019e-8,
    1.490155482836504124e-8, 7.450711789835429491e-9, 3.725334024788457055e-9,
]  # fmt: skip
_EULER = 0.577215664901532861
_GAMMA_SERIES = [
    *((-1) ** n * z / n for n, z in reversed(list(enumerate(_ZETA_LESS_1, 2)))), 1 - _EULER, 0.0,
]  # fmt: skip
#: The Bernoulli numbers B2, B4, ..., B20.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


@in_double
def lgamma(x: Array) -> Array:
    """ln |Γ(x)|: the series about 2, recurrence, Stirling's series from 8 on (A&S 6.1.33, 6.1.15, 6.1.40), reflection.

    On the negative axis it is accurate absolutely, not relatively to its zeros between the poles.
    """
    found = _lgamma_of_positive(abs(x))
    below = x < 0
    if below.any():
        z = -x[below]
        reflected = math.log(math.pi) - np.log(z * abs(_sin_pi(z))) - found[below]
        found[below] = np.where(np.isinf(z), np.inf, reflected)
    return found


def _lgamma_of_positive(x: Array) -> Array:
    found = np.where(np.isnan(x), x, np.inf)
    large = (x >= 8) & np.isfinite(x)
    z = x[large]
    w = 1 / (z * z)
    series = polynomial(w, [b / (2 * k * (2 * k - 1)) for k, b in reversed(list(enumerate(_BERNOULLI[:8], 1)))]) / z
    found[large] = (z - 0.5) * (np.log(z) - 1) + series + (0.5 * math.log(2 * math.pi) - 0.5)
    small = (x > 0) & (x < 8)
    z = x[small]
    product = np.ones_like(z)
    for _ in range(6):  # down to 1.5 ... 2.5
        high = z > 2.5
        z = np.where(high, z - 1, z)
        product = np.where(high, product * z, product)
    low, lower = z < 1.5, z < 0.5
    step = np.where(low & ~lower, np.log1p(z - 1), 0.0)  # near 1 the logarithm is of 1 + something exact
    product = np.where(lower, 1 / (z * (1 + z)), product)
    z = np.where(lower, z, np.where(low, z - 1, z - 2))  # now measured from 2
    found[small] = polynomial(z, _GAMMA_SERIES) - step + np.log(product)
    return found


def _sin_pi(x: Array) -> Array:
    return np.sin(math.pi * (x - np.rint(x))) * (1 - 2 * (np.rint(x) % 2))


# --- its derivatives -------------------------------------------------------------------------------

_STEPS = 10


@in_double
def digamma(x: Array) -> Array:
    """The derivative of ln Γ: asymptotic series after ten steps, reflection (A&S 6.3.18, 6.3.6, 6.3.7)."""
    below = x < 0
    z = np.where(below, 1 - x, x)
    found = np.zeros_like(z)
    for j in range(_STEPS):
        found -= 1 / (z + j)
    y = z + _STEPS
    w = 1 / (y * y)
    found += np.log(y) - 0.5 / y
    found -= w * polynomial(w, [b / (2 * k) for k, b in reversed(list(enumerate(_BERNOULLI, 1)))])
    if below.any():
        y = x[below]
        found[below] -= np.where(y == np.rint(y), np.nan, math.pi / np.tan(math.pi * (y - np.rint(y))))
    return found


@in_double
def polygamma(x: Array, n: int) -> Array:
    """The n-th derivative of digamma, n ≥ 1: as digamma, by A&S 6.4.11, 6.4.6 and 6.4.7."""
    sign = (-1) ** (n + 1)
    below = x < 0
    z = np.where(below, 1 - x, x)
    steps = _STEPS + n
    found = np.zeros_like(z)
    for j in range(steps):
        found += math.factorial(n) * (z + j) ** -(n + 1.0)
    y = z + steps
    w = 1 / (y * y)
    series = [b * math.factorial(2 * k + n - 1) / math.factorial(2 * k) for k, b in enumerate(_BERNOULLI, 1)]
    found += (math.factorial(n - 1) + math.factorial(n) / (2 * y) + w * polynomial(w, series[::-1])) * y ** -float(n)
    found *= sign
    if below.any():
        y = x[below]
        cot = 1 / np.tan(math.pi * (y - np.rint(y)))
        reflected = (-1) ** n * found[below] - math.pi ** (n + 1) * polynomial(cot, _cot_derivative(n))
        found[below] = np.where(y == np.rint(y), np.nan if n % 2 == 0 else np.inf, reflected)
    return found


def _cot_derivative(n: int) -> list[float]:
    """The n-th derivative of cot as a polynomial in cot, highest power first: p' becomes -(1 + c²) dp/dc."""
    p = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(n):
        p = p.deriv() * np.polynomial.Polynomial([-1.0, 0.0, -1.0])
    return p.coef[::-1].tolist()


# --- cardinal sine ---------------------------------------------------------------------------------


@in_double
def sinc(x: Array, order: int) -> Array:
    """The derivative of that order of sin(πx) / (πx): Taylor's series near 0, else t f⁽ⁿ⁾ + n f⁽ⁿ⁻¹⁾ = sin⁽ⁿ⁾(t)."""
    t = math.pi * x
    near = abs(t) < 2
    u = t[near]
    terms = [math.cos((order + m) * math.pi / 2) / ((order + m + 1) * math.factorial(m)) for m in range(25)]
    found = np.sin(t) / t
    for n in range(1, order + 1):
        found = (np.sin(t + n * math.pi / 2) - n * found) / t
    found[near] = polynomial(u, terms[::-1])
    return found * math.pi**order


def native_sinc(k: Any, x: Any, order: int) -> Any:
    """`sinc` in native code, in float64."""
    t = x * math.pi
    waves = [k.sin(t), k.cos(t), -k.sin(t), -k.cos(t)]
    found = waves[0] / t
    for n in range(1, order + 1):
        found = (waves[n % 4] - found * n) / t
    terms = [math.cos((order + m) * math.pi / 2) / ((order + m + 1) * math.factorial(m)) for m in range(25)]
    return k.select(k.abs(t) < 2, k.polynomial(t, terms), found) * math.pi**order
