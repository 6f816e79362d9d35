"""The index space of a fused kernel, brought into its simplest form: axes that lie evenly in all arrays become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from ...graph.node import Node
from ..codegen.values import Ix
from .views import View


class Space(NamedTuple):
    """Axes of an index space and what stands over them.

    Attributes:
        sizes: the sizes of the axes.
        reduced: the axes that are summed over (or reduced in another way).
        axes: for each node computed, the axes it depends on.
        reads: the views of what is read, over the whole space.
        writes: the views of what is written, over the whole space (axes a node does not depend on have size 1).
    """

    sizes: tuple[int, ...]
    reduced: frozenset[int]
    axes: dict[Node, frozenset[int]]
    reads: dict[Node, View]
    writes: dict[Node, tuple[View, ...]]

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes that are not reduced."""
        return tuple(i for i in range(len(self.sizes)) if i not in self.reduced)

    def views(self) -> list[View]:
        """All views."""
        return [*self.reads.values(), *(v for views in self.writes.values() for v in views)]

    def full(self, node: Node) -> bool:
        """Does a node depend on a reduced axis (or, where nothing is reduced, on any)?"""
        return bool(self.axes[node] & self.reduced) if self.reduced else bool(self.axes[node])

    def lane_axis(self) -> int:
        """The axis along which vectors run: where most arrays have their elements one after another."""
        best, axis = (-1.0, 0), 0
        for i, n in enumerate(self.sizes):
            score = 0.0
            for v in self.views():
                if n > 1 and v.shape[i] > 1:
                    score += 1.0 if v.strides[i] == 1 else 0.25 if v.strides[i] == 0 else -1.0
            for v in (w for views in self.writes.values() for w in views):
                if v.shape[i] > 1 and v.strides[i] not in (0, 1):
                    score -= 1.0  # scattering costs more than gathering
            if (score * min(1.0, n / 4), i) >= best:
                best, axis = (score * min(1.0, n / 4), i), i
        return axis


def simplified(
    sizes: Sequence[int],
    reduced: frozenset[int],
    axes: Mapping[Node, frozenset[int]],
    reads: Mapping[Node, View],
    writes: Mapping[Node, Sequence[View]],
) -> Space:
    """The space without axes of size 1, and with neighbouring axes made one wherever all views allow it."""
    views = [*reads.values(), *(v for group in writes.values() for v in group)]
    groups: list[list[int]] = []
    for i, n in enumerate(sizes):
        if n == 1:
            continue
        if groups and _merge(groups[-1][-1], i, sizes, reduced, axes.values(), views):
            groups[-1].append(i)
        else:
            groups.append([i])
    groups = groups or [[]]

    def laid(view: View) -> View:
        shape = tuple(prod(view.shape[i] for i in g) for g in groups)
        strides = tuple(view.strides[g[-1]] if g and n > 1 else 0 for g, n in zip(groups, shape, strict=True))
        return View(view.buffer, shape, strides, view.offset)

    number = {i: k for k, g in enumerate(groups) for i in g}
    return Space(
        tuple(prod(sizes[i] for i in g) for g in groups),
        frozenset(number[i] for i in reduced if i in number),
        {n: frozenset(number[i] for i in a if i in number) for n, a in axes.items()},
        {n: laid(v) for n, v in reads.items()},
        {n: tuple(map(laid, vs)) for n, vs in writes.items()},
    )


def _merge(a: int, b: int, sizes: Sequence[int], reduced: frozenset[int], axes: object, views: Sequence[View]) -> bool:
    if (a in reduced) != (b in reduced):
        return False
    if any((a in s) != (b in s) for s in axes):  # type: ignore[attr-defined]
        return False
    return all(
        v.strides[a] == v.strides[b] * sizes[b] if v.shape[a] > 1 and v.shape[b] > 1 else v.shape[a] == v.shape[b] == 1
        for v in views
    )


def row_index(index: Mapping[int, object], count: int) -> list[object]:
    """An index with an entry for each axis; axes without one are at 0."""
    return [index.get(i, Ix(0)) for i in range(count)]
