"""How close two computations of the same thing must come, and why so close and no closer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Step of the central differences below, relative to the size of the coordinate (between 0.1 and 1).
STEP = 5e-4

#: How many roundings, at most, a value is assumed to carry: those of the function itself, not of the difference.
ROUNDINGS = 64


class Tolerance(NamedTuple):
    """What `|a - b| <= absolute + relative · max(|a|, |b|)` is tested with."""

    relative: float
    absolute: float


def tolerance(dtype: Any, depth: int = 1) -> Tolerance:
    """The tolerance for values of `dtype` that `depth` operations in a row have rounded.

    Every correctly rounded operation adds a relative error of at most u = eps/2, and they add up at worst linearly
    (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., lemma 3.1); kernels such as exp or a sum in
    another order add a few u each, hence the factor of 64. The absolute part allows for cancellation of terms
    of size one.

    >>> import numpy as np
    >>> tolerance(np.float64).relative < 1e-13
    True
    """
    eps = float(np.finfo(dtype).eps)
    return Tolerance(ROUNDINGS * eps * depth, ROUNDINGS * eps * depth)


def difference_noise(scale: float, step: float) -> float:
    """The rounding error of an extrapolated central difference of a function of size `scale`.

    The four values that it is made of carry errors of at most ROUNDINGS · u · scale each; they are divided by
    `step` and weighted (1 + 8)/3 in all.
    """
    return 3 * ROUNDINGS * float(np.finfo(np.float64).eps) / 2 * scale / step


#: Ops that move, choose or round correctly (IEEE 754): the same bits everywhere.
EXACT = frozenset(
    """
    add subtract multiply negative positive abs square sign maximum minimum where clip nan_to_num floor_divide
    remainder guarded_multiply masked_multiply conj real imag floor ceil round trunc copysign nextafter relu relu6
    hard_tanh leaky_relu max min sort tril triu pool_max pool_pick diagonal from_diagonal pad_zeros resize take getitem
    index_update dynamic_slice dynamic_place segment_max one_hot filled_like stop_gradient
    """.split()  # noqa: SIM905
)

#: How many units in the last place two good kernels of a function lie apart: twice the largest distance between NumPy's
#: and those of PyTorch 2.13, JAX 0.10 and TensorFlow 2.21, on 20,000 points in each precision.
ULPS: dict[str, int] = {
    "divide": 2, "sqrt": 2, "reciprocal": 4, "rsqrt": 4, "hypot": 4, "pow": 4, "exp": 6, "expm1": 8, "log": 8,
    "log2": 8, "log10": 8,
    "sin": 4, "cos": 4, "tan": 4, "asin": 8, "acos": 10, "atan": 6, "atan2": 8, "sinh": 10, "cosh": 8, "tanh": 10,
    "asinh": 6, "acosh": 6, "sigmoid": 12, "silu": 14, "log_sigmoid": 10, "softplus": 10, "softsign": 2, "mish": 12,
    "elu": 4, "celu": 4, "selu": 10, "hard_sigmoid": 2, "hard_swish": 4,
}  # fmt: skip

#: Functions some of whose kernels subtract numbers near 1: of a small result only the digits beyond theirs are left.
SUBTRACT = frozenset("gelu erfc logaddexp log1p atanh sinc mish lgamma digamma erfinv".split())  # noqa: SIM905


def roundings(op: str, terms: float = 1) -> float:
    """How many units in the last place results of an op may lie apart, apart from what it amplifies.

    0 for ops in `EXACT` and those that only move, the figure in `ULPS` for functions, and `ROUNDINGS` for all others,
    with the square root of the number of terms of a sum: their errors partly cancel (Higham & Mary, A new approach to
    probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019).

    >>> roundings("multiply"), roundings("tanh"), roundings("matmul", 100)
    (0.0, 10.0, 74.0)
    """
    if op in EXACT:
        return 0.0
    return float(ULPS[op]) if op in ULPS else ROUNDINGS + float(terms) ** 0.5
