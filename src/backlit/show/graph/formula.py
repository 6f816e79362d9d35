"""`formula`: how a node is computed, as Python would write it."""

from __future__ import annotations

from collections.abc import Sequence

from ...graph.node import Node

_BETWEEN = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "matmul": "@", "equal": "==",
    "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
}  # fmt: skip
_BEFORE = {"negative": "-", "positive": "+"}


def formula(node: Node, names: Sequence[str]) -> str:
    """The op of `node` on inputs of these names.

    >>> import backlit as bl
    >>> x = bl.tensor([1.0, 2.0], requires_grad=True)
    >>> formula((x * 2).node, ["x", "2"]), formula(bl.exp(x).node, ["x"])
    ('x * 2', 'exp(x)')
    """
    name = node.op.name
    if name in _BETWEEN and len(names) == 2:
        return f"{names[0]} {_BETWEEN[name]} {names[1]}"
    if name in _BEFORE and len(names) == 1:
        return f"{_BEFORE[name]}{names[0]}"
    return f"{name}({', '.join(names)})"
