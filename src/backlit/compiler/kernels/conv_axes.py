"""`Axis`: how one spatial axis of a convolution or a pooling is walked, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import gcd
from typing import Any, NamedTuple

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


class Axis(NamedTuple):
    """Position q of a window, tap k of it, and what they see: element `stride·q + dilation·k - lo` of the input.

    What the window makes is element `start + step·q` of the output, and its taps are those numbered
    `first + turn·k`. Forward `start`, `first` are 0 and `step`, `turn` 1. Backward every step-th element of the output
    has met the same taps, so for each such phase it is a window of its own over the cotangent, its taps turned round
    (Dumoulin & Visin, A guide to convolution arithmetic for deep learning, 2016, section 4).

    Attributes:
        positions: how many there are.
        taps: how many taps at each.
        size: elements of the input.
    """

    positions: int
    taps: int
    size: int
    stride: int = 1
    dilation: int = 1
    lo: int = 0
    start: int = 0
    step: int = 1
    first: int = 0
    turn: int = 1

    def place(self, q: Any, k: Any) -> Ix:
        """The element of the input that tap k sees from position q."""
        return Ix.of(q) * self.stride + Ix.of(k) * self.dilation - self.lo

    def made(self, q: Any) -> Ix:
        """The element of the output that position q makes."""
        return Ix.of(q) * self.step + self.start

    def sees(self, q: int, k: int) -> bool:
        """Does tap k see an element of the input from position q?"""
        return 0 <= self.stride * q + self.dilation * k - self.lo < self.size

    @property
    def inner(self) -> tuple[int, int]:
        """The first position from which all taps lie in the input, and the one after the last."""
        low = min(self.positions, max(0, -(-self.lo // self.stride)))
        last = (self.size - 1 + self.lo - self.dilation * max(self.taps - 1, 0)) // self.stride
        return (low, max(low, min(self.positions, last + 1))) if self.taps else (0, self.positions)

    @property
    def open(self) -> bool:
        """Do all taps lie in the input from every position?"""
        return self.inner == (0, self.positions)

    def taps_from(self, k: Emitter, q: Ix) -> tuple[Any, Any]:
        """The taps that see the input from position q: from the first up to, not including, the second."""
        if self.open:
            return 0, self.taps
        return _bounds(k, self.taps, self.dilation, q * self.stride - self.lo, self.size)

    def positions_of(self, k: Emitter, tap: Ix) -> tuple[Any, Any]:
        """The positions from which a tap sees the input: from the first up to, not including, the second."""
        if self.open:
            return 0, self.positions
        return _bounds(k, self.positions, self.stride, tap * self.dilation - self.lo, self.size)


def _bounds(k: Emitter, n: int, a: int, b: Ix, size: int) -> tuple[Any, Any]:
    """The v from 0 to n - 1 with 0 <= a·v + b < size."""
    if not b.terms:
        return max(0, -(b.const // a)), min(n, (size - 1 - b.const) // a + 1)
    zero, step = k.const(0, "i8"), k.const(a, "i8")
    low = k.maximum(k.index((a - 1) - b), zero)
    high = k.maximum(k.index((size - 1 + a) - b), zero)
    if a > 1:
        low, high = low / step, high / step
    return low, k.minimum(high, k.const(n, "i8"))


def geometry(node: Node) -> dict[str, Any]:
    """How the window of a convolution or a pooling goes, as `forward` and `phases` take it."""
    return {key: node.params[key] for key in ("stride", "padding", "dilation")}


def forward(
    size: Ints, out: Ints, kernel: Ints, *, stride: Ints, padding: Pairs, dilation: Ints
) -> tuple[Axis, ...]:  # fmt: skip
    """The spatial axes of a window that goes over an input of `size`."""
    return tuple(
        Axis(m, k, n, s, d, lo)
        for n, m, k, s, (lo, _), d in zip(size, out, kernel, stride, padding, dilation, strict=True)
    )


def phases(
    size: Ints, out: Ints, kernel: Ints, *, stride: Ints, padding: Pairs, dilation: Ints
) -> list[tuple[Axis, ...]]:  # fmt: skip
    """The same backward, as seen from the input: one set of axes for each phase of the strides."""
    each: list[Sequence[Axis]] = []
    for n, m, k, s, (lo, _), d in zip(size, out, kernel, stride, padding, dilation, strict=True):
        found = []
        for r in range(min(s, n)):
            count = (n - r - 1) // s + 1
            met = [t for t in range(k) if (lo + r - d * t) % s == 0]
            last = met[-1] if met else 0
            found.append(
                Axis(
                    count, len(met), m, 1, d // gcd(s, d), -((lo + r - d * last) // s), r, s, last, -(s // gcd(s, d))
                )
            )  # fmt: skip
        each.append(found)
    return list(product(*each))
