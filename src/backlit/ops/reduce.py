"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import BOOL, SIGNED, UNSIGNED, as_dtype, int64, uint64
from ..base.shapes import as_axes, reduced
from ..graph.op import op
from ..graph.opdef import Spec
from .movement import broadcast_to, reshape


def spread(g: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """The cotangent of a sum, given back to every element that was summed."""
    kept = reduced(x.shape, axis, True)
    return broadcast_to(g if g.shape == kept else reshape(g, kept), x.shape)


def accumulator(dtype: Any) -> Any:
    """The dtype in which a sum or product of `dtype` is kept (Array API standard, 'sum')."""
    if dtype.char in SIGNED + BOOL:
        return int64
    return uint64 if dtype.char in UNSIGNED else dtype


def _sum_params(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    wanted = as_dtype(dtype) if dtype is not None else accumulator(x.dtype)
    if wanted != x.dtype:
        from .movement import astype

        x = astype(x, wanted)
    return (x,), {"axis": as_axes(axis, x.ndim, "sum"), "keepdims": bool(keepdims)}


@op(
    prepare=_sum_params, saves="", traits="jointly_linear", dtypes="any", onnx="ReduceSum", array_api=True,
    infer=lambda x, *, axis, keepdims: Spec(reduced(x.shape, axis, keepdims), x.dtype),
    transpose=(lambda g, x, *, axis, keepdims: spread(g, x, axis),),
)  # fmt: skip
def sum(x: Any, /, *, axis: Any, keepdims: bool) -> Any:
    """The sum of the elements over `axis` (all axes by default).

    >>> import backlit as bl
    >>> bl.sum(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.], dtype=float32)
    """
    return np.add.reduce(x, axis=axis, keepdims=keepdims)
