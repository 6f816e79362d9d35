"""What the `prepare` functions of many ops share: bringing inputs and parameters into their canonical form."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..base.dtypes import BOOL, SIGNED, UNSIGNED, WEAK, DType, as_dtype, int64, uint64
from ..base.errors import ArgumentError
from ..graph.opdef import OPS
from ..graph.tensor import Tensor, as_value

_KNOWN = (Tensor, np.ndarray, np.generic)


def operand(x: Any) -> Any:
    """`x` as something with shape and dtype: numbers, lists and foreign arrays become NumPy values.

    Lists that hold Tensors are stacked, so that they stay differentiable.
    """
    if isinstance(x, _KNOWN):
        return x
    if isinstance(x, (list, tuple)) and holds_tensor(x):
        return OPS["stack"].public([operand(part) for part in x])
    return as_value(x if isinstance(x, (list, tuple, *WEAK)) else foreign(x))


def foreign(x: Any) -> Any:
    """An array of another library (or an object with the buffer protocol) as a NumPy array that shares its memory."""
    return np.from_dlpack(x) if hasattr(x, "__dlpack__") else np.asarray(x)


def holds_tensor(data: list[Any] | tuple[Any, ...]) -> bool:
    """Is there a Tensor in these nested lists?"""
    return any(holds_tensor(d) if isinstance(d, (list, tuple)) else isinstance(d, Tensor) for d in data)


def accumulator(dtype: DType) -> DType:
    """The dtype in which a sum or product of `dtype` is kept (Array API standard, 'sum')."""
    if dtype.char in SIGNED + BOOL:
        return int64
    return uint64 if dtype.char in UNSIGNED else dtype


def optional_dtype(dtype: Any, otherwise: DType) -> DType:
    """The dtype asked for, or the one that holds where none is."""
    return otherwise if dtype is None else as_dtype(dtype)


def on_cpu(device: Any, where: str) -> None:
    """Refuse every device but the one there is."""
    if device is not None and device != "cpu":
        raise ArgumentError(f"{where}: expected device 'cpu' or None, got {device!r}; there is no other device.")


def integers(values: Any, name: str, where: str) -> tuple[int, ...]:
    """An int or several as a tuple of ints."""
    several = values if isinstance(values, Iterable) else (values,)
    try:
        return tuple(operator.index(v) for v in several)
    except TypeError:
        raise ArgumentError(f"{where}: {name} must be an integer or several, got {values!r}.") from None
