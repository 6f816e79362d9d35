"""The short way back through ops on arrays: the twin, in the backward pass, of `graph/fast.py`.

`pull_for(op)` unrolls `vjp_of` for an elementwise or bilinear op with one or two inputs and no
parameters. A scalar network spends its backward pass here; everything else is handed to `vjp_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX
from ..graph.node import Node
from ..graph.opdef import OpDef
from .rules import conjugated, fit, product_of, vjp_of

Pull = Callable[[Node, Any, Any], Sequence[Any]]

_ndarray = np.ndarray
#: Classes of numbers that conjugation leaves as they are.
_REAL = frozenset((float, int, np.float32, np.float64))


def pulls_for(op: OpDef) -> tuple[Pull, Pull]:
    """The functions `(node, inputs, g) -> cotangents` for nodes of this op: plain, and `guarded` (see `vjp_of`)."""
    return _pull_for(op, False), _pull_for(op, True)


def _pull_for(op: OpDef, guarded: bool) -> Pull:
    def general(node: Node, inputs: Any, g: Any) -> Sequence[Any]:
        return vjp_of(node, g, [x.__class__ is Node for x in inputs], False, guarded)

    if op.param_names or op.results is not None:
        return general
    if isinstance(op.transpose, tuple) and len(op.transpose) == 2:
        return _bilinear(*op.transpose)
    if op.partials is None or len(op.partials) > 2:
        return general
    times = product_of(op, guarded).eval
    factors = [_factor(p, times, len(op.partials)) for p in op.partials]
    if len(factors) == 1:
        return _unary(factors[0])
    return _binary(*factors)


def _factor(partial: Any, times: Callable[[Any, Any], Any], inputs: int) -> Callable[..., Any] | None:
    """The function `(g, out, *inputs) -> g times the partial`; None where that is zero."""
    if partial is None or partial == 0:
        return None
    if partial == 1:
        return lambda g, *_: g
    if not callable(partial):
        return lambda g, *_: g * partial

    def unary(g: Any, out: Any, x: Any) -> Any:
        d = partial(out, x)
        return times(g, d if d.__class__ in _REAL else conjugated(d))

    def binary(g: Any, out: Any, x: Any, y: Any) -> Any:
        d = partial(out, x, y)
        return times(g, d if d.__class__ in _REAL else conjugated(d))

    return unary if inputs == 1 else binary


def _unary(factor: Callable[..., Any] | None) -> Pull:
    if factor is None:
        return lambda node, inputs, g: (None,)

    def pull(node: Node, inputs: Any, g: Any) -> Sequence[Any]:
        x = inputs[0]
        out, value = node.value, x.value
        ct = factor(g, node if out is None else out, x if value is None else value)
        if ct.__class__ is g.__class__ and (ct.__class__ is not _ndarray or _fits(ct, x)):
            return (ct,)
        return (fit(ct, x),)

    return pull


def _binary(first: Callable[..., Any] | None, second: Callable[..., Any] | None) -> Pull:
    def pull(node: Node, inputs: Any, g: Any) -> Sequence[Any]:
        a, b = inputs
        out = node if node.value is None else node.value
        x = a if a.__class__ is not Node or a.value is None else a.value
        y = b if b.__class__ is not Node or b.value is None else b.value
        one = two = None
        if a.__class__ is Node and first is not None:
            one = first(g, out, x, y)
            if one.__class__ is not g.__class__ or (one.__class__ is _ndarray and not _fits(one, a)):
                one = fit(one, a)
        if b.__class__ is Node and second is not None:
            two = second(g, out, x, y)
            if two.__class__ is not g.__class__ or (two.__class__ is _ndarray and not _fits(two, b)):
                two = fit(two, b)
        return one, two

    return pull


def _bilinear(first: Callable[..., Any] | None, second: Callable[..., Any] | None) -> Pull:
    def pull(node: Node, inputs: Any, g: Any) -> Sequence[Any]:
        a, b = inputs
        x = a if a.__class__ is not Node or a.value is None else a.value
        y = b if b.__class__ is not Node or b.value is None else b.value
        return (
            fit(first(g, x, y), a) if a.__class__ is Node and first is not None else None,
            fit(second(g, x, y), b) if b.__class__ is Node and second is not None else None,
        )

    return pull


def _fits(ct: Any, x: Node) -> bool:
    return ct.shape == x.like.shape and ct.dtype.char not in COMPLEX
