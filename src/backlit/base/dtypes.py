"""Dtypes, their kinds, and promotion: the Array API table, floats winning over integers without widening.

Source: Python Array API standard 2024.12, 'Type Promotion Rules'. The standard leaves integer with
floating-point open; here the floating-point dtype is kept as it is (int64 with float32 gives float32),
so that a label or an index never doubles the width of a network.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .config import config
from .errors import DtypeError

DType = np.dtype[Any]

bool_: DType = np.dtype(np.bool_)
int8: DType = np.dtype(np.int8)
int16: DType = np.dtype(np.int16)
int32: DType = np.dtype(np.int32)
int64: DType = np.dtype(np.int64)
uint8: DType = np.dtype(np.uint8)
uint16: DType = np.dtype(np.uint16)
uint32: DType = np.dtype(np.uint32)
uint64: DType = np.dtype(np.uint64)
float16: DType = np.dtype(np.float16)
float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
complex64: DType = np.dtype(np.complex64)
complex128: DType = np.dtype(np.complex128)

ALL: tuple[DType, ...] = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, complex64, complex128,
)  # fmt: skip

BOOL = "?"
SIGNED = "bhilq"
UNSIGNED = "BHILQ"
INTEGER = SIGNED + UNSIGNED
REAL_FLOAT = "efd"
COMPLEX = "FD"
FLOAT = REAL_FLOAT + COMPLEX

#: The categories that the Array API standard speaks of, as NumPy's one-letter type codes; and the words of random keys.
CATEGORIES: dict[str, str] = {
    "boolean": BOOL,
    "integer": INTEGER,
    "integer or boolean": BOOL + INTEGER,
    "real floating-point": REAL_FLOAT,
    "complex floating-point": COMPLEX,
    "floating-point": FLOAT,
    "real numeric": INTEGER + REAL_FLOAT,
    "numeric": INTEGER + FLOAT,
    "any": BOOL + INTEGER + FLOAT,
    "uint32": uint32.char,
}

Scalar = bool | int | float | complex
WEAK: tuple[type, ...] = (bool, int, float, complex)


def as_dtype(dtype: Any) -> DType:
    """The supported dtype that `dtype` (a dtype, NumPy type or name) stands for, in native byte order."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.char not in CATEGORIES["any"]:
        raise DtypeError(f"dtype {dtype!r} is not supported; choose one of {', '.join(d.name for d in ALL)}.")
    return found if found.isnative else found.newbyteorder("=")


def scalar_dtype(value: Scalar, beside: DType | None = None) -> DType:
    """The dtype a weak Python scalar takes, alone or beside a Tensor of dtype `beside`."""
    kind = type(value)
    if beside is not None:
        if kind is bool or (kind is int and beside.char != BOOL) or (kind is float and beside.char in FLOAT):
            return beside
        if kind is complex and beside.char in COMPLEX:
            return beside
    if kind is bool:
        return bool_
    if kind is int:
        return int64
    if kind is float:
        return config.get().default_dtype
    wide = (beside if beside is not None and beside.char in REAL_FLOAT else config.get().default_dtype) == float64
    return complex128 if wide else complex64


def promote(*dtypes: DType, where: str = "promotion") -> DType:
    """The dtype in which operands of `dtypes` meet.

    >>> promote(int64, float32)
    dtype('float32')
    """
    best = dtypes[0]
    for other in dtypes[1:]:
        if other == best:
            continue
        a, b = best.char, other.char
        if a in FLOAT and b in FLOAT:
            best = np.promote_types(best, other)
        elif a in FLOAT:
            pass
        elif b in FLOAT:
            best = other
        else:
            found = np.promote_types(best, other)
            if found.char in FLOAT:
                raise DtypeError(
                    f"{where}: {best.name} and {other.name} have no common integer dtype. "
                    "Convert one of them first, for example x.astype(bl.int64)."
                )
            best = found
    return best
