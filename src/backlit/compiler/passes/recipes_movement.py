"""Recipes of movement, indexing and products: a few canonical forms take the place of many ops.

- Every basic index is a `getitem` with one slice of plain, positive numbers for each axis (`sliced`), after which
  come a `flip` where steps were negative and a `reshape` where axes go or come.
- An array of integers that picks along one axis is a `take`.
- Every product of matrices is a `matmul` of operands of two dimensions or more.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ...base.dtypes import INTEGER, int32
from ...base.shapes import Shape, size_of
from ...graph.opdef import OpDef
from ...graph.tensor import Tensor, wrap
from ...ops.arithmetic import multiply, positive, square
from ...ops.comparison import greater_equal, less_equal, where
from ...ops.complex import conj, real
from ...ops.contraction import matmul
from ...ops.control import stopped
from ...ops.creation import filled_like, tril, triu
from ...ops.einsum import _layout, einsum_one, einsum_pair, label_sizes
from ...ops.index import getitem, place, take
from ...ops.indexing import ARRAY, Cut, Filled, Index
from ...ops.joining import concat, split, stack, unstack
from ...ops.linalg import diagonal, from_diagonal
from ...ops.movement import (
    broadcast_to,
    copy,
    expand_dims,
    flip,
    matrix_transpose,
    permute_dims,
    reshape,
    roll,
    squeeze,
)  # fmt: skip
from ...ops.padding import pad_zeros
from ...ops.reduce import sum as sum_
from .recipes import Recipe
from .rewrite import made

#: Masks of more elements are no constants.
_LARGE = 4096


def _same(x: Any, **_: Any) -> Any:
    return x


def _real_only(x: Any) -> Any:
    return x if x.dtype.kind != "c" else None


# --- shapes ----------------------------------------------------------------------------------------


def _expand_dims(x: Any, *, axis: Any) -> Any:
    shape = list(x.shape)
    for a in axis:
        shape.insert(a, 1)
    return reshape(x, tuple(shape))


def _squeeze(x: Any, *, axis: Any) -> Any:
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axis))


def _matrix_transpose(x: Any) -> Any:
    n = x.ndim
    return permute_dims(x, (*range(n - 2), n - 1, n - 2))


def _filled_like(x: Any, *, value: Any, dtype: Any) -> Any:
    if not isinstance(x, Tensor):
        return None
    constant = np.full((), value, dtype)[()]
    return made(x._node, "broadcast_to", constant, shape=x.shape) if x.shape else constant


# --- basic indices ---------------------------------------------------------------------------------


def sliced(x: Any, starts: tuple[int, ...], stops: tuple[int, ...], steps: tuple[int, ...]) -> Any:
    """`x` between `starts` and `stops` in `steps` along each axis; all of `x` is `x` itself."""
    if all(a == 0 and b >= n and s == 1 for a, b, s, n in zip(starts, stops, steps, x.shape, strict=True)):
        return x
    return getitem(x, Filled(Index(tuple(map(Cut, starts, stops, steps)))))


def part(x: Any, axis: int, start: int, stop: int) -> Any:
    """`x` from `start` to `stop` along one axis."""
    ndim = len(x.shape)
    return sliced(
        x,
        tuple(start if i == axis else 0 for i in range(ndim)),
        tuple(stop if i == axis else n for i, n in enumerate(x.shape)),
        (1,) * ndim,
    )


def _basic(index: Index, shape: Shape) -> list[tuple[int, int, int, int]] | None:
    """For each axis the start, step and count of an index of ints and slices, and 0 where an int drops it; or None."""
    if index.arrays or not all(p is None or p is Ellipsis or isinstance(p, (int, Cut)) for p in index.parts):
        return None
    parts = [p for p in index.parts if p is not None]
    gap = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    ends = [*parts[:gap], *parts[gap + 1 :]]
    parts = [*parts[:gap], *[Cut()] * (len(shape) - len(ends)), *parts[gap + 1 :]]
    found = []
    for p, n in zip(parts, shape, strict=True):
        if isinstance(p, Cut):
            cut = range(*slice(*p).indices(n))
            found.append((cut.start, cut.step, len(cut), 1))
        else:
            found.append((p % n, 1, 1, 0))
    return found


def _getitem(x: Any, *indices: Any, index: Index) -> Any:
    basic = _basic(index, x.shape)
    if basic is None:
        return _taken(x, indices, index)
    out = index.shape(x.shape, [])
    if 0 in out:
        return None
    lows = [a if s > 0 else a + (n - 1) * s for a, s, n, _ in basic]
    steps = [abs(s) if n > 1 else 1 for _, s, n, _ in basic]
    stops = [a + (n - 1) * s + 1 for a, s, (_, _, n, _) in zip(lows, steps, basic, strict=True)]
    y = sliced(x, tuple(lows), tuple(stops), tuple(steps))
    back = tuple(i for i, (_, s, n, _) in enumerate(basic) if s < 0 and n > 1)
    y = flip(y, axis=back) if back else y
    return y if y.shape == out else reshape(y, out)


def _taken(x: Any, indices: Any, index: Index) -> Any:
    *front, last = index.parts or (None,)
    if last is ARRAY and all(p == Cut() for p in front) and indices[0].dtype.char in INTEGER:
        return take(x, indices[0], axis=len(front))
    return None


def _place(y: Any, *indices: Any, index: Index, shape: Shape) -> Any:
    basic = _basic(index, shape)
    if basic is None or 0 in y.shape or any(abs(s) > 1 and n > 1 for _, s, n, _ in basic):
        return None
    kept = tuple(n for _, _, n, _ in basic)
    y = y if y.shape == kept else reshape(y, kept)
    back = tuple(i for i, (_, s, n, _) in enumerate(basic) if s < 0 and n > 1)
    y = flip(y, axis=back) if back else y
    lows = [a if s > 0 else a + (n - 1) * s for a, s, n, _ in basic]
    pads = tuple((a, size - a - n) for a, n, size in zip(lows, kept, shape, strict=True))
    return pad_zeros(y, pads) if any(map(any, pads)) else y


# --- joining and taking apart ----------------------------------------------------------------------


def _stack(*arrays: Any, axis: int) -> Any:
    shape = arrays[0].shape
    return concat([reshape(a, (*shape[:axis], 1, *shape[axis:])) for a in arrays], axis=axis)


def _unstack(x: Any, *, axis: int) -> Any:
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    if 0 in x.shape:
        return None
    return tuple(reshape(part(x, axis, i, i + 1), shape) for i in range(x.shape[axis]))


def _split(x: Any, *, cuts: tuple[int, ...], axis: int) -> Any:
    n = x.shape[axis]
    return tuple(part(x, axis, min(a, n), min(b, n)) for a, b in pairwise((0, *cuts, n)))


def _roll(x: Any, *, shift: tuple[int, ...], axis: Any) -> Any:
    if 0 in x.shape:
        return None
    y = reshape(x, (size_of(x.shape),)) if axis is None else x
    for s, a in zip(shift, (0,) if axis is None else axis, strict=True):
        n = y.shape[a]
        cut = -s % n
        y = concat([part(y, a, cut, n), part(y, a, 0, cut)], axis=a) if cut else y
    return y if y.shape == x.shape else reshape(y, x.shape)


# --- matrices --------------------------------------------------------------------------------------


def _triangle(x: Any, k: int, lower: bool) -> Any:
    """A small mask is a constant; a large one is compared where it is used, which costs less than to load it."""
    rows, columns = (np.arange(n, dtype=int32) for n in x.shape[-2:])
    beside = less_equal if lower else greater_equal
    rows = rows[:, None] + int32.type(k)
    if size_of(x.shape[-2:]) > _LARGE and isinstance(x, Tensor):
        return where(wrap(None, made(x._node, beside, columns, rows)), x, x.dtype.type(0))
    return where(beside(columns, rows), x, x.dtype.type(0))


def _diagonal_cut(m: int, n: int, offset: int) -> tuple[int, int, int]:
    """Where the diagonal of an m x n matrix lies in its elements in a row: start, stop and step."""
    start = offset if offset >= 0 else -offset * n
    count = max(min(m + min(offset, 0), n - max(offset, 0)), 0)
    return start, start + max(count - 1, 0) * (n + 1) + 1, n + 1


def _diagonal(x: Any, *, offset: int) -> Any:
    *front, m, n = x.shape
    if 0 in x.shape or not -m < offset < n:
        return None
    start, stop, step = _diagonal_cut(m, n, offset)
    steps = (*[1] * len(front), step if stop - start > 1 else 1)
    return sliced(reshape(x, (*front, m * n)), (*(0,) * len(front), start), (*front, stop), steps)


def _from_diagonal(g: Any, *, size: tuple[int, int], offset: int) -> Any:
    front = g.shape[:-1]
    if 0 in g.shape:
        return None
    start, stop, step = _diagonal_cut(*size, offset)
    index = Index((*[Cut(0, n, 1) for n in front], Cut(start, stop, step)))
    flat = (*front, size_of(size))
    found = _place(g, index=index, shape=flat)
    return reshape(place(g, index=index, shape=flat) if found is None else found, (*front, *size))


def _matmul(x1: Any, x2: Any) -> Any:
    """Operands of two dimensions or more; many rows of few matrices as the rows of one, as in the eager kernel."""
    if _is_canonical(x1, x2):
        return None
    if len(x1.shape) == 1 and len(x2.shape) == 1:
        return sum_(multiply(x1, x2), axis=0) if x1.shape[0] else None
    if len(x1.shape) == 1:
        y = matmul(reshape(x1, (1, *x1.shape)), x2)
        return reshape(y, (*y.shape[:-2], y.shape[-1]))
    if len(x2.shape) == 1:
        y = _matmul(x1, column := reshape(x2, (*x2.shape, 1)))
        y = matmul(x1, column) if y is None else y
        return reshape(y, y.shape[:-1])
    *front, n = x1.shape
    y = matmul(reshape(x1, (size_of(tuple(front)), n)), x2)
    return reshape(y, (*front, y.shape[-1]))


def _is_canonical(x1: Any, x2: Any) -> bool:
    if min(len(x1.shape), len(x2.shape)) < 2:
        return False
    # A transposed operand would have to be copied to have its rows in a row.
    in_order = not (isinstance(x1, Tensor) and x1._node.op is permute_dims)
    return not (len(x1.shape) > 2 and len(x2.shape) == 2 and in_order)


def _einsum_one(x: Any, *, term: str, out: str) -> Any:
    if len(set(term)) < len(term):
        return None
    summed = tuple(i for i, c in enumerate(term) if c not in out)
    y = sum_(x, axis=summed, dtype=x.dtype) if summed else x
    kept = [c for c in term if c in out]
    return y if "".join(kept) == out else permute_dims(y, tuple(kept.index(c) for c in out))


def _einsum_pair(x1: Any, x2: Any, *, one: str, two: str, out: str) -> Any:
    sizes = label_sizes([one, two], [x1.shape, x2.shape])
    if 0 in sizes.values():
        return None
    product, left, right, back, batch, rows, contracted, columns = _layout(one, two, out)
    if not product:
        labels = [*out, *contracted]
        y = multiply(_spread_out(x1, one, labels), _spread_out(x2, two, labels))
        summed = tuple(range(len(out), len(labels)))
        return sum_(y, axis=summed, dtype=y.dtype) if summed else y
    full = [tuple(sizes[c] for c in term) for term in (one, two)]
    x1, x2 = (x if x.shape == s else broadcast_to(x, s) for x, s in zip((x1, x2), full, strict=True))
    b, m, k, n = ([sizes[c] for c in labels] for labels in (batch, rows, contracted, columns))
    x1 = reshape(permute_dims(x1, left), (*b, size_of(tuple(m)), size_of(tuple(k))))
    x2 = reshape(permute_dims(x2, right), (*b, size_of(tuple(k)), size_of(tuple(n))))
    y = reshape(matmul(x1, x2), (*b, *m, *n))
    return y if back is None else permute_dims(y, back)


def _spread_out(x: Any, term: str, labels: list[str]) -> Any:
    """`x` with its axes in the order of `labels`, and axes of size 1 for those it does not have."""
    there = [c for c in labels if c in term]
    x = permute_dims(x, tuple(term.index(c) for c in there))
    sizes = dict(zip(there, x.shape, strict=True))
    return reshape(x, tuple(sizes.get(c, 1) for c in labels))


#: What each op becomes: a function of its inputs and parameters.
MOVEMENT: dict[OpDef, Recipe] = {
    copy: _same,
    positive: _same,
    stopped: _same,
    conj: _real_only,
    real: _real_only,
    square: lambda x: multiply(x, x),
    expand_dims: _expand_dims,
    squeeze: _squeeze,
    matrix_transpose: _matrix_transpose,
    filled_like: _filled_like,
    getitem: _getitem,
    place: _place,
    stack: _stack,
    unstack: _unstack,
    split: _split,
    roll: _roll,
    tril: lambda x, *, k: _triangle(x, k, True),
    triu: lambda x, *, k: _triangle(x, k, False),
    diagonal: _diagonal,
    from_diagonal: _from_diagonal,
    matmul: _matmul,
    einsum_one: _einsum_one,
    einsum_pair: _einsum_pair,
}
