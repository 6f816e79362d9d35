"""Common subexpressions: what is computed twice from the same values is computed once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ...base.dtypes import FLOAT, WEAK
from ...graph.graph import Graph
from ...graph.node import Node
from ...ops.loops import COND, SCAN, WHILE
from ...ops.movement import reshape
from ...ops.reduce import all as all_
from ...ops.reduce import any as any_
from ...ops.reduce import max as max_
from ...ops.reduce import min as min_
from ...ops.reduce import prod
from ...ops.reduce import sum as sum_
from .rewrite import made, rewrite, within

#: Constants of no more bytes than this are compared by their bytes, larger ones by identity.
SMALL = 1024

#: Reductions whose results with and without the axes kept hold the same numbers.
_REDUCTIONS = frozenset({sum_, prod, max_, min_, any_, all_})
_CONTROL = frozenset({COND, SCAN, WHILE})


def cse(graph: Graph) -> Graph:
    """Of equal nodes the first stays. Random ops are functions of their keys, and no exception.

    The order of the inputs of a commutative op is no matter. Of one reduction with and without its axes kept, the
    second becomes a reshape of the first.
    """
    graph = within(graph, cse)
    seen: dict[Hashable, Node] = {}

    def rule(node: Node) -> Any:
        if node.op in _REDUCTIONS:
            key = (node.op, node.inputs[0], node.params["axis"]) if type(node.inputs[0]) is Node else None  # type: ignore[index]
            first = seen.setdefault(key, node) if key is not None else node
            if first is node or first.shape == node.shape:
                return first
            return made(node, reshape, first, shape=node.shape)
        return seen.setdefault(_key(node, None), node)

    return rewrite(graph, rule)


def _key(node: Node, numbers: Mapping[Node, int] | None) -> Hashable:
    """What two nodes that compute the same have in common; `numbers` stand for the nodes of a graph within."""
    op = node.op
    beside = node.dtype if op.family == "elementwise" else None
    inputs = [_input_key(x, beside, numbers) for x in node.inputs or ()]
    if "commutative" in op.traits and len(inputs) == 2:
        inputs.sort(key=hash)
    spec = node.like if op.results is not None else (node.shape, node.dtype)
    return (op, spec, *inputs, *[(k, _param_key(v)) for k, v in sorted(node.params.items())])


def _input_key(x: Any, beside: Any, numbers: Mapping[Node, int] | None) -> Hashable:
    if type(x) is Node:
        return x if numbers is None else numbers[x]
    if type(x) in WEAK:
        # 2 and 2.0 are the same beside floats; repr tells 0.0 from -0.0.
        whole = type(x) is int and abs(x) < 1 << 53 and beside is not None and beside.char in FLOAT
        return "number", repr(float(x) if whole else x)
    if isinstance(x, (np.ndarray, np.generic)):
        return (x.dtype, x.shape, x.tobytes()) if x.nbytes <= SMALL else ("array", id(x))
    return x


def _param_key(value: Any) -> Hashable:
    if type(value) is Graph:
        return _graph_key(value)
    if type(value) is float:
        return repr(value)
    try:
        hash(value)
    except TypeError:
        return "object", id(value)
    return value


def _graph_key(graph: Graph) -> Hashable:
    """Equal for graphs that compute the same by the same nodes."""
    numbers = {n: i for i, n in enumerate((*graph.inputs, *graph.nodes))}
    return (
        tuple(n.spec for n in graph.inputs),
        tuple(_key(n, numbers) for n in graph.nodes),
        tuple(_input_key(o, None, numbers) for o in graph.outputs),
    )
