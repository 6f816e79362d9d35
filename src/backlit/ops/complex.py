"""Real and imaginary parts, conjugation, angle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX
from ..graph.op import elementwise
from .comparison import equal, nonzero, where
from .movement import astype

conj = elementwise(
    "conj", "The complex conjugate.", eval=np.conjugate, transpose=(lambda g, x: conj(g),), saves="", array_api=True,
    native=lambda k, x: x,
    latex="\\overline{{{0}}}", samples=[(-2, 2)],
)  # fmt: skip


def _from_imag(g: Any, x: Any) -> Any:
    return astype(g, x.dtype) * (1j if x.dtype.char in COMPLEX else 0)


real = elementwise(
    "real", "The real part.", eval=lambda x: np.real(x).copy()[()], transpose=(lambda g, x: astype(g, x.dtype),),
    native=lambda k, x: x,
    saves="", result="real", array_api=True, latex="\\mathrm{{Re}}\\,{0}", samples=[(-2, 2)],
)  # fmt: skip
imag = elementwise(
    "imag", "The imaginary part.", eval=lambda x: np.imag(x).copy()[()], transpose=(_from_imag,),
    native=lambda k, x: k.const(0, x.code, x.lanes),
    saves="", result="real", array_api=True, latex="\\mathrm{{Im}}\\,{0}", samples=[(-2, 2)],
)  # fmt: skip


def _angle_partial(out: Any, x: Any) -> Any:
    if x.dtype.char not in COMPLEX:
        return 0
    return where(equal(x, 0), 0, -1j / nonzero(x))


angle = elementwise(
    "angle", "The angle of a complex number, from -π to π; at 0 the gradient counts as 0.",
    eval=lambda x: np.arctan2(np.imag(x), np.real(x)), partials=(_angle_partial,), saves="x", dtypes="floating-point",
    native=lambda k, x: k.select(k.is_nan(x), x, k.select(k.sign_bit(x), k.const(math.pi, x.code, x.lanes), 0)),
    result="real", latex="\\arg({0})", samples=[[(-3, -0.5), (0.5, 3)]],
)  # fmt: skip
