"""Arithmetic, element by element: the four operations, division with remainder, magnitude and sign, powers."""

from __future__ import annotations

import cmath
import math
import operator
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX, INTEGER, WEAK
from ..base.errors import ArgumentError
from ..graph.op import elementwise
from .bits import logical_and
from .comparison import equal, greater_equal, nonzero, where
from .complex import conj, real
from .exponential import log

add = elementwise(
    "add", "x1 + x2.", eval=operator.add, partials=(1, 1), saves="", traits=["commutative", "jointly_linear"],
    native=lambda k, a, b: a + b,
    array_api=True, onnx="Add", latex="{0} + {1}", samples=[(-3, 3), (-3, 3)],
)  # fmt: skip
subtract = elementwise(
    "subtract", "x1 - x2.", eval=operator.sub, partials=(1, -1), saves="", traits=["jointly_linear"],
    native=lambda k, a, b: a - b,
    array_api=True, onnx="Sub", latex="{0} - {1}", samples=[(-3, 3), (-3, 3)],
)  # fmt: skip
multiply = elementwise(
    "multiply", "x1 · x2.", eval=operator.mul, partials=(lambda out, x1, x2: x2, lambda out, x1, x2: x1), saves="x1 x2",
    native=lambda k, a, b: a * b,
    traits="commutative", array_api=True, onnx="Mul", latex="{0} \\cdot {1}", samples=[(-3, 3), (-3, 3)],
)  # fmt: skip
divide = elementwise(
    "divide", "x1 / x2.", eval=operator.truediv,
    native=lambda k, a, b: a / b,
    partials=(lambda out, x1, x2: 1 / x2, lambda out, x1, x2: -out / x2), saves="out x2", dtypes="floating-point",
    traits="singular", array_api=True, onnx="Div", latex="\\frac{{{0}}}{{{1}}}",
    samples=[(-3, 3), [(-3, -0.5), (0.5, 3)]],
)  # fmt: skip
negative = elementwise(
    "negative", "-x.", eval=operator.neg, partials=(-1,), saves="", array_api=True, onnx="Neg", latex="-{0}",
    native=lambda k, x: -x,
    samples=[(-3, 3)],
)  # fmt: skip
positive = elementwise(
    "positive", "+x.", eval=operator.pos, partials=(1,), saves="", array_api=True, onnx="Identity", latex="{0}",
    native=lambda k, x: x,
    samples=[(-3, 3)],
)  # fmt: skip
reciprocal = elementwise(
    "reciprocal", "1 / x.", eval=lambda x: 1 / x, partials=(lambda out, x: -out / x,),
    native=lambda k, x: 1 / x,
    dtypes="floating-point", traits="singular", array_api=True, onnx="Reciprocal", latex="\\frac{{1}}{{{0}}}",
    samples=[[(-3, -0.5), (0.5, 3)]],
)  # fmt: skip


def guarded_product(x1: Any, x2: Any, /) -> Any:
    """The product, and 0 where `x1` is 0, whatever `x2` is; on NumPy values."""
    if not isinstance(x1, np.ndarray) and not isinstance(x2, np.ndarray):
        return x1 * x2 if x1 else np.result_type(x1, x2).type(0)
    product = x1 * x2
    if np.isfinite(product).all():
        return product
    return np.where(x1 == 0, product.dtype.type(0), product)


def masked_product(x1: Any, x2: Any, /) -> Any:
    """The product, and 0 where either factor is 0, whatever the other is; on NumPy values."""
    if not isinstance(x1, np.ndarray) and not isinstance(x2, np.ndarray):
        return x1 * x2 if x1 and x2 else np.result_type(x1, x2).type(0)
    product = x1 * x2
    if np.isfinite(product).all():
        return product
    return np.where((x1 == 0) | (x2 == 0), product.dtype.type(0), product)


guarded_multiply = elementwise(
    "guarded_multiply",
    "x1 · x2, and 0 where x1 is 0: a cotangent that carries nothing adds nothing, past any pole. But an infinite one "
    "times a partial of 0 stays NaN, because there the chain rule says nothing.",
    eval=guarded_product, partials=(lambda out, x1, x2: x2, lambda out, x1, x2: x1), saves="x1 x2",
    native=lambda k, a, b: k.select(k.equal(a, 0), 0, a * b),
    traits=["masked", "selects"],
    dtypes="floating-point", namespace="hidden", latex="{0} \\cdot {1}", samples=[[(-3, -0.5), (0.5, 3)], (-3, 3)],
)  # fmt: skip
masked_multiply = elementwise(
    "masked_multiply",
    "x1 · x2, and 0 where either is 0: what the derivatives of `guarded_multiply` are made of.",
    eval=masked_product, partials=(lambda out, x1, x2: x2, lambda out, x1, x2: x1), saves="x1 x2",
    native=lambda k, a, b: k.select(k.equal(a, 0) | k.equal(b, 0), 0, a * b),
    traits=["commutative", "masked", "selects"],
    dtypes="floating-point", namespace="hidden", latex="{0} \\cdot {1}", samples=[[(-3, -0.5), (0.5, 3)], (-3, 3)],
)  # fmt: skip

# --- division with remainder -----------------------------------------------------------------------

