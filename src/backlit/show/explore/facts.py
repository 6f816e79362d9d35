"""`facts_of`: all that a page knows of a Tape, as JSON: what there is to see, the program, and what was found out."""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...explain.contributions import shares
from ...explain.formula import derivative, pullback
from ...explain.symbols import Applied, Formula, Name, text, untold
from ...explain.tape import Edge, Tape
from ...graph.bind import PICK
from ...graph.node import Node
from ...graph.tensor import leaf_node
from ..graph.folding import visible
from ..graph.layout import layout
from ..graph.scene import BURST, VANISHED, Scene, SceneNode, folds, scene_of
from .payload import Payload, encoded, summary
from .program import Program

#: How the gradient of a leaf is shared out among edges is computed for so many leaves of a graph of so many nodes.
MOST_SHARED, MOST_NODES = 24, 2000
#: So many edges have their rules written out, each up to so many letters.
MOST_RULES, LONGEST_RULE = 2000, 60
#: Graphs of more nodes begin in the order of computation: nobody sees lines cross from so far.
MOST_ORDERED = 1500
#: Letters of a line of code.
LONGEST_CODE = 200
#: With more nodes to see at first, layers are folded.
MOST_AT_FIRST = 36


class Facts:
    """The JSON of a page in the making."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.scene: Scene = scene_of(tape)
        self.program = Program(tape)
        self._fixed: dict[int, Node] = {}
        self._values = dict(self.program.values)
        self.ids = {n.node: n.id for n in self.scene.nodes if n.node is not None}
        self._tables = {
            "cotangents": {n: self._node(x) for n, x in self.program.cotangents.items()},
            "pieces": {e: self._node(x) for e, x in self.program.pieces.items() if not isinstance(x, tuple)},
            "slopes": {e: self._node(x) for e, x in self.program.slopes.items()},
        }
        self.payload = Payload([*self._fixed.values(), *self.program.nodes], self._values)

    def _node(self, x: Any) -> Node:
        """A value that no node computes as a leaf of its own."""
        if isinstance(x, Node):
            return x
        node = leaf_node(None, like=x)
        self._fixed[id(node)] = node
        self._values[node] = x
        return node

    def data(self) -> dict[str, Any]:
        """All of it."""
        edges, shared = self._edges(), self._shares()
        return {
            "nodes": [self._of_node(n, self._order) for n in self.scene.nodes],
            "edges": [self._of_edge(*e) for e in edges],
            "groups": [
                g._asdict() | {"parent": self._within(g.parent)}
                for g in self.scene.groups.values()
                if g.key not in self._whole
            ],
            "collapsed": sorted(self._folded()),
            "output": self.scene.output,
            "seed": self.payload.numbers[self.program.seed],
            "rules": self._rules(edges),
            "shares": {leaf: [found.get(e) for _, e in edges] for leaf, found in shared.items()},
            "program": self.payload.data(),
            "summaries": self._summaries(),
            "limits": {"vanished": VANISHED, "burst": BURST},
        }

    @cached_property
    def _whole(self) -> frozenset[str]:
        """The calls of a whole network: a box around all of it says nothing."""
        return frozenset(k for k, g in self.scene.groups.items() if g.kind == "layer" and not g.path)

    def _folded(self) -> frozenset[str]:
        """Groups to begin with as one node each: turns of loops, and the inner ones as far out as it takes."""
        turns = frozenset(k for k, g in self.scene.groups.items() if g.kind == "turn")
        if len(turns) < 2:
            turns = frozenset()
        for most in range(max(self.scene.depth.values(), default=0), -1, -1):
            keys = frozenset(k for k, d in self.scene.depth.items() if d > most) - self._whole | turns
            if visible(self.scene, keys) <= MOST_AT_FIRST:
                return keys
        return frozenset(self.scene.groups) - self._whole

    def _within(self, key: str) -> str:
        while key in self._whole:
            key = self.scene.groups[key].parent
        return key

    @cached_property
    def _order(self) -> dict[str, float]:
        """Where each node stands from left to right in a drawing, for the page to begin with."""
        if len(self.scene.nodes) > MOST_ORDERED:
            return {n.id: i for i, n in enumerate(self.scene.nodes)}
        return {i: round(box.x + box.width / 2, 1) for i, box in layout(self.scene).boxes.items()}

    # --- nodes and edges -------------------------------------------------------------------------

    def _of_node(self, n: SceneNode, order: Mapping[str, float]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": n.id, "label": n.label, "op": n.op, "kind": n.kind, "group": self._within(n.group),
            "path": self.tape.parameters.get(n.node, "") if n.node is not None else "",
            "order": order.get(n.id, 0), "line": n.line, "shape": list(n.shape),
        }  # fmt: skip
        if n.node is None:
            return found | self._of_constant(n)
        node = n.node
        found["dtype"] = "" if node.op.results is not None else node.dtype.name
        found["turn"] = self.tape.turn(node)
        twin = self.program.twins[node]
        found["value"] = self._number(twin)
        if node in self._tables["cotangents"]:
            found["cotangent"] = self._number(self._tables["cotangents"][node])
        if twin in self.payload.reasons:
            found["reason"] = self.payload.reasons[twin]
        if code := _code(self.tape.source(node)):
            found["code"] = code
        if node.inputs:
            found["template"] = self._template(node)
            found["chosen"] = any(getattr(x, "dtype", None) == np.bool_ for x in node.inputs if not isinstance(x, Node))
            found["inputs"] = [self._of_input(node, x) for x in node.inputs]
        if node.op.results is not None:
            found["parts"] = self._parts(node)
        return found

    @property
    def places(self) -> dict[str, str]:
        """The ids of groups and parameters by their paths."""
        found = {g.path: key for key, g in self.scene.groups.items() if g.path and key not in self._whole}
        return found | {path: self.ids[n] for n, path in self.tape.parameters.items()}

    def _template(self, node: Node) -> str:
        """The formula of a node with `{0}`, `{1}`, ... for its inputs; plain numbers as they are."""
        args: list[Formula] = []
        for i, x in enumerate(node.inputs or ()):
            args.append(float(np.ravel(x)[0]) if self._is_number(x) else Name(f"{{{i}}}"))
        return text(Applied(node.op, tuple(args), node.params, untold(node)))

    def _is_number(self, x: Any) -> bool:
        """Is an input one number without a name?"""
        if isinstance(x, Node) or self.tape.constant_name(x) is not None:
            return False
        return np.size(x) == 1 and np.asarray(x).dtype.kind in "fiub"

    def _parts(self, node: Node) -> list[dict[str, int]]:
        """The values and cotangents of the outputs of an op that has several."""
        found = []
        for e in self.tape.users[node]:
            if e.target.op is PICK:
                part = {"index": e.target.params["index"], "value": self._number(self.program.twins[e.target])}
                if e.target in self._tables["cotangents"]:
                    part["cotangent"] = self._number(self._tables["cotangents"][e.target])
                found.append(part)
        return found

    def _of_input(self, node: Node, x: Any) -> dict[str, Any]:
        """An input as a formula names it: `name`, and where it has a value that changes `value`."""
        if isinstance(x, Node):
            name = self.tape.name(x)
            if folds(x):
                (source,) = x.parents
                name = f"{self.tape.name(source)}[{x.params['index']}]"
                return {"name": name, "value": self._number(self.program.twins[x]), "id": self.ids[source]}
            return {"name": name, "value": self._number(self.program.twins[x]), "id": self.ids[x]}
        name = self.tape.constant_name(x)
        if getattr(x, "size", 1) == 1:
            number = f"{x:.6g}" if isinstance(x, float) else str(x if not hasattr(x, "item") else x.item())
            return {"name": name or number, "number": number}
        return {"name": name or "constant"}

    def _of_constant(self, n: SceneNode) -> dict[str, Any]:
        """An array that is no node: its value, or what is said of it."""
        value = self._constants[n.id]
        dtype = str(value.dtype)
        if value.size <= 4096 and value.dtype.kind in "fiub":
            return {"dtype": dtype, "fixed": encoded(value)}
        return {"dtype": dtype, "summary": summary(value)}

    @property
    def _constants(self) -> dict[str, Any]:
        found: dict[int, Any] = {}
        for node in self.tape.nodes:
            if folds(node) and node is not self.tape.output:
                continue
            for x in node.inputs or ():
                if not isinstance(x, Node) and getattr(x, "size", 1) != 1:
                    found.setdefault(id(x), x)
        return {f"c{i}": x for i, x in enumerate(found.values())}

    def _edges(self) -> list[tuple[Any, Edge | None]]:
        """The edges of the scene, each with that of the Tape."""
        known: dict[tuple[str, str, int], Edge] = {}
        for e in self.tape.edges:
            if e.target not in self.ids:
                continue
            source = e.source
            if folds(source) and source is not self.tape.output:
                (source,) = source.parents
            known[self.ids[source], self.ids[e.target], e.slot] = e
        return [(e, known.get((e.source, e.target, e.slot))) for e in self.scene.edges]

    def _of_edge(self, e: Any, edge: Edge | None) -> list[Any]:
        """[source, target, slot, number of the piece, number of the slope]; -1 where there is none."""
        found = [e.source, e.target, e.slot]
        for table in ("pieces", "slopes"):
            node = self._tables[table].get(edge) if edge is not None else None
            found.append(-1 if node is None else self._number(node))
        return found

    def _rules(self, edges: Sequence[tuple[Any, Edge | None]]) -> dict[int, list[str]]:
        """For each edge with a derivative [the local derivative, or "" where the op does not work element by element,
        what the edge makes of the cotangent], as formulas.
        """
        found: dict[int, list[str]] = {}
        for number, (_, e) in enumerate(edges):
            if e is None or e not in self._tables["pieces"] or len(found) >= MOST_RULES:
                continue
            local = derivative(self.tape, e)
            back = text(pullback(self.tape, e, f"ḡ({self.tape.name(e.target)})"))
            found[number] = ["" if local is None else text(local), back if len(back) <= LONGEST_RULE else ""]
        return found

    def _number(self, node: Node) -> int:
        return self.payload.numbers[node]

    # --- what is known only here -----------------------------------------------------------------

    def _shares(self) -> dict[str, dict[Edge | None, float]]:
        leaves = [n for n in self.tape.leaves if n in self.tape.cotangents]
        if len(self.tape.nodes) > MOST_NODES or len(leaves) > MOST_SHARED:
            return {}
        found: dict[str, dict[Edge | None, float]] = {}
        for leaf in leaves:
            found[self.ids[leaf]] = {e: round(s, 5) for e, s in shares(self.tape, leaf).items() if s == s}
        return found

    def _summaries(self) -> dict[int, dict[str, Any]]:
        """What is said of values that the page neither has nor computes."""
        sent = {number for number, _ in self.payload.data()["values"]}
        shown = [self.program.twins[n] for n in self.tape.nodes]
        shown += [x for table in self._tables.values() for x in table.values()]
        found: dict[int, dict[str, Any]] = {}
        for node in shown:
            number = self._number(node)
            if node in self.payload.reasons and number not in sent and number not in found and node.op.results is None:
                found[number] = summary(self._values[node])
        return found


def _code(node: Node) -> str:
    """The line of the user's code that made a node, where it can be read."""
    if node.place is None:
        return ""
    code, instruction = node.place
    line = next((n for start, end, n in code.co_lines() if start <= instruction < end and n), 0)
    return linecache.getline(code.co_filename, line).strip()[:LONGEST_CODE] if line else ""
