"""Arithmetic, element by element."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..graph.op import elementwise

add = elementwise(
    "add", "x1 + x2.", eval=operator.add, partials=(1, 1), saves="", traits=["commutative", "jointly_linear"],
    array_api=True, onnx="Add", latex="{0} + {1}",
)  # fmt: skip
subtract = elementwise(
    "subtract", "x1 - x2.", eval=operator.sub, partials=(1, -1), saves="", traits=["jointly_linear"],
    array_api=True, onnx="Sub", latex="{0} - {1}",
)  # fmt: skip
multiply = elementwise(
    "multiply", "x1 · x2.", eval=operator.mul, partials=(lambda out, x1, x2: x2, lambda out, x1, x2: x1), saves="x1 x2",
    traits="commutative", array_api=True, onnx="Mul", latex="{0} \\cdot {1}",
)  # fmt: skip
divide = elementwise(
    "divide", "x1 / x2.", eval=operator.truediv,
    partials=(lambda out, x1, x2: 1 / x2, lambda out, x1, x2: -out / x2), saves="out x2", dtypes="floating-point",
    traits="singular", array_api=True, onnx="Div", latex="\\frac{{{0}}}{{{1}}}",
)  # fmt: skip
negative = elementwise(
    "negative", "-x.", eval=operator.neg, partials=(-1,), saves="", array_api=True, onnx="Neg", latex="-{0}",
)  # fmt: skip


def guarded_product(x1: Any, x2: Any, /) -> Any:
    """The product, and 0 where `x1` is 0, whatever `x2` is; on NumPy values."""
    if not isinstance(x1, np.ndarray) and not isinstance(x2, np.ndarray):
        return x1 * x2 if x1 else x1
    product = x1 * x2
    if np.isfinite(product).all():
        return product
    return np.where(x1 == 0, product.dtype.type(0), product)


guarded_multiply = elementwise(
    "guarded_multiply",
    "x1 · x2, and 0 where x1 is 0, whatever x2 is: a path that carries nothing adds nothing, even across a singularity.",
    eval=guarded_product, partials=(lambda out, x1, x2: x2, lambda out, x1, x2: x1), saves="x1 x2", traits="singular",
    dtypes="floating-point", namespace="hidden", latex="{0} \\cdot {1}",
)  # fmt: skip