floor_divide = elementwise(
    "floor_divide", "x1 / x2 rounded down; the derivative is 0.", eval=operator.floordiv, partials=(0, 0), saves="",
    native=lambda k, a, b: k.floor_divide(a, b),
    dtypes="real numeric", array_api=True, latex="\\left\\lfloor \\frac{{{0}}}{{{1}}} \\right\\rfloor",
    samples=[[(-2.7, -2.3), (2.3, 2.7)], (1, 1.1)],
)  # fmt: skip
remainder = elementwise(
    "remainder", "x1 - x2·floor(x1 / x2), with the sign of x2.", eval=operator.mod,
    native=lambda k, a, b: k.modulo(a, b),
    partials=(1, lambda out, x1, x2: -floor_divide(x1, x2)), saves="x1 x2", dtypes="real numeric",
    array_api=True, onnx="Mod", latex="{0} \\bmod {1}", samples=[[(-2.7, -2.3), (2.3, 2.7)], (1, 1.1)],
)  # fmt: skip

# --- magnitude and sign ----------------------------------------------------------------------------


def _sign_vjp(g: Any, out: Any, x: Any) -> tuple[Any]:
    if x.dtype.char not in COMPLEX:
        return (None,)
    r = abs_(x)
    return (where(equal(r, 0), 0, g - out * real(g * conj(out))) / nonzero(r),)


sign = elementwise(
    "sign", "-1, 0 or 1; of a complex number x / |x|. The derivative for real numbers is 0.", eval=np.sign,
    native=lambda k, x: k.select(x > 0, 1, k.select(x < 0, -1, x)),
    vjp=_sign_vjp, array_api=True, onnx="Sign", latex="\\mathrm{{sgn}}({0})", samples=[[(-3, -0.5), (0.5, 3)]],
)  # fmt: skip


def _abs_partial(out: Any, x: Any) -> Any:
    return conj(sign(x)) if x.dtype.char in COMPLEX else sign(x)


abs_ = elementwise(
    "abs", "The magnitude of x; at 0 the gradient is 0.", eval=operator.abs, partials=(_abs_partial,), saves="x",
    native=lambda k, x: k.abs(x),
    result="real", array_api=True, onnx="Abs", latex="\\left|{0}\\right|", samples=[[(-3, -0.5), (0.5, 3)]],
)  # fmt: skip
hypot = elementwise(
    "hypot", "sqrt(x1² + x2²), computed without overflow; at the origin the gradient is 0.", eval=np.hypot,
    native=lambda k, a, b: k.hypot(a, b),
    partials=(lambda out, x1, x2: x1 / nonzero(out), lambda out, x1, x2: x2 / nonzero(out)),
    dtypes="real floating-point", traits="commutative", array_api=True, latex="\\sqrt{{{0}^2 + {1}^2}}",
    samples=[[(-3, -0.5), (0.5, 3)], [(-3, -0.5), (0.5, 3)]],
)  # fmt: skip

# --- powers ----------------------------------------------------------------------------------------

square = elementwise(
    "square", "x².", eval=lambda x: x * x, partials=(lambda out, x: 2 * x,), saves="x",
    native=lambda k, x: x * x,
    array_api=True, latex="{0}^2", samples=[(-3, 3)],
)  # fmt: skip
sqrt = elementwise(
    "sqrt", "The square root.", eval=np.sqrt, partials=(lambda out, x: 0.5 / out,), saves="out",
    native=lambda k, x: k.sqrt(x),
    dtypes="floating-point", traits="singular", array_api=True, onnx="Sqrt", latex="\\sqrt{{{0}}}", samples=[(0.2, 4)],
)  # fmt: skip
rsqrt = elementwise(
    "rsqrt", "1 / sqrt(x).", eval=lambda x: 1 / np.sqrt(x), partials=(lambda out, x: -0.5 * out / x,),
    native=lambda k, x: 1 / k.sqrt(x),
    dtypes="floating-point", traits="singular", latex="\\frac{{1}}{{\\sqrt{{{0}}}}}", samples=[(0.2, 4)],
)  # fmt: skip


def _power(x1: Any, x2: Any, /) -> Any:
    try:
        return x1**x2
    except ValueError:
        dtype = getattr(x1, "dtype", None) or x2.dtype
        if dtype.char in INTEGER and np.any(np.asarray(x2) < 0):
            raise ArgumentError(
                f"pow: {dtype.name} to a negative integer power is no integer. Take a floating-point base, "
                "for example x.astype(bl.float32)."
            ) from None
        raise


def _by_base(out: Any, x1: Any, x2: Any) -> Any:
    if type(x2) in WEAK:
        return 0 if x2 == 0 else x2 * pow_(x1, x2 - 1)
    # 0 · 0^-1 at 0^0, where the derivative is 0
    return x2 * pow_(x1, where(logical_and(equal(x1, 0), equal(x2, 0)), 0, x2 - 1))


def _by_exponent(out: Any, x1: Any, x2: Any) -> Any:
    if type(x1) in WEAK:
        if isinstance(x1, complex):
            return out * (cmath.log(x1) if x1 else 0)
        return out * (math.log(x1) if x1 > 0 else 0.0 if x1 == 0 else math.nan)
    # 0^x2 is 0 on the right of x2 = 0, so its derivative is 0 there, though log(0) is not finite
    flat = logical_and(equal(x1, 0), greater_equal(real(x2) if _is_complex(x2) else x2, 0))
    return out * log(where(flat, 1, x1))


def _is_complex(x: Any) -> bool:
    return x.dtype.char in COMPLEX if hasattr(x, "dtype") else isinstance(x, complex)


pow_ = elementwise(
    "pow", "x1 to the power of x2. At x1 = 0 the gradients are 0 where a limit from the right is.",
    eval=_power, partials=(_by_base, _by_exponent), traits=["singular", "dear"], array_api=True, onnx="Pow",
    native=lambda k, a, b: k.pow(a, b),
    latex="{0}^{{{1}}}", samples=[(0.5, 2.5), (-2, 3)],
)  # fmt: skip
