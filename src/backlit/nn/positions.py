"""Where in a sequence something stands: encodings that are added (sinusoidal, learned) or turn vectors (rotary)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from ..ops.joining import concat
from .initialisers import Initialiser, Normal, initialiser
from .layer import Layer

#: Positions begin small beside what they are added to (Radford et al. 2018, section 4.1).
SMALL = Normal(0.02)


def angles(time: int, pairs: int, base: float = 10000.0) -> np.ndarray[Any, Any]:
    """place · base^(-pair / pairs), for each place and each pair of features: (time, pairs)."""
    return np.arange(time)[:, None] * base ** (-np.arange(pairs) / pairs)


class SinusoidalPositions(Layer):
    """Adds to place t of a sequence (..., time, width) the sines and cosines of t · base^(-2i / width), in turns
    (Vaswani et al. 2017, section 3.5).

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.SinusoidalPositions()(bl.zeros((1, 2, 4)))[0]
    tensor([[0.        , 1.        , 0.        , 1.        ],
            [0.84147096, 0.5403023 , 0.00999983, 0.99995   ]], dtype=float32)
    """

    def __init__(self, base: float = 10000.0) -> None:
        self.base = base

    def forward(self, x: Any) -> Any:
        _sequence(x, "SinusoidalPositions")
        time, width = x.shape[-2:]
        turned = angles(time, width // 2, self.base)
        table = np.stack([np.sin(turned), np.cos(turned)], axis=-1).reshape(time, width)
        return x + table.astype(x.dtype)


class LearnedPositions(Layer):
    """Adds to each place of a sequence (..., time, width) a vector of its own, which is learned (Gehring et al. 2017).

    Args:
        length: how many places there are; sequences may be shorter.
        init: first values.

    Attributes:
        weight: (length, width).
    """

    def __init__(self, length: int, init: str | Initialiser = SMALL) -> None:
        if as_index(length, "length", "LearnedPositions") < 1:
            raise ArgumentError(f"LearnedPositions: length must be 1 or more, got {length}.")
        self.length, self.init = length, init
        initialiser(init)
        self.weight: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Any) -> None:
        width = inputs[0].shape[-1]
        self.weight = initialiser(self.init)(key, (self.length, width), self.length, width)

    def forward(self, x: Any) -> Any:
        time = x.shape[-2]
        if time > self.length:
            raise ShapeError(
                f"LearnedPositions: the sequence has {time} places, but only {self.length} have a vector; "
                f"cut it, or make the layer with length={time}."
            )
        weight: Any = self.weight
        return x + (weight if time == self.length else weight[:time])


def rotary(x: Any, base: float = 10000.0) -> Any:
    """Vectors (..., time, width) turned by angles that grow with their place (Su et al. 2021, section 3.2).

    The pair of features (i, i + width/2), as a point in the plane, turns by t · base^(-2i / width) at place t. The
    product of two such vectors depends on how far apart they are, and not on where. (The paper pairs neighbours, which
    is the same up to the order of features.)

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.rotary(bl.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.        , 0.        ],
            [0.5403023 , 0.84147096]], dtype=float32)
    """
    _sequence(x, "rotary")
    time, width = x.shape[-2:]
    half = width // 2
    turned = angles(time, half, base)
    sine, cosine = np.sin(turned).astype(x.dtype), np.cos(turned).astype(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return concat([a * cosine - b * sine, b * cosine + a * sine], axis=-1)


def _sequence(x: Any, where: str) -> None:
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError(f"{where}: expected shape (..., time, width) with an even width, got {tuple(x.shape)}.")
