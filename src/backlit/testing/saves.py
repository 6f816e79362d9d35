"""`check_saves`: does `saves` name exactly the values that the derivative of an op needs?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.rules import vjp_of
from ..base.dtypes import FLOAT
from ..base.errors import BacklitError
from ..graph.node import Node
from ..graph.op import Op
from ..graph.opdef import Spec
from ..graph.tensor import leaf_node
from .cases import Case, plain


class OpMismatch(BacklitError, AssertionError):
    """A record contradicts itself, or its derivatives are wrong."""


def check_saves(op: Op, cases: Sequence[Case]) -> None:
    """What `saves` does not name is poisoned and must not matter; what it names must matter in some case."""
    saved = set((op.saves or "").split())
    needed: set[str] = set()
    for case in cases:
        node, g = _node(case)
        if node is None:
            continue
        sound = _pulled(node, g)
        for name in ("out", *op.input_names, *filter(None, [op.rest])):
            poisoned = _poisoned(node, name)
            if poisoned is None or _same(sound, poisoned, g):
                continue
            needed.add(name)
            if name not in saved:
                raise OpMismatch(f"{case}: its derivative needs the value of {name}; saves={op.saves!r} lacks it.")
    if idle := ", ".join(sorted(saved - needed)):
        raise OpMismatch(f"{op.name}: saves={op.saves!r} keeps {idle} alive, but no derivative uses it.")


def _same(sound: Sequence[Any], poisoned: Node, g: Any) -> bool:
    try:
        found = _pulled(poisoned, g)
    except Exception:  # a poisoned index may well be an illegal one
        return False
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(sound, found, strict=True))


def _uneven(out: Any) -> Any:
    """A cotangent without two equal entries: a rule that permutes must not pass unseen."""
    return np.linspace(0.6, 0.8, int(out.size)).reshape(out.shape).astype(out.dtype)


def _node(case: Case) -> tuple[Node | None, Any]:
    """The node of this call with every value kept, and a cotangent; None where nothing is differentiable."""
    op = case.op
    if not case.arrays:
        return None, None
    args, kwargs = case.with_arrays(case.arrays)
    inputs, params = op.split(args, kwargs)
    values = [plain(x) for x in inputs]
    out = op.eval(*values, **params)
    sources = tuple(leaf_node(v) if hasattr(v, "dtype") else v for v in values)
    if op.results is not None:
        like: Any = tuple(Spec(o.shape, o.dtype) for o in out)
        g: Any = tuple(_uneven(o) for o in out)
    elif out.dtype.char not in FLOAT:
        return None, None
    else:
        like, g = Spec(out.shape, out.dtype), _uneven(out)
    return Node(op, sources, params, out, like), g


def _pulled(node: Node, g: Any) -> list[Any]:
    wanted = [isinstance(x, Node) and x.dtype.char in FLOAT for x in node.inputs or ()]
    with np.errstate(all="ignore"):
        return [np.asarray(c) for c in vjp_of(node, g, wanted, False) if c is not None]


def _poisoned(node: Node, name: str) -> Node | None:
    """The node again with the value of `name` made useless."""
    inputs: list[Any] = list(node.inputs or ())
    value = node.value
    if name == "out":
        value = tuple(map(_poison, value)) if node.op.results is not None else _poison(value)
    else:
        first = node.op.input_names.index(name) if name in node.op.input_names else len(node.op.input_names)
        last = first + 1 if name in node.op.input_names else len(inputs)
        found = [i for i in range(first, min(last, len(inputs))) if isinstance(inputs[i], Node)]
        if not found:
            return None
        for i in found:
            inputs[i] = leaf_node(_poison(inputs[i].value), like=inputs[i].like)
    return Node(node.op, tuple(inputs), node.params, value, node.like)


def _poison(value: Any) -> Any:
    if value.dtype.char in FLOAT:
        return np.full(value.shape, np.nan, value.dtype)[()]
    if value.dtype.kind == "b":
        return np.logical_not(value)
    return np.full(value.shape, 113, value.dtype)[()]
