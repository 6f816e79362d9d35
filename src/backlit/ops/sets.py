"""Sets: the different elements of an array, whose number depends on values; and membership."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import bool_
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .index import take
from .movement import reshape
from .operands import operand


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Any
    inverse_indices: Any


def _cases(rng: Any) -> list[Any]:
    return [((np.array([[2.0, 1.0, 3.0], [0.5, -1.0, 4.0]]),), {})]


@op(
    nondiff="positions and counts are integers",
    traits="eager_only",
    results=tuple,
    namespace="hidden",
    samples=_cases,
)
def unique_positions(x: Any, /) -> Any:
    """Where each different element comes first; for each element, which of them it is; and how often each occurs."""
    _, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    return first, inverse.reshape(x.shape), counts


def _unique(x: Any) -> tuple[Any, ...]:
    x = operand(x)
    first, inverse, counts = unique_positions(x)
    return take(reshape(x, (-1,)), first), first, inverse, counts


@composite(traits="eager_only", array_api=True, samples=_cases)
def unique_all(x: Any, /) -> Any:
    """The different elements, ascending, where each comes first, which of them each element is, and how often.

    NaNs count as different from one another. The values are differentiable: each is read at its first position.
    """
    return UniqueAll(*_unique(x))


@composite(traits="eager_only", array_api=True, samples=_cases)
def unique_counts(x: Any, /) -> Any:
    """The different elements, ascending, and how often each occurs."""
    values, _, _, counts = _unique(x)
    return UniqueCounts(values, counts)


@composite(traits="eager_only", array_api=True, samples=_cases)
def unique_inverse(x: Any, /) -> Any:
    """The different elements, ascending, and which of them each element is."""
    values, _, inverse, _ = _unique(x)
    return UniqueInverse(values, inverse)


@composite(traits="eager_only", array_api=True, samples=_cases)
def unique_values(x: Any, /) -> Any:
    """The different elements, ascending."""
    return _unique(x)[0]


@op(
    prepare=lambda x1, x2, /, *, invert=False: ((operand(x1), operand(x2)), {"invert": bool(invert)}), result="boolean",
    infer=lambda x1, x2, *, invert: Spec(x1.shape, bool_), nondiff="the answer is yes or no",
    samples=lambda rng: [((np.array([1.0, 2.0, 5.0]), np.array([2.0, 1.0])), {"invert": v}) for v in (False, True)],
)  # fmt: skip
def isin(x1: Any, x2: Any, /, *, invert: bool) -> Any:
    """True where an element of `x1` is one of those of `x2`; the opposite with `invert`."""
    return np.isin(x1, x2, invert=invert)
