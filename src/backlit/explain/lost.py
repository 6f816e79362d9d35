"""What the graph of a Tensor still knows of a parameter that it does not depend on: where the link was lost.

An eager `detach()`, `no_grad()` or comparison leaves nothing in the graph but an array. But the very array that a live
node (or the parameter) computed may stand in the graph as a constant: then it was detached. So we look for what is
alive and was computed from the parameter, among the objects that Python's garbage collector knows.
"""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

import numpy as np

from ..graph.node import Node
from ..graph.tensor import Tensor
from ..graph.walk import ancestors


class Lost(NamedTuple):
    """What was found.

    Attributes:
        used: the node of the graph that takes a value that depends on the parameter as a constant; None if none does.
        value: the node that computed this value: the parameter's own, or one that depends on it.
        users: the nodes alive that were computed from the parameter at once.
        constants: how many arrays that are no nodes the graph takes.
    """

    used: Node | None
    value: Node | None
    users: tuple[Node, ...]
    constants: int


def lost(param: Tensor, y: Tensor) -> Lost:
    """Where the link from `param` to `y`, both eager, may have been lost."""
    graph = ancestors([y._node])
    arrays = [(x, n) for n in graph for x in n.inputs or () if isinstance(x, (np.ndarray, np.generic))]
    found, users = _descendants(param)
    for node, value in found:
        for x, user in arrays:
            if x is value or (
                isinstance(x, np.ndarray)
                and isinstance(value, np.ndarray)
                and x.size > 1
                and np.may_share_memory(x, value)
            ):
                return Lost(user, node, users, len(arrays))
    return Lost(None, None, users, len(arrays))


def _descendants(param: Tensor) -> tuple[list[tuple[Node | None, Any]], tuple[Node, ...]]:
    """The nodes alive that depend on a parameter, itself first, with the arrays known of them; and the first users."""
    found: list[tuple[Node | None, Any]] = [(param.node, param.value)]
    if param.node is None:
        return found, ()
    users: dict[Node, list[Node]] = {}
    values: dict[Node, list[Any]] = {}
    for x in gc.get_objects():  # one walk over all there is
        if type(x) is Node:
            for source in x.parents:
                users.setdefault(source, []).append(x)
        elif type(x) is Tensor and x.node is not None:
            values.setdefault(x.node, []).append(x.value)
    seen, todo = {param.node}, [param.node]
    while todo:
        node = todo.pop()
        found += [(node, v) for v in (node.value, *values.get(node, ())) if v is not None]
        new = [n for n in users.get(node, ()) if n not in seen]
        seen.update(new)
        todo += new
    return found, tuple(sorted(users.get(param.node, ()), key=lambda n: n.serial))
