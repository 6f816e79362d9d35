"""`Buffer`, a piece of memory of a plan, and `View`, an array laid over one by strides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

from ..codegen.values import Ix, code_of, size_of


class Buffer:
    """A piece of memory of a plan. Two buffers never overlap while both are in use.

    Attributes:
        name: unique within its plan; it is the name of the pointer in the native code.
        code: dtype of its elements, as kind and size.
        size: number of elements.
        kind: "input" (the caller's), "output" (handed to the caller), "constant", "scratch" (of the arena), or "moving"
            (the slice of another buffer that a loop is at).
        value: the array that holds a constant.
        of, step: of a moving buffer, the view where it begins and how many elements it moves in each turn.
    """

    __slots__ = ("code", "kind", "name", "of", "size", "step", "value")

    def __init__(self, name: str, code: str, size: int, kind: str = "scratch", value: Any = None) -> None:
        self.name, self.code, self.size, self.kind, self.value = name, code, size, kind, value
        self.of: View | None = None
        self.step = 0

    @property
    def nbytes(self) -> int:
        """Bytes it takes."""
        return self.size * size_of(self.code)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}: {self.size} x {self.code}>"


class View(NamedTuple):
    """An array in a buffer: element (i, j, ...) is at `offset + i·strides[0] + j·strides[1] + ...`, in elements.

    A stride of 0 repeats (broadcasting), a negative one goes backwards.
    """

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @staticmethod
    def whole(buffer: Buffer, shape: Sequence[int]) -> View:
        """All of a buffer, row by row."""
        return View(buffer, tuple(shape), contiguous(shape))

    def at(self, index: Sequence[Any]) -> Ix:
        """The place of an element; entries of `index` are ints, indices or values. Axes of stride 0 are not asked."""
        const, terms = self.offset, {}
        for i, s in zip(index, self.strides, strict=True):
            if s:
                entry = Ix.of(i)
                const += entry.const * s
                for v, c in entry.terms.items():
                    terms[v] = terms.get(v, 0) + c * s
        return Ix(const, {v: c for v, c in terms.items() if c})

    def permuted(self, axes: Sequence[int]) -> View:
        """The axes in another order."""
        return self._replace(shape=tuple(self.shape[a] for a in axes), strides=tuple(self.strides[a] for a in axes))

    def broadcast(self, shape: Sequence[int]) -> View:
        """Repeated along new leading axes and along axes of size 1."""
        shape = tuple(shape)
        extra = len(shape) - len(self.shape)
        kept = (s if n == m else 0 for n, m, s in zip(self.shape, shape[extra:], self.strides, strict=True))
        return self._replace(shape=shape, strides=(0,) * extra + tuple(kept))

    def sliced(self, axis: int, start: int, step: int, size: int) -> View:
        """`size` elements of an axis, from `start` on, every `step`-th."""
        shape, strides = list(self.shape), list(self.strides)
        offset = self.offset + start * strides[axis]
        shape[axis], strides[axis] = size, strides[axis] * step
        return View(self.buffer, tuple(shape), tuple(strides), offset)

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """In another shape, row by row; None where no strides express it, or the number of elements is another."""
        if prod(shape) != prod(self.shape):
            return None
        strides = _restrided(self.shape, self.strides, tuple(shape))
        return None if strides is None else self._replace(shape=tuple(shape), strides=strides)

    def over(self, shape: Sequence[int], extent: Sequence[int]) -> View | None:
        """Broadcast to `shape`, seen in the form `extent` (as many elements); None where no strides express it."""
        return self.broadcast(shape).reshaped(extent)

    def carried(self, seen: View, own: View) -> View | None:
        """This view, of the shape of `seen`, as an array of the shape of `own`, where those show the same elements.

        Element i of `own` is some element j of `seen`; the result has at i what this view has at j. None where `seen`
        and `own` do not show the same elements, each once and without gaps, or where no strides express it.
        """
        size = prod(own.shape)
        if (seen.buffer, seen.offset, prod(seen.shape)) != (own.buffer, own.offset, size) or not size:
            return None
        axes = [[(n, s) for n, s in zip(v.shape, v.strides, strict=True) if n != 1] for v in (seen, own)]
        cuts = sorted({s for pairs in axes for _, s in pairs} | {1, size}, reverse=True)
        if cuts[-1] < 1 or any(a % b for a, b in pairwise(cuts)) or any(n * s not in cuts for x in axes for n, s in x):
            return None
        factors = {low: high // low for high, low in pairwise(cuts)}  # by their strides: the finer axes of both
        first, second = ([low for n, s in pairs for low in cuts[1:] if s <= low < n * s] for pairs in axes)
        fine = self.reshaped([factors[low] for low in first])
        if fine is None or sorted(first) != sorted(factors) or sorted(second) != sorted(factors):
            return None
        return fine.permuted([first.index(low) for low in second]).reshaped(own.shape)

    @property
    def is_contiguous(self) -> bool:
        """Do its elements follow one another row by row? (Axes of size 1 do not matter.)"""
        expected = contiguous(self.shape)
        return all(n == 1 or s == e for n, s, e in zip(self.shape, self.strides, expected, strict=True))

    @staticmethod
    def dtype_code(dtype: Any) -> str:
        """A dtype as buffers name it."""
        return code_of(dtype)


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of an array that lies row by row."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(1, shape[i + 1])
    return tuple(strides)


def _restrided(shape: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides of a reshape, group of axes by group of axes; None where a group does not lie evenly."""
    if 0 in shape or 0 in new:
        return contiguous(new)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    found: list[int] = []
    i = j = 0
    while i < len(old) or j < len(new):
        if j < len(new) and new[j] == 1:
            found.append(0)
            j += 1
            continue
        if i >= len(old) or j >= len(new):
            return None
        a, b, first, start = old[i][0], new[j], i, j
        while a != b:
            if a < b:
                i += 1
                a *= old[i][0]
            else:
                j += 1
                b *= new[j]
        for k in range(first, i):
            if old[k][1] != old[k + 1][1] * old[k + 1][0]:
                return None
        stride = old[i][1]
        group: list[int] = []
        for k in range(j, start - 1, -1):
            group.append(stride if new[k] != 1 else 0)
            stride *= new[k]
        found += group[::-1]
        i, j = i + 1, j + 1
    return tuple(found)
