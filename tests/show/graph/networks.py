"""Networks whose graphs are drawn in the tests, by name: functions that give a Tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn
from backlit.explain.tape import Tape, tape_of


def _normal(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def neuron() -> Tape:
    return tape_of(lambda x, w, b: 1 / (1 + bl.exp(-(w * x + b))), 1.0, 0.0, 0.0)


def xor() -> Tape:
    model, x = nn.Sequential(nn.Dense(2, "tanh"), nn.Dense(1, "sigmoid")), _normal(4, 2)
    return tape_of(bl.mean((model(x) - 1) ** 2), names={"x": x})


def sigmoids() -> Tape:
    """Ten layers of sigmoids, through which the gradient vanishes."""
    model, x = nn.Sequential(*(nn.Dense(16, "sigmoid") for _ in range(10)), nn.Dense(1)), _normal(8, 4)
    return tape_of(bl.mean(model(x) ** 2), names={"x": x})


def lenet() -> Tape:
    model, x = nn.Sequential(
        nn.Conv2d(4, 5, activation="relu"), nn.MaxPool2d(2), nn.Conv2d(8, 5, activation="relu"), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dense(16, "relu"), nn.Dense(10),
    ), _normal(4, 1, 28, 28)  # fmt: skip
    return tape_of(nn.losses.cross_entropy(model(x), np.arange(4)), names={"x": x})


class Block(nn.Layer):
    """x + f(x), normalised first."""

    def __init__(self, width: int) -> None:
        self.norm, self.wide, self.back = nn.LayerNorm(), nn.Dense(width, "relu"), nn.Dense(width)

    def forward(self, x: Any) -> Any:
        return x + self.back(self.wide(self.norm(x)))


def residual() -> Tape:
    model, x = nn.Sequential(nn.Dense(16), Block(16), Block(16), nn.Dense(3)), _normal(8, 4)
    return tape_of(bl.mean(model(x) ** 2), names={"x": x})


class Reader(nn.Layer):
    """The last output of an LSTM, weighed."""

    def __init__(self) -> None:
        self.lstm, self.end = nn.LSTM(8), nn.Dense(3)

    def forward(self, x: Any) -> Any:
        return self.end(self.lstm(x)[:, -1])


def lstm(steps: int = 5) -> Tape:
    x = _normal(2, steps, 4)
    return tape_of(bl.mean(Reader()(x) ** 2), names={"x": x})


def transformer(layers: int = 1) -> Tape:
    model = nn.Sequential(nn.Embedding(20, 16), nn.TransformerEncoder(layers, 2, causal=True), nn.Dense(20))
    return tape_of(bl.mean(model(np.arange(12).reshape(2, 6)) ** 2))


NETWORKS: dict[str, Callable[[], Tape]] = {
    f.__name__: f for f in (neuron, xor, sigmoids, lenet, residual, lstm, transformer)
}
