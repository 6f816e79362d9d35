"""Functions on dtypes: promotion, casting, kinds, and the limits (Array API standard, 'Data type functions')."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import (
    CATEGORIES,
    COMPLEX,
    FLOAT,
    INTEGER,
    SIGNED,
    UNSIGNED,
    WEAK,
    DType,
    as_dtype,
    promote,
    scalar_dtype,
)  # fmt: skip
from ..base.errors import ArgumentError, DtypeError, shown
from ..base.shapes import broadcast
from ..graph.op import function
from ..graph.tensor import Tensor

#: The kinds that the standard names, as NumPy's one-letter type codes.
KINDS: dict[str, str] = {
    "bool": "?",
    "signed integer": SIGNED,
    "unsigned integer": UNSIGNED,
    "integral": INTEGER,
    "real floating": CATEGORIES["real floating-point"],
    "complex floating": COMPLEX,
    "numeric": INTEGER + FLOAT,
}


def _dtype_of(x: Any) -> DType:
    return as_dtype(x.dtype if isinstance(x, (Tensor, np.ndarray, np.generic)) else x)


@function()
def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype in which all of these meet; Python numbers are weak.

    >>> import backlit as bl
    >>> bl.result_type(bl.int8, bl.uint8), bl.result_type(bl.float32, 2.5)
    (dtype('int16'), dtype('float32'))
    """
    strong = [_dtype_of(x) for x in arrays_and_dtypes if type(x) not in WEAK]
    if not strong:
        raise ArgumentError("result_type: expected an array or dtype among the arguments, got none.")
    result = promote(*strong, where="result_type")
    for x in arrays_and_dtypes:
        if type(x) in WEAK:
            result = promote(result, scalar_dtype(x, result), where="result_type")
    return result


@function()
def can_cast(from_: Any, to: Any, /) -> bool:
    """Does the standard's promotion table take the dtype (or that of the array) `from_` to `to`?

    The table never crosses kinds: integers to floating-point is for `astype` to say.
    """
    start, end = _dtype_of(from_), _dtype_of(to)
    kinds = ("?", INTEGER, FLOAT)
    if not any(start.char in k and end.char in k for k in kinds):
        return False
    return np.promote_types(start, end) == end


@function()
def isdtype(dtype: Any, kind: Any) -> bool:
    """Is `dtype` equal to `kind`, or of that kind ("bool", "integral", "real floating", ...), or of one of several?

    >>> import backlit as bl
    >>> bl.isdtype(bl.int8, ("unsigned integer", bl.int8))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    found = as_dtype(dtype)
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ArgumentError(f"isdtype: kind {kind!r} is not one of {', '.join(KINDS)}.")
        return found.char in KINDS[kind]
    return found == as_dtype(kind)


class FloatInfo(NamedTuple):
    """Limits of a floating-point dtype, as Python numbers.

    Attributes:
        bits: the number of bits an element takes (a real part, for complex dtypes).
        eps: the distance from 1 to the next larger number.
        max: the largest number.
        min: the smallest, most negative one.
        smallest_normal: the smallest positive number with full precision.
        dtype: the real dtype.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@function()
def finfo(type: Any, /) -> FloatInfo:
    """The limits of a floating-point dtype, or of that of an array."""
    dtype = _dtype_of(type)
    if dtype.char not in FLOAT:
        raise DtypeError(f"finfo: expected a floating-point dtype, got {dtype.name}; iinfo is for integers.")
    found = np.finfo(dtype)
    return FloatInfo(
        int(found.bits), float(found.eps), float(found.max), float(found.min), float(found.smallest_normal), found.dtype
    )


class IntegerInfo(NamedTuple):
    """Limits of an integer dtype: its bits, its largest and smallest number, and itself."""

    bits: int
    max: int
    min: int
    dtype: DType


@function()
def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer dtype, or of that of an array."""
    dtype = _dtype_of(type)
    if dtype.char not in INTEGER:
        raise DtypeError(f"iinfo: expected an integer dtype, got {dtype.name}; finfo is for floating-point.")
    found = np.iinfo(dtype)
    return IntegerInfo(found.bits, int(found.max), int(found.min), dtype)


@function()
def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `shapes` broadcast to.

    >>> import backlit as bl
    >>> bl.broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    for shape in shapes:
        if not isinstance(shape, tuple):
            raise ArgumentError(f"broadcast_shapes: expected tuples of ints, got {shown(shape)}.")
    return broadcast(*shapes, where="broadcast_shapes")
