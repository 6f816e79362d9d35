"""Constant folding: what depends on nothing but constants is computed now, by the op's own kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph.graph import Graph
from ...graph.node import Node
from ...ops.loops import COND, SCAN
from .rewrite import BODIES, is_constant, renewed, rewrite, size, specs, within

#: A result is kept as a constant if it has no more elements than this, or than what it is computed from.
SMALL = 64


def fold(graph: Graph) -> Graph:
    """Nodes of constant inputs become constants, unless they would be large; constants given to a loop move into it."""
    return within(rewrite(graph, _folded), fold)


def _folded(node: Node) -> Any:
    inputs = node.inputs or ()
    if node.op in BODIES:
        return _absorbed(node)
    if not inputs or not all(map(is_constant, inputs)) or node.op.family == "custom":
        return None
    if any(size(s) > max(SMALL, sum(map(size, inputs))) for s in specs(node)):
        return None
    try:
        with np.errstate(all="ignore"):
            found = node.op.eval(*inputs, **node.params)
    except Exception:  # it is raised where the plan runs, and names the line there
        return None
    return tuple(found) if node.op.results is not None else found


def _absorbed(node: Node) -> Any:
    """A loop or branch whose graphs hold the constants they were given."""
    inputs, params = list(node.inputs or ()), dict(node.params)
    if node.op is COND:
        known = [i for i, x in enumerate(inputs) if i and is_constant(x)]
        for name in BODIES[COND]:
            params[name] = _filled(params[name], {i - 1: inputs[i] for i in known})
    elif node.op is SCAN:
        known = [i for i in range(params["constants"]) if is_constant(inputs[i])]
        params["body"] = _filled(params["body"], {i: inputs[i] for i in known})
        params["constants"] -= len(known)
    else:
        first, second = params["constants"]
        known = [i for i in range(first + second) if is_constant(inputs[i])]
        asked = [i for i in known if i < first]
        params["test"] = _filled(params["test"], {i: inputs[i] for i in asked})
        params["body"] = _filled(params["body"], {i - first: inputs[i] for i in known[len(asked) :]})
        params["constants"] = (first - len(asked), second - len(known) + len(asked))
    if not known:
        return None
    return renewed(node, [x for i, x in enumerate(inputs) if i not in set(known)], params=params)


def _filled(graph: Graph, values: dict[int, Any]) -> Graph:
    """The graph with some of its inputs replaced by values."""
    if not values:
        return graph
    given = {n: values[i] for i, n in enumerate(graph.inputs) if i in values}
    return rewrite(graph, lambda _: None, inputs=[n for n in graph.inputs if n not in given], given=given)
