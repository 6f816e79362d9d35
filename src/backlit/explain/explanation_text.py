"""An explanation as plain text of at most 100 columns: the nodes, their local derivatives, the paths and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..graph.node import Node
from ..graph.tensor import LEAF
from .local import Local, circled, scalar
from .paths_text import paths_text
from .plain import WIDTH, columns, figure, wrapped
from .symbols import number, text
from .tape import Tape

if TYPE_CHECKING:
    from .explanation import Explanation, Row

#: Of larger graphs the rules are not written out (`Local` has them).
MANY_RULES = 24
#: Larger graphs are shown by layers, or in part.
MANY_NODES = 40
#: Rules longer than this are named, not written out.
LONG = 72
#: Larger Jacobians are left out of the text (`Local.jacobian` has them).
FEW_ENTRIES = 24


def written(e: Explanation) -> str:
    """The whole text."""
    sections = [heading(e), *_table(e)]
    if not scalar(e.tape) and len(e.tape.nodes) <= MANY_RULES:
        sections += _rules(e)
    sections += [paths_text(e, name, node) for name, node in zip(e.parts, e.wrt, strict=True)]
    return "\n\n".join(s for s in sections if s)


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
        rows.append([row.name, short(row), str(row.node.shape), figure(row.value), figure(row.cotangent), line])
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
            [name, kinds[path] if path else "", str(count[path, turn]), str(node.shape), figure(node.value), figure(g)]
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
            lines += wrapped(f"{circled(local.number)} ∂{e.symbol}/∂{source} ← {rule}    {local.shapes}", 4, 8)
            why = local.reason
            if (kind := why.replace(source, "")) not in told:  # once is enough
                lines += wrapped(why, 8)
            told.add(kind)
            lines += [" " * (10 if i else 8) + line for i, line in enumerate(jacobian_text(local, FEW_ENTRIES))]
    return ["\n".join(lines)] if len(lines) > 1 else []


def jacobian_text(local: Local, most: int) -> list[str]:
    """The Jacobian as a matrix, of an op that mixes elements, where it has at most `most` entries."""
    target, source = local.edge.target, local.edge.source
    if target.op.partials is not None or target.op.family == "movement" or local.jacobian is None:
        return []
    rows = np.asarray(local.jacobian).reshape(max(1, prod(target.shape)), -1)
    if rows.size > most:
        return []
    y, x = local.tape.name(target), local.tape.name(source)
    shown = np.array2string(rows, precision=4, suppress_small=True, max_line_width=WIDTH - 10)
    return [f"the Jacobian: a row for each element of {y}, a column for each of {x}", *shown.split("\n")]
