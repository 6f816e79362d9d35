"""The paths of an explanation as plain text: each with its share, its route and its factors, then their sum."""

from __future__ import annotations

from math import isfinite, prod
from typing import TYPE_CHECKING

import numpy as np

from ..graph.node import Node
from .local import circled, scalar
from .paths import Path, Paths
from .plain import figure, wrapped
from .symbols import POWER, number, text
from .tape import Tape

if TYPE_CHECKING:
    from .explanation import Explanation

#: A longer stretch of a path without a branch is shown by its ends.
UNBROKEN = 7
#: Of longer routes the middle is left out.
LONG_ROUTE = 24
#: Products of more factors are not written out.
LONG_PRODUCT = 24


def paths_text(e: Explanation, name: str, node: Node) -> str:
    """The gradient by one leaf, its paths, and their sum."""
    found = e.parts[name]
    derivative = f"∂{e.symbol}/∂{name}"
    single = prod(node.shape) == 1
    what = f" = {figure(found.gradient)}" if single else f", {node.shape}, norm {figure(found.gradient)[1:-1]}"
    lines = wrapped(f"{derivative}{what}: {counted(found)}", 0, 4)
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
    lines = wrapped(f"{percent(path):>8}  {figure(path.gradient):>9}  {route(e.tape, start, path)}", 2, 24)
    if factors:
        for line in factored(e, path):
            lines += wrapped(line, 22, 24)
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
    numbers, formulas, figures = (" · ".join(x) for x in ([circled(s.number) for s in steps], symbols, values))
    whole = figure(path.gradient)
    if len(steps) == 1:
        return [" ".join(["= " + numbers, *(["= " + formulas] if formulas != whole else []), "= " + whole])]
    return [f"= {numbers}", *([f"= {formulas}"] if formulas != figures else []), f"= {figures} = {whole}"]


def summed(derivative: str, found: Paths, node: Node) -> list[str]:
    """The lines that add up paths and remainder."""
    if not found.number:
        return []
    more = _more(found.others)
    remainder = f"remainder {figure(found.remainder)} ({more})" if more else "no remainder"
    exact = added_up(found)
    if prod(node.shape) != 1:
        return [f"  {remainder}; {exact}"]
    if len(found.shown) == 1 and not more:
        return []
    terms = [f"({s})" if (s := figure(p.gradient)).startswith("-") else s for p in found.shown]
    terms += [remainder] if more else []
    return wrapped(f"{derivative} = {' + '.join(terms)} = {figure(found.gradient)}; {exact}", 2, 6)


def added_up(found: Paths) -> str:
    """How well paths and remainder add up to the gradient, which was computed without them."""
    return f"shown + remainder = gradient{f' to {found.error:.1g}' if found.error else ', exactly'}"


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
