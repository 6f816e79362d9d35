"""What a matrix product needs later is asked for while sums are computed, a few lines of the cache at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..codegen.emitter import Emitter
from ..codegen.values import Ix, size_of
from .contract_micro import least
from .kernel import pointer
from .views import View

#: Bytes of a line of the caches.
LINE = 64


class Ahead(NamedTuple):
    """A part of an operand that is needed next: `runs` runs, each of `length` elements one after another.

    Attributes:
        view: the operand.
        start: the place of the first element.
        step: elements from one run to the next.
        runs, length: how many, and how long.
        passes: while the sums of so many tiles are computed, all of it is asked for.
        first: the number of this unit's first tile among them.
    """

    view: View
    start: Ix
    step: int
    runs: int
    length: int
    passes: int
    first: Ix

    @staticmethod
    def of(
        view: View, batch: Sequence[Any], at: tuple[Any, Any], size: tuple[int, int], passes: int, first: Any = 0
    ) -> Ahead | None:
        """The part of a matrix that begins at `at`; None where its elements do not lie one after another."""
        rows, columns = view.strides[-2:]
        start, (m, n) = Ix.of(view.at((*batch, *at))), size
        if columns == 1:
            return Ahead(view, start, rows, m, n, passes, Ix.of(first))
        return Ahead(view, start, columns, n, m, passes, Ix.of(first)) if rows == 1 else None

    def ask(self, k: Emitter, tile: Ix, part: Ix, parts: int) -> None:
        """Ask for what falls to part `part` of the sums of the unit's tile number `tile`."""
        share = -(-self.runs // (self.passes * parts))
        first = ((self.first + tile) * parts + part) * share
        with k.loop(first, least(k, first + share, self.runs)) as run:
            for j in range(0, self.length, LINE // size_of(self.view.buffer.code)):
                k.prefetch(pointer(self.view.buffer), self.start + run * self.step + j, self.view.buffer.code)
