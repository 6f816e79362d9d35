"""`flow_of`: how much each layer enlarges or shrinks the signal that runs backwards, and by what.

Walk the graph backwards and keep the cotangents of all values that are pending: computed, and not yet passed on.
Passing one on, from a node to its inputs, changes the norm of them all together. The logarithms of these changes add
up, exactly, to the logarithm of the whole, whatever the graph looks like; each belongs to one node, that to one layer
and one cause. What ends in parameters counts no more once it comes up: the norm is that of the signal that runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import exp, inf, isfinite, isnan, log
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

from ..base.higher import higher
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.tensor import LEAF
from ..nn.dropout import Dropout
from ..nn.norms import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from ..nn.standardize import Standardize, Unstandardize
from .plain import WIDTH
from .tape import Edge, Tape

#: What may enlarge or shrink a gradient, as it is told.
CAUSES = {
    "weights": "weights",
    "slope": "slope of the activation",
    "products": "products of values",
    "normalisation": "normalisation",
    "dropout": "dropout",
    "loss": "loss",
    "structure": "branches, sums and pooling",
}

#: The path of what comes after the network.
LOSS = "the loss"

_NORMS = (BatchNorm, LayerNorm, RMSNorm, GroupNorm, InstanceNorm, Standardize, Unstandardize)
_LINEAR = ("add", "subtract", "negative", "positive", "where", "masked_multiply", "guarded_multiply")
_LOSSES = ("log_softmax", "softmax_cross_entropy", "logsumexp")


class Factor(NamedTuple):
    """What one node does to the signal that runs backwards.

    Attributes:
        node: of the tape.
        layer: path of the innermost layer that made it.
        cause: a key of `CAUSES`.
        gain: natural logarithm of the factor; -inf where the signal ends.
        slope: for an activation that works element by element, the mean of |f'| over all; NaN for others.
    """

    node: Node
    layer: str
    cause: str
    gain: float
    slope: float = float("nan")


class LayerFlow(NamedTuple):
    """The factors of one layer together.

    Attributes:
        path: of the layer (or turn of a loop); `LOSS` for what comes after the network, empty for a graph without.
        kind: the name of its class.
        gain: natural logarithm of the factor by which the layer changes the signal.
        causes: the parts of `gain` by cause; they add up to it.
        slopes: mean |f'| of its activations, by the name of the op.
    """

    path: str
    kind: str
    gain: float
    causes: dict[str, float]
    slopes: dict[str, float]

    @property
    def ratio(self) -> float:
        """The factor itself: norm of the signal that leaves the layer, by the norm of the one that comes in."""
        return _exp(self.gain)


class Flow(NamedTuple):
    """How a gradient changes on its way back.

    Attributes:
        factors: one for each node passed, from the output to the inputs; their gains add up to `gain`.
        layers: the same by layer, in the order in which the signal meets them.
        turns: the same by turn of the loops, such as the steps of a recurrent network.
        start, end: the norm of the signal at the output, and where the walk ended.
    """

    factors: tuple[Factor, ...]
    layers: tuple[LayerFlow, ...]
    turns: tuple[LayerFlow, ...]
    start: float
    end: float

    @property
    def gain(self) -> float:
        """Natural logarithm of `end / start`."""
        return _log(self.end) - _log(self.start)

    def between(self, first: str, last: str) -> LayerFlow:
        """What the layers from `first` (met first, nearer to the loss) to `last` do together."""
        paths = [part.path for part in self.layers]
        return _together(f"{first} to {last}", self.layers[paths.index(first) : paths.index(last) + 1])

    def sentences(self, least: float = 10.0) -> list[str]:
        """The stretches of layers that shrink or enlarge the signal more than `least` times, the strongest first."""
        layers = _stretches([part for part in self.layers if part.path != LOSS])
        found = sorted([*layers, *_stretches(self.turns)], key=lambda s: -abs(_together("", s).gain))
        return [_told(s) for s in found if abs(_together("", s).gain) >= log(least)]

    def save(self, path: str | Path, by: str = "layers") -> None:
        """Draw it into a PNG file, by layer or, for a network with loops, by "turns"."""
        higher("flow_picture")(path, self, by)

    def __str__(self) -> str:
        if not self.layers:
            return "No signal runs backwards."
        wide = max(len(_title(part)) for part in self.layers)
        most = max((abs(part.gain) for part in self.layers if isfinite(part.gain)), default=0.0) or 1.0
        lines = [f"{'layer':{wide}}  {'factor':>9}  {'':9}  causes"]
        for part in self.layers:
            causes = ", ".join(f"{CAUSES[c]} ×{_exp(g):.3g}" for c, g in _telling(part.causes))
            lines.append(f"{_title(part):{wide}}  {_times(part.gain):>9}  {_bar(part.gain, most)}  {causes}".rstrip())
        lines.append(f"{'all':{wide}}  {_times(self.gain):>9}")
        told = (line for said in self.sentences() for line in wrap(said, WIDTH))
        return "\n".join([*lines, *told])


def flow_of(tape: Tape, to: Iterable[Any] = ()) -> Flow:
    """How the signal that runs backwards changes on its way, layer by layer.

    Args:
        tape: from `tape_of`.
        to: leaves (Tensors or nodes) whose gradients are part of the signal to the end, such as the inputs of a
            network. Gradients of all other leaves leave the walk where they come up, since they do not run on.

    >>> import backlit as bl
    >>> from backlit.explain.tape import tape_of
    >>> tape = tape_of(lambda x: bl.sigmoid(bl.sigmoid(x)), 4.0)
    >>> flow = flow_of(tape, to=tape.leaves)
    >>> [(f.node.op.name, round(f.gain, 2)) for f in flow.factors]
    [('sigmoid', -1.62), ('sigmoid', -4.04)]
    >>> abs(flow.gain - sum(f.gain for f in flow.factors)) < 1e-12
    True
    """
    kept = {n for n in (tape.image(x) for x in to) if n is not None}
    aside = _aside(tape, kept)
    cause_of = _Causes(tape, aside)
    pending = {tape.output: tape.seed}  # cotangents that run on
    leaving: dict[Node, Any] = {}  # those that end in leaves
    recent: set[Node] = set()  # which of these came up in the part of the network and the turn at hand
    group = ("", "")
    start = before = _norm(pending)
    factors: list[Factor] = []
    for node in sorted(tape.nodes, key=lambda n: -n.serial):
        if node not in pending or node.op is LEAF:
            continue
        if group != (group := cause_of.group(node)):
            recent = set()
        cotangent = pending.pop(node)
        for i, x in enumerate(node.inputs or ()):
            piece = tape.pulled(Edge(x, node, i), cotangent) if isinstance(x, Node) else None
            if piece is not None and aside.get(x) != 0:
                here = leaving if x in aside else pending
                here[x] = _sum(here[x], piece) if x in here else piece
                recent.update({x} & leaving.keys())
        if not pending and not recent:
            break  # what is left are gradients of parameters: the signal has arrived
        after = _norm(pending) or _norm({x: leaving[x] for x in recent})
        cause = cause_of(node)
        slope = slope_of(tape, node) if cause == "slope" and node.op.partials is not None else float("nan")
        factors.append(Factor(node, cause_of.layer(node), cause, _log(after) - _log(before), slope))
        before = after
        if not 0 < after < inf:
            break
    kinds = {c.path: type(c.layer).__name__ for c in tape.calls}
    layers, turns = _grouped(factors, cause_of.layer, kinds), _grouped(factors, tape.turn, {})
    return Flow(tuple(factors), layers, tuple(t for t in turns if t.path), start, before)


def slope_of(tape: Tape, node: Node) -> float:
    """The mean of |f'| over the elements of an activation."""
    means: list[float] = []
    for i, x in enumerate(node.inputs or ()):
        if isinstance(x, Node):
            piece = tape.pulled(Edge(x, node, i), np.ones(node.shape, node.dtype))
            if piece is not None:
                means.append(float(np.mean(np.abs(piece), dtype=np.float64)))
    return max(means, default=float("nan"))


