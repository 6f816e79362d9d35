"""`Linearized`: a function called once, ready to be differentiated. What every transform starts from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..base.config import config, recording
from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, DtypeError, GraphError, shown
from ..base.trees import leaves, leaves_with_paths, rebuild, tree_map
from ..graph.defer import is_static
from ..graph.node import Node, mark
from ..graph.tensor import LEAF, Tensor, as_value, edge, leaf_node, wrap
from ..ops.control import stop_gradient
from ..ops.creation import zeros_of
from ..ops.movement import copy
from .checks import verify_saved
from .forward import push_forward
from .reverse import backpropagate

Function = Callable[..., Any]


class Linearized:
    """The graph from the arguments of `f` that are to be differentiated to its outputs.

    Each argument becomes a node of its own, used nowhere else: a new leaf, or, where something outside
    differentiates too, a copy that is connected to it. So derivatives of different transforms never
    meet in one node (no 'perturbation confusion', Siskind & Pearlmutter 2005), whatever `f` closes over.

    Attributes:
        inputs: the Tensors that took the place of the leaves of those arguments.
        outputs: the leaves of the result, as Tensors.
        tree: the result itself; `aux` what it came with.
        record: does something outside differentiate what happens here? Then derivatives are recorded too.
    """

    def __init__(self, f: Function, args: Sequence[Any], argnums: Sequence[int], where: str, has_aux: bool) -> None:
        self.where = where
        self.trees = [args[i] for i in argnums]
        self._start = mark()
        outside = recording.get()
        token = recording.set(outside or True)  # no_grad outside does not reach into a derivative
        try:
            self.inputs = [
                self._entry(x, path) for i in argnums for path, x in leaves_with_paths(args[i], f"argument {i}")
            ]
            fresh = iter(self.inputs)
            replaced = dict(zip(argnums, [rebuild(t, fresh) for t in self.trees], strict=True))
            out = f(*[replaced.get(i, a) for i, a in enumerate(args)])
        finally:
            recording.reset(token)
        aux = None
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise ArgumentError(f"{where}: with has_aux the function must return (output, aux), got {shown(out)}.")
            out, aux = out
        self.tree = out
        self.outputs = [y if isinstance(y, Tensor) else wrap(as_value(y)) for y in leaves(out)]
        for t in (*self.inputs, *self.outputs):
            if is_static(t):
                raise GraphError(
                    f"{where}: {t._node.label} is computed in a static graph, from tensors that the function reaches "
                    "by closure. Give them to it as arguments, or use static.gradients."
                )
        own = {t._node for t in self.inputs}
        connected = any(n.op is not LEAF for n in own)
        self._symbolic = any(t.value is None for t in (*self.inputs, *self.outputs))
        self._cut = not outside
        outer = not self._cut and (connected or _reaches_outside([y.node for y in self.outputs], own, self._start))
        self.record = self._symbolic or outer
        #: Do all paths from the outputs end at the inputs? Then the engine need not ask which do.
        self._closed = not (self.record or self._cut)
        self.aux = tree_map(self._released, aux)

    def _entry(self, x: Any, path: str) -> Tensor:
        if not isinstance(x, Tensor):
            if isinstance(x, (str, bytes)) or callable(x):
                raise DtypeError(
                    f"{self.where}: {path} is {shown(x)} ({type(x).__name__}), which has no derivative. Leave it "
                    "out of argnums; in a dataclass mark the field: dataclasses.field(metadata={'static': True})."
                )
            x = wrap(as_value(x))
        if x.dtype.char not in FLOAT:
            raise DtypeError(
                f"{self.where}: {path} has dtype {x.dtype.name}; only floating-point arguments have derivatives. "
                "Convert it with x.astype(bl.float32), or leave it out of argnums."
            )
        return edge(leaf_node(x.value)) if x.node is None else copy(x)

    def result(self) -> Any:
        """What `f` returned, without this transform's own graph where nothing outside needs it."""
        return rebuild(self.tree, iter([self._released(y) for y in self.outputs]))

    def _released(self, y: Any) -> Any:
        if not isinstance(y, Tensor) or y.node is None:
            return y
        if y.value is None:
            return stop_gradient(y) if self._cut else y
        return y if self.record or y.node.serial < self._start else wrap(y.value)

    def pull_back(self, cotangents: Sequence[Any]) -> list[Tensor]:
        """Cotangents of the inputs, given those of the outputs (None is zero); zeros where there is no path."""
        record = self._recorded(cotangents)
        seeds: dict[Node, Any] = {}
        for y, c in zip(self.outputs, cotangents, strict=True):
            if y.node is None or y.dtype.char not in FLOAT or c is None:
                continue
            c = _matched(c, record)
            seeds[y.node] = seeds[y.node] + c if y.node in seeds else c
        if config.get().check:
            for node in seeds:
                verify_saved(node, self._start)
        nodes = [t._node for t in self.inputs]
        targets = None if self._closed and not record else nodes
        found = backpropagate(seeds, targets, record=record) if seeds else {}
        return [self._finished(found.get(n), n) for n in nodes]

    def push_forward(self, tangents: Sequence[Any]) -> list[Tensor]:
        """Tangents of the outputs, given those of the inputs (None is zero); zeros where there is no path."""
        record = self._recorded(tangents)
        seeds = {
            x._node: wrap(t) if not isinstance(t, Tensor) else t
            for x, t in zip(self.inputs, tangents, strict=True)
            if t is not None
        }
        found = push_forward(seeds, [y.node for y in self.outputs if y.node is not None], record=record)
        return [self._finished(None if y.node is None else found.get(y.node), y) for y in self.outputs]

    def _recorded(self, directions: Sequence[Any]) -> bool:
        if self._symbolic or any(isinstance(d, Tensor) and d.value is None for d in directions):
            return True
        return bool(recording.get()) and (
            self.record or any(isinstance(d, Tensor) and d.node is not None for d in directions)
        )

    def _finished(self, g: Any, like: Any) -> Tensor:
        if g is None:
            return wrap(zeros_of(like))
        g = g if isinstance(g, Tensor) else wrap(g)
        return stop_gradient(g) if g.value is None and self._cut else g

    def unflatten(self, new: Sequence[Any]) -> list[Any]:
        """Values for the inputs in the structure of the differentiated arguments."""
        values = iter(new)
        return [rebuild(t, values) for t in self.trees]


def _matched(c: Any, record: bool) -> Any:
    """A cotangent as the engine wants it: a Tensor where it is to be recorded, else an array."""
    if record:
        return c if isinstance(c, Tensor) else wrap(c)
    return c.value if isinstance(c, Tensor) else c


def _reaches_outside(outputs: Sequence[Node | None], own: Collection[Node], start: int) -> bool:
    """Do these depend, other than by way of `own`, on a node older than `start`, or on one without a value?"""
    todo = [n for n in outputs if n is not None]
    seen = set(todo)
    while todo:
        node = todo.pop()
        if node in own:
            continue
        if node.serial < start or (node.op is LEAF and node.value is None):
            return True
        for x in node.inputs or ():
            if isinstance(x, Node) and x not in seen:
                seen.add(x)
                todo.append(x)
    return False
