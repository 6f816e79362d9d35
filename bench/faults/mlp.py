"""Faults planted in networks of dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.nn.initialisers import Normal, Uniform

from .case import Experiment, Planted, digits, of, plane, raw_digits, scaled, sure_of, table, with_bias
from .forgotten import Cut, Forgetful, Gained

Dense = nn.Dense
GOOD = "he_normal"


def deep(activation: str, depth: int, units: int = 32, **options: Any) -> list[Any]:
    """Many hidden layers and ten scores."""
    return [Dense(units, activation, **options) for _ in range(depth)] + [Dense(10)]


def two(activation: str = "relu", units: int = 64, outputs: int = 10, **options: Any) -> list[Any]:
    """Two hidden layers."""
    return [Dense(units, activation, **options), Dense(units, activation, **options), Dense(outputs)]


def xy() -> tuple[Any, Any]:
    return digits()[:2]


def forgetful(seed: int, forgets: bool) -> Experiment:
    """It is built with all of its layers; later its author edits forward."""
    e = of(Forgetful(False), xy(), seed)
    e.model.forgets = forgets  # type: ignore[attr-defined]
    return e


def shuffled(seed: int) -> tuple[Any, Any]:
    """Inputs that were shuffled, and targets that were not."""
    x, y = xy()
    return x[np.random.default_rng(seed).permutation(len(x))], y


def diabetes(column: bool, factor: float = 1.0) -> tuple[Any, Any]:
    x, y, *_ = table("diabetes")
    y = ((y - y.mean()) / y.std() * factor).astype(np.float32)
    return scaled(x), y if column else y[:, 0]


def steep(x: Any) -> Any:
    """tanh, whose author meant to divide by 30."""
    return bl.tanh(30 * x)


def squared(out: Any, y: Any) -> Any:
    """The mean squared error, written by hand."""
    return bl.mean((out - y) ** 2)


def absolute(out: Any, y: Any) -> Any:
    """The mean absolute error, written by hand."""
    return bl.mean(bl.abs(out - y))


def few(n: int) -> dict[str, Any]:
    """Few samples to train on, many to validate."""
    x, y, xv, yv = digits()
    return {"arrays": (x[:n], y[:n]), "validation": (xv, yv)}


def rare(seed: int) -> tuple[Any, Any]:
    """Is it an eight? For one picture in twenty it is; and the pictures are noisy."""
    x, y = xy()
    rng = np.random.default_rng(seed)
    eights = np.flatnonzero(y == 8)[:45]
    others = np.flatnonzero(y != 8)[:855]
    keep = rng.permutation(np.concatenate([eights, others]))
    return (x[keep] + rng.normal(0, 0.6, (len(keep), 64))).astype(np.float32), (y[keep] == 8).astype(np.int64)


def balanced(arrays: tuple[Any, Any]) -> tuple[Any, Any]:
    """Each class as often as the largest."""
    x, y = arrays
    most = np.bincount(y).max()
    keep = np.concatenate([np.resize(np.flatnonzero(y == c), most) for c in np.unique(y)])
    return x[keep], y[keep]


def wine(standard: bool) -> tuple[Any, Any]:
    x, y, *_ = table("wine")
    return (scaled(x) if standard else x), y


def cancer(standard: bool) -> tuple[Any, Any]:
    x, y, *_ = table("breast-cancer")
    return (scaled(x) if standard else x), y


def xor(n: int = 400) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    x = rng.uniform(-1, 1, (n, 2)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64)


def noisy_moons(n: int, seed: int = 0) -> tuple[Any, Any]:
    """Moons that overlap: who learns each point learns noise."""
    found = bl.data.load("moons", samples=4 * n, noise=0.35, seed=seed)
    return found.train.x[:n], found.train.y[:n]


HELD = optim.sgd(0.1)

CASES = [
    Planted(
        "twelve sigmoid layers",
        "mlp",
        "vanishing gradient",
        (),
        lambda s: of(deep("sigmoid", 12), xy(), s, HELD),
        lambda s: of(deep("relu", 12, init=GOOD), xy(), s, optim.sgd(0.03)),
    ),
    Planted(
        "eight layers with nn.Sigmoid",
        "mlp",
        "vanishing gradient",
        (),
        lambda s: of(
            [x for _ in range(8) for x in (Dense(32), nn.Sigmoid())] + [Dense(10)],
            xy(),
            s,
            optim.sgd(0.1, momentum=0.9),
        ),
        lambda s: of(
            [x for _ in range(8) for x in (Dense(32, init=GOOD), nn.ReLU())] + [Dense(10)],
            xy(),
            s,
            optim.sgd(0.01, momentum=0.9),
        ),
    ),
    Planted(
        "thirty residual blocks without normalisation",
        "mlp",
        "exploding gradient",
        (),
        lambda s: of(
            [Dense(32), *[nn.Residual(Dense(32, "relu", init=GOOD)) for _ in range(30)], Dense(10)],
            xy(),
            s,
            optim.sgd(0.01),
        ),
        lambda s: of(
            [
                Dense(32),
                *[nn.Residual(nn.Sequential(nn.LayerNorm(), Dense(32, "relu", init=GOOD))) for _ in range(30)],
                nn.LayerNorm(),
                Dense(10),
            ],
            xy(),
            s,
            optim.sgd(0.01),
        ),
    ),
    Planted(
        "biases of -10 before relu",
        "mlp",
        "dead units",
        ("0",),
        lambda s: of(two(init=GOOD), xy(), s, change=with_bias("0.bias", -10.0)),
        lambda s: of(two(init=GOOD), xy(), s),
    ),
    Planted(
        "weights drawn from 0 to -1",
        "mlp",
        "dead units",
        ("2", "3"),
        lambda s: of([Dense(64), nn.ReLU(), Dense(64, init=Uniform(-1.0, 0.0)), nn.ReLU(), Dense(10)], xy(), s),
        lambda s: of([Dense(64), nn.ReLU(), Dense(64), nn.ReLU(), Dense(10)], xy(), s),
    ),
    Planted(
        "tanh of 30 times its input",
        "mlp",
        "saturated activations",
        ("0", "1", "2", "3", "4", "5"),
        lambda s: of([*[x for _ in range(3) for x in (Dense(64), steep)], Dense(10)], xy(), s, optim.sgd(0.1)),
        lambda s: of([*[x for _ in range(3) for x in (Dense(64), bl.tanh)], Dense(10)], xy(), s, optim.sgd(0.1)),
    ),
    Planted(
        "large biases before sigmoid",
        "mlp",
        "saturated activations",
        ("1",),
        lambda s: of(two("sigmoid"), xy(), s, change=with_bias("1.bias", 12.0)),
        lambda s: of(two("sigmoid"), xy(), s),
    ),
    Planted(
        "weights of 0.001",
        "mlp",
        "bad initial scale",
        (),
        lambda s: of(deep("relu", 4, init=Normal(0.001)), xy(), s, HELD),
        lambda s: of(deep("relu", 4, init=GOOD), xy(), s, HELD),
    ),
    Planted(
        "standard normal weights",
        "mlp",
        "bad initial scale",
        (),
        lambda s: of(deep("relu", 4, 64, init="standard_normal"), xy(), s, optim.sgd(0.01)),
        lambda s: of(deep("relu", 4, 64, init=GOOD), xy(), s, optim.sgd(0.01)),
    ),
    Planted(
        "one layer begins with zeros",
        "mlp",
        "bad initial scale",
        ("1",),
        lambda s: of([Dense(64, "relu"), Dense(64, "relu", init="zeros"), Dense(10)], xy(), s, HELD),
        lambda s: of([Dense(64, "relu"), Dense(64, "relu"), Dense(10)], xy(), s, HELD),
    ),
    Planted(
        "pixels from 0 to 255",
        "mlp",
        "unnormalised input",
        (),
        lambda s: of(two("tanh"), (raw_digits()[0].astype(np.float32), raw_digits()[1]), s),
        lambda s: of(two("tanh"), xy(), s),
    ),
    Planted(
        "wine in its units",
        "mlp",
        "unnormalised input",
        (),
        lambda s: of(two("relu", 32, 3), wine(False), s, optim.sgd(0.01), batch_size=32),
        lambda s: of(two("relu", 32, 3), wine(True), s, optim.sgd(0.01), batch_size=32),
    ),
    Planted(
        "tumours in their units",
        "mlp",
        "unnormalised input",
        (),
        lambda s: of(two("relu", 32, 2), cancer(False), s, batch_size=32),
        lambda s: of(two("relu", 32, 2), cancer(True), s, batch_size=32),
    ),
    Planted(
        "descent at a rate of 30",
        "mlp",
        "learning rate too high",
        (),
        lambda s: of(two(init=GOOD), xy(), s, optim.sgd(30.0)),
        lambda s: of(two(init=GOOD), xy(), s, optim.sgd(0.1)),
    ),
    Planted(
        "Adam at 1",
        "mlp",
        "learning rate too high",
        (),
        lambda s: of(two("tanh"), xy(), s, optim.adam(1.0)),
        lambda s: of(two("tanh"), xy(), s, optim.adam(1e-3)),
    ),
    Planted(
        "descent at 1e-6",
        "mlp",
        "learning rate too low",
        (),
        lambda s: of(two(init=GOOD), xy(), s, optim.sgd(1e-6)),
        lambda s: of(two(init=GOOD), xy(), s, optim.sgd(0.1)),
    ),
    Planted(
        "momentum at 1e-7",
        "mlp",
        "learning rate too low",
        (),
        lambda s: of(two("relu", 32, 3), wine(True), s, optim.sgd(1e-7, momentum=0.9), batch_size=32),
        lambda s: of(two("relu", 32, 3), wine(True), s, optim.sgd(1e-2, momentum=0.9), batch_size=32),
    ),
    Planted(
        "inputs shuffled, targets not",
        "mlp",
        "loss not decreasing",
        (),
        lambda s: of([Dense(16, "relu"), Dense(10)], shuffled(s), s),
        lambda s: of([Dense(16, "relu"), Dense(10)], xy(), s),
    ),
    Planted(
        "a linear model for xor",
        "mlp",
        "loss not decreasing",
        (),
        lambda s: of([Dense(2)], xor(), s, optim.adam(0.02)),
        lambda s: of([Dense(32, "tanh"), Dense(2)], xor(), s, optim.adam(0.02)),
    ),
    Planted(
        "a linear model for circles",
        "mlp",
        "loss not decreasing",
        (),
        lambda s: of([Dense(2)], plane("circles"), s, optim.adam(0.02)),
        lambda s: of([Dense(32, "tanh"), Dense(2)], plane("circles"), s, optim.adam(0.02)),
    ),
    Planted(
        "sixty pictures and 512 units",
        "mlp",
        "over-fitting",
        (),
        lambda s: of(two("relu", 512), **few(60), seed=s, optimizer=optim.adam(3e-3), batch_size=30),
        lambda s: of(
            [Dense(512, "relu"), nn.Dropout(0.5), Dense(512, "relu"), nn.Dropout(0.5), Dense(10)],
            **few(60),
            seed=s,
            optimizer=optim.adamw(1e-3, weight_decay=0.1),
            batch_size=30,
        ),
    ),
    Planted(
        "forty noisy points and 256 units",
        "mlp",
        "over-fitting",
        (),
        lambda s: of(
            two("tanh", 256, 2), noisy_moons(40), s, optim.adam(1e-2), batch_size=20, validation=noisy_moons(400, 1)
        ),
        lambda s: of(
            two("tanh", 8, 2),
            noisy_moons(40),
            s,
            optim.adamw(1e-3, weight_decay=0.1),
            batch_size=20,
            validation=noisy_moons(400, 1),
        ),
        before=1000,
    ),
    Planted(
        "bytes divided as integers",
        "mlp",
        "constant output",
        (),
        lambda s: of(two(), ((bl.data.load("digits").train.x.reshape(-1, 64) // 255).astype(np.float32), xy()[1]), s),
        lambda s: of(two(), xy(), s),
    ),
    Planted(
        "softmax over one output",
        "mlp",
        "constant output",
        (),
        lambda s: of(
            [Dense(32, "relu"), Dense(1), nn.Softmax()],
            (cancer(True)[0], cancer(True)[1][:, None].astype(np.float32)),
            s,
            loss="mse",
        ),
        lambda s: of(
            [Dense(32, "relu"), Dense(1)], (cancer(True)[0], cancer(True)[1][:, None]), s, loss="binary_cross_entropy"
        ),
    ),
    Planted(
        "softmax before the loss that has one",
        "mlp",
        "wrong loss",
        ("2", "3"),
        lambda s: of([*two(), nn.Softmax()], xy(), s, loss="cross_entropy"),
        lambda s: of(two(), xy(), s, loss="cross_entropy"),
    ),
    Planted(
        "sigmoid before the binary loss from scores",
        "mlp",
        "wrong loss",
        ("1",),
        lambda s: of(
            [Dense(32, "relu"), Dense(1, "sigmoid")],
            (plane("moons")[0], plane("moons")[1][:, None]),
            s,
            optim.adam(1e-2),
            loss="binary_cross_entropy",
        ),
        lambda s: of(
            [Dense(32, "relu"), Dense(1)],
            (plane("moons")[0], plane("moons")[1][:, None]),
            s,
            optim.adam(1e-2),
            loss="binary_cross_entropy",
        ),
    ),
    Planted(
        "relu at the end, targets of both signs",
        "mlp",
        "wrong loss",
        ("2",),
        lambda s: of([Dense(32, "tanh"), Dense(32, "tanh"), Dense(1, "relu")], diabetes(True), s, loss="mse"),
        lambda s: of([Dense(32, "tanh"), Dense(32, "tanh"), Dense(1)], diabetes(True), s, loss="mse"),
    ),
    Planted(
        "squares of (n, 1) minus (n,)",
        "mlp",
        "broadcasting slip",
        (),
        lambda s: of([Dense(32, "relu"), Dense(1)], diabetes(False), s, optim.adam(3e-3), squared),
        lambda s: of([Dense(32, "relu"), Dense(1)], diabetes(True), s, optim.adam(3e-3), "mse"),
    ),
    Planted(
        "magnitudes of (n, 1) minus (n,)",
        "mlp",
        "broadcasting slip",
        (),
        lambda s: of([Dense(32, "tanh"), Dense(1)], diabetes(False), s, optim.adam(3e-3), absolute),
        lambda s: of([Dense(32, "tanh"), Dense(1)], diabetes(True), s, optim.adam(3e-3), "mae"),
    ),
    Planted(
        "a layer that forward forgets",
        "mlp",
        "unused parameter",
        ("second",),
        lambda s: forgetful(s, True),
        lambda s: forgetful(s, False),
    ),
    Planted(
        "a gain that is not used",
        "mlp",
        "unused parameter",
        ("gain",),
        lambda s: of(Gained(True), xy(), s),
        lambda s: of(Gained(False), xy(), s),
    ),
    Planted(
        "a frozen first layer",
        "mlp",
        "unchanged parameter",
        ("0",),
        lambda s: of([Dense(16, "tanh", init=Normal(0.1)), Dense(10)], xy(), s, optim.freeze(optim.adam(3e-3), "0.*")),
        lambda s: of([Dense(16, "tanh", init=Normal(0.1)), Dense(10)], xy(), s, optim.adam(3e-3)),
    ),
    Planted(
        "an encoder behind stop_gradient",
        "mlp",
        "unchanged parameter",
        ("encoder",),
        lambda s: of(Cut(True), xy(), s),
        lambda s: of(Cut(False), xy(), s),
    ),
    Planted(
        "one in twenty is positive",
        "mlp",
        "class collapse",
        (),
        lambda s: of([Dense(8, "relu"), Dense(2)], rare(s), s, optim.sgd(0.01)),
        lambda s: of([Dense(8, "relu"), Dense(2)], balanced(rare(s)), s, optim.sgd(0.01)),
        before=150,
    ),
    Planted(
        "a last bias that settles everything",
        "mlp",
        "class collapse",
        (),
        lambda s: of(two(), xy(), s, optim.sgd(0.01), change=sure_of("2.bias", 30.0)),
        lambda s: of(two(), xy(), s, optim.sgd(0.01)),
        before=20,
    ),
]
