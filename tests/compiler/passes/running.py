"""What the tests of the passes share: graphs traced on sample values, and what a pass must leave as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import backlit as bl
from backlit.base.trees import leaves
from backlit.compiler import pipeline
from backlit.graph.graph import Graph, trace
from backlit.graph.opdef import Spec

F32, F64, I64 = (np.dtype(d) for d in ("float32", "float64", "int64"))


def traced(function: Callable[..., Any], *arrays: Any) -> Graph:
    """The graph of a function of arrays like these; all leaves of its result are outputs."""
    return trace(lambda *xs: leaves(function(*xs)), [Spec(np.shape(a), np.asarray(a).dtype) for a in arrays])


def specified(function: Callable[..., Any], *specs: tuple[Any, ...]) -> Graph:
    """The graph of a function of inputs of these shapes and dtypes, float32 where none is given."""
    return trace(lambda *xs: leaves(function(*xs)), [Spec(s[0], s[1] if len(s) > 1 else F32) for s in specs])


def body(graph: Graph) -> list[str]:
    """The printed form without the inputs."""
    return [line for line in str(graph).splitlines() if " = input " not in line]


def with_gradient(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """The value of a function of arrays and the gradient of the sum of it, with respect to `count` of them."""

    def both(*xs: Any) -> Any:
        ys, pull = bl.vjp(lambda *a: tuple(y for y in leaves(function(*a)) if y.dtype.kind in "fc"), *xs[:count])
        return ys, pull(tuple(bl.cos(bl.ones(y.shape, dtype=y.dtype)) for y in ys))

    return both


def unchanged(graph: Graph, values: Sequence[Any], ulps: float = 64) -> Graph:
    """The graph after all passes, each of which is checked: legal, and with the results there were before."""
    with bl.settings(check=True):
        return pipeline.run(graph, lambda _, after: pipeline.compare(graph, after, values, ulps))
