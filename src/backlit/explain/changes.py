"""How a training is changed without touching the user's: copies of a model with parts exchanged, rebuilt or added.

Every function here takes a model, an optimizer or an experiment and returns another; what was given stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..base.config import no_grad
from ..graph.tensor import Tensor
from ..nn import Dense, Embedding, Layer, Recurrent, Sequential
from ..nn.activations import ACTIVATIONS
from ..nn.convolution import _Convolution as Convolution
from ..nn.function import Function
from ..nn.initialisers import Initialiser
from ..nn.members import layers, replaced
from ..nn.recurrent_cells import Cell
from ..optim import Optimizer
from ..train.goals import as_parameters

#: Functions whose slope is 0 or 1 (or nearly so): He's variance suits them.
RECTIFIERS = ("relu", "relu6", "leaky_relu", "elu", "celu", "gelu", "silu", "mish", "hard_swish")
#: Functions that flatten out on both sides.
SQUASHING = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign")
#: What an output layer makes probabilities with.
PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")


def copied(model: Layer) -> Any:
    """The same layers as other objects; the values, which nothing changes, are shared."""
    return replaced(model, {}, {})


def exchanged(model: Layer, new: dict[int, Any]) -> Any:
    """A copy in which other layers stand in the places of some: `new` by the `id` of the old ones."""
    return replaced(model, {}, dict(new))


def name_of(activation: Any) -> str:
    """What an activation is called: its name, that of its op, or that of the user's function; empty for none."""
    if activation is None:
        return ""
    if isinstance(activation, str):
        return activation
    if isinstance(activation, Function):
        return activation.applies
    for name, function in ACTIVATIONS.items():
        if function is activation:
            return name
    return getattr(activation, "__name__", "")


def sample_of(experiment: Any) -> tuple[Any, ...]:
    """The first sample of the inputs, as the model takes it."""
    with no_grad():
        return tuple(as_parameters(x[:1]) for x in experiment.data[:-1])


# --- activations ------------------------------------------------------------------------------------


def activations(model: Layer) -> Iterator[tuple[str, str]]:
    """Path and name of every activation that hangs on a model, in its layers' own order."""
    for path, layer in layers(model):
        if isinstance(layer, Function) and layer.applies in ACTIVATIONS:
            yield path, layer.applies
        elif name := name_of(getattr(layer, "activation", None)):
            yield path, name
        if isinstance(layer, Sequential):
            for i, item in enumerate(layer.layers):
                if not isinstance(item, Layer) and name_of(item) in ACTIVATIONS:
                    yield f"{path}.{i}" if path else str(i), name_of(item)


def with_activation(model: Layer, old: Iterable[str], new: str, spared: Iterable[str] = ()) -> Any:
    """A copy in which the activations named `old` are `new`: attributes of layers, layers, functions in `Sequential`.

    Args:
        spared: paths that keep theirs, such as an output layer's.
    """
    old, spared = tuple(old), tuple(spared)
    copy = copied(model)
    swap: dict[int, Any] = {}
    for path, layer in list(layers(copy)):
        if path in spared:
            continue
        if isinstance(layer, Function) and layer.applies in old:
            swap[id(layer)] = function_layer(new)
        elif name_of(getattr(layer, "activation", None)) in old:
            layer.activation = new  # type: ignore[attr-defined]
        if isinstance(layer, Sequential):
            layer.layers = tuple(
                ACTIVATIONS[new] if not isinstance(item, Layer) and name_of(item) in old else item
                for item in layer.layers
            )
    return exchanged(copy, swap)


def function_layer(name: str) -> Function:
    """The layer of the activation of this name."""
    (found,) = (c for c in Function.__subclasses__() if c.applies == name)
    return found()


# --- first values -----------------------------------------------------------------------------------


def followers(model: Layer) -> dict[int, str]:
    """For each layer with weights (by `id`) the activation that its output goes through; empty for none.

    It is the layer's own, or, in a `Sequential`, that of the next layer that has one before the next with weights.
    """
    found: dict[int, str] = {}
    for _, layer in layers(model):
        if hasattr(layer, "activation"):
            found.setdefault(id(layer), name_of(layer.activation))  # type: ignore[attr-defined]
        if isinstance(layer, Sequential):
            waiting: Layer | None = None
            for item in layer.layers:
                name = name_of(item) if isinstance(item, Function) or not isinstance(item, Layer) else ""
                if name in ACTIVATIONS and waiting is not None:
                    found[id(waiting)] = name
                    waiting = None
                elif isinstance(item, (Dense, Convolution)):
                    waiting = item if not name_of(item.activation) else None
                    found.setdefault(id(item), name_of(item.activation))
                elif isinstance(item, Layer) and item.needs_setup() and not hasattr(item, "epsilon"):
                    waiting = None
    return found


