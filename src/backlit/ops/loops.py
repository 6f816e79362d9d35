"""The records behind `cond`, `while_loop` and `scan` in graphs without values: ops whose parameters are graphs.

Their inputs are what the graphs capture, then the arguments. Each derivative is again such an op, on the
derivative of its graph, so that every order exists; `autodiff/graphs.py` supplies these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..base.dtypes import FLOAT, INTEGER
from ..base.errors import GradientError
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.op import Op
from ..graph.opdef import SUPPLIED, Spec
from ..graph.rewrite import rewritten
from ..graph.tensor import edge, symbol
from .arithmetic import add, subtract
from .creation import zeros_of


def spec_of(end: Any) -> Spec:
    """Shape and dtype of an output of a graph: a node, or a value."""
    return Spec(tuple(end.shape), end.dtype)


def _moves(x: Any) -> bool:
    return x.dtype.char in FLOAT


def _only(flags: Sequence[Any], items: Sequence[Any]) -> list[Any]:
    """The items whose flag is neither None nor False."""
    return [x for flag, x in zip(flags, items, strict=True) if flag is not None and flag is not False]


def _spread(flags: Sequence[Any], items: Sequence[Any]) -> list[Any]:
    """The opposite: items at the places of such flags, None elsewhere."""
    rest = iter(items)
    return [next(rest) if flag is not None and flag is not False else None for flag in flags]


def _with_zeros(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    """The first of each pair; where that is None, zeros like the second."""
    return [zeros_of(like) if x is None else x for x, like in pairs]


def _filled(tangents: Sequence[Any], inputs: Sequence[Any], moving: Sequence[int]) -> list[Any]:
    """The tangents of the inputs numbered in `moving`, zeros in the place of None."""
    return _with_zeros((tangents[i], inputs[i]) for i in moving)


def _params_given(*values: Any, **params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return values, params


# --- cond ------------------------------------------------------------------------------------------


def _cond(pred: Any, /, *values: Any, true: Graph, false: Graph) -> Any:
    return (true if pred else false)(*values)


def _cond_spec(pred: Any, /, *specs: Any, true: Graph, false: Graph) -> Any:
    return tuple(spec_of(o) for o in true.outputs)


def _cond_vjp(g: Any, out: Any, pred: Any, /, *values: Any, true: Graph, false: Graph) -> Any:
    branches = [_cotangents_of(branch) for branch in (true, false)]
    wanted = [any(c[i] is not None for _, c in branches) for i in range(len(values))]
    graphs = [
        Graph((*b.inputs, *gs), _with_zeros(_chosen(wanted, cts, values)))
        for b, (gs, cts) in zip((true, false), branches, strict=True)
    ]
    moved = [part for part, o in zip(g, true.outputs, strict=True) if _moves(o)]
    found = COND(pred, *values, *moved, true=graphs[0], false=graphs[1])
    return (None, *_spread([w or None for w in wanted], found))


def _chosen(wanted: Sequence[bool], cts: Sequence[Any], values: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [(c, v) for w, c, v in zip(wanted, cts, values, strict=True) if w]


def _cotangents_of(graph: Graph) -> tuple[list[Node], list[Any]]:
    """Nodes for the cotangents of all floating-point outputs, and the cotangents of the inputs."""
    given, cotangents = SUPPLIED["transposed"](graph)
    nodes = [
        symbol(spec_of(o))._node if g is None else g for g, o in zip(given, graph.outputs, strict=True) if _moves(o)
    ]
    return nodes, cotangents


def _cond_jvp(tangents: Any, out: Any, pred: Any, /, *values: Any, true: Graph, false: Graph) -> Any:
    moving = [i for i, t in enumerate(tangents[1:]) if t is not None]
    branches = [SUPPLIED["pushed"](b, moving) for b in (true, false)]
    wanted = [any(t[i] is not None for _, t in branches) for i in range(len(true.outputs))]
    graphs = [
        Graph(
            (*b.inputs, *_only(given, given)),
            [zeros_of(o) if t is None else t for t, o in _chosen(wanted, ts, true.outputs)],
        )
        for b, (given, ts) in zip((true, false), branches, strict=True)
    ]
    found = COND(pred, *values, *[tangents[1 + i] for i in moving], true=graphs[0], false=graphs[1])
    return tuple(_spread([w or None for w in wanted], found))


COND = Op(
    "cond", _cond, family="control", namespace="hidden", promotes=(), results=tuple,
    prepare=_params_given, infer=_cond_spec,
    saves="pred values", vjp=_cond_vjp, jvp=_cond_jvp, doc="One of two graphs, as a value decides.",
)  # fmt: skip


# --- scan ------------------------------------------------------------------------------------------
# Inputs: constants, carries, then arrays with a leading axis of `length`. The body takes constants, carries
# and one slice of each array, and gives carries, then what is stacked.


def _scan(*values: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> Any:
    fixed, carry = values[:constants], list(values[constants : constants + carries])
    arrays = values[constants + carries :]
    stacked = [np.empty((length, *o.shape), o.dtype) for o in body.outputs[carries:]]
    for i in range(length - 1, -1, -1) if reverse else range(length):
        out = body(*fixed, *carry, *[x[i] for x in arrays])
        carry = out[:carries]
        for target, y in zip(stacked, out[carries:], strict=True):
            target[i] = y
    return (*carry, *stacked)


def _scan_spec(*specs: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool) -> Any:
    ends = [spec_of(o) for o in body.outputs]
    return (*ends[:carries], *(Spec((length, *s.shape), s.dtype) for s in ends[carries:]))


def _scan_vjp(
    g: Any, out: Any, /, *values: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool
) -> Any:
    """Forward once more, keeping what the derivative needs, then a scan the other way over the body's transpose.

    The step of that scan takes the cotangents of the carries going out to those of the carries coming in,
    adds up the cotangents of the constants, and gives out those of the slices. `SUPPLIED["residuals"]` says
    what is kept of a forward step. A carry that counts is not kept: it is counted back.
    """
    first, last = constants, constants + carries
    entering = body.inputs[first:last]
    counters = {c: n for c, end in zip(entering, body.outputs, strict=False) if (n := _counts(c, end)) is not None}

    given, cotangents = SUPPLIED["transposed"](body)
    moves = [_moves(c) or None for c in entering]
    of_constants, of_carries, of_arrays = cotangents[:first], cotangents[first:last], cotangents[last:]
    sums = [symbol(c.spec) for c in _only(of_constants, body.inputs[:first])]
    totals = [
        add(total, edge(c) if isinstance(c, Node) else c)._node
        for total, c in zip(sums, _only(of_constants, of_constants), strict=True)
    ]
    incoming = _with_zeros(zip(_only(moves, of_carries), _only(moves, entering), strict=True))
    given_carries = [
        symbol(c.spec)._node if node is None else node
        for node, c in zip(_only(moves, given[:carries]), _only(moves, entering), strict=True)
    ]
    given_slices = _only(given[carries:], given[carries:])
    results = [*incoming, *totals, *_only(of_arrays, of_arrays)]

    late = [*given_carries, *[s._node for s in sums], *given_slices]
    kept = SUPPLIED["residuals"](results, late, body.inputs[:first], [*body.inputs[last:], *counters])
    history: Sequence[Any] = ()
    if kept:
        saving = Graph(body.inputs, [*body.outputs[:carries], *kept])
        params = {"constants": constants, "carries": carries, "length": length}
        history = SCAN(*values, body=saving, reverse=reverse, **params)[carries:]
    after = {c: symbol(c.spec) for c in counters}
    images = {k: symbol(k.spec)._node for k in kept}
    images.update((c, subtract(after[c], n)._node) for c, n in counters.items())
    back = Graph(
        [*body.inputs[:first], *late[: len(given_carries) + len(sums)], *[t._node for t in after.values()],
         *kept, *body.inputs[last:], *given_slices],
        [*results[: len(incoming) + len(sums)], *counters, *results[len(incoming) + len(sums) :]],
    )  # fmt: skip
    ends = [add(values[first + i], length * counters[c]) for i, c in enumerate(entering) if c in counters]
    start = [*_only(moves, g[:carries]), *[zeros_of(s) for s in sums], *ends]
    found = SCAN(
        *values[:first], *start, *history, *values[last:], *_only(given[carries:], g[carries:]),
        body=rewritten(back, images=images), constants=constants, carries=len(start), length=length,
        reverse=not reverse,
    )  # fmt: skip
    n, m = len(incoming), len(incoming) + len(sums)
    return (
        *_spread(of_constants, found[n:m]),
        *_spread(moves, found[:n]),
        *_spread(of_arrays, found[len(start) :]),
    )


def _counts(carry: Node, end: Any) -> Any:
    """The number by which an integer carry grows in each step; None where it does anything else."""
    if isinstance(end, Node) and end.op is add and end.inputs and carry.dtype.char in INTEGER:
        one, other = end.inputs
        step = other if one is carry else one
        if not isinstance(step, Node) and getattr(step, "shape", ()) == () and carry in (one, other):
            return step
    return None


def _scan_jvp(
    tangents: Any, out: Any, /, *values: Any, body: Graph, constants: int, carries: int, length: int, reverse: bool
) -> Any:
    """A scan over the body and its tangent side by side."""
    first, last = constants, constants + carries
    moving = [i for i, n in enumerate(body.inputs) if _moves(n) and (first <= i < last or tangents[i] is not None)]
    given, moved = SUPPLIED["pushed"](body, moving)
    in_carry = [_moves(n) or None for n in body.inputs[first:last]]
    out_carry = _with_zeros(zip(moved[:carries], body.outputs[:carries], strict=True))
    both = Graph(
        [*body.inputs[:first], *_only(given[:first], given[:first]),
         *body.inputs[first:last], *_only(given[first:last], given[first:last]),
         *body.inputs[last:], *_only(given[last:], given[last:])],
        [*body.outputs[:carries], *_only(in_carry, out_carry),
         *body.outputs[carries:], *_only(moved[carries:], moved[carries:])],
    )  # fmt: skip
    parts = [
        [i for i in moving if i < first],
        [i for i in moving if first <= i < last],
        [i for i in moving if i >= last],
    ]
    found = SCAN(
        *values[:first], *_filled(tangents, values, parts[0]),
        *values[first:last], *_filled(tangents, values, parts[1]),
        *values[last:], *_filled(tangents, values, parts[2]),
        body=both, constants=first + len(parts[0]), carries=carries + len(parts[1]), length=length, reverse=reverse,
    )  # fmt: skip
    stop = carries + len(parts[1])
    stacked = len(body.outputs) - carries
    return (*_spread(in_carry, found[carries:stop]), *_spread(moved[carries:], found[stop + stacked :]))


SCAN = Op(
    "scan", _scan, family="control", namespace="hidden", promotes=(), results=tuple,
    prepare=_params_given, infer=_scan_spec,
    saves="values", vjp=_scan_vjp, jvp=_scan_jvp,
    doc="A graph applied along the leading axis of arrays, its first results carried on.",
)  # fmt: skip


# --- while -----------------------------------------------------------------------------------------
# Inputs: constants of the test, constants of the body, carries. The test takes its constants and the
# carries, the body its own and the carries.


def _while(*values: Any, test: Graph, body: Graph, constants: tuple[int, int]) -> Any:
    first, last = constants[0], sum(constants)
    asked, fixed, carry = values[:first], values[first:last], values[last:]
    while test(*asked, *carry)[0]:
        carry = body(*fixed, *carry)
    return tuple(carry)


def _while_spec(*specs: Any, test: Graph, body: Graph, constants: tuple[int, int]) -> Any:
    return tuple(spec_of(o) for o in body.outputs)


def _while_vjp(g: Any, out: Any, /, *values: Any, **params: Any) -> Any:
    raise GradientError(
        "while_loop has no reverse-mode derivative in a graph: the number of steps is not known when the graph is "
        "made, so there is no room to keep the carries. Use fori_loop or scan, which have a known number of steps, "
        "or forward mode (jvp)."
    )


def _while_jvp(tangents: Any, out: Any, /, *values: Any, test: Graph, body: Graph, constants: tuple[int, int]) -> Any:
    first, last = constants[0], sum(constants)
    count = len(values) - last
    fixed = [i for i in range(first, last) if tangents[i] is not None]
    inner = last - first
    moves = [_moves(n) or None for n in body.inputs[inner:]]
    carried = [i for i in range(last, len(values)) if moves[i - last]]
    given, moved = SUPPLIED["pushed"](body, [i - first for i in (*fixed, *carried)])
    outputs = _with_zeros(zip(moved, body.outputs, strict=True))
    both = Graph(
        [
            *body.inputs[:inner],
            *_only(given[:inner], given[:inner]),
            *body.inputs[inner:],
            *_only(moves, given[inner:]),
        ],
        [*body.outputs, *_only(moves, outputs)],
    )  # fmt: skip
    unused = [symbol(n.spec)._node for n in _only(moves, body.inputs[inner:])]
    found = WHILE(
        *values[:last], *_filled(tangents, values, fixed), *values[last:], *_filled(tangents, values, carried),
        test=Graph([*test.inputs, *unused], test.outputs), body=both, constants=(first, inner + len(fixed)),
    )  # fmt: skip
    return tuple(_spread(moves, found[count:]))


WHILE = Op(
    "while_loop", _while, family="control", namespace="hidden", promotes=(), results=tuple,
    prepare=_params_given, infer=_while_spec,
    saves="values", vjp=_while_vjp, jvp=_while_jvp, doc="A graph applied again and again, while another says so.",
)  # fmt: skip
