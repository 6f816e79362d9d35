"""Nodes that compute nothing: reshapes, transposes, slices and the like are other views of the same memory."""

from __future__ import annotations

from typing import Any

from ...graph.node import Node
from ...ops.indexing import Cut, Index
from ..kernels.views import View


def aliased(node: Node, view: View) -> View | None:
    """The view that `node` is of its input's `view`; None where it is no view (and so must be computed)."""
    rule = _RULES.get(node.op.name)
    return None if rule is None else rule(node, view)


def _same(node: Node, view: View) -> View:
    return view


def _reshape(node: Node, view: View) -> View | None:
    return view.reshaped(node.shape)


def _broadcast(node: Node, view: View) -> View:
    return view.broadcast(node.shape)


def _permute(node: Node, view: View) -> View:
    return view.permuted(node.params["axes"])


def _transpose(node: Node, view: View) -> View:
    n = len(view.shape)
    return view.permuted([*range(n - 2), n - 1, n - 2])


def _flip(node: Node, view: View) -> View:
    for axis in node.params["axis"]:
        view = view.sliced(axis, max(0, view.shape[axis] - 1), -1, view.shape[axis])
    return view


def _getitem(node: Node, view: View) -> View | None:
    return cut(node.params["index"], view)


def cut(index: Index, view: View) -> View | None:
    """The part of a view that an index of ints, slices, new axes and `...` names; None for any other index."""
    parts: list[Any] = list(index.parts)
    if not all(p is None or p is Ellipsis or isinstance(p, (int, Cut)) for p in parts):
        return None
    missing = len(view.shape) - sum(1 for p in parts if p is not None and p is not Ellipsis)
    gap = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts = [*parts[:gap], *[Cut()] * missing, *parts[gap + 1 :]]
    shape: list[int] = []
    strides: list[int] = []
    offset, axis = view.offset, 0
    for part in parts:
        if part is None:
            shape.append(1)
            strides.append(0)
            continue
        n, s = view.shape[axis], view.strides[axis]
        axis += 1
        if isinstance(part, Cut):
            taken = range(*slice(*part).indices(n))
            if len(taken):
                offset += taken.start * s
            shape.append(len(taken))
            strides.append(s * taken.step)
        else:
            offset += (part if part >= 0 else part + n) * s
    return View(view.buffer, tuple(shape), tuple(strides), offset)


_RULES = {
    "copy": _same, "stop_gradient": _same, "positive": _same, "reshape": _reshape, "expand_dims": _reshape,
    "squeeze": _reshape, "broadcast_to": _broadcast, "permute_dims": _permute, "matrix_transpose": _transpose,
    "flip": _flip, "getitem": _getitem,
}  # fmt: skip


def is_movement(node: Node) -> bool:
    """Could this node be a view of its input, if that lies as it must?"""
    return node.op.name in _RULES and (node.op.name != "getitem" or len(node.inputs or ()) == 1)
