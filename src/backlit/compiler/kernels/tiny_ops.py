"""What is computed from elements in registers: elementwise ops, contractions (sums, products, extremes), positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Val
from .body import apply
from .reducing import lowest
from .tiny_values import Base, Layout, Ref, ask, chosen, distinct, is_start, lanes_of, pieces, read, shuffles

#: Ops of about one instruction; it is cheaper to compute one twice than to shuffle its result.
CHEAP = {
    "add", "subtract", "multiply", "guarded_multiply", "square", "negative", "abs", "minimum", "maximum", "relu",
    "sign", "copysign", "where", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan",
    "logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor",
    "bitwise_invert", "astype",
}  # fmt: skip
#: Ops of one long instruction.
LONG = {"divide", "sqrt", "reciprocal", "floor_divide", "remainder"}


def price(node: Node) -> float:
    """Instructions of an elementwise op, about."""
    return 1 if node.op.name in CHEAP else 4 if node.op.name in LONG else 20


class Elementwise(Base):
    """An elementwise op.

    Args:
        node: the node of the graph.
        code, size: dtype and number of elements of the result.
        operands: for each input the refs of its elements, broadcast to the result; a number as it is.
    """

    def __init__(self, node: Node, code: str, size: int, operands: Sequence[Any]) -> None:
        super().__init__(code, size)
        self.node, self.operands = node, operands

    def ask(self, lanes: int) -> None:
        self.made = chosen(self.asked, price(self.node), lanes_of(self.code, lanes))
        for layout in self.made:
            for operand in self.operands:
                if type(operand) is tuple:
                    ask([operand[e] for e in layout])

    def emit(self, k: Emitter) -> None:
        for layout in self.made:
            args = [read(k, [x[e] for e in layout]) if type(x) is tuple else x for x in self.operands]
            if self.node.op.name == "astype":
                value = k.cast(args[0], self.code)
            else:
                value = apply(k, self.node, args, len(layout))
            self.forms[layout] = k.spread(value, self.code, len(layout))


# --- contractions ------------------------------------------------------------------------------------


class Way(NamedTuple):
    """How a contraction is computed in one layout: in `rounds` vectors, then `width` lanes of each element combined."""

    width: int
    rounds: tuple[tuple[int, ...], ...]
    partners: tuple[tuple[int, ...], ...]


def way(layout: Layout, depth: int, width: int) -> Way:
    """The way that spreads `depth` terms over `width` lanes of each element.

    `rounds` says for each lane which term it takes (-1 for none), `partners` for each halving from which lane comes
    what is added.
    """
    groups: dict[int, list[int]] = {}
    for lane, e in enumerate(layout):
        groups.setdefault(e, []).append(lane)
    order = {lane: i for group in groups.values() for i, lane in enumerate(group)}
    rounds = tuple(
        tuple(t if (t := start + order[lane] % width) < depth else -1 for lane in range(len(layout)))
        for start in range(0, depth, width)
    )
    partners = []
    step = 1
    while step < width:
        lanes = []
        for lane, e in enumerate(layout):
            group, i = groups[e], order[lane]
            lanes.append(group[(i ^ step) if (i | (width - 1)) < len(group) else (i % width) ^ step])
        partners.append(tuple(lanes))
        step *= 2
    return Way(width, rounds, tuple(partners))


class Contraction(Base):
    """Terms combined along one axis; each is an element, or a product of two.

    A lane may take all terms of its element in turn. Or, where a layout has the same element in several lanes, these
    share the terms, and are combined by halves: then the result stands in all of them, ready to be used beside
    the terms. The way that takes the fewest instructions is taken.

    Args:
        what: "add", "mul", "maximum", "minimum", "and", "or".
        operands: one or two; for each element of the result the refs of the terms.
    """

    def __init__(self, what: str, code: str, operands: Sequence[Sequence[Sequence[Ref]]]) -> None:
        super().__init__(code, len(operands[0]))
        self.what, self.operands, self.depth = what, operands, len(operands[0][0])
        self.ways: dict[Layout, Way] = {}

    def ask(self, lanes: int) -> None:
        self.made, self.ways = [], {}
        most = lanes_of(self.code, lanes)
        wide = sorted(distinct(self.asked), key=lambda a: (-len(set(a)), -len(a)))
        whole = pieces(range(self.size), most)
        if len(wide) > max(4, 2 * len(whole)):
            wide = whole
        for layout in wide:
            cost, best, found = min((self._candidate(c, w, layout) for c, w in _options(layout, self.depth, most)),
                                    key=lambda x: x[0])  # fmt: skip
            have = {e for a in self.made for e in a}
            if self.made and have.issuperset(layout) and cost > 1:
                continue  # one shuffle of what there is
            self.made.append(best)
            self.ways[best] = found
            for refs in self._requests(best, found):
                ask(refs)

    def _requests(self, layout: Layout, found: Way) -> list[list[Ref]]:
        return [
            [operand[e][max(t, 0)] for e, t in zip(layout, terms, strict=True)]
            for terms in found.rounds
            for operand in self.operands
        ]

    def _candidate(self, layout: Layout, width: int, asked: Layout) -> tuple[float, Layout, Way]:
        found = way(layout, self.depth, width)
        fetched = sum(shuffles(refs) for refs in dict.fromkeys(map(tuple, self._requests(layout, found))))
        masks = sum(1 for terms in found.rounds if -1 in terms)
        after = 0 if is_start(asked, layout) else 1
        # A halving is a shuffle and a sum that wait for each other; of equals the narrower is taken.
        own = len(found.rounds) + masks + 2 * len(found.partners) + len(layout) / 64
        return fetched + own + after, layout, found

    def emit(self, k: Emitter) -> None:
        step = k.combination(self.what)
        for layout in self.made:
            found = self.ways[layout]
            requests = iter(self._requests(layout, found))
            terms = []
            for numbers in found.rounds:
                factors = [k.cast(read(k, next(requests)), self.code) for _ in self.operands]
                value = factors[0] if len(factors) == 1 else factors[0] * factors[1]
                if -1 in numbers:
                    taken = k.table([t >= 0 for t in numbers], "b1")
                    value = k.select(taken, value, neutral(self.what, self.code))
                terms.append(value)
            value = by_halves(step, terms)
            for lanes in found.partners:
                value = step(value, k.shuffle(value, lanes))
            self.forms[layout] = value


def _options(layout: Layout, depth: int, most: int) -> list[tuple[Layout, int]]:
    """Layouts that give the wanted one, with how many lanes share an element."""
    found = []
    copies = 1
    while copies == 1 or (len(layout) * copies <= most and copies < 2 * depth):
        for wide in dict.fromkeys((layout * copies, tuple(e for e in layout for _ in range(copies)))):
            several = min(wide.count(e) for e in set(wide))
            width = 1
            while width <= several and width < 2 * depth:
                found.append((wide, width))
                width *= 2
        copies *= 2
    return found


def by_halves(step: Callable[[Any, Any], Any], terms: Sequence[Any]) -> Any:
    """All terms combined, neighbours first: the rounding error grows with the logarithm of their number."""
    rest = list(terms)
    while len(rest) > 1:
        rest = [step(*rest[i : i + 2]) if i + 1 < len(rest) else rest[i] for i in range(0, len(rest), 2)]
    return rest[0]


def neutral(what: str, code: str) -> Any:
    """What changes nothing when it is combined."""
    if what in ("add", "mul"):
        return int(what == "mul")
    if what in ("and", "or"):
        return what == "and"
    return lowest(code, largest=what == "minimum")


# --- positions ---------------------------------------------------------------------------------------


class Position(Base):
    """The number of the largest or smallest term; the first of equal ones, and NaN before all.

    Args:
        better: "gt" or "lt".
        terms: for each element of the result the refs of the terms.
    """

    def __init__(self, better: str, code: str, terms: Sequence[Sequence[Ref]]) -> None:
        super().__init__(code, len(terms))
        self.better, self.terms = better, terms

    def ask(self, lanes: int) -> None:
        self.made = chosen(self.asked, 4.0 * len(self.terms[0]), lanes_of(self.code, lanes))
        for layout in self.made:
            for t in range(len(self.terms[0])):
                ask([self.terms[e][t] for e in layout])

    def emit(self, k: Emitter) -> None:
        for layout in self.made:
            best = read(k, [self.terms[e][0] for e in layout])
            found = k.const(0, self.code, len(layout))
            for t in range(1, len(self.terms[0])):
                x = read(k, [self.terms[e][t] for e in layout])
                wins = k.compare(self.better, x, best)
                if x.code[0] == "f":
                    wins = (wins | k.is_nan(x)) & ~k.is_nan(best)
                best, found = k.select(wins, x, best), k.select(wins, k.const(t, self.code), found)
            self.forms[layout] = found


# --- places that are known late ----------------------------------------------------------------------


class Added(Base):
    """Zeros with rows added at places that are known only when it runs: element by element, which row falls here?

    Args:
        indices: the refs of the places.
        size: number of places there are.
        rows: for each element of the result, for each index the ref of what is added there.
        place: for each element of the result the place that it is.
        note: where an index out of range is noted.
    """

    def __init__(
        self, code: str, indices: Sequence[Ref], size: int, rows: Sequence[Sequence[Ref]], place: Sequence[int],
        note: Note | None,
    ) -> None:  # fmt: skip
        super().__init__(code, len(rows))
        self.note = note
        self.indices, self.count, self.rows, self.place = indices, size, rows, place

    def ask(self, lanes: int) -> None:
        self.made = chosen(self.asked, 4.0 * len(self.indices), lanes_of(self.code, lanes))
        for layout in self.made:
            for q, index in enumerate(self.indices):
                ask([index])
                ask([self.rows[e][q] for e in layout])

    def emit(self, k: Emitter) -> None:
        for layout in self.made:
            terms = []
            for q, index in enumerate(self.indices):
                here = legal(k, read(k, [index]), self.count, self.note)
                row = read(k, [self.rows[e][q] for e in layout])
                where = k.compare("eq", here, k.table([self.place[e] for e in layout], "i8"))
                terms.append(k.select(where, row, k.const(0, self.code)))
            self.forms[layout] = by_halves(k.combination("add"), terms)


#: Where the number of a node is left whose index is out of range: the name of a buffer, and the number.
Note = tuple[str, int]


def legal(k: Emitter, index: Val, size: int, note: Note | None) -> Val:
    """An index as one of 0 to `size` - 1: negative ones count from the end, others beyond the ends are taken there."""
    index = k.cast(index, "i8")
    index = k.select(index < 0, index + size, index)
    found = k.minimum(k.maximum(index, 0), size - 1)
    if note is not None:
        with k.when(k.any_lane(k.not_equal(found, index))):
            k.store(f"%{note[0]}", 0, k.const(note[1], "i8"))
    return found
