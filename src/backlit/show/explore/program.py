"""`Program`: a Tape and its derivatives as one graph of ordinary ops, which a page can compute again.

A Tape knows numbers. Here its nodes are made once more without values, and the rules of their ops run on these
(Griewank & Walther, section 3.2), so that every cotangent, every piece of one that comes along an edge and every
local derivative is a node with an op and inputs: a change of a leaf can be carried through all of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...autodiff.rules import vjp_of
from ...base.config import enable_grad, recording
from ...base.dtypes import FLOAT
from ...explain.tape import Edge, Tape
from ...graph.bind import PICK
from ...graph.node import Node
from ...graph.opdef import Spec
from ...graph.tensor import LEAF, Tensor, edge, leaf_node
from ...graph.walk import ancestors
from ...ops.arithmetic import add
from ...ops.creation import zeros_of


class Program:
    """The forward and the backward pass of a Tape as one graph.

    Attributes:
        tape: where it came from.
        seed: the leaf that stands for the cotangent of the output.
        twins: for each node of the Tape the node of its value here.
        cotangents: for each node of the Tape that has one its cotangent, a node or a value.
        pieces: for each edge of the Tape what comes back along it.
        slopes: for each edge into an elementwise op the derivative of its output by this input, element by element.

    >>> import backlit as bl
    >>> from backlit.explain.tape import tape_of
    >>> program = Program(tape_of(lambda w, x: bl.tanh(w * x), 0.5, 2.0))
    >>> [n.op.name for n in program.nodes]
    ['leaf', 'leaf', 'multiply', 'tanh', 'leaf', 'multiply', 'subtract', 'multiply', 'multiply', 'multiply']
    >>> {program.tape.name(n): round(float(program.value(g)), 4) for n, g in program.cotangents.items()}
    {'h2': 1.0, 'h1': 0.42, 'x': 0.21, 'w': 0.8399}
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.twins: dict[Node, Node] = {}
        self.cotangents: dict[Node, Any] = {}
        self.pieces: dict[Edge, Any] = {}
        self.slopes: dict[Edge, Any] = {}
        for node in tape.nodes:
            self.twins[node] = self._twin(node)
        self.seed = leaf_node(None, like=_spec(tape.seed))
        with enable_grad():
            self._backwards()
        self._merge()

    # --- forward ---------------------------------------------------------------------------------

    def _twin(self, node: Node) -> Node:
        inputs = tuple(self.twins[x] if isinstance(x, Node) else x for x in node.inputs or ())
        several = node.op.results is not None
        like: Any = tuple(Spec(s.shape, s.dtype) for s in node.like) if several else node.spec
        return Node(node.op, inputs, node.params, None, like, node.place)

    # --- backward --------------------------------------------------------------------------------

    def _backwards(self) -> None:
        """Every node after its users, as `backpropagate` does; what each edge brings is kept."""
        guard = max((self.twins[n].serial for n in self.tape.nodes if n.op.selects), default=-1)
        arrived: dict[Node, Any] = {self.tape.output: edge(self.seed)}
        for node in reversed(self.tape.nodes):
            g = arrived.pop(node, None)
            if g is None:
                continue
            if node.op.results is None:
                self.cotangents[node] = _end(g)
            twin = self.twins[node]
            if node.op is LEAF or node.op.stops or node.op.nondiff is not None:
                continue
            token = recording.set(twin)
            try:
                self._through(node, twin, g, guard, arrived)
            finally:
                recording.reset(token)

    def _through(self, node: Node, twin: Node, g: Any, guard: int, arrived: dict[Node, Any]) -> None:
        if node.op is PICK:
            (source,) = node.parents
            parts = arrived.setdefault(source, [None] * len(source.like))
            i = node.params["index"]
            parts[i] = g if parts[i] is None else add(parts[i], g)
            return
        if node.op.results is not None:
            g = tuple(zeros_of(s) if part is None else part for part, s in zip(g, node.like, strict=True))
        inputs = node.inputs or ()
        wanted = [isinstance(x, Node) and (x.op.results is not None or x.dtype.char in FLOAT) for x in inputs]
        found = vjp_of(twin, g, wanted, True, twin.serial <= guard)
        for slot, (x, piece) in enumerate(zip(inputs, found, strict=True)):
            if piece is None:
                continue
            e = Edge(x, node, slot)
            self.pieces[e] = _end(piece)
            arrived[x] = piece if x not in arrived else add(arrived[x], piece)
            if node.op.partials is not None:
                self.slopes[e] = self._slope(twin, slot)

    def _slope(self, twin: Node, slot: int) -> Any:
        partial = twin.op.partials[slot]  # type: ignore[index]
        if not callable(partial):
            return twin.dtype.type(partial)
        args = [edge(x) if isinstance(x, Node) else x for x in twin.inputs or ()]
        found = _end(partial(edge(twin), *args, **twin.params))
        return found if isinstance(found, Node) else np.asarray(found, None if hasattr(found, "dtype") else twin.dtype)

    # --- the whole -------------------------------------------------------------------------------

    def _merge(self) -> None:
        """One node in the place of those that compute the same of the same."""
        images: dict[Node, Node] = {}
        known: dict[Any, Node] = {}
        for node in self._all():
            node.inputs = tuple(images.get(x, x) if isinstance(x, Node) else x for x in node.inputs or ())
            key = _key(node)
            images[node] = known.setdefault(key, node) if key is not None else node
        self.cotangents = _moved(self.cotangents, images)
        self.pieces, self.slopes = _moved(self.pieces, images), _moved(self.slopes, images)

    def _all(self) -> list[Node]:
        ends = [*self.twins.values(), self.seed]
        ends += [x for t in (self.cotangents, self.pieces, self.slopes) for x in t.values() if isinstance(x, Node)]
        return ancestors(ends)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, inputs before their users; those of the Tape are not merged away."""
        return tuple(self._all())

    @cached_property
    def values(self) -> dict[Node, Any]:
        """The value of every node, computed by the kernels of the ops."""
        found: dict[Node, Any] = {self.twins[n]: n.value for n in self.tape.nodes if n.value is not None}
        found[self.seed] = self.tape.seed
        with np.errstate(all="ignore"):
            for node in self.nodes:
                if node not in found:
                    args = [found[x] if isinstance(x, Node) else x for x in node.inputs or ()]
                    found[node] = node.op.eval(*args, **node.params)
        return found

    def value(self, x: Any) -> Any:
        """The value of a node; anything else as it is."""
        return self.values[x] if isinstance(x, Node) else x


def _end(x: Any) -> Any:
    """A Tensor as its node, or as its value where nothing has to be computed."""
    if isinstance(x, tuple):
        return tuple(map(_end, x))
    return (x.node if x.node is not None else x.value) if isinstance(x, Tensor) else x


def _moved(table: dict[Any, Any], images: dict[Node, Node]) -> dict[Any, Any]:
    return {key: images[x] if isinstance(x, Node) else x for key, x in table.items()}


def _spec(x: Any) -> Spec:
    x = np.asarray(x)
    return Spec(x.shape, x.dtype)


def _key(node: Node) -> Any:
    """What two nodes of equal value have in common; None for leaves and what cannot be compared."""
    if node.op is LEAF or not node.inputs or node.origin is None:
        return None
    try:
        key = (node.op, tuple(map(_identity, node.inputs)), tuple(sorted(node.params.items())), node.like)
        hash(key)
    except TypeError:
        return None
    return key


def _identity(x: Any) -> Any:
    if isinstance(x, Node):
        return x
    return (type(x), repr(x)) if np.ndim(x) == 0 else id(x)
