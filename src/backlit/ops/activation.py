"""Activation functions, and a gate. Those that divide by a sum along an axis are in `softmax.py`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..graph.op import composite, elementwise
from .arithmetic import abs_
from .bits import logical_and
from .comparison import greater, greater_equal, less, where
from .exponential import exp
from .joining import split
from .special import erf
from .trigonometric import tanh


def one(x: Any) -> Any:
    """1 in the dtype of `x`: a Python number beside another would make a float64 of them."""
    return x.dtype.type(1)


# --- sigmoid and its relatives ---------------------------------------------------------------------


def _sigmoid(x: Any, /) -> Any:
    if x.ndim == 0 and x > -80:
        return 1 / (1 + np.exp(-x))
    with np.errstate(over="ignore"):  # exp(1000) = inf is right: 1 / inf is the 0 that is wanted
        return 1 / (1 + np.exp(-x))


sigmoid = elementwise(
    "sigmoid", "1 / (1 + exp(-x)).", eval=_sigmoid, partials=(lambda out, x: out * (1 - out),), saves="out",
    native=lambda k, x: k.sigmoid(x),
    dtypes="real floating-point", onnx="Sigmoid", latex="\\sigma({0})", traits="dear", samples=[(-5, 5)],
)  # fmt: skip
log_sigmoid = elementwise(
    "log_sigmoid", "ln(sigmoid(x)), computed without overflow.",
    eval=lambda x: np.minimum(x, 0) - np.log1p(np.exp(-abs(x))), partials=(lambda out, x: sigmoid(-x),), saves="x",
    native=lambda k, x: k.minimum(x, 0) - k.log1p(k.exp(-k.abs(x))),
    dtypes="real floating-point", latex="\\ln\\sigma({0})", traits="dear", samples=[[(-5, -0.3), (0.3, 5)]],
)  # fmt: skip
softplus = elementwise(
    "softplus", "ln(1 + exp(x)), computed without overflow.",
    eval=lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))), partials=(lambda out, x: sigmoid(x),), saves="x",
    native=lambda k, x: k.maximum(x, 0) + k.log1p(k.exp(-k.abs(x))),
    dtypes="real floating-point", onnx="Softplus", latex="\\ln(1 + e^{{{0}}})", traits="dear", samples=[(-5, 5)],
)  # fmt: skip
softsign = elementwise(
    "softsign", "x / (1 + |x|).", eval=lambda x: x / (1 + abs(x)), partials=(lambda out, x: (1 + abs_(x)) ** -2,),
    native=lambda k, x: x / (k.abs(x) + 1),
    saves="x", dtypes="real floating-point", onnx="Softsign", latex="\\frac{{{0}}}{{1 + |{0}|}}",
    samples=[[(-5, -0.3), (0.3, 5)]],
)  # fmt: skip


def _silu_partial(out: Any, x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


silu = elementwise(
    "silu", "x · sigmoid(x), also called swish (Elfwing et al. 2018).", eval=lambda x: x * _sigmoid(x),
    native=lambda k, x: x * k.sigmoid(x),
    partials=(_silu_partial,), saves="x", dtypes="real floating-point", onnx="Swish", latex="{0} \\, \\sigma({0})",
    traits="dear", samples=[(-5, 5)],
)  # fmt: skip


def _mish_partial(out: Any, x: Any) -> Any:
    t = tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


mish = elementwise(
    "mish", "x · tanh(softplus(x)) (Misra 2019).", eval=lambda x: x * np.tanh(softplus(x)), partials=(_mish_partial,),
    native=lambda k, x: x * k.tanh(k.maximum(x, 0) + k.log1p(k.exp(-k.abs(x)))),
    saves="x", dtypes="real floating-point", onnx="Mish", latex="{0} \\tanh(\\ln(1 + e^{{{0}}}))",
    traits="dear", samples=[(-5, 5)],
)  # fmt: skip

# --- rectifiers ------------------------------------------------------------------------------------

relu = elementwise(
    "relu", "The larger of x and 0; at 0 the gradient is 0.", eval=lambda x: np.maximum(x, 0),
    native=lambda k, x: k.larger(0, x),
    partials=(lambda out, x: greater(out, 0),), saves="out", dtypes="real numeric", traits="idempotent", onnx="Relu",
    latex="\\max(0, {0})", samples=[[(-3, -0.3), (0.3, 3)]],
)  # fmt: skip


def _relu6_partial(out: Any, x: Any) -> Any:
    return logical_and(greater(out, 0), less(out, 6))


relu6 = elementwise(
    "relu6", "relu(x), at most 6.", eval=lambda x: np.minimum(np.maximum(x, 0), 6), partials=(_relu6_partial,),
    native=lambda k, x: k.smaller(6, k.larger(0, x)),
    saves="out", dtypes="real numeric", traits="idempotent", latex="\\min(\\max(0, {0}), 6)",
    samples=[[(-3, -0.3), (0.3, 5.7), (6.3, 9)]],
)  # fmt: skip


def _leaky_relu(x: Any, /, *, negative_slope: float = 0.01) -> Any:
    if 0 <= negative_slope <= 1:
        return np.maximum(x, x * negative_slope)
    return np.where(x > 0, x, x * negative_slope)


def _native_leaky_relu(k: Any, x: Any, *, negative_slope: float) -> Any:
    return k.select(x > 0, x, x * negative_slope)


def _leaky_relu_partial(out: Any, x: Any, *, negative_slope: float) -> Any:
    return where(greater(x, 0), one(x), negative_slope)


leaky_relu = elementwise(
    "leaky_relu", "x where it is positive, `negative_slope` times x elsewhere (Maas et al. 2013).",
    eval=_leaky_relu, native=_native_leaky_relu, partials=(_leaky_relu_partial,), saves="x",
    dtypes="real floating-point", onnx="LeakyRelu", latex="\\mathrm{{leakyrelu}}({0})",
    samples=lambda rng: [((x := _clear_of_zero(rng),), {}), ((x,), {"negative_slope": 1.5})],
)  # fmt: skip


def _clear_of_zero(rng: np.random.Generator) -> Any:
    return rng.choice([-1, 1], (3, 4)) * rng.uniform(0.3, 3, (3, 4))


def _exponential_unit(x: Any, scale: float, steepness: float, decay: float) -> Any:
    """scale · x where x is positive, steepness · (exp(x / decay) - 1) elsewhere."""
    low = np.expm1(np.minimum(x, 0) / decay)
    return np.maximum(x, 0) * scale + low * steepness


def _native_unit(k: Any, x: Any, scale: float, steepness: float, decay: float) -> Any:
    return k.select(x > 0, x * scale, k.expm1(x / decay) * steepness)


def _elu(x: Any, /, *, alpha: float = 1.0) -> Any:
    return _exponential_unit(x, 1.0, alpha, 1.0)


elu = elementwise(
    "elu", "x where it is positive, alpha · (exp(x) - 1) elsewhere (Clevert et al. 2016).", eval=_elu,
    native=lambda k, x, *, alpha: _native_unit(k, x, 1.0, alpha, 1.0),
    partials=(lambda out, x, *, alpha: where(greater(x, 0), one(x), out + alpha),), dtypes="real floating-point",
    onnx="Elu", latex="\\mathrm{{elu}}({0})",
    traits="dear", samples=lambda rng: [((x := _clear_of_zero(rng),), {}), ((x,), {"alpha": 0.5})],
)  # fmt: skip


def _celu(x: Any, /, *, alpha: float = 1.0) -> Any:
    return _exponential_unit(x, 1.0, alpha, alpha)


celu = elementwise(
    "celu", "x where it is positive, alpha · (exp(x / alpha) - 1) elsewhere (Barron 2017).", eval=_celu,
    native=lambda k, x, *, alpha: _native_unit(k, x, 1.0, alpha, alpha),
    partials=(lambda out, x, *, alpha: where(greater(x, 0), one(x), out / alpha + 1),), dtypes="real floating-point",
    onnx="Celu", latex="\\mathrm{{celu}}({0})",
    traits="dear", samples=lambda rng: [((x := _clear_of_zero(rng),), {}), ((x,), {"alpha": 2.0})],
)  # fmt: skip

#: The fixed point of Klambauer et al. 2017, 'Self-normalizing neural networks'.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934
_SELU_STEEPNESS = _SELU_ALPHA * _SELU_SCALE

selu = elementwise(
    "selu", "The elu whose scale keeps mean 0 and variance 1 through the layers (Klambauer et al. 2017).",
    eval=lambda x: _exponential_unit(x, _SELU_SCALE, _SELU_STEEPNESS, 1.0),
    native=lambda k, x: _native_unit(k, x, _SELU_SCALE, _SELU_STEEPNESS, 1.0),
    partials=(lambda out, x: where(greater(x, 0), one(x) * _SELU_SCALE, out + _SELU_STEEPNESS),),
    dtypes="real floating-point", onnx="Selu", latex="\\mathrm{{selu}}({0})",
    traits="dear", samples=[[(-3, -0.3), (0.3, 3)]],
)  # fmt: skip

# --- Gaussian error linear unit --------------------------------------------------------------------

_TANH_SCALE, _TANH_CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_params(x: Any, /, *, approximate: bool | str = False) -> Any:
    if approximate not in (False, "tanh"):
        raise ArgumentError(f"gelu: approximate must be False (the error function) or 'tanh', got {approximate!r}.")
    return (x,), {"approximate": approximate}


def _gelu(x: Any, /, *, approximate: bool | str) -> Any:
    if approximate:  # (1 + tanh(u)) / 2 is sigmoid(2u), which does not cancel where u is far below 0
        return x * _sigmoid(x * (1 + _TANH_CUBIC * (x * x)) * (2 * _TANH_SCALE))
    return x * (0.5 + 0.5 * erf(x * math.sqrt(0.5)))


def _native_gelu(k: Any, x: Any, *, approximate: bool | str) -> Any:
    if approximate:
        return x * k.sigmoid(x * (x * x * _TANH_CUBIC + 1) * (2 * _TANH_SCALE))
    return x * (k.erf(x * math.sqrt(0.5)) * 0.5 + 0.5)


def _gelu_partial(out: Any, x: Any, *, approximate: bool | str) -> Any:
    squared = x * x
    if approximate:
        s = sigmoid(x * (1 + _TANH_CUBIC * squared) * (2 * _TANH_SCALE))
        return s * (1 + x * (1 - s) * (2 * _TANH_SCALE) * (1 + 3 * _TANH_CUBIC * squared))
    return 0.5 + 0.5 * erf(x * math.sqrt(0.5)) + x * exp(-0.5 * squared) * (1 / math.sqrt(2 * math.pi))


gelu = elementwise(
    "gelu",
    "x times the probability that a standard normal number lies below x (Hendrycks & Gimpel 2016); "
    "`approximate='tanh'` takes their formula with tanh.",
    eval=_gelu, native=_native_gelu, prepare=_gelu_params, partials=(_gelu_partial,), saves="x",
    dtypes="real floating-point", onnx="Gelu", latex="{0} \\, \\Phi({0})", traits="dear",
    samples=lambda rng: [((x := rng.uniform(-4, 4, 8),), {}), ((x,), {"approximate": "tanh"})],
)  # fmt: skip

# --- straight-line imitations ----------------------------------------------------------------------

hard_tanh = elementwise(
    "hard_tanh", "x brought into the range from -1 to 1.", eval=lambda x: np.minimum(np.maximum(x, -1), 1),
    native=lambda k, x: k.smaller(1, k.larger(-1, x)),
    partials=(lambda out, x: less(abs_(out), 1),), saves="out", dtypes="real floating-point", traits="idempotent",
    latex="\\mathrm{{hardtanh}}({0})", samples=[[(-3, -1.3), (-0.7, 0.7), (1.3, 3)]],
)  # fmt: skip


def _hard_sigmoid(x: Any, /) -> Any:
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


hard_sigmoid = elementwise(
    "hard_sigmoid", "relu6(x + 3) / 6 (Howard et al. 2019).", eval=_hard_sigmoid,
    native=lambda k, x: k.smaller(6, k.larger(0, x + 3)) / 6,
    partials=(lambda out, x: less(abs_(x), 3) * one(x) / 6,), saves="x", dtypes="real floating-point",
    latex="\\mathrm{{hardsigmoid}}({0})", samples=[[(-6, -3.3), (-2.7, 2.7), (3.3, 6)]],
)  # fmt: skip


def _hard_swish_partial(out: Any, x: Any) -> Any:
    return where(less(abs_(x), 3), x / 3 + 0.5, greater_equal(x, 3) * one(x))


hard_swish = elementwise(
    "hard_swish", "x · hard_sigmoid(x) (Howard et al. 2019).", eval=lambda x: x * _hard_sigmoid(x),
    native=lambda k, x: x * (k.smaller(6, k.larger(0, x + 3)) / 6),
    partials=(_hard_swish_partial,), saves="x", dtypes="real floating-point", onnx="HardSwish",
    latex="{0} \\cdot \\mathrm{{hardsigmoid}}({0})", samples=[[(-6, -3.3), (-2.7, 2.7), (3.3, 6)]],
)  # fmt: skip

# --- gates -----------------------------------------------------------------------------------------


@composite(
    dtypes="real floating-point", latex="\\mathrm{{glu}}({0})",
    samples=lambda rng: [((rng.normal(size=(3, 4)),), {}), ((rng.normal(size=(4, 3)),), {"axis": 0})],
)  # fmt: skip
def glu(x: Any, /, *, axis: int = -1) -> Any:
    """The first half of `x` along `axis` times the sigmoid of the second (Dauphin et al. 2017)."""
    values, gates = split(x, 2, axis=axis)
    return values * sigmoid(gates)
