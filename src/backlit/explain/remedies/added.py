"""Mends that add layers: normalisation, connections past layers, gates, hidden layers, dropout."""

from __future__ import annotations

from typing import Any

from ...nn import (
    LSTM,
    RNN,
    BatchNorm,
    Dense,
    Dropout,
    FeedForward,
    Layer,
    LayerNorm,
    MultiHeadAttention,
    Residual,
    Sequential,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from ...nn.convolution import _Convolution as Convolution
from ...nn.members import layers
from ..changes import (
    copied,
    exchanged,
    hidden,
    last_part,
    made,
    normalised,
    plain,
    wrapped,
)
from ..verdict import Experiment, Mend


def norms(e: Experiment) -> Mend | None:
    """A normalisation between each hidden layer and its activation."""
    if not hidden(e.model):
        return None

    def apply(e: Experiment) -> Experiment:
        norm = lambda layer: BatchNorm() if isinstance(layer, Convolution) else LayerNorm()
        model = wrapped(e, normalised(norm))
        assert model is not None
        return e._replace(model=model)

    convolved = any(isinstance(layer, Convolution) for _, layer in hidden(e.model))
    name = "nn.BatchNorm()" if convolved else "nn.LayerNorm()"
    return Mend(f"normalise between each hidden layer and its activation: {name}", apply)


def residuals(e: Experiment) -> Mend | None:
    """Connections past the layers that keep the shape, with a normalisation before each: of blocks of attention and of
    two dense layers (Xiong et al. 2020), or of dense layers with as many outputs as inputs.
    """
    if len(_keeping(e.model)) < 3:
        return None

    def apply(e: Experiment) -> Experiment:
        model = copied(e.model)
        swap = {id(x): Residual(Sequential(LayerNorm(), copied(x))) for x in _keeping(model)}
        return e._replace(model=made(exchanged(model, swap), e))

    return Mend(
        "lead the signal past the layers that keep its shape: nn.Residual(nn.Sequential(nn.LayerNorm(), layer))", apply
    )


def _keeping(model: Layer) -> list[Layer]:
    """The layers that keep the shape of their input, and are within no other such layer or transformer block."""
    found: list[Layer] = []
    within: list[str] = []
    for path, layer in layers(model):
        if any(path.startswith(f"{p}.") for p in within):
            continue
        if isinstance(layer, (Residual, TransformerEncoderLayer, TransformerDecoderLayer)):
            within.append(path)
        elif isinstance(layer, (MultiHeadAttention, FeedForward)) or _square(layer):
            within.append(path)
            found.append(layer)
    return found


def _square(layer: Any) -> bool:
    if not isinstance(layer, Dense) or layer.weight is None:
        return False
    return layer.weight.shape[0] == layer.weight.shape[1]


def gated(e: Experiment) -> Mend | None:
    """An LSTM, whose state is carried by a sum, in the place of a plain recurrent network."""
    plain_ones = [layer for _, layer in layers(e.model) if type(layer) is RNN and not layer.return_state]
    if not plain_ones:
        return None

    def apply(e: Experiment) -> Experiment:
        swap = {
            id(r): LSTM(
                r.units, r.layers, bidirectional=r.bidirectional, dropout=r.dropout, last=r.last, use_bias=r.use_bias
            )
            for _, r in layers(e.model)
            if type(r) is RNN
        }
        changed = e._replace(model=exchanged(e.model, swap))
        return changed._replace(model=made(changed.model, changed))

    return Mend("take nn.LSTM in the place of nn.RNN: its state is a sum, through which gradients pass", apply)


def hidden_layer(e: Experiment) -> Mend | None:
    """A hidden layer for a network that has none, and so can only draw straight lines."""
    if hidden(e.model) or plain(e.data[0]).ndim != 2 or last_part(e.model) is None:
        return None

    def apply(e: Experiment) -> Experiment:
        model = copied(e.model)
        last = [x for _, x in layers(model) if isinstance(x, Dense)][-1]
        fresh = Dense(last.units, last.activation, use_bias=last.use_bias)
        changed = e._replace(model=exchanged(model, {id(last): Sequential(Dense(32, "tanh"), fresh)}))
        return changed._replace(model=made(changed.model, changed))

    return Mend('give the network a hidden layer with an activation: nn.Dense(32, "tanh")', apply)


def attached(e: Experiment, path: str) -> Mend | None:
    """A layer that forward does not call, called behind one whose outputs it fits."""
    unused = next((layer for p, layer in layers(e.model) if p and p == path.removesuffix(".weight")), None)
    if unused is None or not _square(unused):
        return None
    width = unused.weight.shape[0]  # type: ignore[attr-defined]
    at = next((p for p, x in hidden(e.model) if x is not unused and isinstance(x, Dense) and x.units == width), None)
    if at is None:
        return None

    def apply(e: Experiment) -> Experiment:
        model = copied(e.model)
        found = dict(layers(model))
        swap = {id(found[at]): Sequential(copied(found[at]), copied(found[path.removesuffix(".weight")]))}
        return e._replace(model=exchanged(model, swap))

    return Mend(f"call {path} in forward, behind {at}", apply)


def dropout(e: Experiment, rate: float = 0.5) -> Mend | None:
    """Dropout after each hidden layer."""
    if not hidden(e.model):
        return None

    def apply(e: Experiment) -> Experiment:
        model = wrapped(e, lambda _, layer: Sequential(copied(layer), Dropout(rate)))
        assert model is not None
        return e._replace(model=model)

    return Mend(f"leave units out in training: nn.Dropout({rate:g}) after each hidden layer", apply)
