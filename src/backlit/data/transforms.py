"""Transforms whose constants come from the training part alone, so that nothing leaks from the test part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..base.errors import ArgumentError, DataError, shown
from .arrays import Array, blocks
from .keys import child_keys
from .transform import Transform


def _over(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes as non-negative numbers; the rows must be among them."""
    axes = tuple(range(ndim)) if axis is None else tuple(a % ndim for a in np.atleast_1d(axis).tolist())
    if 0 not in axes:
        raise ArgumentError(f"a transform is fitted over samples: axis must contain 0, got {axis}.")
    return axes


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
    def fit(cls, x: Array, axis: int | tuple[int, ...] | None = 0) -> Self:
        """Mean and standard deviation of the training inputs over `axis`: 0 for one pair per feature,
        None for one pair for all, as suits the pixels of an image. A constant feature is only centred.

        Reads a few rows at a time, so that `x` may be larger than memory.
        """
        axes = _over(axis, x.ndim)
        count = np.prod([x.shape[a] for a in axes], dtype=np.float64)
        kept = {"axis": axes, "keepdims": True, "dtype": np.float64}
        mean = np.asarray(sum(np.sum(b, **kept) for b in blocks(x)) / count)
        apart = (np.subtract(b, mean, dtype=np.float64) for b in blocks(x))
        squares = sum(np.sum(np.square(a, out=a), **kept) for a in apart)
        spread = np.sqrt(np.asarray(squares / count))[0]
        return cls(np.asarray(mean[0], np.float32), np.where(spread > 0, spread, 1).astype(np.float32))

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        found = np.subtract(x, self.mean, dtype=np.float32)
        found /= self.scale  # in place: fresh memory costs more than the division
        return found


@dataclass(frozen=True)
class Normalize(Transform):
    """`(x - low) / (high - low)` in float32: what lay between `low` and `high` lies between 0 and 1.

    >>> Normalize.fit(np.array([[1.0], [5.0]]))(np.array([[2.0]]))
    array([[0.25]], dtype=float32)
    """

    low: Array
    high: Array

    @classmethod
    def fit(cls, x: Array, axis: int | tuple[int, ...] | None = 0) -> Self:
        """Smallest and largest of the training inputs over `axis`: 0 for one pair per feature, None for all.
        A constant feature is only moved to 0."""
        axes = _over(axis, x.ndim)
        low = np.minimum.reduce([b.min(axis=axes, keepdims=True) for b in blocks(x)])[0]
        high = np.maximum.reduce([b.max(axis=axes, keepdims=True) for b in blocks(x)])[0]
        return cls(np.asarray(low, np.float32), np.asarray(high, np.float32))

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        width = self.high - self.low
        found = np.subtract(x, self.low, dtype=np.float32)
        found /= np.where(width > 0, width, np.float32(1))
        return found


@dataclass(frozen=True)
class OneHot(Transform):
    """Whole numbers or words as rows of zeros with a single one, float32, one column for each of `values`.

    >>> OneHot.fit(np.array([2, 7, 2]))(np.array([7]))
    array([[0., 1.]], dtype=float32)
    """

    values: Array

    @classmethod
    def fit(cls, x: Array) -> Self:
        """The values that occur in the training part, sorted."""
        found = np.unique(x)
        if found.dtype.kind not in "iubU":
            raise ArgumentError(f"OneHot: expected whole numbers or words, got {found.dtype.name}.")
        return cls(found)

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        place = np.minimum(np.searchsorted(self.values, x), len(self.values) - 1)
        strange = self.values[place] != x
        if strange.any():
            raise DataError(
                f"OneHot: {shown(np.asarray(x)[strange][0].item())} did not occur in the training part, where there "
                f"were {shown(self.values.tolist())}."
            )
        return np.eye(len(self.values), dtype=np.float32)[place]


@dataclass(frozen=True)
class Flatten(Transform):
    """Every sample as one row of numbers.

    >>> Flatten()(np.zeros((5, 2, 3))).shape
    (5, 6)
    """

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        return x.reshape(len(x), -1)


@dataclass(frozen=True)
class Compose(Transform):
    """One transform after another.

    >>> train = np.arange(12.0).reshape(3, 2, 2)
    >>> both = Compose.fit(train, Flatten(), Standardize.fit)
    >>> both(train).shape
    (3, 4)
    """

    steps: tuple[Transform, ...]

    @classmethod
    def fit(cls, x: Array, *steps: Transform | Callable[[Array], Transform]) -> Self:
        """Each step is a transform, or a function such as `Standardize.fit` that makes one from the training inputs as
        the steps before it (without chance) leave them."""
        done: list[Transform] = []
        for number, step in enumerate(steps):
            made = step if isinstance(step, Transform) else step(x)
            if not isinstance(made, Transform):
                raise ArgumentError(f"Compose: step {number} is {shown(step)}; expected a transform or what fits one.")
            done.append(made)
            x = made(x) if number + 1 < len(steps) else x
        return cls(tuple(done))

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        for number, step in enumerate(self.steps):
            x = step(x, None if keys is None else child_keys(keys, number))
        return x
