"""The paths that a gradient takes from the output back to one leaf: the strongest, and what all the others bring.

A graph may have more paths than there are atoms. So the search goes down from the output, carries the cotangent along
one path at a time, follows the strongest branch, and keeps all others as places to go on from. What is not followed in
the end is passed back in one go (`Route.merged`): each rule is linear, so paths shown and remainder add up to the
gradient, which was computed without either.

A path is one of stations. These are the nodes themselves, or calls of layers and turns of loops with all nodes made in
them: then a path tells by which branches it goes, such as the skip of a residual block, or from which time step.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from heapq import heappop, heappush
from itertools import count
from math import inf, isfinite, log, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import ArgumentError
from ..graph.node import Node
from .contributions import Pending, Route, inner, joined
from .tape import Edge, Tape

#: How the stations of a path may be chosen.
STATIONS = ("node", "layer")
#: For every path that is asked for so many are followed, of which the strongest are shown: the share of the first half
#: of a path does not say for sure what is left of it in the end.
FOLLOWED = 4
#: A gradient is called rounding error below so many units in the last place of what it is the sum of.
ROUNDING = 64
#: A search ends when this many stations have been left, whatever was found.
WORK = 20_000


class Station(NamedTuple):
    """One stop of a path.

    Attributes:
        nodes: at which the path enters it, coming from the output.
        layer: the path of the layer whose call it is; empty for a node.
        turn: the turn of a loop that it is, if any.
        choices: how many ways went on from here towards the leaf.
        skips: does the path go around the layers within this one, where another goes through them?
    """

    nodes: tuple[Node, ...]
    layer: str
    turn: str
    choices: int
    skips: bool


class Path(NamedTuple):
    """One path from a leaf to the output.

    Attributes:
        stations: from the leaf to the output, without the leaf.
        edges: the same as edges of the Tape, where stations are nodes; empty else.
        gradient: what comes to the leaf along it: an array of the leaf's shape.
        share: its part of the whole gradient (see `contributions`); NaN where that is 0 or not finite.
        size: the norm of `gradient`, by which paths are ranked where there are no shares.
    """

    stations: tuple[Station, ...]
    edges: tuple[Edge, ...]
    gradient: Any
    share: float
    size: float


class Paths(NamedTuple):
    """The paths to one leaf.

    Attributes:
        shown: the strongest, strongest first.
        remainder: what all others bring together, computed on its own.
        gradient: of the leaf, computed without paths.
        number: how many paths there are in all, from node to node.
        others: how many are in the remainder; None where stations are layers and not all were found.
        terms: the size of what is added up to the gradient in the ops that use the leaf.
    """

    shown: tuple[Path, ...]
    remainder: Any
    gradient: Any
    number: int
    others: int | None
    terms: float

    @property
    def rounding(self) -> bool:
        """Is the gradient no more than the rounding error of terms that cancel?"""
        g = np.asarray(self.gradient)
        return bool(0 < sqrt(inner(g, g)) < ROUNDING * float(np.finfo(g.dtype).eps) * self.terms)

    @property
    def error(self) -> float:
        """By how much paths and remainder fail to add up to the gradient, relative to the largest of them."""
        parts = [np.asarray(p.gradient) for p in self.shown] + [np.asarray(self.remainder)]
        scale = max(sqrt(inner(x, x)) for x in (*parts, np.asarray(self.gradient)))
        with np.errstate(all="ignore"):
            off = np.sum(parts, axis=0) - self.gradient
        return sqrt(inner(off, off)) / scale if scale else 0.0


class _Partial(NamedTuple):
    """A path from the output as far as it has been followed: to `pending`, cotangents of nodes of one station.

    `choices` and `skips` tell how it left the station `after` it, along which `edge`.
    """

    station: Hashable
    pending: Pending
    after: _Partial | None = None
    edge: Edge | None = None
    choices: int = 1
    skips: bool = False


def paths_of(tape: Tape, start: Any, most: int = 8, stations: str | None = None) -> Paths:
    """The strongest paths between `start` (a Tensor or node) and the output, and the remainder.

    Of scalars these are the `most` paths with the largest products, exactly. Of tensors they are exact where no more
    than four times as many paths exist, else the strongest of those that were followed.

    Args:
        tape: from `tape_of`.
        start: a leaf, or any node.
        most: how many paths.
        stations: "node", or "layer" for calls of layers and turns of loops; by default "layer" where there are any.

    Raises:
        ArgumentError: the output was not computed from `start`.

    >>> import backlit as bl
    >>> from backlit.explain.tape import tape_of
    >>> tape = tape_of(lambda x: bl.tanh(x) * x + x, 0.5)
    >>> found = paths_of(tape, tape.leaves[0], most=2)
    >>> [round(float(p.gradient), 3) for p in found.shown], round(float(found.remainder), 3), found.number
    ([1.0, 0.462], 0.393, 3)
    """
    if stations not in (None, *STATIONS):
        raise ArgumentError(f"explain: stations must be one of {', '.join(STATIONS)}, got {stations!r}.")
    if most < 0:
        raise ArgumentError(f"explain: paths must be a number of 0 or more, got {most!r}.")
    route = Route(tape, start)
    by_layer = stations == "layer" or (stations is None and bool(tape.calls or tape.turns))
    return (_ByLayer if by_layer else _Scalars if _scalar(route) else _Search)(route).run(most)


class _Search:
    """Follows paths from node to node, by the share of the gradient that a part of one carries."""

    followed = FOLLOWED

    def __init__(self, route: Route) -> None:
        self.route, self.tape = route, route.tape

    def run(self, most: int) -> Paths:
        number, order, work = self._number(), count(), 0
        first = _Partial(self.station(self.tape.output), {self.tape.output: self.tape.seed})
        heap = [(0.0, next(order), first)] if number else []
        done: list[_Partial] = []
        while heap and len(done) < self.followed * most and work < WORK:
            at: _Partial | None = heappop(heap)[2]
            while at is not None and at.station is not self.route.start:
                work += 1
                ways = sorted((-self.promise(p), next(order), p) for p in self.onwards(at))
                at = ways[0][2] if ways else None
                for way in ways[1:]:
                    heappush(heap, way)
            if at is not None:
                done.append(at)
        ranked = sorted(((self._path(p), p) for p in done), key=lambda pair: -_rank(pair[0]))
        rest: Pending = {}
        for partial in (*(p for _, p in ranked[most:]), *(p for _, _, p in heap)):
            for node, g in partial.pending.items():
                rest[node] = joined(rest[node], g) if node in rest else g
        shown = tuple(path for path, _ in ranked[:most])
        others = self.others(number, len(done), len(shown), bool(heap))
        return Paths(shown, self.route.merged(rest), self.route.gradient, number, others, self._terms())

    def _terms(self) -> float:
        """The largest norm that any use of the start would bring if the terms of its sums did not cancel."""
        route, sizes = self.route, [0.0]
        for e in self.tape.users[route.start]:
            g = self.tape.cotangents.get(e.target)
            if g is not None and e in route.entries.get(e.target, ()):
                sizes.append(_size({route.start: self.tape.pulled(e, np.abs(g))}))
        return max(sizes)

    def station(self, node: Node) -> Hashable:
        """What a node is a part of."""
        return node

    def onwards(self, at: _Partial) -> list[_Partial]:
        """The ways to go on from a station towards the start."""
        ((node, cotangent),) = at.pending.items()
        edges = self.route.entries[node]
        pieces = self.tape.pieces(node, cotangent, {e.slot for e in edges})
        return [_Partial(e.source, {e.source: pieces[e.slot]}, at, e, len(edges)) for e in edges]

    def promise(self, partial: _Partial) -> float:
        """How good a way looks: the larger, the sooner it is followed."""
        share = abs(self.route.share(partial.pending)) if self.route.tangents else _size(partial.pending)
        return share if isfinite(share) else inf

    def others(self, number: int, done: int, shown: int, more: bool) -> int | None:
        return number - shown

    def _number(self) -> int:
        """How many paths there are from node to node, counted without following any."""
        found = {self.route.start: 1}
        for node, edges in self.route.entries.items():
            found[node] = sum(found[e.source] for e in edges)
        return found.get(self.tape.output, 0)

    def _path(self, partial: _Partial) -> Path:
        """A path that has arrived."""
        gradient = partial.pending[self.route.start]
        stations: list[Station] = []
        edges: list[Edge] = []
        at = partial
        while at.after is not None:
            if at.edge is not None:
                edges.append(at.edge)
            nodes = tuple(at.after.pending)
            layer = "" if at.edge is not None else self.tape.layer(nodes[0])
            turn = "" if at.edge is not None else self.tape.turn(nodes[0])
            stations.append(Station(nodes, layer, turn, at.choices, at.skips))
            at = at.after
        return Path(tuple(stations), tuple(edges), gradient, self.route.share(partial.pending), _size(partial.pending))


class _Scalars(_Search):
    """The same for scalars, exactly: a way is as good as the largest product that its completions can have."""

    followed = 1

    def promise(self, partial: _Partial) -> float:
        (node,) = partial.pending
        return _log(_size(partial.pending)) + self._best[node]

    @cached_property
    def _best(self) -> dict[Node, float]:
        """The logarithm of the largest |product| of local derivatives between the start and each node."""
        best = {self.route.start: 0.0}
        for node, edges in self.route.entries.items():
            ones = np.ones(node.shape, node.dtype)[()]
            pieces = self.tape.pieces(node, ones, {e.slot for e in edges})
            best[node] = max(best[e.source] + _log(_size({e.source: pieces[e.slot]})) for e in edges)
        return best


class _ByLayer(_Search):
    """Follows paths from layer to layer and from turn to turn."""

    def station(self, node: Node) -> Hashable:
        calls, turns = self.tape.layers(node)[-1:], self.tape.turns.get(node, ())
        return node if node is self.route.start or not (calls or turns) else (*calls, *turns)

    def onwards(self, at: _Partial) -> list[_Partial]:
        parts: dict[Hashable, Pending] = {}
        for node, g in self.route.leave(at.pending, lambda n: self.station(n) == at.station).items():
            parts.setdefault(self.station(node), {})[node] = g
        here = self.tape.layer(next(iter(at.pending)))
        inside = {s for s, pending in parts.items() if self._within(next(iter(pending)), here)}
        return [
            _Partial(s, pending, at, None, len(parts), bool(inside) and s not in inside) for s, pending in parts.items()
        ]

    def others(self, number: int, done: int, shown: int, more: bool) -> int | None:
        return None if more else done - shown

    def _within(self, node: Node, layer: str) -> bool:
        return bool(layer) and self.tape.layer(node).startswith(f"{layer}.")


def _scalar(route: Route) -> bool:
    """Are all nodes on the way single real numbers?"""
    return all(
        n.op.results is None and n.dtype.kind == "f" and all(size == 1 for size in n.shape)
        for n in (route.start, *route.entries)
    )


def _rank(path: Path) -> float:
    found = abs(path.share) if isfinite(path.share) else path.size
    return found if isfinite(found) else inf


def _size(pending: Pending) -> float:
    return sqrt(sum(inner(g, g) for g in pending.values()))


def _log(x: float) -> float:
    return log(x) if 0 < x < inf else -inf if x == 0 else inf
