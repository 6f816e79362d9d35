"""Dividing samples into parts: at random from a seed, each class in the same proportions, groups kept together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, ShapeError
from .arrays import Array
from .dataset import Dataset, Part

#: How much of a dataset is for training, for validation and for testing where nobody else has said so.
FRACTIONS = (0.7, 0.1, 0.2)


def split(y: Array, fractions: Sequence[float], seed: int = 0, *, groups: Any = None) -> list[Array]:
    """Row numbers for parts of the given sizes, in random order.

    Args:
        y: the targets. Classes (anything but floats) are shared out in the same proportions.
        fractions: the sizes of the parts, which add up to 1.
        seed: where the random order comes from.
        groups: what each sample belongs to, such as a person or a recording; samples of one group stay in one part, and
            sizes and proportions are met as well as the groups allow.

    >>> [len(rows) for rows in split(np.repeat([0, 1], 50), [0.8, 0.2])]
    [80, 20]
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ArgumentError(f"split: fractions must be positive and add up to 1, got {list(fractions)}.")
    y = np.asarray(y)
    rng = np.random.default_rng(seed)
    number = np.zeros(len(y), int) if y.dtype.kind == "f" else np.unique(y, return_inverse=True)[1].reshape(len(y))
    if groups is not None:
        return _by_groups(number, np.asarray(groups), np.asarray(fractions), rng)
    parts: list[list[Array]] = [[] for _ in fractions]
    for label in range(number.max(initial=-1) + 1):
        rows = rng.permutation(np.flatnonzero(number == label))
        cuts = np.round(np.cumsum(fractions)[:-1] * len(rows)).astype(int)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def _by_groups(number: Array, groups: Array, fractions: Array, rng: np.random.Generator) -> list[Array]:
    """Each group, large ones first, goes where it brings the counts of the classes nearest to what is wanted."""
    if groups.shape != number.shape:
        raise ShapeError(f"split: groups must have shape {number.shape}, one for each sample, got {groups.shape}.")
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max(initial=-1) + 1, number.max(initial=-1) + 1))
    np.add.at(counts, (group, number), 1)
    lacking = np.outer(fractions, counts.sum(0))
    part_of = np.zeros(len(counts), int)
    shuffled = rng.permutation(len(counts))
    for g in shuffled[np.argsort(-counts[shuffled].sum(1), kind="stable")]:
        change = np.sum((lacking - counts[g]) ** 2 - lacking**2, axis=1)
        part_of[g] = np.argmin(change)
        lacking[part_of[g]] -= counts[g]
    return [rng.permutation(np.flatnonzero(part_of[group] == part)) for part in range(len(fractions))]


def divided(
    name: str, x: Array, y: Array, classes: tuple[str, ...], source: str, *,
    fractions: Sequence[float] = FRACTIONS, seed: int = 0, groups: Any = None,
) -> Dataset:  # fmt: skip
    """Samples as a `Dataset` with a division by `split`; without `classes` a task of regression.

    >>> divided("mine", np.zeros((10, 3)), np.arange(10.0), (), "here")
    Dataset('mine', regression, 7 train, 1 validation, 2 test, inputs (3,) float64)
    """
    whole, rows = Part(x, y), split(y, fractions, seed, groups=groups)
    if not all(map(len, rows)):
        raise ArgumentError(
            f"{name}: {len(whole)} samples leave {len(rows[0])} for training, {len(rows[1])} for validation and "
            f"{len(rows[2])} for the test; each needs some. Give more samples, or other fractions."
        )
    train, validation, test = map(whole.take, rows)
    return Dataset(name, train, validation, test, classes, source, "classification" if classes else "regression")
