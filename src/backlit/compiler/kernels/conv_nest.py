"""What the kernels of convolutions and poolings share: units of work taken apart, loops over taps, products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from .body import Body
from .conv_axes import Axis
from .kernel import Kernel
from .views import Buffer, View

#: Operations that are worth a thread of their own; a fork and join costs about a microsecond.
WORTH = 400_000


def taken_apart(k: Emitter, unit: Ix, sizes: Sequence[int]) -> list[Ix]:
    """A unit's number as an index over `sizes`, the last running fastest."""
    found: list[Ix] = []
    rest = unit
    for size in reversed(sizes[1:]):
        if size == 1:
            found.append(Ix(0))
            continue
        number = k.index(rest)
        n = k.const(size, "i8")
        found.append(Ix.of(k.remainder(number, n)))
        rest = Ix.of(number / n)
    return [rest if sizes[0] > 1 else Ix(0), *reversed(found)]


@contextmanager
def taps(k: Emitter, axes: Sequence[Axis], q: Sequence[Ix]) -> Iterator[list[Ix]]:
    """Loops over the taps of some axes that see the input from the positions `q`."""
    with ExitStack() as stack:
        yield [stack.enter_context(k.loop(*axis.taps_from(k, at))) for axis, at in zip(axes, q, strict=True)]


@contextmanager
def positions(k: Emitter, axes: Sequence[Axis], tap: Sequence[Ix]) -> Iterator[list[Ix]]:
    """Loops over the positions of some axes from which the taps see the input."""
    with ExitStack() as stack:
        yield [stack.enter_context(k.loop(*axis.positions_of(k, at))) for axis, at in zip(axes, tap, strict=True)]


def times_plus(k: Emitter, a: Val, b: Val, c: Val) -> Val:
    """a · b + c; of float32 and float64 rounded once."""
    return k.fma(a, b, c) if a.code in ("f4", "f8") else a * b + c


def within(k: Emitter, place: Ix, size: int) -> tuple[Val, Ix]:
    """Is a place inside an axis, and the place moved into it."""
    at = k.index(place)
    inside = k.compare("ge", at, 0) & k.compare("lt", at, size)
    return inside, Ix.of(k.minimum(k.maximum(at, 0), size - 1))


def is_split(view: View, ndim: int) -> bool:
    """Is the batch axis split, so that samples lie in lanes?"""
    return len(view.shape) == ndim + 1


def in_pairs(groups: int, weights: Sequence[int], split: bool) -> bool:
    """Does each channel make one channel (a depthwise convolution), so that both can lie in lanes?"""
    return not split and groups > 1 and weights[0] == groups and weights[1] == 1


def with_lane(index: Sequence[Any], split: bool) -> list[Any]:
    """An index over (N, C, ...) as one over the axes of a view whose batch may be split."""
    return [index[0], 0, *index[1:]] if split else list(index)


def account(kernel: Kernel, operands: Sequence[View], body: Body, flops: int, elements: int) -> None:
    """Fill in what a kernel reads, writes and costs."""
    read = [v.buffer for v in operands] + [v.buffer for v in body.reads.values()]
    written = [v.buffer for views in body.writes.values() for v in views]
    kernel.reads = tuple(dict.fromkeys(read))
    kernel.writes = tuple(dict.fromkeys(written))
    kernel.flops = flops + body.flops * elements
    views = [*operands, *body.reads.values(), *(v for views in body.writes.values() for v in views)]
    kernel.nbytes = sum(_extent(v) * size_of(v.buffer.code) for v in views)
    kernel.grain = max(1, WORTH * kernel.units // max(kernel.flops, 1))


def _extent(view: View) -> int:
    return prod(n for n, s in zip(view.shape, view.strides, strict=True) if s)


def private(size: int, code: str) -> Buffer:
    """A thread's own memory as a buffer."""
    return Buffer("private", code, size)


def made(body: Body) -> str:
    """What a body makes of a sum, for `source`."""
    return " ; ".join(n.op.name for n in body.nodes) or "s"
