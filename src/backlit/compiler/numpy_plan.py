"""`NumpyPlan`: a graph run by each op's own NumPy kernel. The plan where there is no LLVM, and the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.graph import Graph


class NumpyPlan:
    """The function from the values of a graph's inputs to those of its outputs, on NumPy.

    Attributes:
        graph: the graph that it runs.
        name: the name of the function that the graph was traced from.
    """

    __slots__ = ("graph", "name")

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs, in order; several threads may call at once."""
        return list(self.graph(*values))

    @property
    def source(self) -> str:
        """The Python program that a call runs: one line for each op, in order."""
        return self.graph.source

    def __repr__(self) -> str:
        return f"<plan of {self.name} on NumPy: {len(self.graph.nodes)} ops>"
