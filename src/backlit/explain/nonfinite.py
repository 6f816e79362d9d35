"""`trace_nonfinite`: the op that made the first number that is not finite, forward or backward, and why it did.

The graph is computed with every value kept. If the output is not finite, the walk goes back from it, always to inputs
that are not finite; if it is, and a gradient is not, the same on the graph of the backward pass, whose nodes know which
node of the forward pass they belong to. Where all inputs of a node are finite, there the number was born. An infinity
that was meant, such as -inf in a mask, is none of these: where it does harm the walk ends at the op that it harms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.reverse import backpropagate
from ..base.config import settings
from ..base.errors import ArgumentError
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.tensor import LEAF, Tensor, edge, leaf_node
from ..modes.compile import Compiled
from ..modes.static.session import Session
from ..modes.static.variables import VARIABLE
from ..nn import Layer
from .nonfinite_reasons import ROWS, Case, Largest, Reason, reason_for
from .origin import Input, Origin, Step, described
from .running import samples
from .tape import Tape, argument_names
from .variables import variables
from .whole import objective_of, whole_tape

#: So many steps back (and on) are looked at to know where a number came from (and went to).
NEAR = 6
#: So many entries are shown.
SHOWN = 3

_DATA = Reason(
    "not finite from the start", (), False, lambda c: True,
    "{name} is not finite itself; nothing that is computed here made it so",
    "mend or drop these entries: look with np.argwhere(~np.isfinite(x)); np.nan_to_num and the mean of the column are "
    "common replacements",
)  # fmt: skip
_CONSTANT = Reason(
    "a constant that is not finite",
    (),
    False,
    lambda c: True,
    "a constant is not finite: it was computed outside of what is traced, or written down",
    "look at where it is made",
)


def trace_nonfinite(
    y: Any = None, *args: Any, wrt: Any = None, cotangent: Any = None, session: Session | None = None,
    feed_dict: Mapping[Any, Any] | None = None, names: Mapping[str, Any] | None = None, model: Layer | None = None,
    loss: Any = None, batch: Sequence[Any] | None = None,
) -> Origin | None:  # fmt: skip
    """Where the first NaN or infinity was born; None where output and gradients are finite.

    Args:
        y: a function (compiled or not) that is called with `args`, a Tensor with a graph, or a tensor of a static
            graph (with `session` and `feed_dict`); or a Tape that is there already, with nodes of it as `wrt`.
        wrt: whose gradients are looked at: names of arguments (or paths, "params" stands for all below it), or
            Tensors. By default the Tensors that require grad; for a function without any, its first argument.
        cotangent: of the output; by default ones.
        names: names for Tensors; by default the local variables of the caller.
        model, loss, batch: in place of `y` a network, a loss `loss(outputs, targets)` (or its name, or "auto") and
            a batch (inputs, then targets).

    >>> import backlit as bl
    >>> origin = trace_nonfinite(lambda x: bl.log(bl.softmax(x)).sum(), bl.tensor([0.0, 200.0]))
    >>> origin.op, origin.reason, origin.entries
    ('log', 'log(0): a probability underflowed to 0 in softmax', ((0,),))
    """
    if model is not None:
        if loss is None or batch is None or y is not None:
            raise ArgumentError("trace_nonfinite: with a model give loss= and batch=(inputs, targets), and no y.")
        batch = samples(batch, "trace_nonfinite")
        y, args = objective_of(model, loss, batch), (model.parameters(), *batch)
    names = variables() if names is None else names
    if isinstance(y, Tensor) and args:
        raise ArgumentError("trace_nonfinite: arguments are for a function; the Tensor is computed already.")
    chosen = () if wrt is None else (wrt,) if isinstance(wrt, str) or not isinstance(wrt, Sequence) else tuple(wrt)
    tensors = [t for t in chosen if not isinstance(t, str)]
    with np.errstate(all="ignore"):
        if isinstance(y, Tape):
            return _Search(y, [n for n in chosen if isinstance(n, Node)]).origin()
        tape = whole_tape(
            y, *args, wrt=tensors, cotangent=ones_like if cotangent is None else cotangent, feed_dict=feed_dict,
            session=session, names=names, where="trace_nonfinite",
        )  # fmt: skip
        return _Search(tape, _targets(tape, y, args, chosen)).origin()


def ones_like(y: Any) -> Any:
    """The cotangent by which all entries of an output count."""
    return np.ones(y.shape, y.dtype)[()]


def _targets(tape: Tape, y: Any, args: Sequence[Any], chosen: Sequence[Any]) -> list[Node]:
    """The leaves whose gradients are looked at."""
    if chosen:
        names = tuple(c for c in chosen if isinstance(c, str))
        found = [n for n in tape.leaves if any(_below(tape.name(n), name) for name in names)]
        found += [n for t in chosen if not isinstance(t, str) and (n := tape.image(t)) is not None]
        if not found:
            raise ArgumentError(
                f"trace_nonfinite: wrt names {', '.join(map(str, chosen))}, but the leaves are "
                f"{', '.join(tape.name(n) for n in tape.leaves)}."
            )
        return found
    owned = [n for n in tape.leaves if n.owner is not None and n.owner() is not None]
    if owned:
        return owned
    if isinstance(y, Tensor):  # of a static graph: its variables
        variables = {tape.image(n) for n in tape.flat.images if n.op is VARIABLE}
        return [n for n in tape.leaves if n in variables]
    function = y.function if isinstance(y, Compiled) else y
    first = argument_names(function, len(args))[:1]
    return [n for n in tape.leaves if first and _below(tape.name(n), first[0])]


def _below(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


class _Search:
    """The walk back from what is not finite to where it was born."""

    def __init__(self, tape: Tape, targets: Sequence[Node]) -> None:
        self.tape, self.targets = tape, targets
        self.names = {n: tape.name(n) for n in tape.nodes}
        self.via: dict[Any, Any] = {}  # from each node to the next on the way to the end
        self.ends: dict[Any, str] = {}  # the gradients that are not finite, and by which leaf they are

    def origin(self) -> Origin | None:
        """Of the output, or else of the gradients."""
        tape = self.tape
        if not _fine(tape.output.value):
            return self._from([tape.output], f"{self._called(tape.output)} is {described(tape.output.value)}")
        found = self._gradients()
        bad = [n for n in self.targets if n in found and not _fine(found[n].value)]
        if not bad:
            return None
        names = [tape.name(n) for n in bad]
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        end = f"The gradient of {shown} is not finite, though {self._called(tape.output)} is"
        self.ends = {found[n].node: tape.name(n) for n in bad}
        return self._from(list(self.ends), end)

    def _called(self, node: Node) -> str:
        value = np.asarray(node.value)
        return "the output" if value.ndim else f"the output ({value.item():.4g})" if _fine(value) else "The output"

    def _gradients(self) -> dict[Node, Any]:
        """The gradients, with the graph of the backward pass, every value kept."""
        tape = self.tape
        seed = edge(leaf_node(tape.seed, name="the cotangent of the output"))
        with settings(keep_values=True):
            return backpropagate({tape.output: seed}, set(self.targets), record=True)

    def _from(self, starts: Sequence[Any], end: str) -> Origin:
        births: list[Node] = []
        meetings: list[Node] = []  # where infinities made a NaN
        given: list[tuple[Any, Node | None]] = []
        todo, seen = list(starts), set(starts)
        while todo:
            node = todo.pop()
            if node.op is LEAF:
                given.append((node, None))
                continue
            causes = _causes(node)
            if not causes:
                births.append(node)
            elif np.isnan(_bad_part(node.value)).any() and not any(
                np.isnan(_bad_part(_value(x))).any() for x in causes
            ):
                meetings.append(node)
            for x in causes:
                if not isinstance(x, Node):
                    given.append((x, node))
                elif x not in seen:
                    seen.add(x)
                    self.via[x] = node
                    todo.append(x)
        if births:
            return self._made(min(births, key=lambda n: n.serial), end)
        wrong = [x for x in given if isinstance(x[0], Node) and _spoilt(x[0].value)]
        if meetings and not wrong:
            return self._made(min(meetings, key=lambda n: n.serial), end)
        value, user = (wrong or sorted(given, key=lambda x: not isinstance(x[0], Node)))[0]
        return self._handed_in(value, user, end)

    def _made(self, node: Node, end: str) -> Origin:
        """The Origin for what an op made."""
        tape, forward = self.tape, node.origin
        own = forward or node
        out = _bad_part(node.value)
        inputs = node.inputs or ()
        values = [_value(x) for x in inputs]
        untaken = forward is None and _fine(tape.output.value)
        roots = {_root(tape, n) for n in self.targets}
        leaves = (Largest(tape.name(n), _size(n.value), _root(tape, n) in roots) for n in tape.leaves)
        largest = max(leaves, key=lambda x: x.size, default=Largest("", 0.0, False))
        case = Case(
            node.op.name, values, out, forward.op.name if forward else "",
            [_value(x) for x in own.inputs or ()], untaken, self._makers(own), self._users(own), largest,
            tape.turn(own),
        )  # fmt: skip
        reason, why = reason_for(case)
        entrywise = node.op.family == "elementwise" or node.op.name in ROWS
        return self._told(
            node, own, out, "backward" if forward else "forward", end, reason, why,
            tuple(self._input(x, out, entrywise) for x in inputs if hasattr(x, "shape")),
        )  # fmt: skip

    def _handed_in(self, value: Any, user: Node | None, end: str) -> Origin:
        """The Origin for what was not finite when it was given."""
        if isinstance(value, Node):
            name = self.tape.name(value)
            mend = _DATA.mend
            if value in self.targets:
                mend = (
                    "parameters that are not finite were ruined in the step before: trace that step, lower the "
                    "learning rate or clip the gradients"
                )
            return self._told(
                value, value, np.asarray(value.value), "input", end, _DATA, _DATA.why.format(name=name), (), mend
            )  # fmt: skip
        assert user is not None
        own = user.origin or user
        told = self._told(user, own, np.asarray(value), "input", end, _CONSTANT, _CONSTANT.why, ())
        return told._replace(name=self.tape.constant_name(value) or "")

    def _told(
        self, node: Node, own: Node, out: Any, direction: str, end: str, reason: Reason, why: str,
        inputs: tuple[Input, ...], mend: str = "",
    ) -> Origin:  # fmt: skip
        tape = self.tape
        bad = np.argwhere(~np.isfinite(out))
        way, at = [node], node
        while at in self.via:
            at = self.via[at]
            way.append(at)
        return Origin(
            direction=direction, op=node.op.name, of=own.op.name if own is not node else "", name=self._name(node),
            line=tape.line(own) if own.op is not LEAF else "", layer=tape.layer(own), turn=tape.turn(own),
            shape=tuple(out.shape), dtype=out.dtype.name, what=described(out),
            entries=tuple(tuple(int(i) for i in e) for e in bad[:SHOWN]), number=len(bad), inputs=inputs,
            way=(*(self._step(n) for n in way if n.op is not PICK), *self._end(way[-1])), end=end, key=reason.key,
            reason=why, mend=mend or reason.mend,
        )  # fmt: skip

    def _name(self, node: Node) -> str:
        return self.names.get(node) or node.name or ""

    def _step(self, node: Node) -> Step:
        own = node.origin or node
        if node.op is LEAF:
            return Step(self._name(node), "", "")
        name = node.op.name if own is node else f"{node.op.name} of {own.op.name}'"
        return Step(name, self.tape.line(own), self.tape.layer(own))

    def _end(self, node: Any) -> list[Step]:
        return [Step(f"gradient of {self.ends[node]}", "", "")] if node in self.ends else []

    def _input(self, x: Any, out: Any, entrywise: bool) -> Input:
        value = _bad_part(_value(x))
        fine = np.isfinite(value)
        known = value[fine].real if value.dtype.kind in "fciu" else np.zeros(0)
        at: tuple[float, ...] = ()
        if entrywise and value.dtype.kind in "fiu":
            at = tuple(float(v) for v in np.broadcast_to(value, out.shape)[~np.isfinite(out)][:SHOWN])
        name, made = "", ""
        if isinstance(x, Node):
            name = self._name(x) or "a value"
            own = x.origin
            made = "" if x.op is LEAF else f"{x.op.name} of {own.op.name}'" if own else x.op.name
            made = "" if made == name else made
        else:
            name = self.tape.constant_name(x) or "constant"
        low, high = (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)
        return Input(name, made, tuple(value.shape), value.dtype.name, low, high, int((~fine).sum()), at)

    def _makers(self, node: Node) -> set[str]:
        found, front = set(), [node]
        for _ in range(NEAR):
            front = list({x for n in front for x in n.inputs or () if isinstance(x, Node)})
            found |= {n.op.name for n in front}
        return found

    def _users(self, node: Node) -> set[str]:
        found, front = set(), [node]
        for _ in range(NEAR):
            front = list({e.target for n in front for e in self.tape.users.get(n, ())})
            found |= {n.op.name for n in front}
        return found


def _root(tape: Tape, node: Node) -> str:
    """The argument that a leaf is part of."""
    return tape.name(node).partition(".")[0]


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Node) else x


def _bad_part(value: Any) -> Any:
    """A value as an array; of several the first that is not finite."""
    if isinstance(value, tuple):
        value = next((v for v in value if not _fine(v)), value[0])
    return np.asarray(value)


def _fine(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_fine, value))
    x = np.asarray(value)
    return x.dtype.kind not in "fc" or bool(np.isfinite(x).all())


def _size(value: Any) -> float:
    x = np.abs(np.asarray(value))
    return float(np.max(x, where=np.isfinite(x), initial=0.0))


def _spoilt(value: Any) -> bool:
    """Has it a NaN, or a +inf? Minus infinity alone may be a mask."""
    x = np.asarray(value)
    return bool(np.isnan(x).any() or np.isposinf(np.real(x)).any())


def _causes(node: Node) -> list[Any]:
    """The inputs that are not finite and may have made the value of a node so: those with NaN, if it has NaN."""
    inputs = [x for x in node.inputs or () if x is not None and not _fine(_value(x))]
    out = _bad_part(node.value)
    if node.op.family == "elementwise":
        bad = ~np.isfinite(out)
        if node.op.name == "where":
            chosen = np.asarray(_value(node.inputs[0])).astype(bool)  # type: ignore[index]
            parts = zip(node.inputs[1:], (chosen, ~chosen), strict=True)  # type: ignore[index]
            inputs = [x for x, m in parts if np.any(bad & m & ~np.isfinite(np.asarray(_value(x))))]
        else:
            inputs = [x for x in inputs if np.any(bad & ~np.isfinite(np.asarray(_value(x))))]
    if np.isnan(out).any():
        return [x for x in inputs if np.isnan(_bad_part(_value(x))).any()] or inputs
    return inputs
