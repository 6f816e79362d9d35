"""Algebraic simplification: rewriting rules that leave every number as it is, up to rounding.

NaN and infinities come out where they would have; `x * 0` is not 0 for them, and stays. A zero keeps its sign, but
for sums over axes of size 1, where -0.0 stays -0.0 (NumPy's sum makes 0.0 of it).
"""

from __future__ import annotations

from typing import Any

from ...graph.graph import Graph
from ...graph.node import Node
from .algebra import ALGEBRA, idempotent, operands
from .rewrite import rewrite, within
from .views import VIEWS

_RULES = {**ALGEBRA, **VIEWS}


def simplify(graph: Graph) -> Graph:
    """The graph with the rules applied to each node until none fits."""
    return within(rewrite(graph, _simplified), simplify)


def _simplified(node: Node) -> Any:
    found: Any = node
    while type(found) is Node:
        better = _once(found)
        if better is None:
            break
        found = better
    return None if found is node else found


def _once(node: Node) -> Any:
    op = node.op
    rule = _RULES.get(op)
    found = rule(node) if rule is not None else None
    if found is None and op.family == "elementwise":
        found = operands(node)
    if found is None and "idempotent" in op.traits:
        found = idempotent(node)
    return found
