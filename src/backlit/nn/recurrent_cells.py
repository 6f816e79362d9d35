"""One layer of a recurrent network in one direction: its weights, its step, and the loop over time."""

from __future__ import annotations

from typing import Any, ClassVar

from ..graph.tensor import Tensor
from ..ops.activation import sigmoid
from ..ops.comparison import where
from ..ops.contraction import linear
from ..ops.control import scan
from ..ops.creation import ones, zeros
from ..ops.joining import concat
from ..ops.random import split
from ..ops.trigonometric import tanh
from .activations import Activation, activation_of
from .initialisers import Initialiser, initialiser
from .layer import Layer


class Cell(Layer):
    """A loop over time: of each step the input's share is `x @ weight + bias`, the state's `h @ recurrent`.

    The shares of all inputs are one product before the loop, those of the state one product in each step, in which all
    gates lie side by side.

    Args:
        units: the size of the state h.
        reverse: from the last step to the first?
        use_bias: with a bias?
        init, recurrent_init: first values of the two weights, of each gate by itself.

    Attributes:
        gates: how many vectors of `units` a step computes.
        parts: how many Tensors a state consists of; the first is h.
        weight: (features, gates · units).
        recurrent: (units, gates · units).
        bias: (gates · units,), or None.
    """

    gates: ClassVar[int] = 1
    parts: ClassVar[int] = 1

    def __init__(
        self,
        units: int,
        reverse: bool = False,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
        recurrent_init: str | Initialiser = "orthogonal",
    ) -> None:
        self.units, self.reverse, self.use_bias = units, reverse, use_bias
        self.init, self.recurrent_init = init, recurrent_init
        self.weight: Tensor | None = None
        self.recurrent: Tensor | None = None
        self.bias: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Any) -> None:
        keys = split(key, 2 * self.gates)
        features, units = inputs[0].shape[-1], self.units

        def side_by_side(init: str | Initialiser, first: int, rows: int) -> Tensor:
            drawn = [initialiser(init)(keys[first + i], (rows, units), rows, units) for i in range(self.gates)]
            return concat(drawn, axis=1)

        self.weight = side_by_side(self.init, 0, features)
        self.recurrent = side_by_side(self.recurrent_init, self.gates, units)
        self.bias = self.first_bias() if self.use_bias else None

    def first_bias(self) -> Tensor:
        """The bias before training."""
        return zeros(self.gates * self.units)

    def step(self, given: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """The next state, from the share of the input and the state before."""
        raise NotImplementedError

    def split(self, z: Any) -> list[Any]:
        """The gates, which lie side by side."""
        n = self.units
        return [z[:, i * n : (i + 1) * n] for i in range(z.shape[1] // n)]

    def forward(self, x: Any, state: tuple[Any, ...] | None = None, alive: Any = None) -> tuple[Any, tuple[Any, ...]]:
        """The outputs (time, n, units), and the last state.

        Args:
            x: (time, n, features).
            state: the first state, for each part (n, units); by default zeros.
            alive: (time, n, 1), True within the length of a sequence. Elsewhere the state stays as it is, and the
                output is 0.
        """
        given = linear(x, self.weight, self.bias)
        if state is None:
            zero = zeros((x.shape[1], self.units), dtype=given.dtype)
            state = (zero,) * self.parts

        def free(old: tuple[Any, ...], given: Any) -> Any:
            new = self.step(given, old)
            return new, new[0]

        def within(old: tuple[Any, ...], given: Any) -> Any:
            given, alive = given
            new = self.step(given, old)
            return tuple(where(alive, a, b) for a, b in zip(new, old, strict=True)), where(alive, new[0], 0.0)

        if alive is None:
            last, outputs = scan(free, state, given, reverse=self.reverse)
        else:
            last, outputs = scan(within, state, (given, alive), reverse=self.reverse)
        return outputs, last


class RNNCell(Cell):
    """h ← activation(x W + b + h U) (Elman 1990)."""

    def __init__(
        self,
        units: int,
        reverse: bool = False,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
        recurrent_init: str | Initialiser = "orthogonal",
        activation: Activation = "tanh",
    ) -> None:
        super().__init__(units, reverse, use_bias, init, recurrent_init)
        self.activation = activation

    def step(self, given: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        return (activation_of(self.activation)(given + state[0] @ self.recurrent),)


class LSTMCell(Cell):
    """The gates i, f, g, o from x W + b + h U; then c ← σ(f) c + σ(i) tanh(g) and h ← σ(o) tanh(c)."""

    gates, parts = 4, 2

    def first_bias(self) -> Tensor:
        """1 for the gate that forgets, so that at first little is forgotten (Jozefowicz et al. 2015, section 5)."""
        n = self.units
        return concat([zeros(n), ones(n), zeros(2 * n)])

    def step(self, given: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        h, c = state
        i, f, g, o = self.split(given + h @ self.recurrent)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


class GRUCell(Cell):
    """The gates r, z, and the candidate g = tanh(x W + b + σ(r) (h U + d)); then h ← (1 - σ(z)) g + σ(z) h.

    Attributes:
        recurrent_bias: (units,), the candidate's d, or None.
    """

    gates = 3
    recurrent_bias: Tensor | None = None

    def setup(self, key: Tensor, *inputs: Any) -> None:
        super().setup(key, *inputs)
        self.recurrent_bias = zeros(self.units) if self.use_bias else None

    def step(self, given: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        (h,) = state
        r, z, g = self.split(given)
        hr, hz, hg = self.split(h @ self.recurrent)
        if self.recurrent_bias is not None:
            hg = hg + self.recurrent_bias
        z = sigmoid(z + hz)
        return ((1 - z) * tanh(g + sigmoid(r + hr) * hg) + z * h,)
