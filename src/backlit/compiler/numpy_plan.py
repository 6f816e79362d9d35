"""`NumpyPlan`: a graph run by each op's own NumPy kernel. The plan where there is no LLVM, and the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..base.errors import ArgumentError
from ..graph.graph import Graph
from . import pipeline


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

    @property
    def passes(self) -> list[tuple[str, Graph]]:
        """The graph as it was traced, and as it would be after each pass of a native plan."""
        return pipeline.stages(self.graph)

    @property
    def llvm(self) -> str:
        """Nothing: a plan on NumPy has no native code."""
        raise self._not_native("LLVM IR")

    @property
    def asm(self) -> str:
        """Nothing: a plan on NumPy has no native code."""
        raise self._not_native("assembly")

    def report(self, values: Sequence[Any] | None = None) -> Any:
        """Nothing: a plan on NumPy has no kernels."""
        raise self._not_native("kernels to report on")

    def _not_native(self, what: str) -> ArgumentError:
        return ArgumentError(
            f"{self.name}: this plan runs on NumPy and has no {what}, because llvmlite is missing, BACKLIT_LLVM=0 or "
            "BACKLIT_NATIVE=0 is set, or settings(native=False) was in force when it was made."
        )

    def __repr__(self) -> str:
        return f"<plan of {self.name} on NumPy: {len(self.graph.nodes)} ops>"
