"""What a transform is: a function of a batch of inputs, made of plain data, which may use one random key per sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import DataError, shown
from .arrays import Array


@dataclass(frozen=True)
class Transform:
    """A function from a batch of inputs to a batch of inputs.

    `transform(x)` is what validation and test data see. `transform(x, keys)` is what training data see: `keys`, uint32
    of shape (samples, 2), holds one random key for each sample, so that what happens to a sample depends on its key
    alone. Only augmentations look at keys; without them they leave chance out.

    Its fields are numbers, strings, arrays, transforms or tuples of these: `plain` and `restore` carry it through JSON.
    """

    def __call__(self, x: Array, keys: Array | None = None) -> Array:
        """The transformed batch; `x` itself is not changed."""
        raise NotImplementedError

    def plain(self) -> dict[str, Any]:
        """Itself as dicts, lists, numbers and strings, as JSON and run folders take them; `restore` turns it back.

        >>> import backlit as bl
        >>> bl.data.Normalize(np.float32([0]), np.float32([4])).plain()
        {'transform': 'Normalize', 'low': {'float32': [0.0]}, 'high': {'float32': [4.0]}}
        """
        values = {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return {"transform": type(self).__name__, **values}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"str" if value.dtype.kind == "U" else value.dtype.name: value.tolist()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.plain() if isinstance(value, Transform) else value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_restored(v) for v in value)
    if isinstance(value, dict) and "transform" in value:
        return restore(value)
    if isinstance(value, dict):
        [(dtype, values)] = value.items()
        return np.array(values, dtype)
    return value


def restore(plain: Any) -> Transform:
    """The transform that `plain()` described.

    Raises:
        DataError: it describes none.

    >>> import backlit as bl
    >>> restore({"transform": "Flatten"})
    Flatten()
    """
    kinds = {kind.__name__: kind for kind in _kinds(Transform)}
    try:
        kind = kinds[plain["transform"]]
        return kind(**{name: _restored(value) for name, value in plain.items() if name != "transform"})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"no transform is described by {shown(plain)}: {error!r}") from None


def _kinds(kind: type[Transform]) -> Iterator[type[Transform]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _kinds(sub)
