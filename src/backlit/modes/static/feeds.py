"""Values that come from outside: what a placeholder may be fed, and a variable assigned."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...base.dtypes import DType
from ...base.errors import DtypeError, GraphError, ShapeError, shown
from ...graph.infer import UnknownShape
from ...graph.tensor import Tensor, as_value

_KINDS = "biufc"


def as_fed(value: Any, dtype: DType, what: str) -> Any:
    """`value` as a NumPy value of `dtype`, where that loses nothing but precision.

    Widths may change within a kind, integers may become real and real numbers complex, never the
    other way. A list of Python numbers counts as what it holds.
    """
    if type(value) is float and dtype.kind == "f":
        return dtype.type(value)
    if isinstance(value, Tensor):
        if value.value is None:
            raise GraphError(
                f"{what}: cannot be fed {value.node.label if value.node else 'a tensor'}, which has no value itself; "
                "give an array, or connect the two when building the graph."
            )
        value = value.value
    try:
        found = as_value(value)
    except (ShapeError, DtypeError) as problem:
        raise type(problem)(f"{what}: {problem}") from None
    if found.dtype != dtype:
        if _KINDS.index(_kind(found.dtype)) > _KINDS.index(_kind(dtype)):
            raise DtypeError(
                f"{what}: expected {dtype.name}, got {found.dtype.name} ({shown(value, 40)}), which would lose "
                f"what {dtype.name} cannot hold; convert it yourself with .astype({dtype.name!r})."
            )
        cast = found.astype(dtype)
        if dtype.kind in "iu" and not np.array_equal(cast, found):
            raise DtypeError(f"{what}: {shown(value, 40)} holds integers beyond the range of {dtype.name}.")
        found = cast
    return found[()] if found.shape == () else found


def _kind(dtype: DType) -> str:
    return "i" if dtype.kind == "u" else dtype.kind


def fits(shape: tuple[int, ...], wanted: Any) -> bool:
    """Does a shape fit one in which None stands for any size?"""
    if isinstance(wanted, UnknownShape):
        return True
    return len(shape) == len(wanted) and all(w is None or n == w for n, w in zip(shape, wanted, strict=True))


def compatible(a: Any, b: Any) -> bool:
    """Can two shapes, both of which may hold None, turn out to be the same?"""
    if isinstance(a, UnknownShape) or isinstance(b, UnknownShape):
        return True
    return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))
