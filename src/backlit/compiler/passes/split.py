"""`split_products`: of a product in a loop, the part that the loop does not need is parted from that which it needs.

`concat([x, h]) @ W` is a common way to write a recurrent step. Only h waits for the step before; with the product
taken apart, `x @ W[:k]` can be computed for all steps at once (`batch.py`). In the derivative it is the result that
falls apart, into the cotangents of x and of h.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import accumulate, pairwise
from typing import Any

from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.rewrite import rewritten
from ...graph.walk import leading_from
from ...ops.arithmetic import add
from ...ops.contraction import matmul
from ...ops.index import getitem
from ...ops.indexing import Cut, Index
from ...ops.joining import concat
from .rewrite import made, renewed
from .steps import inputs_of


def split_products(node: Node) -> Node:
    """The scan with products of something joined, and products that are taken apart, as several products.

    A product is split only where one factor is the same in each step, and of the other some parts wait for
    a carry and some do not; or where nothing but parts of the product are used.
    """
    body: Graph = node.params["body"]
    constants, carries = node.params["constants"], node.params["carries"]
    slices, entering = body.inputs[constants + carries :], body.inputs[constants : constants + carries]
    varying = leading_from({*slices, *entering}, (*body.inputs, *body.nodes))
    late = leading_from(set(entering), (*body.inputs, *body.nodes))

    def apart(product: Node, args: tuple[Any, ...]) -> Any:
        if product.op is not matmul or len(product.shape) != 2:
            return None
        joined, factor = inputs_of(product)
        if not isinstance(joined, Node) or joined.op is not concat or joined.params["axis"] != 1:
            return None
        if _in(factor, varying) or len({_in(part, late) for part in inputs_of(joined)}) == 1:
            return None
        parts = inputs_of(args[0])
        ends = accumulate((part.shape[1] for part in parts), initial=0)
        total: Any = None
        for part, (a, b) in zip(parts, pairwise(ends), strict=True):
            term = made(product, matmul, part, _cut(product, args[1], (a, b), (0, factor.shape[1])))
            total = term if total is None else made(product, add, total, term)
        return total

    new = rewritten(body, apart)
    users: dict[Node, list[Node | None]] = {}
    for n in new.nodes:
        for x in n.parents:
            users.setdefault(x, []).append(n)
    for o in new.outputs:
        if isinstance(o, Node):
            users.setdefault(o, []).append(None)
    varying = leading_from({*slices, *entering}, (*new.inputs, *new.nodes))

    def narrowed(part: Node, args: tuple[Any, ...]) -> Any:
        product = inputs_of(part)[0] if part.op is getitem else None
        if not isinstance(product, Node) or product.op is not matmul or len(product.shape) != 2:
            return None
        factor, found = inputs_of(product)[1], _columns(part)
        if found is None or _in(factor, varying) or not all(n is not None and _columns(n) for n in users[product]):
            return None
        left, right = inputs_of(args[0])
        return made(part, matmul, left, _cut(part, right, (0, factor.shape[0]), found))

    new = rewritten(new, narrowed)
    return node if new is body else renewed(node, params={**node.params, "body": new})


def _in(x: Any, nodes: Collection[Node]) -> bool:
    return isinstance(x, Node) and x in nodes


def _cut(at: Node, x: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Node:
    return made(at, getitem, x, index=Index((Cut(*rows, 1), Cut(*columns, 1))))


def _columns(node: Node) -> tuple[int, int] | None:
    """The columns that a node takes of a matrix, where it takes all rows of some columns in a row."""
    if node.op is not getitem or len(node.shape) != 2:
        return None
    parts = node.params["index"].parts
    source = inputs_of(node)[0].shape
    if len(parts) != 2 or not all(isinstance(p, Cut) and p.step in (None, 1) for p in parts):
        return None
    rows, columns = (range(*slice(*p).indices(n)) for p, n in zip(parts, source, strict=True))
    return (columns.start, columns.stop) if len(rows) == source[0] else None
