"""Special functions: error function, gamma and its logarithmic derivatives, cardinal sine."""

from __future__ import annotations

import math
from typing import Any

from ..base.errors import ArgumentError
from ..graph.op import elementwise
from . import numerics
from .exponential import exp

_SLOPE = 2 / math.sqrt(math.pi)

erf = elementwise(
    "erf", "The error function, 2/√π times the integral of exp(-t²) from 0 to x (Cody 1969).",
    eval=lambda x: numerics.erf(x), partials=(lambda out, x: _SLOPE * exp(-x * x),), saves="x",
    native=lambda k, x: k.erf(x),
    dtypes="real floating-point", onnx="Erf", latex="\\mathrm{{erf}}({0})", traits="dear", samples=[(-3, 3)],
)  # fmt: skip
erfc = elementwise(
    "erfc", "1 - erf(x), exact to rounding also where it is tiny (Cody 1969).", eval=lambda x: numerics.erfc(x),
    native=lambda k, x: k.erfc(x),
    partials=(lambda out, x: -_SLOPE * exp(-x * x),), saves="x", dtypes="real floating-point",
    latex="\\mathrm{{erfc}}({0})", traits="dear", samples=[(-3, 3)],
)  # fmt: skip
lgamma = elementwise(
    "lgamma", "ln |Γ(x)| (Abramowitz & Stegun 6.1.33, 6.1.40, and reflection); inf at the poles.",
    eval=lambda x: numerics.lgamma(x), partials=(lambda out, x: digamma(x),), saves="x", dtypes="real floating-point",
    latex="\\ln|\\Gamma({0})|", traits="dear", samples=[[(-1.8, -1.2), (0.3, 12)]],
)  # fmt: skip
digamma = elementwise(
    "digamma", "The derivative of ln Γ (Abramowitz & Stegun 6.3.18, and reflection); NaN at the poles below 0.",
    eval=lambda x: numerics.digamma(x), partials=(lambda out, x: polygamma(1, x),), saves="x",
    dtypes="real floating-point", latex="\\psi({0})", traits="dear", samples=[[(-1.8, -1.2), (0.3, 12)]],
)  # fmt: skip


def _polygamma_params(n: int, x: Any, /) -> Any:
    if not isinstance(n, int) or n < 0:
        raise ArgumentError(f"polygamma: the order n must be an integer of 0 or more, got {n!r}.")
    return (x,), {"n": n}


def _polygamma(x: Any, /, *, n: int) -> Any:
    return numerics.polygamma(x, n) if n else numerics.digamma(x)


polygamma = elementwise(
    "polygamma", "The n-th derivative of digamma at x (Abramowitz & Stegun 6.4.11, and reflection).",
    eval=_polygamma, prepare=_polygamma_params, partials=(lambda out, x, *, n: polygamma(n + 1, x),), saves="x",
    dtypes="real floating-point", latex="\\psi^{{(n)}}({0})",
    samples=lambda rng: [((n, rng.choice([-1.5, 2.5], 5) + rng.uniform(-0.2, 0.2, 5)), {}) for n in (0, 1, 2)],
)  # fmt: skip


def _native_sinc(k: Any, x: Any, *, order: int) -> Any:
    return k.cast(numerics.native_sinc(k, k.cast(x, "f8"), order), x.code)


sinc = elementwise(
    "sinc", "sin(πx) / (πx), and 1 at 0.", eval=lambda x: numerics.sinc(x, 0),
    native=lambda k, x: _native_sinc(k, x, order=0),
    partials=(lambda out, x: sinc_derivative(x, order=1),), saves="x", dtypes="real floating-point", array_api=False,
    latex="\\mathrm{{sinc}}({0})", samples=[(-3, 3)],
)  # fmt: skip


def _sinc_derivative(x: Any, /, *, order: int) -> Any:
    return numerics.sinc(x, order)


sinc_derivative = elementwise(
    "sinc_derivative", "The derivative of sinc of that order.", eval=_sinc_derivative, saves="x",
    native=_native_sinc,
    partials=(lambda out, x, *, order: sinc_derivative(x, order=order + 1),), dtypes="real floating-point",
    namespace="hidden", latex="\\mathrm{{sinc}}^{{(k)}}({0})",
    samples=lambda rng: [((rng.uniform(-3, 3, 5),), {"order": k}) for k in (1, 2)],
)  # fmt: skip
