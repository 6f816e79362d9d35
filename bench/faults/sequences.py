"""Faults planted in recurrent networks and in transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.nn.initialisers import Normal

from .case import Experiment, Planted, digits, of, rows, sure_of, text, with_bias


def pixels() -> tuple[Any, Any]:
    """Digits pixel by pixel: 64 steps."""
    x, y, *_ = digits()
    return x.reshape(-1, 64, 1), y


def first_of(time: int, n: int = 600) -> tuple[Any, Any]:
    """Which of two signs stood at the beginning of a noisy sequence?"""
    rng = np.random.default_rng(11)
    x = rng.normal(0, 0.2, (n, time, 2)).astype(np.float32)
    y = rng.integers(0, 2, n)
    x[:, 0] = np.where(y[:, None] == 1, [1.0, -1.0], [-1.0, 1.0])
    return x, y


def sums(column: bool) -> tuple[Any, Any]:
    """The mean of each sequence."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 10, 3)).astype(np.float32)
    y = x.sum((1, 2))[:, None] / 5
    return x, y.astype(np.float32) if column else y[:, 0].astype(np.float32)


def rnn(units: int = 32, outputs: int = 10, **options: Any) -> list[Any]:
    return [nn.RNN(units, last=True, **options), nn.Dense(outputs)]


def lstm(units: int = 32, outputs: int = 10, **options: Any) -> list[Any]:
    return [nn.LSTM(units, last=True, **options), nn.Dense(outputs)]


def gru(units: int = 32, outputs: int = 10, **options: Any) -> list[Any]:
    return [nn.GRU(units, last=True, **options), nn.Dense(outputs)]


def gpt(
    classes: int, width: int = 32, layers: int = 2, end: Any = None, init: Any = "normal", **options: Any
) -> list[Any]:
    """A small language model of characters."""
    options = {"causal": True, "norm_first": True, "dropout": 0.0, **options}
    return [
        nn.Embedding(classes, width, init=init), nn.LearnedPositions(16), nn.TransformerEncoder(layers, 2, **options),
        nn.Dense(classes, end),
    ]  # fmt: skip


def reader(width: int = 32, **options: Any) -> list[Any]:
    """A transformer that reads a picture row by row."""
    options = {"norm_first": True, "dropout": 0.0, **options}
    return [nn.Dense(width), nn.LearnedPositions(8), nn.TransformerEncoder(2, 2, **options), nn.Flatten(), nn.Dense(10)]


def words() -> tuple[Any, Any]:
    return text()[:2]


def letters() -> int:
    return text()[2]


class Bare(nn.Layer):
    """Blocks of attention and two layers, whose author forgot sums and normalisations."""

    def __init__(self, layers: int, width: int, whole: bool, activation: str = "sigmoid") -> None:
        self.inner = nn.Dense(width)
        self.attentions = [nn.MultiHeadAttention(2) for _ in range(layers)]
        self.feeds = [nn.FeedForward(activation=activation) for _ in range(layers)]
        self.norms = [nn.LayerNorm() for _ in range(2 * layers)] if whole else []
        self.head = nn.Sequential(nn.Flatten(), nn.Dense(10))
        self.whole = whole

    def forward(self, x: Any) -> Any:
        x = self.inner(x)
        for i, (look, feed) in enumerate(zip(self.attentions, self.feeds, strict=True)):
            if self.whole:
                x = x + look(self.norms[2 * i](x))
                x = x + feed(self.norms[2 * i + 1](x))
            else:
                x = feed(look(x))
        return self.head(x)


class Token(nn.Layer):
    """A transformer with a token of its own in front, which its author makes and does not put there."""

    def __init__(self, forgets: bool) -> None:
        self.token = bl.tensor(np.full((1, 1, 32), 0.02, np.float32), requires_grad=True)
        self.inner, self.body, self.head = nn.Dense(32), nn.TransformerEncoder(2, 2, dropout=0.0), nn.Dense(10)
        self.forgets = forgets

    def forward(self, x: Any) -> Any:
        x = self.inner(x)
        if not self.forgets:
            x = bl.concat([bl.broadcast_to(self.token, (x.shape[0], 1, 32)), x], axis=1)
        return self.head(self.body(x)[:, 0] if not self.forgets else bl.mean(self.body(x), axis=1))


