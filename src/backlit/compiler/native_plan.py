"""`NativePlan`: a graph as machine code. Nodes without a native form are computed by NumPy between its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from ..base.errors import IndexRangeError
from ..graph.graph import Graph
from ..graph.node import Node
from ..runtime import native, pool
from ..runtime.host import Host
from ..runtime.memory import aligned, data_pointer
from . import pipeline
from .codegen.values import code_of
from .codegen.writer import Target
from .driver import Code, Driver
from .invoke import Entry, written
from .kernels.views import Buffer, View
from .lower.region import Context, Region
from .lower.steps import Call, Step, kernels
from .memory import Arena, plan


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
        self.graph, self.name, self.host, self.threads = graph, name, host, threads
        self.donated = dict(donated)
        self.target = Target(host.vector_bytes, host.vector_registers, host.has("fma") or "aarch64" in host.triple)
        self.optimised = pipeline.run(graph)
        context = Context(self.target, threads)
        self._inputs = [self._argument(context, n.name or f"x{i}", n, "input") for i, n in enumerate(graph.inputs)]
        self._outputs: list[View | None] = []
        for i, o in enumerate(self.optimised.outputs):
            given = self.donated.get(i)
            if given is not None:
                self._outputs.append(self._inputs[given])
            else:
                self._outputs.append(self._argument(context, f"out{i}", o, "output") if isinstance(o, Node) else None)
        self._status = context.status
        self._noted = np.zeros(1, np.int64)
        self.region = Region(context, self.optimised, self._inputs, self._outputs)
        self.steps = self.region.steps
        self.arena = plan(self.steps)
        self._codes: list[Code] = []
        self._held: list[Any] = []
        self._call = self._built()

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
                program.append(self._entry(self._codes[-1]))
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
        return written(
            program, self._inputs, self._outputs, self.optimised.outputs, self.donated, self._compute, watched, Lock()
        )

    def _check(self) -> None:
        """Raise the error for an index that was out of range."""
        if self._noted[0]:
            node = self._status.nodes[int(self._noted[0]) - 1]
            self._noted[0] = 0
            raise IndexRangeError(
                f"{node.label}: an index is out of range for x of shape {next(node.parents).shape}. "
                "Call the function without compile to see which."
            )

    def _entry(self, code: Code) -> Entry:
        loaded = native.load(native.cached_object(code.ir, self.host), ["entry"])
        self._held.append(loaded)
        address = loaded.address("entry")
        threads = self.threads if code.shared else 1
        run = pool.direct(address) if threads == 1 else lambda table: pool.run(address, table, threads)
        entry = Entry(run, 2 + len(code.slots))
        given = {v.buffer: i for i, v in enumerate(self._inputs)}
        taken = {v.buffer: i for i, v in enumerate(self._outputs) if v is not None}
        for slot, buffer in enumerate(code.slots, 2):
            if buffer.kind == "status":
                entry.table[slot] = data_pointer(self._noted)
            elif buffer.kind == "constant":
                value = np.ascontiguousarray(buffer.value)
                self._held.append(value)
                entry.table[slot] = data_pointer(value)
            elif buffer in given:
                entry.inputs.append((slot, given[buffer]))
            else:
                entry.outputs.append((slot, taken[buffer]))
        return entry

    def _compute(self, step: Call, arrays: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        """Run the NumPy kernel of a node on what lies in memory."""
        values = [self._seen(x, arrays, results) if isinstance(x, View) else x for x in step.inputs]
        values = [v[()] if isinstance(v, np.ndarray) and not v.ndim else v for v in values]
        with np.errstate(all="ignore"):
            found = step.node.op.eval(*values, **step.node.params)
        outputs = self.region.results(step.node)
        several = found if step.node.op.results is not None else (found,)
        for value, view in zip(several, outputs, strict=True):
            if view is not None:
                self._seen(view, arrays, results)[...] = value

    def _seen(self, view: View, arrays: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> np.ndarray:
        """The array that a view shows, wherever it lies."""
        buffer = view.buffer
        dtype = np.dtype(buffer.code)
        if buffer.kind == "scratch":
            at = self.arena.places[buffer]
            flat = self._memory[at : at + buffer.nbytes].view(dtype)
        elif buffer.kind == "constant":
            flat = np.ascontiguousarray(buffer.value).reshape(-1)
        else:
            pairs = [*zip(self._inputs, arrays, strict=True), *zip(self._outputs, results, strict=True)]
            flat = next(a for v, a in pairs if v is not None and v.buffer is buffer).reshape(-1)
        strides = [s * dtype.itemsize for s in view.strides]
        return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)

    # --- reading -----------------------------------------------------------------------------------

    @cached_property
    def kernels(self) -> list[Any]:
        """The kernels, in the order in which they stand."""
        return kernels(self.steps)

    @property
    def source(self) -> str:
        """The plan as loops to read."""
        return "\n".join(line for k in self.kernels for line in [f"{k.name}:", *k.source()])

    @property
    def llvm(self) -> str:
        """The LLVM IR of all parts."""
        return "\n".join(c.ir for c in self._codes)

    @property
    def asm(self) -> str:
        """What the machine gets."""
        return "\n".join(native.emit_assembly(c.ir, self.host) for c in self._codes)

    @property
    def memory(self) -> Arena:
        """How much memory the plan takes, and how much it would without sharing."""
        return self.arena

    def __repr__(self) -> str:
        return f"<plan of {self.name}: {len(self.kernels)} kernels, {self.arena.size} bytes>"
