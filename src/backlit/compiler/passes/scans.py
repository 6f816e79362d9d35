"""`Scan`: a scan node taken apart, so that a pass can change its parts and put it together again."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.opdef import Spec
from ...graph.walk import ancestors
from ...ops.loops import SCAN, spec_of
from .rewrite import picked, renewed


class Carry(NamedTuple):
    """What a loop carries on: its input in the body, the value it starts with, and what the body makes of it."""

    inner: Node
    start: Any
    end: Any


class Scan:
    """A scan node as pairs of what stands in its body and what stands outside.

    Attributes:
        at: the node itself, for provenance.
        constants: inputs of the body that are the same in each step, with their values outside.
        carries: what is carried from step to step.
        arrays: inputs of the body that are slices, with the arrays outside.
        stacked: what the body gives out in each step.
        length, reverse: the number of steps; do they go from the last slice to the first?
    """

    __slots__ = ("arrays", "at", "carries", "constants", "length", "reverse", "stacked")

    def __init__(self, node: Node) -> None:
        params, outer = node.params, node.inputs or ()
        body: Graph = params["body"]
        first = params["constants"]
        last = first + params["carries"]
        self.at, self.length, self.reverse = node, params["length"], params["reverse"]
        self.constants: dict[Node, Any] = dict(zip(body.inputs[:first], outer[:first], strict=True))
        self.carries = list(map(Carry, body.inputs[first:last], outer[first:last], body.outputs))
        self.arrays: dict[Node, Any] = dict(zip(body.inputs[last:], outer[last:], strict=True))
        self.stacked: list[Any] = list(body.outputs[len(self.carries) :])

    @property
    def outputs(self) -> list[Any]:
        """What the body computes: the ends of the carries, then what is stacked."""
        return [*(c.end for c in self.carries), *self.stacked]

    @property
    def body(self) -> Graph:
        """The body, without inputs that it does not read."""
        outputs = self.outputs
        read = set(ancestors([o for o in outputs if isinstance(o, Node)]))
        fixed, slices = ([n for n in part if n in read] for part in (self.constants, self.arrays))
        return Graph([*fixed, *(c.inner for c in self.carries), *slices], outputs)

    def made(self) -> Node:
        """The node for these parts, in the place of the one taken apart."""
        body = self.body
        last = len(body.inputs) - sum(n in self.arrays for n in body.inputs)
        first = last - len(self.carries)
        outer = [
            *(self.constants[n] for n in body.inputs[:first]),
            *(c.start for c in self.carries),
            *(self.arrays[n] for n in body.inputs[last:]),
        ]
        stacked = [spec_of(o) for o in self.stacked]
        like = (*(c.inner.spec for c in self.carries), *(Spec((self.length, *s.shape), s.dtype) for s in stacked))
        params = {
            "body": body, "constants": first, "carries": last - first, "length": self.length, "reverse": self.reverse,
        }  # fmt: skip
        return renewed(self.at, outer, op=SCAN, params=params, like=like)

    def results(self) -> tuple[Node, ...]:
        """The node put together, as what takes the place of its outputs one by one."""
        node = self.made()
        return tuple(picked(self.at, node, i) for i in range(len(node.like)))
