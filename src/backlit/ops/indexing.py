"""What an index means: its canonical form, its shape rule, and the positions it names."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import BOOL, INTEGER, int64
from ..base.errors import DtypeError, IndexRangeError, ShapeError, shown
from ..base.shapes import Shape, broadcast
from ..graph.tensor import Tensor, as_value, no_value
from .movement import astype

#: Stands in an `Index` for an array, which is an input of the op.
ARRAY = "#"


class Cut(NamedTuple):
    """A slice, hashable also where slices are not (Python 3.11)."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def __repr__(self) -> str:
        ends = ["" if v is None else str(v) for v in self]
        return ":".join(ends if ends[2] else ends[:2])


class Truth(NamedTuple):
    """A single True or False in an index: a new axis of size 1 or 0."""

    value: bool


class Index:
    """The static part of an index: ints, slices, new axes and `...`, with places for the arrays.

    Attributes:
        parts: one entry for each item of the index.
        distinct: is every element named at most once? Known of slices and masks, unknown of arrays of integers.
        arrays: how many arrays it takes.
    """

    __slots__ = ("arrays", "distinct", "key", "parts")

    def __init__(self, parts: Sequence[Any], distinct: bool = False) -> None:
        self.parts = tuple(parts)
        self.arrays = self.parts.count(ARRAY)
        self.distinct = distinct or not self.arrays
        #: The index as NumPy takes it.
        self.key = tuple(
            slice(*p) if isinstance(p, Cut) else p.value if isinstance(p, Truth) else p for p in self.parts
        )

    def at(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The index as NumPy takes it, with the arrays put in their places."""
        if not self.arrays:
            return self.key
        rest = iter(arrays)
        return tuple(next(rest) if p is ARRAY else k for p, k in zip(self.parts, self.key, strict=True))

    def shape(self, shape: Shape, arrays: Sequence[Shape]) -> Shape:
        """The shape of `x[index]` for an `x` of this shape (NumPy manual, 'Advanced indexing')."""
        parts = list(self.parts)
        taken = len(parts) - sum(1 for p in parts if p is None or p is Ellipsis or isinstance(p, Truth))
        rest = [Cut()] * (len(shape) - taken)
        gap = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
        advanced = self.arrays > 0 or any(isinstance(p, Truth) for p in parts)
        places: list[int] = []
        out: list[int] = []
        found: list[Shape] = []
        shapes, sizes = iter(arrays), iter(shape)
        start = 0
        for i, p in enumerate([*parts[:gap], *rest, *parts[gap + 1 :]]):
            if p is None:
                out.append(1)
            elif isinstance(p, Cut):
                out.append(len(range(*slice(*p).indices(next(sizes)))))
            elif isinstance(p, Truth) or p is ARRAY or advanced:
                if not isinstance(p, Truth):
                    next(sizes)
                found.append((int(p.value),) if isinstance(p, Truth) else next(shapes) if p is ARRAY else ())
                start = len(out) if not places else start
                places.append(i)
            else:
                next(sizes)
        if not advanced:
            return tuple(out)
        adjacent = places[-1] - places[0] == len(places) - 1 and not self._split_by_ellipsis()
        start = start if adjacent else 0
        return (*out[:start], *broadcast(*found, where="index arrays"), *out[start:])

    def _split_by_ellipsis(self) -> bool:
        """Does a `...` that stands for no axes part the arrays? It parts them all the same."""
        if Ellipsis not in self.parts:
            return False
        gap = self.parts.index(Ellipsis)

        def is_advanced(p: Any) -> bool:
            return p is not None and not isinstance(p, Cut)

        return any(map(is_advanced, self.parts[:gap])) and any(map(is_advanced, self.parts[gap + 1 :]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self.parts == other.parts and self.distinct == other.distinct

    def __hash__(self) -> int:
        return hash((self.parts, self.distinct))

    def __repr__(self) -> str:
        names = {None: "None", Ellipsis: "...", ARRAY: ARRAY}
        parts = [str(p.value) if isinstance(p, Truth) else names.get(p, repr(p)) for p in self.parts]
        return f"[{', '.join(parts)}]"


class Filled:
    """An index in canonical form together with its arrays: what derivative rules index with."""

    __slots__ = ("arrays", "index")

    def __init__(self, index: Index, arrays: Sequence[Any] = ()) -> None:
        self.index, self.arrays = index, tuple(arrays)


@lru_cache(maxsize=1024)
def simple(part: int | Cut) -> Filled:
    """The index that is one int or slice: most indices are, and come again."""
    return Filled(Index((part,)))


def parse(x: Any, index: Any, where: str, *, masks: bool = False) -> Filled:
    """Any NumPy index of `x` in canonical form: a mask becomes the positions where it is true.

    Where `masks`, a mask without a value yet may stay a mask.
    """
    if isinstance(index, Filled):
        return index
    if index.__class__ is int and x.shape:
        _check_range(index, 0, x.shape, where)
        return simple(index)
    if index.__class__ is slice and x.shape:
        return simple(_cut(index, where))
    items = index if isinstance(index, tuple) else (index,)
    if sum(1 for i in items if i is Ellipsis) > 1:
        raise ShapeError(f"{where}: an index may hold one '...', got {shown(index)}.")
    taken = sum(map(_axes_taken, items))
    if taken > len(x.shape):
        raise IndexRangeError(f"{where}: {taken} indices for {len(x.shape)} dimension(s) of shape {x.shape}.")
    parts: list[Any] = []
    arrays: list[Any] = []
    distinct = True
    axis = 0
    for item in items:
        if item is Ellipsis:
            parts.append(item)
            axis += len(x.shape) - taken
            continue
        if item is None:
            parts.append(None)
            continue
        if isinstance(item, slice):
            parts.append(_cut(item, where))
            axis += 1
            continue
        if isinstance(item, (bool, np.bool_)):
            parts.append(Truth(bool(item)))
            continue
        found = _integer(item)
        if found is not None:
            _check_range(found, axis, x.shape, where)
            parts.append(found)
            axis += 1
            continue
        array = _array(item, where)
        width = _axes_taken(array)
        if array.dtype.char == BOOL:
            _check_mask(array, axis, x.shape, where)
            known = array.value if isinstance(array, Tensor) else array
            if known is None and not masks:
                asked = f"{where} with a mask: its shape depends on values"
                raise no_value(array._node, asked, "Use bl.where(mask, x, 0) and reduce, or index outside")
            found_arrays = (array,) if known is None else np.nonzero(known) if width else ()
            parts.extend([ARRAY] * len(found_arrays) if width else [Truth(bool(known))])
            arrays.extend(found_arrays)
        else:
            distinct = False
            parts.append(ARRAY)
            arrays.append(array)
        axis += width
    return Filled(Index(parts, distinct), arrays)


def _axes_taken(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    if isinstance(item, (list, tuple)):
        item = np.asarray(as_value(item))
    return item.ndim if getattr(item, "dtype", None) == np.bool_ else 1


def _cut(item: slice, where: str) -> Cut:
    for v in (item.start, item.stop, item.step):
        if isinstance(v, Tensor) and v.value is None:
            asked = f"{where} with a slice: its shape depends on values"
            raise no_value(v._node, asked, "Use bl.dynamic_slice(x, start, size), whose size is a number")
    try:
        cut = Cut(*(None if v is None else operator.index(v) for v in (item.start, item.stop, item.step)))
    except TypeError:
        raise DtypeError(f"{where}: a slice takes integers or None, got {item}.") from None
    if cut.step == 0:
        raise ShapeError(f"{where}: the step of a slice must not be 0, got {item}.")
    return cut


def _integer(item: Any) -> int | None:
    """The value of a single integer, None for anything else (and for a Tensor without a value)."""
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, (np.ndarray, Tensor)):
        if len(item.shape) or item.dtype.char not in INTEGER or (isinstance(item, Tensor) and item.value is None):
            return None
        return int(item)
    if isinstance(item, (list, tuple, np.generic)) or not hasattr(item, "__index__"):
        return None
    return operator.index(item)


def _array(item: Any, where: str) -> Any:
    array = item if isinstance(item, (Tensor, np.ndarray, np.generic)) else np.asarray(as_value(item))
    if array.size == 0 and isinstance(item, (list, tuple)):
        array = array.astype(np.int64)
    if array.dtype.char not in BOOL + INTEGER:
        raise DtypeError(
            f"{where}: an index must be made of integers, booleans, slices, None or '...', got {shown(item, 40)} "
            f"of dtype {array.dtype.name}; convert with .astype(bl.int64)."
        )
    return array if array.dtype != np.uint64 else astype(array, int64)


def _check_range(found: int, axis: int, shape: Shape, where: str) -> None:
    n = shape[axis]
    if n is not None and not -n <= found < n:
        raise out_of_range(where, found, axis, n)


def out_of_range(where: str, found: int, axis: int, size: int) -> IndexRangeError:
    """The error for an index beyond the end."""
    legal = f"legal are -{size} to {size - 1}" if size else "it has no elements"
    return IndexRangeError(f"{where}: index {found} is out of range for axis {axis} of size {size}; {legal}.")


def _check_mask(mask: Any, axis: int, shape: Shape, where: str) -> None:
    beside = shape[axis : axis + len(mask.shape)]
    if any(None not in (m, n) and m != n for m, n in zip(mask.shape, beside, strict=True)):
        raise IndexRangeError(
            f"{where}: a mask of shape {mask.shape} does not fit axes {axis} to {axis + len(mask.shape) - 1} "
            f"of shape {shape}; a mask has the sizes of the axes it selects from."
        )


def check_arrays(where: str, shape: Shape, filled: Filled) -> None:
    """Raise the error that names the index, axis and size, once NumPy has found that one is out of range."""
    axis = 0
    rest = iter(filled.arrays)
    parts = filled.index.parts
    taken = sum(1 for p in parts if p is not None and p is not Ellipsis and not isinstance(p, Truth))
    for p in parts:
        if p is Ellipsis:
            axis += len(shape) - taken
        elif p is ARRAY:
            values = np.asarray(next(rest))
            n = shape[axis]
            wrong = values[(values < -n) | (values >= n)]
            if wrong.size:
                raise out_of_range(where, int(wrong.flat[0]), axis, n)
            axis += 1
        elif p is not None and not isinstance(p, Truth):
            axis += 1


def positions(shape: Shape, index: Index, arrays: Sequence[Any]) -> Any:
    """The positions in the flattened array that the index names, in the shape of `x[index]`; IndexError beyond it."""
    n = len(arrays)
    if index.parts == (ARRAY,) * n:
        rows: Any = 0
        for a, size in zip(arrays, shape, strict=False):
            if a.size and not (-size <= a.min() and a.max() < size):
                raise IndexError(f"an index is out of range for an axis of size {size}")
            rows = rows * size + np.where(a < 0, a + size, a)
        inner = 1
        for size in shape[n:]:
            inner *= size
        if inner == 1:
            return rows.reshape((*rows.shape, *shape[n:]))
        return (rows[..., None] * inner + np.arange(inner)).reshape((*rows.shape, *shape[n:]))
    size = 1
    for s in shape:
        size *= s
    return np.arange(size).reshape(shape)[index.at(arrays)]


def add_at(target: Any, index: Index, arrays: Sequence[Any], y: Any) -> None:
    """`target[index] += y`, adding up where an element is named more than once; `target` is contiguous."""
    if index.distinct:
        target[index.at(arrays)] += y
        return
    # One flat index array is ufunc.at's fast path: 4 times the speed of the same with rows.
    where = positions(target.shape, index, arrays)
    np.add.at(target.reshape(-1), where.reshape(-1), np.broadcast_to(y, where.shape).reshape(-1))