def _aside(tape: Tape, kept: set[Node]) -> dict[Node, int]:
    """Where the signal ends: leaves, and what one product and sums make of them, as `x @ W + b` of an input x; with the
    number of products, 0 or 1, that lie between.
    """
    products: dict[Node, int] = {}
    for node in tape.nodes:
        op, inputs = node.op, node.inputs or ()
        before = {x for x in inputs if isinstance(x, Node)}
        if op is LEAF:
            if node not in kept:
                products[node] = 0
        elif before <= products.keys():
            most = max((products[x] for x in before), default=0)
            if op is PICK or op.family == "movement" or op.name in _LINEAR:
                products[node] = most
            elif most == 0 and (op.name in ("multiply", "divide") or op.transpose is not None):
                products[node] = int(sum(isinstance(x, Node) or np.ndim(x) > 0 for x in inputs) > 1)
    return products


class _Causes:
    """By what a node changes the signal."""

    def __init__(self, tape: Tape, aside: Mapping[Node, int]) -> None:
        self.tape, self.aside = tape, aside
        self.last = max((c.stop for c in tape.calls), default=-1)

    def layer(self, node: Node) -> str:
        """The path of the innermost layer; `LOSS` for what comes after the network."""
        around = self.tape.layers(node)
        if around:
            return around[-1].path
        return LOSS if self.last >= 0 and self.tape.source(node).serial >= self.last else ""

    def group(self, node: Node) -> tuple[str, str]:
        """The part of the network, right below the whole, and the turn of a loop."""
        around = self.tape.layers(node)
        return (around[1].path if len(around) > 1 else self.layer(node)), self.tape.turn(node)

    def __call__(self, node: Node) -> str:
        around = self.tape.layers(node)
        if around and isinstance(around[-1].layer, _NORMS):
            return "normalisation"
        if around and isinstance(around[-1].layer, Dropout):
            return "dropout"
        if node.op.name in _LOSSES or self.layer(node) == LOSS:
            return "loss"
        inputs = node.inputs or ()
        signals = {x for x in inputs if isinstance(x, Node) and x not in self.aside}
        if node.op.name in _LINEAR or node.op.family == "movement":
            return "structure"
        if node.op.name in ("multiply", "divide") or node.op.transpose is not None:
            if signals and any(isinstance(x, Node) and x in self.aside for x in inputs):
                return "weights"
            return "products" if len(signals) > 1 else "structure"
        return "slope" if node.op.family == "elementwise" or node.op.name == "softmax" else "structure"


