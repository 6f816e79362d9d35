"""What a dataset is: three parts, each of them inputs and labels, and the names of the classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import ArgumentError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """Inputs and labels, row by row."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return self.x.shape[0]

    def take(self, rows: Any) -> Part:
        """The samples in these rows."""
        return Part(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Dataset:
    """A dataset with its fixed division: fit on `train`, choose by `validation`, look at `test` once."""

    name: str
    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    source: str

    @property
    def checksum(self) -> str:
        """SHA-256 of all values and labels in the order in which they are used."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for array in (part.x, part.y):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, p))} {p}" for p in ("train", "validation", "test"))
        return f"Dataset({self.name!r}, {sizes}, inputs {self.train.x.shape[1:]} {self.train.x.dtype.name})"


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
