"""Dividing samples into parts: each class in the same proportions, and what belongs together kept together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from .arrays import Array
from .dataset import Dataset, Part, Task


def split(y: Any, fractions: Sequence[float], seed: int = 0, *, groups: Any = None) -> list[Array]:
    """Row numbers for parts of the given sizes, in random order.

    Args:
        y: the classes, one for each sample, each shared out in the same proportions; or the number of samples.
        fractions: the sizes of the parts, of which the sum is 1.
        seed: the same seed gives the same parts.
        groups: one label for each sample; samples of one group (the pictures of one patient, say) come into the same
            part. Parts then have the wanted sizes and proportions as nearly as whole groups allow.

    Raises:
        ArgumentError: fractions that do not add up to 1; classes that are measured values; groups of another length.

    >>> [len(rows) for rows in split(np.repeat([0, 1], 50), [0.8, 0.2])]
    [80, 20]
    >>> [len(rows) for rows in split(10, [0.5, 0.5])]
    [5, 5]
    """
    if min(fractions, default=0) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ArgumentError(f"split: fractions must be positive and add up to 1, got {list(fractions)}.")
    classes = np.zeros(y, np.int64) if isinstance(y, int | np.integer) else np.asarray(y)
    if classes.ndim != 1 or classes.dtype.kind == "f":
        raise ArgumentError(
            f"split: expected one class for each sample, got {classes.dtype.name} {classes.shape}. Where targets are "
            "measured values, give the number of samples instead: split(len(y), fractions)."
        )
    rng = np.random.default_rng(seed)
    if groups is None:
        parts = _by_class(classes, fractions, rng)
    else:
        parts = _by_group(classes, np.asarray(groups), fractions, rng)
    return [rng.permutation(np.concatenate(part)) if part else np.zeros(0, np.int64) for part in parts]


def _by_class(classes: Array, fractions: Sequence[float], rng: np.random.Generator) -> list[list[Array]]:
    parts: list[list[Array]] = [[] for _ in fractions]
    for label in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == label))
        cuts = np.round(np.cumsum(fractions)[:-1] * len(rows)).astype(int)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return parts


def _by_group(classes: Array, groups: Array, fractions: Sequence[float], rng: np.random.Generator) -> list[list[Array]]:
    """Largest groups first, each to the part that lacks most of what the group brings."""
    if groups.shape != classes.shape:
        raise ArgumentError(f"split: expected one group for each of {len(classes)} samples, got shape {groups.shape}.")
    kinds, kind = np.unique(classes, return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(kinds)))
    np.add.at(counts, (group, kind), 1)
    lacking = np.outer(fractions, counts.sum(axis=0))
    parts: list[list[Array]] = [[] for _ in fractions]
    order = rng.permutation(len(names))
    for g in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        chosen = int(np.argmax(lacking @ counts[g]))
        lacking[chosen] -= counts[g]
        parts[chosen].append(np.flatnonzero(group == g))
    return parts


#: The sizes of the training, the validation and the test part, where a dataset has no division of its own.
FRACTIONS = (0.7, 0.1, 0.2)


def divide(
    name: str, whole: Part, classes: tuple[str, ...], source: str, task: Task = "classification", seed: int = 0
) -> Dataset:
    """A dataset of which 70 % are for training, 10 % for validation and 20 % for the test, drawn by chance.

    Raises:
        ArgumentError: there are too few samples for three parts.

    >>> divide("ten", Part(np.arange(10.0), np.arange(10.0)), (), "numbers", "regression")
    Dataset('ten', regression, 7 train, 1 validation, 2 test, inputs () float64)
    """
    parts = split(whole.y if task == "classification" else len(whole), FRACTIONS, seed)
    if any(len(rows) == 0 for rows in parts):
        raise ArgumentError(
            f"{name}: {len(whole)} samples are too few to be divided into training, validation and test; use them as "
            "arrays, or give more."
        )
    train, validation, test = (whole.take(rows) for rows in parts)
    return Dataset(name, train, validation, test, classes, source, task)
