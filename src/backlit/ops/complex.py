"""Real and imaginary parts, conjugation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX
from ..graph.op import elementwise
from .movement import astype

conj = elementwise(
    "conj", "The complex conjugate.", eval=np.conjugate, transpose=(lambda g, x: conj(g),), saves="", array_api=True,
    latex="\\overline{{{0}}}",
)  # fmt: skip


def _from_imag(g: Any, x: Any) -> Any:
    return astype(g, x.dtype) * (1j if x.dtype.char in COMPLEX else 0)


real = elementwise(
    "real", "The real part.", eval=lambda x: np.real(x).copy()[()], transpose=(lambda g, x: astype(g, x.dtype),),
    saves="", result="real", array_api=True, latex="\\mathrm{{Re}}\\,{0}",
)  # fmt: skip
imag = elementwise(
    "imag", "The imaginary part.", eval=lambda x: np.imag(x).copy()[()], transpose=(_from_imag,),
    saves="", result="real", array_api=True, latex="\\mathrm{{Im}}\\,{0}",
)  # fmt: skip
