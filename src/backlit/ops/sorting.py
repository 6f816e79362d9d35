"""Sorting, searching, and differences of neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import int64
from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axis, as_index
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .index import take, take_along_axis
from .joining import along, concat
from .movement import broadcast_to
from .operands import operand

_POSITION = "a position is an integer, constant wherever it does not jump"


def _order_params(name: str) -> Any:
    def prepare(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        x = operand(x)
        if not x.ndim:
            raise ShapeError(f"{name}: a single number has no axis to sort along.")
        return (x,), {
            "axis": as_axis(axis, x.ndim, name), "descending": bool(descending), "stable": bool(stable),
        }  # fmt: skip

    return prepare


def _distinct(rng: Any, *shape: int) -> Any:
    """Numbers in random order that are at least 0.1 apart, so that a small step changes no order."""
    n = int(np.prod(shape))
    return (rng.permutation(n) * 0.25 + rng.uniform(0, 0.15, n) - 1).reshape(shape)


def _order_cases(rng: Any) -> list[Any]:
    return [((_distinct(rng, 6),), {}), ((_distinct(rng, 3, 4),), {"axis": 0, "descending": True, "stable": False})]


def _sort_vjp(g: Any, out: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    """What came to place i from place order[i] goes back there."""
    order = argsort(x, axis=axis, descending=descending)
    return (take_along_axis(g, argsort(order, axis=axis), axis=axis),)


@op(
    prepare=_order_params("sort"), infer=lambda x, *, axis, descending, stable: Spec(x.shape, x.dtype), saves="x",
    dtypes="real numeric", vjp=_sort_vjp, array_api=True, samples=_order_cases,
)  # fmt: skip
def sort(x: Any, /, *, axis: int, descending: bool, stable: bool) -> Any:
    """The elements along `axis` in ascending or descending order; NaN counts as the largest."""
    out = np.sort(x, axis=axis, stable=stable)
    return np.flip(out, axis) if descending else out


@op(
    prepare=_order_params("argsort"), infer=lambda x, *, axis, descending, stable: Spec(x.shape, int64),
    nondiff=_POSITION, dtypes="real numeric", array_api=True, samples=_order_cases,
)  # fmt: skip
def argsort(x: Any, /, *, axis: int, descending: bool, stable: bool) -> Any:
    """The positions (int64) that bring the elements along `axis` into order; `stable` keeps that of equal ones."""
    if not descending:
        return np.argsort(x, axis=axis, stable=stable)
    # Sorted backward from the end, so that equal ones keep their order.
    return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, stable=stable), axis)


class TopK(NamedTuple):
    """What `top_k` returns."""

    values: Any
    indices: Any


def _top_params(x: Any, k: int, /, *, axis: int = -1, largest: bool = True) -> Any:
    x = operand(x)
    axis = as_axis(axis, x.ndim, "top_k")
    count = as_index(k, "k", "top_k")
    if not 0 <= count <= x.shape[axis]:
        raise ArgumentError(f"top_k: k must be 0 to {x.shape[axis]}, the size of axis {axis}, got {count}.")
    return (x,), {"k": count, "axis": axis, "largest": bool(largest)}


def _top_cases(rng: Any) -> list[Any]:
    return [((_distinct(rng, 3, 5), 2), {}), ((_distinct(rng, 4, 2), 3), {"axis": 0, "largest": False})]


@op(
    prepare=_top_params, nondiff=_POSITION, dtypes="real numeric", namespace="hidden", samples=_top_cases,
    infer=lambda x, *, k, axis, largest: Spec((*x.shape[:axis], k, *x.shape[axis + 1 :]), int64),
)  # fmt: skip
def top_positions(x: Any, /, *, k: int, axis: int, largest: bool) -> Any:
    """The positions of the `k` largest or smallest elements along `axis`, in order."""
    n = x.shape[axis]
    part = along(axis, slice(n - k, None) if largest else slice(0, k))
    found = np.argpartition(x, n - k if largest else k - 1, axis=axis)[part] if 0 < k < n else None
    if found is None:
        found = np.argsort(x, axis=axis)[part]
    order = np.argsort(np.take_along_axis(x, found, axis), axis=axis, stable=True)
    return np.take_along_axis(found, np.flip(order, axis) if largest else order, axis)


@composite(onnx="TopK", dtypes="real numeric", samples=_top_cases)
def top_k(x: Any, k: int, /, *, axis: int = -1, largest: bool = True) -> Any:
    """The `k` largest (or smallest) elements along `axis`, in order, and where they stand: (values, indices).

    >>> import backlit as bl
    >>> bl.top_k(bl.tensor([3, 9, 5]), 2)
    TopK(values=tensor([9, 5], dtype=int64), indices=tensor([1, 2], dtype=int64))
    """
    x = operand(x)
    found = top_positions(x, k, axis=axis, largest=largest)
    return TopK(take_along_axis(x, found, axis=axis), found)


def _search_params(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side must be 'left' or 'right', got {side!r}.")
    x1, x2 = operand(x1), operand(x2)
    if x1.ndim != 1:
        raise ShapeError(f"searchsorted: x1 must have one dimension, got shape {x1.shape}.")
    return (x1 if sorter is None else take(x1, sorter), x2), {"side": side}


@op(
    prepare=_search_params, infer=lambda x1, x2, *, side: Spec(x2.shape, int64), nondiff=_POSITION,
    dtypes="real numeric", array_api=True,
    samples=lambda rng: [
        ((np.arange(5.0), rng.uniform(-1, 6, (2, 3))), {}), ((np.arange(5.0), np.array([1.0, 2.5])), {"side": "right"}),
    ],
)  # fmt: skip
def searchsorted(x1: Any, x2: Any, /, *, side: Any) -> Any:
    """Where (int64) each of `x2` would be inserted into the ascending `x1`, before equal ones or after."""
    return np.searchsorted(x1, x2, side)


@composite(array_api=True, samples=lambda rng: [
    ((rng.normal(size=6),), {}), ((rng.normal(size=(3, 4)),), {"axis": 0, "n": 2}),
    ((rng.normal(size=(2, 3)),), {"prepend": rng.normal(size=(2, 1)), "append": rng.normal(size=(2, 2))}),
])  # fmt: skip
def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along `axis`, `n` times over; `prepend` and `append` are put at the ends first."""
    x = operand(x)
    axis = as_axis(axis, x.ndim, "diff")
    if as_index(n, "n", "diff") < 0:
        raise ArgumentError(f"diff: n must be 0 or more, got {n}.")
    if n == 0:
        return x
    ends = [None if e is None else _end(e, x, axis) for e in (prepend, append)]
    x = concat([part for part in (ends[0], x, ends[1]) if part is not None], axis=axis)
    for _ in range(n):
        later, earlier = x[along(axis, slice(1, None))], x[along(axis, slice(None, -1))]
        x = later != earlier if x.dtype.char == "?" else later - earlier
    return x


def _end(end: Any, x: Any, axis: int) -> Any:
    """A number put before or after every line, or an array as it is."""
    end = operand(end)
    return end if end.ndim else broadcast_to(end, tuple(1 if i == axis else s for i, s in enumerate(x.shape)))


def _nonzero_params(x: Any, /) -> Any:
    x = operand(x)
    if not x.ndim:
        raise ShapeError("nonzero: a single number has no positions; compare it with 0.")
    return (x,), {}


@op(
    prepare=_nonzero_params, nondiff=_POSITION, traits="eager_only", results=tuple, onnx="NonZero", array_api=True,
    samples=lambda rng: [((np.array([[1.0, 0.0], [0.0, 2.0]]),), {})],
)  # fmt: skip
def nonzero(x: Any, /) -> Any:
    """The positions of the elements that are not zero: a tuple of int64, one for each axis."""
    return np.nonzero(x)
