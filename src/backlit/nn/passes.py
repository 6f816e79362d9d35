"""A pass through a network: what the outermost call of a layer keeps while it lasts.

It knows the path of every layer, gives keys for random numbers, collects new values of buffers, makes parameters that
are not there yet, and says in which layer an error came up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zlib import crc32

from ..base.config import config
from ..base.errors import ArgumentError
from ..base.trees import leaves
from ..graph.node import mark, note
from ..graph.tensor import Tensor
from ..ops.random import fold_in
from ..ops.random import key as random_key
from .members import layers

if TYPE_CHECKING:
    from .layer import Layer


class Called(NamedTuple):
    """A call of a layer, as explanations find it: the nodes with serials from `start` up to `stop` are of it."""

    path: str
    layer: Layer
    start: int
    stop: int


class Pass:
    """One pass through the network `root`; a context within which its layers are called.

    Args:
        training: do layers behave as in training (dropout drops, normalisations use the batch at hand)?
        key: where their random numbers come from.
        setup: the key for parameters that are still to be made; None where there must be none such.

    Attributes:
        updates: the new values of buffers by path.
    """

    def __init__(self, root: Layer, *, training: bool = False, key: Any = None, setup: Any = None) -> None:
        self.root, self.training = root, training
        self.updates: dict[str, Any] = {}
        self._key, self._setup = key, setup
        self._drawn = 0
        self._paths = {id(layer): path for path, layer in layers(root)}
        self._failed: BaseException | None = None
        self._calls: list[Called] = []

    def __enter__(self) -> Self:
        self._token = config.set(config.get()._replace(running=self))
        return self

    def __exit__(self, *problem: object) -> None:
        config.reset(self._token)

    def call(self, layer: Layer, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The output of a layer of the network."""
        try:
            self._made(layer, inputs)
            start = mark()
            out = layer.forward(*inputs, **options)
            self._calls.append(Called(self._paths.get(id(layer), ""), layer, start, mark()))
            if layer is self.root:
                for y in leaves(out):
                    if isinstance(y, Tensor) and y.node is not None:
                        note(y.node, self._calls)
            return out
        except Exception as problem:
            if problem is not self._failed:  # the innermost layer tells
                self._failed = problem
                given = ", ".join(_described(x) for x in inputs)
                problem.add_note(f"in layer {self.name(layer)}, called with {given or 'nothing'}")
            raise

    def name(self, layer: Layer) -> str:
        """Path and form of a layer, for messages."""
        path = self._paths.get(id(layer), "")
        return f"{path}: {layer!r}" if path else repr(layer)

    def path(self, layer: Layer) -> str:
        """Where a layer stands in the network."""
        if id(layer) not in self._paths:
            raise ArgumentError(
                f"{layer!r} is called within {type(self.root).__name__}, but does not hang on it, so that its "
                "parameters would be no part of the model: make it an attribute, in __init__."
            )
        return self._paths[id(layer)]

    def draw(self, layer: Layer) -> Any:
        """A new key for random numbers of a layer."""
        if self._key is None:
            raise ArgumentError(
                f"layer {self.name(layer)} needs random numbers: give a key, as in "
                "model.apply(values, x, training=True, key=bl.random.key(0))."
            )
        self._drawn += 1
        return fold_in(self._key, self._drawn)

    def update(self, layer: Layer, values: dict[str, Any]) -> None:
        """Take note of new values of a layer's buffers; a second call of a shared layer goes on from the first."""
        path = self.path(layer)
        self.updates.update({f"{path}.{name}" if path else name: value for name, value in values.items()})

    def buffer(self, layer: Layer, name: str) -> Any:
        """The value of a buffer as it stands in this pass."""
        path = self.path(layer)
        return self.updates.get(f"{path}.{name}" if path else name, getattr(layer, name))

    def _made(self, layer: Layer, inputs: tuple[Any, ...]) -> None:
        if layer.__dict__.get("_ready"):
            return
        if not layer.needs_setup():
            return
        path = self.path(layer)
        if self._setup is None:
            raise ArgumentError(
                f"layer {self.name(layer)} has no parameters yet: their shapes follow from the input; call the model "
                "once, or model.build(shape_of_a_sample), before you take its parameters."
            )
        key = random_key(self._setup) if isinstance(self._setup, int) else self._setup
        layer.setup(fold_in(key, crc32(path.encode()) >> 1), *inputs)
        layer.made()
        for inner, part in layers(layer):  # setup may have made parts
            self._paths.setdefault(id(part), f"{path}.{inner}" if path else inner)


def _described(x: Any) -> str:
    return f"{x.dtype.name}{tuple(x.shape)}" if hasattr(x, "shape") and hasattr(x, "dtype") else type(x).__name__


def running() -> Pass | None:
    """The pass that is under way."""
    return config.get().running


def unmade(root: Layer) -> list[str]:
    """The paths of layers whose parameters are still to be made."""
    return [path for path, layer in layers(root) if layer.needs_setup() and not layer.__dict__.get("_ready")]
