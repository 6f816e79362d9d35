"""The same graph in another precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.config import enable_grad, settings
from ..base.dtypes import COMPLEX, FLOAT
from ..explain.flatten import GRAPH, Flat
from ..explain.tape import Tape
from ..graph.node import Node
from ..graph.tensor import LEAF, Tensor, edge, leaf_node

_WIDE = {"float64": "complex128", "float32": "complex64"}
_REAL = {wide: real for real, wide in _WIDE.items()}


def cast(x: Any, dtype: str) -> Any:
    """An array, where it is floating-point, in a precision; complex numbers stay complex."""
    if not isinstance(x, (np.ndarray, np.generic)) or x.dtype.char not in FLOAT:
        return x
    return x.astype(_WIDE[dtype] if x.dtype.char in COMPLEX else dtype)


def narrowest(tape: Tape) -> str:
    """The one precision of all numbers in a graph; empty where there are several, or others than 32 and 64 bits."""
    found = {n.dtype.name for n in tape.nodes if n.op.results is None and n.dtype.char in FLOAT}
    real = {_REAL.get(name, name) for name in found}
    (only,) = real if len(real) == 1 else ("",)
    return only if only in _WIDE else ""


def in_precision(tape: Tape, dtype: str) -> tuple[Tape, dict[Node, Node]]:
    """The graph computed again with every floating-point number in `dtype`; and for its nodes those of `tape`."""
    if narrowest(tape) == dtype:
        return tape, {n: n for n in tape.nodes}
    images: dict[Node, Any] = {}
    origins: dict[Node, Node] = {}
    with settings(keep_values=True), enable_grad(), np.errstate(all="ignore"):
        for node in tape.nodes:
            if node.op is LEAF:
                image: Any = edge(leaf_node(cast(node.value, dtype), name=node.name or ""))
            else:
                args = [images[x] if isinstance(x, Node) else cast(x, dtype) for x in node.inputs or ()]
                image = _again(node, args, dtype)
            images[node] = image
            for made in _nodes(image, node):
                origins.setdefault(made, node)
    y = images[tape.output]
    return Tape(Flat((y,), images, {}, ()), cast(np.asarray(tape.seed), dtype)), origins


def _again(node: Node, args: list[Any], dtype: str) -> Any:
    wanted = node.params.get("dtype")
    if wanted is None or np.dtype(wanted).char not in FLOAT:
        return GRAPH.again(node, args)
    like = cast(np.zeros((), wanted), dtype).dtype
    copy = Node(node.op, node.inputs, {**node.params, "dtype": like}, None, node.like, node.place)
    return GRAPH.again(copy, args)


def _nodes(image: Any, node: Node) -> list[Node]:
    """The nodes of an image: of a node with several outputs the one behind its parts."""
    if isinstance(image, Tensor):
        return [image.node] if image.node is not None else []
    parts = [t.node for t in image if isinstance(t, Tensor) and t.node is not None]
    return [x for p in parts[:1] for x in p.parents]
