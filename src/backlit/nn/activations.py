"""Activations: as layers, and by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base.errors import ShapeError
from ..graph.opdef import OPS
from ..graph.tensor import Tensor
from ..ops.activation import relu
from ..ops.creation import full
from ..ops.movement import reshape
from .function import Function
from .layer import Layer
from .named import named

#: A function of a Tensor, the name of one, or None for none.
Activation = str | Callable[[Any], Any] | None


class ReLU(Function):
    applies = "relu"


class ReLU6(Function):
    applies = "relu6"


class LeakyReLU(Function):
    applies = "leaky_relu"


class ELU(Function):
    applies = "elu"


class CELU(Function):
    applies = "celu"


class SELU(Function):
    applies = "selu"


class GELU(Function):
    applies = "gelu"


class SiLU(Function):
    applies = "silu"


class Mish(Function):
    applies = "mish"


class Tanh(Function):
    applies = "tanh"


class Sigmoid(Function):
    applies = "sigmoid"


class LogSigmoid(Function):
    applies = "log_sigmoid"


class Softplus(Function):
    applies = "softplus"


class Softsign(Function):
    applies = "softsign"


class HardTanh(Function):
    applies = "hard_tanh"


class HardSigmoid(Function):
    applies = "hard_sigmoid"


class HardSwish(Function):
    applies = "hard_swish"


class Softmax(Function):
    applies = "softmax"


class LogSoftmax(Function):
    applies = "log_softmax"


class GLU(Function):
    applies = "glu"


#: Every activation by the name of its op, with the op's own defaults.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    layer.applies: OPS[layer.applies].public for layer in Function.__subclasses__() if layer.__module__ == __name__
}


class PReLU(Layer):
    """x where it is positive, a learned slope times x elsewhere (He et al. 2015, equation 1).

    Args:
        slope: its first value.
        per_channel: a slope for each channel (axis 1), or one for all?

    Attributes:
        weight: the slopes, (channels,) or (1,).
    """

    def __init__(self, slope: float = 0.25, *, per_channel: bool = False) -> None:
        self.slope, self.per_channel = slope, per_channel
        self.weight: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        self.weight = full(self._count(inputs[0]), float(self.slope))

    def forward(self, x: Any) -> Any:
        slope: Any = self.weight
        if self.per_channel:
            if slope.shape[0] != self._count(x):
                raise ShapeError(f"PReLU: it was built for {slope.shape[0]} channels, got shape {tuple(x.shape)}.")
            slope = reshape(slope, (-1, *(1,) * (x.ndim - 2)))
        return relu(x) - slope * relu(-x)

    def _count(self, x: Any) -> int:
        if self.per_channel and x.ndim < 2:
            raise ShapeError(f"PReLU: expected an input of shape (batch, channels, ...), got {tuple(x.shape)}.")
        return x.shape[1] if self.per_channel else 1


def linear(x: Any) -> Any:
    """The identity: no activation."""
    return x


def activation_of(given: Activation) -> Callable[[Any], Any]:
    """The activation of this name, or the function itself."""
    return linear if given is None else named(given, ACTIVATIONS, "activation")
