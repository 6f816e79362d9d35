"""Which kernel computes a convolution."""

from __future__ import annotations

from collections.abc import Sequence

from ...graph.node import Node
from ..codegen.writer import Target
from . import conv_axes
from .body import Body
from .conv import BackwardData, Convolution
from .conv_nest import is_split
from .conv_weight import BackwardWeight
from .conv_winograd import Winograd, pays
from .conv_winograd_weight import WinogradWeight
from .kernel import Kernel
from .views import View


def convolution(node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> Kernel:
    """The kernel of a `convolve`, `convolve_transposed` or `convolve_weight` that is the fastest for its shapes."""
    kind = node.op.name
    x, w = operands
    fast = pays(node, is_split(x, node.ndim), target)
    if kind == "convolve_weight":
        # There each thread transforms the whole input: too much for many of them.
        if fast and threads <= 4 and node.shape[0] >= threads * target.lanes(x.buffer.code):
            return WinogradWeight(node, operands, body, target, threads)
        return BackwardWeight(node, operands, body, target, threads)
    if not fast:
        return (Convolution if kind == "convolve" else BackwardData)(node, operands, body, target, threads)
    geometry = conv_axes.geometry(node)
    if kind == "convolve":
        return Winograd(node, x, w, conv_axes.forward(x.shape[2:], node.shape[2:], (3, 3), **geometry), body, target)
    (axes,) = conv_axes.phases(node.shape[2:], x.shape[2:], (3, 3), **geometry)
    turned = w.permuted((1, 0, 2, 3))
    for i, axis in enumerate(axes, 2):
        turned = turned.sliced(i, axis.first, axis.turn, 3)
    return Winograd(node, x, turned, axes, body, target)
