"""Which group each node is drawn in: calls of layers, within one another as layers are, and turns of loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...explain.tape import Tape
from ...graph.node import Node, Turn
from ...nn.passes import Called

#: Of a loop with more turns the middle ones make one group, all but this many at either end.
ENDS = 2
#: A loop with up to this many turns has a group for each.
MOST_TURNS = 8


class Group(NamedTuple):
    """A box around nodes.

    Attributes:
        key: unique in the scene, such as `g3`.
        title: to be written on the box: what the layer is called in the one around it, and its class.
        path: of the layer; of a turn the loop's; the scope of a static graph.
        parent: key of the group around it; empty where there is none.
        kind: "layer", "turn" or "scope".
    """

    key: str
    title: str
    path: str
    parent: str
    kind: str


class _Place(NamedTuple):
    """A group before it is one: what it stands for, and what is to be said of it."""

    what: Any
    title: str
    path: str
    kind: str


def grouped(tape: Tape | None, nodes: Sequence[Node]) -> tuple[dict[str, Group], dict[Node, str]]:
    """The groups by key, and the key of the innermost group of each node that is in one.

    A group is an interval in the order of computation, so that what is drawn as one box can be one node, too, and no
    cycle comes up: a layer that is called twice makes two groups. What nothing computed (parameters) stands with its
    users, in the innermost group that holds them all.
    """
    places_of = _places(tape) if tape is not None else {n: _scopes(n) for n in nodes}
    groups: dict[str, Group] = {}
    group_of: dict[Node, str] = {}
    opened: list[tuple[Any, str]] = []
    for node in nodes:
        places = places_of.get(node, ())
        if not node.inputs or not (places or opened):
            continue
        same = 0
        while same < min(len(places), len(opened)) and opened[same][0] == places[same].what:
            same += 1
        del opened[same:]
        for place in places[same:]:
            key, parent = f"g{len(groups)}", opened[-1][1] if opened else ""
            title = place.title.removeprefix(f"{groups[parent].path}." if parent else "")
            groups[key] = Group(key, title, place.path, parent, place.kind)
            opened.append((place.what, key))
        if opened:
            group_of[node] = opened[-1][1]
    _with_users(nodes, groups, group_of, tape)
    return groups, group_of


def _with_users(nodes: Sequence[Node], groups: dict[str, Group], group_of: dict[Node, str], tape: Tape | None) -> None:
    chains: dict[Node, list[str]] = {}
    named = set(tape.names) - {n for n in tape.names if n.owner is not None} if tape is not None else set()
    for node in nodes:
        for x in node.parents:
            if not x.inputs and x not in named and x.op.name != "placeholder":
                chain = _chain(groups, group_of.get(node, ""))
                known = chains.get(x)
                chains[x] = chain if known is None else [a for a, b in zip(known, chain, strict=False) if a == b]
    for node, chain in chains.items():
        if chain:
            group_of[node] = chain[-1]


def _chain(groups: dict[str, Group], key: str) -> list[str]:
    found: list[str] = []
    while key:
        found.append(key)
        key = groups[key].parent
    return found[::-1]


def _scopes(node: Node) -> tuple[_Place, ...]:
    """The name scopes of a node of a static graph."""
    parts = (node.name or "").split("/")[:-1]
    return tuple(_Place("/".join(parts[: i + 1]), p, "/".join(parts[: i + 1]), "scope") for i, p in enumerate(parts))


def _places(tape: Tape) -> dict[Node, tuple[_Place, ...]]:
    """The calls of layers and the turns of loops around each node, the outermost first.

    A loop is traced once, and its turns are made of what was traced, so both know their order only among themselves. A
    call that holds all of a turn is drawn around it, any other within.
    """
    computed = [n for n in tape.nodes if n.inputs]
    turns_of = tape.turns
    size: Counter[Turn] = Counter()
    shared: Counter[tuple[Turn, Called]] = Counter()
    for node in computed:
        for turn in turns_of.get(node, ()):
            size[turn] += 1
            shared.update((turn, called) for called in map(_hashable, tape.layers(node)))
    turn_places = _turn_places(list(size))
    found: dict[Node, tuple[_Place, ...]] = {}
    for node in computed:
        calls, turns = list(tape.layers(node)), turns_of.get(node, ())
        places: list[_Place] = []
        for turn in turns:
            while calls and shared[turn, _hashable(calls[0])] == size[turn]:
                places.append(_call_place(calls.pop(0)))
            places.append(turn_places[turn])
        places += map(_call_place, calls)
        found[node] = tuple(places) or _scopes(node)
    return found


def _hashable(called: Called) -> Any:
    return called.start, called.stop


def _call_place(called: Called) -> _Place:
    kind = type(called.layer).__name__
    return _Place(_hashable(called), f"{called.path}: {kind}" if called.path else kind, called.path, "layer")


def _turn_places(turns: list[Turn]) -> dict[Turn, _Place]:
    """A group for each turn; one for all in the middle of a long loop."""
    found: dict[Turn, _Place] = {}
    runs: list[list[Turn]] = []
    latest: dict[str, list[Turn]] = {}
    for turn in sorted(turns, key=lambda t: t.start):
        run = latest.get(turn.loop)
        if run is None or abs(turn.number - run[-1].number) != 1:
            run = latest[turn.loop] = []
            runs.append(run)
        run.append(turn)
    for run in runs:
        middle = run[ENDS:-ENDS] if len(run) > MOST_TURNS else []
        for turn in run:
            found[turn] = _Place(turn, f"turn {turn.number}", f"{turn.loop}, turn {turn.number}", "turn")
        if middle:
            title = f"turns {middle[0].number} to {middle[-1].number}"
            found.update(dict.fromkeys(middle, _Place(middle[0], title, f"{middle[0].loop}, {title}", "turn")))
    return found
