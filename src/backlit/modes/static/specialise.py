"""Specialising a static graph: what some fetches need, rebuilt on shapes that are known.

A static graph is a program over tensors of unknown size. For the shapes it is fed it is replayed on
edges of those shapes; calls and gradients are expanded on the way, by the same rules and the same
reverse engine as in eager mode. The result is a closed `graph.Graph`, which `compiler/plan.py` makes a plan of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...base.config import enable_grad
from ...base.errors import GraphError, ShapeError
from ...graph import graph as closed
from ...graph.bind import bind_symbolic
from ...graph.node import Node, mark
from ...graph.opdef import Spec
from ...graph.tensor import Tensor, edge, leaf_node, symbol, wrap
from ...ops.movement import copy
from ..ends import Constant, End, sorted_out
from .derivatives import GRADIENTS, pulled_back, targets_of
from .extending import PyFunc, overridden
from .variables import ASSIGN, CONSTANT, GROUP


class Special(NamedTuple):
    """A static graph specialised.

    Attributes:
        graph: from the inputs to what must be computed.
        ends: what each fetch is; None for one without a value.
        assigned: the variables that get new values.
        new: what each new value is.
    """

    graph: closed.Graph
    ends: tuple[End | None, ...]
    assigned: tuple[Node, ...]
    new: tuple[End, ...]


def specialise(fetches: Sequence[Node], inputs: Sequence[Node], shapes: Sequence[tuple[int, ...]]) -> Special:
    """What computes `fetches`, for `inputs` (placeholders and variables) of these shapes."""
    region = closed.Graph(inputs, fetches)
    images = [_image(n, s) for n, s in zip(inputs, shapes, strict=True)]
    visitor = _Visitor(region)
    with enable_grad():
        found = region.replay(images, visitor)
    sources = [t._node for t in images]
    wanted = [_ending(t) for t in (*found, *visitor.assigned.values(), *visitor.grouped)]
    computed, ends = sorted_out(wanted, sources)
    fetched = tuple(None if n.op is GROUP else end for n, end in zip(fetches, ends, strict=False))
    new = ends[len(fetches) : len(fetches) + len(visitor.assigned)]
    return Special(closed.Graph(sources, computed), fetched, tuple(visitor.assigned), tuple(new))


def _ending(t: Tensor) -> Node | Constant:
    return t.node if t.node is not None and t.value is None else Constant(t.value)


def _image(node: Node, shape: tuple[int, ...]) -> Tensor:
    """The edge of known shape in the place of a placeholder or variable."""
    image = symbol(Spec(shape, node.dtype), name=node.name)
    image._node.place = node.place
    return image


class _Visitor:
    """What replaying does with the kinds of nodes that only a static graph has."""

    def __init__(self, region: closed.Graph) -> None:
        self.region = region
        self.assigned: dict[Node, Tensor] = {}
        self.grouped: list[Tensor] = []
        self._targets = {x for n in region.nodes if n.op is GRADIENTS for x in targets_of(n)}

    def __call__(self, node: Node, args: list[Any]) -> Any:
        start = mark()
        result = self._result(node, args)
        if node not in self._targets:
            return result
        return _distinct(self.region.again(node, args) if result is None else result, start)

    def _result(self, node: Node, args: list[Any]) -> Any:
        """The image of a node that is not simply bound again; None for one that is."""
        op = node.op
        if op is CONSTANT:
            return wrap(args[0])
        if op is ASSIGN:
            return self._assign(node, args[0])
        if op is GROUP:
            self.grouped += [t for x, t in zip(node.parents, args, strict=True) if x.op is not ASSIGN]
            return wrap(None)
        if op is GRADIENTS:
            return pulled_back(node, args)
        rule = node.graph.rules.get(node)
        if rule is not None:
            return overridden(node, rule, args)
        if isinstance(op, PyFunc):
            return bind_symbolic(op, args, {})
        return None

    def _assign(self, node: Node, value: Any) -> Tensor:
        target = node.params["variable"]
        value = value if isinstance(value, Tensor) else wrap(value)
        if value.shape != target.shape:
            raise ShapeError(f"assign to {target.label}: expected shape {target.shape}, got {value.shape}.")
        if target in self.assigned:
            raise GraphError(
                f"{target.label} is assigned twice in one run, the second time by {node.label}; reads in a run see "
                "the values from before it, so one assignment would be lost. Fetch one after the other, in two runs."
            )
        self.assigned[target] = value
        return value


def _distinct(image: Tensor, start: int) -> Tensor:
    """An image with a node of its own, where derivatives are taken with respect to it.

    A folded constant has none, and a function that hands on its argument shares that one's node.
    """
    if image.node is None:
        return edge(leaf_node(image.value))
    return copy(image) if image.node.serial < start else image
