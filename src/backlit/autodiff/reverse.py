"""Reverse mode: cotangents flow from the outputs to the leaves, each node visited once, after all its users."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..base.config import config, enable_grad, no_grad, recording
from ..base.dtypes import FLOAT
from ..base.errors import DtypeError, GradientError, ShapeError
from ..graph.node import Node
from ..graph.opdef import SUPPLIED
from ..graph.tensor import LEAF, Tensor, as_value, wrap
from ..graph.walk import ancestors, leading_from
from ..ops.arithmetic import add
from ..ops.creation import zeros_of
from .rules import freed, vjp_of


def backpropagate(
    seeds: Mapping[Node, Any], targets: Collection[Node] | None = None, *, record: bool = False, free: bool = False
) -> dict[Node, Any]:
    """The cotangent of every target, given those of the nodes in `seeds`.

    Args:
        seeds: cotangents of outputs; arrays, or Tensors where `record`.
        targets: the nodes whose cotangents are wanted; None means all leaves.
        record: do it with Tensors, so that the pass itself can be differentiated (or run later).
        free: let go of inputs and values on the way, so that memory falls as the pass proceeds.

    The work is linear in the number of edges. A target that no seed depends on is absent from the result.
    """
    order = ancestors(seeds)
    leading = None if targets is None else leading_from(set(targets), order)
    wanted_nodes = {n for n in order if n.op is LEAF} if targets is None else set(targets)
    cotangents: dict[Node, Any] = dict(seeds)
    found: dict[Node, Any] = {}
    with enable_grad() if record else no_grad():
        for node in reversed(order):
            g = cotangents.pop(node, None)
            if node in wanted_nodes:
                if g is not None:
                    found[node] = g
            if g is None or node.op is LEAF or "stops" in node.op.traits:
                continue
            inputs = node.inputs
            if inputs is None:
                raise freed(node)
            if leading is not None and node not in leading:
                continue
            if node.op.results is not None:
                g = tuple(zeros_of(s) if part is None else part for part, s in zip(g, node.like, strict=True))
            if node.op.name == "pick":
                source = inputs[0]
                slots = cotangents.get(source) or [None] * len(source.like)
                i = node.params["index"]
                slots[i] = g if slots[i] is None else add(slots[i], g)
                cotangents[source] = slots
            else:
                wanted = [
                    isinstance(x, Node) and (leading is None or x in leading) and _has_cotangent(x) for x in inputs
                ]
                if any(wanted):
                    if record:
                        recording.set(node.origin or node)
                    parts = vjp_of(node, g, wanted, record)
                    for x, ct in zip(inputs, parts, strict=True):
                        if ct is not None:
                            old = cotangents.get(x)
                            cotangents[x] = ct if old is None else add(old, ct)
            if free:
                node.inputs = None
                if node not in seeds:
                    node.value = None
    return found


def _has_cotangent(x: Node) -> bool:
    return x.op.results is not None or x.like.dtype.char in FLOAT


def seed_for(y: Tensor, cotangent: Any, where: str) -> Any:
    """The cotangent of an output as a Tensor of its shape and dtype; 1 by default, for one element."""
    if y.dtype.char not in FLOAT:
        raise DtypeError(f"{where}: expected a floating-point output, got {y.dtype.name}; it has no derivative.")
    if cotangent is None:
        if None in y.shape or y.size != 1:
            raise GradientError(
                f"{where}: the output has shape {y.shape}, not one element; reduce it to a scalar (for example "
                "with .sum() or .mean()), or give the cotangent it is to be contracted with."
            )
        return np.ones(y.shape, y.dtype) if y.shape else y.dtype.type(1)
    seed = cotangent if isinstance(cotangent, Tensor) else wrap(as_value(cotangent, y.dtype))
    if seed.shape != y.shape:
        raise ShapeError(f"{where}: the cotangent has shape {seed.shape}, the output {y.shape}; they must be equal.")
    if seed.dtype != y.dtype:
        seed = seed.astype(y.dtype)
    return seed if seed.node is not None or seed.value is None else seed.value


def backward(y: Tensor, cotangent: Any, *, retain_graph: bool, create_graph: bool) -> None:
    """See `Tensor.backward`."""
    if y.node is None:
        raise GradientError(
            "backward: nothing is recorded for this Tensor. It was made without an input that requires grad, inside "
            "no_grad(), or detached; give bl.tensor(..., requires_grad=True) to what you differentiate with respect to."
        )
    if y.value is None:
        raise GradientError(
            f"backward: {y.node.label} has no value yet; use static.gradients, or bl.grad when tracing."
        )
    seed = seed_for(y, cotangent, "backward")
    if create_graph and not isinstance(seed, Tensor):
        seed = wrap(seed)
    if isinstance(seed, Tensor) and not create_graph:
        seed = seed.value
    check_saved(y.node)
    free = not (retain_graph or create_graph)
    found = backpropagate({y.node: seed}, record=create_graph, free=free)
    for node, g in found.items():
        owner = node.owner() if node.owner is not None else None
        if owner is None:
            continue
        g = g if isinstance(g, Tensor) else wrap(g)
        owner._grad = g if owner._grad is None else (owner._grad + g)


def check_saved(node: Node) -> None:
    """Under `check`, compare every saved value with the checksum taken when it was saved."""
    if config.get().check:
        from .checks import verify_saved

        verify_saved(node)


SUPPLIED["backward"] = backward
