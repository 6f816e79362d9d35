"""An explanation as plain text of at most 100 columns: the nodes, their local derivatives, the paths and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Node
from ..graph.tensor import LEAF
from .contributions import inner
from .local import Local, circled
from .paths import Path, Paths
from .reasons import reason
from .symbols import POWER, number, text
from .tape import Tape

if TYPE_CHECKING:
    from .explanation import Explanation, Row

WIDTH = 100
#: A longer stretch of a path without a branch is shown by its ends.
UNBROKEN = 7
#: Of larger graphs the rules are not written out (`Local` has them).
MANY_RULES = 24
#: Larger graphs are shown by layers, or in part.
MANY_NODES = 40
#: Rules longer than this are named, not written out.
LONG = 72
#: Of longer routes the middle is left out.
LONG_ROUTE = 24
#: Products of more factors are not written out.
LONG_PRODUCT = 24
#: Larger Jacobians are left out of the text (`Local.jacobian` has them).
FEW_ENTRIES = 24


def written(e: Explanation) -> str:
    """The whole text."""
    sections = [heading(e), *_table(e)]
    if not scalar(e.tape) and len(e.tape.nodes) <= MANY_RULES:
        sections += _rules(e)
    sections += [_paths(e, name, node) for name, node in zip(e.parts, e.wrt, strict=True)]
    return "\n\n".join(s for s in sections if s)


def scalar(tape: Tape) -> bool:
    """Are all values single numbers?"""
    return all(n.op.results is None and prod(n.shape) == 1 and n.dtype.kind == "f" for n in tape.nodes)


def heading(e: Explanation) -> str:
    """What the output is, at which values of the leaves."""
    tape, name = e.tape, e.tape.name(e.tape.output)
    same = "" if name == e.symbol else f"{name} = "
    at = ", ".join(f"{tape.name(n)} = {figure(n.value)}" for n in tape.leaves if prod(n.shape) == 1)
    found = f"{e.symbol} = {same}{figure(tape.output.value)}"
    return f"{found}   at {at}" if at and scalar(tape) and len(at) < WIDTH - len(found) - 6 else found


# --- the nodes ---------------------------------------------------------------------------------------


def _table(e: Explanation) -> list[str]:
    if len(e.nodes) > MANY_NODES and e.tape.calls:
        return [columns(layer_rows(e))]
    few = e.nodes if len(e.nodes) <= MANY_NODES else e.nodes[: MANY_NODES // 2]
    more = f"\n  … and {len(e.nodes) - len(few):,} more nodes (see .nodes)" if len(few) < len(e.nodes) else ""
    return [columns(_scalars(e, few) if scalar(e.tape) else _tensors(e, few)) + more]


def _scalars(e: Explanation, few: Sequence[Row]) -> list[list[str]]:
    rows = [["node", "formula", "value", f"∂{e.symbol}/∂node", "local derivatives"]]
    for row in few:
        first = [row.name, short(row), figure(row.value), figure(row.cotangent)]
        told = [_local(e.tape, local) for local in row.locals]
        rows.append([*first, told[0] if told else ""])
        rows += [["", "", "", "", more] for more in told[1:]]
    return rows


def _local(tape: Tape, local: Local) -> str:
    name = f"{circled(local.number)} ∂{tape.name(local.edge.target)}/∂{tape.name(local.edge.source)}"
    return " = ".join([name, *_factor_and_value(local)])


def _factor_and_value(local: Local) -> list[str]:
    """The formula and the number of a local derivative, once where they are the same."""
    value = number(local.value) if local.value is not None else ""
    told = text(local.formula) if local.formula is not None else text(local.pullback)
    return [value] if told == value or len(told) > LONG // 2 else [told, value] if value else [told]


def _tensors(e: Explanation, few: Sequence[Row]) -> list[list[str]]:
    rows = [["node", "formula", "shape", "value", f"∂{e.symbol}/∂node", "line"]]
    for row in few:
        if row.node.op.results is not None:
            continue
        line = "" if row.node.op is LEAF else e.tape.line(row.node)
        rows.append([row.name, short(row), _shape(row.node), figure(row.value), figure(row.cotangent), line])
    if len({row[-1] for row in rows[1:]} - {""}) < 2:  # all in one line of the user's code
        rows = [row[:-1] for row in rows]
    return rows


def short(row: Row) -> str:
    """The formula of a node, cut where it is long."""
    f = row.formula
    if f is None:
        return ""
    told = text(f)
    return told if len(told) <= 34 else f"{told[:33]}…"


def layer_rows(e: Explanation) -> list[list[str]]:
    """One row for each call of a layer that made nodes of its own."""
    tape = e.tape
    last: dict[tuple[str, str], Node] = {}
    count: dict[tuple[str, str], int] = {}
    kinds = {c.path: type(c.layer).__name__ for c in tape.calls}
    for node in tape.nodes:
        if node.op is not LEAF and node.op.results is None:
            key = (tape.layer(node), tape.turn(node).rpartition(", ")[2])
            last[key] = node
            count[key] = count.get(key, 0) + 1
    rows = [["layer", "kind", "ops", "output", "value", f"∂{e.symbol}/∂output"]]
    for (path, turn), node in last.items():
        name = " ".join(filter(None, [path or ("" if turn else "outside of layers"), turn]))
        g = tape.cotangents.get(node)
        rows.append(
            [name, kinds[path] if path else "", str(count[path, turn]), _shape(node), figure(node.value), figure(g)]
        )
    if len(rows) > MANY_NODES:
        half = MANY_NODES // 2
        rows = [*rows[:half], ["…", "", "", "", "", ""], *rows[-half:]]
    return rows


# --- the rules ---------------------------------------------------------------------------------------


def _rules(e: Explanation) -> list[str]:
    """For each node the vector-Jacobian products by its inputs, with shapes and the reason."""
    lines = [f"How cotangents come back (G is ∂{e.symbol}/∂ of the node to the left)"]
    told: set[str] = set()
    for row in e.nodes:
        if not row.locals:
            continue
        lines.append(f"  {row.name} = {short(row)}")
        for local in row.locals:
            source = e.tape.name(local.edge.source)
            rule = text(local.pullback)
            rule = rule if len(rule) <= LONG else f"the rule of {row.node.op.name}"
            lines += _wrapped(f"{circled(local.number)} ∂{e.symbol}/∂{source} ← {rule}    {local.shapes}", 4, 8)
            why = reason(e.tape, local.edge)
            if (kind := why.replace(source, "")) not in told:  # once is enough
                lines += _wrapped(why, 8)
            told.add(kind)
            lines += _jacobian(row, local, source)
    return ["\n".join(lines)] if len(lines) > 1 else []


def _jacobian(row: Row, local: Local, source: str) -> list[str]:
    """The Jacobian as a matrix, of ops that mix elements."""
    op = row.node.op
    if op.partials is not None or op.family == "movement" or local.jacobian is None:
        return []
    rows = np.asarray(local.jacobian).reshape(max(1, prod(row.node.shape)), -1)
    if rows.size > FEW_ENTRIES:
        return []
    heading = f"        the Jacobian: a row for each element of {row.name}, a column for each of {source}"
    shown = np.array2string(rows, precision=4, suppress_small=True, max_line_width=WIDTH - 10)
    return [heading, *(" " * 10 + line for line in shown.split("\n"))]


# --- the paths ---------------------------------------------------------------------------------------


def _paths(e: Explanation, name: str, node: Node) -> str:
    found = e.parts[name]
    derivative = f"∂{e.symbol}/∂{name}"
    single = prod(node.shape) == 1
    what = f" = {figure(found.gradient)}" if single else f", {_shape(node)}, norm {figure(found.gradient)[1:-1]}"
    lines = _wrapped(f"{derivative}{what}: {counted(found)}", 0, 4)
    for path in found.shown:
        lines += _path(e, node, path, factors=not e.many)
    if any("⤳" in line for line in lines):
        lines.append("  ⤳ goes around the layers within the one that follows")
    if not e.many:
        lines += summed(derivative, found, node)
    return "\n".join(lines)


def counted(found: Paths) -> str:
    """How many paths there are, and which are shown."""
    if not found.number:
        return "no path leads there"
    zero = ""
    if not np.all(np.isfinite(np.asarray(found.gradient))):
        zero = "; not finite: bl.trace_nonfinite tells where that comes from"
    elif found.rounding:
        zero = f"; it is rounding error of parts of size {found.terms:.2g} that cancel"
    elif np.all(np.asarray(found.gradient) == 0):
        zero = ", each with a factor of 0" if all(p.size == 0 for p in found.shown) else ", which cancel"
    total = f"{found.number:,}" if found.number < 10**6 else f"{float(found.number):.2g}"
    paths = f"one path{zero.replace(' each', '')}" if found.number == 1 else f"{total} paths{zero}"
    shown = len(found.shown)
    if found.number == shown:
        return paths
    if found.others is None or found.others + len(found.shown) < found.number:  # by layers
        ways = "those" if found.others == 0 else f"the {shown} strongest"
        return f"{paths} from op to op; from layer to layer {ways}"
    return f"{paths}, the {shown} strongest"


def _path(e: Explanation, start: Node, path: Path, *, factors: bool) -> list[str]:
    lines = _wrapped(f"{percent(path):>8}  {figure(path.gradient):>9}  {route(e.tape, start, path)}", 2, 24)
    if factors:
        for line in factored(e, path):
            lines += _wrapped(line, 22, 24)
    return lines


def percent(path: Path) -> str:
    """The share of a path."""
    return f"{100 * path.share:.1f} %" if isfinite(path.share) else ""


def factored(e: Explanation, path: Path) -> list[str]:
    """The product that a path of scalars is: by number, by formula, in figures; none for other paths, or long ones."""
    if not path.edges or not scalar(e.tape):
        return []
    steps = [e.locals[edge] for edge in path.edges if edge in e.locals]
    if len(steps) > LONG_PRODUCT:
        return []
    symbols = [text(x.formula, POWER) if x.formula is not None else text(x.pullback) for x in steps]
    values = [f"({number(x.value)})" if (x.value or 0) < 0 else number(x.value) for x in steps]
    return [
        "= " + " · ".join(circled(x.number) for x in steps),
        "= " + " · ".join(symbols),
        "= " + " · ".join(values) + f" = {figure(path.gradient)}",
    ]


def summed(derivative: str, found: Paths, node: Node) -> list[str]:
    """The lines that add up paths and remainder."""
    if not found.number:
        return []
    more = _more(found.others)
    remainder = f"remainder {figure(found.remainder)} ({more})" if more else "no remainder"
    exact = f"shown + remainder = gradient to {found.error:.1g}"
    if prod(node.shape) != 1:
        return [f"  {remainder}; {exact}"]
    if len(found.shown) == 1 and not more:
        return []
    terms = [f"({s})" if (s := figure(p.gradient)).startswith("-") else s for p in found.shown]
    terms += [remainder] if more else []
    return _wrapped(f"{derivative} = {' + '.join(terms)} = {figure(found.gradient)}; {exact}", 2, 6)


def _more(others: int | None) -> str:
    """What the remainder is of."""
    if others is None:
        return "all other paths"
    return f"{others:,} more paths" if 0 < others < 10**6 else f"{float(others):.2g} more paths" if others else ""


def route(tape: Tape, start: Node, path: Path) -> str:
    """The stations of a path in one line: `w → h1 … h5 → h6`; `⤳` goes around layers that other paths take."""
    stops = [tape.name(start)]
    links: list[tuple[str, bool]] = []
    for s in path.stations:
        turn = s.turn.rpartition(", ")[2]
        name = " ".join(filter(None, [s.layer, turn])) or tape.name(s.nodes[0])
        if name == stops[-1]:
            continue
        stops.append(name)
        links.append(("⤳" if s.skips else "→", s.choices == 1))
    if len(stops) > LONG_ROUTE:
        first, last = stops[: LONG_ROUTE // 2], stops[-(LONG_ROUTE // 4) :]
        return " → ".join([*first, f"… {len(stops) - len(first) - len(last)} stops …", *last])
    found, i = stops[0], 0
    unbroken = UNBROKEN if path.edges else UNBROKEN // 2
    while i < len(links):
        run = i
        while run < len(links) and links[run][1]:
            run += 1
        if run - i > unbroken:
            found += f" … {stops[run]}"
            i = run
        else:
            found += f" {links[i][0]} {stops[i + 1]}"
            i += 1
    return found


# --- figures -----------------------------------------------------------------------------------------


def figure(x: Any) -> str:
    """A single number as it is, of an array its norm: `0.25`, `‖3.2‖`."""
    if x is None:
        return "0"
    if isinstance(x, (tuple, list)):
        return "several"
    a = np.asarray(x)
    if a.size == 1:
        return number(a.reshape(())) if a.dtype.kind in "fiub" else f"{a.reshape(())[()]:.4g}"
    return f"‖{sqrt(inner(a, a)):.4g}‖"


def _shape(node: Node) -> str:
    return str(node.shape)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text; a column that is empty is left out."""
    kept = [c for c in zip(*rows, strict=True) if any(c[1:])]
    wide = [max(map(len, c)) for c in kept]
    lines = ("   ".join(f"{cell:{w}}" for cell, w in zip(row, wide, strict=True)) for row in zip(*kept, strict=True))
    lines = (f"  {line}".rstrip() for line in lines)
    return "\n".join(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines)


def _wrapped(line: str, indent: int, more: int | None = None) -> list[str]:
    """A line cut at spaces so that it fits; what follows is indented by `more`."""
    more = indent if more is None else more
    lines, room = [" " * indent], WIDTH
    for word in _words(line):
        if len(lines[-1]) + len(word) > room and lines[-1].strip():
            lines.append(" " * more)
            word = word.lstrip()
        lines[-1] += word
    return [x.rstrip() for x in lines]


def _words(line: str) -> Iterable[str]:
    start = 0
    for i, c in enumerate(line):
        if c == " " and i > start and line[i - 1] != " ":
            yield line[start:i]
            start = i
    yield line[start:]
