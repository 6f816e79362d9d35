"""`Trace`: a function called once on edges without values, and what it returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..base.config import enable_grad
from ..base.errors import GradientError, GraphError
from ..base.trees import leaves_with_paths, rebuild
from ..graph.closure import reached_outside, spec_of
from ..graph.graph import Graph
from ..graph.node import Node, mark
from ..graph.tensor import LEAF, Tensor, symbol
from ..graph.walk import ancestors
from .ends import Constant, End, Fixed, sorted_out
from .signature import Call, Parameters


class Trace(NamedTuple):
    """A traced function.

    Attributes:
        graph: from the inputs (leaves of the arguments, then what is captured) to what is computed.
        captured: the Tensors with `requires_grad` that the function closes over; read anew in each call.
        ends: for each leaf of the result what it is.
        paths: for each output of the graph the path of the first leaf that it is.
        result: the structure of the result, its leaves numbered.
    """

    graph: Graph
    captured: tuple[Tensor, ...]
    ends: tuple[End, ...]
    paths: tuple[str, ...]
    result: Any

    @property
    def current(self) -> bool:
        """Do the captured Tensors still have the shapes and dtypes they were traced with?"""
        nodes = self.graph.inputs[len(self.graph.inputs) - len(self.captured) :]
        return all(spec_of(t) == n.spec for t, n in zip(self.captured, nodes, strict=True))


def trace(function: Callable[..., Any], call: Call, parameters: Parameters, where: str) -> Trace | None:
    """Trace a function for the signature of `call`.

    None where it depends, other than by its arguments, on a value that is itself still to come: then
    an outer function is being traced, and this one is part of it.
    """
    start = mark()
    edges = [symbol(leaf.spec, leaf.path) for leaf in call.leaves]
    inputs = [t._node for t in edges]
    args, kwargs = call.arguments(iter(edges), parameters.static, parameters.name)
    with enable_grad():
        tree = function(*args, **kwargs)
    for leaf, edge, node in zip(call.leaves, edges, inputs, strict=True):
        if edge.node is not node:
            raise GraphError(
                f"{where}: it changes its argument {leaf.path} in place (with x[...] = y or x += y), which a compiled "
                "function cannot do to the caller's tensor. Work on a copy, x = x.clone(), and return it."
            )
    found = [(path, _ending(x)) for path, x in leaves_with_paths(tree)]
    nodes = {x: None for _, x in found if isinstance(x, Node)}
    outside = reached_outside(nodes, set(inputs), start)
    captured = [_captured(n, where) for n in outside if not _to_come(n)]
    if len(captured) < len(outside):
        return None
    computed, ends = sorted_out([x for _, x in found], [*inputs, *outside])
    first: dict[Node, str] = {}
    for path, x in found:
        if isinstance(x, Node):
            first.setdefault(x, path)
    graph = Graph([*inputs, *outside], computed)
    numbered = rebuild(tree, iter(range(len(ends))))
    return Trace(graph, tuple(captured), tuple(ends), tuple(first[n] for n in computed), numbered)


def _ending(x: Any) -> Node | Constant | Fixed:
    """A leaf of the result: its node where it must be computed, else what it is."""
    if isinstance(x, Tensor):
        return Constant(x.value) if x.node is None else x.node
    return Constant(x) if isinstance(x, (np.ndarray, np.generic)) else Fixed(x)


def _to_come(node: Node) -> bool:
    """Does this node wait for the value of an outer function's argument, or of a placeholder?"""
    return node.graph is not None or any(n.op is LEAF and n.value is None for n in ancestors([node]))


def _captured(node: Node, where: str) -> Tensor:
    owner = node.owner() if node.owner is not None else None
    if owner is None:
        raise GradientError(
            f"{where}: it closes over a tensor that was computed with gradients recorded ({node.label}). Whether that "
            "is to be computed anew in each call cannot be known: give it as an argument, or close over its "
            "value alone, t.detach()."
        )
    return owner
