"""`Kernel`: one native function of a plan; what all kinds of them have in common."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from ...graph.node import Node
from ..codegen.emitter import Emitter
from .views import Buffer


class Kernel:
    """One native function. It does units of work, which may be shared among threads in any way.

    Attributes:
        name: what it computes, unique in its plan once the plan has numbered it.
        nodes: the nodes of the graph that it computes, in order.
        reads, writes: the buffers it uses; one may be in both.
        units: how many units of work there are; the function does those from `lo` up to, not including, `hi`.
            No unit may read what another writes.
        grain: how many units are worth a thread of their own: with fewer for each, the kernel is not shared.
        flops: floating-point operations in all.
        nbytes: bytes that must be moved at least: each array read and written once.
        private: bytes of memory of its own that each thread needs, through the pointer `private`; 0 for none.
    """

    kind: ClassVar[str] = "kernel"

    name: str
    nodes: tuple[Node, ...]
    reads: tuple[Buffer, ...]
    writes: tuple[Buffer, ...]
    units: int
    grain: int = 1
    flops: int = 0
    nbytes: int = 0
    private: int = 0

    def emit(self, k: Emitter) -> None:
        """Write the body of the function. The pointer of a buffer is `%` and its name."""
        raise NotImplementedError

    def source(self) -> Sequence[str]:
        """The kernel as readable loops, for `plan.source`."""
        raise NotImplementedError

    def likeness(self) -> Hashable:
        """A key that only kernels with the same code have; None where that is not known."""
        return None

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """Every buffer it uses, once."""
        return tuple(dict.fromkeys((*self.reads, *self.writes)))


def pointer(buffer: Buffer) -> str:
    """A buffer's pointer within a kernel."""
    return f"%{buffer.name}"


def write(kernel: Kernel, emitter: Emitter) -> str:
    """The text of a kernel's function."""
    kernel.emit(emitter)
    return emitter.finish()
