"""`gradients`, and derivatives of the user's own: `RegisterGradient`, `py_func`, overriding a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autodiff.reverse import backpropagate
from ...base.dtypes import FLOAT, DType, as_dtype
from ...base.errors import ArgumentError, DtypeError, GradientError, GraphError, ShapeError
from ...base.shapes import broadcast
from ...base.trees import leaves
from ...graph.bind import bind, bind_symbolic, enter, graph_of
from ...graph.defer import Call, Hole, call_made, is_static, pick_all
from ...graph.infer import infer
from ...graph.node import Node
from ...graph.opdef import OpDef, Rule, Spec
from ...graph.tensor import Tensor, as_value, edge, symbol, wrap
from ...ops.arithmetic import add
from ...ops.creation import zeros_of
from .feeds import as_fed, compatible
from .graph import get_default_graph

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


# --- gradients of the user's own -----------------------------------------------------------------------

#: Registered gradients by name.
_REGISTERED: dict[str, Callable[..., Any]] = {}


class RegisterGradient:
    """Decorator: register a gradient `rule(op, grad) -> cotangent of each input` under a name.

    The rule is called with the op (`op.inputs`, `op.outputs`, `op.params`, `op.name`) and the cotangent
    of its output (of each output, where there are several), and returns that of its input (a list of
    them for several, None where there is none). It is used by ops of this name made with `py_func`, and
    by those that `Graph.gradient_override_map` gives it to.

    >>> import backlit as bl
    >>> from backlit import static
    >>> @static.RegisterGradient("straight_through")
    ... def _(op, grad):
    ...     return grad
    >>> with static.Graph() as graph, static.Session() as session:
    ...     x = static.placeholder("float32", shape=(2,))
    ...     with graph.gradient_override_map({"exp": "straight_through"}):
    ...         y = bl.exp(x)
    ...     session.run(static.gradients(y, x), {x: [0.0, 1.0]})
    [array([1., 1.], dtype=float32)]
    """

    def __init__(self, name: str) -> None:
        if name in _REGISTERED:
            raise GraphError(f"RegisterGradient: {name!r} is registered already; choose another name.")
        self.name = name

    def __call__(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        _REGISTERED[self.name] = rule
        return rule


class OpView:
    """What a registered gradient sees of the op it is the gradient of."""

    def __init__(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], params: dict[str, Any]) -> None:
        self.name, self.inputs, self.outputs, self.params = name, list(inputs), list(outputs), params


def _vjp(rule_name: str, op_name: str, params: dict[str, Any]) -> Rule:
    """The registered gradient in the form of a record's vjp."""

    def vjp(g: Any, out: Any, /, *inputs: Any, **_: Any) -> tuple[Any, ...]:
        rule = _REGISTERED.get(rule_name)
        if rule is None:
            raise GradientError(
                f"{op_name} has no gradient: nothing is registered as {rule_name!r}. "
                f'Write @static.RegisterGradient("{rule_name}") above a function (op, grad) -> cotangents.'
            )
        gs, outs = (g, out) if isinstance(g, tuple) else ((g,), (out,))
        inputs = tuple(x if isinstance(x, Tensor) else wrap(as_value(x)) for x in inputs)
        found = rule(OpView(op_name, inputs, outs, params), *(t if isinstance(t, Tensor) else wrap(t) for t in gs))
        found = tuple(found) if isinstance(found, (list, tuple)) else (found,)
        if len(found) != len(inputs):
            raise GradientError(
                f"gradient {rule_name!r} of {op_name} returned {len(found)} cotangents for {len(inputs)} inputs; "
                "return one for each, None where there is none."
            )
        for i, (ct, x) in enumerate(zip(found, inputs, strict=True)):
            if ct is not None and broadcast(tuple(ct.shape), x.shape, where=f"gradient {rule_name!r}") != ct.shape:
                raise ShapeError(
                    f"gradient {rule_name!r} of {op_name}: the cotangent of input {i} has shape {ct.shape}, "
                    f"the input {x.shape}; they must be equal."
                )
        return found

    return vjp


