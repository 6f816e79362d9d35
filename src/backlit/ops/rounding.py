"""Rounding, and the sign bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import FLOAT
from ..graph.op import elementwise
from .arithmetic import sign


def _round(x: Any, /) -> Any:
    return np.rint(x) if x.dtype.char in FLOAT else +x


floor = elementwise(
    "floor", "The largest integer not above x; the derivative is 0.", eval=np.floor, partials=(0,), saves="",
    native=lambda k, x: k.floor(x),
    dtypes="real numeric", traits="idempotent", array_api=True, onnx="Floor", latex="\\lfloor {0} \\rfloor",
    samples=[[(-1.9, -1.1), (0.1, 0.9)]],
)  # fmt: skip
ceil = elementwise(
    "ceil", "The smallest integer not below x; the derivative is 0.", eval=np.ceil, partials=(0,), saves="",
    native=lambda k, x: k.ceil(x),
    dtypes="real numeric", traits="idempotent", array_api=True, onnx="Ceil", latex="\\lceil {0} \\rceil",
    samples=[[(-1.9, -1.1), (0.1, 0.9)]],
)  # fmt: skip
trunc = elementwise(
    "trunc", "The integer next to x toward 0; the derivative is 0.", eval=np.trunc, partials=(0,), saves="",
    native=lambda k, x: k.trunc(x),
    dtypes="real numeric", traits="idempotent", array_api=True, latex="\\mathrm{{trunc}}({0})",
    samples=[[(-1.9, -1.1), (0.1, 0.9)]],
)  # fmt: skip
round = elementwise(
    "round", "The integer next to x, the even one of two; the derivative is 0.", eval=_round, partials=(0,), saves="",
    native=lambda k, x: k.rint(x),
    traits="idempotent", array_api=True, onnx="Round", latex="\\mathrm{{round}}({0})",
    samples=[[(-1.4, -0.6), (0.6, 1.4)]],
)  # fmt: skip

copysign = elementwise(
    "copysign", "The magnitude of x1 with the sign of x2.", eval=np.copysign,
    native=lambda k, a, b: k.copysign(a, b),
    partials=(lambda out, x1, x2: sign(x1) * copysign(1, x2), 0), saves="x1 x2", dtypes="real floating-point",
    array_api=True, latex="|{0}| \\, \\mathrm{{sgn}}({1})", samples=[[(-3, -0.5), (0.5, 3)], [(-3, -0.5), (0.5, 3)]],
)  # fmt: skip
signbit = elementwise(
    "signbit", "True where the sign bit of x is set, for -0.0 too.", eval=np.signbit,
    native=lambda k, x: k.sign_bit(x),
    nondiff="the result is boolean: it jumps, and is constant in between", dtypes="real floating-point",
    result="boolean", array_api=True, latex="\\mathrm{{signbit}}({0})", samples=[(-2, 2)],
)  # fmt: skip
nextafter = elementwise(
    "nextafter", "The next number after x1 toward x2 that the dtype can represent.", eval=np.nextafter,
    native=lambda k, a, b: k.nextafter(a, b),
    nondiff="it moves by one unit in the last place, which is no function of real numbers",
    dtypes="real floating-point", array_api=True, latex="\\mathrm{{nextafter}}({0}, {1})", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
