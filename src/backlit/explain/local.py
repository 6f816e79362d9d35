"""The local derivatives of a Tape, numbered: what each op does to a change of its input, and to a cotangent."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from ..graph.bind import PICK
from ..graph.node import Node
from ..ops.creation import zeros_of
from .formula import derivative, jacobian, pullback
from .reasons import reason
from .symbols import Applied, Formula, Name, replaced, simplified
from .tape import Edge, Tape


class Local:
    """One local derivative: of the value of a node by one of its inputs.

    Attributes:
        number: it is shown as ①, ②, and so on.
        edge: between the two nodes.
    """

    def __init__(self, tape: Tape, number: int, edge: Edge) -> None:
        self.tape, self.number, self.edge = tape, number, edge

    @cached_property
    def formula(self) -> Formula | None:
        """The derivative as a formula, where the op works element by element or both nodes are single numbers."""
        found = derivative(self.tape, self.edge)
        if found is None and self.value is not None:
            return simplified(replaced(self.pullback, Name("G"), 1.0))
        return found

    @cached_property
    def value(self) -> float | None:
        """The derivative as a number, where both nodes are single numbers."""
        source, target = self.edge.source, self.edge.target
        if any(n.op.results is not None or np.prod(n.shape) != 1 or n.dtype.kind != "f" for n in (source, target)):
            return None
        piece = self.tape.pulled(self.edge, np.ones(target.shape, target.dtype)[()])
        return float(np.asarray(piece).reshape(())) if piece is not None else None

    @cached_property
    def pullback(self) -> Formula:
        """What comes of the cotangent G of the node, as a formula."""
        return pullback(self.tape, self.edge)

    @property
    def reason(self) -> str:
        """Why `pullback` has this shape, and why anything is transposed or summed in it."""
        return reason(self.tape, self.edge)

    @property
    def shapes(self) -> str:
        """The shapes that meet in `pullback`: `(4, 3)ᵀ·(4, 2) → (3, 2)`."""
        source, target = self.edge.source, self.edge.target
        if source.op.results is not None or target.op.results is not None:
            return ""
        product = _shapes(self.pullback, self._known())
        return f"{product or target.shape} → {source.shape}"

    @cached_property
    def jacobian(self) -> Any:
        """All local derivatives, an array of shape target + source, where they are few; else None."""
        return jacobian(self.tape, self.edge)

    def _known(self) -> dict[str, tuple[int, ...]]:
        known = {self.tape.name(x): x.shape for x in self.edge.target.parents if x.op.results is None}
        for x in self.edge.target.inputs or ():
            name = self.tape.constant_name(x) if isinstance(x, np.ndarray) else None
            known |= {name: x.shape} if name is not None else {}
        return {**known, "G": self.edge.target.shape}


def locals_of(tape: Tape) -> tuple[Local, ...]:
    """The local derivatives of all edges that have one, in the order of the nodes.

    >>> from backlit.explain.symbols import text
    >>> from backlit.explain.tape import tape_of
    >>> found = locals_of(tape_of(lambda x, y: -(x * y), 2.0, 3.0))
    >>> [(x.number, text(x.formula), x.value) for x in found]
    [(1, 'y', 3.0), (2, 'x', 2.0), (3, '-1', -1.0)]
    """
    found: list[Local] = []
    for node in tape.nodes:
        edges = [Edge(x, node, i) for i, x in enumerate(node.inputs or ()) if isinstance(x, Node)]
        if not edges or node.op is PICK:
            continue
        zeros = tuple(map(zeros_of, node.like)) if node.op.results is not None else zeros_of(node.spec)
        pieces = tape.pieces(node, zeros, {e.slot for e in edges})
        found += [
            Local(tape, len(found) + i, e) for i, e in enumerate((e for e in edges if pieces[e.slot] is not None), 1)
        ]
    return tuple(found)


def scalar(tape: Tape) -> bool:
    """Are all values single numbers?"""
    return all(n.op.results is None and prod(n.shape) == 1 and n.dtype.kind == "f" for n in tape.nodes)


def circled(number: int) -> str:
    """A number in a circle, as far as there are such: ①; else in parentheses.

    >>> circled(1), circled(21), circled(36), circled(51)
    ('①', '㉑', '㊱', '(51)')
    """
    for first, start, last in ((1, 0x2460, 20), (21, 0x3251, 35), (36, 0x32B1, 50)):
        if first <= number <= last:
            return chr(start + number - first)
    return f"({number})"


def _shapes(f: Formula, known: dict[str, tuple[int, ...]]) -> str | None:
    """The shapes in a product of matrices, in the order of the factors; None for other formulas."""
    if isinstance(f, Name):
        return str(known[f.text]) if f.text in known else None
    if not isinstance(f, Applied) or f.op.name not in ("matmul", "matrix_transpose"):
        return None
    parts = [_shapes(a, known) for a in f.args]
    if None in parts:
        return None
    return f"{parts[0]}·{parts[1]}" if len(parts) == 2 else f"{parts[0]}ᵀ"
