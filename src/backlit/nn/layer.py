"""`Layer`: what networks are made of. A model is data: its parameters are what hangs on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from ..base.config import config, no_grad
from ..base.dtypes import FLOAT, DType
from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..base.higher import higher
from ..base.trees import leaves, tree_map
from ..graph.closure import as_tensor
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, symbol
from .members import key_of, layers, replaced, tensors
from .passes import Pass, running, unmade


class Layer:
    """A part of a network, or a whole one.

    Its attributes are all there is. Those that are Tensors are its parameters, those that are layers (alone, or in
    lists, tuples and dicts) its parts; a parameter has a path, such as `encoder.0.weight`. Other attributes are
    settings; those that begin with an underscore are not looked at.

    To write one, say in `forward` what it does, and hang its parts on it in `__init__`, its arguments under their own
    names. A layer with parameters of its own makes them in `setup`, when it is first called and the shape of its
    input is known.

    Attributes:
        buffers: the names of attributes that are state and no parameters, such as running means.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> class Net(nn.Layer):
    ...     def __init__(self):
    ...         self.hidden = nn.Dense(3)
    ...         self.out = nn.Dense(1)
    ...     def forward(self, x):
    ...         return self.out(bl.tanh(self.hidden(x)))
    >>> net = Net()
    >>> net(bl.ones((5, 2))).shape
    (5, 1)
    >>> {path: p.shape for path, p in net.parameters().items()}
    {'hidden.weight': (2, 3), 'hidden.bias': (3,), 'out.weight': (3, 1), 'out.bias': (1,)}
    """

    buffers: ClassVar[tuple[str, ...]] = ()

    # --- to be written by each layer ---------------------------------------------------------------

    def setup(self, key: Tensor, *inputs: Tensor) -> None:
        """Make the parameters, or parts, as attributes, for inputs of these shapes; values are not to be looked at."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The output for these inputs."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say what it does: write its method forward(self, x)."
        )

    def members(self) -> Iterator[tuple[str, Any]]:
        """The attributes that may be or hold parameters, with their names."""
        return ((name, value) for name, value in vars(self).items() if not name.startswith("_"))

    # --- for use in `forward` ----------------------------------------------------------------------

    @property
    def training(self) -> bool:
        """Is this a pass of training? Dropout drops then, and batch normalisation looks at the batch."""
        now = running()
        return now is not None and now.training

    def random_key(self) -> Tensor:
        """A key for this call's random numbers, another one each time."""
        return self._running("random_key").draw(self)

    def buffer(self, name: str) -> Tensor:
        """The value of a buffer, with what an earlier call in the same pass made of it."""
        return self._running("buffer").buffer(self, name)

    def update(self, **values: Any) -> None:
        """Note new values of buffers; `apply` returns them. The layer itself is not changed."""
        self._running("update").update(self, values)

    def _running(self, asked: str) -> Pass:
        now = running()
        if now is None:
            raise ArgumentError(
                f"{type(self).__name__}.{asked} is for use in forward; call the layer, not its forward."
            )
        return now

    # --- calls -------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The output for these inputs, as in evaluation; parameters that are not there yet are made (from seed 0)."""
        now = running()
        if now is not None:
            return now.call(self, inputs, options)
        with Pass(self, setup=0) as now:
            return now.call(self, tuple(map(_taken, inputs)), options)

    def apply(
        self, values: Mapping[str, Any], *inputs: Any, training: bool = False, key: Tensor | None = None, **options: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The output with other values of parameters and buffers, and the buffers after it. The model is not changed.

        This is the network as a pure function: what `bl.grad` differentiates and `bl.compile` compiles.

        Args:
            values: values by path; what is not among them is the model's own.
            training: as in training (dropout, batch normalisation).
            key: for random numbers, where a layer needs them.

        >>> import backlit as bl
        >>> from backlit import nn
        >>> model = nn.Sequential(nn.Dense(1))
        >>> model.build((2,))
        Sequential(Dense(1))
        >>> loss = lambda p: bl.sum(model.apply(p, bl.ones((4, 2)))[0])
        >>> {path: g.tolist() for path, g in bl.grad(loss)(model.parameters()).items()}
        {'0.weight': [[4.0], [4.0]], '0.bias': [4.0]}
        """
        model = self.with_values(values)
        with Pass(model, training=training, key=key) as now:
            out = now.call(model, tuple(map(_taken, inputs)), options)
        return out, {**model.state(), **now.updates}

    def build(self, *inputs: Any, key: Tensor | int = 0, dtype: Any = None) -> Self:
        """Make the parameters for inputs of these shapes, all anew, and return the model.

        Args:
            inputs: for each input the shape of one sample, such as `(28, 28)`, or an example batch.
            key: where the first values come from: a seed, or a `bl.random.key`.
            dtype: of inputs that are given as shapes; by default that of floats (`"int64"` for token numbers).
        """
        for _, layer in layers(self):
            layer.__dict__.pop("_ready", None)
        with no_grad(), Pass(self, setup=key) as now:
            now.call(self, tuple(example(x, 1, dtype) for x in inputs), {})
        if left := unmade(self):
            raise ArgumentError(
                f"build: forward did not call {', '.join(left)}, so that the shapes of their parameters are not known: "
                "call them in forward, or do not make them."
            )
        return self

    def needs_setup(self) -> bool:
        """Does the layer make parameters when it is first called?"""
        return type(self).setup is not Layer.setup

    def made(self) -> None:
        """Mark the parameters as made: they are there, and are what is differentiated."""
        for name, value in self.members():
            if isinstance(value, Tensor) and value.dtype.char in FLOAT and name not in self.buffers:
                setattr(self, name, Tensor(value.numpy(), requires_grad=True))
        self._ready = True

    # --- values ------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Tensor]:
        """What training changes: every floating-point Tensor that is no buffer, by path."""
        self._complete("parameters")
        return {leaf.path: leaf.value for leaf in tensors(self) if leaf.trained}

    def state(self) -> dict[str, Tensor]:
        """What layers keep up to date by themselves, by path: the running means of batch normalisation, for example."""
        return {leaf.path: leaf.value for leaf in tensors(self) if not leaf.trained}

    def values(self) -> dict[str, Tensor]:
        """Parameters and state by path: all that a file of the model must hold."""
        self._complete("values")
        return {leaf.path: leaf.value for leaf in tensors(self)}

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """A copy of the model with these values in the place of its own."""
        self._complete("apply")
        own = {leaf.path: leaf.value for leaf in tensors(self)}
        new = {path: as_tensor(x) for path, x in values.items()}
        _fitting(own, new, type(self).__name__)
        return replaced(self, {id(own[path]): x for path, x in new.items()}, {})

    def load_values(self, values: Mapping[str, Any]) -> Self:
        """Take over these values by path, and return the model."""
        own = self.values()
        new = {path: _plain(x) for path, x in values.items()}
        _fitting(own, new, type(self).__name__)
        trained = self.parameters()
        swap = {id(own[path]): Tensor(x.numpy(), requires_grad=path in trained) for path, x in new.items()}
        for _, layer in list(layers(self)):
            vars(layer).update(_in_place(vars(layer), swap))
        return self

    def _complete(self, asked: str) -> None:
        if left := unmade(self):
            raise ArgumentError(
                f"{asked}: {left[0] or type(self).__name__} has no parameters yet: their shapes follow from the input; "
                "call the model once, or model.build(shape_of_a_sample), before."
            )

    # --- as a tree ---------------------------------------------------------------------------------

    def __tree__(self) -> tuple[list[tuple[str, Any]], Any]:
        found = list(tensors(self))
        ids = [id(leaf.value) for leaf in found]
        names = [leaf.path for leaf in found]

        def build(new: list[Any]) -> Any:
            if all(isinstance(x, Tensor) for x in new):
                return replaced(self, dict(zip(ids, new, strict=True)), {})
            return Filled(build, dict(zip(names, new, strict=True)))

        return [(leaf.path, leaf.value) for leaf in found], build

    def __tree_key__(self) -> Any:
        return key_of(self, type(self).__name__, {})

    def __repr__(self) -> str:
        """The call that makes the layer: its arguments are attributes of the same names, as they were given."""
        parts: list[str] = []
        for p in signature(type(self)).parameters.values():
            value = getattr(self, p.name, p.default)
            if p.kind is Parameter.VAR_POSITIONAL:
                parts += map(_short, value)
            elif p.kind is Parameter.VAR_KEYWORD:
                parts += (f"{name}={_short(option)}" for name, option in value.items())
            elif not isinstance(value, Tensor) and value is not p.default and value != p.default:
                needed = p.default is Parameter.empty
                parts.append(_short(value) if needed else f"{p.name}={_short(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"

    # --- what the layers above do with a model -------------------------------------------------------

    def summary(self, *inputs: Any, batch: int = 1, dtype: Any = None) -> Any:
        """A table of the layers with shapes, parameters, FLOPs and bytes; see `nn.summary`."""
        return higher("summary")(self, *inputs, batch=batch, dtype=dtype)

    def fit(self, x: Any, y: Any = None, **options: Any) -> Any:
        """Train the model on arrays or a dataset; see `backlit.train.fit`, whose options these are.

        `model.fit(x, y, epochs=10, validation=(xv, yv), batch_size=64, callbacks=[...])`
        """
        return higher("fit")(self, x, y, **options)

    def evaluate(self, x: Any, y: Any = None, **options: Any) -> Any:
        """Loss and metrics on data; see `backlit.train.evaluate`."""
        return higher("evaluate")(self, x, y, **options)

    def predict(self, x: Any, **options: Any) -> np.ndarray[Any, Any]:
        """The outputs for all samples of an array, batch by batch, by a native plan; see `backlit.train.predict`."""
        return higher("predict")(self, x, **options)

    def save(self, path: str | Path) -> None:
        """Write parameters and state as a safetensors file, whole or not at all."""
        higher("save_values")(path, self.values())

    def load(self, path: str | Path) -> Self:
        """Take over the parameters and the state from a safetensors file, and return the model."""
        return self.load_values(higher("load_values")(path, self.values()))


class Filled(dict[str, Any]):
    """The leaves of a model that are no Tensors for the moment, by path; with Tensors it is a model again."""

    def __init__(self, build: Any, items: dict[str, Any]) -> None:
        super().__init__(items)
        self._build = build

    def __tree__(self) -> tuple[list[tuple[str, Any]], Any]:
        return list(self.items()), self._build

    def __tree_key__(self) -> Any:
        return tuple(self)


def example(x: Any, batch: int, dtype: Any = None) -> Tensor:
    """An edge without a value for an input given as the shape of a sample, or as a batch."""
    if isinstance(x, int):
        x = (x,)
    if isinstance(x, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in x):
        return symbol(Spec((batch, *map(int, x)), _dtype(dtype)))
    given = _taken(x)
    return symbol(Spec(tuple(given.shape), given.dtype))


def _dtype(dtype: Any) -> DType:
    return config.get().default_dtype if dtype is None else np.dtype(dtype)


def _taken(x: Any) -> Any:
    """An input as the layers take it: arrays, numbers and lists of numbers as Tensors, trees of these leaf by leaf."""
    if isinstance(x, list) and not any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in leaves(x)):
        return as_tensor(x)
    return tree_map(as_tensor, x)


def _plain(x: Any) -> Tensor:
    return as_tensor(x).detach()


def _in_place(attributes: dict[str, Any], swap: dict[int, Tensor]) -> dict[str, Any]:
    """Attributes with Tensors exchanged, also within lists, tuples and dicts; layers stay the objects that they are."""

    def new(value: Any) -> Any:
        if isinstance(value, Tensor):
            return swap.get(id(value), value)
        if type(value) in (list, tuple):
            return type(value)([new(item) for item in value])
        if type(value) is dict:
            return {name: new(item) for name, item in value.items()}
        return value

    return {name: new(value) for name, value in attributes.items()}


def _fitting(own: Mapping[str, Tensor], new: Mapping[str, Tensor], name: str) -> None:
    """Check that every new value has a place, and its shape and kind of number."""
    for path, x in new.items():
        if path not in own:
            raise ArgumentError(f"{name} has nothing at {path!r}; its values are {', '.join(own) or 'none'}.")
        if tuple(x.shape) != tuple(own[path].shape):
            raise ShapeError(
                f"{name}: {path} has shape {tuple(own[path].shape)}, but a value of shape {tuple(x.shape)} is given."
            )
        if (x.dtype.char in FLOAT) != (own[path].dtype.char in FLOAT):
            raise DtypeError(f"{name}: {path} is {own[path].dtype.name}, but a value of {x.dtype.name} is given.")


def _short(value: Any) -> str:
    name = None if isinstance(value, Layer) else getattr(value, "name", None) or getattr(value, "__name__", None)
    return name if callable(value) and isinstance(name, str) else repr(value)
