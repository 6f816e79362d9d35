"""When two kernels are the same function of other buffers: so that a network's equal layers are compiled once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ...graph.node import Node
from ..codegen.values import code_of
from .views import Buffer, View


class Likeness:
    """Gathers what a kernel's code depends on, with buffers and nodes known by number only.

    Args:
        buffers: the kernel's buffers, in the order of its pointers.
    """

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self._buffers = {b: i for i, b in enumerate(buffers)}
        self._nodes: dict[Node, int] = {}
        self.parts: list[Hashable] = [tuple(b.code for b in buffers)]

    def view(self, view: View) -> Hashable:
        """A view, its buffer by number."""
        return self._buffers[view.buffer], view.shape, view.strides, view.offset

    def number(self, node: Node) -> int:
        """A node's number: in the order in which nodes are met."""
        return self._nodes.setdefault(node, len(self._nodes))

    def add(
        self, nodes: Sequence[Node], reads: Mapping[Node, View], writes: Mapping[Node, Sequence[View]],
        shown: Mapping[Node, Node],
    ) -> None:  # fmt: skip
        """What is computed, from what, and where it goes."""
        for node, view in reads.items():
            self.parts.append((self.number(node), self.view(view)))
        for node in nodes:
            inputs = tuple(self._input(shown.get(x, x) if isinstance(x, Node) else x) for x in node.inputs or ())
            self.parts.append((self.number(node), node.op.name, code_of(node.dtype), repr(node.params), inputs))
        for node, views in writes.items():
            self.parts.append((self.number(node), tuple(map(self.view, views))))

    def _input(self, x: Any) -> Hashable:
        return self.number(x) if isinstance(x, Node) else (type(x).__name__, np.asarray(x).tobytes())

    def key(self, *more: Hashable) -> Hashable:
        """All of it; kernels with the same key have the same code."""
        return (*more, *self.parts)
