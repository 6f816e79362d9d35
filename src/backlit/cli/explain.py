"""`backlit explain`: the chain rule with numbers, for a formula that is typed in."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..explain.explanation import Explanation
from ..explain.expression import Expression, assignments
from ..explain.plain import columns, figure
from ..explain.tape import tape_of
from ..ops.creation import tensor
from ..testing.differences import along
from ..testing.flat import FlatFunction
from ..testing.gradcheck import GradientMismatch, check_grad
from .peers import Answer, answers

CHECKS = ("all", "differences", "none")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "explain",
        help="how a formula depends on its variables: the chain rule with numbers",
        description="Takes a formula apart: every node with its value, every local derivative, every path from each "
        "variable to the result as a product, and their sum, the gradient; checked against finite differences and "
        "against PyTorch, JAX and TensorFlow where they are installed. All in float64.",
        epilog='Example: backlit explain "1/(1+exp(-(w*x+b)))" x=1 w=0 b=0',
    )
    command.add_argument("expression", metavar="EXPRESSION", help='such as "sum((x@W - t)**2)"; in quotes')
    command.add_argument("values", nargs="*", default=[], metavar="NAME=VALUE", help="x=1, x=[1,2,3], W=[1,2;3,4]")
    command.add_argument("--wrt", metavar="NAMES", help="only the gradients by these variables, parted by commas")
    command.add_argument("--paths", type=int, metavar="N", help="paths of each variable (8)")
    command.add_argument("--latex", action="store_true", help="print LaTeX")
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    command.add_argument("--svg", type=Path, metavar="FILE", help="write a drawing of the graph")
    command.add_argument("--check", choices=CHECKS, default="all", help="against what (%(default)s)")
    command.set_defaults(run=run, parser=command)


def run(options: argparse.Namespace) -> int:
    """Print the explanation and the checks."""
    expression = Expression(options.expression)
    values = assignments(options.values, expression)
    if not values:
        raise ArgumentError(f"{expression.source}: there is no variable in it that it could depend on.")
    with np.errstate(all="ignore"):
        return _explained(options, expression, values)


def _explained(options: argparse.Namespace, expression: Expression, values: Mapping[str, Any]) -> int:
    function = expression.function(tuple(values))
    shape = function(*map(tensor, values.values())).shape
    if any(n != 1 for n in shape):
        raise ArgumentError(f"{expression.source} has shape {shape}: write sum(...) or mean(...) around it.")
    wanted = _wanted(options, values)
    tape = tape_of(function, *values.values())
    found = Explanation(tape, _symbol(values), [n for n in tape.leaves if tape.name(n) in wanted], options.paths)
    if options.latex:
        print(found.latex(), end="")
        return 0
    print(f"{found.symbol}({', '.join(values)}) = {expression.source}\n\n{found}")
    for path in (options.html, options.svg):
        if path is not None:
            found.save(path)
            print(f"\nwritten: {path}")
    return 0 if options.check == "none" else _checked(found, expression, values, options.check == "all")


def _wanted(options: argparse.Namespace, values: Mapping[str, Any]) -> list[str]:
    if options.wrt is None:
        return list(values)
    names = [n.strip() for n in options.wrt.split(",")]
    for n in names:
        if n not in values:
            raise ArgumentError(f"--wrt: there is no variable {n!r}; the variables are {', '.join(values)}.")
    return names


def _symbol(values: Mapping[str, Any]) -> str:
    return next(s for s in ("f", "y", "g", "F") if s not in values)


def _checked(e: Explanation, expression: Expression, values: Mapping[str, Any], peers: bool) -> int:
    """Print what others say of the gradients; the exit code."""
    function = expression.function(tuple(values))
    gradients = {e.tape.name(n): np.asarray(e.tape.cotangents.get(n, np.zeros(n.shape))) for n in e.tape.leaves}
    told = [Answer("finite differences", _differences(function, values))]
    told += answers(expression, values) if peers else []
    rows = [["by", *(f"∂{e.symbol}/∂{n}" for n in e.parts), "largest difference"]]
    rows.append(["the chain rule", *(figure(gradients[n]) for n in e.parts), ""])
    for answer in told:
        found = answer.gradients
        if found is None:
            rows.append([answer.by, *("" for _ in e.parts), answer.problem])
            continue
        most = max(float(np.max(np.abs(found[n] - gradients[n]), initial=0.0)) for n in e.parts)
        rows.append([answer.by, *(figure(found[n]) for n in e.parts), f"{most:.2g}"])
    print(f"\nChecked, in float64\n{columns(rows)}")
    if not all(np.isfinite(g).all() for g in gradients.values()):
        print("  the gradient is not finite at this point: there is nothing that differences could be compared with")
        return 1
    try:
        excess = check_grad(function, list(values.values()))
    except GradientMismatch as problem:
        print(f"\n{problem}")
        return 1
    print(f"  finite differences differ by {100 * excess:.2g} % of what their own error allows, in either mode")
    return 0


def _differences(function: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The gradients by finite differences, coordinate by coordinate."""
    flat = FlatFunction(function, list(values.values()))
    slopes = np.array([along(flat, unit)[0].sum() for unit in np.eye(flat.x.size)])
    found: dict[str, Any] = {}
    start = 0
    for name, value in values.items():
        size = int(np.size(value))
        found[name] = slopes[start : start + size].reshape(np.shape(value))
        start += size
    return found
