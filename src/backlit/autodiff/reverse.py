"""Reverse mode: cotangents flow from the outputs to the leaves, each node visited once, after all its users."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

import numpy as np

from ..base.config import config, recording
from ..base.dtypes import FLOAT
from ..base.errors import DtypeError, GradientError, ShapeError
from ..base.memory import keep_freed_memory
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.opdef import SUPPLIED
from ..graph.tensor import LEAF, Tensor, as_value, wrap
from ..graph.walk import ancestors
from ..ops.arithmetic import add
from ..ops.creation import zeros_of
from .checks import verify_saved
from .pull import pulls_for
from .rules import freed, vjp_of


def backpropagate(
    seeds: Mapping[Node, Any],
    targets: Collection[Node] | None = None,
    *,
    record: bool = False,
    free: bool = False,
    cut: bool = False,
) -> dict[Node, Any]:
    """The cotangent of every target, given those of the nodes in `seeds`.

    Args:
        seeds: cotangents of outputs; arrays, or Tensors where `record`.
        targets: the nodes whose cotangents are wanted; None means all leaves.
        record: do it with Tensors, so that the pass itself can be differentiated (or run later).
        free: let go of inputs and values on the way, so that memory falls as the pass proceeds.
        cut: end at targets; else the cotangent of one holds what comes by way of another.

    A node enters the heap when its first cotangent arrives and leaves it by serial number, newest
    first: every user of a node is newer than the node, so by then its cotangent is complete. The work
    is linear in the number of edges walked (times the logarithm of the graph's width). A target that
    no seed depends on is absent from the result.

    Behind an op that selects, such as `where`, a cotangent of 0 stays 0 whatever the partial it meets: what
    was not taken may have been infinite or no number.
    """
    leading = None
    if targets is not None:
        targets = set(targets)
        leading = _leading(seeds, targets, cut)
    cotangents: dict[Node, Any] = dict(seeds)
    waiting = sorted(cotangents, key=attrgetter("serial"), reverse=True)
    #: The newest node waiting; the others are in the heap. Along a chain the heap stays empty.
    newest = waiting[0] if waiting else None
    heap = [(-node.serial, node) for node in waiting[1:]]
    found: dict[Node, Any] = {}
    guarded = False
    keep_freed_memory()
    token = recording.set(record)
    quiet = np.errstate(all="ignore")
    try:
        quiet.__enter__()
        while newest is not None:
            node = newest
            newest = heappop(heap)[1] if heap else None
            g = cotangents.pop(node)
            op = node.op
            if op is LEAF:
                if targets is None or node in targets:
                    found[node] = g
                continue
            if targets is not None and node in targets:
                found[node] = g
                if cut:
                    continue
            if op.stops or (leading is not None and node not in leading):
                continue
            inputs = node.inputs
            if inputs is None:
                raise freed(node)
            if op is PICK:
                source, i = inputs[0], node.params["index"]
                slots = cotangents.get(source)
                if slots is None:
                    slots = cotangents[source] = [None] * len(source.like)
                    newest = _enter(source, newest, heap)
                slots[i] = g if slots[i] is None else add(slots[i], g)
            else:
                if op.results is not None:
                    g = tuple(zeros_of(s) if part is None else part for part, s in zip(g, node.like, strict=True))
                if op.selects:
                    guarded = True
                if leading is None and not record:
                    pulls = op.pulls
                    if pulls is None:
                        pulls = op.pulls = pulls_for(op)
                    parts = pulls[guarded](node, inputs, g)
                else:
                    wanted = [
                        isinstance(x, Node) and (leading is None or x in leading) and x.like.dtype.char in FLOAT
                        for x in inputs
                    ]
                    if record:
                        recording.set(node.origin or node)
                    parts = vjp_of(node, g, wanted, record, guarded)
                for x, ct in zip(inputs, parts):  # noqa: B905 (of equal length by the rules)
                    if ct is not None:
                        old = cotangents.get(x)
                        if old is None:
                            cotangents[x] = ct
                            newest = x if newest is None else _enter(x, newest, heap)
                        else:
                            cotangents[x] = add(old, ct) if record else old + ct
            if free:
                node.inputs = None
                if node not in seeds:
                    node.value = None
    finally:
        quiet.__exit__(None, None, None)
        recording.reset(token)
    return found


def _enter(node: Node, newest: Node | None, heap: list[tuple[int, Node]]) -> Node:
    """Put a node among those that wait; the newest of them."""
    if newest is None:
        return node
    if node.serial < newest.serial:
        node, newest = newest, node
    heappush(heap, (-newest.serial, newest))
    return node


def _leading(seeds: Collection[Node], targets: set[Node], cut: bool) -> set[Node] | None:
    """The nodes by way of which `seeds` depend on `targets`; None where that is every node there is.

    A node older than every target depends on none: the walk does not go there.
    """
    oldest = min((t.serial for t in targets), default=0)
    order = ancestors(seeds, targets if cut else (), oldest)
    leading: set[Node] = set()
    every = True
    for node in order:
        leads = node in targets
        if not (leads and cut):
            for x in node.inputs or ():
                if x.__class__ is Node:
                    if x in leading:
                        leads = True
                    else:
                        every = False
        if leads:
            leading.add(node)
    return None if every and len(leading) == len(order) else leading


_REAL_SCALARS = frozenset((np.float32, np.float64))


def seed_for(y: Tensor, cotangent: Any, where: str) -> Any:
    """The cotangent of an output as a Tensor of its shape and dtype; 1 by default, for one element."""
    if cotangent is None and y.value.__class__ in _REAL_SCALARS:
        return y.value.__class__(1)
    if y.dtype.char not in FLOAT:
        raise DtypeError(
            f"{where}: expected a floating-point output, got {y.dtype.name}. Integers and truth values, from argmax, a "
            "comparison or a cast, change in jumps and have no derivative; return what they were computed from."
        )
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
            f"backward: {y.node.label} has no value yet, so nothing can be added to .grad; in a function being "
            "compiled use bl.grad or bl.value_and_grad, which return the gradient, in a static graph static.gradients."
        )
    seed = seed_for(y, cotangent, "backward")
    if create_graph and not isinstance(seed, Tensor):
        seed = wrap(seed)
    if isinstance(seed, Tensor) and not create_graph:
        seed = seed.value
    if config.get().check:
        verify_saved(y.node)
    free = not (retain_graph or create_graph)
    found = backpropagate({y.node: seed}, record=create_graph, free=free)
    for node, g in found.items():
        owner = node.owner() if node.owner is not None else None
        if owner is None:
            continue
        g = g if isinstance(g, Tensor) else wrap(g)
        owner._grad = g if owner._grad is None else owner._grad + g


SUPPLIED["backward"] = backward
SUPPLIED["backpropagate"] = backpropagate  # to rules that are found by transposing another
