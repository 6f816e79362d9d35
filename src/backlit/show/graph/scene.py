"""`scene_of`: what a drawing of a graph shows, as plain data: nodes, edges, groups. Nothing here knows of pixels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np

from ...explain.symbols import Applied, Formula, Name, applied_at, formula_of
from ...explain.symbols import text as written
from ...explain.tape import Edge, Tape
from ...graph.bind import PICK
from ...graph.node import Node
from ...graph.tensor import LEAF, Tensor
from ...graph.walk import ancestors
from .groups import Group, grouped

#: A gradient whose norm, by that of the output's own cotangent, is below this counts as vanished. A layer whose
#: gradient is 1e-4 of its neighbours' takes 10,000 times as many steps of plain descent to come as far.
VANISHED = 1e-4
#: And above this it has burst: a step with the rates in use (1e-3 to 1e-1) would move weights by more than they are.
BURST = 1e3

#: The states of gradients that are drawn in red (see `state_of`).
WRONG = ("zero", "vanished", "burst", "broken")


class SceneNode(NamedTuple):
    """One node of the drawing.

    Attributes:
        id: unique in the scene, `n7`; of a folded group its key, `g3`.
        label: what the user calls it, else the op's name.
        formula: how it is computed from its inputs, by their names.
        kind: "leaf" (given, differentiated), "parameter", "constant", "op", "output", or "group" for a folded one.
        group: key of the innermost group that it is in; empty outside of all.
        shape: of the value, or of what the graph knows of it; sizes of None are open.
        value: the value in short: a number, or shape and norm; empty where there is none.
        gradient: the cotangent in the same way.
        norm: of the cotangent, by the norm of the output's; infinity where that is NaN, NaN where no derivative comes.
        line: of the user's code.
        node: the node of the Tape or graph; None for constants and folded groups.
        op: the name of the op; of a folded group what is in it.
        brief: the formula without parameters such as axes and strides.
    """

    id: str
    label: str
    formula: str
    kind: str
    group: str
    shape: tuple[int | None, ...]
    value: str
    gradient: str
    norm: float
    line: str
    node: Node | None
    op: str
    brief: str = ""

    @property
    def state(self) -> str:
        """What is to be said of the gradient: see `state_of`."""
        return state_of(self.norm)


class SceneEdge(NamedTuple):
    """The use of one node by another as its input number `slot`.

    Attributes:
        weight: norm of the cotangent that comes back this way, by that of the output's; NaN where none comes.
    """

    source: str
    target: str
    slot: int
    weight: float

    @property
    def state(self) -> str:
        """What is to be said of the gradient: see `state_of`."""
        return state_of(self.weight)


def state_of(norm: float) -> str:
    """One of "none" (no derivative comes here), "zero", "vanished", "burst", "broken" (NaN or infinity), "fine"."""
    if norm == inf:
        return "broken"
    if norm != norm:
        return "none"
    return "zero" if norm == 0 else "vanished" if norm < VANISHED else "burst" if norm > BURST else "fine"


class Scene:
    """What a drawing shows.

    Attributes:
        nodes: inputs before their users.
        edges: the uses.
        groups: the groups by key, outer ones before those within.
        output: the id of the output.
        notes: sentences that belong beside the drawing.
        folded: the ids of nodes that stand for whole groups.
    """

    def __init__(
        self, nodes: Iterable[SceneNode], edges: Iterable[SceneEdge], groups: Mapping[str, Group], output: str,
        notes: Sequence[str] = (), folded: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.nodes, self.edges, self.groups = tuple(nodes), tuple(edges), dict(groups)
        self.output, self.notes, self.folded = output, tuple(notes), frozenset(folded)

    @cached_property
    def by_id(self) -> dict[str, SceneNode]:
        """The nodes by id."""
        return {n.id: n for n in self.nodes}

    def within(self, key: str) -> tuple[str, ...]:
        """A group and those around it, the innermost first; without the whole."""
        found: list[str] = []
        while key:
            found.append(key)
            key = self.groups[key].parent
        return tuple(found)

    @cached_property
    def depth(self) -> dict[str, int]:
        """How many groups a group is in, itself counted."""
        return {key: len(self.within(key)) for key in self.groups}


def scene_of(
    subject: Tape | Tensor | Sequence[Node], *, values: bool = True, gradients: bool = True,
    shares: Mapping[Edge, float] | None = None,
) -> Scene:  # fmt: skip
    """The scene of a Tape; or, without values, of the graph behind a Tensor.

    Args:
        subject: from `tape_of`, or a Tensor of a graph without values (a static one).
        values, gradients: show them?
        shares: weights for edges in the place of the norms, such as their shares of one gradient.

    >>> import backlit as bl
    >>> from backlit.explain.tape import tape_of
    >>> scene = scene_of(tape_of(lambda w, x: bl.tanh(w * x), 0.5, 2.0))
    >>> [(n.label, n.kind, n.formula, n.value, n.gradient) for n in scene.nodes][2:]
    [('h1', 'op', 'w · x', '1', '0.42'), ('h2', 'output', 'tanh(h1)', '0.7616', '1')]
    """
    reader = _OfTape(subject) if isinstance(subject, Tape) else _OfGraph(subject)
    return _Making(reader, values, gradients, shares).scene()


class _OfGraph:
    """What is asked of a graph without values."""

    def __init__(self, subject: Any) -> None:
        ends = [subject._node] if isinstance(subject, Tensor) else list(subject)
        self.nodes: Sequence[Node] = ancestors(ends)
        self.output = ends[0]
        self.numbers = {n: i for i, n in enumerate((n for n in self.nodes if n.inputs), 1)}

    def name(self, node: Node) -> str:
        return node.name or (f"h{self.numbers[node]}" if node in self.numbers else node.op.name)

    def constant_name(self, value: Any) -> str | None:
        return None

    def line(self, node: Node) -> str:
        return node.line

    def cotangent(self, node: Node) -> Any:
        return None

    def piece(self, edge: Edge) -> Any:
        return None

    def is_parameter(self, node: Node) -> bool:
        return node.op.name == "variable"

    seed_norm = 1.0


class _OfTape:
    """The same of a Tape, which has values and cotangents."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.nodes, self.output = tape, tape.nodes, tape.output
        self.line, self.constant_name = tape.line, tape.constant_name
        self.seed_norm = norm(tape.seed)
        self._parts: dict[Node, dict[int, Any]] = {}  # cotangents of ops with several outputs
        for node in tape.nodes:
            if node.op is PICK and node in tape.cotangents:
                (source,) = node.parents
                self._parts.setdefault(source, {})[node.params["index"]] = tape.cotangents[node]
        variables = (tape.image(n) for n in tape.flat.images if n.op.name == "variable")
        self._variables = {n for n in variables if n is not None}

    def name(self, node: Node) -> str:
        """The path of a parameter within the network, else what the user calls a node."""
        return self.tape.parameters.get(node) or self.tape.name(node)

    def is_parameter(self, node: Node) -> bool:
        """Is it what training changes: of a variable, or of a Tensor that requires grad?"""
        return node in self._variables or node.owner is not None

    def cotangent(self, node: Node) -> Any:
        if node in self._parts:
            return np.concatenate([np.ravel(g) for g in self._parts[node].values()])
        return self.tape.cotangents.get(node)

    def piece(self, edge: Edge) -> Any:
        source, target = edge.source, edge.target
        if len(self.tape.users[source]) == 1 and source in self.tape.cotangents:
            return self.tape.cotangents[source]
        if target in self._parts:
            parts = self._parts[target]
            return self.tape.pulled(edge, tuple(parts.get(i) for i in range(len(target.like))))
        if target not in self.tape.cotangents:
            return None
        return self.tape.pulled(edge, self.tape.cotangents[target])


