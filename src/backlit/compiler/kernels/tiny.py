"""`Tiny`: a graph of small tensors as one straight-line function, its values and its loops in registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...graph.graph import Graph
from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, code_of
from ..codegen.writer import Target
from .indexed import Status
from .kernel import Kernel
from .tiny_build import Builder, Unfit
from .tiny_loops import ask_all, every
from .tiny_memory import copied
from .tiny_ops import Contraction, Elementwise, Position, price
from .tiny_values import Base, Elements, Memory, ask, lanes_of, write
from .views import Buffer, View

#: Rounds of planning after which the layouts that loops carry are taken as they are.
ROUNDS = 4
#: Instructions, about, beyond which a graph is not tiny: code that runs once is no faster for being straight.
INSTRUCTIONS = 6000


class Tiny(Kernel):
    """All of a graph in one function that no threads share.

    Every input is read before any output is written, so these may lie in the same memory. What a loop stacks step by
    step is written where it is to be, if nothing is read there, else to memory of its own first.

    Args:
        graph: what it computes.
        reads: for each input of the graph where it lies.
        writes: numbers of outputs, each with a place where it goes.
        target: the processor.
        status: where it is noted that an index is out of range.
    """

    kind = "tiny"
    units = 1

    def __init__(
        self, graph: Graph, reads: Mapping[Node, View], writes: Sequence[tuple[int, View]], target: Target,
        status: Status | None = None,
    ) -> None:  # fmt: skip
        self.name = "tiny"
        self.graph, self.nodes = graph, graph.nodes
        self.reads = tuple(dict.fromkeys(v.buffer for v in reads.values()))
        self.writes = tuple(dict.fromkeys(v.buffer for _, v in writes))
        direct: dict[tuple[Node, int], View] = {}
        for number, view in writes:
            end = graph.outputs[number]
            if type(end) is Node and end.op.name == "pick" and view.buffer not in self.reads:
                direct.setdefault((end.inputs[0], end.params["index"]), view)  # type: ignore[index]
        noted = len(status.nodes) if status is not None else 0
        self._builder = Builder(target, direct, status)
        outputs = self._builder.build(graph, [self._builder.input(reads[n]) for n in graph.inputs])
        self._ends = [(outputs[number], view) for number, view in writes]
        #: What is handed through is set aside, in case that another output is written there.
        self._aside = {
            end.view: self._builder.room(end.view.shape, end.view.buffer.code)
            for end, _ in self._ends
            if isinstance(end, Memory) and end.view.buffer in self.reads
        }
        plan(self._builder, [x for x, _ in self._ends if isinstance(x, Elements)])
        self.private = self._builder.private
        self.flops = int(cost(self._builder))
        self.nbytes = sum(b.nbytes for b in self.reads) + sum(b.nbytes for b in self.writes)
        if status is not None and noted < len(status.nodes):
            self.writes = (*self.writes, status.buffer)

    def emit(self, k: Emitter) -> None:
        for view, room in self._aside.items():
            copied(k, view, room)
        for step in self._builder.block:
            step.emit(k)
        for end, view in self._ends:
            if isinstance(end, Memory):
                if end.view != view:
                    copied(k, self._aside.get(end.view, end.view), view)
            else:
                write(k, view, end, Ix(0))

    def source(self) -> Sequence[str]:
        return ["in registers:", *(f"    {line}" for line in str(self.graph).splitlines())]


def fits(graph: Graph, target: Target) -> bool:
    """Is a graph small enough for registers, and has every op in it a tiny form?"""
    builder = Builder(target)
    try:
        inputs = []
        for i, node in enumerate(graph.inputs):
            code = code_of(node.dtype)
            builder.check((), code)
            inputs.append(builder.input(View.whole(Buffer(f"x{i}", code, 0), node.shape)))
        outputs = builder.build(graph, inputs)
    except Unfit:
        return False
    plan(builder, [x for x in outputs if isinstance(x, Elements)])
    return cost(builder) <= INSTRUCTIONS


def plan(builder: Builder, ends: Sequence[Elements]) -> None:
    """Decide in which layouts everything is made: again, knowing what was asked for, until that stays the same."""
    bases = [s for s in every(builder.block) if isinstance(s, Base)]
    lanes = builder.target.vector_bytes // 4
    for _ in range(ROUNDS):
        for base in bases:
            base.hints, base.asked = base.asked, {}
        for end in ends:
            for piece in end.pieces(lanes_of(end.code, lanes)):
                ask(piece)
        ask_all(builder.block, lanes)
        if all(b.asked.keys() == b.hints.keys() for b in bases):
            break


def cost(builder: Builder) -> float:
    """Instructions of all steps, about, each counted once."""
    total = 0.0
    for step in every(builder.block):
        if isinstance(step, Elementwise):
            total += price(step.node) * len(step.made)
        elif isinstance(step, Contraction):
            total += sum(len(w.rounds) * len(step.operands) + 2 * len(w.partners) for w in step.ways.values())
        elif isinstance(step, Position):
            total += 4 * len(step.terms[0]) * len(step.made)
        elif isinstance(step, Base):
            total += len(step.made)
    return total
