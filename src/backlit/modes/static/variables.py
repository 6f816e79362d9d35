"""Where values come into a static graph and stay: placeholders, constants, variables and their assignment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...base.dtypes import as_dtype
from ...base.errors import ArgumentError, DtypeError, GraphError, ShapeError
from ...base.shapes import as_index
from ...base.trees import leaves
from ...graph.bind import enter
from ...graph.defer import defer, is_static
from ...graph.infer import UNKNOWN
from ...graph.node import Node
from ...graph.opdef import OPS, OpDef, Spec
from ...graph.tensor import Tensor, as_value, edge
from .feeds import as_fed, compatible
from .graph import Graph, get_default_graph

_ENDS = "differentiation ends where a value comes in"


def _kind(name: str, doc: str) -> OpDef:
    return OpDef(name, lambda *values: values[0] if values else None, nondiff=_ENDS, traits="stops", doc=doc)


PLACEHOLDER = _kind("placeholder", "A value fed anew in every run.")
CONSTANT = _kind("constant", "A value fixed when the graph is built.")
VARIABLE = _kind("variable", "A value that a session keeps from run to run.")
ASSIGN = _kind("assign", "The new value of a variable, from the end of the run on.")
GROUP = _kind("group", "Several things to be computed, without a value of its own.")


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value is given in each `Session.run`, in `feed_dict`.

    Args:
        dtype: its dtype.
        shape: its shape, with None for sizes known only when it is fed; None for any shape at all.
        name: a name for messages.
    """
    return edge(enter(get_default_graph(), PLACEHOLDER, (), {}, Spec(_open_shape(shape), as_dtype(dtype)), name))


