"""An explanation as HTML: for a notebook, or a page of its own that needs no network, light and dark."""

from __future__ import annotations

import re
from html import escape
from math import isfinite
from typing import TYPE_CHECKING

from ..graph.node import Node
from .explanation_text import MANY_NODES, heading, jacobian_text, layer_rows, short
from .formula import SMALL
from .local import Local, circled, scalar
from .paths_text import added_up, counted, factored, percent, route
from .plain import figure
from .symbols import number, text

if TYPE_CHECKING:
    from .explanation import Explanation, Row

#: Graphs of more nodes are not drawn unasked.
DRAWN = 300

STYLE = """
.bl-explain{--ink:#22282f;--faint:#6b7480;--grid:#e4e6ea;--paper:#fff;--soft:#f5f7f9;--blue:#0072b2;--orange:#d55e00;
color:var(--ink);background:var(--paper);font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
max-width:72em;padding:.2em .4em}
@media (prefers-color-scheme:dark){.bl-explain{--ink:#e6e9ed;--faint:#98a2ae;--grid:#343b44;--paper:#181c21;
--soft:#20262d;--blue:#5db4ea;--orange:#ff9550}}
.bl-explain h3{font-size:1.15em;margin:.4em 0 .8em}.bl-explain h4{font-size:1em;margin:1.4em 0 .4em}
.bl-explain table{border-collapse:collapse;margin:0;color:inherit}
.bl-explain th{font-weight:600;color:var(--faint);text-align:left;padding:.2em 1.2em .2em 0;
border-bottom:1px solid var(--grid)}
.bl-explain td{padding:.25em 1.2em .25em 0;border-bottom:1px solid var(--grid);text-align:left;vertical-align:top}
.bl-explain code,.bl-explain .m{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;
background:none;color:inherit;white-space:pre-wrap}
.bl-explain .n{font-variant-numeric:tabular-nums}.bl-explain .f{color:var(--faint)}
.bl-explain .c{color:var(--blue)}.bl-explain sub{font-size:.75em;line-height:0}
.bl-explain .bar{display:inline-block;height:.62em;border-radius:2px;background:var(--blue);vertical-align:baseline}
.bl-explain .bar.neg{background:var(--orange)}
.bl-explain details{margin:.6em 0}.bl-explain summary{cursor:pointer;color:var(--blue)}
.bl-explain .rule{margin:.5em 0 .5em 1.2em}.bl-explain .scroll{overflow-x:auto}
"""


