"""Networks by name, made for a data set; and networks out of a user's file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..base.errors import ArgumentError, DataError
from ..data import Dataset
from ..nn import (
    LSTM,
    Conv2d,
    Dense,
    Embedding,
    Flatten,
    Layer,
    LearnedPositions,
    MaxPool2d,
    Reshape,
    Sequential,
    Standardize,
    TransformerEncoder,
    Unstandardize,
)


def outputs(data: Dataset) -> list[Layer]:
    """The last layers of a network for these data: a score for each class, or the targets in their unit."""
    if data.classes:
        return [Dense(len(data.classes))]
    y = data.train.y.reshape(len(data.train.y), -1)
    return [Dense(y.shape[1]), Unstandardize.of(y, axis=0)]


def mlp(data: Dataset) -> Layer:
    """A hidden layer of 128 rectified units."""
    pixels = data.train.x.ndim > 2
    return Sequential(
        Standardize.of(data.train.x, axis=None if pixels else 0), Flatten(), Dense(128, "relu", init="he_normal"),
        *outputs(data),
    )  # fmt: skip


def cnn(data: Dataset) -> Layer:
    """Two convolutions of 3 x 3, each with pooling, and a hidden layer of 128, for grey or coloured images."""
    shape = data.train.x.shape[1:]
    if len(shape) not in (2, 3):
        raise ArgumentError(f"cnn: expected images (height, width) or (channels, height, width), got shape {shape}.")
    conv = lambda filters: Conv2d(filters, 3, padding="same", activation="relu", init="he_normal")
    return Sequential(
        Standardize.of(data.train.x), Reshape(*((1, *shape) if len(shape) == 2 else shape)),
        conv(16), MaxPool2d(2), conv(32), MaxPool2d(2), Flatten(), Dense(128, "relu", init="he_normal"),
        *outputs(data),
    )  # fmt: skip


def lstm(data: Dataset) -> Layer:
    """Characters as vectors of 64, an LSTM of 128 units, a score for each next character."""
    _text(data, "lstm")
    return Sequential(Embedding(len(data.classes), 64), LSTM(128), Dense(len(data.classes)))


def transformer(data: Dataset) -> Layer:
    """Characters and their places as vectors of 128, four blocks of causal attention with four heads, as in GPT."""
    _text(data, "transformer")
    return Sequential(
        Embedding(len(data.classes), 128, init="normal"),
        LearnedPositions(data.train.x.shape[1]),
        TransformerEncoder(4, 4, causal=True, norm_first=True, activation="gelu", dropout=0.0),
        Dense(len(data.classes)),
    )


NETWORKS: dict[str, Callable[[Dataset], Layer]] = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "transformer": transformer}


def network(name: str, data: Dataset) -> Layer:
    """The network of this name for a data set; or, of "FILE.py:NAME", what that file defines under NAME: a model, a
    class of models, or a function that returns one (of the data set, if it takes an argument).
    """
    file, colon, inner = name.rpartition(":")
    if colon and file.endswith(".py"):
        return _from_file(Path(file), inner, data)
    if name not in NETWORKS:
        close = get_close_matches(name, NETWORKS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no network is named {name!r}; there are {', '.join(NETWORKS)}, and FILE.py:NAME.{hint}")
    if data.task == "text" and name in ("mlp", "cnn"):
        raise ArgumentError(f"{name}: {data.name} is a text; take lstm or transformer.")
    return NETWORKS[name](data)


def _text(data: Dataset, name: str) -> None:
    if data.task != "text":
        raise ArgumentError(f"{name}: expected a text, such as tiny-shakespeare, but {data.name} is for {data.task}.")


def _from_file(path: Path, name: str, data: Dataset) -> Layer:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; expected FILE.py:NAME, with a network under NAME.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Any = getattr(module, name, None)
    if found is None:
        names = [n for n in vars(module) if not n.startswith("_")]
        close = get_close_matches(name, names, 1)
        raise ArgumentError(f"{path} defines no {name!r}.{f' Did you mean {close[0]!r}?' if close else ''}")
    if isinstance(found, Layer):
        return found
    takes_data = not isinstance(found, type) and callable(found) and found.__code__.co_argcount
    made = found(data) if takes_data else found() if callable(found) else found
    if not isinstance(made, Layer):
        raise ArgumentError(f"{path}:{name} gives {type(made).__name__}, no network; expected a backlit.nn.Layer.")
    return made
