"""Networks that learn well: all families, optimizers and activations. Whatever is said of one is a false alarm."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim

from .case import Healthy, digits, images, of, plane, rows, scaled, table
from .cnn import bytes_of, conv, ink, small
from .mlp import cancer, deep, diabetes, two, wine, xor, xy
from .others import blobs, columns, language, net, said, thin, votes
from .others import letters as kinds
from .sequences import first_of, gpt, gru, letters, lstm, reader, rnn, sums, words

Dense = nn.Dense
GOOD = "he_normal"


class Skips(nn.Layer):
    """A small residual network."""

    def __init__(self) -> None:
        self.stem = conv(16)
        self.blocks = [
            nn.Residual(nn.Sequential(conv(16, None), nn.BatchNorm(), nn.ReLU(), conv(16, None), nn.BatchNorm()))
            for _ in range(2)
        ]
        self.head = nn.Sequential(nn.GlobalAvgPool(), Dense(10))

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = bl.relu(block(x))
        return self.head(x)


class Plain(nn.Layer):
    """A network as one writes it by hand."""

    def __init__(self) -> None:
        self.one, self.two, self.out = Dense(32), Dense(32), Dense(10)

    def forward(self, x: Any) -> Any:
        return self.out(bl.relu(self.two(bl.tanh(self.one(x)))))


def held_out() -> dict[str, Any]:
    x, y, xv, yv = digits()
    return {"arrays": (x, y), "validation": (xv, yv)}


def scores(name: str) -> tuple[Any, Any]:
    """Points in the plane, with targets as a column of 0 and 1."""
    x, y = plane(name)
    return x, y[:, None]


def iris() -> tuple[Any, Any]:
    """Flowers in centimetres, as they are measured: the features are of about one size."""
    x, y, *_ = table("iris")
    return x, y


def unbalanced() -> tuple[Any, Any]:
    """Three digits, of which one is rare; it can be told all the same."""
    x, y = xy()
    keep = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1), np.flatnonzero(y == 4)[:25]])
    keep = np.random.default_rng(0).permutation(keep)
    return x[keep], np.searchsorted([0, 1, 4], y[keep])


def sine() -> tuple[Any, Any]:
    x = np.linspace(-3, 3, 400, dtype=np.float32)[:, None]
    return x, np.sin(2 * x)


def code() -> tuple[Any, Any]:
    """Pictures as their own targets."""
    x, _ = xy()
    return x, x


CASES = [
    Healthy("relu, He, Adam", "mlp", lambda s: of(two(init=GOOD), xy(), s)),
    Healthy("relu, Glorot, descent", "mlp", lambda s: of(two(), xy(), s, optim.sgd(0.1))),
    Healthy("tanh, momentum", "mlp", lambda s: of(two("tanh"), xy(), s, optim.sgd(0.05, momentum=0.9))),
    Healthy(
        "one layer of sigmoid, RMSProp",
        "mlp",
        lambda s: of([Dense(64, "sigmoid"), Dense(10)], xy(), s, optim.rmsprop(1e-3)),
    ),
    Healthy("gelu, AdamW", "mlp", lambda s: of(two("gelu"), xy(), s, optim.adamw(1e-3))),
    Healthy("silu, Lion", "mlp", lambda s: of(two("silu"), xy(), s, optim.lion(3e-4))),
    Healthy("selu, LeCun, Nadam", "mlp", lambda s: of(two("selu", init="lecun_normal"), xy(), s, optim.nadam(1e-3))),
    Healthy("elu, Adagrad", "mlp", lambda s: of(two("elu"), xy(), s, optim.adagrad(0.03))),
    Healthy(
        "leaky relu, clipped",
        "mlp",
        lambda s: of(two("leaky_relu"), xy(), s, optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3))),
    ),
    Healthy("mish, cosine", "mlp", lambda s: of(two("mish"), xy(), s, optim.adam(optim.cosine(2e-3, 400)))),
    Healthy("softplus, warm-up", "mlp", lambda s: of(two("softplus"), xy(), s, optim.adam(1e-3))),
    Healthy("six relu layers", "mlp", lambda s: of(deep("relu", 6, 64, init=GOOD), xy(), s)),
    Healthy("eight tanh layers", "mlp", lambda s: of(deep("tanh", 8, 64), xy(), s)),
    Healthy(
        "twelve relu layers with LayerNorm",
        "mlp",
        lambda s: of(
            [x for _ in range(12) for x in (Dense(32, init=GOOD), nn.LayerNorm(), nn.ReLU())] + [Dense(10)], xy(), s
        ),
    ),
    Healthy("dropout", "mlp", lambda s: of([Dense(128, "relu"), nn.Dropout(0.3), Dense(10)], **held_out(), seed=s)),
    Healthy("by hand", "mlp", lambda s: of(Plain(), xy(), s)),
    Healthy("wine, standardised", "mlp", lambda s: of(two("relu", 32, 3), wine(True), s, batch_size=32)),
    Healthy(
        "tumours, a model that standardises",
        "mlp",
        lambda s: of(
            [nn.Standardize.of(cancer(False)[0], axis=0), *two("relu", 16, 2)], cancer(False), s, batch_size=32
        ),
    ),
    Healthy("iris in centimetres", "mlp", lambda s: of(two("tanh", 16, 3), iris(), s, optim.adam(5e-3), batch_size=16)),
    Healthy("diabetes, mse", "mlp", lambda s: of([Dense(16, "relu"), Dense(1)], diabetes(True), s)),
    Healthy(
        "diabetes in its unit",
        "mlp",
        lambda s: of(
            [Dense(16, "relu"), Dense(1), nn.Unstandardize.of(table("diabetes")[1], axis=0)],
            (scaled(table("diabetes")[0]), table("diabetes")[1]),
            s,
        ),
    ),
    Healthy("a sine, huber", "mlp", lambda s: of(two("tanh", 32, 1), sine(), s, optim.adam(5e-3), "huber")),
    Healthy(
        "moons, a score",
        "mlp",
        lambda s: of(two("relu", 32, 1), scores("moons"), s, optim.adam(5e-3), "binary_cross_entropy"),
    ),
    Healthy("spirals", "mlp", lambda s: of(two("tanh", 32, 2), plane("spirals"), s, optim.adam(1e-2))),
    Healthy("xor", "mlp", lambda s: of([Dense(16, "tanh"), Dense(2)], xor(), s, optim.adam(1e-2))),
    Healthy("three digits, one rare", "mlp", lambda s: of([Dense(32, "relu"), Dense(3)], unbalanced(), s), before=300),
    Healthy(
        "an autoencoder",
        "mlp",
        lambda s: of([Dense(32, "relu"), Dense(8), Dense(32, "relu"), Dense(64, "sigmoid")], code(), s, loss="mse"),
    ),
    Healthy("trained to the end", "mlp", lambda s: of(two(), **held_out(), seed=s), before=300),
    Healthy("two convolutions", "cnn", lambda s: of(small(init=GOOD), images(), s)),
    Healthy(
        "convolutions, momentum",
        "cnn",
        lambda s: of(small(), images(), s, optim.sgd(0.05, momentum=0.9, nesterov=True)),
    ),
    Healthy(
        "LeNet with tanh",
        "cnn",
        lambda s: of(
            [conv(6, "tanh"), nn.AvgPool2d(2), conv(16, "tanh"), nn.Flatten(), Dense(64, "tanh"), Dense(10)],
            images(),
            s,
        ),
    ),
    Healthy(
        "batch normalisation",
        "cnn",
        lambda s: of(
            [
                conv(8, None),
                nn.BatchNorm(),
                nn.ReLU(),
                nn.MaxPool2d(2),
                conv(16, None),
                nn.BatchNorm(),
                nn.ReLU(),
                nn.Flatten(),
                Dense(10),
            ],
            images(),
            s,
        ),
    ),
    Healthy("a residual network", "cnn", lambda s: of(Skips(), images(), s, optim.adam(3e-3))),
    Healthy("how much ink", "cnn", lambda s: of([conv(8), nn.Flatten(), Dense(1)], ink(True), s, loss="mse")),
    Healthy(
        "pictures standardised in the model",
        "cnn",
        lambda s: of([nn.Standardize.of(bytes_of(1.0)[0]), *small()], bytes_of(1.0), s),
    ),
    Healthy("LSTM by rows", "rnn", lambda s: of(lstm(), rows(), s, optim.adam(3e-3))),
    Healthy("GRU by rows", "rnn", lambda s: of(gru(), rows(), s, optim.adam(3e-3))),
    Healthy("plain recurrent network", "rnn", lambda s: of(rnn(), rows(), s, optim.adam(3e-3))),
    Healthy(
        "two layers, both directions",
        "rnn",
        lambda s: of(gru(24, layers=2, bidirectional=True), rows(), s, optim.adam(3e-3)),
    ),
    Healthy("sums of sequences", "rnn", lambda s: of(gru(24, 1), sums(True), s, optim.adam(5e-3), "mse")),
    Healthy("the first of ten", "rnn", lambda s: of(lstm(32, 2), first_of(10), s, optim.adam(5e-3))),
    Healthy("a language model", "transformer", lambda s: of(gpt(letters()), words(), s, optim.adam(3e-3))),
    Healthy(
        "a deeper language model, warmed up",
        "transformer",
        lambda s: of(
            gpt(letters(), 32, 4, activation="gelu"), words(), s, optim.adam(optim.warm_up(optim.cosine(3e-3, 400), 40))
        ),
    ),
    Healthy(
        "norms after the sums",
        "transformer",
        lambda s: of(gpt(letters(), norm_first=False), words(), s, optim.adam(2e-3)),
    ),
    Healthy("rows of pictures", "transformer", lambda s: of(reader(), rows(), s)),
    Healthy(
        "rows of pictures, dropout", "transformer", lambda s: of(reader(dropout=0.1), rows(), s, optim.adamw(1e-3))
    ),
]

#: Written when the rules and thresholds stood; see `others.py`.
OTHERS = [
    Healthy(
        "wine, three layers of elu",
        "mlp",
        lambda s: of(net(32, 32, 32, 3, activation="elu"), wine(True), s, optim.adam(2e-3), batch_size=16),
    ),
    Healthy("blobs, a linear model", "mlp", lambda s: of([Dense(3)], blobs(), s, optim.sgd(0.1))),
    Healthy("a line, a linear model", "mlp", lambda s: of([Dense(1)], votes(True), s, optim.sgd(0.05), "mse")),
    Healthy("a line, mae, one hidden layer", "mlp", lambda s: of(net(16, 1), votes(True), s, optim.adam(1e-2), "mae")),
    Healthy("tumours, wide", "mlp", lambda s: of(net(256, 2), cancer(True), s, batch_size=64)),
    Healthy(
        "tumours, few, small and decayed",
        "mlp",
        lambda s: of(net(4, 2), **thin(200), seed=s, optimizer=optim.adamw(1e-3, weight_decay=0.1), batch_size=32),
    ),
    Healthy("digits, GLU-like product of two branches", "mlp", lambda s: of([Dense(64), nn.GLU(), Dense(10)], xy(), s)),
    Healthy(
        "digits, orthogonal, tanh, five layers",
        "mlp",
        lambda s: of(
            net(48, 48, 48, 48, 10, activation="tanh", init="orthogonal"), xy(), s, optim.sgd(0.05, momentum=0.9)
        ),
    ),
    Healthy(
        "digits, hard swish, Adadelta",
        "mlp",
        lambda s: of(net(64, 10, activation="hard_swish"), xy(), s, optim.adadelta(1.0)),
    ),
    Healthy("digits, Adafactor", "mlp", lambda s: of(net(64, 10), xy(), s, optim.adafactor(1e-2))),
    Healthy(
        "digits, small batches, descent",
        "mlp",
        lambda s: of(net(64, 64, 10, init="he_uniform"), xy(), s, optim.sgd(0.02), batch_size=16),
    ),
    Healthy("digits, accumulated", "mlp", lambda s: of(net(64, 10), xy(), s, optim.accumulate(optim.adam(3e-3), 4))),
    Healthy(
        "circles, a score of one",
        "mlp",
        lambda s: of(
            net(16, 16, 1, activation="tanh"),
            (plane("circles")[0], plane("circles")[1][:, None]),
            s,
            optim.adam(1e-2),
            "binary_cross_entropy",
        ),
    ),
    Healthy("spirals, relu", "mlp", lambda s: of(net(64, 64, 64, 2), plane("spirals"), s, optim.adam(5e-3))),
    Healthy("hinge", "mlp", lambda s: of(net(32, 10), xy(), s, loss="hinge")),
    Healthy(
        "diabetes, weights of a deep small net",
        "mlp",
        lambda s: of(net(24, 24, 24, 1, activation="silu"), diabetes(True), s, optim.adam(2e-3)),
    ),
    Healthy(
        "pictures, stride and average",
        "cnn",
        lambda s: of(
            [
                nn.Conv2d(16, 3, stride=2, padding="same", activation="relu"),
                nn.Conv2d(32, 3, activation="relu"),
                nn.GlobalAvgPool(),
                Dense(10),
            ],
            images(),
            s,
            optim.adam(5e-3),
        ),
    ),
    Healthy(
        "pictures, group norm and silu",
        "cnn",
        lambda s: of(
            [
                conv(16, None),
                nn.GroupNorm(4),
                nn.SiLU(),
                conv(16, None),
                nn.GroupNorm(4),
                nn.SiLU(),
                nn.Flatten(),
                Dense(10),
            ],
            images(),
            s,
        ),
    ),
    Healthy(
        "pictures, descent at 0.1",
        "cnn",
        lambda s: of(
            [conv(8, init="he_normal"), nn.MaxPool2d(2), conv(16, init="he_normal"), nn.Flatten(), Dense(10)],
            images(),
            s,
            optim.sgd(0.1),
        ),
    ),
    Healthy(
        "pictures, one-dimensional",
        "cnn",
        lambda s: of(
            [nn.Conv1d(16, 3, activation="relu"), nn.Conv1d(16, 3, activation="relu"), nn.Flatten(), Dense(10)],
            rows(),
            s,
            optim.adam(3e-3),
        ),
    ),
    Healthy(
        "columns, LSTM both ways",
        "rnn",
        lambda s: of([nn.LSTM(24, last=True, bidirectional=True), Dense(10)], columns(), s, optim.adam(3e-3)),
    ),
    Healthy(
        "columns, plain tanh", "rnn", lambda s: of([nn.RNN(48, last=True), Dense(10)], columns(), s, optim.adam(2e-3))
    ),
    Healthy(
        "letters, a GRU",
        "rnn",
        lambda s: of([nn.Embedding(kinds()[2], 16), nn.GRU(48), Dense(kinds()[2])], said(), s, optim.adam(5e-3)),
    ),
    Healthy(
        "sums, a GRU, huber",
        "rnn",
        lambda s: of([nn.GRU(16, last=True), Dense(1)], sums(True), s, optim.adam(5e-3), "huber"),
    ),
    Healthy("letters, norms after the sums", "transformer", lambda s: of(language(32, 2), said(), s, optim.adam(2e-3))),
    Healthy(
        "letters, three blocks of gelu",
        "transformer",
        lambda s: of(language(32, 3, norm_first=True, activation="gelu"), said(), s, optim.adamw(2e-3)),
    ),
    Healthy(
        "columns, a transformer",
        "transformer",
        lambda s: of(
            [Dense(32), nn.SinusoidalPositions(), nn.TransformerEncoder(2, 4, dropout=0.1), nn.Flatten(), Dense(10)],
            columns(),
            s,
        ),
    ),
]