def suitable(activation: str) -> str:
    """The initialiser whose variance keeps the size of signals through an activation."""
    if activation == "selu":
        return "lecun_normal"
    return "he_normal" if activation in RECTIFIERS else "glorot_uniform"


def reinitialised(
    experiment: Any, chosen: Callable[[str, Layer], bool] = lambda path, layer: True, *,
    init: str | Initialiser | None = None, recurrent: str | Initialiser = "orthogonal",
) -> Any:  # fmt: skip
    """A copy of an experiment's model whose parameters are drawn anew, with initialisers that suit the activations.

    Args:
        chosen: which layers, by path and layer; the others keep their values.
        init: for all that are chosen the same one.
    """
    model = copied(experiment.model)
    after = followers(model)
    kept: dict[str, Any] = {}
    values = model.values()
    remade: list[str] = []
    for path, layer in layers(model):
        if not layer.needs_setup() or not chosen(path, layer):
            continue
        remade.append(path)
        if isinstance(layer, (Dense, Convolution)):
            layer.init = init or suitable(after.get(id(layer), ""))
        elif isinstance(layer, Cell):
            layer.init, layer.recurrent_init = init or "glorot_uniform", recurrent
        elif isinstance(layer, Embedding) and init is not None:
            layer.init = init
    model.build(*sample_of(experiment), key=experiment.seed)
    for path, value in values.items():
        if not any(path == p or path.startswith(f"{p}." if p else "") for p in remade):
            kept[path] = value
    return model.load_values(kept)


# --- layers added -----------------------------------------------------------------------------------


def recurrent(model: Layer) -> bool:
    """Is there a recurrent layer in it?"""
    return any(isinstance(layer, Recurrent) for _, layer in layers(model))


def hidden(model: Layer) -> list[tuple[str, Layer]]:
    """The dense layers and convolutions but the last: those whose outputs other layers work on."""
    found: list[tuple[str, Layer]] = [(p, x) for p, x in layers(model) if isinstance(x, (Dense, Convolution))]
    return found[:-1]


def wrapped(experiment: Any, around: Callable[[str, Layer], Layer | None]) -> Any | None:
    """A copy of an experiment's model with layers around some: `around(path, layer)` gives what is to stand in the
    place of a copied layer, or None. New parts are made; the other values stay. None where nothing was wrapped.
    """
    model = copied(experiment.model)
    swap: dict[int, Any] = {}
    for path, layer in hidden(model):
        new = around(path, layer)
        if new is not None:
            swap[id(layer)] = new
    if not swap:
        return None
    return made(_grafted(model, swap), experiment)


def made(model: Any, experiment: Any) -> Any:
    """The model with parameters for parts that have none yet."""
    with no_grad():
        model(*sample_of(experiment))
    return model


def _grafted(model: Any, swap: dict[int, Any]) -> Any:
    """A copy with new layers, which may hold the old ones."""
    memo: dict[int, Any] = dict(swap)
    if id(model) in memo:
        return memo[id(model)]
    return replaced(model, {}, memo)


def normalised(norm: Callable[[Layer], Layer]) -> Callable[[str, Layer], Layer]:
    """For `wrapped`: a normalisation between a layer and its activation."""

    def around(path: str, layer: Any) -> Layer:
        bare = copied(layer)
        activation, bare.activation = layer.activation, None
        return Sequential(bare, norm(layer), *([] if activation is None else [_as_part(activation)]))

    return around


def _as_part(activation: Any) -> Any:
    return function_layer(activation) if isinstance(activation, str) else activation


# --- the end of a network -----------------------------------------------------------------------------


def last_part(model: Any) -> tuple[Any, Any] | None:
    """The `Sequential` that ends a network, and its last part; None where the end is not such a list."""
    if not isinstance(model, Sequential) or not len(model):
        return None
    end = model.layers[-1]
    return last_part(end) if isinstance(end, Sequential) else (model, end)


