"""Random numbers from explicit keys: the same key gives the same numbers, in every mode and on every machine.

A key is a uint32 Tensor of shape (2,). Nothing is hidden: use a key once, and `split` it where more are
needed. The generator is Threefry (see `ops/threefry.py`); keys and bits agree with `jax.random`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base.config import config
from ..base.dtypes import CATEGORIES, FLOAT, INTEGER, REAL_FLOAT, UNSIGNED, WEAK, as_dtype, bool_, int64, uint32
from ..base.errors import ArgumentError, DtypeError, ShapeError, shown
from ..base.shapes import as_axis, as_index, as_shape, broadcast
from ..graph.op import composite, function, op
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, as_value, wrap
from .erfinv import inverse_erf
from .index import take
from .threefry import random_bits, threefry2x32, unit_uniforms

_MASK = 0xFFFFFFFF
_DISCRETE = "a random choice among separate values has no derivative"
_GIVEN = "random numbers do not change with their key"


def _checked(key: Any, where: str) -> Any:
    """The key, after a check that it is one."""
    if getattr(key, "shape", None) != (2,) or key.dtype != uint32:
        found = f"{key.dtype.name}{key.shape}" if hasattr(key, "dtype") else shown(key)
        raise ArgumentError(
            f"random.{where}: expected a key (uint32, shape (2,)), got {found}. Make one with bl.random.key(seed), and "
            "take single keys out of several with k1, k2 = bl.random.split(key)."
        )
    return key


def _float_dtype(dtype: Any, where: str) -> Any:
    found = config.get().default_dtype if dtype is None else as_dtype(dtype)
    if found.char not in REAL_FLOAT:
        raise DtypeError(f"random.{where}: expected float16, float32 or float64, got {found.name}.")
    return found


def _shape_for(shape: Any, where: str, *parameters: Any) -> tuple[int, ...]:
    """The shape asked for, or that of the parameters of the distribution, to which these must broadcast."""
    shapes = [() if type(p) in WEAK else p.shape for p in parameters]
    if shape is None:
        return broadcast((), *shapes, where=f"random.{where}")
    wanted = as_shape(shape, f"random.{where}")
    if broadcast(wanted, *shapes, where=f"random.{where}") != wanted:
        raise ShapeError(
            f"random.{where}: parameters of shape {', '.join(map(str, shapes))} do not fit into shape={wanted}; "
            "leave shape out to take theirs, or give one they broadcast to."
        )
    return wanted


def _parameter(p: Any) -> Any:
    return p if isinstance(p, Tensor) or type(p) in WEAK else as_value(p)


def _any_key(rng: Any) -> Any:
    return rng.integers(0, 2**32, 2, dtype=np.uint32)


# --- keys ------------------------------------------------------------------------------------------


@function(namespace="random")
def key(seed: int) -> Tensor:
    """The key that belongs to an integer; different seeds give unrelated numbers.

    >>> import backlit as bl
    >>> bl.random.key(0)
    tensor([0, 0], dtype=uint32)
    """
    number = as_index(seed, "seed", "random.key")
    return wrap(np.array([number >> 32 & _MASK, number & _MASK], np.uint32))


def _split_params(key: Any, /, n: int = 2) -> Any:
    count = as_index(n, "n", "random.split")
    if count < 0:
        raise ArgumentError(f"random.split: n must be 0 or more, got {count}.")
    return (_checked(key, "split"),), {"n": count}


@op(
    name="split_key", namespace="hidden", prepare=_split_params, infer=lambda key, *, n: Spec((n, 2), uint32),
    nondiff=_GIVEN, promotes=(), samples=lambda rng: [((_any_key(rng),), {"n": 3})],
)  # fmt: skip
def _split(key: Any, /, *, n: int) -> Any:
    """`n` new keys from one."""
    counters = np.arange(n, dtype=np.uint32)
    return np.stack(threefry2x32(key, np.zeros_like(counters), counters), axis=-1)


@function(namespace="random")
def split(key: Tensor, n: int = 2) -> Tensor:
    """`n` new keys, independent of each other and of what `key` itself gives; a Tensor of shape (n, 2).

    >>> import backlit as bl
    >>> k1, k2 = bl.random.split(bl.random.key(0))
    """
    return _split.public(key, n)


def _fold_params(key: Any, data: Any, /) -> Any:
    data = _parameter(data)
    if type(data) is int:
        data = np.uint32(data & _MASK)
    if type(data) in WEAK or data.dtype.char not in INTEGER or data.shape != ():
        raise ArgumentError(f"random.fold_in: expected one integer, got {shown(data)}.")
    return (_checked(key, "fold_in"), data), {}


@op(
    namespace="random", prepare=_fold_params, infer=lambda key, data: Spec((2,), uint32), nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng), np.int64(7)), {})],
)  # fmt: skip
def fold_in(key: Any, data: Any, /) -> Any:
    """A new key made of `key` and an integer, such as the number of a step."""
    return np.concatenate(threefry2x32(key, np.uint32(0), np.uint32(int(data) & _MASK)))


# --- what every distribution is made of --------------------------------------------------------------


def _bits_params(key: Any, /, shape: Any = (), dtype: Any = uint32) -> Any:
    wanted = as_dtype(dtype)
    if wanted.char not in UNSIGNED:
        raise DtypeError(f"random.bits: expected an unsigned integer dtype, got {wanted.name}.")
    return (_checked(key, "bits"),), {"shape": as_shape(shape, "random.bits"), "dtype": wanted}


def _spec(key: Any, *, shape: Any, dtype: Any, **_: Any) -> Spec:
    return Spec(shape, dtype)


@op(
    namespace="random", prepare=_bits_params, infer=_spec, nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng),), {"shape": (3, 4)}), ((_any_key(rng),), {"shape": (5,), "dtype": "uint64"})],
)  # fmt: skip
def bits(key: Any, /, *, shape: Any, dtype: Any) -> Any:
    """Unsigned integers whose bits are each 0 or 1 with probability 1/2."""
    return random_bits(key, shape, dtype)


@op(name="unit_uniform", namespace="hidden", infer=_spec, nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng),), {"shape": (3,), "dtype": np.dtype("float64")})])  # fmt: skip
def _unit_uniform(key: Any, /, *, shape: Any, dtype: Any) -> Any:
    """Random numbers spread evenly over [0, 1)."""
    return unit_uniforms(key, shape, dtype)


def _normals(uniforms: Any) -> Any:
    """Standard normal numbers of uniform ones in [0, 1), by the inverse of the distribution function."""
    dtype = uniforms.dtype
    low = np.nextafter(dtype.type(-1), dtype.type(0))
    return dtype.type(math.sqrt(2)) * inverse_erf(uniforms * (1 - low) + low)


@op(name="standard_normal", namespace="hidden", infer=_spec, nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng),), {"shape": (3,), "dtype": np.dtype("float64")})])  # fmt: skip
def _standard_normal(key: Any, /, *, shape: Any, dtype: Any) -> Any:
    """Random numbers of the normal distribution with mean 0 and scale 1."""
    return _normals(unit_uniforms(key, shape, dtype))


# --- distributions -----------------------------------------------------------------------------------


@composite(namespace="random", samples=lambda rng: [((_any_key(rng),), {"shape": (3,), "low": -1.0, "high": 2.0})])
def uniform(key: Any, /, shape: Any = None, dtype: Any = None, low: Any = 0.0, high: Any = 1.0) -> Any:
    """Numbers spread evenly over [low, high); differentiable with respect to `low` and `high`.

    >>> import backlit as bl
    >>> bl.random.uniform(bl.random.key(1), (2, 3)).shape
    (2, 3)
    """
    low, high = _parameter(low), _parameter(high)
    sizes = _shape_for(shape, "uniform", low, high)
    u = _unit_uniform(_checked(key, "uniform"), shape=sizes, dtype=_float_dtype(dtype, "uniform"))
    return u if type(low) in WEAK and type(high) in WEAK and (low, high) == (0, 1) else u * (high - low) + low


@composite(namespace="random", samples=lambda rng: [((_any_key(rng),), {"shape": (3,), "mean": 1.0, "scale": 2.0})])
def normal(key: Any, /, shape: Any = None, dtype: Any = None, mean: Any = 0.0, scale: Any = 1.0) -> Any:
    """Normal (Gaussian) numbers of this mean and standard deviation; differentiable with respect to both."""
    mean, scale = _parameter(mean), _parameter(scale)
    sizes = _shape_for(shape, "normal", mean, scale)
    z = _standard_normal(_checked(key, "normal"), shape=sizes, dtype=_float_dtype(dtype, "normal"))
    return z if type(mean) in WEAK and type(scale) in WEAK and (mean, scale) == (0, 1) else z * scale + mean


def _truncated_params(key: Any, /, lower: float, upper: float, shape: Any = (), dtype: Any = None) -> Any:
    if not lower < upper:
        raise ArgumentError(f"random.truncated_normal: lower={lower} must be less than upper={upper}.")
    return (_checked(key, "truncated_normal"),), {
        "lower": float(lower), "upper": float(upper), "shape": as_shape(shape, "random.truncated_normal"),
        "dtype": _float_dtype(dtype, "truncated_normal"),
    }  # fmt: skip


@op(
    namespace="random", prepare=_truncated_params, infer=_spec, nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng), -2.0, 2.0), {"shape": (4,)})],
)  # fmt: skip
def truncated_normal(key: Any, /, *, lower: float, upper: float, shape: Any, dtype: Any) -> Any:
    """Standard normal numbers between the numbers `lower` and `upper`: redrawn, as it were, until they fall there."""
    a, b = math.erf(lower / math.sqrt(2)), math.erf(upper / math.sqrt(2))
    u = unit_uniforms(key, shape, dtype).astype(np.float64) * (b - a) + a
    found = np.asarray(math.sqrt(2) * inverse_erf(u)).astype(dtype)
    inner = [np.nextafter(dtype.type(lower), dtype.type(np.inf)), np.nextafter(dtype.type(upper), dtype.type(-np.inf))]
    return np.clip(found, *inner)


def _noise_params(where: str) -> Any:
    def prepare(key: Any, /, shape: Any = (), dtype: Any = None) -> Any:
        params = {"shape": as_shape(shape, f"random.{where}"), "dtype": _float_dtype(dtype, where)}
        return (_checked(key, where),), params

    return prepare


def _gumbels(key: Any, shape: Any, dtype: Any) -> Any:
    u = unit_uniforms(key, shape, dtype)
    return -np.log(-np.log(np.maximum(u, np.finfo(dtype).tiny)))


@op(
    namespace="random", prepare=_noise_params("gumbel"), infer=_spec, nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng),), {"shape": (4,)})],
)  # fmt: skip
def gumbel(key: Any, /, *, shape: Any, dtype: Any) -> Any:
    """Standard Gumbel numbers, -log(-log(u)): the largest of logits plus these is a categorical sample."""
    return _gumbels(key, shape, dtype)


@op(
    namespace="random", prepare=_noise_params("exponential"), infer=_spec, nondiff=_GIVEN, promotes=(),
    samples=lambda rng: [((_any_key(rng),), {"shape": (4,)})],
)  # fmt: skip
def exponential(key: Any, /, *, shape: Any, dtype: Any) -> Any:
    """Exponential numbers of mean 1."""
    return -np.log1p(-unit_uniforms(key, shape, dtype))


def _bernoulli_params(key: Any, /, p: Any = 0.5, shape: Any = None) -> Any:
    p = _parameter(p)
    if type(p) in WEAK:
        p = config.get().default_dtype.type(p)
    if p.dtype.char not in REAL_FLOAT:
        raise DtypeError(f"random.bernoulli: expected probabilities of a floating-point dtype, got {p.dtype.name}.")
    return (_checked(key, "bernoulli"), p), {"shape": _shape_for(shape, "bernoulli", p)}


@op(
    namespace="random", prepare=_bernoulli_params, infer=lambda key, p, *, shape: Spec(shape, bool_), promotes=(),
    nondiff=_DISCRETE, samples=lambda rng: [((_any_key(rng), rng.uniform(size=(3, 4))), {})],
)  # fmt: skip
def bernoulli(key: Any, p: Any, /, *, shape: Any) -> Any:
    """True with probability `p` (a number or an array), else False."""
    return np.less(unit_uniforms(key, shape, p.dtype), p)


def _categorical_params(key: Any, logits: Any, /, axis: int = -1, shape: Any = None) -> Any:
    logits = _parameter(logits)
    if type(logits) in WEAK or logits.dtype.char not in FLOAT:
        raise DtypeError(f"random.categorical: expected floating-point logits, got {shown(logits)}.")
    at = as_axis(axis, logits.ndim, "random.categorical")
    batch = logits.shape[:at] + logits.shape[at + 1 :]
    sizes = batch if shape is None else as_shape(shape, "random.categorical")
    if broadcast(sizes, batch, where="random.categorical") != sizes:
        raise ShapeError(
            f"random.categorical: logits of shape {logits.shape} leave {batch} without axis {at}, which does not fit "
            f"into shape={sizes}; put further axes in front."
        )
    return (_checked(key, "categorical"), logits), {"axis": at - logits.ndim, "shape": sizes}


@op(
    namespace="random", prepare=_categorical_params, nondiff=_DISCRETE, promotes=(),
    infer=lambda key, logits, *, axis, shape: Spec(shape, int64),
    samples=lambda rng: [((_any_key(rng), rng.normal(size=(3, 4))), {"shape": (5, 3)}),
                         ((_any_key(rng), rng.normal(size=(3, 4))), {"axis": 0})],
)  # fmt: skip
def categorical(key: Any, logits: Any, /, *, axis: int, shape: Any) -> Any:
    """Indices along `axis`, each with probability softmax(logits): the argmax of logits plus Gumbel noise.

    `shape` is that of the logits without `axis`, with further axes in front for more samples.
    Maddison, Tarlow & Minka 2014, 'A* sampling' (NeurIPS).
    """
    batch = list(shape[len(shape) - logits.ndim + 1 :])
    batch.insert(len(batch) + axis + 1, logits.shape[axis])
    prefix = shape[: len(shape) - logits.ndim + 1]
    noise = _gumbels(key, (*prefix, *batch), logits.dtype)
    return np.argmax(noise + logits, axis=axis).astype(np.int64)


def _randint_params(key: Any, /, shape: Any, low: int, high: int, dtype: Any = int64) -> Any:
    wanted = as_dtype(dtype)
    if wanted.char not in CATEGORIES["integer"]:
        raise DtypeError(f"random.randint: expected an integer dtype, got {wanted.name}.")
    first, end = as_index(low, "low", "random.randint"), as_index(high, "high", "random.randint")
    limits = np.iinfo(wanted)
    if not limits.min <= first < end <= limits.max + 1:
        raise ArgumentError(
            f"random.randint: expected low < high within {wanted.name} ({limits.min} to {limits.max}), "
            f"got low={first}, high={end}."
        )
    return (_checked(key, "randint"),), {
        "shape": as_shape(shape, "random.randint"), "low": first, "high": end, "dtype": wanted,
    }  # fmt: skip


@op(
    namespace="random", prepare=_randint_params, infer=_spec, nondiff=_DISCRETE, promotes=(),
    samples=lambda rng: [((_any_key(rng), (3, 4), -5, 17), {}), ((_any_key(rng), (9,), 0, 256), {"dtype": "uint8"})],
)  # fmt: skip
def randint(key: Any, /, *, shape: Any, low: int, high: int, dtype: Any) -> Any:
    """Integers from `low` up to, and without, `high`.

    Twice the bits of the dtype are drawn and reduced, so that no number is favoured noticeably.
    """
    unsigned = np.dtype(f"u{dtype.itemsize}")
    upper, lower = (random_bits(k, shape, unsigned) for k in _split.eval(key, n=2))
    span = high - low
    if span == 2 ** (8 * dtype.itemsize):
        offset = lower
    else:
        half = 2 ** (4 * dtype.itemsize) % span
        size, fold = unsigned.type(span), unsigned.type(half * half % 2 ** (8 * dtype.itemsize) % span)
        offset = ((upper % size) * fold + lower % size) % size
    return (offset + unsigned.type(low % 2 ** (8 * dtype.itemsize))).astype(dtype)


def _permutation_params(key: Any, /, n: int) -> Any:
    return (_checked(key, "permutation"),), {"n": as_shape(n, "random.permutation")[0]}


@op(
    name="random_order", namespace="hidden", prepare=_permutation_params, infer=lambda key, *, n: Spec((n,), int64),
    nondiff=_DISCRETE, promotes=(), samples=lambda rng: [((_any_key(rng), 9), {})],
)  # fmt: skip
def _order(key: Any, /, *, n: int) -> Any:
    """0 to n-1 in random order: sorted by random numbers, as often as makes ties harmless."""
    found = np.arange(n)
    for _ in range(math.ceil(3 * math.log(max(1, n)) / math.log(_MASK))):
        key, fresh = _split.eval(key, n=2)
        # Numbers and places side by side in one word: a stable order by a plain sort, at several times its speed.
        pairs = random_bits(fresh, (n,), uint32).astype(np.uint64) << np.uint64(32) | np.arange(n, dtype=np.uint64)
        pairs.sort()
        found = found[(pairs & np.uint64(_MASK)).astype(np.int64)]
    return found


@function(namespace="random")
def permutation(key: Tensor, x: Any, axis: int = 0) -> Tensor:
    """The integers 0 to x-1 in random order, or an array with its slices along `axis` in random order.

    >>> import backlit as bl
    >>> sorted(bl.random.permutation(bl.random.key(3), 4).tolist())
    [0, 1, 2, 3]
    """
    if not hasattr(x, "shape") or x.shape == ():
        return _order.public(key, as_index(x, "x", "random.permutation"))
    at = as_axis(axis, len(x.shape), "random.permutation")
    return take.public(x, _order.public(key, x.shape[at]), axis=at)
