"""`Body`: the elementwise part of a kernel, evaluated on one number or vector of each operand at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...base.dtypes import WEAK
from ...base.errors import GraphError
from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, code_of
from .views import View


def apply(k: Emitter, node: Node, args: Sequence[Any], lanes: int) -> Val:
    """The value of an elementwise node from those of its inputs (values; numbers, 0-d arrays and None as they are)."""
    native = node.op.native
    if native is None:
        raise GraphError(f"{node.label} has no native form.")
    known = [a.code for a in args if isinstance(a, Val)]
    code = next((c for c in known if c != "b1"), code_of(node.dtype))
    if code[0] in "iu" and any(_outside(a, code) for a in args):
        # Only comparisons take such numbers: every value of the dtype lies on the same side of them as of infinity.
        args = [k.cast(a, "f4") if isinstance(a, Val) else math.copysign(math.inf, a) for a in args]
        code = "f4"
    ready = [a if isinstance(a, Val) or a is None else _constant(k, a, code, lanes) for a in args]
    found = native(k, *ready, **node.params)
    return k.cast(found, code_of(node.dtype))


def _outside(x: Any, code: str) -> bool:
    """Is it a Python integer that an integer dtype cannot hold?"""
    return type(x) is int and not np.iinfo(code).min <= x <= np.iinfo(code).max


def _constant(k: Emitter, x: Any, code: str, lanes: int) -> Val:
    """A number as a value: a Python number takes the dtype of its neighbours, a NumPy one keeps its own."""
    own = code if type(x) in WEAK and not (type(x) is bool and code != "b1") else code_of(np.asarray(x).dtype)
    return k.const(np.asarray(x)[()], own, lanes)


class Body:
    """Elementwise nodes over the index space of an array, with the arrays they read and write.

    Args:
        nodes: in order; each is elementwise and has the shape of the index space (or is a number).
        reads: for each node that is not computed here the view it is read from, broadcast to the index space.
        writes: for each node that is to be kept the views it is written to, of the shape of the index space.
        shown: for each node that is only a reshape of one computed here, that one.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        reads: Mapping[Node, View],
        writes: Mapping[Node, Sequence[View]],
        shown: Mapping[Node, Node] | None = None,
    ) -> None:
        self.nodes, self.reads, self.writes = tuple(nodes), dict(reads), dict(writes)
        self.shown = dict(shown or {})

    def emit(
        self, k: Emitter, given: Mapping[Node, Val], index: Sequence[Any], lanes: int, *,
        axis: int = -1, mask: Val | None = None,
    ) -> dict[Node, Val]:  # fmt: skip
        """Evaluate at `index` and, along `axis`, the `lanes - 1` places after it; read and write what is to be.

        Args:
            given: values that the kernel has computed itself: the sum of a product, say.
            mask: the lanes that count; None for all.

        Returns:
            The value of every node.
        """
        values = dict(given)
        for node, view in self.reads.items():
            if node not in values:
                values[node] = load(k, view, index, lanes, axis=axis, mask=mask, fixed=view.buffer not in self._written)
        for node in self.nodes:
            args = [values[self.shown.get(x, x)] if isinstance(x, Node) else x for x in node.inputs or ()]
            values[node] = apply(k, node, args, lanes)
        for node, views in self.writes.items():
            for view in views:
                store(k, view, index, k.spread(values[node], values[node].code, lanes), axis=axis, mask=mask)
        return values

    @property
    def _written(self) -> set[Any]:
        return {v.buffer for views in self.writes.values() for v in views}

    @property
    def flops(self) -> int:
        """Operations for each element."""
        return sum(1 for n in self.nodes if n.op.name not in ("astype", "where", "copy"))


def load(
    k: Emitter, view: View, index: Sequence[Any], lanes: int, *,
    axis: int = -1, mask: Val | None = None, fixed: bool = False,
) -> Val:  # fmt: skip
    """The elements of a view at `index` and after it along `axis`: a vector, or one number where it repeats there."""
    p, code = f"%{view.buffer.name}", view.buffer.code
    step = view.strides[axis] if view.strides else 0
    place = view.at(index)
    if lanes == 1 or step == 0:
        return k.load(p, place, code, fixed=fixed)
    if step == 1:
        return k.load(p, place, code, lanes, mask=mask, fixed=fixed)
    return k.gather(p, _places(k, place, step, lanes), code, mask=mask, fixed=fixed)


def store(k: Emitter, view: View, index: Sequence[Any], value: Val, *, axis: int = -1, mask: Val | None = None) -> None:
    """Write a vector (or one number) to a view at `index` and after it along `axis`."""
    p, place = f"%{view.buffer.name}", view.at(index)
    if value.lanes == 1:
        k.store(p, place, value)
    elif view.strides[axis] == 1:
        k.store(p, place, value, mask=mask)
    else:
        k.scatter(p, _places(k, place, view.strides[axis], value.lanes), value, mask=mask)


def _places(k: Emitter, place: Ix, step: int, lanes: int) -> Val:
    return k.spread(k.index(place), "i8", lanes) + k.lane_numbers("i8", lanes) * step