def few_words(n: int) -> dict[str, Any]:
    x, y = words()
    return {"arrays": (x[:n], y[:n]), "validation": (x[1000:1300], y[1000:1300])}


def few_rows(n: int) -> dict[str, Any]:
    x, y, xv, yv = digits()
    return {"arrays": (x[:n].reshape(-1, 8, 8), y[:n]), "validation": (xv.reshape(-1, 8, 8), yv)}


def shifted(offset: float, factor: float) -> tuple[Any, Any]:
    x, y = rows()
    return (x * factor + offset).astype(np.float32), y


def gates(value: float) -> Any:
    """For `of`: all gates of an LSTM have this bias."""

    def change(model: Any) -> None:
        (path,) = (p for p in model.parameters() if p.endswith("forwards.0.bias"))
        old = model.parameters()[path]
        model.load_values({path: np.full(tuple(old.shape), value, np.float32)})

    return change


def hidden_bias(value: float) -> Any:
    """For `of`: the inner biases of the first block's feed-forward part."""
    return with_bias("2.blocks.0.feed_forward.inner.bias", value)


def frozen(seed: int, held: bool) -> Experiment:
    rate = optim.adam(3e-3)
    return of(rnn(32, init=Normal(0.1)), rows(), seed, optim.freeze(rate, "0.*") if held else rate)