def overridden(node: Node, rule_name: str, tensors: Sequence[Any]) -> Any:
    """Make `node` with a registered gradient in the place of its own rule."""
    op = node.op
    if not isinstance(op, Call):
        twin = OpDef(
            op.name, op.eval, infer=op.infer, dtypes=op.dtypes, promotes=op.promotes, results=op.results,
            family=op.family, vjp=_vjp(rule_name, op.name, node.params),
        )  # fmt: skip
        return bind(twin, tensors, node.params)

    def kernel(*values: Any) -> Any:
        out = [t.value for t in leaves(call_made(node, [wrap(v) for v in values]))]
        return tuple(out) if op.results is not None else out[0]

    def shapes(*specs: Spec) -> Any:
        out = tuple(Spec(t.shape, t.dtype) for t in leaves(call_made(node, [symbol(s) for s in specs])))
        return out if op.results is not None else out[0]

    args, kwargs = node.params["args"]
    public = {f"argument {i}": a for i, a in enumerate(args) if not isinstance(a, Hole)}
    rule = _vjp(rule_name, op.name, {**public, **kwargs})
    twin = OpDef(op.name, kernel, infer=shapes, promotes=(), results=op.results, vjp=rule)
    found = bind(twin, tensors, {})
    return list(found) if op.results is not None else found


class PyFunc(OpDef):
    """The op of a node that calls a Python function of the user's on arrays, in every run."""

    __slots__ = ()


def py_func(
    function: Callable[..., Any], inputs: Sequence[Any], Tout: Any, name: str | None = None, shape: Any = None
) -> Any:
    """An op of the user's own: `function` called on NumPy arrays in every run that needs it.

    Its gradient is the one registered with `RegisterGradient(name)`, if any.

    Args:
        function: takes the values of `inputs` and returns an array (a list of them for several `Tout`).
        inputs: tensors, arrays or numbers.
        Tout: the dtype of the result, or a list of dtypes for several results.
        name: the name of the op; by default that of the function.
        shape: the shape of the result: a tuple, or a function from the shapes of the inputs to one (to a
            list of them for several results). By default the shape that the inputs broadcast to.
    """
    several = isinstance(Tout, (list, tuple))
    dtypes = [as_dtype(t) for t in (Tout if several else [Tout])]
    op_name = name or getattr(function, "__name__", "py_func").strip("<>")

    def shapes(*given: Any) -> list[Any]:
        if shape is None:
            return [broadcast(*given, where=op_name)] * len(dtypes)
        found = shape(*given) if callable(shape) else shape
        return [tuple(s) for s in found] if several else [tuple(found)]

    def rule(*specs: Any) -> Any:
        out = tuple(Spec(s, d) for s, d in zip(shapes(*[s.shape for s in specs]), dtypes, strict=True))
        return out if several else out[0]

    def kernel(*values: Any) -> Any:
        out = function(*values)
        outs = list(out) if several else [out]
        wanted = shapes(*[v.shape for v in values])
        if len(outs) != len(dtypes):
            raise ArgumentError(f"{op_name}: the function returned {len(outs)} results, Tout names {len(dtypes)}.")
        checked = [_checked(o, d, s, op_name) for o, d, s in zip(outs, dtypes, wanted, strict=True)]
        return tuple(checked) if several else checked[0]

    op = PyFunc(
        op_name, kernel, infer=rule, promotes=(), results=tuple if several else None, vjp=_vjp(op_name, op_name, {}),
    )  # fmt: skip
    items = [x if is_static(x) else as_value(x.numpy() if isinstance(x, Tensor) else x, copy=True) for x in inputs]
    graph = graph_of(op_name, items) or get_default_graph()
    if graph.stage is not None:
        return bind_symbolic(op, [graph.stage.image(x) for x in items], {})
    like = infer(op, items, {})
    node = enter(graph, op, tuple(x.node if isinstance(x, Tensor) else x for x in items), {}, like)
    return pick_all(graph, node) if several else edge(node)


def _checked(out: Any, dtype: DType, shape: tuple[int, ...], where: str) -> Any:
    value = as_fed(out, dtype, f"result of {where}")
    if value.shape != shape:
        raise ShapeError(
            f"{where}: the function returned shape {value.shape}, expected {shape}; "
            "give py_func the shape it returns, or a function from the shapes of the inputs to it."
        )
    return value
