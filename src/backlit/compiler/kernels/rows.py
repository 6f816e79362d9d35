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

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from math import prod
from typing import Any

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, code_of, size_of
from ..codegen.writer import Target
from .alike import Likeness
from .body import apply, load, store
from .kernel import Kernel
from .reducing import Accumulator, result, together
from .space import Space
from .text import rows_text
from .views import Buffer, View, contiguous

#: Elements of one operation that are worth a thread of their own.
WORTH = 8192

#: A body that costs more than so many additions is computed on so many registers at once.
HEAVY, WIDE = 32, 4

#: A row of at most as many vectors stays in registers (or is spilled to the stack, which costs little).
RESIDENT = 16

#: As many values are added one by one; then the sum is put away and another begun, so that errors stay small: no larger
#: than in NumPy's pairwise sums, which begin with as many.
RUN = 16

Place = Any


class Rows(Kernel):
    """Elementwise nodes and reductions over one index space.

    Args:
        name: of the kernel.
        space: the index space, in its simplest form, with views of what is read and written.
        nodes: what is computed, in order.
        shown: for each node that is only a reshape of one computed here, that one.
        target: the processor.
        pieces: the results of reductions are complete only when all blocks are brought together.
    """

    kind = "rows"

    def __init__(
        self, name: str, space: Space, nodes: Sequence[Node], shown: Mapping[Node, Node], target: Target,
        pieces: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.space, self.nodes, self.shown, self.target = name, space, tuple(nodes), dict(shown), target
        self.stage = self._stages()
        self.last = max([self.stage[n] for n in nodes if space.full(n)], default=0)
        self.reductions = [n for n in nodes if n.op.name in _REDUCTIONS]
        self.axis = self._lane_axis()
        code = self._code()
        self.lanes = min(target.lanes(code), _power_of_two(space.sizes[self.axis])) * self._widening(target.lanes(code))
        self.unroll = self._unrolling()
        self.inner = self.axis in space.reduced or not space.reduced
        self.cut: int | None = None
        self.block = self.blocks = 1
        self.columns = 1
        self._plan_units(pieces)
        #: For each reduction that is cut into blocks the buffers of its partial results, one row for each block: for
        #: `argmax` and `argmin` the best values and their places.
        self.partials: dict[Node, tuple[Buffer, ...]] = {}
        if pieces:
            rows = prod(space.sizes[i] for i in space.kept)
            for n in self.reductions:
                codes = [self._taken(n), "i8"] if n.op.name in ("argmax", "argmin") else [code_of(n.dtype)]
                names = [f"{name}_{n.op.name}_{len(self.partials)}{'_at' * i}" for i in range(len(codes))]
                self.partials[n] = tuple(map(Buffer, names, codes, [self.blocks * rows] * len(codes)))
        written = [v.buffer for vs in space.writes.values() for v in vs]
        self.writes = tuple(dict.fromkeys([*written, *(b for bs in self.partials.values() for b in bs)]))
        self.reads = tuple(dict.fromkeys(v.buffer for v in space.reads.values()))
        self.flops = sum(prod(space.sizes[i] for i in self._extent(n)) * cost(n) for n in nodes)
        self.nbytes = sum(b.nbytes for b in (*self.reads, *self.writes))

    def likeness(self) -> Hashable:
        """A key that only kernels with the same code have."""
        space, alike = self.space, Likeness(self.buffers)
        alike.add(self.nodes, space.reads, space.writes, self.shown)
        axes = tuple(tuple(sorted(space.axes[n])) for n in self.nodes)
        partial = tuple(alike.number(n) for n in self.partials)
        return alike.key("rows", space.sizes, tuple(sorted(space.reduced)), axes, partial)

    # --- planning ----------------------------------------------------------------------------------

    def _extent(self, node: Node) -> frozenset[int]:
        if node.op.name in _REDUCTIONS:
            return self.space.axes[node] | self.space.reduced
        return self.space.axes[node]

    def _inputs(self, node: Node) -> list[Node]:
        return [self.shown.get(x, x) for x in node.inputs or () if isinstance(x, Node)]

    def _stages(self) -> dict[Node, int]:
        stage: dict[Node, int] = {}
        for node in self.nodes:
            before = [stage[x] + self._reduces(x) for x in self._inputs(node) if x in stage]
            stage[node] = max(before, default=0)
        return stage

    def _lane_axis(self) -> int:
        space = self.space
        best = space.lane_axis()
        if space.reduced and self.last > 0 and best not in space.reduced:
            best = max(space.reduced)
        return best

    def _code(self) -> str:
        """The dtype that sets the number of lanes: the widest floating-point one, or else the widest."""
        codes = [code_of(n.dtype) for n in self.nodes if n.op.name not in ("argmax", "argmin")]
        codes += [v.buffer.code for v in self.space.reads.values()]
        floats = [c for c in codes if c[0] == "f"]
        return max(floats or codes or ["f4"], key=size_of)

    def _weight(self) -> int:
        """What the full values cost for each element, in additions."""
        return sum(cost(n) for n in self.nodes if self.space.full(n))

    def _widening(self, lanes: int) -> int:
        """How many registers make one vector: several for a long body, so that their chains of operations overlap."""
        n = self.space.sizes[self.axis]
        along = not self.space.reduced or (self.axis in self.space.reduced and n > RESIDENT * lanes)
        return WIDE if along and self._weight() > HEAVY and n >= 4 * WIDE * lanes else 1

    def _unrolling(self) -> int:
        weight = self._weight()
        if self.lanes > self.target.lanes(self._code()):
            return 1
        return 4 if weight <= 8 else 2 if weight <= 40 else 1

    def _plan_units(self, pieces: bool) -> None:
        space, n = self.space, self.space.sizes[self.axis]
        weight = sum(cost(m) for m in self.nodes) or 1
        step = self.lanes * self.unroll
        self.rows = [i for i in space.kept if i != self.axis]
        units = prod(space.sizes[i] for i in self.rows)
        if pieces:
            self.cut = max(space.reduced, key=lambda i: space.sizes[i])
            size = space.sizes[self.cut]
            step = step if self.cut == self.axis else self.unroll
            self.block = max(step, -(-size // 64 // step) * step)
            self.blocks = -(-size // self.block)
            units *= self.blocks
        elif not space.reduced and units < 64 and n > 4 * step:
            self.cut = self.axis
            self.block = max(step, min(-(-n // step), -(-4096 // (step * weight)) + 1) * step)
            self.blocks = -(-n // self.block)
            units *= self.blocks
        if not self.inner:
            vectors = -(-n // self.lanes)
            self.columns = max(1, min(4 if len(self.reductions) < 3 else 2, vectors // 2 if units < 8 else vectors))
            self.groups = -(-vectors // self.columns)
            units *= self.groups
        self.units = max(units, 0)
        total = prod(space.sizes) * (weight + 1) / 2
        self.grain = max(1, -(-int(WORTH * units) // max(1, int(total))))

    # --- emission ----------------------------------------------------------------------------------

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
            alone = node.op.name in _REDUCTIONS
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

    def _reduces(self, node: Node) -> bool:
        return node.op.name in _REDUCTIONS and bool(self.space.reduced)

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

    def _position(self, k: Emitter, node: Node, index: Mapping[int, Any], along: bool) -> Val | None:
        """Where the elements of a vector stand among those that argmax looks at."""
        if node.op.name not in ("argmax", "argmin"):
            return None
        sizes = [self.space.sizes[i] if i in self.space.reduced else 1 for i in range(len(self.space.sizes))]
        place = Ix(0)
        for i, s in enumerate(contiguous(sizes)):
            if i in self.space.reduced:
                place = place + Ix.of(index[i]) * s
        first = k.spread(k.index(place), "i8", self.lanes)
        return first + k.lane_numbers("i8", self.lanes) if along else first

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
            for r in reductions:
                x = self._operand(k, r, env, at, mask)
                gathered[r].add(j, x, self._position(k, r, at, True), mask)
            self._evaluate(k, stored, env, at, mask)
            for node in stored:
                self._write(k, node, env[node], at, lanes, mask)
        return {r: together(k, r, a.total()) for r, a in gathered.items()}

    def _pass(
        self, k: Emitter, index: dict[int, Any], block: Ix, others: Sequence[int], row: dict[Node, Val],
        reductions: Sequence[Node], stored: Sequence[Node],
    ) -> dict[Node, list[Val]]:  # fmt: skip
        lanes = self.lanes
        inner = {r: Accumulator(k, r, self._taken(r), lanes, self.unroll) for r in reductions}
        long = prod(self.space.sizes[i] for i in self.space.reduced) > 2 * RUN * lanes * self.unroll
        outer = {r: Accumulator(k, r, self._taken(r), lanes, self.unroll, long) for r in reductions} if long else {}

        def walk(axes: Sequence[int], at: dict[int, Any]) -> None:
            if axes:
                low, high = self._range(k, axes[0], block)
                with k.loop(low, high) as i:
                    walk(axes[1:], {**at, axes[0]: i})
                return

            def body(i: Ix, way: int, mask: Val | None) -> None:
                env = dict(row)
                here = {**at, self.axis: i}
                for r in reductions:
                    x = self._operand(k, r, env, here, mask)
                    inner[r].add(way, x, self._position(k, r, here, True), mask)
                self._evaluate(k, stored, env, here, mask)
                for node in stored:
                    self._write(k, node, env[node], here, lanes, mask)

            def between() -> None:
                for r, total in outer.items():
                    total.absorb(inner[r])

            self._sweep(k, self.axis, block, lanes, body, RUN, between if outer else None)

        walk(others, index)
        return {r: together(k, r, (outer or inner)[r].total()) for r in reductions}

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

        def walk(rest: Sequence[int], at: dict[int, Any]) -> None:
            if len(rest) > 1:
                low, high = self._range(k, rest[0], block)
                with k.loop(low, high) as i:
                    walk(rest[1:], {**at, rest[0]: i})
                return

            def body(i: Ix, way: int, _: Val | None) -> None:
                for (start, mask), gathered in zip(places, sums, strict=True):
                    env: dict[Node, Val] = {}
                    here = {**at, rest[0]: i, self.axis: start}
                    for r in self.reductions:
                        x = self._operand(k, r, env, here, mask)
                        gathered[r].add(way, x, self._position(k, r, here, False))
                    self._evaluate(k, stored, env, here, mask)
                    for node in stored:
                        self._write(k, node, env[node], here, self.lanes, mask)

            self._sweep(k, rest[0], block, 1, body, RUN, between if long else None)

        walk(axes, index)
        for (start, mask), gathered in zip(places, totals or sums, strict=True):
            row: dict[Node, Val] = {}
            states = {r: a.total() for r, a in gathered.items()}
            self._finish(k, states, row, {**index, self.axis: start}, block, 0, mask)

    def _range(self, k: Emitter, axis: int, block: Ix) -> tuple[Ix, Ix]:
        """The part of an axis that a unit walks."""
        n = self.space.sizes[axis]
        if self.cut != axis:
            return Ix(0), Ix(n)
        end = k.index(block * self.block + self.block)
        return block * self.block, Ix.of(k.select(end < n, end, n))

    def _stride(self, axis: int) -> int:
        return max((abs(v.strides[axis]) for v in self.space.reads.values()), default=0)

    def _taken(self, node: Node) -> str:
        """The dtype of what a reduction takes in."""
        return code_of(next(x for x in node.inputs or () if isinstance(x, Node)).dtype)

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
            if not self.space.full(m) and m.op.name not in _REDUCTIONS and m not in row
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

    # --- reading -----------------------------------------------------------------------------------

    def source(self) -> list[str]:
        """The kernel as loops, vectors written as ranges."""
        return rows_text(self, _REDUCTIONS)


_REDUCTIONS = frozenset(("sum", "prod", "max", "min", "any", "all", "argmax", "argmin"))


def cost(node: Node) -> int:
    """What a node costs for each element, in additions."""
    return 8 if "dear" in node.op.traits else 1


def _power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(0, n - 1).bit_length()
