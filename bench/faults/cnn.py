"""Faults planted in convolutional networks."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.nn.initialisers import Normal

from .case import Experiment, Planted, digits, images, of, raw_digits, sure_of, with_bias
from .mlp import steep

GOOD = "he_normal"


def conv(filters: int = 8, activation: Any = "relu", **options: Any) -> nn.Layer:
    return nn.Conv2d(filters, 3, padding="same", activation=activation, **options)


def small(activation: Any = "relu", end: Any = None, **options: Any) -> list[Any]:
    """Two convolutions, pooling, ten scores."""
    return [
        conv(8, activation, **options),
        nn.MaxPool2d(2),
        conv(16, activation, **options),
        nn.Flatten(),
        nn.Dense(10, end),
    ]


def deep(activation: str, **options: Any) -> list[Any]:
    """Ten convolutions."""
    return [*[conv(8, activation, **options) for _ in range(10)], nn.MaxPool2d(2), nn.Flatten(), nn.Dense(10)]


class Branches(nn.Layer):
    """Two branches, one of which is left out when results are put together."""

    def __init__(self) -> None:
        self.wide, self.narrow = nn.Conv2d(8, 5, padding="same", activation="relu"), conv(8)
        self.head = nn.Sequential(nn.Flatten(), nn.Dense(10))
        self.forgets = False

    def forward(self, x: Any) -> Any:
        a, b = self.narrow(x), self.wide(x)
        return self.head(bl.concat([a, a if self.forgets else b], axis=1))


def branches(seed: int, forgets: bool) -> Experiment:
    e = of(Branches(), images(), seed)
    e.model.forgets = forgets  # type: ignore[attr-defined]
    return e


def bytes_of(factor: float) -> tuple[Any, Any]:
    x, y = raw_digits()
    return (x.reshape(-1, 1, 8, 8) * factor).astype(np.float32), y


def few(n: int) -> dict[str, Any]:
    x, y, xv, yv = digits()
    shape = lambda a: a.reshape(-1, 1, 8, 8)
    return {"arrays": (shape(x[:n]), y[:n]), "validation": (shape(xv), yv)}


def ink(column: bool) -> tuple[Any, Any]:
    """How much ink is in the left half, and how much in the right: to be told from the picture."""
    x, _ = images()
    y = (x[..., :4].sum((1, 2, 3)) - x[..., 4:].sum((1, 2, 3)))[:, None] / 4
    return x, y.astype(np.float32) if column else y[:, 0].astype(np.float32)


CASES = [
    Planted(
        "ten sigmoid convolutions",
        "cnn",
        "vanishing gradient",
        (),
        lambda s: of(deep("sigmoid"), images(), s),
        lambda s: of(deep("relu", init=GOOD), images(), s),
    ),
    Planted(
        "relu convolution with biases of -6",
        "cnn",
        "dead units",
        ("2",),
        lambda s: of(small(init=GOOD), images(), s, change=with_bias("2.bias", -6.0)),
        lambda s: of(small(init=GOOD), images(), s),
    ),
    Planted(
        "tanh of 30 times a convolution",
        "cnn",
        "saturated activations",
        ("2", "3"),
        lambda s: of(
            [conv(8, "tanh"), nn.MaxPool2d(2), conv(16, None), steep, nn.Flatten(), nn.Dense(10)], images(), s
        ),
        lambda s: of(
            [conv(8, "tanh"), nn.MaxPool2d(2), conv(16, None), bl.tanh, nn.Flatten(), nn.Dense(10)], images(), s
        ),
    ),
    Planted(
        "convolutions of 0.0005",
        "cnn",
        "bad initial scale",
        (),
        lambda s: of(small(init=Normal(0.0005)), images(), s, optim.sgd(0.1)),
        lambda s: of(small(init=GOOD), images(), s, optim.sgd(0.1)),
    ),
    Planted(
        "pictures from 0 to 255",
        "cnn",
        "unnormalised input",
        (),
        lambda s: of(small(init=GOOD), bytes_of(1.0), s, optim.sgd(0.03)),
        lambda s: of(small(init=GOOD), bytes_of(1 / 255), s, optim.sgd(0.03)),
    ),
    Planted(
        "Adam at 0.5",
        "cnn",
        "learning rate too high",
        (),
        lambda s: of(small(), images(), s, optim.adam(0.5)),
        lambda s: of(small(), images(), s, optim.adam(3e-3)),
    ),
    Planted(
        "Adam at 1e-7",
        "cnn",
        "learning rate too low",
        (),
        lambda s: of(small(), images(), s, optim.adam(1e-7)),
        lambda s: of(small(), images(), s, optim.adam(3e-3)),
    ),
    Planted(
        "fifty pictures, many filters",
        "cnn",
        "over-fitting",
        (),
        lambda s: of(
            [conv(32), conv(32), nn.Flatten(), nn.Dense(128, "relu"), nn.Dense(10)],
            **few(50),
            seed=s,
            optimizer=optim.adam(3e-3),
            batch_size=25,
        ),
        lambda s: of(
            [conv(32), conv(32), nn.Flatten(), nn.Dropout(0.5), nn.Dense(128, "relu"), nn.Dropout(0.5), nn.Dense(10)],
            **few(50),
            seed=s,
            optimizer=optim.adamw(1e-3, weight_decay=0.1),
            batch_size=25,
        ),
    ),
    Planted(
        "pictures multiplied by a mask of zeros",
        "cnn",
        "constant output",
        (),
        lambda s: of(small(), bytes_of(0.0), s),
        lambda s: of(small(), bytes_of(1 / 255), s),
    ),
    Planted(
        "softmax before the loss that has one, pictures",
        "cnn",
        "wrong loss",
        ("4",),
        lambda s: of(small(end="softmax"), images(), s, loss="cross_entropy"),
        lambda s: of(small(), images(), s, loss="cross_entropy"),
    ),
    Planted(
        "(n, 1) minus (n,), pictures",
        "cnn",
        "broadcasting slip",
        (),
        lambda s: of(
            [conv(8), nn.Flatten(), nn.Dense(1)], ink(False), s, loss=lambda out, y: bl.mean(bl.square(out - y))
        ),
        lambda s: of([conv(8), nn.Flatten(), nn.Dense(1)], ink(True), s, loss="mse"),
    ),
    Planted(
        "a branch left out",
        "cnn",
        "unused parameter",
        ("wide",),
        lambda s: branches(s, True),
        lambda s: branches(s, False),
    ),
    Planted(
        "frozen convolutions",
        "cnn",
        "unchanged parameter",
        ("0", "2"),
        lambda s: of(small(init=Normal(0.05)), images(), s, optim.freeze(optim.adam(3e-3), "0.*", "2.*")),
        lambda s: of(small(init=Normal(0.05)), images(), s, optim.adam(3e-3)),
    ),
    Planted(
        "a bias of another task",
        "cnn",
        "class collapse",
        (),
        lambda s: of(small(), images(), s, optim.sgd(0.01), change=sure_of("4.bias", 25.0, 3)),
        lambda s: of(small(), images(), s, optim.sgd(0.01)),
        before=20,
    ),
]
