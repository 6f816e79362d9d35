"""The rules of `simplify` for movement and reductions: each takes a node and returns what equals it and costs less."""

from __future__ import annotations

from typing import Any

from ...base.shapes import reduced, size_of
from ...graph.node import Node
from ...graph.opdef import OpDef
from ...ops.arithmetic import multiply
from ...ops.index import getitem
from ...ops.indexing import Cut, Index
from ...ops.joining import concat
from ...ops.movement import broadcast_to, flip, permute_dims, reshape
from ...ops.padding import pad_zeros
from ...ops.reduce import all as all_
from ...ops.reduce import any as any_
from ...ops.reduce import max as max_
from ...ops.reduce import min as min_
from ...ops.reduce import prod
from ...ops.reduce import sum as sum_
from .algebra import Simplification, args
from .rewrite import made, renewed, shape_of

_REDUCTIONS = frozenset({sum_, prod, max_, min_, any_, all_})


def _source(node: Node, op: OpDef | None = None) -> Any:
    """The first input, if it is a node (of this op), else None."""
    x = args(node)[0]
    return x if type(x) is Node and (op is None or x.op is op) else None


def _of(node: Node) -> Any:
    return args(node)[0]


# --- shapes and order ------------------------------------------------------------------------------


def _reshape(node: Node) -> Any:
    x = _source(node)
    if x is None:
        return None
    if x.shape == node.shape:
        return x
    if x.op is reshape:
        return renewed(node, x.inputs, params={"shape": node.shape})
    if x.op is broadcast_to and size_of(shape_of(_of(x))) == 1 and shape_of(_of(x)) == ():
        return renewed(node, x.inputs, op=broadcast_to, params={"shape": node.shape})
    if x.op in _REDUCTIONS:
        params = {**x.params, "keepdims": not x.params["keepdims"]}
        if reduced(_of(x).shape, params["axis"], params["keepdims"]) == node.shape:
            return renewed(x, params=params, like=node.spec)
    return renewed(node, params={"shape": node.shape}) if -1 in node.params["shape"] else None


def _permute(node: Node) -> Any:
    x, axes = _source(node), node.params["axes"]
    if x is None:
        return None
    if axes == tuple(range(len(axes))):
        return x
    if x.op is permute_dims:
        return renewed(node, x.inputs, params={"axes": tuple(x.params["axes"][a] for a in axes)})
    moved = [a for a in axes if x.shape[a] != 1]
    if moved == sorted(moved):  # only axes of size 1 change places
        return renewed(node, op=reshape, params={"shape": node.shape})
    return None


def _broadcast(node: Node) -> Any:
    x = _source(node)
    if x is None:
        return None
    if x.shape == node.shape:
        return x
    if x.op is broadcast_to:
        return renewed(node, x.inputs)
    if x.op is reshape:
        inner = _of(x)
        extra = len(x.shape) - len(inner.shape)
        if extra > 0 and x.shape == (*(1,) * extra, *inner.shape):  # broadcasting adds these axes by itself
            return renewed(node, (inner,))
    return None


def _flip(node: Node) -> Any:
    x = _source(node)
    if x is None:
        return None
    axes = {a for a in node.params["axis"] if x.shape[a] > 1}
    if x.op is flip:
        return renewed(node, x.inputs, params={"axis": tuple(sorted(axes ^ set(x.params["axis"])))})
    if not axes:
        return x
    return None if len(axes) == len(node.params["axis"]) else renewed(node, params={"axis": tuple(sorted(axes))})


# --- parts and borders -----------------------------------------------------------------------------


def _cuts(node: Node) -> tuple[Cut, ...] | None:
    """The slices of an index in canonical form: one for each axis, of plain numbers; None for other indices."""
    parts = node.params["index"].parts
    if len(parts) == len(_of(node).shape) and all(isinstance(p, Cut) and None not in p and p[2] > 0 for p in parts):  # type: ignore[operator]
        return parts
    return None


