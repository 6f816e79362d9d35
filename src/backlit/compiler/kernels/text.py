"""Kernels as text to read, for `plan.source`: expressions with the signs people know, places in arrays, and loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graph.node import Node
from .views import View

if TYPE_CHECKING:
    from .row_plan import RowPlan

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "floor_divide": "//", "remainder": "%",
    "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
    "logical_and": "&", "logical_or": "|", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^",
}  # fmt: skip

LETTERS = "ijklmnopq"


def entry(view: View, letters: Sequence[str] = LETTERS) -> str:
    """An element of a view: `x[i, k]`; axes along which it repeats are left out."""
    return f"{view.buffer.name}[{', '.join(n for n, s in zip(letters, view.strides, strict=False) if s)}]"


def loop(letter: str, size: int, step: int = 1) -> str:
    """The head of a loop."""
    return f"for {letter} in 0..{size}{f' by {step}' if step > 1 else ''}:"


class Names:
    """Names of the values of a kernel, and what is computed as assignments to them.

    Args:
        reads: the views of what is not computed here.
        writes: the views to which values go.
        shown: for each node that is only a reshape of one computed here, that one.
        letters: the names of the axes.
    """

    def __init__(
        self, reads: Mapping[Node, View], writes: Mapping[Node, Sequence[View]], shown: Mapping[Node, Node],
        letters: Sequence[str] = LETTERS,
    ) -> None:  # fmt: skip
        self.reads, self.writes, self.shown, self.letters = reads, writes, shown, letters
        self._names: dict[Node, str] = {}
        arrays = [*reads.values(), *(v for views in writes.values() for v in views)]
        self._taken = {v.buffer.name for v in arrays}

    def name(self, node: Node) -> str:
        """The name of a value: the user's or the op's, with a number where that is taken."""
        if node not in self._names:
            stem = node.name or node.op.name
            tries = (stem, *(f"{stem}{i}" for i in range(2, len(self._names) + 3)))
            self._names[node] = next(n for n in tries if n not in self._taken)
            self._taken.add(self._names[node])
        return self._names[node]

    def argument(self, x: Any) -> str:
        """An input of a node: a name, a place in an array, or a number."""
        if not isinstance(x, Node):
            if x is None or np.ndim(x):
                return repr(x) if x is None else "constant"
            return repr(np.asarray(x).item())
        member = self.shown.get(x, x)
        return self._names[member] if member in self._names else entry(self.reads[x], self.letters)

    def computed(self, node: Node) -> str:
        """What a node computes, as an expression."""
        args = [self.argument(x) for x in node.inputs or ()]
        name = node.op.name
        if name in _SIGNS and len(args) == 2:
            return f"{args[0]} {_SIGNS[name]} {args[1]}"
        if name == "negative":
            return f"-{args[0]}"
        if name == "where":
            return f"{args[1]} if {args[0]} else {args[2]}"
        return f"{node.dtype.name if name == 'astype' else name}({', '.join(args)})"

    def lines(self, node: Node, expression: str | None = None) -> Iterator[str]:
        """The assignment of a value, and where it is written."""
        text = self.computed(node) if expression is None else expression
        yield f"{self.name(node)} = {text}"
        yield from self.stores(node)

    def stores(self, node: Node) -> Iterator[str]:
        """Where a value is written."""
        for view in self.writes.get(node, ()):
            yield f"{entry(view, self.letters)} = {self.argument(node)}"


def rows_text(kernel: RowPlan, reductions: frozenset[str]) -> list[str]:
    """`Rows` as loops: the kept axes outside; within, a loop for each pass over the reduced ones."""
    space = kernel.space
    names = Names(space.reads, space.writes, kernel.shown)
    lines: list[str] = []
    depth = 1

    def add(text: str) -> None:
        lines.append("  " * depth + text)

    kept = [i for i in space.kept if i != kernel.axis]
    kept += [kernel.axis] if kernel.axis in space.kept else []
    inner = [i for i in sorted(space.reduced) if i != kernel.axis] + [kernel.axis] * (kernel.axis in space.reduced)
    if kernel.blocks > 1 and kernel.cut is not None:
        add(f"# in {kernel.blocks} blocks of {kernel.block} along {LETTERS[kernel.cut]}")
    for i in kept:
        add(loop(LETTERS[i], space.sizes[i], kernel.lanes if i == kernel.axis else 1))
        depth += 1
    for node in space.writes:
        if node not in kernel.stage:  # an array that is only copied
            for text in names.stores(node):
                add(text)
    if not space.reduced:
        for node in kernel.nodes:
            for text in names.lines(node):
                add(text)
        return lines
    rest = list(kernel.nodes)

    def take(row: bool, stage: int) -> list[Node]:
        found = [n for n in rest if kernel.stage[n] <= stage and row == (not space.full(n) and not reduces(n))]
        rest[:] = [n for n in rest if n not in found]
        return found

    def reduces(n: Node) -> bool:
        return n.op.name in reductions

    for stage in range(max(kernel.stage.values()) + 1):
        for node in take(True, stage):
            for text in names.lines(node):
                add(text)
        within = take(False, stage)
        if not within:
            continue
        start = depth
        for i in inner:
            add(loop(LETTERS[i], space.sizes[i], kernel.lanes if i == kernel.axis else 1))
            depth += 1
        for node in within:
            for text in names.lines(node) if not reduces(node) else [_taken(names, node)]:
                add(text)
        depth = start
        for node in within:
            if reduces(node):
                for text in names.stores(node):
                    add(text)
    return lines


_UPDATES = {"sum": "+=", "prod": "*=", "any": "|=", "all": "&="}


def _taken(names: Names, node: Node) -> str:
    """A reduction as what it does with each element."""
    x, name = names.argument((node.inputs or (None,))[0]), names.name(node)
    if node.op.name in _UPDATES:
        return f"{name} {_UPDATES[node.op.name]} {x}"
    return f"{name} = {node.op.name}({name}, {x})"
