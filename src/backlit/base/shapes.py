"""Shapes, axes and broadcasting, with errors that show the shapes aligned."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import ArgumentError, ShapeError

Shape = tuple[int, ...]


def broadcast(*shapes: Shape, where: str = "broadcasting") -> Shape:
    """The shape that `shapes` broadcast to (Array API standard, 'Broadcasting').

    >>> broadcast((3, 1), (4,))
    (3, 4)
    """
    result = shapes[0] if shapes else ()
    for shape in shapes[1:]:
        if shape == result:
            continue
        if len(shape) > len(result):
            shape, result = result, shape
        shape = (1,) * (len(result) - len(shape)) + shape
        merged: list[int] = []
        for a, b in zip(result, shape, strict=True):
            if a != b and a != 1 and b != 1:
                raise ShapeError(
                    f"{where}: shapes {' and '.join(map(str, shapes))} do not broadcast: {a} meets {b}. "
                    "Aligned at the right, two sizes must be equal or one of them 1; reshape or expand one of them."
                )
            merged.append(b if a == 1 else a)
        result = tuple(merged)
    return result


def as_index(value: Any, name: str, where: str) -> int:
    """`value` as an int, where anything with `__index__` will do."""
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{where}: {name} must be an integer, got {value!r} ({type(value).__name__}).") from None


def as_axis(axis: Any, ndim: int, where: str) -> int:
    """`axis` counted from the front; negative ones count from the end."""
    found = as_index(axis, "axis", where)
    if not -ndim <= found < ndim:
        legal = f"-{ndim} to {ndim - 1}" if ndim else "none: the array has no axes"
        raise ShapeError(f"{where}: axis {found} is out of range for {ndim} dimension(s); legal axes are {legal}.")
    return found + ndim if found < 0 else found


def as_axes(axis: Any, ndim: int, where: str) -> tuple[int, ...]:
    """`axis` (None, an int or several) as a sorted tuple of different axes; None means all."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, Iterable) and not isinstance(axis, str):
        axes = tuple(sorted(as_axis(a, ndim, where) for a in axis))
        if len(set(axes)) != len(axes):
            raise ShapeError(f"{where}: axis {tuple(axis)} names an axis twice; name each once.")
        return axes
    return (as_axis(axis, ndim, where),)


def as_shape(shape: Any, where: str) -> Shape:
    """`shape` (an int or several) as a tuple of non-negative ints."""
    sizes = tuple(as_index(s, "a size", where) for s in (shape if isinstance(shape, Iterable) else (shape,)))
    if any(s < 0 for s in sizes):
        raise ShapeError(f"{where}: shape {sizes} has a negative size; sizes are 0 or more.")
    return sizes


def reduced(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """`shape` after a reduction over `axes`."""
    if keepdims:
        return tuple(1 if i in axes else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in axes)


def size_of(shape: Shape) -> int:
    """The number of elements of an array of this shape."""
    n = 1
    for s in shape:
        n *= s
    return n
