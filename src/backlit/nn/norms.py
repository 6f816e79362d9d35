"""Normalisation layers: activations brought to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from ..graph.tensor import Tensor
from ..ops.creation import ones, zeros
from ..ops.movement import reshape
from ..ops.reduce import mean
from .layer import Layer


class BatchNorm(Layer):
    """Each channel (axis 1) brought to mean 0 and variance 1 over the batch, then scaled and shifted
    (Ioffe & Szegedy 2015, algorithm 1); in evaluation by running means. Inputs: (batch, channels, ...).

    Args:
        momentum: how much of a running mean a batch replaces.
        epsilon: added to the variance.

    Attributes:
        scale, shift: (channels,), learned.
        mean, variance: (channels,), the running means; the variance is the unbiased one, as in PyTorch.
    """

    buffers = ("mean", "variance")

    def __init__(self, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        self.momentum, self.epsilon = momentum, epsilon
        self.scale: Tensor | None = None
        self.shift: Tensor | None = None
        self.mean: Tensor | None = None
        self.variance: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        channels = inputs[0].shape[1]
        self.scale, self.shift = ones(channels), zeros(channels)
        self.mean, self.variance = zeros(channels), ones(channels)

    def forward(self, x: Any) -> Any:
        channels = (-1, *(1,) * (x.ndim - 2))
        if self.training:
            axes = (0, *range(2, x.ndim))
            m = mean(x, axis=axes)
            centred = x - reshape(m, channels)
            v = mean(centred * centred, axis=axes)
            n = x.size // x.shape[1]
            keep = 1 - self.momentum
            self.update(
                mean=keep * self.buffer("mean") + self.momentum * m,
                variance=keep * self.buffer("variance") + self.momentum * (n / max(n - 1, 1)) * v,
            )
        else:
            m, v = self.buffer("mean"), self.buffer("variance")
            centred = x - reshape(m, channels)
        factor = self.scale / (v + self.epsilon).sqrt()
        return centred * reshape(factor, channels) + reshape(self.shift, channels)
