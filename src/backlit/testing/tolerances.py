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
