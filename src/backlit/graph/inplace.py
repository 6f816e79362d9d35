"""Writing into a Tensor's own memory, where nobody can tell it from a new value.

Tensors have the value semantics of numbers: `w -= step` gives `w` a new value and leaves all else as it
was. Where nothing else refers to the old value, or to the node whose value it is, the two cannot be told
apart, and the memory is used again. That is every update of a parameter after `backward()`.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np

from ..base.config import recording
from ..base.dtypes import FLOAT
from .opdef import SUPPLIED
from .tensor import LEAF, Tensor

_UFUNCS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}


def overwritten(x: Tensor, name: str, other: Any) -> bool:
    """Do `x = name(x, other)` in the memory of `x` and return True; or return False where that could be noticed."""
    ufunc = _UFUNCS.get(name)
    value, node = x.value, x.node
    if ufunc is None or not isinstance(value, np.ndarray) or value.dtype.char not in FLOAT:
        return False
    if node is not None and (recording.get() or node.op is not LEAF):
        return False
    if isinstance(other, Tensor):
        if other.node is not None and recording.get():
            return False
        other = other.value
        if not isinstance(other, np.ndarray) or other.shape != value.shape or other.dtype != value.dtype:
            return False
    elif type(other) is not float:
        return False
    del value, node
    if _references(x) != _alone(x.node is not None):
        return False
    ufunc(x.value, other, out=x.value)
    return True


def _references(x: Tensor) -> tuple[bool, int, int]:
    """Does `x` own its memory, and how many refer to its value and its node?"""
    value = x.value
    owner = value.base is None and value.flags.writeable
    return owner, sys.getrefcount(value), sys.getrefcount(x.node) if x.node is not None else 0


@cache
def _alone(leaf: bool) -> tuple[bool, int, int]:
    """`_references` of a Tensor that nothing else refers to. Counted, because interpreters count differently."""
    return _references(Tensor(np.zeros(2), requires_grad=leaf))


SUPPLIED["overwritten"] = overwritten
