"""`kernel_of`: how a page computes a node: which of its kernels (`web/kernels.js`), with which static arguments.

Elementwise ops are functions made of their native facets (`scalar.py`). Ops that only move elements are tables: the op
runs once on the numbers of the places, and what comes out says where each element is from. The others have a kernel
written by hand under the name of the op, and take its static parameters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...graph.bind import PICK
from ...graph.node import Node
from ...graph.opdef import OPS
from ...ops.indexing import positions
from .scalar import CODES, NoKernel, function_of

#: Ops that move elements, or leave zeros; inputs after the first number, as many as there are, are positions.
MOVES = frozenset({
    "broadcast_to", "reshape", "expand_dims", "squeeze", "permute_dims", "matrix_transpose", "flip", "roll", "copy",
    "getitem", "take", "dynamic_slice", "dynamic_place", "concat", "stack", "tril", "triu", "diagonal",
    "from_diagonal", "pad_zeros", "stop_gradient", "resize",
})  # fmt: skip

#: Ops whose kernel is written in JavaScript under their name.
WRITTEN = frozenset({
    "sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin", "all", "any", "count_nonzero", "logsumexp",
    "softmax", "log_softmax", "softmax_cross_entropy", "minus_one_hot", "one_hot", "filled_like", "power_norm",
    "cumulative_sum", "linear_recurrence", "matmul", "einsum_one", "einsum_pair", "convolve", "convolve_transposed",
    "convolve_weight", "pool_max", "pool_argmax", "pool_pick", "pool_place", "pool_sum", "pool_spread",
})  # fmt: skip

#: Ops that add what comes in at places of zeros, or of their first input: transposes of reading.
ADDS = frozenset({"place", "segment_sum", "index_add"})

#: Ops with several outputs, each of which is a piece of the one input.
PARTED = ("split", "unstack")

#: More elements than this are not sent as a table.
MOST_PLACES = 1 << 18


class Kernel(NamedTuple):
    """How a page computes a node.

    Attributes:
        name: of the kernel.
        arguments: static ones, as JSON takes them; arrays of positions are NumPy arrays.
        inputs: the inputs that it reads.
    """

    name: str
    arguments: dict[str, Any]
    inputs: tuple[Any, ...]


def kernel_of(node: Node) -> Kernel:
    """The kernel of a node.

    Raises:
        NoKernel: the page has none; the message says what is in the way.
    """
    op, inputs = node.op, node.inputs or ()
    for x in (*inputs, *([node] if op.results is None else node.like)):
        if _code(x) not in CODES and x is not None and op is not PICK:
            raise NoKernel(str(getattr(x, "dtype", type(x).__name__)))
    if (op.family == "elementwise" and op.native is not None) or op.name == "astype":
        read = tuple(x for x in inputs if x is not None)
        return Kernel("each", {"f": function_of(node)}, read)
    if op is PICK:
        return _part(node)
    if op.name in MOVES:
        return _moved(node, op.eval, node.params)
    if op.name in ADDS:
        return _added(node)
    if op.name in WRITTEN:
        return Kernel(op.name, {k: _plain(v) for k, v in node.params.items()}, inputs)
    raise NoKernel(op.name)


def _code(x: Any) -> str:
    if isinstance(x, Node) and x.op.results is not None:
        return "f8"
    return np.dtype(x.dtype).str[1:] if hasattr(x, "dtype") else "f8"


def _plain(x: Any) -> Any:
    """A static parameter as JSON has it."""
    if isinstance(x, (tuple, list)):
        return [_plain(v) for v in x]
    if isinstance(x, (np.dtype, type)):
        return np.dtype(x).str[1:]
    return x.item() if isinstance(x, np.generic) else x


def _part(node: Node) -> Kernel:
    """One output of `split` or `unstack`, read from the input of that."""
    (several,) = node.parents
    if several.op.name not in PARTED:
        raise NoKernel(several.op.name)
    op, i = several.op, node.params["index"]
    source = several.inputs or ()
    return _table(source, lambda x: op.eval(x, **several.params)[i])


def _moved(node: Node, compute: Any, params: dict[str, Any]) -> Kernel:
    inputs: tuple[Any, ...] = node.inputs or ()
    if node.op.name in ("concat", "stack"):
        return _table(inputs, lambda *xs: compute(*xs, **params))
    source, places = inputs[0], inputs[1:]
    if any(isinstance(x, Node) for x in places):
        raise NoKernel(f"{node.op.name} at computed places")
    return _table((source,), lambda x: compute(x, *places, **params))


def _table(sources: tuple[Any, ...], compute: Any) -> Kernel:
    """Where each element of the result is from: strides of the one source, or its place + 1 in all of them, or 0."""
    sizes = [int(np.prod(x.shape)) if hasattr(x, "shape") else 1 for x in sources]
    starts = np.cumsum([1, *sizes])
    numbers = [
        np.arange(a, a + n, dtype=np.int64).reshape(getattr(x, "shape", ()))
        for a, n, x in zip(starts, sizes, sources, strict=False)
    ]
    found = np.asarray(compute(*numbers))
    if len(sources) == 1 and found.size and found.base is not None and np.shares_memory(found, numbers[0]):
        strides = [s // 8 for s in found.strides]
        return Kernel("view", {"start": int(found.flat[0]) - 1, "strides": strides}, sources)
    if found.size > MOST_PLACES:
        raise NoKernel("too many places")
    return Kernel("table", {"places": found.reshape(-1).astype(np.int32)}, sources)


def _added(node: Node) -> Kernel:
    inputs: tuple[Any, ...] = node.inputs or ()
    params, name = node.params, node.op.name
    read = 2 if name == "index_add" else 1
    places = inputs[read:]
    if any(isinstance(x, Node) for x in places):
        raise NoKernel(f"{name} at computed places")
    if name == "segment_sum":
        moved = inputs[0]
        rows = np.arange(int(np.prod(node.shape))).reshape(node.shape)
        where = rows[np.asarray(places[0])].reshape(moved.shape)
    else:
        where = positions(node.shape, params["index"], places)
    if where.size > MOST_PLACES:
        raise NoKernel("too many places")
    arguments = {"places": where.reshape(-1).astype(np.int32), "at": list(where.shape)}
    return Kernel("added", arguments, inputs[:read])


def names() -> list[str]:
    """The names of the ops that a page can compute, with those whose kernels are made of facets."""
    each = [n for n, op in OPS.items() if op.family == "elementwise" and op.native is not None]
    return [*each, "astype", *sorted(MOVES | WRITTEN | ADDS), *PARTED]
