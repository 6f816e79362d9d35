"""`bind`: apply an op to inputs, now where they have values, later where they have none. The one way to make a node."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..base.config import config, recording
from ..base.dtypes import BOOL, FLOAT, WEAK, DType, promote, scalar_dtype
from ..base.errors import BacklitError, DtypeError, GraphError, shown
from .infer import explain_failure, infer
from .node import Node, caller
from .opdef import OPS, PUBLIC, OpDef, Spec
from .seal import seal
from .tensor import Tensor, as_value, edge, no_value, wrap

_recording = recording.get
_NUMPY = (np.ndarray, np.generic)


def any_tensor(inputs: Sequence[Any]) -> bool:
    """Is any of these a Tensor?"""
    for x in inputs:  # noqa: SIM110 (a loop takes half the time of any())
        if isinstance(x, Tensor):
            return True
    return False


def bind(op: OpDef, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """Apply `op` to Tensors, arrays and numbers. Always returns Tensors (a tuple of them for several outputs).

    With values at hand the op's kernel runs at once, and a node is recorded where an input is
    differentiable; where an input has no value, a node is all that is made.
    """
    values: list[Any] = []
    tracked = False
    for x in inputs:
        if isinstance(x, Tensor):
            if x.node is not None:
                tracked = True
                if x.value is None:
                    return bind_symbolic(op, inputs, params)
            values.append(x.value)
        elif type(x) in WEAK or x is None:
            values.append(x)
        elif isinstance(x, (list, tuple)):  # of Tensors, perhaps, which must stay differentiable
            return bind(op, [PUBLIC["asarray"](v) if isinstance(v, (list, tuple)) else v for v in inputs], params)
        else:
            values.append(_constant(op, x))
    casts = meet(op, values)
    if casts is not None:
        inputs = [_cast(x, v, d) for x, v, d in zip(inputs, values, casts, strict=True)]
        values = [x.value if isinstance(x, Tensor) else x for x in inputs]
    try:
        out = op.eval(*values, **params)
    except BacklitError:
        raise
    except Exception as problem:
        explain_failure(op, values, params, problem)
    if tracked and not op.unrecorded and (origin := _recording()):
        return record(op, inputs, values, params, out, origin)
    if op.results is not None:
        return op.results(*map(wrap, out)) if op.results is not tuple else tuple(map(wrap, out))
    return wrap(out)


def record(
    op: OpDef, inputs: Sequence[Any], values: Sequence[Any], params: dict[str, Any], out: Any, origin: Any
) -> Any:
    """The Tensor of an op just computed, with its node: the tape is the graph."""
    if op.nondiff is not None and op.results is None and out.dtype.char not in FLOAT:
        return wrap(out)
    sources: list[Any] = []
    settings = config.get()
    keep = settings.keep_values
    for i, (x, v) in enumerate(zip(inputs, values, strict=True)):
        node = x.node if isinstance(x, Tensor) else None
        if node is None:
            sources.append(v)
        else:
            sources.append(node)
            if node.value is None and (keep or op.saves_input(i)):
                node.value = v
    several = op.results is not None
    kept = out if op.saves_out or keep else None
    if several:
        like: Any = tuple(Spec(o.shape, o.dtype) for o in out)
    else:
        like = Spec(out.shape, out.dtype) if kept is None else out
    node = Node(op, tuple(sources), params, kept, like, caller(), origin)
    if settings.check:
        node.seal = seal(op, values, out)
    if op.results is not None:
        picked = [
            wrap(o, Node(PICK, (node,), {"index": i}, o if keep else None, like[i], node.place, origin))
            if o.dtype.char in FLOAT else wrap(o)
            for i, o in enumerate(out)
        ]  # fmt: skip
        return tuple(picked) if op.results is tuple else op.results(*picked)
    return wrap(out, node)


PICK = OpDef(
    "pick",
    lambda outputs, /, *, index: outputs[index],
    doc="One output of an op that has several.",
    transpose=lambda g, outputs, *, index: (g,),
    saves="",
)


# --- values that are not there yet -----------------------------------------------------------------


def bind_symbolic(op: OpDef, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """A node for an op whose inputs have no values yet, its shape and dtype inferred."""
    graph = graph_of(op.name, inputs)
    if graph is not None and graph.stage is not None:
        return bind(op, [graph.stage.image(x) for x in inputs], params)
    if "eager_only" in op.traits:
        unknown = next(x for x in inputs if isinstance(x, Tensor) and x.value is None)
        raise no_value(
            unknown._node, f"{op.name}: its shape depends on values",
            "Use an operation whose shape is known, such as bl.where with a mask, or call it outside",
        )  # fmt: skip
    items = [x if isinstance(x, Tensor) or type(x) in WEAK or x is None else _constant(op, x) for x in inputs]
    casts = meet(op, items)
    if casts is not None:
        items = [_cast(x, x, d) for x, d in zip(items, casts, strict=True)]
    spec = infer(op, items, params)
    sources: list[Any] = []
    for x in items:
        if not isinstance(x, Tensor):  # what a static graph keeps must not change under it
            sources.append(x.copy() if graph is not None and isinstance(x, np.ndarray) else x)
        elif x.node is None or (graph is not None and x.value is not None):
            sources.append(x.value)
        elif graph is not None and x.node.graph is None:
            raise GraphError(
                f"{op.name}: {x.node.label} belongs to a function being traced, another input to a static graph; "
                "give the function the tensor of the static graph as an argument."
            )
        else:
            sources.append(x.node)
    node = enter(graph, op if _recording() else _cut(op, op.native, IN_NO_GRAD), tuple(sources), params, spec)
    if op.results is None:
        return edge(node)
    picked = [edge(enter(graph, PICK, (node,), {"index": i}, s)) for i, s in enumerate(spec)]
    return tuple(picked) if op.results is tuple else op.results(*picked)


def graph_of(name: str, inputs: Sequence[Any]) -> Any:
    """The static graph that these inputs belong to, if any; they must not belong to two."""
    graph = None
    for x in inputs:
        if isinstance(x, Tensor) and x.node is not None and (own := x.node.graph) is not None:
            if graph is not None and own is not graph:
                raise GraphError(
                    f"{name}: its inputs belong to two different graphs; {x.node.label} is not of the graph of "
                    "the others. Build all of them under one `with graph.as_default():`."
                )
            graph = own
    return graph


def enter(
    graph: Any, op: OpDef, inputs: tuple[Any, ...], params: dict[str, Any], like: Any, name: str | None = None
) -> Node:
    """A new node without a value, entered in its static graph if it belongs to one."""
    node = Node(op, inputs, params, None, like, caller(), _recording() or None)
    node.name = name
    if graph is not None:
        node.graph = graph
        graph.enter(node)
    return node


#: Why no derivative passes an op inside `no_grad()`.
IN_NO_GRAD = "it was made inside no_grad()"


def without_derivative(op: OpDef) -> OpDef:
    """The same op, and no derivative passes."""
    return _cut(op, op.native, op.nondiff or "what it computes is a constant here")


@lru_cache(1024)
def _cut(op: OpDef, native: Any, reason: str) -> OpDef:
    """The op as it stands where no derivative passes, for a reason."""
    if op.stops:
        return op
    twin = OpDef(
        op.name, op.eval, infer=op.infer, dtypes=op.dtypes, promotes=op.promotes, results=op.results, traits="stops",
        nondiff=reason,
    )  # fmt: skip
    twin.family, twin.native = op.family, native
    return twin


# --- dtypes ----------------------------------------------------------------------------------------


def _constant(op: OpDef, x: Any) -> Any:
    if isinstance(x, (*_NUMPY, list, tuple)):
        return as_value(x)
    if hasattr(x, "__array__") or hasattr(x, "__dlpack__"):
        return as_value(np.asarray(x))
    raise DtypeError(
        f"{op.name}: cannot take {shown(x)} ({type(x).__name__}) as an input; give a Tensor, an array or a number."
    )


def meet(op: OpDef, values: Sequence[Any]) -> list[DType | None] | None:
    """Check the dtypes of the inputs; the dtype each must be cast to, or None where all fit as they are."""
    chars, promotes = op.chars, op.promotes
    common: DType | None = None
    clash = weak = False
    for i, v in enumerate(values):
        if type(v) in WEAK:
            weak = True
            continue
        if v is None or (promotes is not None and i not in promotes):
            continue
        d = v.dtype
        if common is None:
            common = d
        elif d is not common and d != common:
            clash = True
    if not clash and not weak and (common is None or common.char in chars):
        return None
    if clash:
        common = promote(*[
            v.dtype for i, v in enumerate(values)
            if v is not None and type(v) not in WEAK and (promotes is None or i in promotes)
        ], where=op.name)  # fmt: skip
    target = common
    if weak:
        for i, v in enumerate(values):
            if type(v) in WEAK and (promotes is None or i in promotes):
                found = scalar_dtype(v, target)
                target = found if target is None else promote(target, found, where=op.name)
    if target is not None and target.char not in chars:
        if op.name == "divide" or (
            common is None and op.dtypes.endswith("floating-point") and target.char not in FLOAT
        ):
            target = scalar_dtype(1.0)
        else:
            refuse(op, target)
    casts: list[DType | None] = []
    needed = False
    for i, v in enumerate(values):
        if v is None or (promotes is not None and i not in promotes):
            casts.append(None)
        elif type(v) in WEAK:
            # Beside a Tensor a scalar stays weak; alone it becomes a value.
            casts.append(target if common is None or op.family != "elementwise" else None)
            needed = needed or casts[-1] is not None
        elif v.dtype == target:
            casts.append(None)
        else:
            casts.append(target)
            needed = True
    return casts if needed else None


def refuse(op: OpDef, dtype: DType) -> None:
    """Raise the error for a dtype that the op does not take."""
    if op.dtypes == "boolean":
        mend = "x != 0"
    elif dtype.char in FLOAT:
        mend = "take bl.real(x) or bl.imag(x)" if dtype.kind == "c" and "real" in op.dtypes else "x.astype(bl.int64)"
    else:
        mend = "x.astype(bl.float32)" if dtype.char != BOOL or "floating" in op.dtypes else "x.astype(bl.int64)"
    raise DtypeError(f"{op.name}: expected {op.dtypes} dtypes, got {dtype.name}; convert, for example {mend}.")


def _cast(x: Any, value: Any, dtype: DType | None) -> Any:
    if dtype is None or value is None:
        return x if isinstance(x, Tensor) else value
    if isinstance(x, Tensor):
        return bind(OPS["astype"], (x,), {"dtype": dtype})
    return dtype.type(value) if type(value) in WEAK else np.asarray(value).astype(dtype)


# --- ops made of ops -------------------------------------------------------------------------------


def bind_composite(op: OpDef, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a composite op's result by calling its function, with arrays as Tensors."""
    if op.composite is None:
        raise GraphError(f"op {op.name!r} is not made of other ops.")
    count = len(op.input_names)
    ready = tuple(wrap(_constant(op, a)) if i < count and isinstance(a, _NUMPY) else a for i, a in enumerate(args))
    try:
        out = op.composite(*ready, **kwargs)
    except TypeError:
        op.fits(args, kwargs)
        raise
    return out if isinstance(out, (Tensor, tuple, list)) else wrap(as_value(out))
