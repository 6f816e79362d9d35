"""Normalisation layers: activations brought to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from ..ops.arithmetic import rsqrt
from ..ops.control import stop_gradient
from ..ops.creation import ones, zeros
from ..ops.movement import reshape
from ..ops.reduce import mean, var
from .layer import Layer


class _Norm(Layer):
    """A layer with a learned scale and shift, for `affine=True`, after what its kind of normalisation gives."""

    affine: bool

    def __init__(self) -> None:
        self.scale: Tensor | None = None
        self.shift: Tensor | None = None

    def _make(self, shape: int | tuple[int, ...]) -> None:
        if self.affine:
            self.scale, self.shift = ones(shape), zeros(shape)

    def _channels(self, x: Any) -> int:
        if x.ndim < 2:
            raise ShapeError(
                f"{type(self).__name__}: expected an input of shape (batch, channels, ...), got {tuple(x.shape)}."
            )
        return x.shape[1]

    def _last(self, x: Any, axes: int) -> tuple[int, ...]:
        """The sizes of the last axes."""
        if x.ndim < axes:
            raise ShapeError(
                f"{type(self).__name__}: axes={axes}, but the input has {x.ndim} dimension(s): shape {tuple(x.shape)}."
            )
        return tuple(x.shape[x.ndim - axes :])

    def _fits(self, x: Any, made: Tensor | None, *shape: int) -> None:
        """Check that what was made for the layer has the shape that `x` needs; a size of 1 would broadcast."""
        if made is not None and tuple(made.shape) != shape:
            raise ShapeError(
                f"{type(self).__name__}: it was built for {tuple(made.shape)}, but an input of shape {tuple(x.shape)} "
                f"needs {shape}; build it for such inputs."
            )

    def _scaled(self, x: Any, *after: int) -> Any:
        """`x` scaled and shifted along one axis, with axes of these sizes after it."""
        if not self.affine:
            return x
        return x * reshape(self.scale, (-1, *after)) + reshape(self.shift, (-1, *after))


def _standardised(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    """`x` brought to mean 0 and variance 1 over some axes.

    The variance is that of `bl.var`, whose derivative knows that deviations from the mean add up to 0. So the reverse
    pass goes through memory twice; with mean((x - m)²) written out it would go three times.
    """
    return (x - mean(x, axis=axes, keepdims=True)) * rsqrt(var(x, axis=axes, keepdims=True) + epsilon)


class BatchNorm(_Norm):
    """Each channel (axis 1) brought to mean 0 and variance 1 over the batch, then scaled and shifted
    (Ioffe & Szegedy 2015, algorithm 1); in evaluation by running means. Inputs: (batch, channels, ...).

    Args:
        momentum: how much of a running mean a batch replaces.
        epsilon: added to the variance.
        affine: with a learned scale and shift?

    Attributes:
        scale, shift: (channels,), learned, or None.
        mean, variance: (channels,), the running means; the variance is the unbiased one, as in PyTorch.
    """

    buffers = ("mean", "variance")

    def __init__(self, momentum: float = 0.1, epsilon: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.momentum, self.epsilon, self.affine = momentum, epsilon, affine
        self.mean: Tensor | None = None
        self.variance: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        channels = self._channels(inputs[0])
        self._make(channels)
        self.mean, self.variance = zeros(channels), ones(channels)

    def forward(self, x: Any) -> Any:
        self._fits(x, self.mean, self._channels(x))
        after = (1,) * (x.ndim - 2)
        if self.training:
            axes = (0, *range(2, x.ndim))
            m = mean(x, axis=axes)
            v = var(x, axis=axes)
            n = x.size // max(x.shape[1], 1)
            keep = 1 - self.momentum
            self.update(
                mean=keep * self.buffer("mean") + self.momentum * m,
                variance=keep * self.buffer("variance") + self.momentum * (n / max(n - 1, 1)) * v,
            )
        else:
            m, v = self.buffer("mean"), self.buffer("variance")
        factor, shift = rsqrt(v + self.epsilon), 0.0
        if self.affine:
            factor, shift = factor * self.scale, self.shift
        # (x - m) · factor + shift, whatever the point; written so, the derivative by m needs no sum of its own over the
        # batch. And with the point at m nothing is rounded off.
        point = stop_gradient(m)
        shift = shift - (m - point) * factor
        return (x - reshape(point, (-1, *after))) * reshape(factor, (-1, *after)) + reshape(shift, (-1, *after))


class LayerNorm(_Norm):
    """Each sample, or each of its vectors, brought to mean 0 and variance 1 over its last axes, then scaled and shifted
    (Ba, Kiros & Hinton 2016, equation 4).

    Args:
        axes: over how many of the last axes.
        epsilon: added to the variance.
        affine: with a learned scale and shift?

    Attributes:
        scale, shift: of the shape of the last axes, or None.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.LayerNorm()(bl.tensor([[1.0, 3.0]])).numpy().round(3).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, axes: int = 1, epsilon: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.axes, self.epsilon, self.affine = _count(axes, "axes", "LayerNorm"), epsilon, affine

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        self._make(self._last(inputs[0], self.axes))

    def forward(self, x: Any) -> Any:
        self._fits(x, self.scale, *self._last(x, self.axes))
        y = _standardised(x, tuple(range(-self.axes, 0)), self.epsilon)
        return y * self.scale + self.shift if self.affine else y


