"""A plan as text to read: its steps in order, loops and branches indented, each kernel with the lines it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..graph.node import Node
from .driver import shares
from .kernels.kernel import Kernel
from .kernels.views import Buffer
from .lower.steps import Branch, Call, Loop, Run, Step, While

if TYPE_CHECKING:
    from .native_plan import NativePlan

#: So many lines of the user's program are named at a kernel.
PLACES = 4


def listing(plan: NativePlan) -> str:
    """The plan as loops with the names of its graph."""
    arguments = ", ".join(_buffer(v.buffer, v.shape) for v in plan.inputs)
    results = ", ".join(_buffer(v.buffer, v.shape) if v is not None else "constant" for v in plan.outputs)
    head = [f"{plan.name}({arguments}) -> {results}"]
    lines: list[str] = []
    for text in _steps(plan.steps, plan.threads):
        lines += ["", text] if not text.startswith(" ") else [text]  # an empty line before each outer step
    return "\n".join([*head, *lines])


def _buffer(buffer: Buffer, shape: Sequence[int]) -> str:
    return f"{buffer.name}: {buffer.code}{list(shape)}"


def _steps(steps: Sequence[Step], threads: int) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Run):
            yield from _kernel(step.kernel, threads)
        elif isinstance(step, Call):
            outputs = ", ".join(v.buffer.name for v in step.outputs)
            yield f"{outputs} = NumPy's {step.node.op.name}  # {step.node.line}"
        elif isinstance(step, Loop):
            yield f"repeat {step.turns} times:"
            for b in step.moving:
                if b.of is not None:
                    yield f"    {b.name} = slice of {b.of.buffer.name}, {b.step:+} elements a turn"
            yield from _indented(step.body, threads)
        elif isinstance(step, While):
            yield "repeat:"
            yield from _indented(step.test, threads)
            yield f"    if not {step.flag.buffer.name}: leave"
            yield from _indented(step.body, threads)
        else:
            yield from _branch(step, threads)


def _branch(step: Branch, threads: int) -> Iterator[str]:
    yield f"if {step.flag.buffer.name}:"
    yield from _indented(step.yes, threads)
    if step.no:
        yield "else:"
        yield from _indented(step.no, threads)


def _indented(steps: Sequence[Step], threads: int) -> Iterator[str]:
    yield from (f"    {text}" for text in _steps(steps, threads))


def _kernel(kernel: Kernel, threads: int) -> Iterator[str]:
    who = f", on {threads} threads" if shares(kernel, threads) else ""
    yield f"{kernel.name}:  # {kernel.kind}{who}{places(kernel.nodes)}"
    yield from (f"  {text}" if not text.startswith("  ") else text for text in kernel.source())


def places(nodes: Sequence[Node]) -> str:
    """The lines of the user's program that nodes come from: `; train.py:12, 13, model.py:5`."""
    found = list(dict.fromkeys(n.line for n in nodes if n.line))
    shown: list[str] = []
    before = ""
    for line in found[:PLACES]:
        file, _, number = line.rpartition(":")
        shown.append(number if file and file == before else line)
        before = file
    more = f" and {len(found) - PLACES} more" if len(found) > PLACES else ""
    return f"; {', '.join(shown)}{more}" if shown else ""
