"""`Embedding`: a learned vector for each of many things that have numbers, such as tokens."""

from __future__ import annotations

from typing import Any

from ..base.dtypes import INTEGER
from ..base.errors import ArgumentError, DtypeError, IndexRangeError
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from ..ops.comparison import not_equal, where
from ..ops.creation import arange
from ..ops.movement import expand_dims
from ..ops.scatter import embedding
from .initialisers import Initialiser, initialiser
from .layer import Layer


class Embedding(Layer):
    """The row of `weight` for each number: (...) integers to (..., size).

    Args:
        count: how many things there are; their numbers are 0 to count - 1.
        size: the length of a vector.
        padding: the number of a thing that stands for none: its vector is 0, and stays so.
        init: first values of the weight.

    Attributes:
        weight: (count, size).

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.Embedding(10, 4)(bl.tensor([[1, 2, 2]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, count: int, size: int, padding: int | None = None, *, init: str | Initialiser = "standard_normal"
    ) -> None:
        self.count, self.size = as_index(count, "count", "Embedding"), as_index(size, "size", "Embedding")
        if min(self.count, self.size) < 1:
            raise ArgumentError(f"Embedding: count and size must be 1 or more, got {count} and {size}.")
        if padding is not None and not 0 <= as_index(padding, "padding", "Embedding") < self.count:
            raise ArgumentError(f"Embedding: padding={padding} must be None or from 0 to {self.count - 1}.")
        self.padding, self.init = padding, init
        initialiser(init)
        self.weight: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        weight = initialiser(self.init)(key, (self.count, self.size), self.count, self.size)
        self.weight = weight if self.padding is None else self._without_padding(arange(self.count), weight)

    def forward(self, ids: Any) -> Any:
        if ids.dtype.char not in INTEGER:
            raise DtypeError(
                f"Embedding: expected integers, the numbers of things, got {ids.dtype.name}; use .astype(bl.int64). "
                'Where only a shape is given, say dtype="int64".'
            )
        if ids.value is not None and ids.value.min(initial=0) < 0:  # the op would count from the end
            raise IndexRangeError(f"Embedding: a number is {ids.value.min()}; they go from 0 to {self.count - 1}.")
        rows = embedding(ids, self.weight)
        return rows if self.padding is None else self._without_padding(ids, rows)

    def _without_padding(self, ids: Any, rows: Any) -> Any:
        return where(expand_dims(not_equal(ids, self.padding), axis=-1), rows, 0.0)
