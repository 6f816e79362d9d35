"""Steps: what a plan does, in order. Kernels, loops of steps, branches, and calls back to NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Union

from ...graph.node import Node
from ..kernels.kernel import Kernel
from ..kernels.views import Buffer, View


class Run(NamedTuple):
    """Run a kernel."""

    kernel: Kernel


class Loop(NamedTuple):
    """Do steps so many times; in each turn the moving buffers are one slice further."""

    turns: int
    body: list[Step]
    moving: list[Buffer]


class While(NamedTuple):
    """Do `test`; as long as the boolean at `flag` holds after it, do `body` and begin again."""

    test: list[Step]
    flag: View
    body: list[Step]


class Branch(NamedTuple):
    """Do one of two lists of steps, as the boolean (or integer) at `flag` says."""

    flag: View
    yes: list[Step]
    no: list[Step]


class Call(NamedTuple):
    """Compute a node by its NumPy kernel: its op has no native form."""

    node: Node
    inputs: list[View | object]
    outputs: list[View]


Step = Union[Run, Loop, While, Branch, Call]  # noqa: UP007 (the classes above name it before it is made)


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, those inside others too, in the order in which they stand."""
    for step in steps:
        yield step
        if isinstance(step, Loop):
            yield from walk(step.body)
        elif isinstance(step, While):
            yield from walk(step.test)
            yield from walk(step.body)
        elif isinstance(step, Branch):
            yield from walk(step.yes)
            yield from walk(step.no)


def kernels(steps: Sequence[Step]) -> list[Kernel]:
    """All kernels of some steps."""
    return [s.kernel for s in walk(steps) if isinstance(s, Run)]
