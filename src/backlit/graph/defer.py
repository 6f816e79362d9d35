"""Calls on tensors of a static graph, kept as one node each until the graph is fed and their shapes are known.

Rules, `prepare` functions and composite ops only ever see sizes that are numbers. In a static graph
(`modes/static`) sizes may be unknown, so whatever looks at a shape, and whatever is made of several ops,
is kept as a call: its function, and its arguments with a hole for each tensor. `expand` makes the call.
Tensors of the graph that the function reaches by closure become inputs of the node too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ..base.config import config, no_grad, recording, settings
from ..base.errors import GraphError
from ..base.trees import leaves, rebuild, tree_map
from .bind import PICK, bind, bind_composite, enter, graph_of
from .infer import infer_open, sizes_in
from .node import Node
from .opdef import OpDef, Rule, Spec
from .tensor import Tensor, as_value, edge, symbol, wrap


def is_static(x: Any) -> bool:
    """Is this a tensor of a static graph, whose value comes only when that is fed?"""
    return isinstance(x, Tensor) and x.value is None and x.node is not None and x.node.graph is not None


def any_static(args: Sequence[Any]) -> bool:
    """Is a tensor of a static graph among these arguments, or in a list or tuple of them?"""
    for x in args:
        kind = x.__class__
        if kind is list or kind is tuple:
            if any_static(x):
                return True
        elif isinstance(x, Tensor) and x.value is None and is_static(x):
            return True
    return False


def apply(op: OpDef, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call an op by its public signature: `bind` it, or keep the call where a shape may still be unknown."""
    made = op.composite is not None
    if (made or op.prepare is not None) and (any_static(args) or (kwargs and any_static(tuple(kwargs.values())))):
        return defer(op.name, op, args, kwargs)  # type: ignore[arg-type]
    if made:
        return bind_composite(op, args, kwargs)
    inputs, params = op.split(args, kwargs)
    return bind(op, inputs, params)


class Call(OpDef):
    """The op of a node that stands for a call still to be made."""

    __slots__ = ()

    def __init__(self, name: str, function: Rule, several: bool) -> None:
        traits = () if recording.get() else "stops"
        super().__init__(
            name, _unmade, composite=function, results=tuple if several else None, traits=traits, namespace="hidden"
        )


def _unmade(*values: Any, **params: Any) -> Any:
    raise GraphError("a call of a static graph is run by Session.run, which expands it first.")


class Hole:
    """The place of the i-th input in the arguments kept with a call."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"input{self.index}"


class Stage:
    """What stands in for the tensors of a static graph while one of its calls is made.

    Attributes:
        images: for nodes of the graph, the Tensors in their place.
        make: makes the image of a node not yet met; None where every one must be known.
    """

    def __init__(self, images: dict[Node, Any], make: Callable[[Node], Any] | None = None) -> None:
        self.images, self.make = images, make

    def image(self, x: Any) -> Any:
        """The Tensor in the place of `x`, if that is a tensor of the graph, else `x` itself."""
        if not is_static(x):
            return x
        node = x.node
        if node not in self.images:
            if self.make is None:
                raise GraphError(
                    f"{node.label} is used inside a function called in a static graph, at some shapes only; "
                    "give it to the function as an argument."
                )
            self.images[node] = self.make(node)
        return self.images[node]


@contextmanager
def on_stage(graph: Any, stage: Stage) -> Iterator[None]:
    """Inside, tensors of `graph` are taken for their images."""
    before, graph.stage = graph.stage, stage
    try:
        yield
    finally:
        graph.stage = before


def defer(name: str, function: Rule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A node for `function(*args, **kwargs)`, some of whose arguments are tensors of a static graph."""
    graph = graph_of(name, leaves((args, kwargs)))
    if graph.stage is not None:
        args, kwargs = tree_map(graph.stage.image, (args, kwargs))
        return function(*args, **kwargs)
    own: dict[Node, int] = {}
    held = tree_map(lambda leaf: _held(leaf, own), (args, kwargs))
    nodes = list(own)
    captured: dict[Node, None] = {}
    shape_of: list[Any] = []

    def attempt(specs: Sequence[Spec]) -> list[Spec]:
        images = {n: symbol(s) for n, s in zip(nodes, specs, strict=True)}
        usual = next((t.shape[0] for n, t in zip(nodes, specs, strict=True) if t.shape and None in n.shape), 7)

        def capture(node: Node) -> Tensor:
            captured[node] = None
            return symbol(Spec(tuple(usual if n is None else n for n in node.shape), node.dtype))

        with on_stage(graph, Stage(images, capture)):
            out = _made(function, held, [images[n] for n in nodes])
        if not shape_of:
            shape_of.append(out)
        return [Spec(t.shape, t.dtype) for t in leaves(out)]

    open_ = any(None in n.shape for n in nodes)
    given = [n.spec for n in nodes]
    specs = infer_open(given, attempt, sizes_in(held)) if open_ else attempt(given)
    tree = shape_of[0]
    several = not isinstance(tree, Tensor)
    op = Call(name, function, several)
    inputs = (*nodes, *captured)
    like: Any = tuple(specs) if several else specs[0]
    params = {"args": held, "captured": len(captured), "default_dtype": config.get().default_dtype}
    node = enter(graph, op, inputs, params, like)
    return rebuild(tree, iter(pick_all(graph, node))) if several else edge(node)


def pick_all(graph: Any, node: Node) -> list[Tensor]:
    """The outputs of a node of a static graph that has several."""
    return [edge(enter(graph, PICK, (node,), {"index": i}, s)) for i, s in enumerate(node.like)]


def _held(leaf: Any, own: dict[Node, int]) -> Any:
    """An argument as it is kept: a hole for a tensor of the graph, a copy of what the user might change."""
    if is_static(leaf):
        return Hole(own.setdefault(leaf.node, len(own)))
    if isinstance(leaf, Tensor) and leaf.value is not None:
        return wrap(leaf.value)
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _made(function: Rule, held: Any, tensors: Sequence[Any]) -> Any:
    """Make the call with `tensors` in the holes; its result with a Tensor for every leaf."""
    args, kwargs = tree_map(lambda leaf: tensors[leaf.index] if isinstance(leaf, Hole) else leaf, held)
    return tree_map(lambda x: x if isinstance(x, Tensor) else wrap(as_value(x)), function(*args, **kwargs))


def call_made(node: Node, tensors: Sequence[Any]) -> Any:
    """The result of the call that `node` stands for, on `tensors` in the place of its inputs."""
    inputs, function = node.inputs or (), node.op.composite
    if function is None:
        raise GraphError(f"{node.label} is no call.")
    own = len(inputs) - node.params["captured"]
    stage = Stage(dict(zip(inputs, tensors, strict=True)))
    known = settings(default_dtype=node.params["default_dtype"])
    with known, on_stage(node.graph, stage), no_grad() if node.op.stops else nullcontext():
        return _made(function, node.params["args"], tensors[:own])


def expand(node: Node, tensors: Sequence[Any]) -> Any:
    """Make the call that `node` stands for; a list where it has several outputs."""
    out = call_made(node, tensors)
    return leaves(out) if node.op.results is not None else out
