"""The inverse of the error function, by which uniform numbers become normal ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph.op import elementwise
from .exponential import exp

# Giles 2010, 'Approximating the erfinv function' (GPU Computing Gems 2), single precision: in w = -log(1 - x²).
_NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_FAR = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip

# Wichura 1988, algorithm AS 241 (PPND16): the normal quantile to 16 digits, as quotients of polynomials.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
     1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
     687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    """Horner's scheme, in one array."""
    found = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        found *= x
        found += c
    return found


def _quotient(pair: tuple[tuple[float, ...], tuple[float, ...]], x: Any) -> Any:
    return _polynomial(pair[0], x) / _polynomial(pair[1], x)


def _single(x: Any) -> Any:
    w = -np.log((1 - x) * (1 + x))
    far = w >= 5
    found = _polynomial(_NEAR, w - x.dtype.type(2.5))
    if far.any():
        found[far] = _polynomial(_FAR, np.sqrt(w[far]) - x.dtype.type(3))
    return found * x


def _double(x: Any) -> Any:
    q = x / 2
    found = q * _quotient(_CENTRE, 0.180625 - q * q)
    outer = abs(q) > 0.425
    if outer.any():
        r = np.sqrt(-np.log((1 - abs(x[outer])) / 2))
        tail = r > 5
        size = _quotient(_MIDDLE, r - 1.6)
        if tail.any():
            size[tail] = _quotient(_TAIL, r[tail] - 5)
        found[outer] = np.copysign(size, x[outer])
    return found * math.sqrt(0.5)


def inverse_erf(x: Any, /) -> Any:
    """The number whose error function is `x`; infinite at -1 and 1, NaN beyond them."""
    x = np.asarray(x)
    flat = np.atleast_1d(x)
    with np.errstate(divide="ignore", invalid="ignore"):  # -1 and 1 are legal; their inverse is infinite
        found = _double(flat) if x.dtype == np.float64 else _single(flat.astype(np.float32))
        found = np.where(abs(flat) == 1, flat * np.inf, found)
    return found.astype(x.dtype, copy=False).reshape(x.shape)[()]


def _native(k: Any, x: Any) -> Any:
    found = _native_double(k, x) if x.code == "f8" else k.cast(_native_single(k, k.cast(x, "f4")), x.code)
    return k.select(k.equal(k.abs(x), 1), x * math.inf, found)


def _native_single(k: Any, x: Any) -> Any:
    w = -k.log((1 - x) * (1 + x))
    near, far = k.polynomial(w - 2.5, _NEAR[::-1]), k.polynomial(k.sqrt(w) - 3, _FAR[::-1])
    return k.select(w >= 5, far, near) * x


def _native_double(k: Any, x: Any) -> Any:
    q = x * 0.5
    r = k.sqrt(-k.log((1 - k.abs(x)) * 0.5))
    centre, tail = k.abs(q) <= 0.425, r > 5
    at = k.select(centre, 0.180625 - q * q, k.select(tail, r - 5, r - 1.6))
    over, under = (
        k.select(centre, c, k.select(tail, t, m))
        for c, m, t in ([k.polynomial(at, p[i][::-1]) for p in (_CENTRE, _MIDDLE, _TAIL)] for i in (0, 1))
    )
    size = over / under
    return k.select(centre, q * size, k.copysign(size, x)) * math.sqrt(0.5)


erfinv = elementwise(
    "erfinv", "The inverse of the error function: erf(erfinv(x)) = x, for x in (-1, 1).",
    eval=inverse_erf, partials=(lambda out, x: (math.sqrt(math.pi) / 2) / exp(-(out**2)),), saves="out",
    native=_native,
    dtypes="real floating-point",
    traits=["singular", "dear"], latex="\\mathrm{{erf}}^{{-1}}\\,{0}", samples=[(-0.9, 0.9)],
)  # fmt: skip
