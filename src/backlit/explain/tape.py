"""`Tape`: a value, the flat graph behind it with the value and the cotangent of every node, and who is who in it.

Everything in this layer reads a Tape. `tape_of` makes one of a Tensor that was computed, of a function and its
arguments, of a compiled function, or of a tensor of a static graph.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from inspect import signature
from re import fullmatch
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from ..autodiff.forward import push_forward
from ..autodiff.reverse import backpropagate, seed_for
from ..autodiff.rules import vjp_of
from ..base.config import enable_grad, no_grad
from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, GradientError, shown
from ..base.trees import leaves, leaves_with_paths, rebuild
from ..graph.bind import PICK
from ..graph.closure import as_tensor
from ..graph.node import Node, Turn
from ..graph.tensor import LEAF, Tensor, edge, leaf_node
from ..graph.walk import ancestors
from ..modes.compile import Compiled
from ..modes.static.session import Session
from ..nn.passes import Called
from ..ops.creation import zeros_of
from .flatten import Flat, flattened
from .static_graph import flattened_static

Span = TypeVar("Span", Called, Turn)


class Edge(NamedTuple):
    """The use of one node by another: `source` is input number `slot` of `target`."""

    source: Node
    target: Node
    slot: int


class Unrecorded(GradientError):
    """Nothing is recorded for a value that is to be explained."""


class Tape:
    """The flat graph behind one value.

    Attributes:
        output: the node of the value that is explained.
        seed: its cotangent; a function that is given here makes it of the output.
        nodes: all nodes that the output was computed from, inputs before their users.
        flat: how they came of the graph that was given.
        names: names of nodes: the user's variables, the arguments of the function, the parameters of the model.
        constants: names of the values of inputs that are no nodes, by their identity.
    """

    def __init__(
        self, flat: Flat, seed: Any = None, names: Mapping[Node, str] | None = None,
        constants: Mapping[int, str] | None = None, where: str = "explain",
    ) -> None:  # fmt: skip
        y = flat.outputs[0]
        if y.node is None:
            raise Unrecorded(
                f"{where}: nothing is recorded for this Tensor: it was made without an input that requires grad, "
                "inside no_grad(), or detached. Give bl.tensor(..., requires_grad=True) to what you differentiate."
            )
        self.flat, self.output = flat, y.node
        self.nodes = tuple(ancestors([self.output]))
        seed = seed_for(y, seed(y) if callable(seed) else seed, where)
        self.seed = seed.value if isinstance(seed, Tensor) else seed
        self.constants = dict(constants or {})
        self.names: dict[Node, str] = {}
        for node, name in (names or {}).items():
            image = self.image(node)
            if image is not None:
                self.names.setdefault(image, name)

    def image(self, x: Any) -> Node | None:
        """The node of the tape for a Tensor or node of the graph that was given; None where it is not in it."""
        node = x.node if isinstance(x, Tensor) else x
        found: Any = None if node is None else self.flat.images.get(node, node)
        if isinstance(found, Tensor):
            found = found.node
        return found if found in self._known else None

    @cached_property
    def _known(self) -> set[Node]:
        return set(self.nodes)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every use of a node by another, in the order of the users."""
        return tuple(
            Edge(x, node, i) for node in self.nodes for i, x in enumerate(node.inputs or ()) if isinstance(x, Node)
        )

    @cached_property
    def users(self) -> dict[Node, list[Edge]]:
        """The uses of each node."""
        found: dict[Node, list[Edge]] = {n: [] for n in self.nodes}
        for e in self.edges:
            found[e.source].append(e)
        return found

    @cached_property
    def cotangents(self) -> dict[Node, Any]:
        """The derivative of the output by the value of each node, where there is a path; of a node with several outputs
        (whose parts are nodes of their own) none.
        """
        wanted = {n for n in self.nodes if n.op.results is None}
        return backpropagate({self.output: self.seed}, wanted)

    def pulled(self, edge: Edge, cotangent: Any) -> Any:
        """What comes to `edge.source` of a cotangent of `edge.target`, by this edge alone; None where nothing does.

        The rule is linear in the cotangent: this is the local derivative of the edge, applied. For a user of several
        outputs the cotangent is a tuple, with None where it is zero.
        """
        return self.pieces(edge.target, cotangent, (edge.slot,))[edge.slot]

    def pieces(self, target: Node, cotangent: Any, slots: Collection[int]) -> Sequence[Any]:
        """`pulled` along several edges to one user at once: a list by slot, with None where nothing comes."""
        inputs: Sequence[Any] = target.inputs or ()
        if target.op.stops or target.op.nondiff is not None:
            return [None] * len(inputs)
        if target.op is PICK:
            source = next(iter(inputs))
            return [tuple(cotangent if i == target.params["index"] else None for i in range(len(source.like)))]
        if target.op.results is not None:
            cotangent = tuple(
                zeros_of(s) if part is None else part for part, s in zip(cotangent, target.like, strict=True)
            )
        wanted = [i in slots and isinstance(x, Node) and _moves(x) for i, x in enumerate(inputs)]
        with no_grad(), np.errstate(all="ignore"):
            return vjp_of(target, cotangent, wanted, False, guarded=target.serial <= self._guard)

    @cached_property
    def _guard(self) -> int:
        """The serial of the newest node that selects: behind it a cotangent of 0 stays 0 (see `backpropagate`)."""
        return max((n.serial for n in self.nodes if n.op.selects), default=-1)

    def tangents(self, directions: Mapping[Node, Any]) -> dict[Node, Any]:
        """How the value of each node changes when nodes change in these directions; only nodes that do are there."""
        seeds = {n: as_tensor(t) for n, t in directions.items()}
        with np.errstate(all="ignore"):
            found = push_forward(seeds, [n for n in self.nodes if n.op.results is None], record=False)
        return {n: t.value if isinstance(t, Tensor) else t for n, t in found.items()}

    # --- who is who ------------------------------------------------------------------------------

    @cached_property
    def leaves(self) -> tuple[Node, ...]:
        """The nodes that nothing computed: parameters and arguments."""
        return tuple(n for n in self.nodes if n.op is LEAF)

    @cached_property
    def parameters(self) -> dict[Node, str]:
        """The paths of the parameters of the networks that were called, by the node."""
        roots = {id(c.layer): c.layer for c in self.calls if not c.path}
        found: dict[Node, str] = {}
        for root in roots.values():
            for path, p in leaves_with_paths(root.parameters()):
                if isinstance(p, Tensor) and p.node is not None and (image := self.image(p)) is not None:
                    found.setdefault(image, path)
        return found

    @cached_property
    def numbers(self) -> dict[Node, int]:
        """The numbers of the nodes that are computed, from 1 on."""
        return {n: i for i, n in enumerate((n for n in self.nodes if n.op is not LEAF), 1)}

    def name(self, node: Node) -> str:
        """What the user calls a node; `h3` for the third value computed, where it has no name."""
        own = self.names.get(node) or _given(node) or self.parameters.get(node)
        if own:
            return own
        if node.op is not LEAF:
            return f"h{self.numbers[node]}"
        return f"leaf {self.leaves.index(node) + 1}"

    def constant_name(self, value: Any) -> str | None:
        """What the user calls an input that is no node."""
        return self.constants.get(id(value))

    def source(self, node: Node) -> Node:
        """The node that this one was made for, in the graph that was given or in the body of a loop."""
        return self.flat.sources.get(node, node)

    def line(self, node: Node) -> str:
        """Where the user's code made a node, such as `train.py:12`; empty where it is not known."""
        return self.source(node).line or node.line

    @cached_property
    def calls(self) -> tuple[Called, ...]:
        """The calls of layers, outer ones after those within."""
        return tuple(n for n in self._notes if isinstance(n, Called))

    @cached_property
    def _notes(self) -> tuple[Called | Turn, ...]:
        found: dict[int, Called | Turn] = {}
        for node in (*self.flat.sources.values(), *self.nodes):
            for known in getattr(node, "notes", ()):
                found.setdefault(id(known), known)
        return tuple(found.values())

    @cached_property
    def turns(self) -> dict[Node, tuple[Turn, ...]]:
        """The turns of loops that each node was made in, the outermost first; only nodes made in loops are there."""
        own, noted = _Spans(self.flat.turns), _Spans([n for n in self._notes if isinstance(n, Turn)])
        found = {n: (*noted.around(self.source(n).serial), *own.around(n.serial)) for n in self.nodes}
        return {n: turns for n, turns in found.items() if turns}

    @cached_property
    def _layers(self) -> dict[Node, tuple[Called, ...]]:
        return {node: self._calls_by_span.around(self.source(node).serial) for node in self.nodes}

    @cached_property
    def _calls_by_span(self) -> _Spans[Called]:
        return _Spans(self.calls)

    def layers(self, node: Node) -> tuple[Called, ...]:
        """The calls of layers that a node was made within, the outermost first."""
        known = self._layers.get(node)
        return self._calls_by_span.around(self.source(node).serial) if known is None else known

    def layer(self, node: Node) -> str:
        """The path of the innermost layer that made a node; empty outside of layers."""
        around = self.layers(node)
        return around[-1].path if around else ""

    def turn(self, node: Node) -> str:
        """Which turn of which loop made a node, as `scan at rnn.py:5, turn 3`; empty outside of loops."""
        return ", ".join(f"{t.loop}, turn {t.number}" for t in self.turns.get(node, ()))