def _grouped(
    factors: Sequence[Factor], key: Callable[[Node], str], kinds: Mapping[str, str]
) -> tuple[LayerFlow, ...]:  # fmt: skip
    groups: dict[str, list[Factor]] = {}
    for f in factors:
        groups.setdefault(key(f.node), []).append(f)
    found: list[LayerFlow] = []
    for path, group in groups.items():
        causes: dict[str, float] = {}
        slopes: dict[str, list[float]] = {}
        for f in group:
            causes[f.cause] = causes.get(f.cause, 0.0) + f.gain
            if not isnan(f.slope):
                slopes.setdefault(f.node.op.name, []).append(f.slope)
        means = {name: float(np.mean(values)) for name, values in slopes.items()}
        found.append(LayerFlow(path, kinds.get(path, ""), sum(causes.values()), causes, means))
    return tuple(found)


def _together(path: str, parts: Sequence[LayerFlow]) -> LayerFlow:
    causes: dict[str, float] = {}
    slopes: dict[str, list[float]] = {}
    for part in parts:
        for cause, gain in part.causes.items():
            causes[cause] = causes.get(cause, 0.0) + gain
        for name, slope in part.slopes.items():
            slopes.setdefault(name, []).append(slope)
    means = {name: float(np.mean(values)) for name, values in slopes.items()}
    return LayerFlow(path, "", sum(p.gain for p in parts), causes, means)


