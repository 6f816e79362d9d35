"""Recurrent networks: `RNN`, `LSTM`, `GRU`, in several layers, in both directions, for sequences of several lengths."""

from __future__ import annotations

from typing import Any

from ..base.dtypes import INTEGER
from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..base.shapes import as_index
from ..graph.closure import as_tensor
from ..ops.comparison import less
from ..ops.creation import arange
from ..ops.joining import concat, stack
from ..ops.movement import permute_dims, reshape
from .activations import Activation, activation_of
from .dropout import Dropout
from .initialisers import Initialiser, initialiser
from .layer import Layer
from .recurrent_cells import Cell, GRUCell, LSTMCell, RNNCell


class Recurrent(Layer):
    """What `RNN`, `LSTM` and `GRU` share.

    Inputs have shape (n, time, features); outputs (n, time, units), or (n, time, 2 · units) in both directions,
    those of the way forward first. PyTorch has the same with `batch_first=True`.

    Called with

    - `lengths`, integers (n,): how many steps of each sequence count. Beyond them outputs are 0 and the state stays
      as it is; the way backward begins at the end of each sequence. (PyTorch's packed sequences.) In a plan, where
      values are not known when it is made, what exceeds the time axis counts as its size.
    - `state`: the first state, as `return_state` gives the last; by default zeros.

    Args:
        units: the size of the state.
        layers: how many layers lie one upon the other; each reads the outputs of the one below.
        bidirectional: also from the end to the beginning, with other weights?
        dropout: how much of the outputs of all layers but the last is left out in training.
        last: give of the outputs only the last, (n, units): the state after the whole sequence. In both directions,
            that of the way back follows, which is the one at the beginning.
        return_state: give the pair (outputs, state). A state has for each layer, and in it for each direction,
            a row: (layers · directions, n, units); that of an LSTM is the pair (h, c) of such.
        use_bias: with biases?
        init: first values of weights for inputs.
        recurrent_init: first values of weights for states.

    Attributes:
        forwards, backwards: for each layer its cells, with `weight`, `recurrent`, `bias`; see `recurrent_cells.py`.
    """

    def __init__(
        self,
        units: int,
        layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        last: bool = False,
        return_state: bool = False,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
        recurrent_init: str | Initialiser = "orthogonal",
    ) -> None:
        name = type(self).__name__
        for what, value in (("units", units), ("layers", layers)):
            if as_index(value, what, name) < 1:
                raise ArgumentError(f"{name}: {what} must be 1 or more, got {value}.")
        initialiser(init)
        initialiser(recurrent_init)
        self.units, self.layers, self.bidirectional, self.dropout = units, layers, bidirectional, dropout
        self.last, self.return_state = last, return_state
        self.use_bias, self.init, self.recurrent_init = use_bias, init, recurrent_init
        self.forwards = [self.cell(False) for _ in range(layers)]
        self.backwards = [self.cell(True) for _ in range(layers)] if bidirectional else []
        self.between = Dropout(dropout)

    def cell(self, reverse: bool) -> Cell:
        """A cell for one layer in one direction."""
        raise NotImplementedError

    def forward(self, x: Any, lengths: Any = None, state: Any = None) -> Any:
        if x.ndim != 3:
            raise ShapeError(
                f"{type(self).__name__}: expected inputs of shape (n, time, features), got {tuple(x.shape)}; "
                "one sequence is x[None]."
            )
        n, time, _ = x.shape
        alive = None if lengths is None else self._alive(as_tensor(lengths), n, time)
        first = None if state is None else self._first(state, n)
        directions = 2 if self.bidirectional else 1
        outputs = permute_dims(x, (1, 0, 2))
        states: list[tuple[Any, ...]] = []
        for i, cells in enumerate(self._layers()):
            if i:
                outputs = self.between(outputs)
            ways = [
                cell(outputs, None if first is None else first[i * directions + j], alive)
                for j, cell in enumerate(cells)
            ]
            outputs = ways[0][0] if len(ways) == 1 else concat([out for out, _ in ways], axis=-1)
            states += [state for _, state in ways]
        if self.last:
            ends = [h for h, *_ in states[-directions:]]
            outputs = ends[0] if len(ends) == 1 else concat(ends, axis=-1)
        else:
            outputs = permute_dims(outputs, (1, 0, 2))
        return (outputs, self._joined(states)) if self.return_state else outputs

    def _layers(self) -> list[tuple[Cell, ...]]:
        """The cells of each layer: one, or one for each direction."""
        return list(zip(self.forwards, self.backwards, strict=True) if self.bidirectional else zip(self.forwards))

    @property
    def _parts(self) -> int:
        return self.forwards[0].parts

    def _joined(self, states: list[tuple[Any, ...]]) -> Any:
        """The states of all cells as one: for each part an array, with a row for each cell."""
        parts = tuple(stack(list(part)) for part in zip(*states, strict=True))
        return parts[0] if len(parts) == 1 else parts

    def _first(self, state: Any, n: int) -> list[tuple[Any, ...]]:
        """The first state of each cell."""
        name, parts = type(self).__name__, self._parts
        if parts == 1:
            state = (state,)
        elif not isinstance(state, (tuple, list)) or len(state) != parts:
            raise ArgumentError(f"{name}: expected as state the pair (h, c), got {type(state).__name__}.")
        arrays = [as_tensor(part) for part in state]
        rows = len(self.forwards) + len(self.backwards)
        for part in arrays:
            if tuple(part.shape) != (rows, n, self.units):
                raise ShapeError(
                    f"{name}: a state has shape (layers · directions, n, units), here {(rows, n, self.units)}, "
                    f"got {tuple(part.shape)}."
                )
        return [tuple(part[i] for part in arrays) for i in range(rows)]

    def _alive(self, lengths: Any, n: int, time: int) -> Any:
        """Which steps lie within the lengths: (time, n, 1)."""
        name = type(self).__name__
        if lengths.dtype.char not in INTEGER:
            raise DtypeError(f"{name}: lengths must be integers, got {lengths.dtype.name}; use .astype(bl.int64).")
        if tuple(lengths.shape) != (n,):
            raise ShapeError(
                f"{name}: expected one length for each of {n} sequences, got lengths of shape {tuple(lengths.shape)}."
            )
        if lengths.value is not None and n:
            least, most = int(lengths.numpy().min()), int(lengths.numpy().max())
            if least < 0 or most > time:
                raise ArgumentError(
                    f"{name}: lengths must lie between 0 and {time}, the size of the time axis, "
                    f"got {least if least < 0 else most}."
                )
        return less(reshape(arange(time), (time, 1, 1)), reshape(lengths, (1, n, 1)))