class _Making:
    """A scene in the making."""

    def __init__(self, reader: Any, values: bool, gradients: bool, shares: Mapping[Edge, float] | None) -> None:
        self.reader, self.values, self.gradients, self.shares = reader, values, gradients, shares
        self.nodes: list[SceneNode] = []
        self.edges: list[SceneEdge] = []
        self.groups, self.group_of = grouped(reader.tape if isinstance(reader, _OfTape) else None, reader.nodes)
        self.ids = {n: f"n{i}" for i, n in enumerate(reader.nodes)}
        self.constants: dict[int, str] = {}

    def scene(self) -> Scene:
        for node in self.reader.nodes:
            if folds(node) and node is not self.reader.output:
                continue
            inputs = [self._input(node, slot, x) for slot, x in enumerate(node.inputs or ())]
            self.nodes.append(self._node(node, inputs))
        return Scene(self.nodes, self.edges, self.groups, self.ids[self.reader.output])

    def _input(self, node: Node, slot: int, x: Any) -> Formula:
        """An input as it stands in the formula; enters its edge, and itself where it is an array."""
        if isinstance(x, Node):
            weight = self._weight(Edge(x, node, slot))
            if not folds(x):
                self.edges.append(SceneEdge(self.ids[x], self.ids[node], slot, weight))
                return Name(self.reader.name(x))
            (source,) = x.parents
            self.edges.append(SceneEdge(self.ids[source], self.ids[node], slot, weight))
            return Name(f"{self.reader.name(source)}[{x.params['index']}]")
        if np.ndim(x) == 0 or np.size(x) == 1:
            name = self.reader.constant_name(x)
            return Name(name) if name else formula_of(x, {})
        if id(x) not in self.constants:
            self.constants[id(x)] = key = f"c{len(self.constants)}"
            name = self.reader.constant_name(x)
            group = self.group_of.get(node, "") if name is None else ""
            label = name or "constant"
            value = in_short(x) if self.values else ""
            shape = tuple(np.shape(x))
            self.nodes.append(SceneNode(key, label, "", "constant", group, shape, value, "", nan, "", None, "constant"))
        key = self.constants[id(x)]
        self.edges.append(SceneEdge(key, self.ids[node], slot, nan))
        return Name(self.reader.constant_name(x) or "constant")

    def _weight(self, edge: Edge) -> float:
        if self.shares is not None:
            return self.shares.get(edge, nan)
        return self._relative(self.reader.piece(edge)) if self.gradients else nan

    def _relative(self, cotangent: Any) -> float:
        if cotangent is None or isinstance(cotangent, tuple):
            return nan
        found = norm(cotangent) / (self.reader.seed_norm or 1.0)
        return found if isfinite(found) else inf

    def _node(self, node: Node, inputs: list[Formula]) -> SceneNode:
        cotangent = self.reader.cotangent(node) if self.gradients else None
        several = node.op.results is not None
        shown = self.values and not several
        made = applied_at(node, tuple(inputs)) if node.inputs else Name("")
        return SceneNode(
            id=self.ids[node],
            label=self.reader.name(node),
            formula=written(made),
            kind=self._kind(node),
            group=self.group_of.get(node, ""),
            shape=() if several else tuple(node.shape),
            value=in_short(node.value) if shown and node.value is not None else "",
            gradient=in_short(cotangent) if cotangent is not None else "",
            norm=self._relative(cotangent),
            line=self.reader.line(node),
            node=node,
            op=node.op.name,
            brief=written(made._replace(hide=tuple(made.params)) if isinstance(made, Applied) else made),
        )

    def _kind(self, node: Node) -> str:
        if node is self.reader.output:
            return "output"
        if node.inputs:
            return "constant" if node.op.name == "constant" else "op"
        if self.reader.is_parameter(node):
            return "parameter"
        return "leaf" if node.op is LEAF or node.op.name == "placeholder" else "constant"


def folds(node: Node) -> bool:
    """Is this one output of an op with several? It is drawn with the op."""
    return node.op is PICK


def norm(x: Any) -> float:
    """The Euclidean norm, in float64."""
    with np.errstate(all="ignore"):
        x = np.ravel(np.asarray(x))
        return float(np.linalg.norm(x if x.dtype.kind == "c" else x.astype(np.float64)))


def number(x: Any) -> str:
    """A number in four digits."""
    if isinstance(x, (bool, np.bool_, int, np.integer)):
        return str(x)
    return f"{x + 0.0:.4g}" if isinstance(x, (float, complex, np.inexact)) else str(x)


def in_short(x: Any) -> str:
    """A number as it is; of an array the shape and the norm: `4×3 ‖1.2‖`."""
    x = np.asarray(x)
    if x.size == 1:
        return number(x.reshape(())[()])
    if x.dtype.kind not in "fiuc":
        return f"{sizes(x.shape)} {x.dtype.name}"
    return f"{sizes(x.shape)} ‖{norm(x):.3g}‖"


def sizes(shape: Sequence[int | None]) -> str:
    """A shape as `4×3`, with `?` for open sizes."""
    return "×".join("?" if s is None else str(s) for s in shape)
