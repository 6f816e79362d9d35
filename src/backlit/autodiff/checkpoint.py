"""`checkpoint`: keep only the inputs of a function, and compute the rest again when its derivative is taken.

Griewank & Walther, Evaluating Derivatives, 2nd ed., chapter 12; Chen et al. 2016, 'Training deep nets with
sublinear memory cost'.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from ..base.config import enable_grad, recording
from ..base.dtypes import FLOAT
from ..base.errors import GradientError
from ..base.trees import leaves
from ..graph.bind import bind, record
from ..graph.closure import as_tensor, close, reached_outside, spec_of
from ..graph.defer import defer, is_static
from ..graph.graph import Graph
from ..graph.node import Node, mark
from ..graph.op import function
from ..graph.opdef import OpDef
from ..graph.tensor import Tensor, edge, leaf_node, wrap
from ..ops.movement import copy
from .application import Application
from .forward import push_forward
from .reverse import backpropagate


@function()
def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function equal to `f` that, for its derivative, keeps its inputs only and runs `f` again.

    It trades a second forward pass for the memory of all that `f` computes on the way. The value is that of
    `f` to the last bit, and so are derivatives, but for the order in which several contributions are added.
    Tensors that `f` closes over get their gradients too; `f` must do the same each time it is called.

    >>> import backlit as bl
    >>> block = bl.checkpoint(lambda x: x * x * x)
    >>> bl.grad(lambda x: block(block(x)))(2.0)
    tensor(2304., dtype=float32)
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if any(is_static(x) for x in leaves((args, kwargs))):
            return defer("checkpoint", wrapped, args, kwargs)
        application = Application(args, kwargs)
        return application.result(_run(f, application))

    return wrapped


def _run(f: Callable[..., Any], application: Application) -> Any:
    arrays = application.arrays
    start = mark()
    if not any(t.value is None for t in arrays):
        # On constants nothing is recorded but what comes of Tensors that f closes over: so these are found.
        ys = application.run(f, [wrap(t.value) for t in arrays])
        if not any(y.value is None for y in ys):
            captured = reached_outside([y.node for y in ys if y.node is not None], (), start)
            return _recorded(Segment(f, application, captured), [y.value for y in ys])
    closure = close(lambda *xs: application.run(f, xs), arrays)
    return bind(TRACED, [*map(edge, closure.captured), *arrays], {"body": closure.graph()})


# --- with values at hand ---------------------------------------------------------------------------


class Segment:
    """A call to be made again: the function, its arguments, and the nodes it reaches by closure."""

    __slots__ = ("application", "captured", "f", "tracked")

    def __init__(self, f: Callable[..., Any], application: Application, captured: Sequence[Node]) -> None:
        self.f, self.application, self.captured = f, application, list(captured)
        self.tracked = [t.node is not None and t.dtype.char in FLOAT for t in application.arrays]

    def again(self, arrays: Sequence[Tensor]) -> list[Tensor]:
        """Run the function on `arrays`, recording what it does."""
        start = mark()
        with nullcontext() if recording.get() else enable_grad():
            ys = self.application.run(self.f, arrays)
        own = [t.node for t in arrays if t.node is not None]
        if reached_outside([y.node for y in ys if y.node is not None], own, start) != self.captured:
            raise GradientError(
                "checkpoint: run again for its derivative, the function used other Tensors than at first. It must do "
                "the same each time: do not reassign what it closes over before the derivative is taken."
            )
        return ys


def _recorded(segment: Segment, values: list[Any]) -> Any:
    arrays, origin = segment.application.arrays, recording.get()
    segment.application.arrays = []
    if not origin or not (segment.captured or any(segment.tracked)):
        return tuple(map(wrap, values))
    inputs = [*arrays, *map(edge, segment.captured)]
    known = [t.value for t in arrays] + [None] * len(segment.captured)
    return record(AGAIN, inputs, known, {"segment": segment}, tuple(values), origin)


def _entries(values: Sequence[Any], wanted: Sequence[bool]) -> list[Tensor]:
    """The inputs of the second run: each wanted one a node of its own, where the walk back ends."""
    found: list[Tensor] = []
    for v, w in zip(values, wanted, strict=True):
        if not w:
            found.append(wrap(v.value) if isinstance(v, Tensor) and v.value is not None else as_tensor(v))
        elif isinstance(v, Tensor) and v.node is not None:
            with nullcontext() if recording.get() else enable_grad():
                found.append(copy(v))
        else:
            found.append(edge(leaf_node(v.value if isinstance(v, Tensor) else v)))
    return found


def _pulled(g: Any, ys: Sequence[Tensor], targets: Sequence[Node], recorded: bool) -> dict[Node, Any]:
    """The cotangents of `targets` through what was computed again."""
    seeds: dict[Node, Any] = {}
    for y, c in zip(ys, g, strict=True):
        if y.node is not None and y.dtype.char in FLOAT:
            c = as_tensor(c) if recorded else c
            seeds[y.node] = seeds[y.node] + c if y.node in seeds else c
    return backpropagate(seeds, targets, record=recorded, free=not recorded, cut=True)


def _again_vjp(g: Any, out: Any, /, *inputs: Any, segment: Segment) -> tuple[Any, ...]:
    arrays = inputs[: len(segment.tracked)]
    recorded = any(isinstance(x, Tensor) for x in (*g, *arrays))
    entries = _entries(arrays, segment.tracked)
    ys = segment.again(entries)
    nodes = [t.node if w else None for t, w in zip(entries, segment.tracked, strict=True)]
    found = _pulled(g, ys, [n for n in (*nodes, *segment.captured) if n is not None], recorded)
    return tuple(None if n is None else found.get(n) for n in (*nodes, *segment.captured))


def _again_jvp(tangents: Sequence[Any], out: Any, /, *inputs: Any, segment: Segment) -> tuple[Any, ...]:
    entries = _entries(inputs[: len(segment.tracked)], segment.tracked)
    ys = segment.again(entries)
    nodes = [t.node for t in entries] + segment.captured
    return _pushed(tangents, nodes, ys)


def _pushed(tangents: Sequence[Any], nodes: Sequence[Node | None], ys: Sequence[Tensor]) -> tuple[Any, ...]:
    seeds = {n: t for n, t in zip(nodes, tangents, strict=True) if n is not None and t is not None}
    found = push_forward(seeds, [y.node for y in ys if y.node is not None], record=bool(recording.get()))
    return tuple(None if y.node is None else found.get(y.node) for y in ys)


def _again(*arrays: Any, segment: Segment) -> Any:
    return tuple(y.value for y in segment.application.run(segment.f, map(wrap, arrays)))


AGAIN = OpDef(
    "checkpoint", _again, family="control", namespace="hidden", promotes=(), results=tuple, saves="arrays",
    vjp=_again_vjp, jvp=_again_jvp, doc="A call whose derivative makes it again.",
)  # fmt: skip


# --- in a graph without values ---------------------------------------------------------------------


def _traced(*arrays: Any, body: Graph) -> Any:
    return body(*arrays)


def _traced_spec(*specs: Any, body: Graph) -> Any:
    return tuple(spec_of(o) for o in body.outputs)


def _replayed(inputs: Sequence[Any], body: Graph) -> tuple[list[Tensor], list[Node | None]]:
    wanted = [n.dtype.char in FLOAT for n in body.inputs]
    entries = _entries(inputs, wanted)
    with nullcontext() if recording.get() else enable_grad():
        ys = [as_tensor(y) for y in body.replay(entries)]
    return ys, [t.node if w else None for t, w in zip(entries, wanted, strict=True)]


def _traced_vjp(g: Any, out: Any, /, *inputs: Any, body: Graph) -> tuple[Any, ...]:
    ys, nodes = _replayed(inputs, body)
    recorded = any(isinstance(x, Tensor) for x in (*g, *inputs))
    found = _pulled(g, ys, [n for n in nodes if n is not None], recorded)
    return tuple(None if n is None else found.get(n) for n in nodes)


def _traced_jvp(tangents: Sequence[Any], out: Any, /, *inputs: Any, body: Graph) -> tuple[Any, ...]:
    ys, nodes = _replayed(inputs, body)
    return _pushed(tangents, nodes, ys)


TRACED = OpDef(
    "checkpoint", _traced, family="control", namespace="hidden", promotes=(), results=tuple, saves="arrays",
    infer=_traced_spec, traits="recomputes", vjp=_traced_vjp, jvp=_traced_jvp,
    doc="A graph whose derivative runs it again.",
)  # fmt: skip
