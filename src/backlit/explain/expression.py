"""Formulas as one types them, `1/(1+exp(-(w*x+b)))`, as functions: read by Python's grammar, computed part by part.

Python evaluates nothing: numbers, names, arithmetic, calls of the library's functions and lists are all there is.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from ..base.config import settings
from ..base.dtypes import float64
from ..base.errors import ArgumentError
from ..graph.opdef import OPS, PUBLIC

#: Functions besides those that work element by element.
OTHERS = (
    "sum", "mean", "prod", "max", "min", "var", "std", "softmax", "log_softmax", "logsumexp", "matmul", "outer",
    "matrix_transpose", "cumulative_sum", "reshape", "concat", "stack",
)  # fmt: skip
#: Names from other libraries that are near to nothing here.
ALIASES = {"ln": "log", "arctan": "atan", "arcsin": "asin", "arccos": "acos", "arctanh": "atanh", "power": "pow"}
CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.MatMult: operator.matmul,
}  # fmt: skip
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_KNOWN = "+ - * / ** @, parentheses, functions such as exp, numbers, names and [lists]"


def functions() -> tuple[str, ...]:
    """The names of all functions that may stand in an expression."""
    elementwise = {n for n, op in OPS.items() if op.family == "elementwise" and op.nondiff is None}
    return tuple(sorted(elementwise & PUBLIC.keys() | set(OTHERS)))


class Expression:
    """A formula that can be computed in any library with functions of the usual names.

    Attributes:
        source: as it was typed.
        names: the variables, in the order in which they first appear.

    >>> f = Expression("x * exp(-x)")
    >>> f.names, round(float(f.value({"x": 2.0}, np)), 4)
    (('x',), 0.2707)
    """

    def __init__(self, source: str) -> None:
        self.source = source.strip()
        try:
            self._tree = ast.parse(self.source.replace("·", "*"), mode="eval").body
        except (SyntaxError, ValueError) as problem:
            at = getattr(problem, "offset", None) or 1
            said = getattr(problem, "msg", "")
            what = f": {said}" if "never closed" in said or "unmatched" in said else _pointed(self.source, at)
            raise ArgumentError(
                f"the expression {self.source!r} cannot be read{what}; it may have {_KNOWN}. "
                "A product needs a *, as in 2*x."
            ) from None
        self.names = tuple(_variables(self._tree, self.source))

    def value(self, values: Mapping[str, Any], namespace: Any) -> Any:
        """The value at `values`, with the functions of `namespace`: a module, or anything with such attributes."""
        return _computed(self._tree, values, lambda name: getattr(namespace, name))

    def function(self, names: Sequence[str]) -> Callable[..., Any]:
        """A function of these variables, of Tensors, as the library computes it, numbers in float64."""

        def f(*args: Any) -> Any:
            with settings(default_dtype=float64):
                return _computed(self._tree, dict(zip(names, args, strict=True)), PUBLIC.__getitem__)

        f.__signature__ = Signature([Parameter(n, Parameter.POSITIONAL_ONLY) for n in names])  # type: ignore[attr-defined]
        return f


def assignments(given: Sequence[str], expression: Expression) -> dict[str, Any]:
    """`x=1`, `W=[1,2;3,4]` as float64 values by name, in this order; each variable of the expression must be there.

    >>> assignments(["x=1", "w=[1, 2; 3, 4]"], Expression("x * sum(w)"))
    {'x': np.float64(1.0), 'w': array([[1., 2.],
           [3., 4.]])}
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise ArgumentError(f"{text!r}: expected NAME=VALUE, such as x=1 or W=[1,2;3,4].")
        if name not in expression.names:
            near = get_close_matches(name, expression.names, 1)
            mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(expression.names) or 'no variables'}."
            raise ArgumentError(f"{text}: there is no {name} in {expression.source}; {mend}")
        found[name] = _number(name, value)
    missing = [n for n in expression.names if n not in found]
    if missing:
        raise ArgumentError(f"no value for {' and '.join(missing)}: add {' '.join(f'{n}=NUMBER' for n in missing)}.")
    return found


def _number(name: str, text: str) -> Any:
    """A number, or an array: lists in lists, or rows parted by semicolons as in MATLAB."""
    source = text.strip()
    if ";" in source and source.startswith("[") and source.endswith("]"):
        source = f"[{', '.join(f'[{row}]' for row in source[1:-1].split(';'))}]"
    try:
        value = Expression(source).value({}, np)
        return np.asarray(value, np.float64)[()]
    except (ArgumentError, ValueError, KeyError, TypeError):
        raise ArgumentError(f"{name}={text}: expected a number, or an array such as [1,2,3] or [1,2;3,4].") from None


def _variables(tree: ast.expr, source: str) -> list[str]:
    """The variables, after a look at everything that stands there."""
    found: list[str] = []
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    for node in _in_order(tree):
        if isinstance(node, ast.Call):
            _check_call(node)
        elif isinstance(node, ast.Name) and id(node) not in called:
            if node.id not in CONSTANTS and node.id not in found:
                found.append(node.id)
        elif isinstance(node, ast.BinOp) and type(node.op) not in _BINARY:
            mend = " A power is written x**2." if isinstance(node.op, ast.BitXor) else ""
            raise ArgumentError(f"the expression has an operator that is not known here; it may have {_KNOWN}.{mend}")
        elif not _allowed(node):
            part = ast.get_source_segment(source, node) if isinstance(node, ast.expr) else None
            raise ArgumentError(f"{part or source}: not known here; an expression may have {_KNOWN}.")
    return found


def _in_order(node: ast.AST) -> Any:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, bool)
    if isinstance(node, ast.UnaryOp):
        return type(node.op) in _UNARY
    plain = (ast.BinOp, ast.List, ast.Tuple, ast.Name, ast.keyword, ast.expr_context)
    return isinstance(node, (*plain, *_BINARY, *_UNARY))


def _check_call(call: ast.Call) -> None:
    known = functions()
    if not isinstance(call.func, ast.Name):
        raise ArgumentError(f"{ast.unparse(call.func)}: functions are called by their plain name, such as exp(x).")
    if call.func.id not in known:
        near = [ALIASES[call.func.id]] if call.func.id in ALIASES else get_close_matches(call.func.id, known, 1)
        mend = f"did you mean {near[0]}?" if near else "such as exp, log, tanh, sigmoid, relu, sum, mean, matmul."
        raise ArgumentError(f"there is no function {call.func.id!r}; {mend}")


def _computed(node: ast.expr, values: Mapping[str, Any], function: Callable[[str], Callable[..., Any]]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id] if node.id in values else CONSTANTS[node.id]
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_computed(node.operand, values, function))
    if isinstance(node, ast.BinOp):
        pair = [_computed(x, values, function) for x in (node.left, node.right)]
        if all(type(x) is int for x in pair):  # 9**9**9 would take all memory there is
            pair = list(map(float, pair))
        try:
            return _BINARY[type(node.op)](*pair)
        except (ZeroDivisionError, OverflowError) as problem:
            raise ArgumentError(f"{ast.unparse(node)}: {problem}.") from None
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_computed(x, values, function) for x in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    assert isinstance(node, ast.Call)  # all else was refused
    assert isinstance(node.func, ast.Name)
    args = [_computed(x, values, function) for x in node.args]
    options = {k.arg: _computed(k.value, values, function) for k in node.keywords if k.arg}
    return function(node.func.id)(*args, **options)


def _pointed(source: str, at: int) -> str:
    return f" at {source[at - 1 : at + 11]!r}" if 0 < at <= len(source) else ""
