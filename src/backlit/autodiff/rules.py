"""From a record's rule to the two things an engine asks of a node: its vjp and its jvp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.config import enable_grad, recording
from ..base.dtypes import COMPLEX, FLOAT, WEAK
from ..base.errors import GradientError
from ..graph.bind import PICK, bind
from ..graph.node import Node
from ..graph.op import Op
from ..graph.opdef import SUPPLIED, OpDef
from ..graph.tensor import Tensor, edge, leaf_node, wrap
from ..ops.arithmetic import add, guarded_multiply, masked_multiply, multiply
from ..ops.complex import conj, real
from ..ops.creation import zeros_of
from ..ops.movement import broadcast_to, reshape
from ..ops.reduce import sum as sum_


def unbroadcast(g: Any, x: Any) -> Any:
    """Sum `g` over the axes along which `x` was broadcast, so that it has the shape of `x`."""
    shape = x.shape
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1)
    if isinstance(g, np.ndarray):
        return np.add.reduce(g, axis=axes, keepdims=True).reshape(shape)
    g = sum_(g, axis=axes, keepdims=True)
    return reshape(g, shape) if g.shape != shape else g


def arguments(node: Node, as_edges: bool) -> list[Any]:
    """The inputs of a node as its rule takes them.

    Arrays where values are wanted, Tensors where the rule is to be recorded. For a value that was not
    kept the node itself stands in: it has the shape and dtype, which is all the rule then needs.
    """
    if node.inputs is None:
        raise freed(node)
    if as_edges:
        return [edge(x) if isinstance(x, Node) else x for x in node.inputs]
    return [(x if x.value is None else x.value) if isinstance(x, Node) else x for x in node.inputs]


def result(node: Node, as_edges: bool) -> Any:
    """The output of a node as its rule takes it, in the same manner."""
    if not as_edges:
        return node if node.value is None else node.value
    if node.op.results is None:
        return edge(node)
    values = node.value or (None,) * len(node.like)
    return tuple(
        wrap(v, Node(PICK, (node,), {"index": i}, v, s, node.place))
        for i, (v, s) in enumerate(zip(values, node.like, strict=True))
    )


def freed(node: Node) -> GradientError:
    """The error for a node whose inputs an earlier backward pass has let go."""
    return GradientError(
        f"backward: the graph behind {node.label} was freed by an earlier backward(). "
        "Call the first one with retain_graph=True, or compute the value again."
    )


def vjp_of(node: Node, g: Any, wanted: Sequence[bool], as_edges: bool, guarded: bool = False) -> Sequence[Any]:
    """The cotangents of the inputs of `node`, given `g`, that of its output; None where not `wanted`.

    Linear rule by linear rule: partials are multiplied, transposes applied, vjps called
    (Griewank & Walther, section 3.2). For complex values a cotangent is the steepest-ascent direction,
    and a partial enters conjugated. Where `guarded`, a cotangent of 0 times whatever partial is 0.
    """
    op, params = node.op, node.params
    args = arguments(node, as_edges)
    if op.partials is not None:
        out = result(node, as_edges)
        times = product_of(op, guarded)
        cotangents: list[Any] = []
        for i, partial in enumerate(op.partials):
            if not wanted[i] or partial is None or partial == 0:
                cotangents.append(None)
                continue
            d: Any = partial(out, *args, **params) if callable(partial) else partial
            if type(d) is int:
                ct = g if d == 1 else g * d
            else:
                ct = times(g, conjugated(d))
            x = node.inputs[i]  # type: ignore[index]
            cotangents.append(fit(ct, x))
        return cotangents
    if op.transpose is not None:
        if callable(op.transpose):
            found = op.transpose(g, *args, **params)
        else:
            found = [
                t(g, *args, **params) if w and t is not None else None
                for t, w in zip(op.transpose, wanted, strict=True)
            ]
    elif op.vjp is not None:
        found = op.vjp(g, result(node, as_edges), *args, **params)
    elif op.jvp is not None:
        found = _transposed_jvp(node, g, wanted, as_edges)
    else:
        raise undifferentiable(node)
    return [
        fit(ct, x) if w and ct is not None else None
        for ct, x, w in zip(found, node.inputs, wanted, strict=True)  # type: ignore[arg-type]
    ]


def product_of(op: OpDef, guarded: bool = False) -> Op:
    """The product by which a partial of `op` meets a cotangent or tangent."""
    if op.masked:
        return masked_multiply
    return guarded_multiply if op.singular or guarded else multiply


def conjugated(d: Any) -> Any:
    """A partial as it enters a cotangent: conjugated where it is complex."""
    cls = d.__class__
    if cls is float or cls is np.float32 or cls is np.float64 or cls is int:
        return d
    if cls is complex:
        return d.conjugate()
    return conj(d) if d.dtype.char in COMPLEX else d


def fit(ct: Any, x: Any) -> Any:
    """A cotangent in the shape of the input `x`, and real where that is real."""
    if ct.shape != x.shape:
        ct = unbroadcast(ct, x)
    if ct.dtype.char in COMPLEX and x.dtype.char not in COMPLEX:
        ct = real(ct)
    return ct


def undifferentiable(node: Node) -> GradientError:
    """The error for an op without a derivative."""
    return GradientError(f"{node.label} has no derivative: {node.op.nondiff or 'its record gives no rule'}.")


def jvp_of(node: Node, tangents: Sequence[Any]) -> Any:
    """The tangent of the output of `node`, given those of its inputs (None is zero). Records what it does."""
    op, params = node.op, node.params
    args = arguments(node, True)
    moving = [i for i, t in enumerate(tangents) if t is not None]
    if op.partials is not None:
        out = edge(node)
        times = product_of(op)
        total: Any = None
        for i in moving:
            partial = op.partials[i]
            if partial is None or partial == 0:
                continue
            d = partial(out, *args, **params) if callable(partial) else partial
            term = (tangents[i] if d == 1 else tangents[i] * d) if type(d) is int else times(tangents[i], d)
            total = term if total is None else add(total, term)
        return None if total is None else widen(total, node)
    if op.transpose is not None:
        if "jointly_linear" in op.traits:
            return bind(op, [_tangent(op, i, x, tangents[i]) for i, x in enumerate(args)], params)
        terms = [bind(op, [*args[:i], tangents[i], *args[i + 1 :]], params) for i in moving]
        total = terms[0]
        for term in terms[1:]:
            total = add(total, term)
        return total
    if op.jvp is not None:
        return op.jvp(tangents, result(node, True), *args, **params)
    if op.vjp is not None:
        return _transposed_vjp(node, tangents, moving)
    raise undifferentiable(node)


def _tangent(op: OpDef, i: int, x: Any, t: Any) -> Any:
    """What stands at input `i` of a jointly linear op in its jvp: a tangent, or the input that only steers."""
    if t is not None:
        return t
    if isinstance(op.transpose, tuple) and op.transpose[i] is None:
        return x
    if type(x) in WEAK:
        return 0
    return zeros_of(x) if hasattr(x, "dtype") and x.dtype.char in FLOAT else x


def widen(t: Any, node: Node) -> Any:
    """A tangent broadcast to the shape of the node's value, and real where that is real."""
    if t.dtype.char in COMPLEX and node.dtype.char not in COMPLEX:
        t = real(t)
    return t if t.shape == node.shape else broadcast_to(t, node.shape)


