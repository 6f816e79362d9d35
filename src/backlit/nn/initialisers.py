"""First values of weights, each a function of a key, a shape, and how many inputs and outputs a unit has.

Most follow from one description, `VarianceScaling`: the variance of a weight is a number divided by how many terms a
unit adds up, so that signals (forwards) and gradients (backwards) keep their size from layer to layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any, Literal

import numpy as np

from ..base.config import config
from ..base.errors import ArgumentError, ShapeError
from ..graph.tensor import Tensor
from ..ops import creation, random
from ..ops.comparison import where
from ..ops.decompositions import qr
from ..ops.linalg import diagonal
from ..ops.movement import matrix_transpose, reshape
from .named import named

__all__ = [
    "Constant",
    "Identity",
    "Normal",
    "Orthogonal",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "initialiser",
]

#: `init(key, shape, fan_in, fan_out) -> Tensor`: a unit adds up `fan_in` terms, and `fan_out` units see an input.
Initialiser = Callable[[Any, tuple[int, ...], int, int], Tensor]
Shape = tuple[int, ...]

#: The standard deviation of a standard normal number that is cut off at ±2: √(1 - 4 φ(2) / (2 Φ(2) - 1)).
CUT = 0.87962566103423978


@dataclass(frozen=True)
class Constant:
    """Every entry is `value`."""

    value: float = 0.0

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        return creation.full(shape, float(self.value), dtype=_dtype())


@dataclass(frozen=True)
class Uniform:
    """Uniform over [low, high): mean (low + high) / 2, variance (high - low)² / 12."""

    low: float = -0.05
    high: float = 0.05

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        return random.uniform(key, shape, _dtype(), self.low, self.high)


@dataclass(frozen=True)
class Normal:
    """Normal with this mean and standard deviation."""

    std: float = 0.05
    mean: float = 0.0

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        return random.normal(key, shape, _dtype(), self.mean, self.std)


@dataclass(frozen=True)
class TruncatedNormal:
    """Normal with this mean and `std`, but nothing farther than 2 `std` from the mean: drawn again, as it were.

    What comes out has a standard deviation of 0.8796 `std`, as in TensorFlow and PyTorch; `VarianceScaling` makes up
    for that.
    """

    std: float = 0.05
    mean: float = 0.0

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        return random.truncated_normal(key, -2.0, 2.0, shape, _dtype()) * self.std + self.mean


@dataclass(frozen=True)
class VarianceScaling:
    """Mean 0 and variance `scale` / n, where n is the number that `mode` names.

    Args:
        scale: 1 keeps the variance through a linear unit, 2 through a rectified one, which drops half of it.
        mode: "fan_in" (keeps signals), "fan_out" (keeps gradients) or "fan_avg" (their mean).
        distribution: "uniform", "normal", or "truncated_normal": cut off at twice its standard deviation, and widened
            so that the variance is as said (as in Keras and JAX; PyTorch does not cut).

    Source: He, Zhang, Ren & Sun, Delving deep into rectifiers (2015), section 2.2, for what it is all about.

    >>> import backlit as bl
    >>> from backlit.nn.initialisers import VarianceScaling
    >>> w = VarianceScaling(2.0, "fan_in", "normal")(bl.random.key(0), (1000, 50), 1000, 50)
    >>> round(bl.var(w).item() * 1000, 1)
    2.0
    """

    scale: float = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["uniform", "normal", "truncated_normal"] = "truncated_normal"

    def __post_init__(self) -> None:
        for name, legal in (
            ("mode", ("fan_in", "fan_out", "fan_avg")),
            ("distribution", ("uniform", "normal", "truncated_normal")),
        ):
            if getattr(self, name) not in legal:
                raise ArgumentError(f"VarianceScaling: {name}={getattr(self, name)!r}; expected {', '.join(legal)}.")
        if not self.scale > 0:
            raise ArgumentError(f"VarianceScaling: scale must be above 0, got {self.scale}.")

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        # n may be 0 where a layer has no inputs; then there is nothing to draw either.
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode] or 1
        std = sqrt(self.scale / n)
        if self.distribution == "uniform":
            return Uniform(-sqrt(3) * std, sqrt(3) * std)(key, shape, fan_in, fan_out)
        if self.distribution == "normal":
            return Normal(std)(key, shape, fan_in, fan_out)
        return TruncatedNormal(std / CUT)(key, shape, fan_in, fan_out)


@dataclass(frozen=True)
class Orthogonal:
    """`gain` times a matrix with orthonormal rows or columns, whichever are fewer, drawn uniformly from all of them.

    Weights with more than two axes count as matrices whose rows are their first axis. Source: Saxe, McClelland &
    Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks (2014), section 3;
    the signs of R that make the draw uniform: Mezzadri, How to generate random matrices (2007), section 5.
    """

    gain: float = 1.0

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: expected a weight with 2 or more axes, got shape {shape}.")
        rows, columns = shape[0], prod(shape[1:])
        tall = rows >= columns
        q, r = qr(random.normal(key, (rows, columns) if tall else (columns, rows), _dtype()))
        q = q * where(diagonal(r) < 0, -1.0, 1.0)
        return reshape(q if tall else matrix_transpose(q), shape) * self.gain


@dataclass(frozen=True)
class Identity:
    """`gain` where the indices of the first two axes are equal and the others are in the middle, and 0 elsewhere.

    A layer with as many outputs as inputs is the identity then (a convolution with padding "same", too). Source: Le,
    Jaitly & Hinton, A simple way to initialize recurrent networks of rectified linear units (2015).
    """

    gain: float = 1.0

    def __call__(self, key: Any, shape: Shape, fan_in: int, fan_out: int) -> Tensor:
        if len(shape) < 2:
            raise ShapeError(f"Identity: expected a weight with 2 or more axes, got shape {shape}.")
        weight = np.zeros(shape, _dtype())
        n = np.arange(min(shape[:2]))
        weight[(n, n, *((k - 1) // 2 for k in shape[2:]))] = self.gain
        return creation.asarray(weight)


def _dtype() -> Any:
    return config.get().default_dtype


zeros, ones = Constant(0.0), Constant(1.0)
#: Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), equation 16:
#: uniform within ±√(6 / (fan_in + fan_out)), for tanh and its like. Its normal relative is truncated, as in Keras.
glorot_uniform = VarianceScaling(1.0, "fan_avg", "uniform")
glorot_normal = VarianceScaling(1.0, "fan_avg", "truncated_normal")
#: He et al. (2015), equation 10: variance 2 / fan_in, for rectifiers. The paper's normal distribution is not truncated,
#: this one is, as in Keras and JAX.
he_uniform = VarianceScaling(2.0, "fan_in", "uniform")
he_normal = VarianceScaling(2.0, "fan_in", "truncated_normal")
#: LeCun, Bottou, Orr & Müller, Efficient BackProp (1998), section 4.6: variance 1 / fan_in; for selu, too.
lecun_uniform = VarianceScaling(1.0, "fan_in", "uniform")
lecun_normal = VarianceScaling(1.0, "fan_in", "truncated_normal")

INITIALISERS: dict[str, Initialiser] = {
    "zeros": zeros,
    "ones": ones,
    "uniform": Uniform(),
    "normal": Normal(),
    "standard_normal": Normal(1.0),
    "truncated_normal": TruncatedNormal(),
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": Orthogonal(),
    "identity": Identity(),
}


def initialiser(given: str | Initialiser) -> Initialiser:
    """The initialiser of this name, or the function itself."""
    return named(given, INITIALISERS, "initialiser")
