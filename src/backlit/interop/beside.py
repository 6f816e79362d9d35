"""`Beside`: one graph in one precision beside a library, node by node and as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import FLOAT
from ..explain.tape import Tape
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.tensor import LEAF
from ..testing.diagnosis import kink
from ..testing.tolerances import tolerance
from ..testing.ulp import ulp_distance
from . import causes
from .comparison import Divergence, End, Row
from .foreign import NoTwin, Ran, pulled, run
from .libraries import Library, moves
from .local import Local
from .twins import TWINS

#: Causes are looked for at so many divergences: each asks finite differences.
EXPLAINED = 5


class _Seen(NamedTuple):
    """A node with what the library gave for it, and the rows."""

    local: Local
    ran: Ran | None
    problem: str


class Beside:
    """A graph in one precision beside a library."""

    def __init__(self, tape: Tape, again: Tape, origins: dict[Node, Node], dtype: str, there: Library | None) -> None:
        self.tape, self.again, self.origins, self.dtype, self.there = tape, again, origins, dtype, there
        self.cotangents = again.cotangents
        self.nodes = [n for n in again.nodes if n.op is not LEAF and n.op is not PICK]
        self.seen: dict[Node, _Seen] = {n: self._look(n) for n in self.nodes}
        self.slacks: dict[Node, list[Any]] = {}  # what rounding may do to the cotangents that a node gives
        self._found: list[tuple[Row, Local, Any]] = []

    def _look(self, node: Node) -> _Seen:
        outs = node.value if node.op.results is not None else (node.value,)
        local = Local(
            node.op, tuple(x.value if isinstance(x, Node) else x for x in node.inputs or ()), node.params,
            tuple(map(np.asarray, outs)), self._parts(node), node.serial <= self.again._guard,
        )  # fmt: skip
        if self.there is None:
            return _Seen(local, None, "")
        try:
            return _Seen(local, run(self.there, local.op, local.values, local.params, local.outs), "")
        except NoTwin as reason:
            return _Seen(local, None, str(reason))

    def _parts(self, node: Node) -> tuple[Any, ...]:
        """The cotangents of a node's results."""
        if node.op.results is None:
            return (self.cotangents.get(node),)
        parts: list[Any] = [None] * len(node.like)
        for e in self.again.users[node]:
            if e.target.op is PICK and (g := self.cotangents.get(e.target)) is not None:
                i = e.target.params["index"]
                parts[i] = g if parts[i] is None else parts[i] + g
        return tuple(parts)

    # --- node by node --------------------------------------------------------------------------------

    def forward(self) -> list[Row]:
        """The value of each node."""
        if self.there is None:
            return []
        rows: list[Row] = []
        for node, (local, ran, problem) in self.seen.items():
            if ran is None:
                rows.append(Row(self.origins[node], "forward", self.dtype, problem=problem))
                continue
            parts = [
                _row(self.origins[node], "forward", self.dtype, ours, theirs, slack, i)
                for i, (ours, theirs, slack) in enumerate(zip(local.outs, ran.outs, local.slack(), strict=True))
            ]
            worst = max(parts, key=lambda r: (r.share, r.ulp))
            rows.append(worst)
            if worst.share > 1:
                self._found.append((worst, local, ran.outs[worst.input]))
        return rows

    def backward(self) -> list[Row]:
        """The cotangents that each node gives its inputs, from the output on."""
        rows: list[Row] = []
        for node, (local, ran, problem) in reversed(self.seen.items()):
            if not local.differentiable or not any(local.wanted):
                continue
            ours = local.pulled()
            origin = self.origins[node]
            if self.there is None or (ran is None and local.op.name not in TWINS):
                rows.append(self._by_differences(origin, local, ours))
                continue
            try:
                if ran is None:
                    raise NoTwin(problem)
                theirs = pulled(self.there, ran, local.cotangents)
            except NoTwin as reason:
                rows.append(Row(origin, "backward", self.dtype, problem=str(reason)))
                continue
            slack = self.slacks[node] = local.slack_of_cotangents(ours)
            parts = [
                _row(origin, "backward", self.dtype, *_filled(mine, yours, x), allowed, i)
                for i, (mine, yours, x, allowed) in enumerate(zip(ours, theirs, local.values, slack, strict=True))
                if local.wanted[i] and (mine is not None or yours is not None)
            ]
            if parts:
                worst = max(parts, key=lambda r: (r.share, r.ulp))
                rows.append(worst)
                if worst.share > 1:
                    self._found.append((worst, local, theirs[worst.input]))
        return rows

    def _by_differences(self, origin: Node, local: Local, ours: Sequence[Any]) -> Row:
        found = local.by_differences(ours)
        if np.max(found.excess) > 1 and len(found.columns) < found.f.x.size:
            along, found = found, local.by_differences(ours, singly=True)
            if np.max(found.excess) <= 1:
                problem = (
                    f"kinks lie within one step of it; {len(found.columns)} single numbers of {along.f.x.size} agree"
                )
                return Row(origin, "backward", self.dtype, problem=problem)
        _, column = (int(i) for i in np.unravel_index(int(np.argmax(found.excess)), found.excess.shape))
        share = float(found.excess[0, column])
        if share > 1 and (at := kink(found, 0, column)) is not None:
            return Row(origin, "backward", self.dtype, problem=at)
        mine, yours = float(found.by_rule[0, column]), float(found.by_differences[0, column])
        slot = _slot_of(local, int(np.argmax(np.abs(found.columns[column]))))
        row = Row(origin, "backward", self.dtype, float(ulp_distance(mine, yours)), share, mine, yours, (), slot)
        if share > 1:
            self._found.append((row, local, None))
        return row

    def divergences(self) -> list[Divergence]:
        """What was found, in order, and ends that are apart although no node is."""
        title = self.there.title if self.there is not None else "finite differences"
        found = [
            self._divergence(row, self._cause(row, local, theirs, title) if i < EXPLAINED else _NOT_ASKED)
            for i, (row, local, theirs) in enumerate(self._found)
        ]
        return found or [
            Divergence(
                end.name, "whole graph", "", "", _way(end), end.name, self.dtype,
                end.ours, end.theirs, end.entry, end.ulp, end.share,
                "rounding that the graph amplifies: every node is equal by itself",
                "compare in float64; look for differences of nearly equal numbers, and kinks near the point",
            )
            for end in self.ends() if end.share > 1
        ]  # fmt: skip

    def _cause(self, row: Row, local: Local, theirs: Any, title: str) -> causes.Cause:
        if row.direction == "forward":
            ours = local.outs[row.input]
            return causes.of_values(local, ours, theirs, local.slack()[row.input], row.ulp, title)
        found = local.pulled()
        if theirs is None:
            return causes.of_differences(local, row.input, found)
        allowed = local.slack_of_cotangents(found)
        mine, yours = _filled(found[row.input], theirs, local.values[row.input])
        found[row.input] = mine
        slack = allowed[row.input] if allowed[row.input] is not None else np.zeros(np.shape(mine))
        return causes.of_cotangents(local, row.input, found, yours, slack, title)

    def _divergence(self, row: Row, cause: causes.Cause) -> Divergence:
        tape, node = self.tape, row.node
        source = (node.inputs or ())[row.input] if row.direction == "backward" else None
        name = tape.name(source) if isinstance(source, Node) else "a constant" if source is not None else ""
        fault = {True: "here", False: "there", None: ""}[cause.ours]
        return Divergence(
            tape.name(node) if node.op.results is None else node.op.name, node.op.name, tape.line(node),
            tape.layer(node), row.direction, name, self.dtype, row.ours, row.theirs, row.entry, row.ulp, row.share,
            cause.what, cause.mend, fault,
        )  # fmt: skip

    # --- the whole graph -----------------------------------------------------------------------------

    def ends(self) -> list[End]:
        """Output and gradients, where each node runs on what the library gave for those before it."""
        if self.there is None:
            return []
        if not hasattr(self, "_ends"):
            self._ends = self._chained(self.there)
        return self._ends

    def gradients(self) -> dict[Node, Any]:
        """The library's gradient by each leaf of the user's graph; ours where that is all there is."""
        self.ends()
        return self._gradients if self.there is not None else {
            self.origins[n]: self.cotangents.get(n) for n in self.again.leaves
        }  # fmt: skip

    def _chained(self, there: Library) -> list[End]:
        values: dict[Node, Any] = {}
        pulls: dict[Node, Callable[[Sequence[Any]], list[Any]]] = {}
        for node in self.again.nodes:
            if node.op is LEAF:
                values[node] = node.value
            elif node.op is PICK:
                values[node] = values[next(node.parents)][node.params["index"]]
            else:
                outs, pulls[node] = self._step(
                    there, node, [values[x] if isinstance(x, Node) else x for x in node.inputs or ()]
                )
                values[node] = tuple(outs) if node.op.results is not None else outs[0]
        known: dict[Node, Any] = {self.again.output: np.asarray(self.again.seed)}
        for node in reversed(self.again.nodes):
            g = known.get(node)
            if g is None or node.op is LEAF:
                continue
            if node.op is PICK:
                source = next(node.parents)
                parts = known.setdefault(source, [None] * len(source.like))
                i = node.params["index"]
                parts[i] = g if parts[i] is None else parts[i] + g
                continue
            pieces = pulls[node](g if node.op.results is not None else [g])
            for x, piece in zip(node.inputs or (), pieces, strict=True):
                if isinstance(x, Node) and piece is not None and x.op.results is None:
                    known[x] = piece if x not in known else known[x] + piece
        self._gradients = {self.origins[n]: known.get(n) for n in self.again.leaves}
        depth = len(self.nodes)
        last = self.seen[self.again.output].local.slack() if self.again.output in self.seen else [0.0]
        ends = [end_of("output", self.dtype, self.again.output.value, values[self.again.output], depth, last[0])]
        for n in self.again.leaves:
            mine, yours = self.cotangents.get(n), known.get(n)
            if mine is not None or yours is not None:
                name = f"gradient by {self.tape.name(self.origins[n])}"
                ends.append(end_of(name, self.dtype, *_filled(mine, yours, n.value), depth, self._slack_at(n)))
        return ends

    def _slack_at(self, leaf: Node) -> Any:
        """What rounding may do, by itself, to what the users of a leaf give it."""
        found: Any = 0.0
        for e in self.again.users[leaf]:
            slack = self.slacks.get(e.target)
            if slack is not None and slack[e.slot] is not None:
                found = found + slack[e.slot]
        return found

    def _step(self, there: Library, node: Node, inputs: list[Any]) -> tuple[Any, Any]:
        local, ran, _ = self.seen[node]
        same = all(_same(a, b) for a, b in zip(inputs, local.values, strict=True))
        if not same or ran is None:
            try:
                ran = run(there, node.op, inputs, node.params, local.outs)
            except NoTwin:
                ran = None
        if ran is None:  # what has no twin is computed here, on their values
            outs = local.again(inputs)
            here = local._replace(values=tuple(inputs), outs=outs)
            if local.op.nondiff is not None or local.op.stops:
                return outs, lambda gs: [None] * len(inputs)
            return outs, lambda gs: here._replace(cotangents=tuple(gs)).pulled()
        given = ran

        def pull(gs: Sequence[Any]) -> list[Any]:
            try:
                return pulled(there, given, gs)
            except NoTwin:
                outs = tuple(np.asarray(y) for y in given.outs)
                return local._replace(values=tuple(inputs), outs=outs, cotangents=tuple(gs)).pulled()

        return given.outs, pull


