"""A plan taken apart into its steps, each with an entry of its own: to time them, and to check them one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.memory import aligned, data_pointer
from .driver import Driver
from .invoke import Entry, written
from .lower.steps import Call, Step

if TYPE_CHECKING:
    from .native_plan import NativePlan

After = Callable[[Step, Sequence[Any], Sequence[Any]], None]


class Stepwise:
    """The steps of a plan, compiled one by one, with an arena of their own.

    Args:
        plan: the plan.
        after: called after each step with the step, the inputs and the outputs.
    """

    def __init__(self, plan: NativePlan, after: After | None = None) -> None:
        self.plan, self._after = plan, after
        self.memory = aligned(plan.arena.size + 64)
        self._held: list[Any] = []
        self.program: list[Entry | Call] = []
        program: list[Any] = []
        private = 0
        for step in plan.steps:
            if isinstance(step, Call):
                entry: Entry | Call = step
            else:
                code = Driver([step], plan.arena, plan.host, plan.target, plan.threads).code()
                private = max(private, code.private)
                entry = plan.entry(code)
            self.program.append(entry)
            program += [entry, (step,)]
        own = aligned(private * plan.threads + 64)
        self._held.append(own)
        for entry in self.program:
            if isinstance(entry, Entry):
                entry.table[:2] = data_pointer(self.memory), data_pointer(own)
        self._call = written(
            program, plan.inputs, plan.outputs, plan.optimised.outputs, plan.donated, self._step, None, _NoLock()
        )

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs; donated inputs are copied first."""
        return self._call([np.array(v) if np.ndim(v) else v for v in values])

    def _step(self, step: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        if isinstance(step, Call):
            self.plan.compute(step, inputs, outputs, self.memory)
        elif self._after is not None:
            self._after(step[0], inputs, outputs)

    def times(self, values: Sequence[Any], rounds: int = 25) -> list[float]:
        """Seconds that each step takes: the median of some rounds, without what calling one from Python costs."""
        held: list[tuple[Sequence[Any], Sequence[Any]]] = []
        before, self._after = self._after, lambda step, inputs, outputs: held.append((inputs, outputs))
        self(values)
        self._after = before
        inputs, outputs = held[-1] if held else ((), ())
        stamps = np.zeros((rounds, len(self.program)))
        for i in range(rounds + 3):
            for j, entry in enumerate(self.program):
                start = perf_counter_ns()
                if isinstance(entry, Call):
                    self.plan.compute(entry, inputs, outputs, self.memory)
                else:
                    entry.run(data_pointer(entry.table))
                stamps[i - 3, j] = perf_counter_ns() - start
        cost = {threads: self._cost(threads) for threads in {e.threads for e in self.program if isinstance(e, Entry)}}
        own = [cost[e.threads] if isinstance(e, Entry) else 0.0 for e in self.program]
        return [max(float(t) - c, 0.0) * 1e-9 for t, c in zip(np.median(stamps, axis=0), own, strict=True)]

    def _cost(self, threads: int) -> float:
        """Nanoseconds that a call of an entry takes that does nothing."""
        plan = self.plan
        code = Driver([], plan.arena, plan.host, plan.target, plan.threads).code()
        entry = plan.entry(code._replace(shared=threads > 1))
        taken = []
        for _ in range(200):
            start = perf_counter_ns()
            entry.run(data_pointer(entry.table))
            taken.append(perf_counter_ns() - start)
        return float(np.median(taken))


class _NoLock:
    """The lock of a function that only one thread calls."""

    def acquire(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""