def _stretches(parts: Sequence[LayerFlow]) -> Iterator[list[LayerFlow]]:
    """Runs of neighbours that all shrink, or all enlarge; what does little of either joins its neighbours."""
    run: list[LayerFlow] = []
    sign = 0.0
    for part in parts:
        own = 0.0 if abs(part.gain) < log(1.5) else (1.0 if part.gain > 0 else -1.0)
        if run and own and sign and own != sign:
            yield run
            run, sign = [], 0.0
        run.append(part)
        sign = own or sign
    if run:
        yield run


def _told(parts: Sequence[LayerFlow]) -> str:
    whole = _together("", parts)
    shrinks = whole.gain < 0
    who = _title(parts[0]) if len(parts) == 1 else _span(_title(parts[0]), _title(parts[-1]))
    verb = ("shrink" if shrinks else "enlarge") + ("s" if len(parts) == 1 else "")
    if whole.gain == -inf:
        return f"{who} end{'s' if len(parts) == 1 else ''} the gradient: nothing comes through."
    ways = {c: g for c, g in whole.causes.items() if (g < 0) == shrinks}
    total = sum(ways.values())
    shares = []
    for cause, gain in sorted(ways.items(), key=lambda item: -abs(item[1])):
        if abs(gain) < 0.05 * abs(total):
            continue
        slopes = ", ".join(f"{name}: mean |f'| = {s:.2g}" for name, s in whole.slopes.items() if cause == "slope")
        shares.append(f"{gain / total:.0%} of it by {CAUSES[cause]}" + (f" ({slopes})" if slopes else ""))
    against = sum(whole.causes.values()) - total
    undone = f"; others act against it, ×{_exp(against):.3g}" if abs(against) > 0.1 * abs(total) else ""
    return f"{who} {verb} the gradient {_exp(abs(whole.gain)):.3g} times: {'; '.join(shares)}{undone}."


def _span(first: str, last: str) -> str:
    """'scan, turns 19 to 0' for two turns of one loop."""
    loop, _, number = first.rpartition(", turn ")
    other, _, end = last.rpartition(", turn ")
    return f"{loop}, turns {number} to {end}" if loop and loop == other else f"{first} to {last}"


def _telling(causes: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(((c, g) for c, g in causes.items() if abs(g) > 0.005), key=lambda item: -abs(item[1]))


def _title(part: LayerFlow) -> str:
    if not part.kind:
        return part.path or "the graph"
    return f"{part.path} {part.kind}".strip()


def _bar(gain: float, most: float) -> str:
    """Nine places: to the left of the middle what shrinks, to the right what enlarges."""
    length = 4 if not isfinite(gain) else min(4, round(4 * abs(gain) / most))
    return f"{'█' * length:>4}│    " if gain < 0 else f"    │{'█' * length:<4}"


def _times(gain: float) -> str:
    return f"×{_exp(gain):.3g}"


def _sum(a: Any, b: Any) -> Any:
    if isinstance(a, tuple):
        return tuple(q if p is None else p if q is None else p + q for p, q in zip(a, b, strict=True))
    return a + b


def _norm(*cotangents: Mapping[Node, Any]) -> float:
    total = 0.0
    with np.errstate(all="ignore"):
        for some in cotangents:
            for given in some.values():
                for part in given if isinstance(given, tuple) else (given,):
                    if part is not None:
                        size = np.abs(part).astype(np.float64, copy=False).ravel()
                        total += float(size @ size)
    return total**0.5


def _log(norm: float) -> float:
    return log(norm) if norm > 0 else -inf


def _exp(gain: float) -> float:
    return 0.0 if gain == -inf else exp(gain) if gain < 700 else inf
