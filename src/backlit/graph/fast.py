"""The short way through `bind` for ops of one or two inputs: a scalar network spends its life here.

The two functions below do what `bind` and `record` do, unrolled, for the common case (values at
hand, dtypes that fit); anything else is handed to `bind`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..base.config import config, recording
from ..base.dtypes import CATEGORIES, FLOAT, INTEGER, WEAK
from .bind import bind
from .defer import apply
from .node import Node, caller
from .opdef import OpDef, Spec
from .tensor import Tensor

_new = object.__new__
_ndarray = np.ndarray
_recording = recording.get
_config = config.get
_NUMERIC = FLOAT + INTEGER
_NONE: frozenset[type] = frozenset()
_OPERANDS = (Tensor, np.ndarray, np.generic, list, tuple, *WEAK)


@cache
def _classes(chars: str, among: str = CATEGORIES["any"]) -> frozenset[type]:
    """The classes of NumPy's scalars of these dtypes, as far as they are `among` others."""
    return frozenset(np.dtype(c).type for c in chars if c in among)


def fast_unary(op: OpDef) -> Callable[..., Any]:
    """The public function of an op with one input and no parameters."""
    eval, chars, unrecorded, saves_out = op.eval, op.chars, op.unrecorded, op.saves_out
    saves_in = op.saved_inputs is None or op.saved_inputs[0]
    several = op.results is not None
    scalars = _classes(chars)

    def public(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or kwargs:
            args = tuple(op.split(args, kwargs)[0])
        x = args[0]
        if not isinstance(x, Tensor) or several:
            return bind(op, args, {})
        value, source = x.value, x.node
        if value.__class__ not in scalars and (value is None or value.dtype.char not in chars):
            return bind(op, args, {})
        try:
            out = eval(value)
        except Exception:
            return bind(op, args, {})
        tensor = _new(Tensor)
        tensor.value = out
        tensor._grad = None
        if source is None or unrecorded or not (origin := _recording()):
            tensor.node = None
            return tensor
        if _config().watchful:
            return bind(op, args, {})
        if saves_in and source.value is None:
            source.value = value
        if saves_out or not isinstance(out, _ndarray):
            tensor.node = Node(op, (source,), {}, out, out, caller(), origin)
        else:
            tensor.node = Node(op, (source,), {}, None, Spec(out.shape, out.dtype), caller(), origin)
        return tensor

    return public


def fast_binary(op: OpDef, *, declines: bool = False) -> Callable[..., Any]:
    """The public function of an op with two inputs and no parameters, or its operator (`declines`)."""
    eval, chars, unrecorded, saves_out = op.eval, op.chars, op.unrecorded, op.saves_out
    scalars = _classes(chars)
    #: The NumPy scalars next to which a Python number keeps out of the question of dtypes.
    beside = {float: _classes(chars, FLOAT), int: _classes(chars, _NUMERIC)}
    saves_a, saves_b = op.saved_inputs or (True, True)
    simple = op.prepare is None and not op.param_names and op.results is None

    def slow(a: Any, b: Any) -> Any:
        if declines and not (isinstance(a, _OPERANDS) and isinstance(b, _OPERANDS)):
            return NotImplemented
        if simple:
            return bind(op, (a, b), {})
        return apply(op, (a, b), {})

    def operator(a: Any, b: Any) -> Any:
        source_a = source_b = None
        if isinstance(a, Tensor):
            x, source_a = a.value, a.node
            if isinstance(b, Tensor):
                y, source_b = b.value, b.node
                if not (x.__class__ is y.__class__ and x.__class__ in scalars) and not _alike(x, y, chars):
                    return slow(a, b)
            else:
                y = b
                if x.__class__ not in beside.get(b.__class__, _NONE) and not _beside(b, x, chars):
                    return slow(a, b)
        elif isinstance(b, Tensor):
            x, y, source_b = a, b.value, b.node
            if y.__class__ not in beside.get(a.__class__, _NONE) and not _beside(a, y, chars):
                return slow(a, b)
        else:
            return slow(a, b)
        try:
            out = eval(x, y)
        except Exception:
            return slow(a, b)
        tensor = _new(Tensor)
        tensor.value = out
        tensor._grad = None
        if (source_a is None and source_b is None) or unrecorded or not (origin := _recording()):
            tensor.node = None
            return tensor
        if _config().watchful:
            return slow(a, b)
        if source_a is None:
            source_a = x
        elif saves_a and source_a.value is None:
            source_a.value = x
        if source_b is None:
            source_b = y
        elif saves_b and source_b.value is None:
            source_b.value = y
        if saves_out or not isinstance(out, _ndarray):
            tensor.node = Node(op, (source_a, source_b), {}, out, out, caller(), origin)
        else:
            tensor.node = Node(op, (source_a, source_b), {}, None, Spec(out.shape, out.dtype), caller(), origin)
        return tensor

    if not simple:
        return slow
    if declines:
        return operator

    def public(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 2 or kwargs:
            args = tuple(op.split(args, kwargs)[0])
        return operator(*args)

    return public


def _alike(x: Any, y: Any, chars: str) -> bool:
    """Are these two values of one dtype that the op takes?"""
    return x is not None and y is not None and x.dtype is y.dtype and x.dtype.char in chars


def _beside(number: Any, x: Any, chars: str) -> bool:
    """Does a Python number take the dtype of `x`, and the op take that?"""
    kind = type(number)
    if x is None or x.dtype.char not in chars:
        return False
    return (kind is float and x.dtype.char in FLOAT) or (kind is int and x.dtype.char in _NUMERIC)