def _transposed_vjp(node: Node, tangents: Sequence[Any], moving: Sequence[int]) -> Any:
    """A jvp from a vjp: the vjp is linear in the cotangent, so its transpose is the jvp (Townsend 2017)."""
    several = node.op.results is not None
    likes = node.like if several else (node.like,)
    seeds = [leaf_node(np.zeros(s.shape, s.dtype)) for s in likes]
    g: Any = tuple(edge(s) for s in seeds)
    wanted = [i in moving for i in range(len(tangents))]
    record = recording.get()
    token = recording.set(record or True)  # the transpose is read off the tape, wanted or not
    try:
        cotangents = vjp_of(node, g if several else g[0], wanted, True)
    finally:
        recording.reset(token)
    start: dict[Node, Any] = {}
    for i in moving:
        ct = cotangents[i]
        if ct is not None and isinstance(ct, Tensor) and ct.node is not None:
            t = tangents[i] if record else tangents[i].value
            start[ct.node] = add(start[ct.node], t) if ct.node in start else t
    found = SUPPLIED["backpropagate"](start, seeds, record=bool(record)) if start else {}
    outs = tuple(_tensor(found[s]) if s in found else wrap(zeros_of(s)) for s in seeds)
    return outs if several else outs[0]


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(value)


def _transposed_jvp(node: Node, g: Any, wanted: Sequence[bool], as_edges: bool) -> list[Any]:
    """A vjp from a jvp: the jvp is linear in the tangents, so its transpose is the vjp."""
    op = node.op
    likes: Sequence[Any] = node.inputs or ()
    seeds = [
        leaf_node(np.zeros(x.shape, x.dtype)) if w and x.dtype.char in FLOAT else None
        for w, x in zip(wanted, likes, strict=True)
    ]
    args = [_constant(x) for x in arguments(node, as_edges)]
    out = result(node, as_edges)
    out = tuple(map(_constant, out)) if isinstance(out, tuple) else _constant(out)
    with enable_grad():
        tangents = [None if s is None else edge(s) for s in seeds]
        moved = op.jvp(tangents, out, *args, **node.params)  # type: ignore[misc]
    pairs = zip(moved, g, strict=True) if op.results is not None else [(moved, g)]
    start: dict[Node, Any] = {}
    for t, ct in pairs:
        if isinstance(t, Tensor) and t.node is not None and ct is not None:
            start[t.node] = add(start[t.node], ct) if t.node in start else ct
    found = SUPPLIED["backpropagate"](start, [s for s in seeds if s is not None], record=as_edges) if start else {}
    return [None if s is None else found.get(s) for s in seeds]


def _constant(x: Any) -> Any:
    return wrap(x) if isinstance(x, (np.ndarray, np.generic)) else x
