"""What a forward step keeps for its derivative, and what the derivative computes again from that.

A partial evaluation: the derivative of a step is split into what needs the cotangents and what does not. The
values where the two parts meet are kept, or, where that costs less, computed again from kept ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.opdef import SUPPLIED, OpDef
from ..graph.tensor import LEAF
from ..graph.walk import ancestors, leading_from


def residuals(
    outputs: Sequence[Any], given: Collection[Node], fixed: Collection[Node], at_hand: Collection[Node]
) -> list[Node]:
    """The nodes to keep, so that `outputs` can be computed from them and from what is known at little cost.

    Args:
        outputs: what the derivative computes.
        given: the nodes that are known only to the derivative: cotangents.
        fixed: nodes that are the same in each step. What follows from these alone is not kept either.
        at_hand: other nodes that need not be kept.

    The nodes are decided about from the last to the first. One that costs no more than a few instructions an
    element is computed again, if what else must be kept for it takes no more memory than itself (the
    greedy form of the minimum cut of Jain et al. 2020, 'Checkmate', and of PyTorch's partitioner). Matrix
    products, reductions, exponentials and loops are kept. What `checkpoint` computes anew is never kept.
    """
    given = set(given)
    order = ancestors([o for o in outputs if isinstance(o, Node)], {*given, *fixed, *at_hand})
    late = leading_from(given, order)
    early = [n for n in order if n not in late]
    known = _following(set(fixed), early).union(at_hand)
    needed = {x for n in late for x in n.parents if x not in late}
    needed.update(o for o in outputs if isinstance(o, Node) and o not in late)
    kept: list[Node] = []
    for node in reversed(early):
        if node not in needed or node in known:
            continue
        source = next(node.parents) if node.op is PICK else node
        missing = {x for x in source.parents if x not in needed and x not in known}
        if node.op.results is not None or _anew(node):
            needed.update(node.parents)
        elif _is_cheap(source) and sum(map(_bytes, missing)) <= _bytes(node):
            needed.update((*source.parents, source))
        else:
            kept.append(node)
    return kept[::-1]


def _following(fixed: Collection[Node], order: Sequence[Node]) -> set[Node]:
    """Of nodes in topological order, those that follow from constants and what is fixed."""
    known: set[Node] = set()
    for n in order:
        if n in fixed or (all(x in known for x in n.parents) and (n.op is not LEAF or n.value is not None)):
            known.add(n)
    return known


def _is_cheap(node: Node) -> bool:
    """Is it moving elements, or arithmetic? An elementwise op that takes integers too costs few instructions."""
    op: OpDef = node.op
    return op.family == "movement" or op.masked or (op.family == "elementwise" and _takes_integers(op))


def _takes_integers(op: OpDef) -> bool:
    return "floating" not in op.dtypes and not op.singular


def _anew(node: Node) -> bool:
    """Is this a part of what `checkpoint` computes anew?"""
    return node.origin is not None and "recomputes" in node.origin.op.traits


def _bytes(node: Node) -> int:
    parts = node.like if node.op.results is not None else (node.like,)
    total = 0
    for s in parts:
        size = s.dtype.itemsize
        for n in s.shape:
            size *= n
        total += size
    return total


SUPPLIED["residuals"] = residuals
