"""`NativePlan`: a graph as machine code. Nodes without a native form are computed by NumPy between its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..runtime import native, pool
from ..runtime.host import Host
from ..runtime.memory import aligned, data_pointer
from . import pipeline
from .codegen.values import code_of
from .codegen.writer import Target
from .driver import Code, Driver
from .kernels.views import Buffer, View
from .lower.region import Context, Region
from .lower.steps import Call, Step, kernels
from .memory import Arena, plan


class Part:
    """Native steps between two calls to NumPy, compiled."""

    def __init__(self, code: Code, host: Host, threads: int) -> None:
        self.code, self.threads = code, threads if code.shared else 1
        self._loaded = native.load(native.cached_object(code.ir, host), ["entry"])
        self.entry = self._loaded.address("entry")
        self._direct = pool.direct(self.entry)

    def __call__(self, table: int) -> None:
        if self.threads == 1:
            self._direct(table)
        else:
            pool.run(self.entry, table, self.threads)


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
        self._outputs: list[View] = []
        for i, o in enumerate(self.optimised.outputs):
            given = self.donated.get(i)
            self._outputs.append(
                self._inputs[given] if given is not None else self._argument(context, f"out{i}", o, "output")
            )
        self.region = Region(context, self.optimised, self._inputs, self._outputs)
        self.steps = self.region.steps
        self.arena = plan(self.steps)
        self._lock = Lock()
        self._build()

    @staticmethod
    def _argument(context: Context, name: str, like: Any, kind: str) -> View:
        buffer = Buffer(context.names.unique(name), code_of(like.dtype), max(1, prod(like.shape)), kind)
        return View.whole(buffer, like.shape)

    def _build(self) -> None:
        """Compile the native steps, in as many parts as calls to NumPy leave."""
        self._program: list[Part | Call] = []
        run: list[Step] = []
        for step in [*self.steps, None]:
            if step is not None and not isinstance(step, Call):
                run.append(step)
                continue
            if run:
                code = Driver(run, self.arena, self.host, self.target, self.threads).code()
                self._program.append(Part(code, self.host, self.threads))
                run = []
            if step is not None:
                self._program.append(step)
        private = max((p.code.private for p in self._program if isinstance(p, Part)), default=0)
        self._memory = aligned(self.arena.size + 64)
        self._private = aligned(private * self.threads + 64)
        first = [data_pointer(self._memory), data_pointer(self._private)]
        place = {v.buffer: ("in", i) for i, v in enumerate(self._inputs)}
        for i, v in enumerate(self._outputs):
            if v is not None:
                place.setdefault(v.buffer, ("out", i))
        self._held: list[Any] = []
        self._tables: list[tuple[np.ndarray, list[tuple[int, str, int]]]] = []
        for p in self._program:
            if not isinstance(p, Part):
                continue
            table = np.zeros(2 + len(p.code.slots), np.uintp)
            table[:2] = first
            fill: list[tuple[int, str, int]] = []
            for slot, buffer in enumerate(p.code.slots, 2):
                if buffer.kind == "constant":
                    value = np.ascontiguousarray(buffer.value)
                    self._held.append(value)
                    table[slot] = data_pointer(value)
                else:
                    fill.append((slot, *place[buffer]))
            self._tables.append((table, fill))

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs, in order. Calls from several threads wait for one another."""
        arrays = [self._taken(v, view) for v, view in zip(values, self._inputs, strict=True)]
        results = [
            self.optimised.outputs[i] if view is None else arrays[self.donated[i]] if i in self.donated else self._room(view)
            for i, view in enumerate(self._outputs)
        ]
        with self._lock:
            tables = iter(self._tables)
            for p in self._program:
                if isinstance(p, Part):
                    table, fill = next(tables)
                    for slot, kind, i in fill:
                        table[slot] = data_pointer(arrays[i] if kind == "in" else results[i])
                    p(data_pointer(table))
                else:
                    self._compute(p, arrays, results)
        return [r[()] if type(r) is np.ndarray and not r.ndim else r for r in results]

    @staticmethod
    def _taken(value: Any, view: View) -> np.ndarray:
        array = np.asarray(value)
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)

    @staticmethod
    def _room(view: View) -> np.ndarray:
        return np.empty(view.shape, np.dtype(view.buffer.code))

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
            held = {
                v.buffer: a
                for v, a in [*zip(self._inputs, arrays, strict=True), *zip(self._outputs, results, strict=True)]
            }
            flat = held[buffer].reshape(-1)
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
        return "\n".join(p.code.ir for p in self._program if isinstance(p, Part))

    @property
    def asm(self) -> str:
        """What the machine gets."""
        return "\n".join(native.emit_assembly(p.code.ir, self.host) for p in self._program if isinstance(p, Part))

    @property
    def memory(self) -> Arena:
        """How much memory the plan takes, and how much it would without sharing."""
        return self.arena

    def __repr__(self) -> str:
        return f"<plan of {self.name}: {len(self.kernels)} kernels, {self.arena.size} bytes>"
