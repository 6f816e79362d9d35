"""Walks over the graph. All are iterative and linear; serial numbers already are a topological order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter

from .node import Node

_serial = attrgetter("serial")


def ancestors(outputs: Iterable[Node], stop: Collection[Node] = (), since: int = 0) -> list[Node]:
    """Every node that `outputs` were computed from, themselves included, inputs before their users.

    The walk does not go beyond the nodes in `stop`, nor to nodes with a serial number below `since`.
    """
    seen = set(outputs)
    todo = list(seen)
    while todo:
        node = todo.pop()
        if node in stop or not node.inputs:
            continue
        for x in node.inputs:
            if isinstance(x, Node) and x not in seen and x.serial >= since:
                seen.add(x)
                todo.append(x)
    return sorted(seen, key=_serial)


def leading_from(targets: Collection[Node], order: Iterable[Node]) -> set[Node]:
    """Of nodes in topological order, those that depend on a target (targets included)."""
    found: set[Node] = set()
    for node in order:
        if node in targets or any(isinstance(x, Node) and x in found for x in node.inputs or ()):
            found.add(node)
    return found
