"""Twins of elementwise ops: arithmetic, functions, comparisons, bits, activations."""

from __future__ import annotations

from typing import Any

from .record import Twin, same, without

_TNP = "experimental.numpy.{}"


def _copysign(tf: Any, a: Any, b: Any) -> Any:
    return tf.where(tf.experimental.numpy.signbit(a) == tf.experimental.numpy.signbit(b), a, -a)


def _tf_exponential_unit(tf: Any, x: Any, alpha: float, decay: float) -> Any:
    """TensorFlow's `elu` knows one steepness; `where` with safe arguments knows any."""
    low = tf.where(x > 0, tf.zeros_like(x), x)
    return tf.where(x > 0, x, alpha * tf.math.expm1(low / decay))


def _clip(m: Any, x: Any, lo: Any, hi: Any) -> Any:
    x = x if lo is None else m.maximum(x, lo)
    return x if hi is None else m.minimum(x, hi)


def _guarded(where: Any, zeros: Any, a: Any, b: Any) -> Any:
    """a · b, and 0 where a is 0."""
    return where(a == 0, zeros(a * b), a * b)


def _masked(where: Any, zeros: Any, a: Any, b: Any) -> Any:
    return where((a == 0) | (b == 0), zeros(a * b), a * b)


def _tf_nan_to_num(tf: Any, x: Any, *, nan: float, posinf: float | None, neginf: float | None) -> Any:
    top = x.dtype.max if posinf is None else posinf
    low = x.dtype.min if neginf is None else neginf
    for is_so, value in ((tf.math.is_nan(x), nan), (x == x.dtype.as_numpy_dtype("inf"), top),
                         (x == x.dtype.as_numpy_dtype("-inf"), low)):  # fmt: skip
        x = tf.where(is_so, tf.constant(value, x.dtype), x)
    return x


#: In jax.nn and torch.nn.functional.
_F, _NN = "nn.functional.{}", "nn.{}"

