"""Loop-invariant code: what is the same in every step of a loop is computed once, before it.

Also a carry that the body hands on as it came becomes a constant of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.opdef import OPS
from ...graph.tensor import LEAF
from ...ops.loops import SCAN, WHILE
from .rewrite import BODIES, picked, renewed, rewrite, size, within

#: A value of more elements, and larger than all it is computed from, is computed in each step rather than kept.
HUGE = 1 << 18

#: Ops that cost nothing, or less than to keep their results.
VIEWS = frozenset(OPS[name] for name in ("reshape", "permute_dims", "broadcast_to", "getitem", "flip", "astype"))
#: Beside elementwise ops and views, the ops that raise no error, so that a loop of no steps may compute them too.
TOTAL = frozenset(
    OPS[name] for name in ("matmul", "sum", "prod", "max", "min", "all", "any", "concat", "pad_zeros", "convolve")
)


def hoist(graph: Graph) -> Graph:
    """Constants of each loop, computed before it; from the innermost loop out, so that they may leave several."""
    return rewrite(within(graph, hoist), _hoisted)


def _hoisted(node: Node) -> Any:
    if node.op is SCAN:
        return _of_scan(node)
    return _of_while(node) if node.op is WHILE else None


def _of_scan(node: Node) -> Any:
    node, unchanged = _settled_carries(node)
    body, constants, inputs = node.params["body"], node.params["constants"], node.inputs or ()
    always = node.params["length"] > 0
    new, found = _split(body, constants, inputs[:constants], always)
    if found:
        params = {**node.params, "body": new, "constants": constants + len(found)}
        node = renewed(node, [*inputs[:constants], *found, *inputs[constants:]], params=params)
    if unchanged:
        kept = iter(range(len(node.like)))
        total = len(node.like) + len(unchanged)
        return tuple(unchanged[i] if i in unchanged else picked(node, node, next(kept)) for i in range(total))
    return node if found else None


def _settled_carries(node: Node) -> tuple[Node, dict[int, Any]]:
    """The scan with the carries that never change as constants, and for each of these its value."""
    body, constants, carries = (node.params[k] for k in ("body", "constants", "carries"))
    inputs = node.inputs or ()
    same = [i for i in range(carries) if body.outputs[i] is body.inputs[constants + i]]
    if not same:
        return node, {}
    settled = [constants + i for i in same]
    order = [*range(constants), *settled, *(i for i in range(constants, len(inputs)) if i not in set(settled))]
    outputs = [i for i in range(len(body.outputs)) if i not in set(same)]
    params = {
        **node.params, "constants": constants + len(same), "carries": carries - len(same),
        "body": Graph([body.inputs[i] for i in order], [body.outputs[i] for i in outputs]),
    }  # fmt: skip
    like = tuple(node.like[i] for i in outputs)
    new = renewed(node, [inputs[i] for i in order], params=params, like=like)
    return new, {i: inputs[constants + i] for i in same}


def _of_while(node: Node) -> Any:
    (asked, fixed), inputs = node.params["constants"], node.inputs or ()
    test, of_test = _split(node.params["test"], asked, inputs[:asked], False)
    body, of_body = _split(node.params["body"], fixed, inputs[asked : asked + fixed], False)
    if not of_test and not of_body:
        return None
    given = [*inputs[:asked], *of_test, *inputs[asked : asked + fixed], *of_body, *inputs[asked + fixed :]]
    constants = (asked + len(of_test), fixed + len(of_body))
    return renewed(node, given, params={"test": test, "body": body, "constants": constants})


def _split(body: Graph, constants: int, values: Sequence[Any], always: bool) -> tuple[Graph, list[Any]]:
    """The body with more constants in the place of what depends on constants only, and the values of these outside.

    `always`: is the body run at least once, so that an op that may raise an error may be moved?
    """
    invariant = set(body.inputs[:constants])
    for node in body.nodes:
        if all(x in invariant for x in node.parents) and _movable(node, always):
            invariant.add(node)
    leaves = set(body.inputs)
    # Backward: what is kept in the body needs its inputs, there or as constants.
    kept = {n for n in body.nodes if n not in invariant}
    moved = dict.fromkeys(o for o in body.outputs if isinstance(o, Node) and o in invariant and o not in leaves)
    for node in reversed(body.nodes):
        if node in moved and node.op in VIEWS:
            del moved[node]
            kept.add(node)
        if node in kept:
            moved.update(dict.fromkeys(x for x in node.parents if x in invariant and x not in leaves))
    if not moved:
        return body, []
    moved = sorted(moved, key=lambda n: n.serial)
    images: dict[Node, Any] = dict(zip(body.inputs, values, strict=False))
    needed = Graph(body.inputs[:constants], moved).nodes
    for node in needed:
        images[node] = renewed(node, [images[x] if type(x) is Node else x for x in node.inputs or ()])
    ends = {n: renewed(n, (), op=LEAF, params={}) for n in moved}
    inputs = [*body.inputs[:constants], *ends.values(), *body.inputs[constants:]]
    return rewrite(body, lambda _: None, inputs=inputs, given=ends), [images[n] for n in moved]


def _movable(node: Node, always: bool) -> bool:
    op = node.op
    if op.results is not None or op in BODIES or op is PICK or op.family == "custom":
        return False
    if not always and not (op.family == "elementwise" or op in VIEWS or op in TOTAL):
        return False
    n = size(node)
    return n <= HUGE or n <= sum(size(x) for x in node.inputs or ())
