"""What a dataset is: three parts, each of them inputs and targets, and what is to be learned from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from .arrays import Array, blocks

#: What is to be learned: a class for each sample, numbers for each sample, or the next token at each place.
Task = Literal["classification", "regression", "text"]


@dataclass(frozen=True)
class Part:
    """Inputs and targets, row by row."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return self.x.shape[0]

    def take(self, rows: Any) -> Part:
        """The samples in these rows."""
        return Part(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Dataset:
    """A dataset with its fixed division: fit on `train`, choose by `validation`, look at `test` once.

    Attributes:
        classes: the names of the classes, where targets are their numbers; the vocabulary of a text, where targets are
            token numbers; empty where targets are numbers to be predicted (regression).
        source: where the values came from, such as a folder or the name of a package.
        task: `"classification"`, `"regression"` or `"text"`. The targets of a regression have the shape of the outputs
            that predict them: one number for each sample becomes a column, (samples, 1).
    """

    name: str
    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...]
    source: str
    task: Task = "classification"

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test") if self.task == "regression" else ():
            part: Part = getattr(self, name)
            if part.y.ndim == 1:
                object.__setattr__(self, name, Part(part.x, part.y[:, None]))

    @property
    def checksum(self) -> str:
        """SHA-256 of all values and targets in the order in which they are used; files are read block by block."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for array in (part.x, part.y):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                for block in blocks(array):
                    digest.update(block.data.cast("B") if block.size else b"")
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, p))} {p}" for p in ("train", "validation", "test"))
        inputs = f"inputs {self.train.x.shape[1:]} {self.train.x.dtype.name}"
        return f"Dataset({self.name!r}, {self.task}, {sizes}, {inputs})"
