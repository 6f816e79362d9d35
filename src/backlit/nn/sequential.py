"""`Sequential`: layers one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, overload

from ..base.errors import ArgumentError, shown
from .layer import Layer

Part = Layer | Callable[..., Any]


class Sequential(Layer):
    """Layers and functions, one after the other. Paths count them: `0.weight`, `2.weight`.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> model = nn.Sequential(nn.Dense(8), bl.tanh, nn.Dense(1))
    >>> model(bl.ones((5, 2))).shape
    (5, 1)
    >>> list(model.parameters())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Part) -> None:
        for layer in layers:
            if not callable(layer):
                raise ArgumentError(
                    f"Sequential: expected layers and functions, got {shown(layer)}; give them one by one."
                )
        self.layers = layers

    def members(self) -> Iterator[tuple[str, Any]]:
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, i: int) -> Any: ...

    @overload
    def __getitem__(self, i: slice) -> Sequential: ...

    def __getitem__(self, i: int | slice) -> Any:
        """One layer, or a model of some of them, which shares their parameters."""
        return Sequential(*self.layers[i]) if isinstance(i, slice) else self.layers[i]

    def __iter__(self) -> Iterator[Part]:
        return iter(self.layers)