def page(e: Explanation) -> str:
    """A whole page."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(heading(e))}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        "<style>body{margin:2em;background:#fff}@media (prefers-color-scheme:dark){body{background:#181c21}}</style>"
        f"</head><body>\n{fragment(e).replace('<details>', '<details open>', 1)}\n</body></html>\n"
    )


def fragment(e: Explanation) -> str:
    """The explanation with its style, to stand in a page or a notebook."""
    parts = [f"<h3>{_formula(heading(e))}</h3>", _picture(e), _table(e)]
    if not scalar(e.tape):
        parts.append(_rules(e))
    parts += [_paths(e, name, node) for name, node in zip(e.parts, e.wrt, strict=True)]
    return f'<div class="bl-explain"><style>{STYLE}</style>{"".join(parts)}</div>'


def _picture(e: Explanation) -> str:
    """The drawing; folded away where it is large, left out where it would be more than anybody reads."""
    if len(e.nodes) > DRAWN:
        return '<p class="f">The graph is large: .picture() draws it, folded by layer.</p>'
    opened = " open" if len(e.nodes) <= MANY_NODES else ""
    return f'<details{opened}><summary>The graph</summary><div class="scroll">{e.picture().svg}</div></details>'


def _formula(s: str) -> str:
    """Text with h3 as h with a small 3."""
    return re.sub(r"(?<![\w.])h([0-9]+)(?![0-9A-Za-z_])", r"h<sub>\1</sub>", escape(s))


def _rows(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{h}</th>" for h in heads)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _code(s: str) -> str:
    return f"<code>{_formula(s)}</code>" if s else ""


# --- nodes and rules ---------------------------------------------------------------------------------


def _table(e: Explanation) -> str:
    if len(e.nodes) > MANY_NODES and e.tape.calls:
        heads, *rows = layer_rows(e)
        return _rows([escape(h) for h in heads], [[escape(c) for c in row] for row in rows])
    last = "local derivatives" if scalar(e.tape) else "shape"
    heads = ["node", "formula", "value", _formula(f"∂{e.symbol}/∂node"), last]
    rows = [_row(e, row) for row in e.nodes if row.node.op.results is None]
    left = len(rows) - 5 * MANY_NODES
    return _rows(heads, rows[: 5 * MANY_NODES]) + (f'<p class="f">… and {left} more</p>' if left > 0 else "")


def _row(e: Explanation, row: Row) -> list[str]:
    more = "<br>".join(_local(e, x) for x in row.locals) if scalar(e.tape) else escape(str(row.node.shape))
    cells = [_code(row.name), _code(short(row)), escape(figure(row.value)), escape(figure(row.cotangent)), more]
    return [*cells[:2], *(f'<span class="n">{c}</span>' for c in cells[2:4]), cells[4]]


def _local(e: Explanation, local: Local) -> str:
    source, target = e.tape.name(local.edge.source), e.tape.name(local.edge.target)
    told = text(local.formula if local.formula is not None else local.pullback)
    value = number(local.value) if local.value is not None else ""
    sides = [told] if told == value or not value else [told, value]
    return f'<span class="c">{circled(local.number)}</span> {_code(f"∂{target}/∂{source} = " + " = ".join(sides))}'


def _rules(e: Explanation) -> str:
    """The vector-Jacobian products, folded away."""
    found: list[str] = []
    for row in e.nodes[:MANY_NODES]:
        for local in row.locals:
            source = e.tape.name(local.edge.source)
            rule = _code(f"∂{e.symbol}/∂{source} ← {text(local.pullback)}")
            found.append(
                f'<div class="rule">{_code(f"{row.name} = {short(row)}")}<br><span class="c">{circled(local.number)}'
                f'</span> {rule} <span class="f">{escape(local.shapes)}</span><br>'
                f'<span class="f">{_formula(local.reason)}</span>{_jacobian(local)}</div>'
            )
    left = len(e.nodes) - MANY_NODES
    more = f'<p class="f">… and those of {left} more nodes</p>' if left > 0 else ""
    summary = _formula(f"How cotangents come back: G is the derivative of {e.symbol} by the node on the left of =")
    return f"<details><summary>{summary}</summary>{''.join(found)}{more}</details>"


def _jacobian(local: Local) -> str:
    """The Jacobian, where it is small and the op mixes elements."""
    shown = jacobian_text(local, SMALL)
    return f'<pre class="m">{_formula(chr(10).join(shown))}</pre>' if shown else ""


# --- paths -------------------------------------------------------------------------------------------


def _paths(e: Explanation, name: str, node: Node) -> str:
    found = e.parts[name]
    value = "" if node.shape else f" = {figure(found.gradient)}"
    norm = f", shape {node.shape}, norm {figure(found.gradient).strip('‖')}" if node.shape else ""
    title = f"∂{e.symbol}/∂{name}{value}{norm}: {counted(found)}"
    most = max((abs(p.share) for p in found.shown if isfinite(p.share)), default=1.0) or 1.0
    rows: list[list[str]] = []
    for path in found.shown:
        width = 7 * abs(path.share) / most if isfinite(path.share) else 0
        bar = f'<span class="bar{" neg" if path.share < 0 else ""}" style="width:{width:.2f}em"></span>'
        factors = "".join(f'<div class="f">{_code(line)}</div>' for line in factored(e, path))
        share, size = (f'<span class="n">{escape(s)}</span>' for s in (percent(path), figure(path.gradient)))
        rows.append([share, bar, size, _code(route(e.tape, node, path)) + factors])
    if found.others != 0:
        more = "all other paths" if found.others is None else f"{found.others:,} more paths"
        rows.append(["", "", f'<span class="n">{escape(figure(found.remainder))}</span>', f"remainder: {more}"])
    note = f'<p class="f">{added_up(found)}</p>' if found.number > 1 else ""
    table = _rows(["share", "", "brings", "path"], rows) if rows else ""
    return f"<h4>{_formula(title)}</h4>{table}{note}"
