"""Ops and gradients of the user's own: `py_func`, `RegisterGradient`, and the override of a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...base.dtypes import DType, as_dtype
from ...base.errors import ArgumentError, GradientError, GraphError, ShapeError
from ...base.shapes import broadcast
from ...base.trees import leaves
from ...graph.bind import bind, bind_symbolic, enter, graph_of
from ...graph.defer import Call, Hole, call_made, is_static, pick_all
from ...graph.infer import infer
from ...graph.node import Node
from ...graph.opdef import OpDef, Rule, Spec
from ...graph.tensor import Tensor, as_value, edge, symbol, wrap
from .feeds import as_fed
from .graph import get_default_graph

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
    >>> @static.RegisterGradient("pass_on")
    ... def _(op, grad):
    ...     return grad
    >>> with static.Graph() as graph, static.Session() as session:
    ...     x = static.placeholder("float32", shape=(2,))
    ...     with graph.gradient_override_map({"exp": "pass_on"}):
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
    name = f"{op.name} with the gradient {rule_name}"  # of its own: it is not the record that the name stands for
    twin = OpDef(name, kernel, infer=shapes, promotes=(), results=op.results, vjp=rule, family="custom")
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
        found: Any = shape(*given) if callable(shape) else shape
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
        family="custom",
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
