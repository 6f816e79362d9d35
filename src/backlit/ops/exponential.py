"""Exponentials and logarithms."""

from __future__ import annotations

import math

import numpy as np

from ..graph.op import elementwise
from .comparison import finite_or_zero

exp = elementwise(
    "exp", "e to the power of x.", eval=np.exp, partials=(lambda out, x: out,), saves="out", dtypes="floating-point",
    native=lambda k, x: k.exp(x),
    array_api=True, onnx="Exp", latex="e^{{{0}}}", traits="dear", samples=[(-4, 4)],
)  # fmt: skip
expm1 = elementwise(
    "expm1", "exp(x) - 1, exact to rounding near 0.", eval=np.expm1, partials=(lambda out, x: out + 1,), saves="out",
    native=lambda k, x: k.expm1(x),
    dtypes="floating-point", array_api=True, latex="e^{{{0}}} - 1", traits="dear", samples=[(-4, 4)],
)  # fmt: skip
log = elementwise(
    "log", "The natural logarithm.", eval=np.log, partials=(lambda out, x: 1 / x,), saves="x", dtypes="floating-point",
    native=lambda k, x: k.log(x),
    traits=["singular", "dear"], array_api=True, onnx="Log", latex="\\ln {0}", samples=[(0.2, 4)],
)  # fmt: skip
log1p = elementwise(
    "log1p", "log(1 + x), exact to rounding near 0.", eval=np.log1p, partials=(lambda out, x: 1 / (1 + x),), saves="x",
    native=lambda k, x: k.log1p(x),
    dtypes="floating-point", traits=["singular", "dear"], array_api=True, latex="\\ln(1 + {0})", samples=[(-0.8, 4)],
)  # fmt: skip
log2 = elementwise(
    "log2", "The logarithm to base 2.", eval=np.log2, partials=(lambda out, x: (1 / math.log(2)) / x,), saves="x",
    native=lambda k, x: k.log2(x),
    dtypes="floating-point", traits=["singular", "dear"], array_api=True, latex="\\log_2 {0}", samples=[(0.2, 4)],
)  # fmt: skip
log10 = elementwise(
    "log10", "The logarithm to base 10.", eval=np.log10, partials=(lambda out, x: (1 / math.log(10)) / x,), saves="x",
    native=lambda k, x: k.log10(x),
    dtypes="floating-point", traits=["singular", "dear"], array_api=True, latex="\\log_{{10}} {0}", samples=[(0.2, 4)],
)  # fmt: skip
logaddexp = elementwise(
    "logaddexp", "log(exp(x1) + exp(x2)), computed without overflow; where both are -inf the gradient is 0.",
    eval=np.logaddexp,
    native=lambda k, a, b: k.logaddexp(a, b),
    partials=(
        lambda out, x1, x2: exp(x1 - finite_or_zero(out)),
        lambda out, x1, x2: exp(x2 - finite_or_zero(out)),
    ),
    dtypes="real floating-point", traits=["commutative", "dear"], array_api=True, latex="\\ln(e^{{{0}}} + e^{{{1}}})",
    samples=[(-4, 4), (-4, 4)],
)  # fmt: skip
