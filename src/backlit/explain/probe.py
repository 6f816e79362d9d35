"""`Probe`: the figures of a network and its gradients for one batch, as a pure function that also runs natively."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.reverse import backpropagate, seed_for
from ..base.config import enable_grad, settings
from ..base.dtypes import FLOAT
from ..base.trees import leaves
from ..graph.node import Node
from ..graph.tensor import Tensor, edge, leaf_node, wrap
from ..graph.walk import ancestors
from ..nn import Layer
from ..nn.passes import Called
from ..ops.activation import abs_
from ..ops.arithmetic import sqrt, square
from ..ops.comparison import equal, less, maximum
from ..ops.creation import ones_like, zeros_like
from ..ops.movement import astype, reshape
from ..ops.reduce import all as all_
from ..ops.reduce import argmax, mean, std
from ..ops.reduce import max as max_
from .findings import LayerFigures, ParameterFigures, Snapshot

#: The activations whose slope is looked at, and the greatest slope of each.
SLOPES = {
    "relu": 1.0, "relu6": 1.0, "leaky_relu": 1.0, "elu": 1.0, "celu": 1.0, "selu": 1.7581, "gelu": 1.129,
    "silu": 1.0998, "mish": 1.0885, "softplus": 1.0, "sigmoid": 0.25, "tanh": 1.0, "softsign": 1.0, "hard_tanh": 1.0,
    "hard_sigmoid": 1 / 6, "hard_swish": 1.5,
}  # fmt: skip
#: Of these a unit can give 0 for every sample, and its gradient is 0 with it.
RECTIFIERS = ("relu", "relu6")
#: The share of the greatest slope below which an element counts as saturated.
FLAT = 0.05
#: Backwards over so many ops it is looked for what made an array: a convolution's units are on axis 1.
NEAR = 8


class Probe:
    """`probe(values, batch, key)`: a tree of figures, each an array of shape ().

    Args:
        model: the network.
        objective: `objective(outputs, batch) -> (loss, outputs)` from what the model returned.
        inputs: which inputs the model gets of a batch.

    It can be compiled, and called within what is compiled. `snapshot` turns what it returned into figures. Figures of
    activations within a loop (the cell of a recurrent network) are there only when it runs eagerly.
    """

    def __init__(
        self, model: Layer, objective: Callable[[Any, Any], Any], inputs: Callable[[Any], Sequence[Any]]
    ) -> None:
        self.model, self.objective, self.inputs = model, objective, inputs
        self.kinds: dict[str, str] = {}
        self.activations: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def __call__(
        self, values: Mapping[str, Any], batch: Any, key: Any, advance: Callable[[dict[str, Any]], Any] | None = None
    ) -> dict[str, Any]:
        """Args: values of parameters and buffers by path, a batch, the key of dropout; and `advance`, which makes new
        parameters of gradients, where it is to be known how far a step goes.
        """
        trained = [path for path, p in self.model.parameters().items() if p.dtype.char in FLOAT]
        entered = {path: _entered(values[path], path) for path in trained}
        with enable_grad(), settings(keep_values=True):
            out, _ = self.model.apply({**values, **entered}, *self.inputs(batch), training=True, key=key)
            loss = self.objective(out, batch)
        found: dict[str, Any] = {"loss": loss, "layers": {}, "parameters": {}, "classes": _classes(out)}
        used = set(ancestors([loss.node])) if loss.node is not None else set()
        places = dict(_layer_outputs(used))
        nodes = {p._node for p in entered.values()}
        record = loss.value is None
        wanted = nodes | {node for node, _ in places.values()}
        seed = seed_for(loss, None, "probe")
        cotangents = backpropagate({loss.node: seed}, wanted, record=record) if loss.node is not None else {}
        for path, (node, layer) in places.items():
            self.kinds[path] = type(layer).__name__
            found["layers"][path] = _of_layer(node, cotangents.get(node))
        for path, acts in _activations(used).items():
            self.activations[path] = acts[-1].op.name
            self.kinds.setdefault(path, "")
            found["layers"].setdefault(path, {}).update(_of_activations(acts))
        gradients = {path: cotangents.get(p._node) for path, p in entered.items()}
        after = {}
        if advance is not None:
            known = {path: zeros_like(p) if gradients[path] is None else gradients[path] for path, p in entered.items()}
            after = advance({path: _tensor(g) for path, g in known.items()})
        for path, p in entered.items():
            self.shapes[path] = tuple(p.shape)
            g = gradients[path]
            found["parameters"][path] = {
                "rms": rms(p),
                "spread": std(p),
                "used": np.bool_(p._node in used),
                **({} if g is None else {"gradient": rms(g)}),
                **({} if path not in after else {"change": rms(after[path] - p) / rms(p)}),
            }
        return found

    def snapshot(self, found: Mapping[str, Any], step: int = 0) -> Snapshot:
        """The figures, as plain numbers, of what a call returned."""
        number = lambda x: float(np.asarray(x.numpy() if isinstance(x, Tensor) else x))
        slope = lambda p: np.nan if "gradient" not in p else np.inf if np.isnan(g := number(p["gradient"])) else g
        layers = {
            path: LayerFigures(
                self.kinds[path],
                **{name: number(stats[name]) for name in ("rms", "largest", "spread", "cotangent")},
                activation=self.activations.get(path, ""),
                **{name: number(stats[name]) for name in ("dead", "slope", "saturated") if name in stats},
            )
            for path, stats in found["layers"].items()
            if "rms" in stats
        }
        parameters = {
            path: ParameterFigures(
                self.shapes[path], number(p["rms"]), number(p["spread"]), slope(p),
                bool(number(p["used"])), number(p.get("change", np.nan)),
            )
            for path, p in found["parameters"].items()
        }  # fmt: skip
        classes = found["classes"]
        shares = tuple(np.asarray(leaves(classes)[0].numpy(), np.float64).tolist()) if leaves(classes) else ()
        return Snapshot(step, number(found["loss"]), layers, parameters, shares)


def rms(x: Any) -> Any:
    """Root of the mean square, of numbers so small that their squares would be 0 as well."""
    x = astype(x, np.dtype(np.float32)) if x.dtype == np.float16 else x
    size = maximum(max_(abs_(x)), np.finfo(x.dtype).tiny)
    return size * sqrt(mean(square(x / size)))


def _entered(x: Any, path: str) -> Any:
    """A parameter with a node of its own."""
    x = x if isinstance(x, Tensor) else Tensor(np.asarray(x))
    return x if x.node is not None else edge(leaf_node(x.value, name=path))


def _classes(out: Any) -> Any:
    """Which share of samples has its greatest score in each place."""
    first = next(iter(leaves(out)))
    if first.ndim < 2 or not 1 < first.shape[-1] <= 1000 or first.dtype.char not in FLOAT:
        return ()
    rows = reshape(Tensor(first.value) if first.value is not None else first, (-1, first.shape[-1]))
    said = reshape(argmax(rows, axis=-1), (-1, 1))
    return mean(astype(equal(said, Tensor(np.arange(first.shape[-1]))), np.dtype(np.float32)), axis=0)


def _calls(nodes: set[Node]) -> list[Called]:
    found: dict[int, Called] = {}
    for node in nodes:
        for note in getattr(node, "notes", ()):
            if isinstance(note, Called):
                found.setdefault(id(note), note)
    return sorted(found.values(), key=lambda c: c.start)


def _layer_outputs(nodes: set[Node]) -> Iterator[tuple[str, tuple[Node, Layer]]]:
    """Of each layer the newest node that it made and that the loss depends on, in the order of the calls."""
    order = sorted((n for n in nodes if n.op.results is None and n.dtype.char in FLOAT), key=lambda n: n.serial)
    for call in _calls(nodes):
        own = [n for n in order if call.start < n.serial < call.stop]
        if own:
            yield call.path, (own[-1], call.layer)


def _activations(nodes: set[Node]) -> dict[str, list[Node]]:
    """The activations by the path of the layer that made them; by that of the layer before, if it was none within."""
    calls = _calls(nodes)
    found: dict[str, list[Node]] = {}
    for node in sorted(nodes, key=lambda n: n.serial):
        if node.op.name in SLOPES:
            start = max((c.start for c in calls if c.start < node.serial < c.stop), default=-1)
            made = [c for c in calls if c.start <= node.serial and c.start >= start]
            ended = [c for c in made if c.stop <= node.serial]
            owner = max(ended, key=lambda c: c.stop) if ended else max(made, key=lambda c: c.start, default=None)
            found.setdefault(owner.path if owner else "", []).append(node)
    return found


def _of_layer(node: Node, cotangent: Any) -> dict[str, Any]:
    x = wrap(node.value, None) if node.value is not None else edge(node)
    size = rms(x)
    several = x.ndim > 1 and x.shape[0] > 1
    spread = mean(std(x, axis=0)) / maximum(size, np.finfo(x.dtype).tiny) if several else np.float32(np.nan)
    back = np.float32(0.0) if cotangent is None else rms(_tensor(cotangent))
    return {"rms": size, "largest": max_(abs_(x)), "spread": spread, "cotangent": back}


def _of_activations(nodes: Sequence[Node]) -> dict[str, Any]:
    """The means over the activations of a layer (of a recurrent one: over its steps)."""
    slopes: list[Any] = []
    flat: list[Any] = []
    dead: list[Any] = []
    for node in nodes:
        known = [edge(n) if n.value is None else wrap(n.value, None) for n in (node, node.inputs[0])]  # type: ignore[index]
        partial = node.op.partials[0]  # type: ignore[index]
        slope = (
            abs_(astype(_tensor(partial(*known, **node.params)), node.dtype))
            if callable(partial)
            else ones_like(known[0])
        )
        slopes.append(mean(slope))
        flat.append(mean(astype(less(slope, FLAT * SLOPES[node.op.name]), np.dtype(np.float32))))
        if node.op.name in RECTIFIERS and known[0].ndim > 1:
            axis = 1 if _convolved(node) else known[0].ndim - 1
            others = tuple(i for i in range(known[0].ndim) if i != axis)
            dead.append(mean(astype(all_(equal(known[0], 0), axis=others), np.dtype(np.float32))))
    found = {"slope": _mean(slopes), "saturated": _mean(flat)}
    return {**found, "dead": _mean(dead)} if dead else found


def _mean(parts: Sequence[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total / len(parts)


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(np.asarray(x))


def _convolved(node: Node) -> bool:
    """Was it made of a convolution, nearby, rather than of a matrix product?"""
    for _ in range(NEAR):
        if node.op.name.startswith("convolve"):
            return True
        before = [x for x in node.inputs or () if isinstance(x, Node)]
        if node.op.name == "matmul" or not before:
            return False
        node = max(before, key=lambda n: (len(n.shape) if n.op.results is None else 0, n.serial))
    return False