_NOT_ASKED = causes.Cause(f"not looked for: only at the first {EXPLAINED}", "mend the first ones, and compare again")


def _way(end: End) -> str:
    return "forward" if end.name == "output" else "backward"


def _same(a: Any, b: Any) -> bool:
    return a is b or (np.shape(a) == np.shape(b) and bool(np.array_equal(a, b, equal_nan=moves(a))))


def _filled(mine: Any, yours: Any, like: Any) -> tuple[Any, Any]:
    """Two cotangents, zeros where there is none."""
    zeros = np.zeros(np.shape(like), np.asarray(like).dtype)
    return (zeros if mine is None else np.asarray(mine)), (zeros if yours is None else np.asarray(yours))


def _slot_of(local: Local, position: int) -> int:
    """The input that number `position` of all inputs packed one after the other belongs to."""
    for i, (x, w) in enumerate(zip(local.values, local.wanted, strict=True)):
        if w:
            position -= np.size(x) * (2 if np.iscomplexobj(x) else 1)
            if position < 0:
                return i
    return 0


def _row(node: Node, direction: str, dtype: str, ours: Any, theirs: Any, allowed: Any, place: int) -> Row:
    share, ulp, entry, mine, yours = difference(ours, theirs, allowed)
    return Row(node, direction, dtype, ulp, share, mine, yours, entry, place)


