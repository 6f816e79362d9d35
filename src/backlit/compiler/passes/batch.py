"""`batch_matmuls`: many small products, one in each step of a loop, become one large product outside the loop.

Three kinds of products need not be in a scan, and the time of a recurrent network is mostly in them:

- before the loop, those that no carry enters: the products of the inputs with their weights;
- after it, those that no carry needs: what is made of each state for the output;
- after it too, sums of products: the gradient of a weight is, for all steps, one product of two tall matrices.

The first two are as old as cuDNN's recurrent layers (Appleyard et al. 2016, 'Optimizing performance of recurrent
neural networks on GPUs'); the third is what their backward pass does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.opdef import OPS
from ...graph.tensor import symbol
from ...graph.walk import ancestors, leading_from
from ...ops.arithmetic import add, multiply
from ...ops.contraction import matmul
from ...ops.index import getitem, place, take
from ...ops.indexing import ARRAY, Index
from ...ops.joining import concat
from ...ops.loops import SCAN
from ...ops.movement import permute_dims, reshape
from ...ops.reduce import sum as sum_
from .rewrite import made, rewrite, shape_of, within
from .scans import Scan
from .split import split_products
from .steps import VIEWS, Steps, inputs_of, rows_of, stackable

#: A product with this many rows in each step, or summed over this many, is large enough as it is.
LARGE = 256

_ROWS = Index((ARRAY,))
_SUM_OF = frozenset({add, reshape, permute_dims, concat, getitem, OPS["pad_zeros"]})


def batch_matmuls(graph: Graph) -> Graph:
    """The graph with the products in its scans that may leave them before or after, as one product each.

    Sums over the steps are taken in another order than step by step, and so differ by rounding.
    """
    return rewrite(within(graph, batch_matmuls), lambda node, *_: _batched(node) if node.op is SCAN else None)


def _batched(node: Node) -> Any:
    if node.params["length"] < 2:
        return None
    scan = Scan(split_products(node))
    body = scan.body
    before = _before(scan, body)
    plan = _After(scan, body, before)
    if not plan.totals and not plan.sunk and not before.hoisted:
        return None  # products that nothing comes of stay whole
    return plan.results()


# --- before the loop -------------------------------------------------------------------------------


class _Before(Steps):
    """What can be computed before the loop, and the products and look-ups that are moved there."""

    __slots__ = ("hoisted",)

    hoisted: dict[Node, Node]


def _before(scan: Scan, body: Graph) -> _Before:
    steps = _Before(scan.length, scan.constants, scan.arrays)
    late = leading_from({c.inner for c in scan.carries}, (*body.inputs, *body.nodes))
    early = [n for n in body.nodes if n not in late]
    products = [n for n in early if n.op is matmul and rows_of(n) < LARGE]
    wanted = set(ancestors(products))  # a look-up alone stays in its step: minibatches are not copied all at once
    products += [n for n in early if n.op is take and n in wanted]
    steps.extend(products)
    hoisted = [n for n in products if n in steps.columns and any(map(steps.is_fixed, n.inputs or ()))]
    steps.hoisted = {n: symbol(n.spec)._node for n in hoisted}
    return steps


# --- after the loop --------------------------------------------------------------------------------


class _After:
    """What is moved behind a loop: carries that are no more than totals, and outputs made by products.

    Attributes:
        core: what the carries that are no totals need in each step.
        leaves: the values in the body from which what is moved is computed, stacked.
        totals: the numbers of the carries that are sums, with the terms that each step adds.
        sunk: the numbers of the stacked outputs that are computed after the loop.
    """

    def __init__(self, scan: Scan, body: Graph, before: _Before) -> None:
        self.scan, self.before = scan, before
        self.users: dict[Node, int] = {}
        for x in (*(x for n in body.nodes for x in n.parents), *(o for o in body.outputs if isinstance(o, Node))):
            self.users[x] = self.users.get(x, 0) + 1
        self.leaves: dict[Node, None] = {}
        self.totals: dict[int, list[Any]] = {}
        self.sunk: list[int] = []
        ends = [c.end for c in scan.carries if self._terms(c.inner, c.end) is None]
        self.core = set(ancestors([e for e in ends if isinstance(e, Node)]))
        self._find_totals(products=True)
        self._find_totals(products=False)
        self._find_sunk(body)
        at_hand = {**scan.arrays, **before.hoisted}
        self.sunk += [i for i, o in enumerate(scan.stacked) if isinstance(o, Node) and o in at_hand]

    def _find_totals(self, products: bool) -> None:
        """Carries that are sums of products, or else of what is stacked anyway."""
        for i, c in enumerate(self.scan.carries):
            terms = self._terms(c.inner, c.end)
            if i in self.totals or terms is None:
                continue
            found: dict[Node, None] = {}
            if all(self._summable(t, found, products) for t in terms):
                self.totals[i] = terms
                self.leaves.update(found)

    def _terms(self, carry: Node, end: Any) -> list[Any] | None:
        """What is added to the carry in each step, where it is a total and nothing else."""
        if self.users.get(carry) != 1:
            return None
        terms: list[Any] = []
        found = False
        todo = [end]
        while todo:
            x = todo.pop()
            if x is carry:
                found = True
            elif isinstance(x, Node) and x.op is add and x.shape == carry.shape and carry in ancestors([x]):
                todo += x.inputs or ()
            else:
                terms.append(x)
        return terms if found and all(shape_of(t) == carry.shape for t in terms) else None

    def _summable(self, term: Any, found: dict[Node, None], products: bool) -> bool:
        """Can the sum of `term` over all steps be taken after the loop? Enters what must be stacked for it."""
        if not isinstance(term, Node):
            return False
        inputs = inputs_of(term)
        if term.op in _SUM_OF and not (term.op is getitem and term.params["index"].arrays):
            return all(self._summable(x, found, products) for x in inputs)
        if _is_product(term):
            return inputs[0].shape[1] < LARGE and self._stack(inputs, found)
        if term.op is place and term.params["index"] == _ROWS and len(shape_of(inputs[1])) == 1:
            return self._stack(inputs, found)
        wanted = inputs if term.op is sum_ else (term,)
        return self._stack(wanted, found) and (products is False and not (set(found) - set(self.leaves)))

    def _stack(self, wanted: Iterable[Any], found: dict[Node, None], expand: Collection[Node] = ()) -> bool:
        """Enter the values from which `wanted` can be computed for all steps."""
        self.before.extend(wanted)
        todo = list(wanted)
        while todo:
            x = todo.pop()
            if self.before.is_fixed(x) or x in self.before.columns or x in found:
                continue
            if stackable(x) and (x.op in VIEWS or x in expand or self._is_late_product(x)):
                todo += x.inputs or ()
            elif x.op.results is not None:
                return False
            else:
                found[x] = None
        return True

    def _find_sunk(self, body: Graph) -> None:
        """Stacked outputs that come of a product which no carry needs."""
        ends = [c.end for i, c in enumerate(self.scan.carries) if i not in self.totals]
        needed = {*ancestors([e for e in ends if isinstance(e, Node)]), *self.leaves}
        products = {n for n in body.nodes if n not in needed and self._is_late_product(n)}
        while products:
            after = leading_from(products, body.nodes)
            outputs = [i for i, o in enumerate(self.scan.stacked) if isinstance(o, Node) and o in after]
            stays = [o for o in self.leaves if o in after]
            sources = [self.scan.stacked[i] for i in outputs]
            stays += [o for o in sources if not all(map(stackable, after.intersection(ancestors([o]))))]
            left = products.difference(ancestors(stays)) if stays else products
            if left == products:
                for i in outputs:
                    self._stack([self.scan.stacked[i]], self.leaves, after)
                self.sunk = outputs
                return
            products = left

    def _is_late_product(self, node: Node) -> bool:
        """Is this a product, with what is the same in each step, that no carry needs and some carry enters?"""
        if node.op is not matmul or node in self.core or node in self.before.columns or rows_of(node) >= LARGE:
            return False
        right = inputs_of(node)[1]
        self.before.extend([right])
        return len(node.shape) == 2 and self.before.is_fixed(right)

    # --- the new loop ---

    def results(self) -> tuple[Any, ...]:
        """What takes the place of the outputs of the loop."""
        scan, before, start = self.scan, self.before, [c.start for c in self.scan.carries]
        carries, stacked = scan.carries, scan.stacked
        scan.carries = [c for i, c in enumerate(carries) if i not in self.totals]
        kept = [i for i in range(len(stacked)) if i not in self.sunk]
        scan.stacked = [stacked[i] for i in kept]
        number = {o: j for j, o in enumerate(scan.stacked) if isinstance(o, Node)}
        for leaf in self.leaves:
            if leaf not in number:
                number[leaf] = len(scan.stacked)
                scan.stacked.append(leaf)
        count = len(scan.carries)
        self._hoist()
        results = scan.results()
        after = Steps(scan.length, before.fixed, before.columns)
        after.columns.update((o, results[count + j]) for o, j in number.items())
        after.extend(stacked[i] for i in self.sunk)
        ends, columns = iter(results[:count]), dict(zip(kept, results[count:], strict=False))
        return (
            *(
                self._total(start[i], self.totals[i], after) if i in self.totals else next(ends)
                for i in range(len(carries))
            ),
            *(after.columns[o] if i in self.sunk else columns[i] for i, o in enumerate(stacked)),
        )

    def _total(self, start: Any, terms: Iterable[Any], after: Steps) -> Any:
        """What a total starts with, and the sums of its terms."""
        total = None if isinstance(start, (np.ndarray, np.generic)) and not start.any() else start
        for term in terms:
            found = _summed(term, after)
            total = found if total is None else made(self.scan.at, add, total, found)
        return total

    def _hoist(self) -> None:
        """Put slices in the place of the products that are computed before the loop."""
        scan, moved = self.scan, self.before.hoisted
        if not moved:
            return
        images: dict[Node, Any] = dict(moved)
        outputs = scan.outputs
        body = Graph([*scan.constants, *(c.inner for c in scan.carries), *scan.arrays], outputs)
        new = rewrite(body, lambda *_: None, given=images, inputs=[*body.inputs, *moved.values()]).outputs
        scan.arrays = {**scan.arrays, **{image: self.before.columns[n] for n, image in moved.items()}}
        count = len(scan.carries)
        scan.carries = [c._replace(end=end) for c, end in zip(scan.carries, new, strict=False)]
        scan.stacked = list(new[count:])


def _is_product(node: Node) -> bool:
    """Is this the product of two matrices, or the outer product of two vectors that stand as matrices?"""
    shapes = [shape_of(x) for x in inputs_of(node)]
    if [len(s) for s in shapes] != [2, 2]:
        return False
    return node.op is matmul or (node.op is multiply and shapes[0][1] == 1 == shapes[1][0] and 1 not in node.shape)


def _summed(term: Node, steps: Steps) -> Any:
    """The sum of a value in the body over all steps, computed outside."""
    inputs = inputs_of(term)
    if term.op in _SUM_OF:
        parts = [_summed(x, steps) for x in inputs]
        return made(term, term.op, *parts, **term.params)
    steps.extend(inputs if _is_product(term) or term.op in (place, sum_) else [term])
    if _is_product(term):
        one, other = inputs
        columns = made(term, permute_dims, steps.column(one, term), axes=(0, 2, 1))
        rows = made(term, reshape, columns, shape=(steps.length * one.shape[1], one.shape[0]))
        return made(term, matmul, made(term, permute_dims, rows, axes=(1, 0)), steps.rows(other, term))
    if term.op is place:
        y, rows = (steps.column(x, term) for x in inputs)
        y = made(term, reshape, y, shape=(y.shape[0] * y.shape[1], *y.shape[2:]))
        rows = made(term, reshape, rows, shape=(rows.shape[0] * rows.shape[1],))
        return made(term, place, y, rows, **term.params)
    if term.op is sum_:
        axes = tuple(a + 1 for a in term.params["axis"])
        total = made(term, sum_, steps.column(inputs[0], term), axis=(0, *axes), keepdims=False)
        return total if total.shape == term.shape else made(term, reshape, total, shape=term.shape)
    return made(term, sum_, steps.column(term, term), axis=(0,), keepdims=False)
