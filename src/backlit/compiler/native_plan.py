"""`NativePlan`: a graph as machine code. Nodes without a native form are computed by NumPy between its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.config import config
from ..base.errors import BacklitError, IndexRangeError
from ..graph.graph import Graph
from ..graph.infer import explain_failure
from ..graph.node import Node
from ..runtime import native
from ..runtime.host import Host
from ..runtime.memory import aligned, data_pointer
from . import pipeline
from .codegen.values import code_of
from .codegen.writer import Target
from .debug import Debug
from .driver import Code, Driver, worth_threads
from .invoke import Entry, Pointer, entered, written
from .kernels.views import Buffer, View
from .lower.region import Context, Region
from .lower.steps import Call, Step, kernels
from .memory import Arena, plan

if TYPE_CHECKING:
    from .report import Report


class NativePlan:
    """The function from the values of a graph's inputs to those of its outputs, as machine code.

    Args:
        graph: as it was traced.
        host: the machine.
        threads: how many threads a call uses at most.
        donated: output index -> index of the input whose memory that output takes.
        name: the name of the function, for listings.
    """

    def __init__(self, graph: Graph, host: Host, threads: int, donated: Mapping[int, int], name: str) -> None:
        self.graph, self.name, self.host = graph, name, host
        self.donated = dict(donated)
        fma, avx512 = host.has("fma") or "aarch64" in host.triple, host.vector_bytes == 64
        self.target = Target(host.vector_bytes, host.vector_registers, fma, avx512)
        self._debug = debug = Debug(name)
        self.optimised = pipeline.run(graph, debug.observer(graph))
        debug.stage("passes")
        self._lower(threads)
        if threads > 1 and not worth_threads(self.steps):
            self._lower(1)
        self._noted = np.zeros(1, np.int64)
        self.arena = plan(self.steps)
        debug.stage("kernels")
        self._codes: list[Code] = []
        self._held: list[Any] = []
        self._call = self._built()
        if config.get().check:
            self._call = self._checked(self._call)
        debug.done(self)

    def _lower(self, threads: int) -> None:
        """The optimised graph as steps for so many threads."""
        self.threads = threads
        context = Context(self.target, threads)
        self.inputs = [self._argument(context, n.name or f"x{i}", n, "input") for i, n in enumerate(self.graph.inputs)]
        self.outputs: list[View | None] = []
        for i, o in enumerate(self.optimised.outputs):
            given = self.donated.get(i)
            if given is not None:
                self.outputs.append(self.inputs[given])
            else:
                self.outputs.append(self._argument(context, f"out{i}", o, "output") if isinstance(o, Node) else None)
        self._status = context.status
        self.region = Region(context, self.optimised, self.inputs, self.outputs)
        self.steps = self.region.steps

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs, in order. Calls from several threads wait for one another."""
        return self._call(values)

    @staticmethod
    def _argument(context: Context, name: str, like: Any, kind: str) -> View:
        buffer = Buffer(context.names.unique(name), code_of(like.dtype), max(1, prod(like.shape)), kind)
        return View.whole(buffer, like.shape)

    def _built(self) -> Callable[[Sequence[Any]], list[Any]]:
        """Compile the native steps, in as many parts as calls to NumPy leave, and write the way into them."""
        program: list[Entry | Call] = []
        run: list[Step] = []
        for step in [*self.steps, None]:
            if step is not None and not isinstance(step, Call):
                run.append(step)
                continue
            if run:
                self._codes.append(Driver(run, self.arena, self.host, self.target, self.threads).code())
                self._debug.stage("code")
                program.append(self.entry(self._codes[-1]))
                run = []
            if step is not None:
                program.append(step)
        self._memory = aligned(self.arena.size + 64)
        private = aligned(max((c.private for c in self._codes), default=0) * self.threads + 64)
        self._held.append(private)
        for entry in program:
            if isinstance(entry, Entry):
                entry.table[:2] = data_pointer(self._memory), data_pointer(private)
        watched = self._check if self._status.nodes else None
        self._debug.stage("load")
        return written(
            program, self.inputs, self.outputs, self.optimised.outputs, self.donated, self.compute, watched, Lock()
        )

    def _checked(self, run: Callable[[Sequence[Any]], list[Any]]) -> Callable[[Sequence[Any]], list[Any]]:
        """A first call that checks every kernel before it runs."""
        from .checking import Checker

        def first(values: Sequence[Any]) -> list[Any]:
            Checker(self)(values)
            self._call = run
            return run(values)

        return first

    @property
    def noted(self) -> bool:
        """Was an index out of range in a run whose end was not reached?"""
        return bool(self._noted[0])

    def _check(self) -> None:
        """Raise the error for an index that was out of range."""
        if self._noted[0]:
            number, self._noted[0] = int(self._noted[0]), 0
            self.refuse(number)

    def refuse(self, number: int) -> None:
        """Raise the error for an index out of range of the node that has this number in the plan's status."""
        node = self._status.nodes[number - 1]
        raise IndexRangeError(
            f"{node.label}: an index is out of range for x of shape {next(node.parents).shape}. "
            "Call the function without compile to see which."
        )

    def entry(self, code: Code) -> Entry:
        """The way into native code, which is loaded."""
        compiled = native.cached_object(code.ir, self.host)
        self._debug.stage("LLVM")
        return entered(
            native.load(compiled, ["entry"]), self.threads if code.shared else 1, self.pointers(code), self._noted
        )

    def pointers(self, code: Code) -> list[Pointer]:
        """What native code is given, after the arena and the private memory."""
        given = {v.buffer: ("input", i) for i, v in enumerate(self.inputs)}
        taken = {v.buffer: ("output", i) for i, v in enumerate(self.outputs) if v is not None}
        known: dict[Buffer, Pointer] = taken | given
        return [
            ("status", 0) if b.kind == "status"
            else ("constant", np.asarray(b.value, order="C")) if b.kind == "constant"
            else known[b]
            for b in code.slots
        ]  # fmt: skip

    def compute(self, step: Call, arrays: Sequence[Any], results: Sequence[Any], memory: Any = None) -> None:
        """Run the NumPy kernel of a node on what lies in memory."""
        seen = self.seer(arrays, results, memory)
        values = [seen(x) if isinstance(x, View) else x for x in step.inputs]
        values = [v[()] if isinstance(v, np.ndarray) and not v.ndim else v for v in values]
        try:
            with np.errstate(all="ignore"):
                found = step.node.op.eval(*values, **step.node.params)
        except BacklitError as problem:
            raise type(problem)(f"{problem} [in {step.node.label}]") from problem
        except Exception as problem:
            self._explain(step, values, problem)
            raise
        outputs = self.region.results(step.node)
        several = found if step.node.op.results is not None else (found,)
        for value, view in zip(several, outputs, strict=True):
            if view is not None:
                seen(view)[...] = value

    @staticmethod
    def _explain(step: Call, values: Sequence[Any], problem: Exception) -> None:
        """Raise an error that names the node whose NumPy kernel failed."""
        try:
            explain_failure(step.node.op, values, step.node.params, problem)
        except BacklitError as explained:
            raise type(explained)(f"{explained} [in {step.node.label}]") from problem

    def seer(self, arrays: Sequence[Any], results: Sequence[Any], memory: Any = None) -> Callable[[View], np.ndarray]:
        """The function from a view to the array that it shows, during a call with these inputs and outputs."""
        memory = self._memory if memory is None else memory
        pairs = [*zip(self.inputs, arrays, strict=True), *zip(self.outputs, results, strict=True)]

        def seen(view: View) -> np.ndarray:
            buffer = view.buffer
            dtype = np.dtype(buffer.code)
            if buffer.kind == "scratch":
                at = self.arena.places[buffer]
                flat = memory[at : at + buffer.nbytes].view(dtype)
            elif buffer.kind == "constant":
                flat = np.asarray(buffer.value, order="C").reshape(-1)
            else:
                flat = next(a for v, a in pairs if v is not None and v.buffer is buffer).reshape(-1)
            strides = [s * dtype.itemsize for s in view.strides]
            return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)

        return seen

    @property
    def code(self) -> Code | None:
        """The native function that the whole plan is; None where NumPy computes parts of it, or all."""
        return self._codes[0] if len(self._codes) == 1 and not any(isinstance(s, Call) for s in self.steps) else None

    # --- reading -----------------------------------------------------------------------------------

    @cached_property
    def kernels(self) -> list[Any]:
        """The kernels, in the order in which they stand."""
        return kernels(self.steps)

    @property
    def source(self) -> str:
        """The plan as loops to read."""
        from .listing import listing

        return listing(self)

    @property
    def llvm(self) -> str:
        """The LLVM IR of all parts."""
        return "\n".join(c.ir for c in self._codes)

    @property
    def asm(self) -> str:
        """What the machine gets."""
        return "\n".join(native.emit_assembly(c.ir, self.host) for c in self._codes)

    def report(self, values: Sequence[Any] | None = None) -> Report:
        """The kernels with their operations, bytes, time and share of the machine's limit.

        Args:
            values: inputs to run on; random ones by default.
        """
        from .report import report

        return report(self, values)

    @property
    def passes(self) -> list[tuple[str, Graph]]:
        """The graph as it was traced, and as it is after each pass."""
        return pipeline.stages(self.graph)

    @property
    def memory(self) -> Arena:
        """How much memory the plan takes, and how much it would without sharing."""
        return self.arena

    def __repr__(self) -> str:
        return f"<plan of {self.name}: {len(self.kernels)} kernels, {self.arena.size} bytes>"
