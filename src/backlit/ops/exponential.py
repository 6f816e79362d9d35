"""Exponentials and logarithms."""

from __future__ import annotations

import numpy as np

from ..graph.op import elementwise

exp = elementwise(
    "exp", "e to the power of x.", eval=np.exp, partials=(lambda out, x: out,), saves="out", dtypes="floating-point",
    array_api=True, onnx="Exp", latex="e^{{{0}}}", samples=[(-4, 4)],
)  # fmt: skip
