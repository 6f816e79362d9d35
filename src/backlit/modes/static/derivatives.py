"""`gradients`: derivatives as tensors of the graph, one node for a backward pass until shapes are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.reverse import backpropagate
from ...base.dtypes import FLOAT
from ...base.errors import ArgumentError, DtypeError, GraphError, ShapeError
from ...base.trees import leaves
from ...graph.bind import enter, graph_of
from ...graph.defer import is_static, pick_all
from ...graph.node import Node
from ...graph.opdef import OpDef
from ...graph.tensor import Tensor, wrap
from ...ops.arithmetic import add
from ...ops.creation import zeros_of
from .feeds import as_fed, compatible

#: The op of a node that stands for a backward pass, made once shapes are known.
GRADIENTS = OpDef("gradients", lambda *_: None, transpose=(), results=tuple, namespace="hidden")


def gradients(ys: Any, xs: Any, grad_ys: Any = None) -> list[Tensor | None]:
    """The derivatives of the sum of `ys` with respect to each of `xs`, as tensors of the graph.

    Reverse mode, as everywhere. Gradients of gradients are the derivatives of higher order.

    Args:
        ys: a tensor or several.
        xs: a tensor or several: variables, placeholders, or anything computed on the way to `ys`.
        grad_ys: for each of `ys` the cotangent it is contracted with; ones by default.

    Returns:
        One tensor for each of `xs`; None where no path leads from it to `ys`.

    >>> from backlit import static
    >>> with static.Graph().as_default(), static.Session() as session:
    ...     x = static.placeholder("float32", shape=())
    ...     (slope,) = static.gradients(x * x * x, x)
    ...     (bend,) = static.gradients(slope, x)
    ...     session.run([slope, bend], {x: 2.0})
    [np.float32(12.0), np.float32(12.0)]
    """
    outputs, inputs = _static_list(ys, "ys"), _static_list(xs, "xs")
    graph = graph_of("gradients", [*outputs, *inputs])
    given = [None] * len(outputs) if grad_ys is None else grad_ys if isinstance(grad_ys, (list, tuple)) else [grad_ys]
    if len(given) != len(outputs):
        raise ArgumentError(f"gradients: {len(outputs)} ys and {len(given)} grad_ys; give one for each, or None.")
    reached = _behind([y._node for y in outputs])
    wanted = [x for x in inputs if x._node in reached]
    if not wanted:
        return [None] * len(inputs)
    seeds = [_seed(g, y) for g, y in zip(given, outputs, strict=True)]
    nodes = [t._node for t in (*outputs, *wanted)]
    node = enter(
        graph, GRADIENTS, (*nodes, *(s for s in seeds if s is not None)),
        {"ys": len(outputs), "xs": len(wanted), "seeded": tuple(s is not None for s in seeds)},
        tuple(x._node.spec for x in wanted),
    )  # fmt: skip
    found = dict(zip([x._node for x in wanted], pick_all(graph, node), strict=True))
    return [found.get(x._node) for x in inputs]


def _static_list(ts: Any, which: str) -> list[Tensor]:
    found = leaves(ts) if isinstance(ts, (list, tuple, dict)) else [ts]
    for t in found:
        if not is_static(t):
            raise GraphError(
                f"gradients: {which} must be tensors of a static graph, got {type(t).__name__}"
                f"{' with a value' if isinstance(t, Tensor) else ''}; for eager functions there is bl.grad."
            )
        if t.dtype.char not in FLOAT:
            raise DtypeError(
                f"gradients: {t.node.label} in {which} has dtype {t.dtype.name}; "
                "only floating-point tensors have derivatives."
            )
    return found


def _seed(g: Any, y: Tensor) -> Any:
    if g is None:
        return None
    if is_static(g):
        if not compatible(g.shape, y.shape) or g.dtype != y.dtype:
            raise ShapeError(
                f"gradients: a cotangent is {g.dtype.name}{g.shape}, its {y._node.label} {y.dtype.name}{y.shape}; "
                "they must be equal."
            )
        return g.node
    return as_fed(g, y.dtype, f"cotangent of {y._node.label}")


def _behind(ys: Sequence[Node]) -> set[Node]:
    """The nodes from which a path that a derivative may take leads to one of `ys`."""
    reached = set(ys)
    todo = list(reached)
    while todo:
        node = todo.pop()
        if node.op.stops and node.op.name != "assign":
            continue
        for x in node.parents:
            if x not in reached and (x.op.results is not None or x.dtype.char in FLOAT):
                reached.add(x)
                todo.append(x)
    return reached


def targets_of(node: Node) -> tuple[Any, ...]:
    """What a node of `gradients` differentiates with respect to."""
    ys, xs = node.params["ys"], node.params["xs"]
    return (node.inputs or ())[ys : ys + xs]


def pulled_back(node: Node, tensors: Sequence[Any]) -> list[Tensor]:
    """Make the backward pass that a node of `gradients` stands for, on the images of its inputs."""
    ys, xs = node.params["ys"], node.params["xs"]
    given = iter(tensors[ys + xs :])
    seeds: dict[Node, Any] = {}
    for y, seeded in zip(tensors[:ys], node.params["seeded"], strict=True):
        g = next(given) if seeded else np.ones(y.shape, y.dtype)[()]
        if tuple(g.shape) != tuple(y.shape):
            raise ShapeError(f"gradients: a cotangent has shape {g.shape}, what it belongs to {y.shape}.")
        if y.node is not None:
            seeds[y.node] = add(seeds[y.node], g) if y.node in seeds else g
    targets = tensors[ys : ys + xs]
    found = backpropagate(seeds, [x.node for x in targets], record=True) if seeds else {}
    cotangents = (found.get(x.node) for x in targets)
    return [
        wrap(zeros_of(x)) if g is None else g if isinstance(g, Tensor) else wrap(g)
        for g, x in zip(cotangents, targets, strict=True)
    ]
