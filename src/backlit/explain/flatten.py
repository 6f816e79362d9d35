"""`flattened`: the graph behind a value once more, every value kept, loops and compiled calls taken apart.

What is explained is this graph: it has one node for each op that was computed, whatever mode computed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.checkpoint import AGAIN, TRACED
from ..base.config import enable_grad, settings
from ..base.dtypes import FLOAT
from ..base.errors import GradientError
from ..graph.bind import without_derivative
from ..graph.graph import Graph
from ..graph.node import Node, Turn, mark
from ..graph.tensor import LEAF, Tensor, edge, wrap
from ..graph.walk import ancestors
from ..ops.joining import stack
from ..ops.loops import COND, SCAN, WHILE


class Flat(NamedTuple):
    """A flattened graph.

    Attributes:
        outputs: the images of the outputs.
        images: for each node of the graph that was given, its image.
        sources: for each new node, the node that it was made for: itself in the graph given, or in the body of a loop
            or of a compiled function.
        turns: the turns of loops.
    """

    outputs: tuple[Tensor, ...]
    images: dict[Node, Tensor]
    sources: dict[Node, Node]
    turns: tuple[Turn, ...]


def flattened(
    outputs: Sequence[Tensor], graph: Graph | None = None, values: Sequence[Any] = (), whole: bool = False
) -> Flat:
    """Compute `outputs` again from their leaves, which stay the nodes that they are.

    Args:
        graph: instead of the graph behind `outputs`, this one, on `values` for its inputs.
        whole: keep what has no derivative too, such as comparisons and what `stop_gradient` returns, as nodes at which
            derivatives end; else it stands in the graph as a constant.

    Raises:
        GradientError: part of the graph was let go by an earlier `backward()`.
    """
    if graph is None:
        order = ancestors([y.node for y in outputs if y.node is not None])
        for node in order:
            if node.inputs is None:
                raise GradientError(
                    f"the graph behind {node.label} was let go by an earlier backward(); explain before it, or call "
                    "backward(retain_graph=True)."
                )
        leaves = [n for n in order if n.op is LEAF]
        graph = Graph(leaves, [y.node if y.node is not None else y.value for y in outputs])
        values = [edge(n) for n in leaves]
    visitor = _Flattening(whole)
    with settings(keep_values=True), enable_grad(), np.errstate(all="ignore"):
        found = graph.replay(values, visitor)
    images = visitor.images | dict(zip(graph.inputs, values, strict=True))
    outs = tuple(t if isinstance(t, Tensor) else wrap(t) for t in found)
    return Flat(outs, images, visitor.sources, tuple(visitor.turns))


class _Flattening:
    """What replaying does with each node."""

    def __init__(self, whole: bool) -> None:
        self.whole = whole
        self.images: dict[Node, Any] = {}
        self.sources: dict[Node, Node] = {}
        self.turns: list[Turn] = []

    def __call__(self, node: Node, args: list[Any]) -> Any:
        start = mark()
        result = self._result(node, args)
        if result is None:
            result = GRAPH.again(node, args)
            if self.whole:
                result = _standing(node, args, result)
        for made in _made(result, start):
            self.sources.setdefault(made, node)
        self.images[node] = result
        return result

    def _result(self, node: Node, args: list[Any]) -> Any:
        op, params = node.op, node.params
        if op is TRACED or op.family == "compiled":
            return tuple(params["body"].replay(args, self))
        if op is AGAIN:
            segment = params["segment"]
            return tuple(segment.application.run(segment.f, args[: len(segment.tracked)]))
        if op is COND:
            (decision,) = _values(args[:1])
            return tuple(params["true" if decision else "false"].replay(args[1:], self))
        if op is SCAN:
            return self._scan(node, args, **params)
        if op is WHILE:
            return self._while(node, args, **params)
        return None

    def _scan(
        self, node: Node, args: list[Any], *, body: Graph, constants: int, carries: int, length: int, reverse: bool
    ) -> tuple[Any, ...]:
        fixed, carry = args[:constants], args[constants : constants + carries]
        rows: list[list[Any]] = []
        for i in range(length - 1, -1, -1) if reverse else range(length):
            with self._turn(node, i):
                out = body.replay([*fixed, *carry, *(x[i] for x in args[constants + carries :])], self)
            carry = out[:carries]
            rows.append(out[carries:])
        if reverse:
            rows.reverse()
        return (*carry, *(stack(column) for column in zip(*rows, strict=True)))

    def _while(
        self, node: Node, args: list[Any], *, test: Graph, body: Graph, constants: tuple[int, int]
    ) -> tuple[Any, ...]:
        first, last = constants[0], sum(constants)
        carry, i = args[last:], 0
        while test(*_values(args[:first]), *_values(carry))[0]:
            with self._turn(node, i):
                carry = body.replay([*args[first:last], *carry], self)
            i += 1
        return tuple(carry)

    @contextmanager
    def _turn(self, node: Node, index: int) -> Iterator[None]:
        start = mark()
        yield
        self.turns.append(Turn(node.label, index, start, mark()))


def _standing(node: Node, args: list[Any], result: Any) -> Any:
    """What was computed without leaving a node, with one: derivatives end there."""
    if not isinstance(result, Tensor) or result.node is not None or node.op.results is not None:
        return result
    if result.dtype.char not in FLOAT and not any(isinstance(x, Tensor) and x.node is not None for x in args):
        return result
    inputs = tuple((x.value if x.node is None else x.node) if isinstance(x, Tensor) else x for x in args)
    return edge(Node(without_derivative(node.op), inputs, node.params, result.value, result.value, node.place))


#: `Graph.again` needs nothing of the graph it is asked of.
GRAPH = Graph((), ())


def _values(tensors: Sequence[Any]) -> list[Any]:
    return [t.value if isinstance(t, Tensor) else t for t in tensors]


def _made(result: Any, start: int) -> list[Node]:
    """The nodes made since `start` that a result was computed with."""
    parts = result if isinstance(result, (list, tuple)) else (result,)
    nodes = [t.node for t in parts if isinstance(t, Tensor) and t.node is not None and t.node.serial > start]
    return ancestors(nodes, since=start)
