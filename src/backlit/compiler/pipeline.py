"""The pipeline: which passes a graph goes through, in which order, and how they are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..base.config import config, enable_grad
from ..base.errors import GraphError
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.opdef import Spec
from ..ops.loops import COND, SCAN, WHILE
from .passes.batch import batch_matmuls
from .passes.counters import unroll_counters
from .passes.cse import cse
from .passes.dce import dce
from .passes.decompose import decompose
from .passes.fold import fold
from .passes.hoist import hoist
from .passes.join import join_pads
from .passes.merge import merge_scans
from .passes.pools import mask_early
from .passes.rewrite import BODIES, Pass
from .passes.simplify import simplify

#: Every pass takes loops and branches along, however deep they are nested.
PIPELINE: tuple[tuple[str, Pass], ...] = (
    ("decompose", decompose),
    ("fold", fold),
    ("simplify", simplify),
    ("join pads", join_pads),
    ("cse", cse),
    ("dce", dce),
    ("merge scans", merge_scans),
    ("cse of merged scans", cse),
    ("hoist", hoist),
    ("unroll counters", unroll_counters),
    ("batch matmuls", batch_matmuls),
    ("mask early", mask_early),
    ("simplify again", simplify),
    ("cse again", cse),
    ("dce again", dce),
)


def run(
    graph: Graph,
    observe: Callable[[str, Graph], None] | None = None,
    passes: Sequence[tuple[str, Pass]] = PIPELINE,
) -> Graph:
    """The graph after all passes; `observe(name, graph)` sees it after each.

    Under `settings(check=True)` each result is verified, and an error names the pass.
    """
    for name, change in passes:
        with enable_grad():  # or the ops that a pass applies would be recorded as made within no_grad()
            graph = change(graph)
        if config.get().check:
            try:
                verify(graph)
            except GraphError as problem:
                raise GraphError(f"after the pass {name!r}: {problem}") from problem
        if observe is not None:
            observe(name, graph)
    return graph


def stages(graph: Graph) -> list[tuple[str, Graph]]:
    """The graph as it was traced, then as it is after each pass, with their names."""
    found = [("traced", graph)]
    run(graph, lambda name, after: found.append((name, after)))
    return found


# --- checks ----------------------------------------------------------------------------------------


def nested(graph: Graph) -> Iterator[Graph]:
    """The graph and all graphs that its loops and branches hold."""
    todo = [graph]
    while todo:
        one = todo.pop()
        yield one
        todo += [n.params[name] for n in one.nodes for name in BODIES.get(n.op, ())]


def verify(graph: Graph) -> None:
    """`Graph.verify`, of the graph and of all within it; and each loop and branch gets what its graphs expect."""
    for one in nested(graph):
        one.verify()
        for node in one.nodes:
            for name, given in _given(node):
                expected = [(n.shape, n.dtype) for n in node.params[name].inputs]
                if [(x.shape, x.dtype) for x in given] != expected:
                    raise GraphError(f"verify: the inputs of {node.label} are not those of its graph {name!r}.")


def _given(node: Node) -> Iterator[tuple[str, Sequence[Any]]]:
    """For each graph within a node its name, and what it is called with."""
    inputs = node.inputs or ()
    if node.op is COND:
        yield from (("true", inputs[1:]), ("false", inputs[1:]))
    elif node.op is WHILE:
        first, second = node.params["constants"]
        yield "test", (*inputs[:first], *inputs[first + second :])
        yield "body", inputs[first:]
    elif node.op is SCAN:
        last = node.params["constants"] + node.params["carries"]
        slices = [Spec(x.shape[1:], x.dtype) for x in inputs[last:]]
        yield "body", (*inputs[:last], *slices)


def sample(graph: Graph, rng: np.random.Generator) -> list[Any]:
    """Random values for the inputs of a graph: normal numbers, small integers, truth values."""

    def draw(shape: tuple[int, ...], dtype: Any) -> Any:
        if dtype.kind == "c":
            return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
        return (rng.normal(size=shape) if dtype.kind == "f" else rng.integers(0, 2, shape)).astype(dtype)

    return [np.asarray(draw(n.shape, n.dtype))[()] for n in graph.inputs]


def compare(before: Graph, after: Graph, values: Sequence[Any], ulps: float = 64) -> None:
    """Raise a GraphError where two graphs differ, run by NumPy on `values`, by more than rounding.

    Rounding is `ulps` units in the last place of the largest magnitude in an output. NaN and infinities must
    stand in the same places.
    """
    with np.errstate(all="ignore"):
        results = zip(before(*values), after(*values), strict=True)
    for i, (a, b) in enumerate(results):
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype != b.dtype or a.shape != b.shape:
            raise GraphError(f"output {i} is {b.dtype.name}{b.shape} after the pass, was {a.dtype.name}{a.shape}.")
        if a.dtype.kind not in "fc":
            if not np.array_equal(a, b):
                raise GraphError(f"output {i} differs after the pass: {b}, was {a}.")
            continue
        finite = np.isfinite(a)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
            raise GraphError(f"output {i} has its NaN or infinities elsewhere after the pass: {b}, was {a}.")
        allowed = ulps * np.finfo(a.dtype).eps * np.abs(a[finite]).max(initial=0.0)
        gap = np.abs(a[finite] - b[finite]).max(initial=0.0)
        if gap > allowed:
            raise GraphError(f"output {i} differs by {gap} after the pass, {allowed} is rounding: {b}, was {a}.")
