"""Putting arrays together and taking them apart along an axis: concat, stack, unstack, split, repeat."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axis, as_index, size_of
from ..graph.op import composite
from ..graph.opdef import Spec
from ..graph.tensor import SIZE_KNOWN, no_value
from .index import take
from .movement import broadcast_to, expand_dims, movement, reshape
from .operands import integers, operand


def along(axis: int, item: Any) -> tuple[Any, ...]:
    """The index that applies `item` to one axis, counted from the front."""
    return (*(slice(None),) * axis, item)


def _several(arrays: Any, where: str) -> tuple[Any, ...]:
    found = tuple(operand(a) for a in arrays)
    if not found:
        raise ArgumentError(f"{where}: expected one array or more, got none.")
    return found


def _concat_params(arrays: Any, /, *, axis: int | None = 0) -> Any:
    found = _several(arrays, "concat")
    if axis is None:
        return tuple(reshape(a, (-1,)) for a in found), {"axis": 0}
    return found, {"axis": as_axis(axis, found[0].ndim, "concat")}


def _concat_rule(*arrays: Any, axis: int) -> Spec:
    first = arrays[0]
    for i, a in enumerate(arrays):
        if a.shape[:axis] + a.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ShapeError(
                f"concat: array {i} has shape {a.shape}, array 0 {first.shape}; all sizes but that of axis {axis} "
                "must be equal."
            )
    return Spec((*first.shape[:axis], sum(a.shape[axis] for a in arrays), *first.shape[axis + 1 :]), first.dtype)


def _concat_transpose(g: Any, *arrays: Any, axis: int) -> Any:
    ends = np.cumsum([0, *(a.shape[axis] for a in arrays)]).tolist()
    return tuple(g[along(axis, slice(a, b))] for a, b in pairwise(ends))


@movement(
    prepare=_concat_params, infer=_concat_rule, saves="", traits="jointly_linear", transpose=_concat_transpose,
    onnx="Concat", array_api=True,
    samples=lambda rng: [
        (([rng.normal(size=(2, 3)), rng.normal(size=(1, 3))],), {}),
        (([rng.normal(size=(2, 1)), rng.normal(size=(2, 2))],), {"axis": -1}),
        (([rng.normal(size=(2, 1)), rng.normal(size=3)],), {"axis": None}),
    ],
)  # fmt: skip
def concat(*arrays: Any, axis: int) -> Any:
    """The arrays one after the other along an axis that they have; flattened first where `axis` is None.

    >>> import backlit as bl
    >>> bl.concat([bl.tensor([1, 2]), bl.tensor([3])])
    tensor([1, 2, 3], dtype=int64)
    """
    return np.concatenate(arrays, axis=axis)


def _stack_params(arrays: Any, /, *, axis: int = 0) -> Any:
    found = _several(arrays, "stack")
    _stack_rule(*found, axis=0)
    return found, {"axis": as_axis(axis, found[0].ndim + 1, "stack")}


def _stack_rule(*arrays: Any, axis: int) -> Spec:
    shape = arrays[0].shape
    for i, a in enumerate(arrays):
        if a.shape != shape:
            raise ShapeError(f"stack: array {i} has shape {a.shape}, array 0 {shape}; they must be equal.")
    return Spec((*shape[:axis], len(arrays), *shape[axis:]), arrays[0].dtype)


@movement(
    prepare=_stack_params, infer=_stack_rule, saves="", traits="jointly_linear", array_api=True,
    transpose=lambda g, *arrays, axis: tuple(g[along(axis, i)] for i in range(len(arrays))),
    samples=lambda rng: [(([rng.normal(size=(2, 3)) for _ in range(3)],), {"axis": a}) for a in (0, 1, -1)],
)  # fmt: skip
def stack(*arrays: Any, axis: int) -> Any:
    """Arrays of one shape side by side along a new axis.

    >>> import backlit as bl
    >>> bl.stack([bl.tensor([1, 2]), bl.tensor([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]], dtype=int64)
    """
    return np.stack(arrays, axis=axis)


def _unstack_params(x: Any, /, *, axis: int = 0) -> Any:
    x = operand(x)
    return (x,), {"axis": as_axis(axis, x.ndim, "unstack")}


def _unstack_rule(x: Any, *, axis: int) -> Any:
    return (Spec(x.shape[:axis] + x.shape[axis + 1 :], x.dtype),) * x.shape[axis]


@movement(
    prepare=_unstack_params, infer=_unstack_rule, saves="", traits="jointly_linear", array_api=True, results=tuple,
    transpose=lambda gs, x, *, axis: (stack(gs, axis=axis),),
    samples=lambda rng: [((rng.normal(size=(2, 3)),), {}), ((rng.normal(size=(2, 3)),), {"axis": 1})],
)  # fmt: skip
def unstack(x: Any, /, *, axis: int) -> Any:
    """The slices of `x` along `axis`, as a tuple: the opposite of `stack`."""
    return tuple(x[along(axis, i)] for i in range(x.shape[axis]))


def _split_params(x: Any, parts: Any, /, *, axis: int = 0) -> Any:
    x = operand(x)
    axis = as_axis(axis, x.ndim, "split")
    n = x.shape[axis]
    if isinstance(parts, (tuple, list)):
        cuts = integers(parts, "a place to cut", "split")
        if n is not None:
            cuts = tuple(slice(c).indices(n)[1] for c in cuts)
        if any(c < 0 for c in cuts) or list(cuts) != sorted(cuts):
            raise ArgumentError(f"split: the places to cut must ascend, got {parts}.")
        return (x,), {"cuts": cuts, "axis": axis}
    count = as_index(parts, "parts", "split")
    if n is None or count < 1 or n % count:
        raise ShapeError(
            f"split: axis {axis} of size {n} cannot be cut into {count} equal parts; give the places to cut as a list."
        )
    return (x,), {"cuts": tuple(i * (n // count) for i in range(1, count)), "axis": axis}


def _pieces(cuts: tuple[int, ...]) -> list[slice]:
    return [slice(a, b) for a, b in zip((0, *cuts), (*cuts, None), strict=True)]


def _split_rule(x: Any, *, cuts: tuple[int, ...], axis: int) -> Any:
    n = x.shape[axis]
    sizes = [len(range(*piece.indices(n))) for piece in _pieces(cuts)]
    return tuple(Spec((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in sizes)


@movement(
    prepare=_split_params, infer=_split_rule, saves="", traits="jointly_linear", onnx="Split", results=tuple,
    transpose=lambda gs, x, *, cuts, axis: (concat(gs, axis=axis),),
    samples=lambda rng: [((rng.normal(size=(4, 3)), 2), {}), ((rng.normal(size=(2, 5)), [1, 3]), {"axis": 1})],
)  # fmt: skip
def split(x: Any, /, *, cuts: tuple[int, ...], axis: int) -> Any:
    """`x` cut along `axis` into a number of equal parts, or before each of the places listed; a tuple.

    >>> import backlit as bl
    >>> bl.split(bl.arange(5), [2])
    (tensor([0, 1], dtype=int64), tensor([2, 3, 4], dtype=int64))
    """
    return tuple(x[along(axis, piece)] for piece in _pieces(cuts))


def _repeat_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(2, 3))
    return [((x, 2), {}), ((x, 2), {"axis": 1}), ((x, np.array([2, 0, 1])), {"axis": -1})]


@composite(array_api=True, samples=_repeat_cases)
def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element (or slice along `axis`) several times in a row; `repeats` is a number, or one for each."""
    x, times = operand(x), operand(repeats)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = as_axis(axis, x.ndim, "repeat")
    if getattr(times, "value", times) is None:
        raise no_value(times._node, "repeat: its shape depends on values", SIZE_KNOWN)
    if times.dtype.kind not in "iu" or (np.asarray(times) < 0).any():
        raise ArgumentError(f"repeat: repeats must be integers of 0 or more, got {times!r}.")
    n = x.shape[axis]
    if times.size == 1:
        count = int(np.asarray(times).reshape(()))
        apart = expand_dims(x, axis=axis + 1)
        spread = broadcast_to(apart, (*x.shape[: axis + 1], count, *x.shape[axis + 1 :]))
        return reshape(spread, (*x.shape[:axis], n * count, *x.shape[axis + 1 :]))
    if times.shape != (n,):
        raise ShapeError(f"repeat: {size_of(times.shape)} numbers of repeats for axis {axis} of size {n}.")
    return take(x, np.repeat(np.arange(n), np.asarray(times)), axis=axis)