CASES = [
    Planted(
        "a recurrent network with small recurrent weights",
        "rnn",
        "vanishing gradient",
        ("0", "0.forwards.0"),
        lambda s: of(rnn(32, 2, recurrent_init=Normal(0.02)), first_of(30), s, optim.sgd(0.1)),
        lambda s: of(rnn(32, 2, recurrent_init="orthogonal"), first_of(30), s, optim.sgd(0.1)),
    ),
    Planted(
        "blocks without sums, transformer",
        "transformer",
        "vanishing gradient",
        (),
        lambda s: of(Bare(6, 32, False), rows(), s),
        lambda s: of(Bare(6, 32, True), rows(), s),
    ),
    Planted(
        "recurrent weights twice too large, relu",
        "rnn",
        "exploding gradient",
        ("0", "0.forwards.0"),
        lambda s: of(rnn(32, activation="relu", recurrent_init=Normal(0.6)), pixels(), s),
        lambda s: of(rnn(32, activation="relu", recurrent_init="orthogonal"), pixels(), s),
    ),
    Planted(
        "recurrent weights that make chaos",
        "rnn",
        "exploding gradient",
        ("0", "0.forwards.0"),
        lambda s: of(rnn(64, 2, recurrent_init=Normal(3 / 8)), first_of(60), s, optim.sgd(0.1)),
        lambda s: of(rnn(64, 2, recurrent_init="orthogonal"), first_of(60), s, optim.sgd(0.1)),
    ),
    Planted(
        "biases of -10 in a feed-forward part",
        "transformer",
        "dead units",
        ("2.blocks.0.feed_forward.inner", "2.blocks.0.feed_forward"),
        lambda s: of(reader(), rows(), s, change=hidden_bias(-10.0)),
        lambda s: of(reader(), rows(), s),
    ),
    Planted(
        "all gates of an LSTM at 8",
        "rnn",
        "saturated activations",
        ("0", "0.forwards.0"),
        lambda s: of(lstm(), rows(), s, change=gates(8.0)),
        lambda s: of(lstm(), rows(), s),
    ),
    Planted(
        "a last layer of weights of 5",
        "transformer",
        "bad initial scale",
        ("3",),
        lambda s: of([*gpt(letters())[:3], nn.Dense(letters(), init=Normal(5.0))], words(), s),
        lambda s: of(gpt(letters()), words(), s),
    ),
    Planted(
        "kelvins in the place of degrees",
        "rnn",
        "unnormalised input",
        (),
        lambda s: of(gru(), shifted(273.0, 40.0), s),
        lambda s: of(gru(), shifted(0.0, 1.0), s),
    ),
    Planted(
        "a transformer of raw pixels",
        "transformer",
        "unnormalised input",
        (),
        lambda s: of([nn.Dense(32, "tanh"), *reader()[1:]], shifted(0.0, 255.0), s),
        lambda s: of([nn.Dense(32, "tanh"), *reader()[1:]], shifted(0.0, 1.0), s),
    ),
    Planted(
        "an LSTM with Adam at 1",
        "rnn",
        "learning rate too high",
        (),
        lambda s: of(lstm(), rows(), s, optim.adam(1.0)),
        lambda s: of(lstm(), rows(), s, optim.adam(3e-3)),
    ),
    Planted(
        "a transformer with Adam at 0.3",
        "transformer",
        "learning rate too high",
        (),
        lambda s: of(gpt(letters()), words(), s, optim.adam(0.3)),
        lambda s: of(gpt(letters()), words(), s, optim.adam(3e-3)),
    ),
    Planted(
        "a transformer with Adam at 1e-7",
        "transformer",
        "learning rate too low",
        (),
        lambda s: of(gpt(letters()), words(), s, optim.adam(1e-7)),
        lambda s: of(gpt(letters()), words(), s, optim.adam(3e-3)),
    ),
    Planted(
        "rows of one picture, the digit of another",
        "rnn",
        "loss not decreasing",
        (),
        lambda s: of(gru(), (rows()[0], np.random.default_rng(s).permutation(rows()[1])), s, optim.adam(3e-3)),
        lambda s: of(gru(), rows(), s, optim.adam(3e-3)),
    ),
    Planted(
        "forty windows of text",
        "transformer",
        "over-fitting",
        (),
        lambda s: of(gpt(letters(), 64, 3), **few_words(40), seed=s, optimizer=optim.adam(3e-3), batch_size=20),
        lambda s: of(
            gpt(letters(), 32, 1, dropout=0.3),
            **few_words(40),
            seed=s,
            optimizer=optim.adamw(1e-3, weight_decay=0.1),
            batch_size=20,
        ),
    ),
    Planted(
        "softmax before the loss that has one, text",
        "transformer",
        "wrong loss",
        ("3",),
        lambda s: of(gpt(letters(), end="softmax"), words(), s, optim.adam(3e-3), "cross_entropy"),
        lambda s: of(gpt(letters()), words(), s, optim.adam(3e-3), "cross_entropy"),
    ),
    Planted(
        "(n, 1) minus (n,), sequences",
        "rnn",
        "broadcasting slip",
        (),
        lambda s: of(gru(24, 1), sums(False), s, optim.adam(3e-3), lambda out, y: ((out - y) ** 2).mean()),
        lambda s: of(gru(24, 1), sums(True), s, optim.adam(3e-3), "mse"),
    ),
    Planted(
        "a token that is not put in front",
        "transformer",
        "unused parameter",
        ("token",),
        lambda s: of(Token(True), rows(), s),
        lambda s: of(Token(False), rows(), s),
    ),
    Planted(
        "a frozen recurrent layer",
        "rnn",
        "unchanged parameter",
        ("0", "0.forwards.0"),
        lambda s: frozen(s, True),
        lambda s: frozen(s, False),
    ),
    Planted(
        "one letter's bias of 40",
        "transformer",
        "class collapse",
        (),
        lambda s: of(gpt(letters()), words(), s, change=sure_of("3.bias", 40.0)),
        lambda s: of(gpt(letters()), words(), s),
        before=20,
    ),
    Planted(
        "a sequence masked to its padding",
        "rnn",
        "constant output",
        (),
        lambda s: of(gru(), shifted(0.0, 0.0), s),
        lambda s: of(gru(), rows(), s),
    ),
]
