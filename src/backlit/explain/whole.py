"""`whole_tape`: a Tape in which what has no derivative stands too: comparisons, `stop_gradient`, `no_grad` blocks.

A Tensor that was computed eagerly has lost these. A function is traced, so that nothing of it is lost, and what was
traced is computed; one that must know values (`if x > 0`) is simply called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base.config import enable_grad
from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, GraphError
from ..base.trees import leaves, leaves_with_paths, rebuild
from ..graph.closure import as_tensor, reached_outside, spec_of
from ..graph.graph import Graph
from ..graph.node import Node, mark
from ..graph.tensor import LEAF, Tensor, edge, leaf_node, symbol, wrap
from ..modes.compile import Compiled
from ..modes.static.session import Session
from ..nn import Layer
from ..ops.random import key as random_key
from .flatten import flattened
from .running import goal_for
from .tape import Tape, argument_names, no_tensor, tape_of


def whole_tape(
    y: Any, *args: Any, wrt: Sequence[Any] = (), cotangent: Any = None, feed_dict: Mapping[Any, Any] | None = None,
    session: Session | None = None, names: Mapping[str, Any] | None = None, where: str = "explain",
) -> Tape:  # fmt: skip
    """The Tape of a value, as `tape_of` makes it, with all that was computed on the way.

    >>> import backlit as bl
    >>> tape = whole_tape(lambda w: (w * bl.stop_gradient(w)).sum(), bl.tensor([1.0, 2.0]))
    >>> [(tape.name(n), n.op.name) for n in tape.nodes]
    [('w', 'leaf'), ('h1', 'stop_gradient'), ('h2', 'multiply'), ('h3', 'sum')]
    """
    if callable(y) and not isinstance(y, Tensor):
        try:
            found = _traced(y.function if isinstance(y, Compiled) else y, args, where)
        except GraphError:  # it asks for a value
            found = None
        if found is not None:
            graph, values, known = found
            named = {x.node: path for path, x in _tensors(names) if x.node is not None}
            return Tape(flattened((), graph, values, whole=True), cotangent, named | known, where=where)
    return tape_of(
        y, *args, wrt=wrt, cotangent=cotangent, feed_dict=feed_dict, session=session, names=names, where=where,
        whole=True,
    )  # fmt: skip


def _tensors(names: Mapping[str, Any] | None) -> list[tuple[str, Tensor]]:
    every = [pair for name, x in (names or {}).items() for pair in leaves_with_paths(x, name)]
    return [(path, x) for path, x in every if isinstance(x, Tensor)]


def _traced(
    function: Callable[..., Any], args: Sequence[Any], where: str
) -> tuple[Graph, list[Tensor], dict[Node, str]] | None:
    """The graph of a function with the values of its inputs, and the names of these. None where the result depends on
    nothing, or the function closes over what was computed outside.
    """
    start = mark()
    inputs: list[Node] = []
    values: list[Tensor] = []
    known: dict[Node, str] = {}
    new: list[Any] = []
    for name, arg in zip(argument_names(function, len(args)), args, strict=True):
        entered: list[Any] = []
        for path, x in leaves_with_paths(arg, name):
            if isinstance(x, (str, bytes, bool, int)) or callable(x) or x is None:
                entered.append(x)
                continue
            t = as_tensor(x)
            if t.value is None:
                raise ArgumentError(f"{where}: {path} has no value; explain the outer function itself.")
            traced = symbol(spec_of(t), path)
            if t.dtype.char in FLOAT:
                value = t if t.node is not None and t.node.op is LEAF else edge(leaf_node(t.value, name=path))
                known[value._node] = path
            else:
                value = wrap(t.value)
            entered.append(traced)
            inputs.append(traced._node)
            values.append(value)
        new.append(rebuild(arg, iter(entered)))
    with enable_grad():
        found = leaves(function(*new))
    if not found or not isinstance(found[0], Tensor):
        raise no_tensor(found, where)
    y = found[0]
    if y.node is None:
        return None
    outside = reached_outside([y.node], set(inputs), start)
    if any(n.op is not LEAF or n.value is None for n in outside):
        return None
    return Graph([*inputs, *outside], [y.node]), [*values, *map(edge, outside)], known


def objective_of(model: Layer, loss: Any, batch: Sequence[Any]) -> Callable[..., Any]:
    """The function `objective(params, *batch)`: the loss of a network in training; `loss` as `fit` calls it."""
    goal = goal_for(model, loss, batch)

    def objective(params: Any, *batch: Any) -> Any:
        inputs, targets, _ = goal.opened(batch)
        out, _ = model.apply({**params, **model.state()}, *inputs, training=True, key=random_key(0))
        return goal.loss(out, targets)

    return objective
