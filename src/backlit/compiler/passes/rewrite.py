"""How a pass rewrites a graph: node by node in order.

`Graph.replay` applies every op anew, which costs 20 us a node; here a node keeps the shape and dtype it had. From the
first one that changes on all are made anew, since nodes stand in the order in which they were made, and the order
of the user's program is a good one to run them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...base.dtypes import WEAK
from ...base.shapes import size_of
from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.opdef import OPS, OpDef, Spec
from ...graph.tensor import LEAF
from ...ops.loops import COND, SCAN, WHILE

Pass = Callable[[Graph], Graph]
#: From a node whose inputs have been replaced already to what takes its place: a node, a constant, a tuple of these
#: where it has several outputs; None leaves it.
Rule = Callable[[Node], Any]

#: The parameters of control ops that are graphs, by op.
BODIES: dict[OpDef, tuple[str, ...]] = {COND: ("true", "false"), SCAN: ("body",), WHILE: ("test", "body")}


def rewrite(
    graph: Graph, rule: Rule, *, inputs: Sequence[Node] | None = None, given: Mapping[Node, Any] | None = None
) -> Graph:
    """The graph with every node replaced by what `rule` makes of it, after its inputs have been replaced.

    Args:
        inputs: the inputs of the new graph, where they are to be others.
        given: what some nodes are replaced by from the start.
    """
    made: dict[Node, Any] = dict(given or ())
    for node in graph.nodes:
        if node in made:
            continue
        if node.op is LEAF and node.value is not None:
            made[node] = node.value
            continue
        new = tuple([made.get(x, x) if type(x) is Node else x for x in node.inputs or ()])
        if node.op is PICK and type(new[0]) is tuple:
            made[node] = new[0][node.params["index"]]
            continue
        current = renewed(node, new) if made else node
        found = rule(current)
        if found is None:
            found = current
        if found is not node:
            made[node] = found
    if not made and inputs is None:
        return graph
    outputs = [made.get(o, o) if type(o) is Node else o for o in graph.outputs]
    return Graph(graph.inputs if inputs is None else inputs, outputs)


def renewed(
    node: Node,
    inputs: Iterable[Any] | None = None,
    *,
    op: OpDef | None = None,
    params: dict[str, Any] | None = None,
    like: Any = None,
) -> Node:
    """A node like this one with some of its parts replaced, and its provenance: name, line and origin."""
    new = Node(
        node.op if op is None else op,
        node.inputs if inputs is None else tuple(inputs),
        node.params if params is None else params,
        None,
        node.like if like is None else like,
        node.place,
        node.origin,
    )
    new.name = node.name
    return new


def made(at: Node, op: OpDef | str, *inputs: Any, **params: Any) -> Node:
    """A node for `op` in the place of `at`, whose provenance it takes; shape and dtype follow from the op's rule."""
    record = OPS[op] if type(op) is str else op
    like = record.infer(*[x.spec if type(x) is Node else x for x in inputs], **params)  # type: ignore[union-attr, misc]
    return renewed(at, inputs, op=record, params=params, like=like)  # type: ignore[arg-type]


def is_constant(x: Any) -> bool:
    """Is this input of a node a value, not another node?"""
    return type(x) is not Node


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an input of a node; that of a Python number is ()."""
    return x.shape if hasattr(x, "shape") else ()


def scalar(x: Any) -> Any:
    """A constant input of one element as a Python number, else None."""
    if type(x) in WEAK:
        return x
    if isinstance(x, (np.ndarray, np.generic)) and x.size == 1:
        return x.item()
    return None


def size(x: Any) -> int:
    """The number of elements of an input of a node."""
    return size_of(shape_of(x))


def specs(node: Node) -> tuple[Spec, ...]:
    """The shapes and dtypes of the outputs of a node."""
    return tuple(node.like) if node.op.results is not None else (node.spec,)


def picks(graph: Graph) -> dict[Node, dict[int, Node]]:
    """For each node of several outputs, those that are used, with the node that picks each."""
    found: dict[Node, dict[int, Node]] = {}
    for node in graph.nodes:
        if node.op is PICK and type(source := node.inputs[0]) is Node:  # type: ignore[index]
            found.setdefault(source, {})[node.params["index"]] = node
    return found


def picked(at: Node, source: Node, index: int) -> Node:
    """The node for one output of `source`."""
    return renewed(at, (source,), op=PICK, params={"index": index}, like=source.like[index])


def within(graph: Graph, change: Pass) -> Graph:
    """The graph with `change` applied to the graphs that its loops and branches hold."""
    known: dict[Graph, Graph] = {}

    def rule(node: Node) -> Node | None:
        names = BODIES.get(node.op)
        if names is None:
            return None
        params = dict(node.params)
        for name in names:
            body = node.params[name]
            if body not in known:
                known[body] = change(body)
            params[name] = known[body]
        return None if params == node.params else renewed(node, params=params)

    return rewrite(graph, rule) if any(n.op in BODIES for n in graph.nodes) else graph


def inlined(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of `graph` on other inputs, its nodes made anew."""
    images: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        if node.op is LEAF:
            images[node] = node.value
        else:
            images[node] = renewed(node, [images[x] if type(x) is Node else x for x in node.inputs or ()])
    return [images[o] if type(o) is Node else o for o in graph.outputs]
