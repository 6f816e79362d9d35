"""How a `Rows` kernel is computed: along which axis its vectors run, how long they are, what a unit of work is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import prod

from ...graph.node import Node
from ..codegen.values import code_of, size_of
from ..codegen.writer import Target
from .alike import Likeness
from .kernel import Kernel
from .space import Space
from .text import rows_text
from .views import Buffer

#: Elements of one operation that are worth a thread of their own.
WORTH = 8192

#: A body that costs more than so many additions is computed on so many registers at once.
HEAVY, WIDE = 32, 4

#: A row of at most as many vectors stays in registers (or is spilled to the stack, which costs little).
RESIDENT = 16

#: As many values are added one by one; then the sum is put away and another begun, so that errors stay small: no larger
#: than in NumPy's pairwise sums, which begin with as many.
RUN = 16


class RowPlan(Kernel):
    """The plan of elementwise nodes and reductions over one index space.

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
        self.reductions = [n for n in nodes if n.op.name in REDUCTIONS]
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
        if node.op.name in REDUCTIONS:
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

    def _reduces(self, node: Node) -> bool:
        return node.op.name in REDUCTIONS and bool(self.space.reduced)

    def _taken(self, node: Node) -> str:
        """The dtype of what a reduction takes in."""
        return code_of(next(x for x in node.inputs or () if isinstance(x, Node)).dtype)

    # --- reading -----------------------------------------------------------------------------------

    def source(self) -> list[str]:
        """The kernel as loops, vectors written as ranges."""
        return rows_text(self, REDUCTIONS)


REDUCTIONS = frozenset(("sum", "prod", "max", "min", "any", "all", "argmax", "argmin"))


def cost(node: Node) -> int:
    """What a node costs for each element, in additions."""
    return 8 if "dear" in node.op.traits else 1


def _power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(0, n - 1).bit_length()
