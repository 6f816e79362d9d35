"""`bl.compare`: a graph run node by node in another library, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError
from ..base.trees import leaves_with_paths
from ..explain.tape import Tape, tape_of
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.tensor import LEAF, Tensor, as_value
from ..modes.static.session import Session
from ..testing.tolerances import tolerance
from ..testing.ulp import ulp_distance
from . import causes
from .comparison import Comparison, Divergence, End, Row
from .foreign import NoTwin, Ran, pulled, run
from .libraries import LIBRARIES, Library, library, moves
from .local import Local
from .precision import cast, in_precision, narrowest
from .twins import TWINS

#: Causes are looked for at so many divergences: each asks finite differences.
EXPLAINED = 5
DIFFERENCES = "finite-difference"
PRECISIONS = ("float64", "float32")


def compare(
    fn: Any, args: Sequence[Any] = (), against: str = "torch", *, gradient: Any = None, cotangent: Any = None,
    dtypes: Sequence[str] = PRECISIONS, feed_dict: Mapping[Any, Any] | None = None, session: Session | None = None,
) -> Comparison:  # fmt: skip
    """Run a graph node by node in another library, forward and backward, and tell where the two first part.

    Every node is compared by itself: the library gets the values that its inputs have here, so that a difference is
    this node's own. The whole graph is run there as well, each node on what the others gave, down to the gradients.
    Two numbers count as equal if rounding can part them: 0 units in the last place for ops that move, choose or round
    correctly, a few for functions (`backlit.testing.tolerances`), and what one such unit in the inputs changes.
    Where cotangents differ, finite differences tell whose are right.

    Args:
        fn: a function or compiled function, called with `args`; a Tensor with the graph behind it; or a tensor of a
            static graph, with `session` and `feed_dict`. Derivatives of your own (`custom_derivative`,
            `RegisterGradient`) are compared with the library's derivative of the function itself.
        args: every floating-point array or number in these is differentiated by.
        against: "torch", "jax" or "tensorflow", which must be installed; or "finite-difference": the rule of each node
            beside central differences of its kernel, in float64.
        gradient: a gradient made by hand, which is compared with the library's: a function of `args`, or what it would
            return: an array for each floating-point array of `args`, in their structure.
        cotangent: of the result, or a function that makes it of the result; by default 1 for one element, and numbers
            of all sizes between -1 and 1 for more, so that no error hides behind ones.
        dtypes: the precisions to compare in.

    Raises:
        ArgumentError: an unknown library or precision, or a gradient that fits no argument.
        MissingExtra: the library is not installed.
        GradientError: there is no graph to compare.

    >>> import backlit as bl
    >>> @bl.custom_derivative
    ... def cube(x):
    ...     return x * x * x
    >>> @cube.vjp
    ... def _(g, out, x):
    ...     return g * 2 * x * x
    >>> found = bl.compare(lambda x: bl.sum(cube(x)), [[1.0, 2.0]], against="finite-difference")
    >>> found.equal, found.first.op, found.first.direction
    (False, 'cube', 'backward')
    """
    if against != DIFFERENCES and against not in LIBRARIES:
        known = ", ".join(map(repr, (*LIBRARIES, DIFFERENCES)))
        raise ArgumentError(f"compare: against={against!r}; expected one of {known}.")
    if not isinstance(args, (tuple, list)):
        raise ArgumentError(
            f"compare: args must be a list with one entry for each argument of the function, got {type(args).__name__}."
        )
    if not dtypes or any(d not in PRECISIONS for d in dtypes):
        raise ArgumentError(f"compare: dtypes must be among {PRECISIONS}, got {dtypes!r}.")
    there = library(against) if against != DIFFERENCES else None
    tape = tape_of(
        fn, *args, cotangent=cotangent or _weights, feed_dict=feed_dict, session=session, where="compare"
    )  # fmt: skip
    own = narrowest(tape)
    runs: list[_Run] = []
    for dtype in (["float64"] if there is None else sorted(dtypes, key=lambda d: d != own)):
        again, origins = in_precision(tape, dtype)
        runs.append(_Run(tape, again, origins, dtype, there))
    rows = [r for one in runs for r in (*one.forward(), *one.backward())]
    ends = [e for one in runs for e in one.ends()]
    divergences = [d for one in runs for d in one.divergences()]
    if gradient is not None:
        more = [_of_hand(tape, one, args, gradient) for one in runs[:1]]
        ends += [e for found, _ in more for e in found]
        divergences += [d for _, found in more for d in found]
    title = there.version if there is not None else "finite differences"
    return Comparison(tape, title, rows, ends, divergences)


def _weights(y: Tensor) -> Any:
    """The cotangent of a result of several elements."""
    return np.cos(np.arange(y.size) + 1.0).reshape(y.shape) if y.size != 1 else np.ones(y.shape)


class _Seen(NamedTuple):
    """A node with what the library gave for it, and the rows."""

    local: Local
    ran: Ran | None
    problem: str


class _Run:
    """A graph in one precision beside a library."""

    def __init__(self, tape: Tape, again: Tape, origins: dict[Node, Node], dtype: str, there: Library | None) -> None:
        self.tape, self.again, self.origins, self.dtype, self.there = tape, again, origins, dtype, there
        self.cotangents = again.cotangents
        self.nodes = [n for n in again.nodes if n.op is not LEAF and n.op is not PICK]
        self.seen: dict[Node, _Seen] = {n: self._look(n) for n in self.nodes}
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
            slack = local.slack_of_cotangents(ours)
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
        _, column = (int(i) for i in np.unravel_index(int(np.argmax(found.excess)), found.excess.shape))
        share = float(found.excess[0, column])
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
                end.name, "whole graph", "", "", "forward" if end.name == "output" else "backward", end.name, self.dtype,
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
            return causes.of_differences(local, found, title)
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
                outs, pulls[node] = self._step(there, node, [values[x] if isinstance(x, Node) else x for x in node.inputs or ()])
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
        ends = [_end("output", self.dtype, self.again.output.value, values[self.again.output], depth)]
        for n in self.again.leaves:
            mine, yours = self.cotangents.get(n), known.get(n)
            if mine is not None or yours is not None:
                name = f"gradient by {self.tape.name(self.origins[n])}"
                ends.append(_end(name, self.dtype, *_filled(mine, yours, n.value), depth))
        return ends

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
            return outs, lambda gs: here._replace(cotangents=tuple(gs)).pulled() if _moves_on(here) else [None] * len(inputs)
        given = ran

        def pull(gs: Sequence[Any]) -> list[Any]:
            try:
                return pulled(there, given, gs)
            except NoTwin:
                outs = tuple(np.asarray(y) for y in given.outs)
                return local._replace(values=tuple(inputs), outs=outs, cotangents=tuple(gs)).pulled()

        return given.outs, pull


_NOT_ASKED = causes.Cause(f"not looked for: only at the first {EXPLAINED}", "mend the first ones, and compare again")



def _moves_on(local: Local) -> bool:
    return local.op.nondiff is None and not local.op.stops


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
    share, ulp, entry, mine, yours = _difference(ours, theirs, allowed)
    return Row(node, direction, dtype, ulp, share, mine, yours, entry, place)


def _difference(ours: Any, theirs: Any, allowed: Any) -> tuple[float, float, tuple[int, ...], Any, Any]:
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


def _end(name: str, dtype: str, ours: Any, theirs: Any, depth: int) -> End:
    allowed = tolerance(dtype, max(depth, 1)).relative * float(np.max(np.abs(np.nan_to_num(ours)), initial=0.0))
    share, ulp, entry, mine, yours = _difference(ours, theirs, np.full(np.shape(ours), allowed))
    return End(name, dtype, ulp, share, mine, yours, entry)


# --- gradients made by hand ---------------------------------------------------------------------------


def _of_hand(tape: Tape, one: _Run, args: Sequence[Any], gradient: Any) -> tuple[list[End], list[Divergence]]:
    """The user's gradient beside the library's, by each floating-point argument."""
    given = gradient(*args) if callable(gradient) else gradient
    wanted = [n for n in tape.leaves if n in one.gradients()]
    by_name = {tape.name(n): n for n in wanted}
    items = [x for _, x in leaves_with_paths(given)] if not _is_array(given) else [given]
    if len(items) != len(by_name):
        raise ArgumentError(
            f"compare: gradient= has {len(items)} arrays for {len(by_name)} floating-point arguments "
            f"({', '.join(by_name)}); give one for each, in their order."
        )
    ends: list[End] = []
    found: list[Divergence] = []
    depth = len(one.nodes)
    for (name, node), item in zip(by_name.items(), items, strict=True):
        theirs = one.gradients()[node]
        like = np.zeros(node.shape, one.dtype) if theirs is None else np.asarray(theirs)
        mine = cast(np.asarray(as_value(item), np.float64), one.dtype)
        end = _end(f"gradient by hand, by {name}", one.dtype, mine, like, 16 * max(depth, 4))
        ends.append(end)
        if end.share > 1:
            cause = causes.of_hand(mine, like)
            found.append(
                Divergence(
                    end.name, "the gradient made by hand", "", "", "backward", name, one.dtype, end.ours, end.theirs,
                    end.entry, end.ulp, end.share, cause.what, cause.mend, "here",
                )
            )  # fmt: skip
    return ends, found


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, Tensor, float, int))
