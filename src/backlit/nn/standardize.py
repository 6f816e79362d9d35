"""`Standardize`, inputs brought to mean 0 and variance 1 by constants of the model; `Unstandardize`, outputs back."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..base.config import config
from ..graph.tensor import Tensor
from ..ops.movement import astype
from .layer import Layer


class Standardize(Layer):
    """`(x - mean) / scale`, of any numbers, as floats. The constants are buffers, so that a saved model takes raw
    inputs.

    >>> import numpy as np
    >>> from backlit import nn
    >>> images = np.array([[0, 100], [200, 100]], np.uint8)
    >>> nn.Standardize.of(images)(images).tolist()
    [[-1.4142135381698608, 0.0], [1.4142135381698608, 0.0]]
    """

    buffers = ("mean", "scale")

    def __init__(self, mean: Any = 0.0, scale: Any = 1.0) -> None:
        dtype = config.get().default_dtype
        self.mean, self.scale = Tensor(np.asarray(mean, dtype)), Tensor(np.asarray(scale, dtype))

    @classmethod
    def of(cls, x: Any, axis: Any = None) -> Self:
        """With mean and standard deviation of `x` over `axis`: None for one pair for all, as suits pixels; 0 for one
        pair per feature. A constant feature is only centred.
        """
        mean, spread = np.mean(x, axis=axis, dtype=np.float64), np.std(x, axis=axis, dtype=np.float64)
        return cls(mean, np.where(spread > 0, spread, 1))

    def forward(self, x: Any) -> Any:
        return (astype(x, self.mean.dtype) - self.buffer("mean")) / self.buffer("scale")


class Unstandardize(Standardize):
    """`x * scale + mean`, as the last layer of a network that predicts numbers: what comes before it works with numbers
    of the size of 1, and what comes out is in the unit of the targets that `of` was given.

    >>> import numpy as np
    >>> from backlit import nn
    >>> prices = np.array([[100.0], [300.0]])
    >>> nn.Unstandardize.of(prices, axis=0)(np.array([[0.0], [1.0]], "float32")).tolist()
    [[200.0], [300.0]]
    """

    def forward(self, x: Any) -> Any:
        return astype(x, self.mean.dtype) * self.buffer("scale") + self.buffer("mean")
