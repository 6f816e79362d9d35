"""Moving elements without computing: reshape, broadcast, permute, cast."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import FLOAT, as_dtype
from ..base.errors import ShapeError
from ..base.shapes import as_axis, as_shape, broadcast, size_of
from ..graph.op import op
from ..graph.opdef import Spec


def _cast_params(x: Any, /, dtype: Any, *, copy: bool = True) -> Any:
    return (x,), {"dtype": as_dtype(dtype)}


@op(
    prepare=_cast_params, infer=lambda x, *, dtype: Spec(x.shape, dtype), saves="",
    transpose=(lambda g, x, *, dtype: astype(g, x.dtype) if dtype.char in FLOAT else None,),
    traits="jointly_linear", onnx="Cast", array_api=True,
)  # fmt: skip
def astype(x: Any, /, *, dtype: Any) -> Any:
    """The same numbers in another dtype. Complex to real takes the real part."""
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = np.real(x)
    return x.astype(dtype)


def _broadcast_params(x: Any, /, shape: Any) -> Any:
    return (x,), {"shape": as_shape(shape, "broadcast_to")}


def _broadcast_spec(x: Any, *, shape: Any) -> Spec:
    if broadcast(x.shape, shape, where="broadcast_to") != shape:
        raise ShapeError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}.")
    return Spec(shape, x.dtype)


@op(
    prepare=_broadcast_params, infer=_broadcast_spec, saves="", traits="jointly_linear", onnx="Expand", array_api=True,
    transpose=(lambda g, x, *, shape: g,),  # the engine sums over what was broadcast
)  # fmt: skip
def broadcast_to(x: Any, /, *, shape: Any) -> Any:
    """`x` repeated along new axes and axes of size 1, so that it has `shape`."""
    return np.broadcast_to(x, shape)


def _reshape_params(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
    sizes = tuple(int(s) for s in (shape if hasattr(shape, "__iter__") else (shape,)))
    if sizes.count(-1) > 1 or any(s < -1 for s in sizes):
        raise ShapeError(f"reshape: shape {sizes} may hold sizes of 0 or more, and one -1 for 'the rest'.")
    return (x,), {"shape": sizes}


def _reshape_spec(x: Any, *, shape: Any) -> Spec:
    n = size_of(x.shape)
    if -1 in shape:
        known = size_of(tuple(s for s in shape if s != -1))
        sizes = tuple((n // known if known else 0) if s == -1 else s for s in shape)
    else:
        sizes = shape
    if size_of(sizes) != n:
        raise ShapeError(f"reshape: {n} elements of shape {x.shape} cannot take shape {shape}.")
    return Spec(sizes, x.dtype)


@op(
    prepare=_reshape_params, infer=_reshape_spec, saves="", traits="jointly_linear", onnx="Reshape", array_api=True,
    transpose=(lambda g, x, *, shape: reshape(g, x.shape),),
)  # fmt: skip
def reshape(x: Any, /, *, shape: Any) -> Any:
    """The same elements in the same order in another shape; one size may be -1."""
    return np.reshape(x, shape)


def _permute_params(x: Any, /, axes: Any) -> Any:
    order = tuple(as_axis(a, x.ndim, "permute_dims") for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: axes {tuple(axes)} must name each of the {x.ndim} axes once.")
    return (x,), {"axes": order}


@op(
    prepare=_permute_params, infer=lambda x, *, axes: Spec(tuple(x.shape[a] for a in axes), x.dtype), saves="",
    traits="jointly_linear", onnx="Transpose", array_api=True,
    transpose=(lambda g, x, *, axes: permute_dims(g, tuple(np.argsort(axes).tolist())),),
)  # fmt: skip
def permute_dims(x: Any, /, *, axes: Any) -> Any:
    """The axes in another order."""
    return np.transpose(x, axes)


@op(
    infer=lambda x: Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype), saves="", traits="jointly_linear",
    array_api=True, transpose=(lambda g, x: matrix_transpose(g),),
)  # fmt: skip
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(x, -1, -2)


@op(infer=lambda x: Spec(x.shape, x.dtype), saves="", traits="jointly_linear", transpose=(lambda g, x: g,), onnx="Identity")
def copy(x: Any, /) -> Any:
    """The same value as a Tensor of its own, differentiable."""
    return x
