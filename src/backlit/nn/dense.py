"""`Dense`: every output sees every input."""

from __future__ import annotations

from typing import Any

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from ..ops.contraction import linear
from ..ops.creation import zeros
from .activations import Activation, activation_of
from .initialisers import Initialiser, initialiser
from .layer import Layer


class Dense(Layer):
    """`activation(x @ weight + bias)` for inputs of shape (..., inputs): the full connection of the classics.

    Args:
        units: the number of outputs.
        activation: a function, or its name, such as "relu".
        use_bias: with a bias?
        init: first values of the weight: a function of `nn.initialisers`, or its name.

    Attributes:
        weight: (inputs, units).
        bias: (units,), or None.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.Dense(4, "relu")(bl.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Activation = None,
        *,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
    ) -> None:
        self.units = as_index(units, "units", "Dense")
        if self.units < 1:
            raise ArgumentError(f"Dense: units must be 1 or more, got {units}.")
        self.activation = activation
        activation_of(activation)
        self.use_bias, self.init = use_bias, init
        initialiser(init)
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        n = _width(inputs[0])
        self.weight = initialiser(self.init)(key, (n, self.units), n, self.units)
        self.bias = zeros(self.units) if self.use_bias else None

    def forward(self, x: Any) -> Any:
        _width(x)
        return activation_of(self.activation)(linear(x, self.weight, self.bias))


def _width(x: Any) -> int:
    """The number of inputs of each sample."""
    if x.ndim < 2:
        raise ShapeError(
            f"Dense: expected an input of shape (batch, ..., inputs), got {tuple(x.shape)}; one sample alone is a "
            "batch of one, x[None, :]."
        )
    return x.shape[-1]