def placeholder_with_default(value: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A placeholder that is `value` (an array or a number) in runs that do not feed it."""
    array = as_value(value, copy=True)
    wanted = array.shape if shape is None else _open_shape(shape)
    if not compatible(array.shape, wanted):
        raise ShapeError(f"placeholder_with_default: the default has shape {array.shape}, expected {wanted}.")
    params = {"default": array}
    return edge(enter(get_default_graph(), PLACEHOLDER, (), params, Spec(wanted, array.dtype), name))


def _open_shape(shape: Any) -> Any:
    if shape is None:
        return UNKNOWN
    sizes = tuple(
        None if s is None else as_index(s, "a size", "placeholder")
        for s in (shape if isinstance(shape, Iterable) else (shape,))
    )
    if any(s is not None and s < 0 for s in sizes):
        raise ShapeError(f"placeholder: shape {sizes} has a negative size; write None for a size known when fed.")
    return sizes


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of the graph with a fixed value; with `shape`, the value repeated to fill that shape."""
    if is_static(value):
        raise ArgumentError(f"constant: {value.node.label} is a tensor of a graph already; use it as it is.")
    array = as_value(value, dtype, copy=True)
    if shape is not None:
        array = np.broadcast_to(array, tuple(shape)).copy()
    return edge(enter(get_default_graph(), CONSTANT, (array,), {}, Spec(array.shape, array.dtype), name))


def identity(x: Any, name: str | None = None) -> Tensor:
    """The same value under a name of its own, for messages, drawings and fetching by name."""
    x = x if is_static(x) else constant(x)
    same = OPS["copy"].public(x)
    if name is not None:
        same.node.graph.rename(same.node, name)
    return same


def shape(x: Any) -> Tensor:
    """The shape of a tensor when it is fed, as an int64 tensor; `x.shape` is what is known of it before."""
    x = x if is_static(x) else constant(x)
    return defer("shape", lambda t: np.array(t.shape, np.int64), (x,), {})


# --- variables -----------------------------------------------------------------------------------------


class Variable(Tensor):
    """A tensor whose value a `Session` keeps from run to run, and assignments change.

    Reading it gives the value from before the run: assignments of one run take effect at its end.

    Args:
        initial_value: an array, a number, a Tensor, a tensor of the graph, or a function returning one of these.
        dtype: its dtype; by default that of the initial value.
        name: a name for messages and for `Saver`.
        trainable: do optimizers change it?
    """

    __slots__ = ("initializer", "trainable")

    def __init__(self, initial_value: Any, dtype: Any = None, name: str | None = None, trainable: bool = True) -> None:
        initial: Any = initial_value() if callable(initial_value) else initial_value
        if is_static(initial):
            graph: Graph = initial.node.graph
            if None in initial.shape:
                raise ShapeError(
                    f"Variable: the initial value {initial.node.label} has shape {initial.shape}; "
                    "a variable's shape is fixed, so every size must be known."
                )
            if dtype is not None and initial.dtype != as_dtype(dtype):
                initial = initial.astype(dtype)
        else:
            graph = get_default_graph()
            initial = as_value(initial.numpy() if isinstance(initial, Tensor) else initial, dtype, copy=True)
        self.value = None
        self._grad = None
        self.node = enter(graph, VARIABLE, (), {}, Spec(initial.shape, initial.dtype), name)
        self.trainable = trainable
        #: The assignment of the initial value.
        self.initializer = _assign(self, initial, f"{self.node.name}/initial".removeprefix(graph._scope))
        graph.variables.append(self)

    def assign(self, value: Any) -> Tensor:
        """A tensor that, when fetched, makes `value` this variable's value at the end of the run."""
        return _assign(self, self._operand(value, "assign"), None)

    def assign_add(self, delta: Any) -> Tensor:
        """`assign(self + delta)`."""
        return _assign(self, self + self._operand(delta, "assign_add"), None)

    def assign_sub(self, delta: Any) -> Tensor:
        """`assign(self - delta)`."""
        return _assign(self, self - self._operand(delta, "assign_sub"), None)

    def load(self, value: Any, session: Any) -> None:
        """Set the value in a session at once."""
        session.load({self: value})

    def _operand(self, value: Any, how: str) -> Any:
        return value if is_static(value) else as_fed(value, self.dtype, f"{how} to {self._node.label}")

    def _become(self, other: Tensor, how: str) -> Tensor:
        raise GraphError(
            f"{how}: {self._node.label} is a variable of a static graph; write step = v.assign(...) "
            "(or assign_add, assign_sub) and run the step in a Session."
        )


def _assign(variable: Variable, value: Any, name: str | None) -> Tensor:
    target = variable._node
    if value.dtype != target.dtype:
        raise DtypeError(
            f"assign to {target.label}: expected {target.dtype.name}, got {value.dtype.name}; "
            f"convert with .astype({target.dtype.name!r})."
        )
    if not compatible(value.shape, target.shape):
        raise ShapeError(f"assign to {target.label}: expected shape {target.shape}, got {value.shape}.")
    if isinstance(value, Tensor):
        source = value._node
        if source.graph is not target.graph:
            raise GraphError(f"assign: {target.label} and {source.label} belong to two different graphs.")
    else:
        source = value
    return edge(enter(target.graph, ASSIGN, (source,), {"variable": target}, target.spec, name))


def assign(variable: Variable, value: Any) -> Tensor:
    """`variable.assign(value)`."""
    return variable.assign(value)


def assign_add(variable: Variable, delta: Any) -> Tensor:
    """`variable.assign_add(delta)`."""
    return variable.assign_add(delta)


def assign_sub(variable: Variable, delta: Any) -> Tensor:
    """`variable.assign_sub(delta)`."""
    return variable.assign_sub(delta)


def global_variables() -> list[Variable]:
    """The variables of the default graph."""
    return list(get_default_graph().variables)


def trainable_variables() -> list[Variable]:
    """The variables of the default graph that optimizers change."""
    return [v for v in get_default_graph().variables if v.trainable]


# --- things to do -----------------------------------------------------------------------------------------


class Operation:
    """Something to be run for what it does, such as a step of training; fetching it gives None."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def name(self) -> str | None:
        return self.node.name

    @property
    def graph(self) -> Graph:
        return self.node.graph

    def __repr__(self) -> str:
        return f"<operation {self.node.label}>"


def group(*inputs: Any, name: str | None = None) -> Operation:
    """One operation that runs all `inputs`: tensors, operations, or trees of them."""
    nodes: list[Node] = []
    for x in leaves(inputs):
        if not isinstance(x, Operation) and not is_static(x):
            raise ArgumentError(f"group: expected tensors and operations of a static graph, got {type(x).__name__}.")
        nodes.append(x.node)
    graph = nodes[0].graph if nodes else get_default_graph()
    for node in nodes:
        if node.graph is not graph:
            raise GraphError(f"group: {node.label} and {nodes[0].label} belong to two different graphs.")
    return Operation(enter(graph, GROUP, tuple(nodes), {}, Spec((), as_dtype("bool")), name))


def variables_initializer(var_list: Sequence[Variable], name: str = "init") -> Operation:
    """An operation that gives these variables their initial values."""
    return group(*[v.initializer for v in var_list], name=name)


def global_variables_initializer() -> Operation:
    """An operation that gives all variables made so far in the default graph their initial values."""
    return variables_initializer(global_variables())
