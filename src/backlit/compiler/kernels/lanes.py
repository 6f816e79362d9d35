"""Sums over lanes of many vectors at once."""

from __future__ import annotations

from collections.abc import Sequence

from ..codegen.emitter import Emitter
from ..codegen.values import Val


def sums(k: Emitter, vectors: Sequence[Val]) -> Val:
    """A vector with, in lane i, the sum of all lanes of `vectors[i]`.

    Pairs of vectors are folded into one that has half of the sum of each, until one is left: m vectors take about m
    additions. The lanes must be a power of two, and at least as many as there are vectors.
    """
    lanes = vectors[0].lanes
    m = 1 << (len(vectors) - 1).bit_length()
    rows = [*vectors, *(k.const(0, vectors[0].code, lanes) for _ in range(m - len(vectors)))]
    piece = lanes  # so many lanes in a row belong to one vector
    while len(rows) > 1:
        half = piece // 2
        # Vectors i and i + m/2 meet, so that in the end the pieces stand in the order of the vectors.
        firsts, seconds = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        rows = []
        for a, b in zip(firsts, seconds, strict=True):
            left, right = _places(lanes, piece, half)
            rows.append(k.shuffle(a, left, b) + k.shuffle(a, right, b))
        piece = half
    total = rows[0]
    while piece > 1:
        half = piece // 2
        total = total + k.shuffle(total, [min(i + half, lanes - 1) for i in range(lanes)])
        piece = half
    order = _order(lanes, m)
    return k.shuffle(total, [order[i] for i in range(len(vectors))])


def _places(lanes: int, piece: int, half: int) -> tuple[list[int], list[int]]:
    """Of two vectors, the first and the second half of each piece: those of the first vector's, then the second's."""
    starts = [v * lanes + p for p in range(0, lanes, piece) for v in (0, 1)]
    return [s + i for s in starts for i in range(half)], [s + half + i for s in starts for i in range(half)]


def _order(lanes: int, m: int) -> list[int]:
    """In which lane the sum of each vector ends up."""
    owners = [[i] for i in range(m)]
    while len(owners) > 1:
        firsts, seconds = owners[: len(owners) // 2], owners[len(owners) // 2 :]
        owners = [[x for pair in zip(a, b, strict=True) for x in pair] for a, b in zip(firsts, seconds, strict=True)]
    width = lanes // m
    return [owners[0].index(i) * width for i in range(m)]
