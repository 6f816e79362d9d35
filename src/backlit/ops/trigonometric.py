"""Circular and hyperbolic functions, and their inverses."""

from __future__ import annotations

import numpy as np

from ..graph.op import elementwise
from .arithmetic import hypot, rsqrt, sqrt
from .comparison import nonzero

sin = elementwise(
    "sin", "The sine of x in radians.", eval=np.sin, partials=(lambda out, x: cos(x),), saves="x",
    native=lambda k, x: k.sin(x),
    dtypes="floating-point", array_api=True, onnx="Sin", latex="\\sin({0})", traits="dear", samples=[(-4, 4)],
)  # fmt: skip
cos = elementwise(
    "cos", "The cosine of x in radians.", eval=np.cos, partials=(lambda out, x: -sin(x),), saves="x",
    native=lambda k, x: k.cos(x),
    dtypes="floating-point", array_api=True, onnx="Cos", latex="\\cos({0})", traits="dear", samples=[(-4, 4)],
)  # fmt: skip
tan = elementwise(
    "tan", "The tangent of x in radians.", eval=np.tan, partials=(lambda out, x: 1 + out * out,), saves="out",
    native=lambda k, x: k.tan(x),
    dtypes="floating-point", array_api=True, onnx="Tan", latex="\\tan({0})", traits="dear", samples=[(-1.2, 1.2)],
)  # fmt: skip
asin = elementwise(
    "asin", "The angle from -π/2 to π/2 whose sine is x.", eval=np.arcsin,
    native=lambda k, x: k.asin(x),
    partials=(lambda out, x: rsqrt((1 - x) * (1 + x)),), saves="x", dtypes="floating-point",
    traits=["singular", "dear"],
    array_api=True, onnx="Asin", latex="\\arcsin({0})", samples=[(-0.8, 0.8)],
)  # fmt: skip
acos = elementwise(
    "acos", "The angle from 0 to π whose cosine is x.", eval=np.arccos,
    native=lambda k, x: k.acos(x),
    partials=(lambda out, x: -rsqrt((1 - x) * (1 + x)),), saves="x", dtypes="floating-point",
    traits=["singular", "dear"],
    array_api=True, onnx="Acos", latex="\\arccos({0})", samples=[(-0.8, 0.8)],
)  # fmt: skip
atan = elementwise(
    "atan", "The angle from -π/2 to π/2 whose tangent is x.", eval=np.arctan,
    native=lambda k, x: k.atan(x),
    partials=(lambda out, x: 1 / (1 + x * x),), saves="x", dtypes="floating-point",
    array_api=True, onnx="Atan", latex="\\arctan({0})", traits="dear", samples=[(-4, 4)],
)  # fmt: skip
atan2 = elementwise(
    "atan2", "The angle of the point (x2, x1), from -π to π; at the origin the gradient counts as 0.", eval=np.arctan2,
    native=lambda k, a, b: k.atan2(a, b),
    partials=(
        lambda out, x1, x2: x2 / (r := nonzero(hypot(x1, x2))) / r,
        lambda out, x1, x2: -x1 / (r := nonzero(hypot(x1, x2))) / r,
    ),
    saves="x1 x2", dtypes="real floating-point", array_api=True, latex="\\mathrm{{atan2}}({0}, {1})",
    traits="dear", samples=[[(-3, -0.5), (0.5, 3)], [(-3, -0.5), (0.5, 3)]],
)  # fmt: skip

sinh = elementwise(
    "sinh", "The hyperbolic sine.", eval=np.sinh, partials=(lambda out, x: cosh(x),), saves="x",
    native=lambda k, x: k.sinh(x),
    dtypes="floating-point", array_api=True, onnx="Sinh", latex="\\sinh({0})", traits="dear", samples=[(-3, 3)],
)  # fmt: skip
cosh = elementwise(
    "cosh", "The hyperbolic cosine.", eval=np.cosh, partials=(lambda out, x: sinh(x),), saves="x",
    native=lambda k, x: k.cosh(x),
    dtypes="floating-point", array_api=True, onnx="Cosh", latex="\\cosh({0})", traits="dear", samples=[(-3, 3)],
)  # fmt: skip
tanh = elementwise(
    "tanh", "The hyperbolic tangent.", eval=np.tanh, partials=(lambda out, x: 1 - out * out,), saves="out",
    native=lambda k, x: k.tanh(x),
    dtypes="floating-point", array_api=True, onnx="Tanh", latex="\\tanh({0})", traits="dear", samples=[(-3, 3)],
)  # fmt: skip
asinh = elementwise(
    "asinh", "The number whose hyperbolic sine is x.", eval=np.arcsinh, partials=(lambda out, x: rsqrt(1 + x * x),),
    native=lambda k, x: k.asinh(x),
    saves="x", dtypes="floating-point", array_api=True, onnx="Asinh", latex="\\mathrm{{arsinh}}({0})",
    traits="dear", samples=[(-4, 4)],
)  # fmt: skip
acosh = elementwise(
    "acosh", "The number not below 0 whose hyperbolic cosine is x.", eval=np.arccosh,
    native=lambda k, x: k.acosh(x),
    partials=(lambda out, x: rsqrt(x - 1) / sqrt(x + 1),), saves="x", dtypes="floating-point",
    traits=["singular", "dear"],
    array_api=True, onnx="Acosh", latex="\\mathrm{{arcosh}}({0})", samples=[(1.3, 4)],
)  # fmt: skip
atanh = elementwise(
    "atanh", "The number whose hyperbolic tangent is x.", eval=np.arctanh,
    native=lambda k, x: k.atanh(x),
    partials=(lambda out, x: 1 / ((1 - x) * (1 + x)),), saves="x", dtypes="floating-point", traits=["singular", "dear"],
    array_api=True, onnx="Atanh", latex="\\mathrm{{artanh}}({0})", samples=[(-0.8, 0.8)],
)  # fmt: skip
