"""Arrays made from nothing: these are functions, not ops, for there is no Tensor they are computed from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.config import config
from ..base.dtypes import WEAK, complex64, complex128, float64, int64
from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..base.shapes import as_axis, as_index, as_shape
from ..graph.op import composite, function, op
from ..graph.opdef import Spec
from ..graph.tensor import SIZE_KNOWN, Tensor, as_value, no_value, wrap
from .movement import astype, broadcast_to, copy, reshape
from .operands import foreign, holds_tensor, on_cpu, operand, optional_dtype


def zeros_of(x: Any) -> Any:
    """A NumPy array of zeros with the shape and dtype of `x` (anything that has these)."""
    return np.zeros(x.shape, x.dtype)


@function()
def tensor(data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A Tensor of a number, nested lists, a NumPy array or a Tensor; always a copy.

    >>> import backlit as bl
    >>> bl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]], dtype=int64)
    """
    return Tensor(data, dtype, requires_grad=requires_grad, name=name)


# --- from what is there ----------------------------------------------------------------------------


@function()
def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor of a number, nested lists, an array of any library, or a Tensor; shares memory where it can.

    `copy=True` always copies, `copy=False` raises where a copy is needed. Lists may hold Tensors,
    which stay differentiable.

    >>> import backlit as bl
    >>> bl.asarray([1.0, 2.0])
    tensor([1., 2.], dtype=float32)
    """
    on_cpu(device, "asarray")
    if isinstance(obj, Tensor):
        return _from_tensor(obj, dtype, copy)
    if isinstance(obj, (list, tuple)) and holds_tensor(obj):
        joined = operand(obj)
        return joined if dtype is None else astype.public(joined, dtype)
    if not isinstance(obj, (np.ndarray, np.generic, list, tuple, *WEAK)):
        obj = foreign(obj)
    value = as_value(obj, dtype, copy=bool(copy))
    if copy is False and value is not obj:
        raise ArgumentError("asarray: this input must be copied, and copy=False; give an array of the dtype wanted.")
    return wrap(value)


def _from_tensor(x: Tensor, dtype: Any, copied: bool | None) -> Tensor:
    wanted = optional_dtype(dtype, x.dtype)
    if wanted != x.dtype:
        if copied is False:
            raise ArgumentError(f"asarray: {x.dtype.name} to {wanted.name} needs a copy, and copy=False.")
        return astype.public(x, wanted)
    if not copied:
        return x
    return copy.public(x) if x.node is not None else wrap(np.array(x.value))


@function()
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor that shares memory with an array of another library (DLPack protocol).

    >>> import backlit as bl, numpy as np
    >>> bl.from_dlpack(np.arange(3))
    tensor([0, 1, 2], dtype=int64)
    """
    on_cpu(device, "from_dlpack")
    if not hasattr(x, "__dlpack__"):
        raise DtypeError(f"from_dlpack: {type(x).__name__} has no __dlpack__; use bl.asarray for lists and numbers.")
    return wrap(as_value(np.from_dlpack(x, copy=copy)))


# --- of one shape ----------------------------------------------------------------------------------


def _default() -> Any:
    return config.get().default_dtype