ELEMENTWISE: dict[str, Twin] = {
    # arithmetic
    **same("add subtract multiply divide negative maximum minimum abs square sqrt"),
    "sign": Twin("sgn", "numpy.sign", "math.sign"),
    "pow": Twin("pow", "numpy.power", "math.pow"),
    "positive": Twin("positive", "numpy.positive", "identity"),
    "reciprocal": Twin("reciprocal", "numpy.reciprocal", "math.reciprocal"),
    "floor_divide": Twin(  # torch raises an error where the derivative is 0
        lambda t, a, b: t.floor_divide(a.detach(), b.detach()), "numpy.floor_divide", "math.floordiv"
    ),
    "remainder": Twin("remainder", "numpy.remainder", "math.floormod"),
    "rsqrt": Twin("rsqrt", "lax.rsqrt", "math.rsqrt"),
    "hypot": Twin("hypot", "numpy.hypot", _TNP.format("hypot")),
    "guarded_multiply": Twin(
        lambda t, a, b: _guarded(t.where, t.zeros_like, a, b),
        lambda j, a, b: _guarded(j.numpy.where, j.numpy.zeros_like, a, b),
        lambda tf, a, b: _guarded(tf.where, tf.zeros_like, a, b),
    ),
    "masked_multiply": Twin(
        lambda t, a, b: _masked(t.where, t.zeros_like, a, b),
        lambda j, a, b: _masked(j.numpy.where, j.numpy.zeros_like, a, b),
        lambda tf, a, b: _masked(tf.where, tf.zeros_like, a, b),
    ),
    # exponentials, logarithms, trigonometry
    **same("exp expm1 log log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh"),
    **same("log2 log10 logaddexp sinc", tensorflow=_TNP),
    # special functions
    "erf": Twin("erf", "scipy.special.erf", "math.erf"),
    "erfc": Twin("erfc", "scipy.special.erfc", "math.erfc"),
    "erfinv": Twin("erfinv", "scipy.special.erfinv", "math.erfinv"),
    "lgamma": Twin("lgamma", "scipy.special.gammaln", "math.lgamma"),
    "digamma": Twin("digamma", "scipy.special.digamma", "math.digamma"),
    "polygamma": Twin(
        lambda t, x, *, n: t.polygamma(n, x),
        lambda j, x, *, n: j.scipy.special.polygamma(n, x) if n else j.scipy.special.digamma(x),
        lambda tf, x, *, n: tf.math.polygamma(tf.cast(n, x.dtype), x) if n else tf.math.digamma(x),
    ),
    **without(["sinc_derivative"], "no library has it; it is the derivative of sinc, which is compared"),
    # parts of complex numbers
    "conj": Twin("conj_physical", "numpy.conj", "math.conj"),
    "real": Twin(lambda t, x: x.real, "numpy.real", "math.real"),
    "imag": Twin(lambda t, x: x.imag if x.is_complex() else t.zeros_like(x), "numpy.imag", "math.imag"),
    "angle": Twin("angle", lambda j, x: j.numpy.angle(x).astype(j.numpy.real(x).dtype), "math.angle"),
    # rounding and the bits of numbers
    **same("floor ceil"),
    "round": Twin("round", "numpy.round", "math.round"),
    "trunc": Twin("trunc", "numpy.trunc", lambda tf, x: tf.where(x < 0, tf.math.ceil(x), tf.math.floor(x))),
    "copysign": Twin("copysign", "numpy.copysign", _copysign),
    **same("signbit", tensorflow=_TNP),
    **same("nextafter"),
    # choices
    "where": Twin("where", "numpy.where", "where"),
    "clip": Twin(
        lambda t, x, lo, hi: _clip(t, x, lo, hi),
        lambda j, x, lo, hi: _clip(j.numpy, x, lo, hi),
        lambda tf, x, lo, hi: _clip(tf.math, x, lo, hi),
    ),
    "nan_to_num": Twin("nan_to_num", "numpy.nan_to_num", _tf_nan_to_num),
    # truth
    **same("logical_and logical_or logical_xor logical_not"),
    "equal": Twin("eq", "numpy.equal", "math.equal"),
    "not_equal": Twin("ne", "numpy.not_equal", "math.not_equal"),
    "less": Twin("lt", "numpy.less", "math.less"),
    "less_equal": Twin("le", "numpy.less_equal", "math.less_equal"),
    "greater": Twin("gt", "numpy.greater", "math.greater"),
    "greater_equal": Twin("ge", "numpy.greater_equal", "math.greater_equal"),
    "isfinite": Twin("isfinite", "numpy.isfinite", "math.is_finite"),
    "isinf": Twin("isinf", "numpy.isinf", "math.is_inf"),
    "isnan": Twin("isnan", "numpy.isnan", "math.is_nan"),
    **same("isclose", tensorflow=_TNP),
    # bits
    **same("bitwise_and bitwise_or bitwise_xor", tensorflow=_TNP),
    "bitwise_invert": Twin(
        "bitwise_not",
        "numpy.bitwise_not",
        lambda tf, x: tf.logical_not(x) if x.dtype == tf.bool else tf.bitwise.invert(x),
    ),
    "bitwise_left_shift": Twin("bitwise_left_shift", "numpy.left_shift", "bitwise.left_shift"),
    "bitwise_right_shift": Twin("bitwise_right_shift", "numpy.right_shift", "bitwise.right_shift"),
    # activations
    **{n: Twin(_F.format(n), _NN.format(n), _NN.format(n)) for n in ("relu", "relu6", "silu", "selu")},
    "sigmoid": Twin("sigmoid", "nn.sigmoid", "math.sigmoid"),
    "log_sigmoid": Twin("nn.functional.logsigmoid", "nn.log_sigmoid", "math.log_sigmoid"),
    "softplus": Twin(lambda t, x: t.logaddexp(x, t.zeros_like(x)), "nn.softplus", "math.softplus"),
    "softsign": Twin("nn.functional.softsign", "nn.soft_sign", "nn.softsign"),
    "mish": Twin("nn.functional.mish", "nn.mish", lambda tf, x: x * tf.math.tanh(tf.math.softplus(x))),
    "leaky_relu": Twin(
        "nn.functional.leaky_relu",
        "nn.leaky_relu",
        lambda tf, x, *, negative_slope: tf.where(x > 0, x, x * negative_slope),
    ),
    "elu": Twin("nn.functional.elu", "nn.elu", lambda tf, x, *, alpha: _tf_exponential_unit(tf, x, alpha, 1.0)),
    "celu": Twin("nn.functional.celu", "nn.celu", lambda tf, x, *, alpha: _tf_exponential_unit(tf, x, alpha, alpha)),
    "gelu": Twin(
        lambda t, x, *, approximate: t.nn.functional.gelu(x, approximate=approximate or "none"),
        lambda j, x, *, approximate: j.nn.gelu(x, approximate=bool(approximate)),
        lambda tf, x, *, approximate: tf.nn.gelu(x, approximate=bool(approximate)),
    ),
    "hard_tanh": Twin("nn.functional.hardtanh", "nn.hard_tanh", lambda tf, x: tf.clip_by_value(x, -1, 1)),
    "hard_sigmoid": Twin("nn.functional.hardsigmoid", "nn.hard_sigmoid", lambda tf, x: tf.nn.relu6(x + 3) / 6),
    "hard_swish": Twin("nn.functional.hardswish", "nn.hard_swish", lambda tf, x: x * (tf.nn.relu6(x + 3) / 6)),
    **without(["threefry"], "random bits: this generator is checked beside published ones, not other generators"),
}
