"""`mask_early`: the derivative of a maximum pooling, where windows do not overlap, without what was before the pooling.

Backward, `pool_place(g, which)` puts the cotangent of each window at its maximum, with zeros around it, and the mask
of an activation before the pooling (`x > 0`) is multiplied by that. Only the masks of the maxima count. Taken forward,
where they are at hand, they are a bit for each window, and neither x nor its mask is read again.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ...graph.graph import Graph
from ...graph.node import Node
from ...ops.arithmetic import masked_multiply, multiply
from ...ops.movement import astype
from ...ops.pooling import pool_argmax, pool_pick, pool_place
from ...ops.reduce import sum as sum_
from .rewrite import made, renewed, rewrite, scalar, within
from .steps import inputs_of

#: A mask is made of at most so many nodes.
_MOST = 8

_GEOMETRY = ("window", "stride", "padding", "dilation")


def mask_early(graph: Graph) -> Graph:
    """The graph with products and sums of what pooling places taken of what it is given to place.

    Besides, the numbers of the places become bytes where these can hold them.

        pool_place(g, which) * mask(x)  ->  pool_place(g * mask(pool_pick(x, which)), which)
        sum(pool_place(g, which))       ->  sum(g), over the positions
    """
    return within(rewrite(graph, _changed), mask_early)


def _changed(node: Node) -> Any:
    if node.op is multiply or node.op is masked_multiply:
        return _masked(node)
    if node.op is sum_:
        return _summed(node)
    return _narrowed(node) if node.op is pool_place else None


def _is_place(x: Any) -> bool:
    """Does `x` place numbers in windows that neither overlap nor reach over the border, at their maxima?"""
    if type(x) is not Node or x.op is not pool_place or _places(x) is None:
        return False
    window, stride, padding, dilation = (x.params[name] for name in _GEOMETRY)
    apart = max(dilation) == 1 and all(s >= n for n, s in zip(window, stride, strict=True))
    return apart and not any(map(any, padding))


def _places(place: Node) -> Node | None:
    """The `pool_argmax` of the same geometry that tells where numbers are placed, if that is what tells it."""
    which = inputs_of(place)[1]
    if type(which) is Node and which.op is astype:
        which = inputs_of(which)[0]
    if type(which) is not Node or which.op is not pool_argmax:
        return None
    return which if all(which.params[name] == place.params[name] for name in _GEOMETRY) else None


def _masked(node: Node) -> Any:
    a, b = inputs_of(node)
    for place, mask, first in ((a, b, True), (b, a, False)):
        if not _is_place(place) or place.spec != node.spec:
            continue
        g, which = inputs_of(place)
        where: Any = _places(place)
        chosen = made(node, pool_pick, inputs_of(where)[0], where, **where.params)
        early = _mask_of(mask, inputs_of(where)[0], chosen)
        if early is not None:
            product = renewed(node, (g, early) if first else (early, g), like=node.spec._replace(shape=g.shape))
            return renewed(place, (product, which))
    return None


def _mask_of(mask: Any, x: Node, chosen: Node) -> Node | None:
    """What `mask` is of `chosen`, if it is a mask of `x`: a truth for each element, made of that element only."""
    truth = inputs_of(mask)[0] if type(mask) is Node and mask.op is astype else mask
    if type(truth) is not Node or truth.dtype.kind != "b":
        return None
    images: dict[Node, Node] = {x: chosen}

    def image(n: Any) -> Any:
        if n in images:
            return images[n]
        if (n.op.family != "elementwise" and n.op is not astype) or n.shape != x.shape or len(images) > _MOST:
            return None
        inputs = []
        for y in inputs_of(n):
            found = image(y) if type(y) is Node else y
            if found is None or (type(y) is not Node and scalar(y) is None):
                return None
            inputs.append(found)
        images[n] = renewed(n, inputs, like=n.spec._replace(shape=chosen.shape))
        return images[n]

    return image(mask)


def _summed(node: Node) -> Any:
    (place,) = inputs_of(node)
    axes = node.params["axis"]
    if not _is_place(place) or not isinstance(axes, tuple) or not set(range(2, place.ndim)) <= set(axes):
        return None
    return renewed(node, (inputs_of(place)[0],))


def _narrowed(node: Node) -> Any:
    g, which = inputs_of(node)
    narrow = np.dtype(np.uint8)
    if _places(node) is not which or prod(node.params["window"]) > 1 << 8:
        return None
    return renewed(node, (g, made(node, astype, which, dtype=narrow)))
