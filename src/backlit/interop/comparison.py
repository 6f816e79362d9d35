"""`Comparison`: what a graph gives here and in another library, node by node, and where the two first part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from textwrap import fill
from typing import Any, NamedTuple

from ..explain.tape import Tape
from ..graph.node import Node
from ..testing.ulp import counted

#: Rows of the table that are printed.
MANY = 30
#: Outputs and gradients that are printed.
ENDS = 4
WIDTH = 100


class Row(NamedTuple):
    """One node in one precision, in one direction.

    Attributes:
        node: of the graph that was compared.
        direction: "forward" (its value) or "backward" (the cotangents of its inputs).
        dtype: the precision that it was compared in.
        ulp: how many units in the last place the two are apart, at the entry where they differ most.
        share: the difference there as a share of what rounding may do; more than 1 is a divergence.
        ours, theirs: the two numbers at that entry.
        entry: its index.
        input: backward, the number of the input whose cotangent it is.
        problem: why there is nothing to compare, where that is so.
    """

    node: Node
    direction: str
    dtype: str
    ulp: float = 0.0
    share: float = 0.0
    ours: Any = None
    theirs: Any = None
    entry: tuple[int, ...] = ()
    input: int = 0
    problem: str = ""


class End(NamedTuple):
    """What comes out where the whole graph runs there, each node on what the others gave: the output, or a gradient.

    Attributes:
        name: of the output, or of what the gradient is taken by.
        ulp, share, ours, theirs, entry: as in `Row`; the difference as a share of what rounding may add up to.
    """

    name: str
    dtype: str
    ulp: float
    share: float
    ours: Any
    theirs: Any
    entry: tuple[int, ...]


class Divergence(NamedTuple):
    """Where the two part.

    Attributes:
        name: what the user calls the node; `h3` where it has no name.
        op: of the node.
        line, layer: where the user's code made it; empty where unknown.
        direction: "forward" or "backward".
        input: backward, the name of the input whose cotangent differs.
        dtype: the precision.
        ours, theirs: the two numbers at the entry where they differ most.
        entry: its index.
        ulp: how many units in the last place they are apart.
        share: the same as a share of what rounding may do.
        cause: what is likely.
        mend: what to do.
        fault: "here", "there", or "" where nobody is wrong or it is not known.
    """

    name: str
    op: str
    line: str
    layer: str
    direction: str
    input: str
    dtype: str
    ours: Any
    theirs: Any
    entry: tuple[int, ...]
    ulp: float
    share: float
    cause: str
    mend: str
    fault: str = ""


class Comparison:
    """A graph beside another library.

    Attributes:
        against: the library and its version.
        rows: every node, forward in the order of the graph, then backward.
        ends: output and gradients where the whole graph runs there.
        divergences: where they part, the first one first; causes are looked for at the first few.
    """

    def __init__(
        self, tape: Tape, against: str, rows: Sequence[Row], ends: Sequence[End], divergences: Sequence[Divergence]
    ) -> None:
        self.tape, self.against = tape, against
        self.rows, self.ends, self.divergences = tuple(rows), tuple(ends), tuple(divergences)

    @property
    def equal(self) -> bool:
        """Is everything that was compared equal, up to rounding?"""
        return not self.divergences

    @property
    def first(self) -> Divergence | None:
        """The first divergence: forward in the order of the graph, then backward from the output; None if equal."""
        return self.divergences[0] if self.divergences else None

    @property
    def largest(self) -> Row | None:
        """The row that comes closest to what rounding may do, or is farthest beyond; None if nothing was compared.

        Not the one with the most units in the last place: of a sum that cancels to nearly 0 hardly any digit is left.
        """
        return max((r for r in self.rows if not r.problem), key=lambda r: (r.share, r.ulp), default=None)

    @property
    def without(self) -> dict[str, str]:
        """The ops that could not be compared, with the reason."""
        return {r.node.op.name: r.problem for r in self.rows if r.problem}

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """The precisions, in the order that they were compared in."""
        return tuple(dict.fromkeys(r.dtype for r in self.rows))

    def __str__(self) -> str:
        parts = ["\n".join(_wrapped(line) for line in self._heading())]
        table = _aligned([_heads(self.dtypes), *self._table()])
        return "\n\n".join([*parts, table]) if table else parts[0]

    def __repr__(self) -> str:
        return f"<Comparison against {self.against}: {self._verdict()}>"

    def _repr_html_(self) -> str:
        heading = "".join(f"<p>{escape(line)}</p>" for line in self._heading() if line)
        heads, *rows = [_heads(self.dtypes), *self._table()]
        head = "".join(f"<th>{escape(h)}</th>" for h in heads)
        body = "".join(
            "<tr{}>{}</tr>".format(' class="bad"' if any("!" in c for c in row) else "",
                                   "".join(f"<td>{escape(c)}</td>" for c in row)) for row in rows
        )  # fmt: skip
        return (
            f'<div class="bl-compare"><style>{_STYLE}</style>{heading}'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    # --- text ----------------------------------------------------------------------------------------

    def _verdict(self) -> str:
        if self.first is not None:
            more = len(self.divergences) - 1
            return f"{self.first.op} differs {self.first.direction}" + (f", and {more} more" if more else "")
        return "all equal up to rounding"

    def _heading(self) -> list[str]:
        nodes = len({r.node for r in self.rows})
        lines = [f"{nodes} node{'s' * (nodes != 1)} beside {self.against}, in {' and '.join(self.dtypes)}", ""]
        if self.first is None:
            lines.append(f"all equal up to rounding; the largest difference: {self._largest()}")
        else:
            lines += _told(self.first, self.against)
            if len(self.divergences) > 1:
                others = [f"{d.name} ({d.op}) {d.direction} in {d.dtype}" for d in self.divergences[1:6]]
                dots = ", ..." if len(self.divergences) > 6 else ""
                lines.append(f"{len(self.divergences) - 1} more: {', '.join(others)}{dots}")
        lines += self._whole()
        for op, reason in self.without.items():
            lines.append(f"not compared: {op}: {reason}")
        return lines

    def _whole(self) -> list[str]:
        """What comes out of the whole graph: the output, and the gradients that are farthest apart."""
        lines: list[str] = []
        for dtype in self.dtypes:
            ends = sorted((e for e in self.ends if e.dtype == dtype), key=lambda e: (-e.share, -e.ulp))
            told = [f"{e.name} {counted(e.ulp)}{' !' * (e.share > 1)}" for e in ends[:ENDS]]
            more = f", {len(ends) - ENDS} more closer" if len(ends) > ENDS else ""
            if told:
                lines.append(f"whole graph in {dtype}, apart: {', '.join(told)}{more}")
        return lines

    def _largest(self) -> str:
        row = self.largest
        if row is None:
            return "nothing was compared"
        where = f"{self.tape.name(row.node)} = {row.node.op.name}"
        line = self.tape.line(row.node)
        return (
            f"{counted(row.ulp)}, {row.direction}, in {row.dtype}, at {where}{f' at {line}' if line else ''} "
            f"({row.share:.0%} of what rounding may do there)"
        )

    def _table(self) -> list[list[str]]:
        """A line for each node: the differences forward and backward in each precision."""
        found: dict[Node, dict[tuple[str, str], Row]] = {}
        for row in self.rows:
            found.setdefault(row.node, {})[row.dtype, row.direction] = row
        lines: list[tuple[float, list[str]]] = []
        for node, rows in found.items():
            worst = max((r.share for r in rows.values()), default=0.0)
            cells = [_cell(rows.get((d, way))) for d in self.dtypes for way in ("forward", "backward")]
            lines.append(
                (worst, [self.tape.name(node), node.op.name, self.tape.line(node), self.tape.layer(node), *cells])
            )
        if len(lines) <= MANY:
            return [cells for _, cells in lines]
        kept = sorted(range(len(lines)), key=lambda i: -lines[i][0])[:MANY]
        return [*(lines[i][1] for i in sorted(kept)), [f"{len(lines) - MANY} more, closer"]]


def _heads(dtypes: Sequence[str]) -> list[str]:
    return ["node", "op", "line", "layer", *(f"{d} {way}" for d in dtypes for way in ("forward", "backward"))]


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return "-" if row.problem else f"{counted(row.ulp)}{' !' * (row.share > 1)}"


def _told(d: Divergence, against: str) -> list[str]:
    what = f"the value of {d.name}" if d.direction == "forward" else f"the cotangent of {d.input}"
    through = f", the input of {d.name}" if d.direction == "backward" else ""
    where = f" at {d.line}" if d.line else ""
    layer = f", in layer {d.layer}" if d.layer else ""
    title = against.partition(" ")[0] if not against.startswith("finite") else "differences"
    entry = f" at entry {d.entry}" if d.entry else ""
    width = max(len(title), 4)
    return [
        f"first divergence, {d.direction}, in {d.dtype}: {what}{through} = {d.op}{where}{layer}{entry}",
        f"  {'here':{width}}  {_number(d.ours)}",
        f"  {title:{width}}  {_number(d.theirs)}",
        f"  they differ by {counted(d.ulp)}, {_times(d.share)} what rounding may do",
        f"  likely cause: {d.cause}",
        f"  to do: {d.mend}",
        "",
    ]


def _times(share: float) -> str:
    return f"{share:.3g} times" if share < 1e300 else "infinitely many times"


def _number(x: Any) -> str:
    return f"{x:.17g}" if not isinstance(x, complex) else str(x)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _aligned(rows: list[list[str]]) -> str:
    width = max(map(len, rows), default=0)
    rows = [[*row, *[""] * (width - len(row))] for row in rows]
    used = [i for i in range(width) if any(row[i] for row in rows[1:])]
    sizes = {i: max(len(row[i]) for row in rows if len(row) > i and (i or not row[0].endswith("closer"))) for i in used}
    return "\n".join("  ".join(row[i].ljust(sizes[i]) for i in used).rstrip() for row in rows)


_STYLE = """
.bl-compare{--ink:#22282f;--faint:#6b7480;--grid:#e4e6ea;--bad:#d55e00;color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;max-width:72em}
@media (prefers-color-scheme:dark){.bl-compare{--ink:#e6e9ed;--faint:#98a2ae;--grid:#343b44;--bad:#ff9550}}
.bl-compare p{margin:.15em 0;white-space:pre-wrap}
.bl-compare table{border-collapse:collapse;margin:.8em 0;font:inherit;color:inherit}
.bl-compare th{font-weight:600;color:var(--faint);text-align:left;padding:.2em 1.2em .2em 0}
.bl-compare td{padding:.2em 1.2em .2em 0;border-top:1px solid var(--grid);font-variant-numeric:tabular-nums}
.bl-compare .bad td{color:var(--bad)}
"""