class RNN(Recurrent):
    """A network with the state h ← activation(x W + b + h U) (Elman 1990).

    Args:
        activation: a function or its name: "tanh" or "relu".
        others: see `Recurrent`.

    PyTorch's `nn.RNN` has two biases; here is their sum.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.RNN(4)(bl.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(
        self,
        units: int,
        layers: int = 1,
        *,
        activation: Activation = "tanh",
        bidirectional: bool = False,
        dropout: float = 0.0,
        last: bool = False,
        return_state: bool = False,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
        recurrent_init: str | Initialiser = "orthogonal",
    ) -> None:
        activation_of(activation)
        self.activation = activation
        super().__init__(
            units, layers, bidirectional=bidirectional, dropout=dropout, last=last, return_state=return_state,
            use_bias=use_bias, init=init, recurrent_init=recurrent_init,
        )  # fmt: skip

    def cell(self, reverse: bool) -> Cell:
        return RNNCell(self.units, reverse, self.use_bias, self.init, self.recurrent_init, self.activation)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; with the forget gate of Gers et al. 2000).

    The gates are i, f, g, o = x W + b + h U, side by side in this order, and the state is the pair (h, c):
    c ← σ(f) c + σ(i) tanh(g), and h ← σ(o) tanh(c). Arguments: see `Recurrent`.

    PyTorch's `nn.LSTM` has two biases; here is their sum.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> x = bl.ones((2, 5, 3))
    >>> nn.LSTM(4, layers=2, bidirectional=True)(x, lengths=[5, 3]).shape
    (2, 5, 8)
    >>> model = nn.Sequential(nn.LSTM(4, last=True), nn.Dense(1))
    >>> model(x).shape
    (2, 1)
    >>> list(model.parameters())
    ['0.forwards.0.weight', '0.forwards.0.recurrent', '0.forwards.0.bias', '1.weight', '1.bias']
    """

    def cell(self, reverse: bool) -> Cell:
        return LSTMCell(self.units, reverse, self.use_bias, self.init, self.recurrent_init)


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, in the form in which r works on the product; Keras' `reset_after`).

    With r, z, g from x W + b, and r', z', g' from h U, side by side in this order:
    h ← (1 - Z) tanh(g + R (g' + d)) + Z h, where R = σ(r + r') and Z = σ(z + z'). Arguments: see `Recurrent`.

    PyTorch's `nn.GRU` has two biases. For r and z here is their sum; for the candidate g both are needed, since
    R multiplies the second: it is the cell's `recurrent_bias` d, (units,).

    >>> import backlit as bl
    >>> from backlit import nn
    >>> y, state = nn.GRU(4, layers=2, return_state=True)(bl.ones((2, 5, 3)))
    >>> y.shape, state.shape
    ((2, 5, 4), (2, 2, 4))
    """

    def cell(self, reverse: bool) -> Cell:
        return GRUCell(self.units, reverse, self.use_bias, self.init, self.recurrent_init)
