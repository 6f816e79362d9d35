"""`join_pads`: a sum of parts with zeros around them, where the parts lie side by side, is their concatenation.

The derivative of `x[:, :n]` is a cotangent with zeros around it, so that of an array used slice by slice, as the gates
of an LSTM or queries, keys and values often are, is a sum of mostly zeros.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

from ...graph.graph import Graph
from ...graph.node import Node
from ...ops.arithmetic import add
from ...ops.joining import concat
from ...ops.padding import pad_zeros
from .rewrite import made, rewrite, within
from .steps import inputs_of

#: Sums of more terms are not searched.
_MOST = 64


class _Part(NamedTuple):
    """An array in the midst of zeros: where it lies along the one axis that is padded, of what size."""

    axis: int
    start: int
    stop: int
    size: int
    inside: Any


def join_pads(graph: Graph) -> Graph:
    """The graph with sums of padded arrays that lie side by side joined instead.

    A zero of the result may differ in sign.
    """
    return rewrite(within(graph, join_pads), _joined)


def _joined(node: Node) -> Any:
    if node.op is not add:
        return None
    terms = _terms(node)
    parts = sorted((p for t in terms if (p := _part(t)) is not None), key=lambda p: p[:3])
    runs: list[list[_Part]] = []
    for _, group in groupby(parts, key=lambda p: p.axis):
        for p in group:
            if runs and runs[-1][-1].axis == p.axis and runs[-1][-1].stop == p.start:
                runs[-1].append(p)
            else:
                runs.append([p])
    runs = [run for run in runs if len(run) > 1]
    if not runs:
        return None
    gone = [p.inside for run in runs for p in run]
    left = [t for t in terms if not any((p := _part(t)) and p.inside is x for x in gone)]
    total: Any = None
    for term in (*left, *(_concatenated(node, run) for run in runs)):
        total = term if total is None else made(node, add, total, term)
    return total


def _terms(node: Node) -> list[Any]:
    """The terms of a sum, all of the shape of the sum; the node itself where that is not so."""
    found: list[Any] = []
    todo: list[Any] = [node]
    while todo:
        x = todo.pop()
        if isinstance(x, Node) and x.op is add and x.shape == node.shape and len(found) + len(todo) < _MOST:
            todo += reversed(inputs_of(x))
        else:
            found.append(x)
    return found


def _part(x: Any) -> _Part | None:
    if not isinstance(x, Node) or x.op is not pad_zeros:
        return None
    pads = x.params["pads"]
    axes = [a for a, widths in enumerate(pads) if any(widths)]
    if len(axes) != 1:
        return None
    (axis,) = axes
    before, after = pads[axis]
    return _Part(axis, before, x.shape[axis] - after, x.shape[axis], inputs_of(x)[0])


def _concatenated(node: Node, run: list[_Part]) -> Node:
    axis, size = run[0].axis, run[0].size
    pieces: list[Any] = []
    for p in run:
        inside = p.inside
        flat = isinstance(inside, Node) and inside.op is concat and inside.params["axis"] == axis
        pieces += inputs_of(inside) if flat else (inside,)
    whole = made(node, concat, *pieces, axis=axis)
    around = (run[0].start, size - run[-1].stop)
    if not any(around):
        return whole
    return made(node, pad_zeros, whole, pads=tuple(around if a == axis else (0, 0) for a in range(len(node.shape))))
