"""Convolutions and their transposes, over one, two and three spatial axes, as in `bl.conv2d` and its relatives."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_index
from ..graph.opdef import OPS
from ..graph.tensor import Tensor
from ..ops.convolution import AXES, as_padding, per_axis
from ..ops.creation import zeros
from .activations import Activation, activation_of
from .initialisers import Initialiser, initialiser
from .layer import Layer

_DOC = """A convolution over {axes}: inputs (batch, channels, {axes}), outputs (batch, filters, {axes}).

Args:
    filters: the number of output channels.
    kernel: the size of the window, an int or one for each spatial axis.
    stride: the step between windows.
    padding: zeros around the input: "valid" (none), "same" (output size is input size / stride, rounded up), an int,
        or for each spatial axis an int or a pair (before, after).
    dilation: the step between the taps of the kernel.
    groups: channels are split into so many groups that do not see each other.
    activation: a function, or its name, such as "relu".
    use_bias: with a bias?
    init: first values of the weight, of which a unit sees channels / groups · kernel inputs.

Attributes:
    weight: (filters, channels / groups, {axes}).
    bias: (filters,), or None.
"""
_TRANSPOSED = """The transpose of a convolution over {axes} (deconvolution): it makes its input `stride` times larger.

Args:
    filters, kernel, stride, dilation, groups, activation, use_bias, init: as in `Conv{n}d`.
    padding: how much is cut off, the padding of the convolution that this is the transpose of; with "same", the output
        size is input size · stride.
    output_padding: extra size at the end of each axis, smaller than `stride`.

Attributes:
    weight: (channels, filters / groups, {axes}).
    bias: (filters,), or None.
"""


class _Convolution(Layer):
    dims: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: Any = "valid",
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        activation: Activation = None,
        *,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
    ) -> None:
        name, n = type(self).__name__, self.dims
        self.filters, self.groups = as_index(filters, "filters", name), as_index(groups, "groups", name)
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        self._kernel = per_axis(kernel, n, "kernel", name)
        strides, dilations = per_axis(stride, n, "stride", name), per_axis(dilation, n, "dilation", name)
        as_padding(padding, self._kernel, self._kernel, strides, dilations, name)
        if self.filters < 1 or self.groups < 1 or self.filters % self.groups:
            raise ArgumentError(
                f"{name}: filters={filters} must be 1 or more, and divide into groups={groups} of one size."
            )
        self.activation, self.use_bias, self.init = activation, use_bias, init
        activation_of(activation)
        initialiser(init)
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        channels = self._channels(inputs[0])
        each = self.filters // self.groups, channels // self.groups
        fans = each[1] * prod(self._kernel), each[0] * prod(self._kernel)
        self.weight = initialiser(self.init)(key, self._shape(channels), *fans)
        self.bias = zeros(self.filters) if self.use_bias else None

    def _channels(self, x: Tensor) -> int:
        name = type(self).__name__
        if x.ndim != self.dims + 2:
            raise ShapeError(
                f"{name}: expected an input of shape (batch, channels, {AXES[self.dims]}), got {tuple(x.shape)}; "
                "an axis of size 1 is added with x[:, None] or nn.Reshape."
            )
        if x.shape[1] % self.groups:
            raise ShapeError(f"{name}: {x.shape[1]} channels do not divide into groups={self.groups}.")
        return x.shape[1]

    def _shape(self, channels: int) -> tuple[int, ...]:
        return (self.filters, channels // self.groups, *self._kernel)

    def forward(self, x: Any) -> Any:
        conv = OPS[f"conv{self.dims}d"].public
        y = conv(
            x, self.weight, self.bias, stride=self.stride, padding=self.padding, dilation=self.dilation,
            groups=self.groups,
        )  # fmt: skip
        return activation_of(self.activation)(y)


class _Transposed(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: Any = "valid",
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        activation: Activation = None,
        *,
        output_padding: int | tuple[int, ...] = 0,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
    ) -> None:
        super().__init__(
            filters, kernel, stride, padding, dilation, groups, activation, use_bias=use_bias, init=init
        )  # fmt: skip
        self.output_padding = output_padding
        per_axis(output_padding, self.dims, "output_padding", type(self).__name__, least=0)
        if padding == "same" and output_padding != 0:
            raise ArgumentError(
                f"{type(self).__name__}: padding='same' fixes the output size, so that output_padding="
                f"{output_padding!r} has no place; give the padding in numbers."
            )

    def _shape(self, channels: int) -> tuple[int, ...]:
        return (channels, self.filters // self.groups, *self._kernel)

    def forward(self, x: Any) -> Any:
        padding, extra = self.padding, self.output_padding
        if padding == "same":
            padding, extra = self._same()
        conv = OPS[f"conv_transpose{self.dims}d"].public
        y = conv(
            x, self.weight, self.bias, stride=self.stride, padding=padding, output_padding=extra,
            dilation=self.dilation, groups=self.groups,
        )  # fmt: skip
        return activation_of(self.activation)(y)

    def _same(self) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
        """Padding and output padding with which the output is `stride` times as large as the input."""
        strides = per_axis(self.stride, self.dims, "stride", "")
        dilations = per_axis(self.dilation, self.dims, "dilation", "")
        over = [d * (k - 1) + 1 - s for k, d, s in zip(self._kernel, dilations, strides, strict=True)]
        cut = (max(n, 0) for n in over)
        return tuple((n // 2, n - n // 2) for n in cut), tuple(max(-n, 0) for n in over)


class Conv1d(_Convolution):
    __doc__ = _DOC.format(axes=AXES[1])
    dims = 1


class Conv2d(_Convolution):
    __doc__ = (
        _DOC.format(axes=AXES[2])
        + """
>>> import backlit as bl
>>> from backlit import nn
>>> nn.Conv2d(8, 3, padding="same", activation="relu")(bl.ones((2, 1, 28, 28))).shape
(2, 8, 28, 28)
"""
    )
    dims = 2


class Conv3d(_Convolution):
    __doc__ = _DOC.format(axes=AXES[3])
    dims = 3


class ConvTranspose1d(_Transposed):
    __doc__ = _TRANSPOSED.format(axes=AXES[1], n=1)
    dims = 1


class ConvTranspose2d(_Transposed):
    __doc__ = _TRANSPOSED.format(axes=AXES[2], n=2)
    dims = 2


class ConvTranspose3d(_Transposed):
    __doc__ = _TRANSPOSED.format(axes=AXES[3], n=3)
    dims = 3
