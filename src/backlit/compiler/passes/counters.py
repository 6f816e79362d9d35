"""Counters of loops: what is dear and depends on nothing but the number of the step is computed for all steps at once.

So the powers in Adam's corrections, which a loop would take one by one, become one array before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.tensor import LEAF
from ...graph.walk import leading_from
from ...ops.arithmetic import add
from ...ops.loops import SCAN
from .rewrite import made, renewed, rewrite, scalar, size, within
from .scans import Carry, Scan
from .steps import Steps, stackable

#: The most elements that a value may have in all steps together.
LIMIT = 1 << 17


def unroll_counters(graph: Graph) -> Graph:
    """The graph with dear functions of the counters of its scans computed before them, in all steps together.

    A counter is a carry of one number that grows by the same whole number in each step. One of floats is taken to be
    exact, as it is up to 2**24 in float32, where adding 1 to it again and again would get no further.
    """
    return rewrite(within(graph, unroll_counters), lambda node: _unrolled(node) if node.op is SCAN else None)


def _unrolled(node: Node) -> Any:
    scan = Scan(node)
    growth = {c: by for c in scan.carries if (by := _growth(c)) is not None}
    if not growth or scan.length < 2:
        return None
    moved = _dear(scan, {c.inner for c in growth})
    if not moved:
        return None
    steps = Steps(scan.length, scan.constants, {c.inner: _column(scan, c, by) for c, by in growth.items()})
    steps.extend(moved)
    leaves = {n: renewed(n, (), op=LEAF, params={}) for n in moved}
    body = scan.body
    ends = rewrite(body, lambda _: None, inputs=[*body.inputs, *leaves.values()], given=leaves).outputs
    scan.arrays.update((leaves[n], steps.columns[n]) for n in moved)
    count = len(scan.carries)
    scan.carries = [c._replace(end=end) for c, end in zip(scan.carries, ends[:count], strict=True)]
    scan.stacked = list(ends[count:])
    return scan.results()


def _growth(c: Carry) -> int | None:
    """The whole number by which a carry grows in each step, if it is a counter."""
    if c.inner.shape or c.inner.dtype.kind not in "iuf" or not isinstance(c.end, Node) or c.end.op is not add:
        return None
    a, b = c.end.inputs or (None, None)
    by = scalar(b if a is c.inner else a if b is c.inner else None)
    return None if by is None or by != int(by) else int(by)


def _column(scan: Scan, c: Carry, by: int) -> Node:
    """The counter in all steps, in the order of the slices."""
    offsets = (np.arange(scan.length) * by).astype(c.inner.dtype)
    return made(scan.at, add, c.start, offsets[::-1].copy() if scan.reverse else offsets)


def _dear(scan: Scan, counters: set[Node]) -> list[Node]:
    """What the rest of the body uses of the dear functions of counters."""
    body, known = scan.body, {*scan.constants}
    found = set(counters)
    for n in body.nodes:
        if stackable(n) and all(x in found or x in known for x in n.parents):
            (found if any(x in found for x in n.parents) else known).add(n)
    own = [n for n in body.nodes if n in found]
    dear = leading_from([n for n in own if "dear" in n.op.traits], own)
    used = {x for n in body.nodes if n not in found for x in n.parents} | {o for o in body.outputs if type(o) is Node}
    return [n for n in own if n in dear and n in used and scan.length * size(n) <= LIMIT]
