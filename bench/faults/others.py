"""Cases that were written when the rules and thresholds stood, and that these were not fitted to: other data, sizes,
optimizers and activations than in the other files. `python -m bench.faults --others` runs them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import data, nn, optim
from backlit.nn.initialisers import Normal, Uniform

from .case import Planted, digits, images, of, plane, rows, scaled, table, text, with_bias
from .cnn import conv
from .mlp import cancer, wine, xy
from .sequences import sums

Dense = nn.Dense


def net(*units: int, activation: Any = "relu", end: Any = None, **options: Any) -> list[Any]:
    """Dense layers of these sizes; the last without the activation of the others."""
    return [*[Dense(n, activation, **options) for n in units[:-1]], Dense(units[-1], end, **options)]


def columns() -> tuple[Any, Any]:
    """Digits column by column, in sixteen half columns."""
    x, y, *_ = digits()
    return np.ascontiguousarray(x.reshape(-1, 8, 8).transpose(0, 2, 1)).reshape(-1, 16, 4), y


def blobs(offset: float = 0.0) -> tuple[Any, Any]:
    """Clouds of points around three centres, in units of their spread, or moved away."""
    found = data.load("blobs", samples=900, classes=3)
    return scaled(found.train.x) + np.float32(offset), found.train.y


def votes(column: bool) -> tuple[Any, Any]:
    """A straight line with noise."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(500, 5)).astype(np.float32)
    y = (x @ np.array([1, -2, 0.5, 0, 1]) + 0.1 * rng.normal(size=500)).astype(np.float32)
    return x, y[:, None] if column else y


def signs() -> tuple[Any, Any]:
    """Have the first and the second number the same sign?"""
    x = np.random.default_rng(9).normal(size=(800, 4)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64)


def thin(n: int) -> dict[str, Any]:
    """Few tumours, many to validate; the labels of some are wrong."""
    x, y, *_ = table("breast-cancer")
    mean, spread = x.mean(0), x.std(0)
    noisy = np.where(np.random.default_rng(0).uniform(size=len(y)) < 0.15, 1 - y, y)
    scale = lambda a: ((a - mean) / spread).astype(np.float32)
    return {"arrays": (scale(x)[:n], noisy[:n]), "validation": (scale(x)[n:], y[n:])}


class Wide(nn.Layer):
    """A wide and a deep part, of which one is made and not added."""

    def __init__(self, forgets: bool) -> None:
        self.deep, self.wide, self.forgets = nn.Sequential(*net(32, 3)), Dense(3), forgets

    def forward(self, x: Any) -> Any:
        return self.deep(x) if self.forgets else self.deep(x) + self.wide(x)


class Rounded(nn.Layer):
    """An encoder whose codes are rounded, by ways through which no gradient comes."""

    def __init__(self, rounds: bool) -> None:
        self.encoder, self.decoder, self.rounds = Dense(32, "tanh"), Dense(10), rounds

    def forward(self, x: Any) -> Any:
        z = self.encoder(x)
        return self.decoder(z.detach() if self.rounds else z)


def forgets(seed: int, does: bool) -> Any:
    """Made with both parts; forward was changed later."""
    e = of(Wide(False), wine(True), seed, optim.adam(1e-2), batch_size=32)
    e.model.forgets = does  # type: ignore[attr-defined]
    return e


def raised(path: str, place: int, value: float) -> Any:
    """For `of`: one entry of a bias is large."""

    def change(model: Any) -> None:
        bias = model.parameters()[path].numpy().copy()
        bias[place] = value
        model.load_values({path: bias})

    return change


def letters() -> tuple[Any, Any, int]:
    return text(12)


def language(width: int, layers: int, end: Any = None, **options: Any) -> list[Any]:
    """A language model with sinusoidal positions and norms after the sums."""
    n = letters()[2]
    return [
        nn.Embedding(n, width, init="normal"), nn.SinusoidalPositions(),
        nn.TransformerEncoder(layers, 4, causal=True, dropout=0.0, **options), Dense(n, end),
    ]  # fmt: skip


def said() -> tuple[Any, Any]:
    return letters()[:2]


