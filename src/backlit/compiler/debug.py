"""`BACKLIT_DEBUG=1..6`: what happens when a plan is made, on stderr. Each number shows what the smaller ones do, and

1: a line for each plan: its name, the time of each stage, kernels, memory;
2: the passes, with the number of nodes after each;
3: the graph after all passes;
4: the kernels as loops;
5: LLVM IR;
6: assembly.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from ..base.errors import ArgumentError
from ..graph.graph import Graph
from .pipeline import nested

if TYPE_CHECKING:
    from .native_plan import NativePlan


def level() -> int:
    """What `BACKLIT_DEBUG` asks for now; 0 for nothing."""
    wanted = os.environ.get("BACKLIT_DEBUG") or "0"
    if wanted not in ("0", "1", "2", "3", "4", "5", "6"):
        raise ArgumentError(f"BACKLIT_DEBUG={wanted}: give a number from 0 (nothing) to 6 (down to assembly).")
    return int(wanted)


class Debug:
    """Watches a plan being made, if it was asked for.

    Attributes:
        level: from 0 to 6.
    """

    def __init__(self, name: str) -> None:
        self.level, self.name = level(), name
        self._times: dict[str, float] = {}
        self._last = perf_counter()

    def stage(self, name: str) -> None:
        """A stage has ended."""
        now = perf_counter()
        self._times[name] = self._times.get(name, 0.0) + now - self._last
        self._last = now

    def observer(self, graph: Graph) -> Callable[[str, Graph], None] | None:
        """What the pipeline calls after each pass."""
        if self.level < 2:
            return None
        self._say(f"  {'traced':20} {_size(graph)}")
        return lambda name, after: self._say(f"  {name:20} {_size(after)}")

    def done(self, plan: NativePlan) -> None:
        """The plan is made: say all that was asked for."""
        if not self.level:
            return
        times = ", ".join(f"{name} {1e3 * t:.1f}" for name, t in self._times.items())
        total = 1e3 * sum(self._times.values())
        self._say(
            f"plan of {self.name}: {total:.1f} ms ({times}); {len(plan.kernels)} kernels, {plan.threads} thread(s), "
            f"arena {plan.arena.size} bytes for {plan.arena.naive}"
        )
        for number, part in ((3, "optimised"), (4, "source"), (5, "llvm"), (6, "asm")):
            if self.level >= number:
                self._say(str(getattr(plan, part)))

    @staticmethod
    def _say(text: str) -> None:
        print(text, file=sys.stderr)


def _size(graph: Graph) -> str:
    inner = sum(len(g.nodes) for g in nested(graph)) - len(graph.nodes)
    return f"{len(graph.nodes)} nodes{f' and {inner} in loops and branches' if inner else ''}"
