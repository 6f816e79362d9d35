"""Dead code: results that nobody uses are not computed, within loops and branches too.

A `Graph` holds only what its outputs need. What is left to find are outputs of loops and branches that nobody
picks, carries that lead to no used output, and inputs that no graph within uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.walk import ancestors
from ...ops.loops import COND, SCAN
from .rewrite import BODIES, picked, picks, renewed, rewrite, within


def dce(graph: Graph) -> Graph:
    """Loops and branches with what is used of their outputs and inputs; from the outermost in."""
    used = picks(graph)
    loops = iter([n for n in graph.nodes if n.op in BODIES])  # which come to the rule in this order

    def rule(node: Node) -> Any:
        if node.op not in BODIES:
            return None
        users = used[next(loops)]
        trim = _cond if node.op is COND else _scan if node.op is SCAN else _while
        trimmed = trim(node, set(users))
        if trimmed is None:
            return None
        new, kept = trimmed
        return tuple(picked(users[i], new, kept.index(i)) if i in users else None for i in range(len(node.like)))

    return within(rewrite(graph, rule), dce)


def _reached(graph: Graph, outputs: Sequence[int]) -> set[int]:
    """The numbers of the inputs that these outputs depend on."""
    ends = [o for i in outputs if isinstance(o := graph.outputs[i], Node)]
    needed = set(ancestors(ends, set(graph.inputs)))
    return {i for i, n in enumerate(graph.inputs) if n in needed}


def _only(graph: Graph, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
    return Graph([graph.inputs[i] for i in inputs], [graph.outputs[i] for i in outputs])


def _closed(body: Graph, first: int, carries: int, wanted: set[int]) -> tuple[list[int], set[int]]:
    """The outputs of a loop's body that are needed if those in `wanted` are, and the inputs that these reach.

    A carry comes in as input `first` + i, and goes out as output i.
    """
    needed, todo, seen = set(wanted), list(wanted), set[Node]()
    entering = {body.inputs[first + i]: i for i in range(carries)}
    while todo:
        end = body.outputs[todo.pop()]
        walk = [end] if isinstance(end, Node) and end not in seen else []
        while walk:
            node = walk.pop()
            seen.add(node)
            if (i := entering.get(node)) is not None and i not in needed:
                needed.add(i)
                todo.append(i)
            if node not in entering:
                walk += [x for x in node.parents if x not in seen]
    return sorted(needed), {i for i, n in enumerate(body.inputs) if n in seen}


def _scan(node: Node, wanted: set[int]) -> tuple[Node, list[int]] | None:
    body, constants, carries = (node.params[k] for k in ("body", "constants", "carries"))
    outputs, reached = _closed(body, constants, carries, wanted)
    carried = {constants + i for i in outputs if i < carries}
    inputs = [i for i in range(len(body.inputs)) if i in carried or i in reached]
    if len(outputs) == len(body.outputs) and len(inputs) == len(body.inputs):
        return None
    params = {
        **node.params, "body": _only(body, inputs, outputs), "carries": len(carried),
        "constants": sum(i < constants for i in inputs),
    }  # fmt: skip
    return _narrowed(node, inputs, outputs, params)


def _while(node: Node, wanted: set[int]) -> tuple[Node, list[int]] | None:
    test, body, (asked, fixed) = (node.params[k] for k in ("test", "body", "constants"))
    seen = _reached(test, [0])
    wanted = wanted | {i - asked for i in seen if i >= asked}
    outputs, reached = _closed(body, fixed, len(body.outputs), wanted)
    of_test = [i for i in range(asked) if i in seen]
    of_body = [i for i in range(fixed) if i in reached]
    if len(outputs) == len(body.outputs) and (len(of_test), len(of_body)) == (asked, fixed):
        return None
    params = {
        "test": _only(test, [*of_test, *(asked + i for i in outputs)], [0]),
        "body": _only(body, [*of_body, *(fixed + i for i in outputs)], outputs),
        "constants": (len(of_test), len(of_body)),
    }
    inputs = [*of_test, *(asked + i for i in of_body), *(asked + fixed + i for i in outputs)]
    return _narrowed(node, inputs, outputs, params)


def _cond(node: Node, wanted: set[int]) -> tuple[Node, list[int]] | None:
    true, false = node.params["true"], node.params["false"]
    outputs = sorted(wanted)
    inputs = sorted(_reached(true, outputs) | _reached(false, outputs))
    if len(outputs) == len(true.outputs) and len(inputs) == len(true.inputs):
        return None
    params = {"true": _only(true, inputs, outputs), "false": _only(false, inputs, outputs)}
    return _narrowed(node, [0, *(1 + i for i in inputs)], outputs, params)


def _narrowed(node: Node, inputs: Sequence[int], outputs: list[int], params: dict[str, Any]) -> tuple[Node, list[int]]:
    given = node.inputs or ()
    like = tuple(node.like[i] for i in outputs)
    return renewed(node, [given[i] for i in inputs], params=params, like=like), outputs