class RMSNorm(_Norm):
    """Each vector divided by the root of the mean of its squares over the last axes, then scaled
    (Zhang & Sennrich 2019, equation 4).

    Args:
        axes: over how many of the last axes.
        epsilon: added to the mean of squares.
        affine: with a learned scale?

    Attributes:
        scale: of the shape of the last axes, or None.
    """

    def __init__(self, axes: int = 1, epsilon: float = 1e-6, affine: bool = True) -> None:
        self.axes, self.epsilon, self.affine = _count(axes, "axes", "RMSNorm"), epsilon, affine
        self.scale: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        shape = self._last(inputs[0], self.axes)
        self.scale = ones(shape) if self.affine else None

    def forward(self, x: Any) -> Any:
        self._fits(x, self.scale, *self._last(x, self.axes))
        y = x * rsqrt(mean(x * x, axis=tuple(range(-self.axes, 0)), keepdims=True) + self.epsilon)
        return y * self.scale if self.affine else y


class GroupNorm(_Norm):
    """The channels (axis 1) of each sample in groups, each brought to mean 0 and variance 1 over its channels and all
    places, then scaled and shifted channel by channel (Wu & He 2018, equation 7). Inputs: (batch, channels, ...).

    Args:
        groups: the number of groups.
        epsilon: added to the variance.
        affine: with a learned scale and shift?

    Attributes:
        scale, shift: (channels,), or None.
    """

    def __init__(self, groups: int, epsilon: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.groups, self.epsilon, self.affine = _count(groups, "groups", "GroupNorm"), epsilon, affine

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        self._make(self._channels(inputs[0]))

    def forward(self, x: Any) -> Any:
        self._fits(x, self.scale, self._channels(x))
        if x.shape[1] % self.groups:
            raise ShapeError(f"GroupNorm: {x.shape[1]} channels do not divide into groups={self.groups}.")
        grouped = reshape(x, (-1, self.groups, x.shape[1] // self.groups, *x.shape[2:]))
        y = _standardised(grouped, tuple(range(2, grouped.ndim)), self.epsilon)
        return self._scaled(reshape(y, (-1, *x.shape[1:])), *(1 for _ in x.shape[2:]))


class InstanceNorm(_Norm):
    """Each channel of each sample brought to mean 0 and variance 1 over its places, then scaled and shifted
    (Ulyanov, Vedaldi & Lempitsky 2016). Inputs: (batch, channels, *space).

    Args:
        epsilon: added to the variance.
        affine: with a learned scale and shift?

    Attributes:
        scale, shift: (channels,), or None.
    """

    def __init__(self, epsilon: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.epsilon, self.affine = epsilon, affine

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        self._make(self._channels(inputs[0]))

    def forward(self, x: Any) -> Any:
        if x.ndim < 3:
            raise ShapeError(
                f"InstanceNorm: expected an input of shape (batch, channels, *space), got {tuple(x.shape)}."
            )
        self._fits(x, self.scale, self._channels(x))
        y = _standardised(x, tuple(range(2, x.ndim)), self.epsilon)
        return self._scaled(y, *(1 for _ in x.shape[2:]))


def _count(n: Any, name: str, where: str) -> int:
    if as_index(n, name, where) < 1:
        raise ArgumentError(f"{where}: {name} must be 1 or more, got {n}.")
    return int(n)
