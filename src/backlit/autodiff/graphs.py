"""Derivatives of whole graphs, as graphs: what the derivative of a loop is made of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..base.dtypes import FLOAT
from ..graph.graph import Graph, ending
from ..graph.node import Node
from ..graph.opdef import SUPPLIED
from ..graph.tensor import edge, symbol
from ..ops.arithmetic import add
from .forward import push_forward
from .reverse import backpropagate


def transposed(graph: Graph) -> tuple[list[Node | None], list[Any]]:
    """For each output of `graph` a new node for its cotangent, and for each input the cotangent that follows.

    None stands for an output or input without a cotangent. The cotangents are computed from the
    inputs of `graph` and the new nodes.
    """
    given = [symbol(o.spec)._node if _moves(o) else None for o in graph.outputs]
    seeds: dict[Node, Any] = {}
    for o, g in zip(graph.outputs, given, strict=True):
        if g is not None:
            seeds[o] = add(seeds[o], edge(g)) if o in seeds else edge(g)
    found = backpropagate(seeds, graph.inputs, record=True, cut=True)
    return given, [ending(found.get(n)) for n in graph.inputs]


def pushed(graph: Graph, moving: Collection[int]) -> tuple[list[Node | None], list[Any]]:
    """For the inputs numbered in `moving` new nodes for their tangents, and for each output its tangent, or None."""
    given = [symbol(n.spec)._node if i in moving and _moves(n) else None for i, n in enumerate(graph.inputs)]
    seeds = {n: edge(t) for n, t in zip(graph.inputs, given, strict=True) if t is not None}
    found = push_forward(seeds, [o for o in graph.outputs if isinstance(o, Node)], record=True) if seeds else {}
    return given, [ending(found.get(o)) if isinstance(o, Node) else None for o in graph.outputs]


def _moves(x: Any) -> bool:
    return isinstance(x, Node) and x.op.results is None and x.dtype.char in FLOAT


SUPPLIED["transposed"] = transposed
SUPPLIED["pushed"] = pushed
