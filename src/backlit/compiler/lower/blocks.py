"""A reduction that is cut into blocks leaves a partial result for each; these kernels bring them together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...base.errors import GraphError
from ...graph.node import Node
from ...graph.opdef import OPS, Spec
from ...graph.tensor import LEAF
from ..kernels.kernel import Kernel
from ..kernels.rows import Rows
from ..kernels.space import simplified
from ..kernels.views import View, contiguous


def together(kernel: Rows, writes: Mapping[Node, Sequence[View]], unique: Callable[[str], str]) -> Iterator[Kernel]:
    """The kernels that make the results of `kernel` whole, and write them where `writes` says."""
    sizes = tuple(kernel.space.sizes[i] for i in kernel.space.kept)
    shape = (kernel.blocks, *sizes)
    for node, buffers in kernel.partials.items():
        outs = [v for p in writes[node] if (v := p.reshaped((1, *sizes))) is not None]
        if len(outs) != len(writes[node]):
            raise GraphError(f"{node.label} cannot be written as it should lie.")
        parts = [_leaf(shape, np.dtype(b.code)) for b in buffers]
        nodes = _best(node, *parts) if len(parts) > 1 else [_reduced(node.op.name, parts[0], sizes, node.dtype)]
        whole, row = frozenset(range(len(shape))), frozenset(range(1, len(shape)))
        axes = {n: row if n.shape == sizes else whole for n in nodes}
        reads = {p: View(b, shape, contiguous(shape)) for p, b in zip(parts, buffers, strict=True)}
        space = simplified(shape, frozenset((0,)), axes, reads, {nodes[-1]: outs})
        yield Rows(unique(f"{kernel.name}_whole"), space, nodes, {}, kernel.target)


def _best(node: Node, values: Node, places: Node) -> list[Node]:
    """The first place of the best value: the smallest of the places where the best value stands, or NaN, if any."""
    shape, sizes, truth = values.shape, values.shape[1:], np.dtype(bool)
    best = _reduced("max" if node.op.name == "argmax" else "min", values, sizes, values.dtype)
    there = _applied("equal", (values, best), shape, truth)
    if values.dtype.kind == "f":  # a block's best is NaN only where the best of all is
        nan = _applied("isnan", (values,), shape, truth)
        both = [there, nan, _applied("logical_or", (there, nan), shape, truth)]
    else:
        both = [there]
    beyond = np.int64(np.iinfo(np.int64).max)
    found = _applied("where", (both[-1], places, beyond), shape, places.dtype)
    return [best, *both, found, _reduced("min", found, sizes, places.dtype)]


def _leaf(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Node:
    return Node(LEAF, (), {}, None, Spec(shape, dtype))


def _reduced(name: str, x: Node, sizes: tuple[int, ...], dtype: np.dtype[Any]) -> Node:
    return Node(OPS[name], (x,), {"axis": (0,), "keepdims": False}, None, Spec(sizes, dtype))


def _applied(name: str, inputs: tuple[Any, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Node:
    return Node(OPS[name], inputs, {}, None, Spec(shape, dtype))
