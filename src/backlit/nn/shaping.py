"""Layers that change the shape alone."""

from __future__ import annotations

from math import prod
from typing import Any

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index
from ..ops.movement import flatten, reshape
from .layer import Layer


class Flatten(Layer):
    """The axes from `start` on as one; with `start=1` each sample becomes a vector."""

    def __init__(self, start: int = 1) -> None:
        self.start = as_index(start, "start", "Flatten")

    def forward(self, x: Any) -> Any:
        return flatten(x, start=self.start)


class Reshape(Layer):
    """Each sample in another shape; one size may be -1, and follows from the others. The batch stays.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.Reshape(1, 28, 28)(bl.ones((5, 784))).shape
    (5, 1, 28, 28)
    """

    def __init__(self, *shape: int) -> None:
        self.shape = tuple(as_index(n, "a size", "Reshape") for n in shape)
        if self.shape.count(-1) > 1 or any(n < -1 for n in self.shape):
            raise ArgumentError(f"Reshape: sizes must be 0 or more, but for one that may be -1; got {self.shape}.")

    def forward(self, x: Any) -> Any:
        return reshape(x, (-1, *self._sizes(x)))  # the batch may still be unknown

    def _sizes(self, x: Any) -> tuple[int, ...]:
        """The shape of a sample, the size that was left open filled in."""
        numbers, known = prod(x.shape[1:]), prod(n for n in self.shape if n != -1)
        sizes = tuple(numbers // max(known, 1) if n == -1 else n for n in self.shape)
        if prod(sizes) != numbers:
            raise ShapeError(
                f"Reshape: a sample of shape {tuple(x.shape[1:])} has {numbers} numbers, which do not fit into "
                f"{self.shape}."
            )
        return sizes
