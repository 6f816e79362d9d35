"""`Report`: the kernels of a plan with their work, their time and their share of what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.extras import require
from ..base.units import as_bytes, as_count, as_time
from .driver import shares
from .limits import Limits, limits
from .lower.steps import Call, Loop, Run, Step, kernels
from .stepwise import Stepwise

if TYPE_CHECKING:
    from .native_plan import NativePlan


class Row(NamedTuple):
    """One step of a plan.

    Attributes:
        name: what it computes.
        kind: the kind of its kernel; "NumPy" where the op has no native form.
        flops: floating-point operations.
        nbytes: bytes that it must move at least, each array read or written once.
        seconds: the median time.
        share: the time that the machine needs at least for these operations or bytes, whichever is longer, as a
            fraction of `seconds`. Arrays that stay in the caches may bring it above 1.
        threads: how many threads share it.
    """

    name: str
    kind: str
    flops: float
    nbytes: float
    seconds: float
    share: float
    threads: int


class Report(NamedTuple):
    """What a plan does and how long it takes; print it, or draw it with `picture(path)`.

    Attributes:
        name: the function's.
        rows: the steps in order.
        limits: what the machine can do.
        peak: bytes of the arena.
        naive: bytes that all intermediate arrays would take side by side.
        threads: how many threads the plan may use.
    """

    name: str
    rows: list[Row]
    limits: Limits
    peak: int
    naive: int
    threads: int

    @property
    def seconds(self) -> float:
        """The time of all steps together."""
        return sum(r.seconds for r in self.rows)

    def __str__(self) -> str:
        width = max([len(r.name) for r in self.rows] + [6])
        lines = [
            f"{self.name}: {len(self.rows)} steps, {as_time(self.seconds)} on {self.threads} thread(s); arena "
            f"{as_bytes(self.peak)} for {as_bytes(self.naive)} of intermediate arrays",
            f"machine: {self.limits.flops / 1e9:.0f} GFLOP/s, {self.limits.bandwidth / 1e9:.0f} GB/s",
            f"{'kernel':{width}}  {'kind':12}  thr     FLOPs      bytes       time  share",
        ]
        for r in self.rows:
            lines.append(
                f"{r.name:{width}}  {r.kind[:12]:12}  {r.threads:3}  {as_count(r.flops):>8}  {as_bytes(r.nbytes):>9}  "
                f"{as_time(r.seconds):>9}  {100 * r.share:4.0f} %"
            )
        return "\n".join(lines)

    def picture(self, path: str) -> None:
        """Draw the time of each step, and within it the least time that the machine needs, to a file.

        Needs matplotlib: `pip install "backlit[plots]"`.
        """
        require("matplotlib", "plots")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 1.2 + 0.3 * len(self.rows)), layout="constrained")
        axes = figure.subplots()
        names = [r.name for r in self.rows]
        places = np.arange(len(names))
        axes.barh(places, [r.seconds * 1e6 for r in self.rows], color="#c9d3e0", label="time")
        least = [min(r.share, 1.0) * r.seconds * 1e6 for r in self.rows]
        axes.barh(places, least, color="#2f6db5", height=0.45, label="least time the machine needs")
        axes.set_yticks(places, names, fontsize=8)
        axes.invert_yaxis()
        longest = max([r.seconds for r in self.rows], default=0.0) * 1e6
        for place, r in enumerate(self.rows):
            text = f"{as_time(r.seconds)}, {100 * r.share:.0f} %" + (f", {r.threads} threads" if r.threads > 1 else "")
            axes.text(r.seconds * 1e6 + 0.01 * longest, place, text, va="center", fontsize=7, color="#555555")
        axes.set_xlim(0, 1.3 * longest or 1.0)
        axes.set_xlabel("microseconds; beside the bars the share of what the machine can do")
        axes.set_title(
            f"{self.name}: {as_time(self.seconds)} on {self.threads} thread(s), arena {as_bytes(self.peak)}\n"
            f"machine: {self.limits.flops / 1e9:.0f} GFLOP/s, {self.limits.bandwidth / 1e9:.0f} GB/s",
            fontsize=9,
        )
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path)


def report(plan: NativePlan, values: Sequence[Any] | None = None, rounds: int = 25) -> Report:
    """Time the steps of a plan one by one, on given inputs or on random ones."""
    from .pipeline import sample

    rng = np.random.default_rng(0)
    inputs = sample(plan.graph, rng) if values is None else list(values)
    stepwise = Stepwise(plan)
    times = stepwise.times(inputs, rounds)
    bound = limits(plan.host, plan.target, plan.threads)
    rows = [_row(step, seconds, bound, plan.threads) for step, seconds in zip(plan.steps, times, strict=True)]
    return Report(plan.name, rows, bound, plan.arena.size, plan.arena.naive, plan.threads)


def _row(step: Step, seconds: float, bound: Limits, threads: int) -> Row:
    flops, nbytes = _work(step)
    inside = kernels([step])
    most = max((threads if shares(k, threads) else 1 for k in inside), default=1)
    least = max(flops / bound.flops, nbytes / bound.bandwidth)
    if isinstance(step, Run):
        name, kind = step.kernel.name, step.kernel.kind
    elif isinstance(step, Call):
        name, kind = step.node.op.name, "NumPy"
    else:
        name, kind = f"{type(step).__name__.lower()} of {len(inside)} kernels", type(step).__name__.lower()
    return Row(name, kind, flops, nbytes, seconds, least / seconds if seconds else 0.0, most)


def _work(step: Step) -> tuple[float, float]:
    """Operations and bytes of a step; of a `while`, one turn."""
    if isinstance(step, Run):
        return step.kernel.flops, step.kernel.nbytes
    if isinstance(step, Loop):
        inside = [_work(s) for s in step.body]
        return step.turns * sum(f for f, _ in inside), step.turns * sum(b for _, b in inside)
    inside = [(float(k.flops), float(k.nbytes)) for k in kernels([step])]
    return sum(f for f, _ in inside), sum(b for _, b in inside)
