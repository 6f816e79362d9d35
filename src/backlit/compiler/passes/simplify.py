"""Algebraic simplification: rewriting rules that leave every number as it is, up to rounding.

NaN and infinities come out where they would have; `x * 0` is not 0 for them, and stays. A zero keeps its sign, but
for sums over axes of size 1, where -0.0 stays -0.0 (NumPy's sum makes 0.0 of it).
"""

from __future__ import annotations

from typing import Any

from ...graph.graph import Graph
from ...graph.node import Node
from .algebra import ALGEBRA, idempotent, operands
from .rewrite import renewed, rewrite, within
from .views import VIEWS

_RULES = {**ALGEBRA, **VIEWS}


def simplify(graph: Graph) -> Graph:
    """The graph with the rules applied to each node until none fits."""
    return within(rewrite(graph, _simplified), simplify)


def _simplified(node: Node) -> Any:
    found = _settled(node, node.serial)
    return None if found is node else found


def _settled(node: Any, since: int) -> Any:
    """`node` with the rules applied until none fits; then what they made, since that serial, for its inputs."""
    while type(node) is Node and (better := _once(node)) is not None:
        node = better
    if type(node) is not Node or node.serial <= since:
        return node
    old = node.inputs or ()
    new = [_settled(x, since) if type(x) is Node and x.serial > since else x for x in old]
    same = all(a is b for a, b in zip(old, new, strict=True))
    return node if same else _settled(renewed(node, new), since)


def _once(node: Node) -> Any:
    op = node.op
    rule = _RULES.get(op)
    found = rule(node) if rule is not None else None
    if found is None and op.family == "elementwise":
        found = operands(node)
    if found is None and "idempotent" in op.traits:
        found = idempotent(node)
    return found