def difference(ours: Any, theirs: Any, allowed: Any) -> tuple[float, float, tuple[int, ...], Any, Any]:
    """The largest difference: as a share of what is allowed, in ulps, where, and both numbers there."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or (ours.dtype != theirs.dtype and ours.dtype.char in FLOAT):
        return np.inf, np.inf, (), float("nan"), float("nan")
    if ours.size == 0:
        return 0.0, 0.0, (), None, None
    if ours.dtype.char not in FLOAT:
        share = ulps = np.where(ours != theirs, np.inf, 0.0)
    else:
        ulps = ulp_distance(ours, theirs)
        slack = np.zeros(ours.shape) if allowed is None else np.broadcast_to(allowed, ours.shape)
        with np.errstate(all="ignore"):
            error = np.abs(ours - theirs).astype(float)
            share = np.where(ulps == 0, 0.0, np.where(np.isfinite(error), error / slack, np.inf))
    order = np.where(np.isnan(share), np.inf, share) if np.max(share) > 0 else ulps
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(order)), ours.shape))
    return float(share[at]), float(ulps[at]), at, ours[at].item(), theirs[at].item()


def end_of(name: str, dtype: str, ours: Any, theirs: Any, depth: int, local: Any = 0.0) -> End:
    """`local` is what the last node alone may add; rounding before it comes through as often as there are nodes."""
    largest = float(np.max(np.abs(np.nan_to_num(ours)), initial=0.0))
    allowed = tolerance(dtype, max(depth, 1)).relative * largest + depth * (0.0 if local is None else local)
    share, ulp, entry, mine, yours = difference(ours, theirs, np.broadcast_to(allowed, np.shape(ours)))
    return End(name, dtype, ulp, share, mine, yours, entry)
