"""Transforms whose constants come from the training part alone, so that nothing leaks from the test part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Array
from .transform import Transform


@dataclass(frozen=True)
class Standardize(Transform):
    """`(x - mean) / scale` in float32.

    >>> train = np.array([[0.0], [2.0]])
    >>> Standardize.fit(train)(np.array([[4.0]]))
    array([[3.]], dtype=float32)
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, x: Array, axis: int | tuple[int, ...] | None = 0) -> Standardize:
        """Mean and standard deviation of the training inputs over `axis`: 0 for one pair per feature,
        None for one pair for all, as suits the pixels of an image. A constant feature is only centred.
        """
        mean = np.asarray(np.mean(x, axis=axis, keepdims=True, dtype=np.float64))[0]
        spread = np.asarray(np.std(x, axis=axis, keepdims=True, dtype=np.float64))[0]
        return cls(mean.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32))

    def __call__(self, x: Array, keys: Any = None) -> Array:
        return np.subtract(x, self.mean, dtype=np.float32) / self.scale
