"""In which physical order of axes a convolution or a pooling wants its arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...graph.node import Node
from ..codegen.values import code_of
from ..codegen.writer import Target

Order = tuple[int, ...]

#: Channels that are few for vectors of any width.
FEW = 16


class Layouts(NamedTuple):
    """What a kernel would like to find.

    Attributes:
        operands: for each operand the order of its axes in memory, outermost first.
        output: the same for the output.
        lanes: how many samples are to lie side by side, innermost; 0 for none. The batch axis N is then split into
            (N / lanes, lanes), and the orders of arrays with a batch axis count that as two axes.
        gain: the time it takes with other layouts in proportion to that with these, roughly.
    """

    operands: tuple[Order, ...]
    output: Order
    lanes: int
    gain: float


def batched(spatial: int) -> Order:
    """(N / L, *space but the last, C, last, L): samples in lanes; a row of all channels is one piece of memory."""
    return (0, *range(3, spatial + 2), 2, spatial + 2, 1)


def channels_last(spatial: int) -> Order:
    """(N, *space, C)."""
    return (0, *range(2, spatial + 2), 1)


def outputs_last(spatial: int) -> Order:
    """Weights: (*kernel, C, O)."""
    return (*range(2, spatial + 2), 1, 0)


def operands(node: Node) -> tuple[Any, ...]:
    """A node's inputs, which a graph that is compiled still has."""
    return node.inputs or ()


def samples_in_lanes(node: Node, target: Target) -> int:
    """How many samples are best put side by side in the lanes of a vector; 0 where channels fill them better."""
    x, w = operands(node)
    weight = node.shape if node.op.name == "convolve_weight" else w.shape
    outputs, inputs = weight[0] // node.params["groups"], weight[1]
    lanes = target.lanes(code_of(node.dtype))
    few = outputs < lanes or max(outputs, inputs) <= max(lanes, FEW)
    return lanes if few and lanes > 1 and x.shape[0] and x.shape[0] % lanes == 0 else 0


def layouts(node: Node, target: Target) -> Layouts:
    """What `node`, a convolution, one of its transposes or a pooling, would like; a pooling follows its neighbours."""
    kind = node.op.name
    spatial = node.ndim - 2
    if kind.startswith("pool_"):
        lanes = target.lanes(code_of(node.dtype))
        x = operands(node)[0]
        split = node.shape[1] < lanes and x.shape[0] and x.shape[0] % lanes == 0
        order = batched(spatial) if split else channels_last(spatial)
        return Layouts(tuple(order for _ in operands(node)), order, lanes if split else 0, 1.5)
    lanes = samples_in_lanes(node, target)
    order = batched(spatial) if lanes else channels_last(spatial)
    weight = outputs_last(spatial)
    gain = 4.0 if lanes else 2.0
    if kind == "convolve_weight":
        return Layouts((order, order), weight, lanes, gain)
    return Layouts((order, weight), order, lanes, gain)
