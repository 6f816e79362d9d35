"""A node of a graph, run in a library: its twin, or that of each op that a custom function is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.custom import CustomOp
from ..base.config import enable_grad, settings
from ..base.dtypes import WEAK
from ..explain.flatten import flattened
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.opdef import OpDef
from ..graph.tensor import Tensor, edge, leaf_node, wrap
from ..graph.walk import ancestors
from .libraries import Library, Pull, moves
from .twins import TWINS, Without

Function = Callable[..., Any]

#: Of what several results of an op are fixed only up to a phase: the vectors that are columns, and those that are rows.
_PHASES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "eigh": ((1,), ()),
    "eig": ((1,), ()),
    "svd": ((0,), (2,)),
}


class Ran(NamedTuple):
    """What a library gave for a node."""

    outs: list[Any]
    pull: Pull


class NoTwin(Exception):
    """A node that a library cannot run; the message says why."""


def run(library: Library, op: OpDef, values: Sequence[Any], params: dict[str, Any], ours: Sequence[Any]) -> Ran:
    """One op in a library, on these values for its inputs.

    Args:
        ours: what it gives here; where results are fixed up to a phase only, theirs get the phase of these.

    Raises:
        NoTwin: it has none there, or the library refuses.
    """
    args = [_as_array(x, values) for x in values]
    wanted = [moves(x) and op.nondiff is None and not op.stops for x in values]
    f = function_of(library, op, args, params)
    try:
        if op.name in _PHASES:
            f = _in_phase(f, library, op, args, ours)
        return Ran(*library.run(f, args, wanted))
    except library.failures as problem:
        raise NoTwin(f"{library.title} cannot run it: {_first_line(problem)}") from problem


def pulled(library: Library, ran: Ran, cotangents: Sequence[Any]) -> list[Any]:
    """The cotangents of a node's inputs, by the library.

    Raises:
        NoTwin: the library has no derivative of it.
    """
    try:
        return ran.pull(cotangents)
    except library.failures as problem:
        raise NoTwin(f"{library.title} cannot differentiate it: {_first_line(problem)}") from problem


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def _as_array(x: Any, among: Sequence[Any]) -> Any:
    """A plain number as an array of the dtype of the numbers beside it."""
    if type(x) not in WEAK or isinstance(x, bool):
        return x
    for other in among:
        kind = other.dtype.kind if isinstance(other, (np.ndarray, np.generic)) else "b"
        if kind in "fc" or (kind != "b" and isinstance(x, int)):
            return np.asarray(x, other.dtype)
    return np.asarray(x)


def function_of(library: Library, op: OpDef, args: Sequence[Any], params: dict[str, Any]) -> Function:
    """What computes an op in a library, from arrays of that library.

    Raises:
        NoTwin: there is none.
    """
    if isinstance(op, CustomOp):
        return _of_custom(library, op, args, params)
    twin = TWINS.get(op.name) if op.family != "custom" else None
    if twin is None:
        raise NoTwin(f"{op.name} is an op of your own that only NumPy can run")
    f = twin.function(library)
    if f is None:
        entry = twin.entry(library)
        raise NoTwin(entry.reason if isinstance(entry, Without) else "")
    return lambda *xs: f(*xs, **params)


def _of_custom(library: Library, op: CustomOp, args: Sequence[Any], params: dict[str, Any]) -> Function:
    """The function itself, op by op; its rule is left aside, so that the library's own derivative is compared."""
    tensors = [edge(leaf_node(x)) if moves(x) else wrap(x) for x in args]
    with settings(keep_values=True), enable_grad(), np.errstate(all="ignore"):
        flat = flattened(op.definition.recorded(tensors, params["application"]))
    order = ancestors([y.node for y in flat.outputs if y.node is not None])
    functions = {
        n: function_of(library, n.op, [_value(x) for x in n.inputs or ()], n.params)
        for n in order if n.inputs and n.op is not PICK
    }  # fmt: skip

    def twin(*xs: Any) -> Any:
        known: dict[Node, Any] = {t.node: x for t, x in zip(tensors, xs, strict=True) if t.node is not None}
        for n in order:
            if n in known:
                continue
            if n not in functions and n.op is not PICK:
                known[n] = _constant(library, n.value)
                continue
            inputs = [
                known[x] if isinstance(x, Node) else _constant(library, _as_array(x, [n.like])) for x in n.inputs or ()
            ]
            known[n] = inputs[0][n.params["index"]] if n.op is PICK else functions[n](*inputs)
        return tuple(known[y.node] if y.node is not None else _constant(library, y.value) for y in flat.outputs)

    return twin


def _constant(library: Library, x: Any) -> Any:
    if not isinstance(x, (np.ndarray, np.generic)):
        return x
    m = library.module
    if library.name == "torch":
        return m.from_numpy(np.array(x))
    return m.numpy.asarray(x) if library.name == "jax" else m.constant(x)


def _value(x: Any) -> Any:
    return x.value if isinstance(x, (Node, Tensor)) else x


def _in_phase(f: Function, library: Library, op: OpDef, args: Sequence[Any], ours: Sequence[Any]) -> Function:
    """The same with its vectors multiplied by the phases that bring them to ours."""
    theirs, _ = library.run(f, args, [False] * len(args))
    columns, rows = _PHASES[op.name]
    (first, *_) = columns
    overlap = np.sum(np.conj(theirs[first]) * ours[first], axis=-2)
    phases = np.where(np.abs(overlap) > 0, overlap / np.where(overlap == 0, 1, np.abs(overlap)), 1)
    phases = phases.astype(theirs[first].dtype)

    def turned(*xs: Any) -> Any:
        outs = list(f(*xs))
        for i in columns:
            outs[i] = outs[i] * _constant(library, phases[..., None, :])
        for i in rows:
            k, n = phases.shape[-1], theirs[i].shape[-2]
            back = np.ones((*phases.shape[:-1], n), phases.dtype)
            back[..., : min(k, n)] = np.conj(phases[..., : min(k, n)])
            outs[i] = outs[i] * _constant(library, back[..., :, None])
        return tuple(outs)

    return turned
