"""`Planted`, a training with a known fault and its healthy twin, and `Healthy`, one without; and the data they use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backlit import data, nn, optim
from backlit.explain.verdict import Experiment

Array = np.ndarray[Any, Any]


class Planted(NamedTuple):
    """A fault as users make it.

    Attributes:
        name: what was done, in a few words; the key of the case.
        family: "mlp", "cnn", "rnn" or "transformer".
        fault: the name of the fault that was planted.
        layers: where it is: paths, of which one is to be named; empty where it is the whole.
        faulty, twin: from a seed, the experiment with the fault, and as one would make it who knows: without it, at a
            rate that suits it. All else is the same.
        steps: of training, for both.
        before: so many steps are trained before anything is asked, as faults that come up in training need.
        reason: of a number that is not finite, words of which one must be in the explanation.
        op: and the op that made it, one of these.
    """

    name: str
    family: str
    fault: str
    layers: tuple[str, ...]
    faulty: Callable[[int], Experiment]
    twin: Callable[[int], Experiment]
    steps: int = 400
    before: int = 0
    reason: tuple[str, ...] = ()
    op: tuple[str, ...] = ()


class Healthy(NamedTuple):
    """A training that goes well: nothing is to be said of it."""

    name: str
    family: str
    experiment: Callable[[int], Experiment]
    steps: int = 400
    before: int = 0


@cache
def digits() -> tuple[Array, Array, Array, Array]:
    """Pictures of 8 x 8 pixels from 0 to 1, in rows of 64, and the digits; to train and to validate."""
    found = data.load("digits")
    flat = lambda x: (x.reshape(len(x), -1) / 16).astype(np.float32)
    return flat(found.train.x), found.train.y, flat(found.validation.x), found.validation.y


def raw_digits() -> tuple[Array, Array]:
    """The same as bytes, from 0 to 255, as pictures are stored."""
    x, y, *_ = digits()
    return (x * 255).astype(np.uint8), y


@cache
def table(name: str) -> tuple[Array, Array, Array, Array]:
    """A table as it is measured: features in their units, and targets."""
    found = data.load(name)
    return found.train.x, found.train.y, found.validation.x, found.validation.y


def scaled(x: Array) -> Array:
    """Features with mean 0 and variance 1."""
    return ((x - x.mean(0)) / (x.std(0) + 1e-9)).astype(np.float32)


@cache
def plane(name: str) -> tuple[Array, Array]:
    """Points in the plane, of two classes."""
    found = data.load(name, samples=1000)
    return found.train.x, found.train.y


@cache
def text(window: int = 16) -> tuple[Array, Array, int]:
    """The licence, in windows of characters, each with the characters that come next; and how many there are."""
    words = (Path(__file__).parents[2] / "LICENSE").read_text("utf-8")
    found = data.text_dataset(" ".join(words.lower().split())[:8000], window=window, stride=4)
    return (
        np.ascontiguousarray(found.train.x).astype(np.int64), np.ascontiguousarray(found.train.y).astype(np.int64),
        len(found.classes),
    )  # fmt: skip


def rows() -> tuple[Array, Array]:
    """Digits as sequences: eight rows of eight pixels."""
    x, y, *_ = digits()
    return x.reshape(-1, 8, 8), y


def images() -> tuple[Array, Array]:
    """Digits as pictures with one channel."""
    x, y, *_ = digits()
    return x.reshape(-1, 1, 8, 8), y


def of(
    layers: Any, arrays: tuple[Any, ...], seed: int, optimizer: Any = None, loss: Any = "auto", *,
    validation: Any = None, batch_size: int = 64, change: Callable[[Any], Any] | None = None,
) -> Experiment:  # fmt: skip
    """An experiment: layers (or a model), data, and what is usual otherwise.

    Args:
        change: what is done to the model once it is built.
    """
    model = nn.Sequential(*layers) if isinstance(layers, (list, tuple)) else layers
    model.build(*(x[:1] for x in arrays[:-1]), key=seed)
    if change is not None:
        model = change(model) or model
    return Experiment(model, loss, optimizer or optim.adam(1e-3), arrays, validation, batch_size, seed)


def with_bias(path: str, value: float) -> Callable[[Any], Any]:
    """For `of`: every entry of a parameter has this value."""

    def change(model: Any) -> None:
        old = model.parameters()[path]
        model.load_values({path: np.full(tuple(old.shape), value, np.float32)})

    return change


def sure_of(path: str, value: float, which: int = 0) -> Callable[[Any], Any]:
    """For `of`: the bias of one class has this value, as in a checkpoint of another task."""

    def change(model: Any) -> None:
        bias = model.parameters()[path].numpy().copy()
        bias[which] = value
        model.load_values({path: bias})

    return change
