"""`merge_scans`: loops that do the same work side by side become one loop.

The derivative of a scan runs it once more to keep what it needs (`ops/loops.py`), because a rule does not see
who uses the first run. Here, where both stand in one graph, they are seen to be one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.rewrite import rewritten
from ...ops.loops import SCAN
from .rewrite import within
from .scans import Scan

#: Constants up to this size are the same where their elements are; larger ones where they are one array.
_COMPARED = 1 << 20


def merge_scans(graph: Graph) -> Graph:
    """The graph with scans of equal length and direction merged where their bodies have work in common.

    Carries of the two are one where they start from the same value and, given that, are stepped by the same
    computation (found by refining a partition, as in the minimisation of automata: Hopcroft 1971). The merged
    body holds both computations on common inputs; `cse` is what makes one of them.
    """
    graph = within(graph, merge_scans)
    while (found := next(_mergeable(graph), None)) is not None:
        graph = _merged(graph, *found)
    return graph


def _mergeable(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """Pairs of scans, the first before the second, that can be one."""
    scans = [n for n in graph.nodes if n.op is SCAN]
    place = {n: i for i, n in enumerate((*graph.inputs, *graph.nodes))}
    for a, b in combinations(scans, 2):
        same = all(a.params[k] == b.params[k] for k in ("length", "reverse"))
        if same and all(place[x] < place[a] for x in b.parents) and _common(Scan(a), Scan(b)):
            yield a, b


def _common(a: Scan, b: Scan) -> bool:
    """Does a step of both compute something twice?"""
    number = _numbered([a, b])
    first = {number[n] for n in a.body.nodes}
    return any(number[n] in first for n in b.body.nodes)


def _merged(graph: Graph, a: Node, b: Node) -> Graph:
    one, other = Scan(a), Scan(b)
    number = _numbered([one, other])
    same: dict[int, Node] = {}
    images: dict[Node, Any] = {}
    for part in (one, other):
        for inner in (*part.constants, *(c.inner for c in part.carries), *part.arrays):
            images[inner] = same.setdefault(number[inner], inner)
    outputs = [*one.outputs, *other.outputs]
    both = Graph([*dict.fromkeys(images.values())], outputs)
    ends = rewritten(both, images=images).outputs
    end_of = iter(ends)
    places: list[list[tuple[bool, int]]] = []
    carries: dict[Node, Any] = {}
    stacked: dict[Any, Any] = {}
    for part in (one, other):
        places.append([])
        for c in part.carries:
            inner, end = images[c.inner], next(end_of)
            carries.setdefault(inner, c._replace(inner=inner, end=end))
            places[-1].append((True, [*carries].index(inner)))
        for o in part.stacked:
            key, end = number[o] if isinstance(o, Node) else _key(o), next(end_of)
            stacked.setdefault(key, end)
            places[-1].append((False, [*stacked].index(key)))
    one.constants = {images[n]: x for part in (other, one) for n, x in part.constants.items()}
    one.arrays = {images[n]: x for part in (other, one) for n, x in part.arrays.items()}
    one.carries, one.stacked = [*carries.values()], [*stacked.values()]
    results = one.results()
    taken = [tuple(results[i if first else len(carries) + i] for first, i in part) for part in places]
    return rewritten(graph, lambda node, _: taken[0] if node is a else taken[1] if node is b else None)


def _numbered(scans: Sequence[Scan]) -> dict[Node, int]:
    """Equal numbers for all that has equal values in the bodies of scans that run side by side."""
    carries = [c for s in scans for c in s.carries]
    classes: list[Any] = [(_key(c.start), c.inner.spec) for c in carries]
    while True:
        table: dict[Any, int] = {}
        classes = [table.setdefault(k, len(table)) for k in classes]
        values: dict[Any, int] = {}
        number: dict[Node, int] = {}

        def enter(node: Node, key: Any, number: dict[Node, int] = number, values: dict[Any, int] = values) -> None:
            number[node] = values.setdefault(key, len(values))

        for c, k in zip(carries, classes, strict=True):
            enter(c.inner, ("carry", k))
        for s in scans:
            for kind, part in (("constant", s.constants), ("slice", s.arrays)):
                for inner, outer in part.items():
                    enter(inner, (kind, _key(outer)))
            for node in s.body.nodes:
                enter(node, _computed(node, number))
        refined = [(k, number[c.end] if isinstance(c.end, Node) else _key(c.end)) for k, c in
                   zip(classes, carries, strict=True)]  # fmt: skip
        if len(set(refined)) == len(table):
            return number
        classes = refined


def _computed(node: Node, number: dict[Node, int]) -> Any:
    """What is computed by a node: equal for nodes that compute the same from inputs of equal numbers."""
    inputs = tuple(("#", number[x]) if isinstance(x, Node) else _key(x) for x in node.inputs or ())
    return node.op.name, node.op.eval, _key(node.params), inputs, _key(node.value)


def _key(x: Any) -> Any:
    """A constant, a parameter or a node outside as something that compares by value, as far as that is cheap."""
    if isinstance(x, Graph):
        number: dict[Node, int] = {n: i for i, n in enumerate(x.inputs)}
        keys: dict[Any, int] = {}
        for n in x.nodes:
            number[n] = len(x.inputs) + keys.setdefault(_computed(n, number), len(keys))
        ends = tuple(("#", number[o]) if isinstance(o, Node) else _key(o) for o in x.outputs)
        return "graph", tuple(n.spec for n in x.inputs), tuple(keys), ends
    if isinstance(x, dict):
        return tuple((k, _key(v)) for k, v in sorted(x.items()))
    if isinstance(x, (tuple, list)):
        return type(x), tuple(map(_key, x))
    if isinstance(x, (np.ndarray, np.generic)):
        content = x.tobytes() if x.nbytes <= _COMPARED else id(x)
        return "array", x.shape, x.dtype.str, content
    if isinstance(x, (bool, int, float, complex)):
        return type(x), repr(x)
    try:
        hash(x)
    except TypeError:
        return id(x)
    return x
