"""What a `Rows` kernel does at one vector of places: read, compute what is wanted, write; and how it walks an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, code_of
from .body import apply, load, store
from .row_plan import REDUCTIONS, RowPlan
from .views import contiguous


class RowValues(RowPlan):
    """A plan with the means to carry it out."""

    def _decoded(self, k: Emitter, unit: Ix) -> tuple[dict[int, Any], Ix, Ix]:
        """The index of a unit on the kept axes, its block, and its group of columns."""
        counts = [(i, self.space.sizes[i]) for i in self.rows]
        if not self.inner:
            counts.append((-2, self.groups))
        counts.append((-1, self.blocks))
        found: dict[int, Any] = {}
        rest = unit
        for position, (i, n) in enumerate(reversed(counts)):
            if position == len(counts) - 1 or all(m == 1 for _, m in counts[: len(counts) - 1 - position]):
                found[i] = rest
                rest = Ix(0)
            elif n == 1:
                found[i] = Ix(0)
            else:
                value = k.index(rest)
                found[i] = Ix.of(k.remainder(value, n))
                rest = Ix.of(value / n)
        return {i: found[i] for i in self.rows}, found[-1], found.get(-2, Ix(0))

    def _sweep(
        self, k: Emitter, axis: int, block: Ix, step: int, body: Callable[[Ix, int, Val | None], None],
        run: int = 0, between: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """`body(position, way, mask)` for all of an axis, or this unit's block of it, `step` elements at a time.

        With `run`, `between()` is called after at most `run` steps of each way.
        """
        n, ways = self.space.sizes[axis], self.unroll
        stride = step * ways
        main = n // stride * stride

        def steps(low: Any, high: Any) -> None:
            with k.loop(low, high, stride) as i:
                for way in range(ways):
                    body(i + way * step, way, None)

        def rest() -> None:
            whole = n // step * step
            for way, i in enumerate(range(main, whole, step)):
                body(Ix(i), way, None)
            if n > whole:
                body(Ix(whole), 0, k.first_lanes(n - whole, step))

        if self.cut == axis:
            low = block * self.block
            high = Ix.of(k.select(k.index(low + self.block) < main, k.index(low + self.block), main))
        else:
            low, high = Ix(0), Ix(main)
        long = self.block if self.cut == axis else main
        if between is not None and run and long > 2 * run * stride:
            with k.loop(low, high, run * stride) as start:
                end = k.index(start + run * stride)
                steps(start, Ix.of(k.select(end < k.index(high), end, k.index(high))))
                between()
        else:
            steps(low, high)
        if n > main:
            if self.cut == axis and self.blocks > 1:
                with k.when(k.equal(k.index(block), self.blocks - 1)):
                    rest()
            else:
                rest()
        if between is not None:
            between()

    def _evaluate(
        self, k: Emitter, wanted: Iterable[Node], env: dict[Node, Val], index: Mapping[int, Any], mask: Val | None,
        lanes: int = 0,
    ) -> None:  # fmt: skip
        """Compute what is wanted, and all that it needs and is not known yet, at a vector of places (or at `lanes`)."""
        place = [index.get(i, 0) for i in range(len(self.space.sizes))]
        for node in self._needed(wanted, env):
            args = []
            for x in node.inputs or ():
                if not isinstance(x, Node):
                    args.append(x)
                    continue
                member = self.shown.get(x, x)
                if member not in env:
                    env[member] = self._read(k, x, place, mask)
                args.append(env[member])
            alone = node.op.name in REDUCTIONS
            env[node] = self._alone(k, node, args) if alone else apply(k, node, args, lanes or self.lanes)

    def _alone(self, k: Emitter, node: Node, args: Sequence[Any]) -> Val:
        """A reduction over axes of size 1."""
        code = code_of(node.dtype)
        return k.const(0, code) if node.op.name in ("argmax", "argmin") else k.cast(args[0], code)

    def _read(self, k: Emitter, x: Node, place: Sequence[Any], mask: Val | None) -> Val:
        view = self.space.reads[x]
        return load(k, view, place, self.lanes, axis=self.axis, mask=mask, fixed=view.buffer not in self.writes)

    def _needed(self, wanted: Iterable[Node], env: Mapping[Node, Val]) -> list[Node]:
        """What must be computed to have what is wanted, in order; reductions are there already."""
        todo = [n for n in wanted if n not in env]
        found = set(todo)
        while todo:
            for x in self._inputs(todo.pop()):
                if x in self.stage and x not in env and x not in found and not self._reduces(x):
                    found.add(x)
                    todo.append(x)
        return [n for n in self.nodes if n in found and not self._reduces(n)]

    def _write(
        self, k: Emitter, node: Node, value: Val, index: Mapping[int, Any], lanes: int, mask: Val | None
    ) -> None:
        place = [index.get(i, 0) for i in range(len(self.space.sizes))]
        for view in self.space.writes.get(node, ()):
            along = view.shape[self.axis] > 1
            if along:
                store(k, view, place, k.spread(value, value.code, lanes), axis=self.axis, mask=mask)
            else:  # all lanes hold the same
                store(k, view, place, value if value.lanes == 1 else k.lane(value, 0), axis=self.axis)

    def _operand(self, k: Emitter, node: Node, env: dict[Node, Val], index: Mapping[int, Any], mask: Val | None) -> Val:
        """The input of a reduction at a vector of places."""
        x = next(x for x in node.inputs or () if isinstance(x, Node))
        member = self.shown.get(x, x)
        if member in self.stage:
            self._evaluate(k, [member], env, index, mask)
        elif member not in env:
            env[member] = self._read(k, x, [index.get(i, 0) for i in range(len(self.space.sizes))], mask)
        return k.spread(env[member], env[member].code, self.lanes)

    def _position(self, k: Emitter, node: Node, index: Mapping[int, Any]) -> Val | None:
        """Where the elements of a vector stand among those that argmax looks at."""
        if node.op.name not in ("argmax", "argmin"):
            return None
        sizes = [self.space.sizes[i] if i in self.space.reduced else 1 for i in range(len(self.space.sizes))]
        place = Ix(0)
        for i, s in enumerate(contiguous(sizes)):
            if i in self.space.reduced:
                place = place + Ix.of(index[i]) * s
        first = k.spread(k.index(place), "i8", self.lanes)
        return first + k.lane_numbers("i8", self.lanes) if self.inner else first

    def _range(self, k: Emitter, axis: int, block: Ix) -> tuple[Ix, Ix]:
        """The part of an axis that a unit walks."""
        n = self.space.sizes[axis]
        if self.cut != axis:
            return Ix(0), Ix(n)
        end = k.index(block * self.block + self.block)
        return block * self.block, Ix.of(k.select(end < n, end, n))

    def _stride(self, axis: int) -> int:
        return max((abs(v.strides[axis]) for v in self.space.reads.values()), default=0)
