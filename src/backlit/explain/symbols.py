"""Formulas as trees: made of a recorded graph, simplified, and written as text by the records of the ops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from ..graph.bind import PICK
from ..graph.defer import Call
from ..graph.node import Node
from ..graph.opdef import OPS, OpDef
from ..graph.tensor import LEAF, Tensor


class Name(NamedTuple):
    """A value with a name, such as h3 or w."""

    text: str


class Applied(NamedTuple):
    """An op applied to formulas; of its parameters those that say nothing are to `hide`."""

    op: OpDef
    args: tuple[Formula, ...]
    params: Mapping[str, Any]
    hide: tuple[str, ...] = ()


#: A name, a number, or an op applied to formulas.
Formula = Name | Applied | float

#: For the parameters of one op, in characters.
ROOM = 24

# How firmly the parts of a formula hold together, from a sum to a name.
SUM, SIGN, PRODUCT, POWER, ATOM = range(1, 6)

#: How an operator that is written between its operands in LaTeX is written in text, and how firmly it binds.
_BETWEEN = {
    "+": ("+", SUM), "-": ("-", SUM), r"\cdot": ("·", PRODUCT), r"\,": ("@", PRODUCT), r"\leq": ("≤", 0),
    r"\geq": ("≥", 0), r"\neq": ("≠", 0), "<": ("<", 0), ">": (">", 0), "=": ("=", 0), r"\bmod": ("mod", PRODUCT),
    r"\wedge": ("and", 0), r"\vee": ("or", 0),
}  # fmt: skip
FRACTION = r"\frac{{{0}}}{{{1}}}"
INVERSE_FORM, POWER_FORM, SQUARE_FORM, TRANSPOSE_FORM = r"\frac{{1}}{{{0}}}", "{0}^{{{1}}}", "{0}^2", r"{0}^\top"
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def formula_of(x: Any, names: Mapping[Node, str]) -> Formula:
    """The formula by which a Tensor was recorded, down to the nodes that have `names`."""
    if isinstance(x, Tensor):
        if x.node is None or (x.node not in names and x.node.op is LEAF):
            return formula_of(x.value, names)
        return _of_node(x.node, names)
    if isinstance(x, Node):
        return _of_node(x, names)
    if isinstance(x, (bool, np.bool_)) or (isinstance(x, np.ndarray) and x.dtype.kind == "b"):
        return Name(str(bool(x))) if np.ndim(x) == 0 else Name(f"mask {np.shape(x)}")
    if np.ndim(x) == 0 and not isinstance(x, (complex, np.complexfloating)) and x is not None:
        return float(x)
    array = np.asarray(x)
    if array.ndim == 0 and array.dtype.kind == "c":
        return Name(str(complex(array)))
    if array.size and array.dtype.kind in "fiub" and (array == array.flat[0]).all():
        return float(array.flat[0])
    return Name(f"constant {array.shape}")


def _of_node(node: Node, names: Mapping[Node, str]) -> Formula:
    if node in names:
        return Name(names[node])
    if node.op is LEAF:
        return formula_of(node.value, names)
    if node.op is PICK:
        return Name(f"{text(_of_node(_first(node), names))}[{node.params['index']}]")
    return applied_at(node, tuple(formula_of(x, names) for x in node.inputs or ()))


def applied_at(node: Node, args: tuple[Formula, ...]) -> Formula:
    """The op of a node applied to formulas: a cast, and a reshape that only adds axes of size 1 to a number or takes
    those away that a reduction kept, go without saying.
    """
    first = args[0] if args else None
    if node.op.name in ("astype", "positive", "copy") or (node.op.name == "reshape" and set(node.shape) == {1}):
        return args[0]
    if node.op.name == "reshape" and isinstance(first, Applied) and first.params.get("keepdims"):
        kept = [n for n in _first(node).shape if n != 1]
        if list(node.shape) == kept:
            return first._replace(params={**first.params, "keepdims": False})
        if [n for n in node.shape if n != 1] == kept:
            return first
    if isinstance(node.op, Call):  # of a static graph whose shapes are open: what it was called with by name
        named = node.params["args"][1].items()
        return Applied(node.op, args, {k: v for k, v in named if isinstance(v, (int, float, str, tuple))})
    return Applied(node.op, args, node.params, untold(node))


def untold(node: Node) -> tuple[str, ...]:
    """The parameters of a node that say nothing: the axes of a reduction where they are all that its input has."""
    first, axes = _first(node), node.params.get("axis")
    return ("axis",) if isinstance(axes, tuple) and hasattr(first, "shape") and len(axes) == len(first.shape) else ()


def _first(node: Node) -> Any:
    return node.inputs[0] if node.inputs else None


# --- simpler -----------------------------------------------------------------------------------------


def simplified(f: Formula) -> Formula:
    """The same formula without what changes nothing: factors of 1, double signs, guards against a division by 0."""
    if not isinstance(f, Applied):
        return f
    args = tuple(simplified(a) for a in f.args)
    rule = _RULES.get(f.op.name)
    found = rule(*args) if rule is not None else None
    return f._replace(args=args) if found is None else found


def applied(name: str, *args: Formula) -> Formula:
    """The op of this name, applied and simplified."""
    return simplified(Applied(OPS[name], args, {}))


def _opposite(f: Formula) -> Formula | None:
    """What `f` is the negative of."""
    if isinstance(f, (int, float)):
        return -f if f < 0 else None
    return f.args[0] if isinstance(f, Applied) and f.op.name == "negative" else None


def _add(a: Formula, b: Formula) -> Formula | None:
    if a == 0 or b == 0:
        return b if a == 0 else a
    if isinstance(a, float) and isinstance(b, float):
        return a + b
    opposite = _opposite(b)
    return None if opposite is None else applied("subtract", a, opposite)


def _subtract(a: Formula, b: Formula) -> Formula | None:
    if b == 0:
        return a
    if isinstance(a, float) and isinstance(b, float):
        return a - b
    if a == 0:
        return applied("negative", b)
    opposite = _opposite(b)
    return None if opposite is None else applied("add", a, opposite)


def _multiply(a: Formula, b: Formula) -> Formula | None:
    if a == 1 or b == 1:
        return b if a == 1 else a
    if isinstance(a, float) and isinstance(b, float):
        return a * b
    for x, y in ((a, b), (b, a)):
        if x == -1.0:
            return applied("negative", y)
        opposite = _opposite(x)
        if opposite is not None and isinstance(x, Applied):
            return applied("negative", applied("multiply", *((opposite, y) if x is a else (y, opposite))))
    if isinstance(b, float):
        return applied("multiply", b, a)
    if _is(a, "reshape") and _is(b, "matrix_transpose") and _is(b.args[0], "reshape"):  # a column times a row
        return Applied(OPS["outer"], (a.args[0], b.args[0].args[0]), {})
    return applied("square", a) if a == b else None


def _is(f: Formula, name: str) -> TypeGuard[Applied]:
    return isinstance(f, Applied) and f.op.name == name


def _divide(a: Formula, b: Formula) -> Formula | None:
    if b == 1:
        return a
    opposite = _opposite(a)
    if opposite is not None:
        return applied("negative", applied("divide", opposite, b))
    if isinstance(a, Applied) and a.op.name == "divide" and a.args[1] == b:
        return applied("divide", a.args[0], applied("square", b))
    return None


def _negative(a: Formula) -> Formula | None:
    return -a if isinstance(a, float) else _opposite(a)


def _conj(a: Formula) -> Formula | None:
    return a.args[0] if _is(a, "conj") else None


def _where(condition: Formula, a: Formula, b: Formula) -> Formula | None:
    """A guard, as `where(x = 0, 1, x)`, is the value that it guards."""
    guard = isinstance(condition, Applied) and condition.op.name == "equal" and condition.args[0] == b
    return b if guard and isinstance(a, float) else None


def _pow(a: Formula, b: Formula) -> Formula | None:
    if b == 1:
        return a
    return applied("square", a) if b == 2 else None


_RULES: dict[str, Any] = {
    "add": _add, "subtract": _subtract, "multiply": _multiply, "guarded_multiply": _multiply, "pow": _pow,
    "masked_multiply": _multiply, "divide": _divide, "negative": _negative, "where": _where, "conj": _conj,
}  # fmt: skip


def replaced(f: Formula, name: Name, new: Formula) -> Formula:
    """The formula with another in the place of a name."""
    if isinstance(f, Applied):
        return f._replace(args=tuple(replaced(a, name, new) for a in f.args))
    return new if f == name else f


# --- as text -----------------------------------------------------------------------------------------


def text(f: Formula, least: int = 0) -> str:
    """A formula in one line of plain text, in parentheses where it holds together less firmly than `least`.

    >>> x, y = Name("x"), Name("y")
    >>> text(applied("multiply", applied("add", x, 1.0), applied("exp", applied("negative", y))))
    '(x + 1) · exp(-y)'
    """
    if isinstance(f, Name):
        return f.text
    if isinstance(f, (int, float)):
        return f"({number(f)})" if f < 0 and least > SUM else number(f)
    found, firm = _text(f)
    return f"({found})" if firm < least else found


def _text(f: Applied) -> tuple[str, int]:
    form, args = f.op.latex, f.args
    operator = between(form)
    if operator is not None and len(args) == 2:
        sign, firm = operator
        return f"{text(args[0], max(firm, SUM))} {sign} {text(args[1], firm + (sign != '+' and sign != '·'))}", firm
    if form == FRACTION:
        return f"{text(args[0], PRODUCT)} / {text(args[1], PRODUCT + 1)}", PRODUCT
    if form == INVERSE_FORM:
        return f"1 / {text(args[0], PRODUCT + 1)}", PRODUCT
    if form == "-{0}":
        return f"-{text(args[0], PRODUCT)}", SIGN
    if form == SQUARE_FORM:
        return f"{text(args[0], ATOM)}²", POWER
    if form == TRANSPOSE_FORM:
        return f"{text(args[0], ATOM)}ᵀ", POWER
    if form == POWER_FORM:
        power = args[1]
        if isinstance(power, float) and power == int(power):
            return f"{text(args[0], ATOM)}{str(int(power)).translate(_RAISED)}", POWER
        return f"{text(args[0], ATOM)}^{text(power, ATOM)}", POWER
    if f.op.name == "getitem":
        return f"{text(args[0], ATOM)}{_index(f, len(args) - 1)}", ATOM
    holes = str(f.params.get("index", "")).count("#")  # places that come as inputs, the last ones
    said = [_index(f, holes)] if holes else []
    rest = f._replace(hide=(*f.hide, "index")) if holes else f
    return f"{f.op.name}({', '.join([*map(text, args[: len(args) - holes]), *said, *options(rest)])})", ATOM


def options(f: Applied) -> list[str]:
    """The parameters of an op that say something, as far as there is room for them."""
    found: list[str] = []
    for key, value in f.params.items():
        if key in f.hide or value is False or value is None or (key in f.op.defaults and value == f.op.defaults[key]):
            continue
        if isinstance(value, tuple) and len(value) == 1 and key != "shape":
            (value,) = value
        shown = str(value) if key in ("shape", "index") else f"{key}={value}"
        if len(", ".join([*found, shown])) > ROOM:
            return [*found, "…"]
        found.append(shown)
    return found


def _index(f: Applied, holes: int) -> str:
    """The index of an op, with its last `holes` inputs in the places that they are for."""
    shown = str(f.params.get("index", "[…]"))
    for x in f.args[len(f.args) - holes :]:
        shown = shown.replace("#", text(x), 1)
    return shown


def number(x: Any) -> str:
    """A number with six digits: `0.25`, `-1`, `3.2e-05`."""
    return f"{float(x) + 0.0:.6g}"


@lru_cache(512)
def between(form: str | None) -> tuple[str, int] | None:
    """For a form `{0} sign {1}`: the sign in text and how firmly it binds."""
    found = re.fullmatch(r"\{0\} (\S+) \{1\}", form or "")
    return _BETWEEN.get(found[1]) if found else None
