"""`rewritten`: a graph with some nodes replaced; what does not depend on a replaced node is kept as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..base.config import recording
from .bind import PICK
from .graph import Graph, credit, ending
from .node import Node, mark

#: Called with a node and the images of its inputs (nodes, or values); what it returns takes the node's place: a
#: Tensor, a node or a value, or a tuple of these for a node of several outputs. None keeps the node.
Visit = Callable[[Node, tuple[Any, ...]], Any]


def rewritten(graph: Graph, visit: Visit | None = None, images: Mapping[Node, Any] | None = None) -> Graph:
    """The same function as `graph`, made of other nodes.

    Args:
        visit: says what takes the place of a node.
        images: what takes the place of some nodes from the start. The image of an input is an input of the result.

    A node whose inputs have changed is made again, with its name, line and origin. Nothing is inferred or computed:
    a replacement must have the shape and dtype of what it replaces. Ops that `visit` calls on Tensors
    record new nodes, which get the line and the origin of the node that they replace.
    """
    made: dict[Node, Any] = {n: n for n in graph.inputs}
    made.update(images or {})
    several: dict[Node, tuple[Any, ...]] = {}
    changed = bool(images)
    for node in graph.nodes:
        if node in made or node in several:
            continue
        if node.op is PICK and (parts := several.get(node.inputs[0])) is not None:  # type: ignore[index]
            made[node] = parts[node.params["index"]]
            continue
        args = tuple(made[x] if isinstance(x, Node) else x for x in node.inputs or ())
        new = None if visit is None else _visited(visit, node, args)
        changed = changed or new is not None
        if new is None:
            made[node] = node if _same(args, node.inputs or ()) else again(node, args)
        elif isinstance(new, tuple):
            several[node] = tuple(map(ending, new))
        else:
            made[node] = ending(new)
    if not changed:
        return graph
    outputs = [made[o] if isinstance(o, Node) else o for o in graph.outputs]
    return Graph([made[n] for n in graph.inputs], outputs)


def again(node: Node, inputs: tuple[Any, ...], **params: Any) -> Node:
    """The node once more, on other inputs, and with these of its parameters changed."""
    new = Node(node.op, inputs, {**node.params, **params}, None, node.like, node.place, node.origin)
    new.name = node.name
    return new


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def _visited(visit: Visit, node: Node, args: tuple[Any, ...]) -> Any:
    start = mark()
    token = recording.set(node.origin or True)
    try:
        new = visit(node, args)
    finally:
        recording.reset(token)
    if new is not None:
        credit(new, node, start)
    return new
