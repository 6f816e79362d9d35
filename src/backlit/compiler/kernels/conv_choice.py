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
from .kernel import Kernel
from .views import View


def convolution(node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> Kernel:
    """The kernel of a `convolve`, `convolve_transposed` or `convolve_weight` that is the fastest for its shapes."""
    kind = node.op.name
    if kind == "convolve_weight":
        return BackwardWeight(node, operands, body, target, threads)
    x, w = operands
    if not pays(node, is_split(x, node.ndim), target):
        return (Convolution if kind == "convolve" else BackwardData)(node, operands, body, target, threads)
    geometry = {key: node.params[key] for key in ("stride", "padding", "dilation")}
    if kind == "convolve":
        return Winograd(node, x, w, conv_axes.forward(x.shape[2:], node.shape[2:], (3, 3), **geometry), body, target)
    (axes,) = conv_axes.phases(node.shape[2:], x.shape[2:], (3, 3), **geometry)
    turned = w.permuted((1, 0, 2, 3))
    for i, axis in enumerate(axes, 2):
        turned = turned.sliced(i, axis.first, axis.turn, 3)
    return Winograd(node, x, turned, axes, body, target)