def _given(node: Node) -> str | None:
    """The name of a node, where it is not the one of its op, by which static graphs call what has none."""
    name = node.name
    return None if name is None or fullmatch(rf"(.*/)?{node.op.name}(_\d+)?", name) else name


def _moves(node: Node) -> bool:
    """Has a node a derivative: is it floating-point, or several outputs of which some may be?"""
    return node.op.results is not None or node.dtype.char in FLOAT


class _Spans(Generic[Span]):
    """Spans of serials, any two of which lie apart or one within the other."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = sorted(spans, key=lambda s: (s.start, -s.stop))
        self.starts = [s.start for s in self.spans]
        self.outer: list[int] = []  # for each span the place of the one around it, or -1
        around: list[int] = []
        for i, span in enumerate(self.spans):
            while around and self.spans[around[-1]].stop <= span.start:
                around.pop()
            self.outer.append(around[-1] if around else -1)
            around.append(i)

    def around(self, serial: int) -> tuple[Span, ...]:
        """The spans with a serial in them, the outermost first."""
        i, found = bisect(self.starts, serial) - 1, []
        while i >= 0:
            if serial < self.spans[i].stop:
                found.append(self.spans[i])
            i = self.outer[i]
        return tuple(reversed(found))


def tape_of(
    y: Any, *args: Any, wrt: Sequence[Any] = (), cotangent: Any = None, feed_dict: Mapping[Any, Any] | None = None,
    session: Session | None = None, names: Mapping[str, Any] | None = None, where: str = "explain", whole: bool = False,
) -> Tape:  # fmt: skip
    """The Tape of a value.

    Args:
        y: a Tensor with a graph, a tensor of a static graph (with `session` and `feed_dict`), or a function (compiled
            or not) that is called with `args`; every floating-point leaf of these is then a node, named by its
            argument. A function may return a tuple, whose first leaf is explained.
        wrt: Tensors that must be found in a static graph's Tape, besides placeholders and variables.
        cotangent: of y, or a function that makes it of y; 1 by default, for one element.
        names: names for Tensors, such as the local variables of the caller.
        whole: keep what has no derivative as nodes too, where the graph still knows it (see `whole_tape`).

    >>> import backlit as bl
    >>> tape = tape_of(lambda w, x: bl.tanh(w * x), 0.5, 2.0)
    >>> [(tape.name(n), n.op.name) for n in tape.nodes]
    [('w', 'leaf'), ('x', 'leaf'), ('h1', 'multiply'), ('h2', 'tanh')]
    >>> {tape.name(n): round(float(g), 4) for n, g in tape.cotangents.items()}
    {'h2': 1.0, 'h1': 0.42, 'x': 0.21, 'w': 0.8399}
    """
    known: dict[Node, str] = {}
    constants: dict[int, str] = {}
    if not isinstance(y, Tensor):
        if not callable(y):
            raise ArgumentError(f"{where}: expected a Tensor or a function, got {type(y).__name__}.")
        y, known, constants = _called(y, args, where)
    elif args:
        raise ArgumentError(f"{where}: arguments are for a function; the Tensor is computed already.")
    for name, x in (names or {}).items():
        for path, leaf in leaves_with_paths(x, name):
            if isinstance(leaf, Tensor):
                if leaf.node is not None:
                    known.setdefault(leaf.node, path)
                elif leaf.value is not None:
                    constants.setdefault(id(leaf.value), path)
            elif isinstance(leaf, np.ndarray):
                constants.setdefault(id(leaf), path)
    if y.value is None and y.node is not None:
        if session is None:
            raise ArgumentError(
                f"{where}: {y.node.label} has no value. In a static graph give session= (and feed_dict=); in a "
                "function that is being compiled, explain the function itself."
            )
        return Tape(flattened_static(y, wrt, session, feed_dict or {}, whole), cotangent, known, constants, where)
    return Tape(flattened([y], whole=whole), cotangent, known, constants, where)


def _called(
    function: Callable[..., Any], args: Sequence[Any], where: str
) -> tuple[Tensor, dict[Node, str], dict[int, str]]:
    """The first leaf of what a function returns, with its arguments as nodes; the names of these, and of arguments that
    have no derivatives.
    """
    plain = function.function if isinstance(function, Compiled) else function
    names = argument_names(plain, len(args))
    known: dict[Node, str] = {}
    constants: dict[int, str] = {}
    new: list[Any] = []
    for name, arg in zip(names, args, strict=True):
        entered: list[Any] = []
        for path, x in leaves_with_paths(arg, name):
            entered.append(_entered(x, path, known, constants))
        new.append(rebuild(arg, iter(entered)))
    with enable_grad():
        found = leaves(plain(*new))
    if not found or not isinstance(found[0], Tensor):
        raise no_tensor(found, where)
    return found[0], known, constants


def no_tensor(found: Sequence[Any], where: str) -> ArgumentError:
    """The error of a function that returns something else than a Tensor."""
    got = f"{type(found[0]).__name__} {shown(found[0])}" if found else "nothing"
    return ArgumentError(
        f"{where}: the function must return a Tensor (of several the first counts), got {got}. What it is "
        "differentiated by must be floating-point: 3.0, not 3."
    )


def _entered(x: Any, path: str, known: dict[Node, str], constants: dict[int, str]) -> Any:
    """A leaf of an argument as a Tensor with a node of its own, where it has derivatives."""
    if isinstance(x, (str, bytes)) or callable(x) or x is None:
        return x
    t = as_tensor(x)
    if t.value is None or t.dtype.char not in FLOAT:
        if isinstance(x, (bool, int)):
            return x
        if t.value is not None:
            constants[id(t.value)] = path
        return t
    if t.node is None:
        t = edge(leaf_node(t.value, name=path))
    known[t._node] = path
    return t


def argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """What a function calls its first `count` arguments."""
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"argument {i}" for i in range(count)]
