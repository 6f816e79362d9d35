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
    op = "relu"


class ReLU6(Function):
    op = "relu6"


class LeakyReLU(Function):
    op = "leaky_relu"


class ELU(Function):
    op = "elu"


class CELU(Function):
    op = "celu"


class SELU(Function):
    op = "selu"


class GELU(Function):
    op = "gelu"


class SiLU(Function):
    op = "silu"


class Mish(Function):
    op = "mish"


class Tanh(Function):
    op = "tanh"


class Sigmoid(Function):
    op = "sigmoid"


class LogSigmoid(Function):
    op = "log_sigmoid"


class Softplus(Function):
    op = "softplus"


class Softsign(Function):
    op = "softsign"


class HardTanh(Function):
    op = "hard_tanh"


class HardSigmoid(Function):
    op = "hard_sigmoid"


class HardSwish(Function):
    op = "hard_swish"


class Softmax(Function):
    op = "softmax"


class LogSoftmax(Function):
    op = "log_softmax"


class GLU(Function):
    op = "glu"


#: Every activation by the name of its op, with the op's own defaults.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    layer.op: OPS[layer.op].public for layer in Function.__subclasses__() if layer.__module__ == __name__
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
