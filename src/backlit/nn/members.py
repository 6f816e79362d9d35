"""What hangs on a layer: the Tensors in its attributes, those of its layers, and of lists, tuples and dicts of these.

Nothing is registered: the attributes are the model. What is met twice counts once, under the first path that leads
there, so that a shared layer has one set of parameters, and tied weights are one parameter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, shown
from ..graph.tensor import Tensor

if TYPE_CHECKING:
    from .layer import Layer


class Leaf(NamedTuple):
    """A Tensor of a model.

    Attributes:
        path: where it stands, such as `encoder.0.weight`.
        value: the Tensor.
        trained: is it a parameter? Buffers and integers are state that a layer keeps up to date by itself.
    """

    path: str
    value: Tensor
    trained: bool


def layers(root: Layer) -> Iterator[tuple[str, Layer]]:
    """Every layer of a model with its path, an outer one before those within; the model's own path is empty."""
    for path, found, _ in _walk(root, "", True, set()):
        if not isinstance(found, Tensor):
            yield path, found


def tensors(root: Layer) -> Iterator[Leaf]:
    """Every Tensor of a model, in the order of its attributes."""
    for path, found, trained in _walk(root, "", True, set()):
        if isinstance(found, Tensor):
            yield Leaf(path, found, trained and found.dtype.char in FLOAT)


def _walk(value: Any, path: str, trained: bool, seen: set[int]) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, (list, tuple, dict)):
        for name, item in _items(value):
            yield from _walk(item, f"{path}.{name}", trained, seen)
        return
    if not (isinstance(value, Tensor) or _is_layer(value)) or id(value) in seen:
        return
    seen.add(id(value))
    yield path, value, trained
    if not isinstance(value, Tensor):
        for name, item in value.members():
            yield from _walk(item, f"{path}.{name}" if path else name, name not in value.buffers, seen)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return ((str(name), item) for name, item in pairs)


def _is_layer(value: Any) -> bool:
    return hasattr(type(value), "__tree_key__") and hasattr(type(value), "members")


def replaced(value: Any, new: Mapping[int, Any], memo: dict[int, Any]) -> Any:
    """A copy of a layer, or of a container of layers, with other Tensors: `new` by the `id` of the old ones."""
    if isinstance(value, Tensor):
        return new.get(id(value), value)
    if _is_layer(value):
        if id(value) not in memo:
            memo[id(value)] = copy = object.__new__(type(value))
            vars(copy).update({name: replaced(item, new, memo) for name, item in vars(value).items()})
        return memo[id(value)]
    if type(value) in (list, tuple):
        return type(value)([replaced(item, new, memo) for item in value])
    if type(value) is dict:
        return {name: replaced(item, new, memo) for name, item in value.items()}
    return value


def key_of(value: Any, path: str, seen: dict[int, str]) -> Hashable:
    """All of a model but the values of its Tensors, as something to compare models by."""
    if isinstance(value, Tensor) or _is_layer(value):
        if id(value) in seen:
            return "again", seen[id(value)]
        seen[id(value)] = path
        if isinstance(value, Tensor):
            return "Tensor"
        inner = tuple((name, key_of(item, f"{path}.{name}", seen)) for name, item in vars(value).items())
        return type(value), inner
    if isinstance(value, (list, tuple, dict)):
        return type(value), tuple((name, key_of(item, f"{path}.{name}", seen)) for name, item in _items(value))
    if isinstance(value, np.ndarray):
        return "array", value.dtype.str, value.shape, value.tobytes()
    try:
        hash(value)
    except TypeError:
        raise ArgumentError(
            f"{path.lstrip('.')} is {shown(value)} ({type(value).__name__}), which has no hash, so that compiled "
            "functions cannot tell two models apart by it; give a tuple, a frozen dataclass, or a Tensor."
        ) from None
    return type(value), value
