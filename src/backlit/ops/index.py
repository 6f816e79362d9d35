"""Reading and writing by index. Writing is functional: a new array, the old one as it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import BOOL, COMPLEX, INTEGER, REAL_FLOAT, WEAK, bool_, scalar_dtype
from ..base.errors import DtypeError, IndexRangeError, ShapeError
from ..base.shapes import Shape, as_axis, as_index
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .indexing import ARRAY, Cut, Filled, Index, add_at, check_arrays, parse, positions
from .movement import astype, movement, reshape
from .operands import operand


def _getitem_params(x: Any, index: Any, /) -> Any:
    x = operand(x)
    found = parse(x, index, "x[index]")
    return (x, *found.arrays), {"index": found.index}


def _getitem_rule(x: Any, *indices: Any, index: Index) -> Spec:
    return Spec(index.shape(x.shape, [i.shape for i in indices]), x.dtype)


def _getitem_transpose(g: Any, x: Any, *indices: Any, index: Index) -> Any:
    return (place(g, *indices, index=index, shape=x.shape), *(None for _ in indices))


def _getitem_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(4, 3, 2))
    mask = np.array([True, False, True, True])
    return [
        ((x, 1), {}), ((x, (slice(None, None, -2), None, ..., -1)), {}), ((x, np.array([[0, 2], [2, -1]])), {}),
        ((x, (mask, slice(1, None))), {}), ((x, ([0, 0, 3], slice(None), [1, 0, 1])), {}), ((x, (2, mask[:3])), {}),
    ]  # fmt: skip


@movement(
    prepare=_getitem_params, infer=_getitem_rule, saves="indices", promotes=(), traits="jointly_linear",
    transpose=_getitem_transpose, samples=_getitem_cases,
)  # fmt: skip
def getitem(x: Any, /, *indices: Any, index: Index) -> Any:
    """`x[index]` with every kind of index that NumPy has: ints, slices, None, `...`, arrays of integers, masks.

    A mask stands for the positions where it is true, so it needs a value.

    >>> import backlit as bl
    >>> bl.tensor([1, 2, 3, 4])[bl.tensor([True, False, False, True])]
    tensor([1, 4], dtype=int64)
    """
    try:
        return np.asarray(x)[index.at(indices)]
    except IndexError:
        check_arrays("x[index]", x.shape, Filled(index, indices))
        raise


def _place_transpose(g: Any, y: Any, *indices: Any, index: Index, shape: Shape) -> Any:
    return (getitem(g, Filled(index, indices)), *(None for _ in indices))


def _place_cases(rng: Any) -> list[Any]:
    rows = np.array([0, 2, 0])
    return [
        ((rng.normal(size=(3, 2)), rows), {"index": Index((ARRAY,)), "shape": (4, 2)}),
        ((rng.normal(size=(4, 3)), rows), {"index": Index((Cut(), ARRAY)), "shape": (4, 3)}),
        ((rng.normal(size=2),), {"index": Index((1, Cut(0, 2))), "shape": (2, 3)}),
    ]


@op(
    prepare=lambda y, /, *indices, index, shape: ((y, *indices), {"index": index, "shape": shape}),
    infer=lambda y, *indices, index, shape: Spec(shape, y.dtype), saves="indices", promotes=(),
    traits="jointly_linear", transpose=_place_transpose, namespace="hidden", samples=_place_cases,
)  # fmt: skip
def place(y: Any, /, *indices: Any, index: Index, shape: Shape) -> Any:
    """Zeros of `shape` with `y` added at `index`: the transpose of reading there."""
    out = np.zeros(shape, y.dtype)
    add_at(out, index, indices, y)
    return out


# --- writing ---------------------------------------------------------------------------------------


def _write_params(x: Any, index: Any, new: Any, where: str) -> Any:
    x = operand(x)
    found = parse(x, index, where, masks=where == "x[index] = y")
    y = _value_for(x, new, where)
    if y.ndim and y.shape[0] == 1:
        y = _without_leading(y, found, x)
    return (x, y, *found.arrays), {"index": found.index}


def _without_leading(y: Any, found: Filled, x: Any) -> Any:
    """`y` without leading axes of size 1 beyond the rank of what is written to, as NumPy allows."""
    if any(a.dtype.char == BOOL for a in found.arrays):
        return y
    rank = len(found.index.shape(tuple(n or 1 for n in x.shape), [tuple(a.shape) for a in found.arrays]))
    extra = y.ndim - rank
    return reshape(y, y.shape[extra:]) if extra > 0 and set(y.shape[:extra]) == {1} else y


def _value_for(x: Any, new: Any, where: str) -> Any:
    """What is written, in the dtype of `x`: a wider kind is refused, not cut short."""
    dtype = scalar_dtype(new, x.dtype) if type(new) in WEAK else operand(new).dtype
    kinds = (BOOL, INTEGER, REAL_FLOAT, COMPLEX)
    have, want = (next(i for i, k in enumerate(kinds) if d.char in k) for d in (dtype, x.dtype))
    if have > want:
        raise DtypeError(
            f"{where}: cannot write {dtype.name} into {x.dtype.name} without loss; convert one of them, "
            f"for example y.astype(bl.{x.dtype.name})."
        )
    if type(new) in WEAK:
        return x.dtype.type(new)
    y = operand(new)
    return y if y.dtype == x.dtype else astype(y, x.dtype)


def _update_params(x: Any, index: Any, new: Any, /) -> Any:
    inputs, params = _write_params(x, index, new, "x[index] = y")
    if any(a.dtype.char == BOOL for a in inputs[2:]) and inputs[1].ndim:
        raise ShapeError(
            "x[mask] = y: the mask has no value in this graph, so only a single value can be written there; "
            "use bl.where(mask, y, x) for values of x's shape."
        )
    return inputs, params


def _update_transpose(g: Any, x: Any, y: Any, *indices: Any, index: Index) -> Any:
    at = Filled(index, indices)
    kept = index_update(g, at, 0)
    if any(i.dtype.char == BOOL for i in indices):  # a mask without value: `y` is a single number
        return (kept, g - kept, *(None for _ in indices))
    gy = getitem(g, at)
    if not index.distinct:
        gy = gy * astype(winners(*indices, index=index, shape=x.shape), g.dtype)
    return (kept, gy, *(None for _ in indices))


def _update_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(4, 3))
    mask = np.array([True, False, True])
    return [
        ((x, 1, rng.normal(size=3)), {}), ((x, (slice(1, None), mask), rng.normal(size=2)), {}),
        ((x, [0, 2, 0], rng.normal(size=(3, 1))), {}), ((x, (..., [1, 1]), rng.normal()), {}),
    ]  # fmt: skip


@op(
    prepare=_update_params, infer=lambda x, y, *indices, index: Spec(x.shape, x.dtype), saves="indices",
    promotes=(), traits="jointly_linear", transpose=_update_transpose, samples=_update_cases,
)  # fmt: skip
def index_update(x: Any, y: Any, /, *indices: Any, index: Index) -> Any:
    """A copy of `x` with `x[index] = y`: `y` broadcasts, and takes the dtype of `x`.

    Where an element is named more than once the last value stays, as in NumPy, and its giver gets the gradient.

    >>> import backlit as bl
    >>> bl.index_update(bl.zeros(4), slice(1, 3), bl.tensor([5.0, 7.0]))
    tensor([0., 5., 7., 0.], dtype=float32)
    """
    out = np.array(x, order="C")
    try:
        if index.distinct:
            out[index.at(indices)] = y
        else:
            where = positions(out.shape, index, indices)
            out.reshape(-1)[where.reshape(-1)] = np.broadcast_to(y, where.shape).reshape(-1)
    except IndexError:
        check_arrays("x[index] = y", out.shape, Filled(index, indices))
        raise
    return out


@op(
    prepare=lambda *indices, index, shape: (indices, {"index": index, "shape": shape}),
    infer=lambda *indices, index, shape: Spec(index.shape(shape, [i.shape for i in indices]), bool_),
    nondiff="the answer is yes or no", result="boolean", namespace="hidden", promotes=(),
    samples=lambda rng: [((np.array([0, 2, 0]),), {"index": Index((ARRAY,)), "shape": (3, 2)})],
)  # fmt: skip
def winners(*indices: Any, index: Index, shape: Shape) -> Any:
    """Which of the values written at `index` stay, where later ones overwrite earlier ones."""
    where = positions(shape, index, indices)
    order = np.arange(where.size)
    last = np.zeros(int(np.prod(shape)), np.int64)
    last[where.reshape(-1)] = order
    return last[where] == order.reshape(where.shape)


def _add_params(x: Any, index: Any, y: Any, /) -> Any:
    return _write_params(x, index, y, "index_add")


def _add_transpose(g: Any, x: Any, y: Any, *indices: Any, index: Index) -> Any:
    return (g, getitem(g, Filled(index, indices)), *(None for _ in indices))


@op(
    prepare=_add_params, infer=lambda x, y, *indices, index: Spec(x.shape, x.dtype), saves="indices",
    promotes=(), dtypes="numeric", traits="jointly_linear", transpose=_add_transpose, samples=_update_cases,
)  # fmt: skip
def index_add(x: Any, y: Any, /, *indices: Any, index: Index) -> Any:
    """A copy of `x` with `y` added at `index`; where an element is named more than once, all of it is added up.

    >>> import backlit as bl
    >>> bl.index_add(bl.zeros(3), [0, 0, 2], bl.tensor([1.0, 2.0, 4.0]))
    tensor([3., 0., 4.], dtype=float32)
    """
    out = np.array(x, order="C")
    try:
        add_at(out, index, indices, y)
    except IndexError:
        check_arrays("index_add", out.shape, Filled(index, indices))
        raise
    return out


# --- along one axis --------------------------------------------------------------------------------


def _index_input(indices: Any, where: str) -> Any:
    indices = operand(indices)
    if indices.dtype.char not in INTEGER:
        raise DtypeError(f"{where}: indices must be integers, got {indices.dtype.name}; use .astype(bl.int64).")
    return indices if indices.dtype != np.uint64 else astype(indices, np.dtype(np.int64))


def _take_params(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    x = operand(x)
    if axis is None and x.ndim != 1:
        raise ShapeError(f"take: with {x.ndim} dimensions axis= must be given; only for one it has a default.")
    return (x, _index_input(indices, "take")), {"axis": as_axis(axis or 0, x.ndim, "take")}


def _take_rule(x: Any, indices: Any, *, axis: int) -> Spec:
    return Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


def _take_transpose(g: Any, x: Any, indices: Any, *, axis: int) -> Any:
    return (place(g, indices, index=Index((*(Cut(),) * axis, ARRAY)), shape=x.shape), None)


def _take_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(4, 3))
    return [((x[:, 0], np.array([3, 0, 0])), {}), ((x, np.array([[1, -1], [0, 1]])), {"axis": 1})]


@op(
    prepare=_take_params, infer=_take_rule, saves="indices", promotes=(), traits="jointly_linear", onnx="Gather",
    transpose=_take_transpose, array_api=True, samples=_take_cases,
)  # fmt: skip
def take(x: Any, indices: Any, /, *, axis: int) -> Any:
    """The slices of `x` along `axis` at `indices`, whose own axes take the place of that one."""
    try:
        return np.take(x, indices, axis=axis)
    except IndexError:
        check_arrays("take", x.shape, Filled(Index((*(Cut(),) * axis, ARRAY)), (indices,)))
        raise


def _window_params(x: Any, start: Any, /, size: int, axis: int = 0) -> Any:
    x, start = operand(x), _index_input(start, "dynamic_slice")
    axis = as_axis(axis, x.ndim, "dynamic_slice")
    size = as_index(size, "size", "dynamic_slice")
    n = x.shape[axis]
    if start.shape != ():
        raise ShapeError(f"dynamic_slice: start must be one integer, got shape {start.shape}; one for axis {axis}.")
    if size < 0 or (n is not None and size > n):
        raise ShapeError(f"dynamic_slice: size must be from 0 to {n}, the size of axis {axis}, got {size}.")
    return (x, start), {"size": size, "axis": axis}


def _window(x: Any, start: Any, size: int, axis: int) -> Any:
    """The index of a window, within `x`."""
    last = x.shape[axis] - size
    if not 0 <= start <= last:
        raise IndexRangeError(
            f"dynamic_slice: start {start} is out of range: a slice of size {size} of axis {axis}, of size "
            f"{x.shape[axis]}, may start from 0 to {last}."
        )
    return (*(slice(None),) * axis, slice(int(start), int(start) + size))


def _window_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(4, 3))
    return [((x, np.array(1), 2), {}), ((x, np.array(2), 1, 1), {}), ((x[0], np.array(0), 3), {})]


@movement(
    prepare=_window_params, saves="start", promotes=(), traits="jointly_linear", samples=_window_cases,
    infer=lambda x, start, *, size, axis: Spec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype),
    transpose=(lambda g, x, start, *, size, axis: dynamic_place(g, start, axis=axis, length=x.shape[axis]), None),
)  # fmt: skip
def dynamic_slice(x: Any, start: Any, /, *, size: int, axis: int) -> Any:
    """`size` elements of `x` along `axis` from `start` on, which may be computed: `x[start : start + size]`.

    In a graph without values the ends of an ordinary slice must be numbers, since they decide the shape; here the
    size is a number and the start may be any integer of the graph, such as the counter of a loop. A start
    below 0 or beyond `x.shape[axis] - size` is an error, in every mode: it is not counted from the end, nor moved.

    >>> import backlit as bl
    >>> bl.fori_loop(0, 3, lambda i, total: total + bl.dynamic_slice(bl.arange(6), i * 2, 2), bl.tensor([0, 0]))
    tensor([6, 9], dtype=int64)
    """
    return x[_window(x, start, size, axis)]


@op(
    prepare=lambda y, start, /, *, axis, length: ((y, start), {"axis": axis, "length": length}), saves="start",
    infer=lambda y, start, *, axis, length: Spec((*y.shape[:axis], length, *y.shape[axis + 1 :]), y.dtype),
    promotes=(), traits="jointly_linear", namespace="hidden",
    transpose=(lambda g, y, start, *, axis, length: dynamic_slice(g, start, y.shape[axis], axis), None),
    samples=lambda rng: [((rng.normal(size=(2, 3)), np.array(1)), {"axis": 0, "length": 4})],
)  # fmt: skip
def dynamic_place(y: Any, start: Any, /, *, axis: int, length: int) -> Any:
    """Zeros with `y` from `start` on along `axis`, whose size is `length`: the transpose of reading there."""
    out = np.zeros((*y.shape[:axis], length, *y.shape[axis + 1 :]), y.dtype)
    out[_window(out, start, y.shape[axis], axis)] = y
    return out


def _along(x: Any, indices: Any, axis: int, where: str) -> tuple[Any, ...]:
    """The index by which element i of `indices` along `axis` names x[..., i, ...] there."""
    axis = as_axis(axis, x.ndim, where)
    if indices.ndim != x.ndim:
        raise ShapeError(f"{where}: indices have {indices.ndim} dimension(s), x has {x.ndim}; they must be equal.")
    return tuple(
        indices if a == axis else np.arange(n).reshape(-1, *(1,) * (x.ndim - a - 1)) for a, n in enumerate(x.shape)
    )


def _along_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(3, 4))
    return [((x, np.array([[0, 0], [3, 1], [2, -1]])), {"axis": 1}), ((x, np.array([[1, 0, 2, 1]])), {"axis": 0})]


@composite(array_api=True, samples=_along_cases)
def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """`x[..., indices[..., i, ...], ...]`: each line of `x` along `axis` read at the indices of the same line.

    With what `argsort` returns it sorts; with labels of shape (N, 1) it picks the score of each row's label.
    """
    x, indices = operand(x), _index_input(indices, "take_along_axis")
    return getitem(x, _along(x, indices, axis, "take_along_axis"))


def _put_cases(rng: Any) -> list[Any]:
    return [((*args, rng.normal(size=args[1].shape)), kw) for args, kw in _along_cases(rng)]


@composite(samples=_put_cases)
def put_along_axis(x: Any, indices: Any, values: Any, /, *, axis: int = -1) -> Any:
    """A copy of `x` with `values` written where `take_along_axis` would read; of equal indices the last wins."""
    x, indices = operand(x), _index_input(indices, "put_along_axis")
    return index_update(x, _along(x, indices, axis, "put_along_axis"), values)
