"""Layers that change the shape alone."""

from __future__ import annotations

from typing import Any

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

    def forward(self, x: Any) -> Any:
        return reshape(x, (x.shape[0], *self.shape))
