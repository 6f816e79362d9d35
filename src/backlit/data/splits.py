"""Dividing samples into parts: at random from a seed, each class in the same proportions, groups kept together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..base.errors import ArgumentError
from .arrays import Array


def split(y: Array, fractions: Sequence[float], seed: int = 0) -> list[Array]:
    """Row numbers for parts of the given sizes, in random order, each class shared out in the same proportions.

    >>> [len(rows) for rows in split(np.repeat([0, 1], 50), [0.8, 0.2])]
    [80, 20]
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ArgumentError(f"split: fractions must be positive and add up to 1, got {list(fractions)}.")
    rng = np.random.default_rng(seed)
    parts: list[list[Array]] = [[] for _ in fractions]
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        cuts = np.round(np.cumsum(fractions)[:-1] * len(rows)).astype(int)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]
