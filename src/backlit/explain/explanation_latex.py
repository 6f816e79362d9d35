r"""An explanation in LaTeX: the nodes with their local derivatives, then each gradient as a sum of products.

It needs `amsmath`: every part is an `align*` environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graph.node import Node
from .local import Local, scalar
from .paths import Paths
from .plain import figure
from .symbols import POWER, number
from .symbols_latex import latex, latex_name

if TYPE_CHECKING:
    from .explanation import Explanation

#: Only the first nodes and paths of large graphs are written.
MANY = 60


def document(e: Explanation) -> str:
    """All parts, one after the other."""
    parts = [_align(_nodes(e)), *(_align(_paths(e, name, n)) for name, n in zip(e.parts, e.wrt, strict=True))]
    return "\n\n".join(p for p in parts if p) + "\n"


def _align(lines: list[str]) -> str:
    body = " \\\\\n".join(f"  {line}" for line in lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}" if lines else ""


def _nodes(e: Explanation) -> list[str]:
    lines, single = [], scalar(e.tape)
    for row in e.nodes[:MANY]:
        if row.formula is None:
            continue
        name = latex_name(row.name)
        known = single or row.node.shape == ()
        value = f" = {_figure(row.value)}" if known else rf" \in \mathbb{{R}}^{{{_size(row.node)}}}"
        lines.append(f"{name} &= {latex(row.formula)}{value}")
        for local in row.locals:
            lines.append(_derivative(e, local) if single else _pullback(e, local))
    if len(e.nodes) > MANY:
        lines.append(rf"&\;\;\vdots \quad \text{{({len(e.nodes) - MANY} more)}}")
    return lines


def _derivative(e: Explanation, local: Local) -> str:
    sides = [latex(local.formula if local.formula is not None else local.pullback)]
    if local.value is not None and number(local.value) != sides[0]:
        sides.append(_figure(local.value))
    return rf"\textcircled{{\small {local.number}}}\quad {_partial(e, local)} &= {' = '.join(sides)}"


def _partial(e: Explanation, local: Local) -> str:
    target, source = (latex_name(e.tape.name(n)) for n in (local.edge.target, local.edge.source))
    return rf"\frac{{\partial {target}}}{{\partial {source}}}"


def _pullback(e: Explanation, local: Local) -> str:
    """The vector-Jacobian product, with G for the cotangent of the node above."""
    y, x = latex_name(e.symbol), latex_name(e.tape.name(local.edge.source))
    return rf"\frac{{\partial {y}}}{{\partial {x}}} &\leftarrow {latex(local.pullback)}"


def _paths(e: Explanation, name: str, node: Node) -> list[str]:
    found: Paths = e.parts[name]
    gradient = rf"\frac{{\partial {latex_name(e.symbol)}}}{{\partial {latex_name(name)}}}"
    if not found.shown or not scalar(e.tape):
        return []
    products: list[list[str]] = [[], [], [], []]
    for path in found.shown:
        steps = [e.locals[edge] for edge in path.edges if edge in e.locals]
        values = [_figure(x.value) for x in steps]
        products[0].append(r" \cdot ".join(_partial(e, x) for x in steps))
        products[1].append(
            r" \cdot ".join(latex(x.formula if x.formula is not None else x.pullback, POWER) for x in steps)
        )
        products[2].append(r" \cdot ".join(rf"({v})" if v.startswith("-") else v for v in values))
        products[3].append(rf"({v})" if (v := _figure(path.gradient)).startswith("-") else v)
    rest = [] if found.others == 0 else [rf"\underbrace{{{_figure(found.remainder)}}}_{{\text{{{found.others} more}}}}"]
    if len(found.shown) == 1 and not rest:
        products.pop()
    lines = [f"{gradient} &= {' + '.join([*products[0], *(['R'] if rest else [])])}"]
    lines += [f"&= {' + '.join([*terms, *rest])}" for terms in products[1:]]
    return [*lines, f"&= {_figure(found.gradient)}"]


def _figure(x: object) -> str:
    mantissa, e, power = figure(x).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(power)}}}" if e else mantissa


def _size(node: Node) -> str:
    if node.op.results is not None:
        return r"\cdots"
    return r" \times ".join(map(str, node.shape)) or "1"