def last_activation(model: Layer) -> str:
    """The activation at the very end of a network, as far as its layers tell; empty for none."""
    found = last_part(model)
    if found is None:
        return ""
    _, end = found
    if isinstance(end, Function) or not isinstance(end, Layer):
        return name_of(end) if name_of(end) in ACTIVATIONS else ""
    return name_of(getattr(end, "activation", None))


def with_last_activation(model: Layer, new: str | None) -> Any | None:
    """A copy whose last activation is another one, or none; None where the end cannot be found."""
    copy = copied(model)
    found = last_part(copy)
    if found is None:
        return None
    owner, end = found
    if isinstance(end, Function) or not isinstance(end, Layer):
        owner.layers = owner.layers[:-1] if new is None else (*owner.layers[:-1], function_layer(new))
        return copy
    if not hasattr(end, "activation"):
        return None
    end.activation = new  # type: ignore[attr-defined]
    return copy


# --- optimizers -----------------------------------------------------------------------------------------


def rate_of(optimizer: Optimizer, params: Any) -> float | None:
    """The first learning rate of an optimizer, the largest of several; None where it tells none."""
    if optimizer.rate is None:
        return None
    found = optimizer.rate(optimizer.init(params))
    numbers = [float(r) for r in (found.values() if isinstance(found, dict) else [found])]
    return max(numbers, default=None)


def still(optimizer: Optimizer, params: Any) -> list[str]:
    """The parameters that an optimizer leaves as they are, whatever their gradient: the frozen ones."""
    with no_grad():
        state = optimizer.init(params)
        ones = {path: Tensor(np.ones(tuple(p.shape), p.dtype)) for path, p in params.items()}
        held = dict(params)
        for _ in range(3):  # a first step may be one of size 0, of a warm-up
            held, state = optimizer.update(held, ones, state)
    return [path for path, p in params.items() if np.array_equal(plain(held[path]), plain(p))]


def rate_times(optimizer: Optimizer, factor: float) -> Optimizer:
    """The optimizer with its learning rate, and a schedule of it, multiplied."""

    def update(params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, Any]:
        return optimizer.update(params, gradients, state, factor if scale is None else scale * factor)

    def rate(state: Any) -> Any:
        found = optimizer.rate(state) if optimizer.rate else None
        return {k: r * factor for k, r in found.items()} if isinstance(found, dict) else found and found * factor

    return Optimizer(optimizer.init, update, rate if optimizer.rate else None)


def also_moving(optimizer: Optimizer, paths: Iterable[str], other: Optimizer) -> Optimizer:
    """`optimizer`, but `other` for the parameters at these paths, whatever the first does with them."""
    chosen = tuple(paths)

    def init(params: Any) -> Any:
        return optimizer.init(params), other.init({p: params[p] for p in chosen})

    def update(params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, Any]:
        moved, first = optimizer.update(params, gradients, state[0], scale)
        some, second = other.update(
            {p: params[p] for p in chosen}, {p: gradients[p] for p in chosen}, state[1], scale
        )  # fmt: skip
        return {**moved, **some}, (first, second)

    return Optimizer(init, update, optimizer.rate and (lambda state: optimizer.rate(state[0])))  # type: ignore[misc]


def decaying(optimizer: Optimizer, decay: float) -> Optimizer:
    """The optimizer with an L2 penalty of the weights: `decay` times each parameter with two axes or more is added to
    its gradient.
    """

    def update(params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, Any]:
        more = {k: g + decay * params[k] if params[k].ndim > 1 else g for k, g in gradients.items()}
        return optimizer.update(params, more, state, scale)

    return Optimizer(optimizer.init, update, optimizer.rate)


# --- data ---------------------------------------------------------------------------------------------


def with_inputs(experiment: Any, change: Callable[[Any], Any]) -> Any:
    """An experiment whose (first) inputs are changed, in training and validation."""

    def of(arrays: tuple[Any, ...] | None) -> Any:
        return None if arrays is None else (change(arrays[0]), *arrays[1:])

    return experiment._replace(data=of(experiment.data), validation=of(experiment.validation))


def with_targets(experiment: Any, change: Callable[[Any], Any]) -> Any:
    """An experiment whose targets are changed, in training and validation."""

    def of(arrays: tuple[Any, ...] | None) -> Any:
        return None if arrays is None else (*arrays[:-1], change(arrays[-1]))

    return experiment._replace(data=of(experiment.data), validation=of(experiment.validation))


def plain(x: Any) -> np.ndarray[Any, Any]:
    """An array of numbers as NumPy has it."""
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)