def _getitem(node: Node) -> Any:
    x = _source(node)
    cuts = _cuts(node) if x is not None else None
    if x is None or cuts is None:
        return None
    if x.shape == node.shape:
        return x
    if x.op is getitem and (inner := _cuts(x)) is not None:
        both = tuple(
            Cut(a.start + c.start * a.step, a.start + (c.stop - 1) * a.step + 1, a.step * c.step)  # type: ignore[operator]
            for a, c in zip(inner, cuts, strict=True)
        )
        return renewed(node, x.inputs, params={"index": Index(both)})
    if x.op is concat:
        return _of_piece(node, x, cuts)
    if x.op is pad_zeros:
        lows = [low for low, _ in x.params["pads"]]
        moved = tuple(Cut(c.start - low, c.stop - low, c.step) for c, low in zip(cuts, lows, strict=True))  # type: ignore[operator]
        inside = all(c.start >= 0 and c.stop <= n for c, n in zip(moved, _of(x).shape, strict=True))  # type: ignore[operator]
        return renewed(node, x.inputs, params={"index": Index(moved)}) if inside else None
    return None


def _of_piece(node: Node, joined: Node, cuts: tuple[Cut, ...]) -> Any:
    """A part of arrays joined that lies in one of them is a part of that one."""
    axis, start = joined.params["axis"], 0
    wanted = cuts[axis]
    for piece in args(joined):
        end = start + piece.shape[axis]
        if start <= wanted.start and wanted.stop <= end:  # type: ignore[operator]
            moved = Cut(wanted.start - start, wanted.stop - start, wanted.step)  # type: ignore[operator]
            if piece.shape == node.shape:
                return piece
            return renewed(node, (piece,), params={"index": Index((*cuts[:axis], moved, *cuts[axis + 1 :]))})
        start = end
    return None


def _concat(node: Node) -> Any:
    axis, inputs = node.params["axis"], args(node)
    kept = [x for x in inputs if x.shape[axis]]
    if len(kept) == 1 and type(kept[0]) is Node:
        return kept[0]
    inner = [type(x) is Node and x.op is concat and x.params["axis"] == axis for x in kept]
    if not kept or (len(kept) == len(inputs) and not any(inner)):
        return None
    return renewed(node, [y for x, joins in zip(kept, inner, strict=True) for y in (args(x) if joins else (x,))])


def _pad(node: Node) -> Any:
    x, pads = _source(node), node.params["pads"]
    if x is None:
        return None
    if not any(map(any, pads)):
        return x
    if x.op is pad_zeros:
        total = tuple((a + c, b + d) for (a, b), (c, d) in zip(pads, x.params["pads"], strict=True))
        return renewed(node, x.inputs, params={"pads": total})
    return None


# --- reductions ------------------------------------------------------------------------------------


def _reduction(node: Node) -> Any:
    x = _source(node)
    if x is None or (node.op in (any_, all_) and x.dtype.char != "?"):
        return None
    axes, keepdims = node.params["axis"], node.params["keepdims"]
    long = tuple(a for a in axes if x.shape[a] != 1)
    if not long:
        return x if x.shape == node.shape else made(node, reshape, x, shape=node.shape)
    if len(long) < len(axes):
        smaller = made(node, node.op, x, axis=long, keepdims=keepdims)
        return smaller if smaller.shape == node.shape else None
    if x.op is reshape and len(axes) == x.ndim and not keepdims and type(_of(x)) is Node:
        return renewed(node, x.inputs, params={"axis": tuple(range(_of(x).ndim)), "keepdims": False})
    return _of_repeated(node, x) if x.op is broadcast_to else None


def _of_repeated(node: Node, x: Node) -> Any:
    """A sum of equal numbers is a product, which rounds once; their extreme is the number."""
    if node.op is prod or node.dtype.char == "e":  # the count may be beyond float16
        return None
    inner = _of(x)
    axes = node.params["axis"]
    shape = (1,) * (x.ndim - len(shape_of(inner))) + shape_of(inner)
    equal = [a for a in axes if shape[a] == 1]
    if not equal:
        return None
    smaller = made(node, reshape, inner, shape=shape)
    kept = tuple(1 if a in equal else n for a, n in enumerate(x.shape))
    if kept != shape:
        smaller = made(node, broadcast_to, smaller, shape=kept)
    rest = renewed(node, (smaller,))
    if node.op is not sum_:
        return rest
    return made(node, multiply, rest, size_of(tuple(x.shape[a] for a in equal)))


VIEWS: dict[OpDef, Simplification] = {
    reshape: _reshape,
    permute_dims: _permute,
    broadcast_to: _broadcast,
    flip: _flip,
    getitem: _getitem,
    concat: _concat,
    pad_zeros: _pad,
    **dict.fromkeys(_REDUCTIONS, _reduction),
}
