"""`Rows`: elementwise nodes and reductions over one index space, computed in as few passes over memory as they allow.

Three forms, by where the vectors run:
- nothing is reduced: one loop over all elements;
- along a reduced axis: for each row, as many passes as reductions wait for one another (softmax has two, layer norm
  three). A short row stays in registers from pass to pass; of a long one, what is cheap is computed again;
- along a kept axis: vectors of results, filled while the reduced axes are walked.

A reduction of much to little is cut into blocks that do not depend on the number of threads; each leaves a partial
result in memory, and another kernel brings these together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from .body import store
from .reducing import Accumulator, result, together
from .row_plan import REDUCTIONS, RESIDENT, RUN
from .row_values import RowValues
from .views import View, contiguous


class Rows(RowValues):
    """Elementwise nodes and reductions over one index space; for the arguments see `RowPlan`."""

    def emit(self, k: Emitter) -> None:
        """Write the loop over units, and in it what one unit does."""
        with k.loop(k.lo, k.hi) as unit:
            index, block, column = self._decoded(k, unit)
            if not self.space.reduced:
                self._map(k, index, block)
            elif self.inner:
                self._inner(k, index, block)
            else:
                self._outer(k, index, block, column)

    # --- the three forms ---------------------------------------------------------------------------

    def _map(self, k: Emitter, index: dict[int, Any], block: Ix) -> None:
        stored = list(self.space.writes)

        def body(i: Ix, way: int, mask: Val | None) -> None:
            env: dict[Node, Val] = {}
            at = {**index, self.axis: i}
            self._evaluate(k, [n for n in stored if n in self.stage], env, at, mask)
            for node in stored:
                if node not in env:  # an array that is only copied
                    env[node] = self._read(k, node, [at.get(a, 0) for a in range(len(self.space.sizes))], mask)
                self._write(k, node, env[node], at, self.lanes, mask)

        self._sweep(k, self.axis, block, self.lanes, body)

    def _inner(self, k: Emitter, index: dict[int, Any], block: Ix) -> None:
        others = [i for i in sorted(self.space.reduced) if i != self.axis]
        n = self.space.sizes[self.axis]
        resident = not others and self.cut is None and n <= RESIDENT * self.lanes
        row: dict[Node, Val] = {}
        kept: dict[int, dict[Node, Val]] = {}
        for stage in range(self.last + 1):
            reductions = [r for r in self.reductions if self.stage[r] == stage]
            stored = [m for m in self.space.writes if self.space.full(m) and self.stage[m] == stage]
            if not reductions and not stored:
                continue
            if resident:
                sums = self._pass_in_registers(k, index, row, kept, reductions, stored)
            else:
                sums = self._pass(k, index, block, others, row, reductions, stored)
            self._finish(k, sums, row, index, block, stage)

    def _pass_in_registers(
        self, k: Emitter, index: dict[int, Any], row: dict[Node, Val], kept: dict[int, dict[Node, Val]],
        reductions: Sequence[Node], stored: Sequence[Node],
    ) -> dict[Node, list[Val]]:  # fmt: skip
        n, lanes = self.space.sizes[self.axis], self.lanes
        vectors = -(-n // lanes)
        gathered = {r: Accumulator(k, r, self._taken(r), lanes, min(4, vectors)) for r in reductions}
        for j in range(vectors):
            mask = k.first_lanes(n - j * lanes, lanes) if (j + 1) * lanes > n else None
            env = kept.setdefault(j, {})
            env.update(row)
            at = {**index, self.axis: Ix(j * lanes)}
            self._gather(k, gathered, j, stored, env, at, mask)
        return {r: together(k, r, a.total()) for r, a in gathered.items()}

    def _pass(
        self, k: Emitter, index: dict[int, Any], block: Ix, others: Sequence[int], row: dict[Node, Val],
        reductions: Sequence[Node], stored: Sequence[Node],
    ) -> dict[Node, list[Val]]:  # fmt: skip
        lanes = self.lanes
        inner = {r: Accumulator(k, r, self._taken(r), lanes, self.unroll) for r in reductions}
        long = prod(self.space.sizes[i] for i in self.space.reduced) > 2 * RUN * lanes * self.unroll
        outer = {r: Accumulator(k, r, self._taken(r), lanes, self.unroll, long) for r in reductions} if long else {}

        after = self._put_away_after(others, self.axis, lanes)

        def walk(axes: Sequence[int], at: dict[int, Any]) -> None:
            if axes:
                low, high = self._range(k, axes[0], block)
                with k.loop(low, high) as i:
                    walk(axes[1:], {**at, axes[0]: i})
                if len(others) - len(axes) == after:
                    between()
                return

            def body(i: Ix, way: int, mask: Val | None) -> None:
                env = dict(row)
                self._gather(k, inner, way, stored, env, {**at, self.axis: i}, mask)

            self._sweep(k, self.axis, block, lanes, body, RUN, between if outer and after == len(others) else None)

        def between() -> None:
            for r, total in outer.items():
                total.absorb(inner[r])

        walk(others, index)
        return {r: together(k, r, (outer or inner)[r].total()) for r in reductions}

    def _gather(
        self, k: Emitter, gathered: Mapping[Node, Accumulator], way: int, stored: Sequence[Node], env: dict[Node, Val],
        at: Mapping[int, Any], mask: Val | None,
    ) -> None:  # fmt: skip
        """Take one vector into the reductions, and write what is stored of it."""
        for r, accumulator in gathered.items():
            x = self._operand(k, r, env, at, mask)
            # Where lanes are columns and not terms of one sum, those outside the mask are never written.
            accumulator.add(way, x, self._position(k, r, at), mask if self.inner else None)
        self._evaluate(k, stored, env, at, mask)
        for node in stored:
            self._write(k, node, env[node], at, self.lanes, mask)

    def _outer(self, k: Emitter, index: dict[int, Any], block: Ix, column: Ix) -> None:
        n, lanes = self.space.sizes[self.axis], self.lanes
        full, width, groups = n // lanes, self.columns, self.groups
        ragged = full % width != 0 or n % lanes != 0
        if not ragged:
            self._columns(k, index, block, [(column * (width * lanes) + j * lanes, None) for j in range(width)])
            return
        last = [((groups - 1) * width + j) * lanes for j in range(width)]
        tail: list[tuple[Ix, Val | None]] = []
        for start in last:
            if start < n:
                tail.append((Ix(start), k.first_lanes(n - start, lanes) if start + lanes > n else None))
        if groups == 1:
            self._columns(k, index, block, tail)
            return
        is_last = k.equal(k.index(column), groups - 1)
        with k.when(~is_last):
            self._columns(k, index, block, [(column * (width * lanes) + j * lanes, None) for j in range(width)])
        with k.when(is_last):
            self._columns(k, index, block, tail)

    def _columns(self, k: Emitter, index: dict[int, Any], block: Ix, places: Sequence[tuple[Ix, Val | None]]) -> None:
        """Reduce some vectors of columns over all that the unit walks."""
        axes = sorted(self.space.reduced, key=lambda i: (self._stride(i), i), reverse=True)
        stored = [m for m in self.space.writes if self.space.full(m)]
        ways = self.unroll
        long = prod(self.space.sizes[i] for i in axes) > 2 * RUN * ways
        sums = [{r: Accumulator(k, r, self._taken(r), self.lanes, ways) for r in self.reductions} for _ in places]
        totals = (
            [{r: Accumulator(k, r, self._taken(r), self.lanes, ways, long) for r in self.reductions} for _ in places]
            if long
            else []
        )

        def between() -> None:
            for total, gathered in zip(totals, sums, strict=True):
                for r in self.reductions:
                    total[r].absorb(gathered[r])

        after = self._put_away_after(axes[:-1], axes[-1], 1)

        def walk(rest: Sequence[int], at: dict[int, Any]) -> None:
            if len(rest) > 1:
                low, high = self._range(k, rest[0], block)
                with k.loop(low, high) as i:
                    walk(rest[1:], {**at, rest[0]: i})
                if long and len(axes) - len(rest) == after:
                    between()
                return

            def body(i: Ix, way: int, _: Val | None) -> None:
                for (start, mask), gathered in zip(places, sums, strict=True):
                    env: dict[Node, Val] = {}
                    self._gather(k, gathered, way, stored, env, {**at, rest[0]: i, self.axis: start}, mask)

            self._sweep(k, rest[0], block, 1, body, RUN, between if long and after == len(axes) - 1 else None)

        walk(axes, index)
        for (start, mask), gathered in zip(places, totals or sums, strict=True):
            row: dict[Node, Val] = {}
            states = {r: a.total() for r, a in gathered.items()}
            self._finish(k, states, row, {**index, self.axis: start}, block, 0, mask)

    def _put_away_after(self, outside: Sequence[int], swept: int, step: int) -> int:
        """After the loop over which of the axes `outside` sums are put away; their number for within the sweep itself.

        Where the sweep is short, several make a run, so that putting away costs little beside adding.
        """
        count = -(-self.space.sizes[swept] // (step * self.unroll))
        for depth in range(len(outside), 0, -1):
            size = self.space.sizes[outside[depth - 1]]
            if count >= RUN or count * size > 8 * RUN:
                return depth
            count *= size
        return 0

    def _finish(
        self, k: Emitter, sums: Mapping[Node, list[Val]], row: dict[Node, Val], index: Mapping[int, Any], block: Ix,
        stage: int, mask: Val | None = None,
    ) -> None:  # fmt: skip
        """Give out the results of reductions, and compute what follows from them for the row."""
        at = {i: v for i, v in index.items() if i not in self.space.reduced}
        for r, state in sums.items():
            row[r] = result(k, r, state)
            if r in self.partials:
                self._leave(k, r, [row[r]] if len(state) == 1 else state, at, block, mask)
            else:
                self._write(k, r, row[r], at, self.lanes, mask)
        values = [
            m for m in self.nodes
            if not self.space.full(m) and m.op.name not in REDUCTIONS and m not in row
            and (self.stage[m] <= stage + (1 if sums else 0))
        ]  # fmt: skip
        self._evaluate(k, values, row, at, mask, 1 if self.inner else self.lanes)
        for m in values:
            self._write(k, m, row[m], at, self.lanes, mask)

    def _leave(
        self, k: Emitter, node: Node, values: Sequence[Val], at: Mapping[int, Any], block: Ix, mask: Val | None
    ) -> None:
        """Write the partial result of a block."""
        sizes = [self.space.sizes[i] for i in self.space.kept]
        place = [block, *(at[i] for i in self.space.kept)]
        axis = 1 + self.space.kept.index(self.axis) if self.axis in self.space.kept else 0
        for value, buffer in zip(values, self.partials[node], strict=True):
            view = View(buffer, (self.blocks, *sizes), contiguous((self.blocks, *sizes)))
            store(k, view, place, value, axis=axis, mask=mask if value.lanes > 1 else None)
