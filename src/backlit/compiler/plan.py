"""`build`: from a closed graph to the plan that runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..base.config import config
from ..graph.graph import Graph
from ..runtime.host import Host, host
from ..runtime.pool import default_threads
from .numpy_plan import NumpyPlan


class Plan(Protocol):
    """A graph ready to run: called with the values of its inputs in order, it gives those of its outputs."""

    @property
    def graph(self) -> Graph:
        """The graph that the plan runs."""
        ...

    @property
    def source(self) -> str:
        """The plan as a program to read."""
        ...

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs."""
        ...


def build(graph: Graph, *, threads: int | None = None, donated: Mapping[int, int], name: str) -> Plan:
    """The plan of a closed graph.

    Args:
        graph: its inputs take values, its outputs are what is computed.
        threads: how many threads a call may use; None for all cores of the host.
        donated: output index -> index of the input whose memory that output may take.
        name: the name of the function, for messages and listings.

    It is machine code, unless there is no LLVM, the settings say otherwise, or the processor lacks a dtype.
    """
    machine = host() if config.get().native else None
    if machine is None or not _knows(machine, graph):
        return NumpyPlan(graph, name)
    from . import image

    count = default_threads() if threads is None else threads
    key = image.key_of(graph, machine, count, donated)
    found = image.find(key) if key is not None else None
    if found is not None:
        from .stored import StoredPlan

        return StoredPlan(graph, machine, count, donated, name, *found)
    from .native_plan import NativePlan

    plan = NativePlan(graph, machine, count, donated, name)
    if key is not None:
        image.keep(key, plan)
    return plan


def _knows(machine: Host, graph: Graph) -> bool:
    """Has the processor all dtypes of a graph? Half precision is missing on x86 before F16C."""
    if not machine.triple.startswith(("x86", "i686")) or machine.has("f16c"):
        return True
    nodes = (*graph.inputs, *graph.nodes)
    return not any(n.op.results is None and n.dtype == np.float16 for n in nodes)
