"""Indexing with computed indices as kernels: which of its many forms have one."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from ...graph.node import Node
from ...ops.indexing import ARRAY, Cut
from ..kernels.indexed import Take, Update, Window
from ..kernels.kernel import Kernel
from ..kernels.views import View
from .groups import is_real

if TYPE_CHECKING:
    from .region import Region

#: Ops that change some rows of their first input, which may be done in its own memory.
UPDATES = frozenset(("index_update", "index_add"))


def lower_indexing(region: Region, node: Node) -> list[Kernel] | None:
    """The kernels of a node that reads or writes at computed indices; None where it must run by NumPy."""
    if not is_real(node):
        return None
    kernels = list(_kernels(region, node))
    for kernel in kernels:
        if isinstance(kernel, (Take, Window, Update)):
            kernel.name = region.context.names.unique(kernel.name)
    return kernels or None


def _kernels(region: Region, node: Node) -> Iterator[Kernel]:
    name, params = node.op.name, node.params
    inputs: list[Any] = [region.view_of(x) for x in node.inputs or ()]
    out = region.storage.views[node]
    target, status = region.target, region.context.status
    if name == "take":
        yield Take(node, inputs[0], inputs[1], params["axis"], out, target, status)
    elif name == "getitem" and (axis := _axis(params["index"])) is not None:
        yield Take(node, inputs[0], inputs[1], axis, out, target, status)
    elif name == "dynamic_slice":
        yield Window(node, inputs[0], inputs[1], params["axis"], out, target, status)
    elif name == "dynamic_place":
        yield region.zeros(node, out)
        yield Window(node, inputs[0], inputs[1], params["axis"], out, target, status, into=True)
    elif name == "place" and _axis(params["index"]) == 0 and len(inputs) == 2:
        yield region.zeros(node, out)
        y = inputs[0].broadcast((*inputs[1].shape, *out.shape[1:]))
        yield Update(node, y, inputs[1], out, target, status, adds=True)
    elif name in UPDATES and _axis(params["index"]) == 0 and len(inputs) == 3:
        x, y, indices = inputs
        if x.buffer is not out.buffer and prod(out.shape):
            yield region.copy(next(node.parents), x, out)
        laid = y.broadcast((*indices.shape, *out.shape[1:]))
        yield Update(node, laid, indices, out, target, status, adds=name == "index_add")


def _axis(index: Any) -> int | None:
    """The axis along which an index with one array of integers takes slices, if it leaves the others whole."""
    parts = [p for p in index.parts if p is not Ellipsis]
    if parts.count(ARRAY) != 1 or any(p is not ARRAY and p != Cut() for p in parts):
        return None
    if Ellipsis in index.parts and index.parts.index(Ellipsis) < index.parts.index(ARRAY):
        return None
    return parts.index(ARRAY)


def updates_in_place(node: Node, held: Node, root: Any) -> bool:
    """May a node write its result over `held`, its first input, of which it changes some rows?"""
    if node.op.name not in UPDATES or _axis(node.params["index"]) != 0 or len(node.inputs or ()) != 3:
        return False
    x, *others = list(node.inputs or ())
    return x is held and not any(isinstance(o, Node) and root(o) is held for o in others)


__all__ = ["View", "lower_indexing", "updates_in_place"]
