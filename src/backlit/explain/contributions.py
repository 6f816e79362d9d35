"""`Route`: all that lies between a leaf and the output, and how much of the gradient each edge carries.

Let G be the gradient of the leaf and t the tangents that a step in its direction, G/|G|², makes of all nodes. Then
<cotangent of a node, its tangent> is the part of <G, G/|G|²> = 1 that runs through the node, and the same with the
piece of the cotangent that comes by one edge is the share of that edge. Shares are conserved as a flow is, what enters
a node leaves it, because the rules are linear: they are exact, not estimates. One may be negative or more than 1 where
paths cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import sqrt
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..graph.bind import PICK
from ..graph.node import Node
from ..ops.creation import zeros_of
from .tape import Edge, Tape

#: Cotangents of nodes that are not passed on yet.
Pending = dict[Node, Any]


class Route:
    """The part of a Tape through which the output depends on one node.

    Attributes:
        tape: what is explained.
        start: the node that the gradient is by.
    """

    def __init__(self, tape: Tape, start: Any) -> None:
        node = tape.image(start)
        if node is None or node.op.results is not None:
            raise ArgumentError(f"explain: {start!r} is no part of what {tape.name(tape.output)} was computed from.")
        self.tape, self.start = tape, node

    @cached_property
    def entries(self) -> dict[Node, list[Edge]]:
        """The edges into each node that have a derivative and come from the start; no node without one is there."""
        found: dict[Node, list[Edge]] = {}
        for node in self.tape.nodes:
            if node is self.start:
                continue
            inputs = node.inputs or ()
            edges = [
                Edge(x, node, i)
                for i, x in enumerate(inputs)
                if isinstance(x, Node) and (x is self.start or x in found)
            ]
            if edges:
                pieces = self.tape.pieces(node, cotangent_of(self.tape, node), {e.slot for e in edges})
                edges = [e for e in edges if pieces[e.slot] is not None]
            if edges:
                found[node] = edges
        return found

    @cached_property
    def gradient(self) -> Any:
        """The derivative of the output by the start, an array of its shape."""
        return self.tape.cotangents.get(self.start, zeros_of(self.start.spec))

    @cached_property
    def norm(self) -> float:
        """The Euclidean norm of the gradient."""
        return sqrt(inner(self.gradient, self.gradient))

    @cached_property
    def tangents(self) -> dict[Node, Any]:
        """How each node changes for a step of length 1 along the gradient; empty where that is 0 or not finite."""
        if not 0 < self.norm < np.inf:
            return {}
        unit = (np.asarray(self.gradient) / self.norm).astype(self.start.dtype)[()]
        found = self.tape.tangents({self.start: unit})
        for node in self.tape.nodes:
            if node.op is PICK and node in found:
                several = node.inputs[0]  # type: ignore[index]
                parts = found.setdefault(several, [None] * len(several.like))
                parts[node.params["index"]] = found[node]
        return found

    def share(self, pending: Mapping[Node, Any]) -> float:
        """The part of the gradient that comes of these cotangents of nodes; NaN where the gradient has no parts."""
        if not self.tangents:
            return float("nan")
        return sum(inner(g, self.tangents[n]) for n, g in pending.items() if n in self.tangents) / self.norm

    @cached_property
    def shares(self) -> dict[Edge, float]:
        """The share of each edge on the way from the start to the output."""
        if not self.tangents:
            return {}
        found: dict[Edge, float] = {}
        for node, edges in self.entries.items():
            pieces = self.tape.pieces(node, cotangent_of(self.tape, node), {e.slot for e in edges})
            found |= {e: self.share({e.source: pieces[e.slot]}) for e in edges}
        return found

    def leave(self, pending: Mapping[Node, Any], stays: Callable[[Node], bool]) -> Pending:
        """Pass cotangents backwards until all are of nodes that do not `stay`, or of the start."""
        inside, outside = dict(pending), {}
        heap = [(-n.serial, n) for n in inside]
        heapify(heap)
        while heap:
            _, node = heappop(heap)
            edges = self.entries.get(node, ())
            pieces = self.tape.pieces(node, inside.pop(node), {e.slot for e in edges})
            for e in edges:
                x, piece = e.source, pieces[e.slot]
                where = inside if x is not self.start and stays(x) else outside
                if x in where:
                    where[x] = joined(where[x], piece)
                    continue
                where[x] = piece
                if where is inside:
                    heappush(heap, (-x.serial, x))
        return outside

    def merged(self, pending: Mapping[Node, Any]) -> Any:
        """What all these cotangents bring to the start, in one pass backwards."""
        there = pending.get(self.start)
        found = self.leave({n: g for n, g in pending.items() if n is not self.start}, lambda _: True)
        parts = [g for g in (there, found.get(self.start)) if g is not None]
        return joined(*parts) if len(parts) == 2 else parts[0] if parts else zeros_of(self.start.spec)


def shares(tape: Tape, start: Any) -> dict[Edge, float]:
    """How much of the gradient by `start` (a Tensor or node) comes by each edge of the Tape.

    What enters a node leaves it, and all that reaches the start adds up to 1. Edges off the way are not there; where
    the gradient is 0 or not finite there are no shares at all.

    >>> from backlit.explain.tape import tape_of
    >>> tape = tape_of(lambda x: x * x * x, 2.0)
    >>> [round(s, 3) for s in shares(tape, tape.leaves[0]).values()]
    [0.333, 0.333, 0.667, 0.333]
    """
    return Route(tape, start).shares


def inner(a: Any, b: Any) -> float:
    """The real inner product of two cotangents (or tuples of them); where either is 0 or None nothing is added."""
    if isinstance(a, (tuple, list)):
        return sum(inner(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None)
    a, b = np.asarray(a), np.asarray(b)
    with np.errstate(all="ignore"):
        products = a.conj().astype(np.result_type(a, np.float64)) * b
    return float(np.sum(products.real, where=(a != 0) & (b != 0)))


def joined(a: Any, b: Any) -> Any:
    """The sum of two cotangents of one node."""
    if isinstance(a, (tuple, list)):
        return tuple(y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True))
    return a + b


def cotangent_of(tape: Tape, node: Node) -> Any:
    """The cotangent of a node, of several outputs a tuple; zeros where nothing comes."""
    if node.op.results is None:
        return tape.cotangents.get(node, zeros_of(node.spec))
    parts: list[Any] = [None] * len(node.like)
    for e in tape.users[node]:
        i = e.target.params["index"]
        piece = tape.cotangents.get(e.target)
        parts[i] = piece if parts[i] is None else parts[i] if piece is None else parts[i] + piece
    return tuple(parts)