def entropy(p: Any, y: Any) -> Any:
    """Cross-entropy with all classes written out."""
    return -bl.mean(bl.sum(bl.log(p) * bl.astype(bl.equal(y[:, None], bl.arange(3)), np.float32), axis=-1))


def geometric(out: Any, y: Any) -> Any:
    """The root of the mean of squares."""
    return bl.sqrt(bl.mean((out - y) ** 2, axis=-1)).mean()


def blank() -> Any:
    """Pictures, a few of which are blank."""
    x = images()[0].copy()
    x[5:9] = 0
    return x


def ink_of(x: Any) -> Any:
    return (x.mean((1, 2, 3)) * 4)[:, None].astype(np.float32)


PLANTED = [
    Planted(
        "sigmoids on wine, ten of them",
        "mlp",
        "vanishing gradient",
        (),
        lambda s: of(net(*[24] * 10, 3, activation="sigmoid"), wine(True), s, optim.rmsprop(1e-4), batch_size=32),
        lambda s: of(net(*[24] * 10, 3, init="he_normal"), wine(True), s, optim.rmsprop(1e-4), batch_size=32),
    ),
    Planted(
        "a tanh network through 16 steps, tiny recurrent weights",
        "rnn",
        "vanishing gradient",
        ("0", "0.forwards.0"),
        lambda s: of(
            [nn.RNN(48, last=True, recurrent_init=Uniform(-0.01, 0.01)), Dense(10)], columns(), s, optim.sgd(0.2)
        ),
        lambda s: of([nn.RNN(48, last=True), Dense(10)], columns(), s, optim.sgd(0.2)),
    ),
    Planted(
        "a relu network through 16 steps, recurrent weights of 0.5",
        "rnn",
        "exploding gradient",
        ("0", "0.forwards.0"),
        lambda s: of([nn.RNN(48, activation="relu", last=True, recurrent_init=Normal(0.5)), Dense(10)], columns(), s),
        lambda s: of([nn.RNN(48, activation="relu", last=True), Dense(10)], columns(), s),
    ),
    Planted(
        "twenty-four residual sums of convolutions",
        "cnn",
        "exploding gradient",
        (),
        lambda s: of(
            [conv(8), *[nn.Residual(conv(8, init="he_normal")) for _ in range(24)], nn.Flatten(), Dense(10)],
            images(),
            s,
            optim.sgd(0.01),
        ),
        lambda s: of(
            [
                conv(8),
                *[nn.Residual(nn.Sequential(nn.BatchNorm(), conv(8, init="he_normal"))) for _ in range(24)],
                nn.BatchNorm(),
                nn.Flatten(),
                Dense(10),
            ],
            images(),
            s,
            optim.sgd(0.01),
        ),
    ),
    Planted(
        "biases of -4 after standardised blobs",
        "mlp",
        "dead units",
        ("1",),
        lambda s: of(net(40, 40, 3), blobs(), s, change=with_bias("1.bias", -8.0)),
        lambda s: of(net(40, 40, 3), blobs(), s),
    ),
    Planted(
        "sums of negative weights, pictures",
        "cnn",
        "dead units",
        ("0", "1"),
        lambda s: of(
            [nn.Conv2d(12, 3, init=Uniform(-0.5, 0.0)), nn.ReLU(), nn.Flatten(), Dense(10)],
            images(),
            s,
            change=with_bias("0.bias", -0.05),
        ),
        lambda s: of([nn.Conv2d(12, 3), nn.ReLU(), nn.Flatten(), Dense(10)], images(), s),
    ),
    Planted(
        "gates of a GRU at -9",
        "rnn",
        "saturated activations",
        ("0", "0.forwards.0"),
        lambda s: of([nn.GRU(24, last=True), Dense(10)], rows(), s, change=with_bias("0.forwards.0.bias", -9.0)),
        lambda s: of([nn.GRU(24, last=True), Dense(10)], rows(), s),
    ),
    Planted(
        "sigmoids shifted by 10",
        "mlp",
        "saturated activations",
        ("0",),
        lambda s: of(net(32, 3, activation="sigmoid"), wine(True), s, change=with_bias("0.bias", 10.0), batch_size=32),
        lambda s: of(net(32, 3, activation="sigmoid"), wine(True), s, batch_size=32),
    ),
    Planted(
        "gelu layers of 0.0002",
        "mlp",
        "bad initial scale",
        (),
        lambda s: of(
            net(64, 64, 64, 10, activation="gelu", init=Normal(0.0002)), xy(), s, optim.sgd(0.05, momentum=0.9)
        ),
        lambda s: of(net(64, 64, 64, 10, activation="gelu"), xy(), s, optim.sgd(0.05, momentum=0.9)),
    ),
    Planted(
        "kernels of 1",
        "cnn",
        "bad initial scale",
        (),
        lambda s: of(
            [conv(8, init=Normal(1.0)), conv(8, init=Normal(1.0)), nn.Flatten(), Dense(10, init=Normal(1.0))],
            images(),
            s,
        ),
        lambda s: of([conv(8), conv(8), nn.Flatten(), Dense(10)], images(), s),
    ),
    Planted(
        "features in thousandths",
        "mlp",
        "unnormalised input",
        (),
        lambda s: of(
            net(32, 32, 3), (wine(True)[0] * np.float32(1e-4), wine(True)[1]), s, optim.sgd(0.05), batch_size=32
        ),
        lambda s: of(net(32, 32, 3), wine(True), s, optim.sgd(0.05), batch_size=32),
    ),
    Planted(
        "blobs far from the origin",
        "mlp",
        "unnormalised input",
        (),
        lambda s: of(net(32, 3, activation="tanh"), blobs(500.0), s),
        lambda s: of(net(32, 3, activation="tanh"), blobs(), s),
    ),
    Planted(
        "momentum at 3",
        "mlp",
        "learning rate too high",
        (),
        lambda s: of(net(48, 48, 3), wine(True), s, optim.sgd(3.0, momentum=0.9), batch_size=32),
        lambda s: of(net(48, 48, 3), wine(True), s, optim.sgd(0.03, momentum=0.9), batch_size=32),
    ),
    Planted(
        "RMSProp at 0.3, a GRU",
        "rnn",
        "learning rate too high",
        (),
        lambda s: of([nn.GRU(24, last=True), Dense(10)], rows(), s, optim.rmsprop(0.3)),
        lambda s: of([nn.GRU(24, last=True), Dense(10)], rows(), s, optim.rmsprop(3e-3)),
    ),
    Planted(
        "AdamW at 1e-8",
        "transformer",
        "learning rate too low",
        (),
        lambda s: of(language(32, 2), said(), s, optim.adamw(1e-8)),
        lambda s: of(language(32, 2), said(), s, optim.adamw(3e-3)),
    ),
    Planted(
        "descent at 1e-5, an LSTM",
        "rnn",
        "learning rate too low",
        (),
        lambda s: of([nn.LSTM(24, last=True), Dense(1)], sums(True), s, optim.sgd(1e-5)),
        lambda s: of([nn.LSTM(24, last=True), Dense(1)], sums(True), s, optim.sgd(0.2)),
    ),
    Planted(
        "targets drawn by lot",
        "mlp",
        "loss not decreasing",
        (),
        lambda s: of(
            net(16, 2), (cancer(True)[0], np.random.default_rng(s).permutation(cancer(True)[1])), s, optim.sgd(0.02)
        ),
        lambda s: of(net(16, 2), cancer(True), s, optim.sgd(0.02)),
    ),
    Planted(
        "a linear model for equal signs",
        "mlp",
        "loss not decreasing",
        (),
        lambda s: of([Dense(2)], signs(), s, optim.adam(0.02)),
        lambda s: of(net(64, 2, activation="tanh"), signs(), s, optim.adam(0.02)),
    ),
    Planted(
        "thirty tumours with wrong labels",
        "mlp",
        "over-fitting",
        (),
        lambda s: of(net(128, 128, 2), **thin(60), seed=s, optimizer=optim.adam(5e-3), batch_size=20),
        lambda s: of(
            [Dense(8, "relu"), nn.Dropout(0.3), Dense(2)],
            **thin(60),
            seed=s,
            optimizer=optim.adamw(1e-3, weight_decay=0.1),
            batch_size=20,
        ),
    ),
    Planted(
        "a mask that is always 0",
        "cnn",
        "constant output",
        (),
        lambda s: of([conv(8), nn.MaxPool2d(2), lambda x: x * 0.0, nn.Flatten(), Dense(10)], images(), s),
        lambda s: of([conv(8), nn.MaxPool2d(2), nn.Flatten(), Dense(10)], images(), s),
    ),
    Planted(
        "softmax of one score, moons",
        "mlp",
        "constant output",
        (),
        lambda s: of(
            net(16, 1, end="softmax"), (plane("moons")[0], plane("moons")[1][:, None].astype(np.float32)), s, loss="mse"
        ),
        lambda s: of(net(16, 1), (plane("moons")[0], plane("moons")[1][:, None]), s, loss="binary_cross_entropy"),
    ),
    Planted(
        "softmax twice, sequences",
        "rnn",
        "wrong loss",
        ("1",),
        lambda s: of([nn.GRU(24, last=True), Dense(10, "softmax")], rows(), s, optim.adam(3e-3)),
        lambda s: of([nn.GRU(24, last=True), Dense(10)], rows(), s, optim.adam(3e-3)),
    ),
    Planted(
        "sigmoid at the end, a line to be told",
        "mlp",
        "wrong loss",
        ("1",),
        lambda s: of(net(16, 1, end="sigmoid"), votes(True), s, optim.adam(1e-2), "mse"),
        lambda s: of(net(16, 1), votes(True), s, optim.adam(1e-2), "mse"),
    ),
    Planted(
        "errors of (n, 1) and (n,), a line",
        "mlp",
        "broadcasting slip",
        (),
        lambda s: of([Dense(1)], votes(False), s, optim.adam(3e-2), lambda p, t: bl.sqrt(bl.mean((p - t) * (p - t)))),
        lambda s: of([Dense(1)], votes(True), s, optim.adam(3e-2), lambda p, t: bl.sqrt(bl.mean((p - t) * (p - t)))),
    ),
    Planted(
        "a wide part that is not added",
        "mlp",
        "unused parameter",
        ("wide",),
        lambda s: forgets(s, True),
        lambda s: forgets(s, False),
    ),
    Planted(
        "codes that are detached",
        "mlp",
        "unchanged parameter",
        ("encoder",),
        lambda s: of(Rounded(True), xy(), s),
        lambda s: of(Rounded(False), xy(), s),
    ),
    Planted(
        "a frozen block",
        "transformer",
        "unchanged parameter",
        ("2.blocks.0",),
        lambda s: of(language(32, 2), said(), s, optim.groups({"2.blocks.0.*": None, "*": optim.adam(3e-3)})),
        lambda s: of(language(32, 2), said(), s, optim.adam(3e-3)),
    ),
    Planted(
        "a bias of 20 for one wine",
        "mlp",
        "class collapse",
        (),
        lambda s: of(net(32, 3), wine(True), s, optim.sgd(0.01), batch_size=32, change=raised("1.bias", 1, 20.0)),
        lambda s: of(net(32, 3), wine(True), s, optim.sgd(0.01), batch_size=32),
        before=10,
    ),
    Planted(
        "log of softmax, all classes written out",
        "mlp",
        "numerical problem",
        (),
        lambda s: of(net(32, 3, end="softmax"), wine(False), s, loss=entropy, batch_size=32),
        lambda s: of(net(32, 3), wine(True), s, batch_size=32),
        reason=("log(0)", "log 0"),
        op=("log",),
    ),
    Planted(
        "the root of an error that is exactly 0",
        "cnn",
        "numerical problem",
        (),
        lambda s: of(
            [nn.Flatten(), Dense(16, "relu", use_bias=False), Dense(1, use_bias=False)],
            (blank(), ink_of(blank())),
            s,
            loss=geometric,
        ),
        lambda s: of(
            [nn.Flatten(), Dense(16, "relu", use_bias=False), Dense(1, use_bias=False)],
            (images()[0], ink_of(images()[0])),
            s,
            loss="mae",
        ),
        reason=("sqrt",),
        op=("sqrt",),
    ),
]