@function()
def zeros(shape: int | tuple[int, ...], *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros of this shape; float32 by default.

    >>> import backlit as bl
    >>> bl.zeros((2, 2))
    tensor([[0., 0.],
            [0., 0.]], dtype=float32)
    """
    on_cpu(device, "zeros")
    return wrap(np.zeros(as_shape(shape, "zeros"), optional_dtype(dtype, _default())))


@function()
def ones(shape: int | tuple[int, ...], *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones of this shape; float32 by default."""
    on_cpu(device, "ones")
    return wrap(np.ones(as_shape(shape, "ones"), optional_dtype(dtype, _default())))


@function()
def empty(shape: int | tuple[int, ...], *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros of this shape: memory not yet written to is not worth the surprise."""
    on_cpu(device, "empty")
    return wrap(np.zeros(as_shape(shape, "empty"), optional_dtype(dtype, _default())))


@function()
def full(
    shape: int | tuple[int, ...], fill_value: bool | int | float | complex, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """An array of this shape in which every element is `fill_value`, whose dtype is the default."""
    on_cpu(device, "full")
    if isinstance(fill_value, Tensor):
        return broadcast_to.public(fill_value if dtype is None else fill_value.astype(dtype), shape)
    value = as_value(fill_value, dtype)
    return wrap(np.full(as_shape(shape, "full"), value, value.dtype))


def _like_params(x: Any, value: Any, dtype: Any, device: Any, where: str) -> Any:
    on_cpu(device, where)
    x = operand(x)
    return (x,), {"value": value, "dtype": optional_dtype(dtype, x.dtype)}


@op(
    prepare=lambda x, value, /, *, dtype=None: _like_params(x, value, dtype, None, "full_like"),
    infer=lambda x, *, value, dtype: Spec(x.shape, dtype), nondiff="its values do not depend on those of x",
    traits="stops", namespace="hidden", samples=lambda rng: [((rng.normal(size=(2, 3)), 2.5), {})],
)  # fmt: skip
def filled_like(x: Any, /, *, value: Any, dtype: Any) -> Any:
    """An array of the shape of `x` in which every element is `value`."""
    return np.full(x.shape, value, dtype)


@function()
def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros of the shape and dtype of `x`."""
    on_cpu(device, "zeros_like")
    return filled_like.public(x, 0, dtype=dtype)


@function()
def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones of the shape and dtype of `x`."""
    on_cpu(device, "ones_like")
    return filled_like.public(x, 1, dtype=dtype)


@function()
def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros of the shape and dtype of `x`, as `empty` gives them."""
    on_cpu(device, "empty_like")
    return filled_like.public(x, 0, dtype=dtype)


@function()
def full_like(x: Any, /, fill_value: bool | int | float | complex, *, dtype: Any = None, device: Any = None) -> Tensor:
    """An array of the shape and dtype of `x` in which every element is `fill_value`."""
    on_cpu(device, "full_like")
    if isinstance(fill_value, Tensor):
        return filled_like.public(x, 1, dtype=optional_dtype(dtype, operand(x).dtype)) * fill_value
    return filled_like.public(x, fill_value, dtype=dtype)


# --- numbers in a row, matrices --------------------------------------------------------------------


def _known(value: Any, where: str) -> Any:
    """A parameter of a range as a Python number."""
    if isinstance(value, Tensor) and value.value is None:
        raise no_value(value._node, f"{where}: its shape depends on values", SIZE_KNOWN)
    return value.item() if isinstance(value, (Tensor, np.ndarray, np.generic)) else value


@function()
def arange(
    start: int | float, /, stop: int | float | None = None, step: int | float = 1, *,
    dtype: Any = None, device: Any = None,
) -> Tensor:  # fmt: skip
    """Numbers from `start` (0 where only one is given) up to, not including, `stop`, by `step`.

    >>> import backlit as bl
    >>> bl.arange(3), bl.arange(0.0, 1.0, 0.25)
    (tensor([0, 1, 2], dtype=int64), tensor([0.  , 0.25, 0.5 , 0.75], dtype=float32))
    """
    on_cpu(device, "arange")
    start, stop, step = (_known(v, "arange") for v in (start, stop, step))
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ArgumentError("arange: step must not be 0.")
    whole = all(isinstance(v, int) for v in (start, stop, step))
    wanted = optional_dtype(dtype, int64 if whole else _default())
    return wrap(np.arange(start, stop, step, dtype=wanted if whole else None).astype(wanted, copy=False))


@function()
def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, which `endpoint` includes.

    >>> import backlit as bl
    >>> bl.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    on_cpu(device, "linspace")
    start, stop = _known(start, "linspace"), _known(stop, "linspace")
    n = as_index(num, "num", "linspace")
    if n < 0:
        raise ArgumentError(f"linspace: num must be 0 or more, got {n}.")
    default = _default()
    if isinstance(start, complex) or isinstance(stop, complex):
        default = complex128 if default == float64 else complex64
    return wrap(np.linspace(start, stop, n, endpoint=endpoint).astype(optional_dtype(dtype, default)))


@function()
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """A matrix with ones on the `k`-th diagonal (above the main one where positive) and zeros elsewhere."""
    on_cpu(device, "eye")
    rows, cols = as_shape((n_rows, n_rows if n_cols is None else n_cols), "eye")
    return wrap(np.eye(rows, cols, as_index(k, "k", "eye"), optional_dtype(dtype, _default())))


def _triangle_params(name: str) -> Any:
    def prepare(x: Any, /, *, k: int = 0) -> Any:
        x = operand(x)
        if x.ndim < 2:
            raise ShapeError(f"{name}: expected two or more dimensions, got shape {x.shape}.")
        return (x,), {"k": as_index(k, "k", name)}

    return prepare


def _triangle_cases(rng: Any) -> list[Any]:
    return [
        ((rng.normal(size=(3, 4)),), {}),
        ((rng.normal(size=(2, 3, 3)),), {"k": -1}),
        ((rng.normal(size=(3, 2)),), {"k": 1}),
    ]


@op(
    prepare=_triangle_params("tril"), infer=lambda x, *, k: Spec(x.shape, x.dtype), saves="", traits="jointly_linear",
    transpose=(lambda g, x, *, k: tril(g, k=k),), onnx="Trilu", array_api=True, samples=_triangle_cases,
)  # fmt: skip
def tril(x: Any, /, *, k: int) -> Any:
    """The matrix (or stack of them) with zeros above the `k`-th diagonal."""
    return np.tril(x, k)


@op(
    prepare=_triangle_params("triu"), infer=lambda x, *, k: Spec(x.shape, x.dtype), saves="", traits="jointly_linear",
    transpose=(lambda g, x, *, k: triu(g, k=k),), onnx="Trilu", array_api=True, samples=_triangle_cases,
)  # fmt: skip
def triu(x: Any, /, *, k: int) -> Any:
    """The matrix (or stack of them) with zeros below the `k`-th diagonal."""
    return np.triu(x, k)


@composite(
    array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=2), rng.normal(size=3)), {}), ((rng.normal(size=2), rng.normal(size=3)), {"indexing": "ij"}),
    ],
)  # fmt: skip
def meshgrid(*arrays: Any, indexing: str = "xy") -> Any:
    """Coordinates of a grid from those of its axes; "xy" lets the first axis run along columns, "ij" along rows.

    >>> import backlit as bl
    >>> bl.meshgrid(bl.arange(2), bl.arange(3))[0].shape
    (3, 2)
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}.")
    found = [operand(a) for a in arrays]
    n = len(found)
    place = list(range(n))
    if indexing == "xy" and n > 1:
        place[:2] = [1, 0]
    sizes = {p: a.size for p, a in zip(place, found, strict=True)}
    shape = tuple(sizes[p] for p in range(n))
    return [
        broadcast_to.public(reshape(a, tuple(a.size if q == p else 1 for q in range(n))), shape)
        for p, a in zip(place, found, strict=True)
    ]


# --- labels ----------------------------------------------------------------------------------------


def _one_hot_params(x: Any, num_classes: int, /, *, dtype: Any = None, axis: int = -1) -> Any:
    x = operand(x)
    n = as_index(num_classes, "num_classes", "one_hot")
    if n < 1:
        raise ArgumentError(f"one_hot: num_classes must be 1 or more, got {n}.")
    return (x,), {
        "num_classes": n, "dtype": optional_dtype(dtype, _default()), "axis": as_axis(axis, x.ndim + 1, "one_hot"),
    }  # fmt: skip


@op(
    prepare=_one_hot_params, nondiff="labels are integers", dtypes="integer", onnx="OneHot",
    infer=lambda x, *, num_classes, dtype, axis: Spec((*x.shape[:axis], num_classes, *x.shape[axis:]), dtype),
    samples=lambda rng: [((np.array([2, 0, 1]), 3), {}), ((np.array([[1, 0]]), 2), {"axis": 0, "dtype": np.float64})],
)  # fmt: skip
def one_hot(x: Any, /, *, num_classes: int, dtype: Any, axis: int) -> Any:
    """A row of `num_classes` numbers for each label, 1 at the label and 0 elsewhere.

    >>> import backlit as bl
    >>> bl.one_hot(bl.tensor([1, 0]), 3)
    tensor([[0., 1., 0.],
            [1., 0., 0.]], dtype=float32)
    """
    wrong = (x < 0) | (x >= num_classes)
    if np.any(wrong):
        found = np.asarray(x)[wrong].flat[0]
        raise ArgumentError(f"one_hot: label {found} is not one of the {num_classes} classes 0 to {num_classes - 1}.")
    out = np.zeros((np.size(x), num_classes), dtype)
    out[np.arange(np.size(x)), np.reshape(x, -1)] = 1
    return np.moveaxis(out.reshape(*np.shape(x), num_classes), -1, axis)
