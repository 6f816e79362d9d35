"""Minibatches: the samples of one epoch, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..base.errors import ArgumentError
from .dataset import Part


def batches(
    part: Part, size: int, shuffle: np.random.Generator | None = None, *, drop_last: bool = False
) -> Iterator[Part]:
    """One pass over `part` in batches of `size`, the last one smaller unless dropped.

    Args:
        shuffle: where the random order comes from; one generator used for all epochs gives each its own order.

    >>> part = Part(np.arange(10.0), np.arange(10))
    >>> [batch.y.tolist() for batch in batches(part, 4)]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """
    if size < 1:
        raise ArgumentError(f"batches: size must be at least 1, got {size}.")
    rows = np.arange(len(part)) if shuffle is None else shuffle.permutation(len(part))
    end = len(rows) - size + 1 if drop_last else len(rows)
    for start in range(0, end, size):
        yield part.take(rows[start : start + size])
