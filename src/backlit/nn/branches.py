"""Layers beside each other: `Residual` and `Concat`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..base.errors import ArgumentError, ShapeError, shown
from ..ops.joining import concat
from .layer import Layer
from .sequential import Part


class Residual(Layer):
    """`shortcut(x) + inner(x)`, without a shortcut `x + inner(x)` (He et al. 2016, equations 1 and 2).

    Args:
        inner: a layer or a function.
        shortcut: another one, where `inner` changes the shape.
    """

    def __init__(self, inner: Part, shortcut: Part | None = None) -> None:
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x: Any) -> Any:
        y = self.inner(x)
        x = x if self.shortcut is None else self.shortcut(x)
        if tuple(x.shape) != tuple(y.shape):
            raise ShapeError(
                f"Residual: {tuple(y.shape)} comes out of inner, {tuple(x.shape)} is to be added; they must be equal. "
                "Give a shortcut that changes the shape alike, such as a convolution with kernel 1."
            )
        return x + y


class Concat(Layer):
    """What several layers make of the same input, side by side along `axis` (Szegedy et al. 2015, figure 2a).

    Paths count the branches: `0.weight`, `1.weight`.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.Concat(nn.Conv2d(4, 1), nn.Conv2d(8, 3, padding="same"))(bl.ones((2, 3, 5, 5))).shape
    (2, 12, 5, 5)
    """

    def __init__(self, *branches: Part, axis: int = 1) -> None:
        for branch in branches:
            if not callable(branch):
                raise ArgumentError(f"Concat: expected layers and functions, got {shown(branch)}.")
        if not branches:
            raise ArgumentError("Concat: give one branch or more.")
        self.branches, self.axis = branches, axis

    def members(self) -> Iterator[tuple[str, Any]]:
        return ((str(i), branch) for i, branch in enumerate(self.branches))

    def forward(self, x: Any) -> Any:
        return concat([branch(x) for branch in self.branches], axis=self.axis)
