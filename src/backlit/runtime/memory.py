"""Aligned buffers for plans, and the address of an array's data."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

#: The widest vector, and a cache line, of all machines that plans are made for.
ALIGNMENT = 64


def aligned(nbytes: int, alignment: int = ALIGNMENT) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An uninitialised buffer: uint8, shape (nbytes,), its data at a multiple of `alignment` bytes.

    NumPy asks the system for huge pages for large arrays by itself.
    """
    room = np.empty(nbytes + alignment, np.uint8)
    return np.ndarray(nbytes, np.uint8, room, -data_pointer(room) % alignment)


def _by_interface(array: np.ndarray[Any, Any]) -> int:
    return array.__array_interface__["data"][0]


#: In CPython, `id` is an object's address, and an array's data pointer is the first field behind the object header.
_FIELD = object.__basicsize__
_word = ctypes.c_size_t.from_address


def _by_field(array: np.ndarray[Any, Any]) -> int:
    return _word(id(array) + _FIELD).value


def _fastest() -> Callable[[np.ndarray[Any, Any]], int]:
    """`_by_field` where a few arrays of different kinds show that it is right, else NumPy's documented way."""
    if sys.implementation.name != "cpython":
        return _by_interface
    base = np.zeros((3, 5))
    kinds = (base, base[1:, 2:], base[::-1], base.T, np.empty(0), np.float32(1) + np.zeros(()), base.view(np.recarray))
    return _by_field if all(_by_field(a) == _by_interface(a) for a in map(np.asanyarray, kinds)) else _by_interface


data_pointer: Callable[[np.ndarray[Any, Any]], int] = _fastest()
"""The address of an array's first element.

It reads the field of the array object, whose place was checked once against `__array_interface__`: 80 ns, where
`array.ctypes.data` and `__array_interface__` take 700 to 800. The caller keeps the array alive.
"""
