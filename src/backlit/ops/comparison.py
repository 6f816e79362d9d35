"""Comparing elements, and choosing between them."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..base.dtypes import BOOL, WEAK, scalar_dtype
from ..base.errors import DtypeError
from ..base.shapes import broadcast
from ..graph.op import elementwise
from ..graph.opdef import Spec
from .bits import logical_and, logical_or
from .movement import astype

STEP = "the result is boolean: it jumps, and is constant in between"

equal = elementwise(
    "equal", "x1 = x2.", eval=operator.eq, nondiff=STEP, dtypes="any", result="boolean", traits="commutative",
    native=lambda k, a, b: k.equal(a, b),
    array_api=True, onnx="Equal", latex="{0} = {1}", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
not_equal = elementwise(
    "not_equal", "x1 ≠ x2.", eval=operator.ne, nondiff=STEP, dtypes="any", result="boolean", traits="commutative",
    native=lambda k, a, b: k.not_equal(a, b),
    array_api=True, latex="{0} \\neq {1}", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
less = elementwise(
    "less", "x1 < x2.", eval=operator.lt, nondiff=STEP, dtypes="real numeric", result="boolean",
    native=lambda k, a, b: a < b,
    array_api=True, onnx="Less", latex="{0} < {1}", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
less_equal = elementwise(
    "less_equal", "x1 ≤ x2.", eval=operator.le, nondiff=STEP, dtypes="real numeric", result="boolean",
    native=lambda k, a, b: a <= b,
    array_api=True, onnx="LessOrEqual", latex="{0} \\leq {1}", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
greater = elementwise(
    "greater", "x1 > x2.", eval=operator.gt, nondiff=STEP, dtypes="real numeric", result="boolean",
    native=lambda k, a, b: a > b,
    array_api=True, onnx="Greater", latex="{0} > {1}", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
greater_equal = elementwise(
    "greater_equal", "x1 ≥ x2.", eval=operator.ge, nondiff=STEP, dtypes="real numeric", result="boolean",
    native=lambda k, a, b: a >= b,
    array_api=True, onnx="GreaterOrEqual", latex="{0} \\geq {1}", samples=[(-2, 2), (-2, 2)],
)  # fmt: skip
isfinite = elementwise(
    "isfinite", "True where x is neither infinite nor NaN.", eval=np.isfinite, nondiff=STEP, result="boolean",
    native=lambda k, x: k.is_finite(x),
    array_api=True, latex="\\mathrm{{isfinite}}({0})", samples=[(-2, 2)],
)  # fmt: skip
isinf = elementwise(
    "isinf", "True where x is infinite.", eval=np.isinf, nondiff=STEP, result="boolean",
    native=lambda k, x: k.is_infinite(x),
    array_api=True, onnx="IsInf", latex="\\mathrm{{isinf}}({0})", samples=[(-2, 2)],
)  # fmt: skip
isnan = elementwise(
    "isnan", "True where x is NaN.", eval=np.isnan, nondiff=STEP, result="boolean",
    native=lambda k, x: k.is_not_a_number(x),
    array_api=True, onnx="IsNaN", latex="\\mathrm{{isnan}}({0})", samples=[(-2, 2)],
)  # fmt: skip


def _isclose(x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    return np.isclose(x1, x2, rtol, atol, equal_nan)


def _native_isclose(k: Any, x1: Any, x2: Any, *, rtol: float, atol: float, equal_nan: bool) -> Any:
    if x1.code[0] != "f":
        x1, x2 = k.cast(x1, "f8"), k.cast(x2, "f8")
    near = k.abs(x1 - x2) <= k.abs(x2) * rtol + atol
    found = near & k.is_finite(x2) | k.equal(x1, x2)
    return found | k.is_nan(x1) & k.is_nan(x2) if equal_nan else found


isclose = elementwise(
    "isclose", "|x1 - x2| ≤ atol + rtol·|x2|; two NaN are close where `equal_nan`.", eval=_isclose, nondiff=STEP,
    native=_native_isclose, result="boolean", latex="{0} \\approx {1}",
    samples=lambda rng: [
        ((x := rng.uniform(-2, 2, (3, 4)), x + rng.choice([0, 1e-9, 0.1], 4)), {}),
        ((x, x + 0.01), {"rtol": 0.0, "atol": 0.02}),
        ((np.array([np.nan, 1.0]), np.array([np.nan, np.nan])), {"equal_nan": True}),
    ],
)  # fmt: skip


#: From this size on a mask without a pattern costs more in mispredicted branches than bit by bit.
_LARGE = 4096


def _where(condition: Any, x1: Any, x2: Any, /) -> Any:
    _boolean(condition)
    if np.size(condition) >= _LARGE:
        kinds = {x.dtype for x in (x1, x2) if type(x) not in WEAK}
        if len(kinds) == 1 and (dtype := kinds.pop()).char in "fd":
            return _select(condition, np.asarray(x1, dtype), np.asarray(x2, dtype))
    return np.where(condition, x1, x2)


def _select(condition: Any, x1: Any, x2: Any) -> Any:
    """`np.where` by the bits of the numbers: no branches, so that a random mask costs a fifth of the time."""
    bits = np.dtype(f"i{x1.dtype.itemsize}")
    mask = condition.astype(bits)
    np.negative(mask, out=mask)
    found = ((x1.view(bits) ^ x2.view(bits)) & mask) ^ x2.view(bits)
    return found.view(x1.dtype)


def _boolean(condition: Any) -> None:
    if type(condition) is not bool and (not hasattr(condition, "dtype") or condition.dtype.char != BOOL):
        found = condition.dtype.name if hasattr(condition, "dtype") else type(condition).__name__
        raise DtypeError(f"where: expected a boolean condition, got {found}; compare first, for example x != 0.")


def _where_spec(condition: Any, x1: Any, x2: Any) -> Spec:
    _boolean(condition)
    known = [s for s in (x1, x2) if type(s) not in WEAK]
    shapes = [s.shape for s in (condition, x1, x2) if type(s) not in WEAK]
    return Spec(broadcast(*shapes, where="where"), known[0].dtype if known else scalar_dtype(x1))


where = elementwise(
    "where", "x1 where the condition is true, x2 elsewhere; only what is taken gets a gradient.", eval=_where,
    native=lambda k, condition, a, b: k.select(condition, a, b),
    infer=_where_spec, promotes=(1, 2), dtypes="any", saves="condition", traits=["jointly_linear", "selects"],
    transpose=(None, lambda g, c, x1, x2: where(c, g, 0), lambda g, c, x1, x2: where(c, 0, g)),
    array_api=True, onnx="Where", latex="\\begin{{cases}} {1} & {0} \\\\ {2} & \\text{{else}} \\end{{cases}}",
    samples=lambda rng: [
        ((rng.random((3, 4)) < 0.5, rng.normal(size=(3, 4)), rng.normal(size=4)), {}),
        ((rng.random(4) < 0.5, rng.normal(size=(2, 1)), 0.5), {}),
    ],
)  # fmt: skip


def _share(x1: Any, x2: Any, like: Any) -> Any:
    """1 where x1 > x2, a half where they are equal, 0 elsewhere."""
    return (astype(greater(x1, x2), like.dtype) + astype(greater_equal(x1, x2), like.dtype)) * 0.5


maximum = elementwise(
    "maximum", "The larger of x1 and x2, NaN where one is; of two equal ones each gets half the gradient.",
    eval=np.maximum, partials=(lambda out, x1, x2: _share(x1, x2, out), lambda out, x1, x2: _share(x2, x1, out)),
    native=lambda k, a, b: k.maximum(a, b),
    saves="x1 x2", dtypes="real numeric", traits="commutative", array_api=True, onnx="Max", latex="\\max({0}, {1})",
    samples=[[(-3, -1), (1, 3)], (-0.9, 0.9)],
)  # fmt: skip
minimum = elementwise(
    "minimum", "The smaller of x1 and x2, NaN where one is; of two equal ones each gets half the gradient.",
    eval=np.minimum, partials=(lambda out, x1, x2: _share(x2, x1, out), lambda out, x1, x2: _share(x1, x2, out)),
    native=lambda k, a, b: k.minimum(a, b),
    saves="x1 x2", dtypes="real numeric", traits="commutative", array_api=True, onnx="Min", latex="\\min({0}, {1})",
    samples=[[(-3, -1), (1, 3)], (-0.9, 0.9)],
)  # fmt: skip


def _clip_params(x: Any, /, min: Any = None, max: Any = None) -> Any:
    return (x, min, max), {}


def _clip(x: Any, min: Any, max: Any, /) -> Any:
    if min is not None:
        x = np.maximum(x, min)
    if max is not None:
        x = np.minimum(x, max)
    return x


def _native_clip(k: Any, x: Any, min: Any, max: Any) -> Any:
    x = x if min is None else k.maximum(x, min)
    return x if max is None else k.minimum(x, max)


def _inside(out: Any, x: Any, min: Any, max: Any) -> Any:
    if min is None and max is None:
        return 1
    if min is None or max is None:
        return less_equal(x, max) if min is None else greater_equal(x, min)
    return logical_and(greater_equal(x, min), less_equal(x, max))


def _at_min(out: Any, x: Any, min: Any, max: Any) -> Any:
    below = less(x, min)
    return below if max is None else logical_and(below, less(min, max))


def _at_max(out: Any, x: Any, min: Any, max: Any) -> Any:
    above = greater(x, max)
    return above if min is None else logical_or(above, less(max, min))


clip = elementwise(
    "clip", "x brought into the range from min to max, numbers or Tensors or None; on a bound the gradient is 1.",
    eval=_clip, native=_native_clip, prepare=_clip_params, partials=(_inside, _at_min, _at_max), dtypes="real numeric",
    array_api=True, onnx="Clip", latex="\\mathrm{{clip}}({0}, {1}, {2})",
    samples=lambda rng: [
        ((rng.uniform(0.1, 0.9, (3, 4)) + rng.choice([-1, 0, 1], (3, 4)), 0, 1), {}),
        ((rng.uniform(0.1, 0.9, 6) + rng.choice([-1, 0, 1], 6),), {"max": 1}),
        ((rng.uniform(0.3, 0.7, 3) + np.arange(-1, 2), rng.uniform(-0.1, 0.1, 3), rng.uniform(0.9, 1.1, (2, 1))), {}),
    ],
)  # fmt: skip


def _nan_to_num(
    x: Any, /, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:  # fmt: skip
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def _native_nan_to_num(k: Any, x: Any, *, nan: float, posinf: float | None, neginf: float | None) -> Any:
    if x.code[0] != "f":
        return x
    largest = float(np.finfo(x.code).max)
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf
    x = k.select(k.is_nan(x), nan, k.select(k.equal(x, math.inf), high, x))
    return k.select(k.equal(x, -math.inf), low, x)


nan_to_num = elementwise(
    "nan_to_num",
    "x with NaN replaced by `nan`, infinities by `posinf` and `neginf` (by default the largest finite numbers).",
    eval=_nan_to_num, native=_native_nan_to_num, partials=(lambda out, x, *, nan, posinf, neginf: isfinite(x),),
    saves="x", latex="\\mathrm{{finite}}({0})",
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {}), ((rng.normal(size=4),), {"nan": 1.0, "posinf": 5.0})],
)  # fmt: skip


def nonzero(x: Any) -> Any:
    """`x` with 1 in the place of 0: a denominator that cannot vanish, for rules whose quotient is 0 there."""
    return where(equal(x, 0), 1, x)


def finite_or_zero(x: Any) -> Any:
    """`x` with 0 in the place of -inf: a shift that does not turn -inf into NaN."""
    return where(equal(x, -math.inf), 0, x)
