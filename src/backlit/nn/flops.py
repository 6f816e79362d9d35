"""How many floating-point operations a graph does."""

from __future__ import annotations

from math import prod

from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.opdef import OPS

_REDUCTIONS = ("sum", "prod", "max", "min", "argmax", "argmin", "all", "any")
_SCANS = ("cumulative_sum", "cumulative_prod", "cumulative_max", "cumulative_min")


def flops(graph: Graph) -> int:
    """The floating-point operations of a graph, its loops in all their steps (of a `while`, one).

    Ops made of others count as these, so that a softmax counts as five operations for each element. What moves or looks
    up elements counts nothing, nor does linear algebra (decompositions, solving), which has no simple formula.

    >>> import backlit as bl
    >>> from backlit.graph.graph import trace
    >>> from backlit.graph.opdef import Spec
    >>> x = Spec((10, 20), bl.float32)
    >>> flops(trace(lambda x, w: bl.relu(x @ w), [x, Spec((20, 30), bl.float32)]))  # 2 · 10 · 30 · 20 + 10 · 30
    12300
    """
    from ..compiler.passes.decompose import decompose  # here, since few who have a network ask for this

    return sum(flops_of(node) for node in decompose(graph).nodes)


def flops_of(node: Node) -> int:
    """The floating-point operations of one node: a multiplication and an addition count as two, a function as one."""
    name, params = node.op.name, node.params
    if name == "scan":
        return params["length"] * flops(params["body"])
    if name == "cond":
        return max(flops(params["true"]), flops(params["false"]))
    if name == "while_loop":
        return flops(params["test"]) + flops(params["body"])
    if node.op.results is not None:
        return 0
    size = prod(node.shape)
    shapes: list[tuple[int, ...]] = [getattr(x, "shape", ()) for x in node.inputs or ()]
    if name == "matmul":
        return 2 * size * shapes[0][-1]
    if name == "convolve":
        return 2 * size * prod(shapes[1][1:])
    if name == "convolve_transposed":
        return 2 * prod(shapes[0]) * prod(shapes[1][1:])
    if name == "convolve_weight":
        return 2 * prod(shapes[1]) * prod(node.shape[1:])
    if name in ("pool_max", "pool_sum"):
        return size * prod(params["window"])
    if name in _REDUCTIONS or name in _SCANS:
        return prod(shapes[0])
    return size if node.op.name in OPS and OPS[name].family == "elementwise" else 0
