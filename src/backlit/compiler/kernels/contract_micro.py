"""The inner loops of a matrix product: a tile of results in registers, with the lanes along its columns or along k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from ..codegen.writer import Var
from .contract_tile import chains as chains_of

#: The element of an operand (or the vector that begins there): row or column of the tile, and k.
Operand = Callable[[int, Ix], Val]


def multiply_add(k: Emitter, into: Var, a: Val, b: Val) -> None:
    """into += a · b, rounded once where the dtype is a float."""
    total = into.get()
    into.set(k.fma(a, b, total) if total.code[0] == "f" else total + a * b)


def outer_tile(
    k: Emitter, code: str, lanes: Sequence[int], height: int, low: Ix, high: Ix, deep: int, lhs: Operand, rhs: Operand,
    meanwhile: tuple[int, Callable[[Ix], None]] | None = None,
) -> list[list[Val]]:  # fmt: skip
    """The sums over k from `low` to `high` for `height` rows and a vector of `lanes[q]` columns for each q.

    Args:
        deep: k up to which the sum goes in the end; the same as `high` where k is not cut into blocks.
        meanwhile: in how many parts the sum is cut, and what is done before each of them, which gets its number; only
            where k is not cut into blocks.
    """
    chains = max(1, min(chains_of(height * len(lanes)), deep))
    tile = [
        [[k.var(k.const(0, code, n)) for n in lanes] for _ in range(height)]
        for _ in range(chains)
    ]  # fmt: skip

    def step(at: Ix, chain: int) -> None:
        columns = [rhs(q, at) for q in range(len(lanes))]
        for r in range(height):
            a = lhs(r, at)
            for q, b in enumerate(columns):
                multiply_add(k, tile[chain][r][q], a, k.spread(b, code, lanes[q]))

    def steps(low: Ix, high: Ix) -> None:
        with k.loop(low, high, chains) as at:
            for c in range(chains):
                step(at + c, c)

    left = _left(k, high - low, chains)  # goes into the first chain
    if meanwhile is None:
        steps(low, high - left)
    else:
        parts, act = meanwhile
        even = deep - deep % chains
        size = -(-even // (chains * parts)) * chains
        with k.loop(0, parts) as part:
            act(part)
            end = part * size + size
            steps(part * size, end if even == parts * size else least(k, end, even))
    if left.terms or left.const:
        with k.loop(high - left, high) as at:
            step(at, 0)
    return [[_sum([tile[c][r][q].get() for c in range(chains)]) for q in range(len(lanes))] for r in range(height)]


def dots_tile(
    k: Emitter, code: str, lanes: int, height: int, width: int, deep: int,
    lhs: Callable[[int, Ix, Val | None], Val], rhs: Callable[[int, Ix, Val | None], Val],
) -> list[list[Val]]:  # fmt: skip
    """The products of `height` rows and `width` columns, vectors along k; each result is a vector with one sum.

    Every lane of every chain sums a part of its own, and long sums are cut into blocks: the error grows as that of
    pairwise summation does.
    """
    chains = max(1, min(chains_of(height * width), deep // lanes))
    block = 1024 * lanes * chains

    def zeros() -> list[list[list[Var]]]:
        zero = k.const(0, code, lanes)
        return [[[k.var(zero) for _ in range(width)] for _ in range(height)] for _ in range(chains)]

    def step(tile: list[list[list[Var]]], at: Ix, chain: int, mask: Val | None = None) -> None:
        columns = [rhs(q, at, mask) for q in range(width)]
        for r in range(height):
            a = lhs(r, at, mask)
            for q, b in enumerate(columns):
                multiply_add(k, tile[chain][r][q], k.spread(a, code, lanes), k.spread(b, code, lanes))

    tile = zeros()
    whole = deep // lanes * lanes
    even = deep // (lanes * chains) * (lanes * chains)
    if even > block:
        part = zeros()
        with k.loop(0, even, block) as start:
            _each(part, lambda v: v.set(k.const(0, code, lanes)))
            with k.loop(start, least(k, start + block, even), lanes * chains) as at:
                for c in range(chains):
                    step(part, at + c * lanes, c)
            for c, r, q in _places(tile):
                tile[c][r][q].set(tile[c][r][q].get() + part[c][r][q].get())
    else:
        with k.loop(0, even, lanes * chains) as at:
            for c in range(chains):
                step(tile, at + c * lanes, c)
    with k.loop(even, whole, lanes) as at:
        step(tile, at, 0)
    if whole < deep:
        step(tile, Ix(whole), 0, k.first_lanes(deep - whole, lanes))
    return [[_sum([tile[c][r][q].get() for c in range(chains)]) for q in range(width)] for r in range(height)]


def gathered(k: Emitter, vectors: Sequence[Val]) -> Val:
    """The sums of the lanes of each vector, as one vector with a lane for each; as many vectors as a power of two.

    Two vectors become one that holds half-summed lanes of both, and so on: fewer steps than summing one by one.
    """
    group, rows = vectors[0].lanes, list(vectors)
    lanes = group
    while len(rows) > 1:
        half = group // 2
        low = [g + i for g in range(0, 2 * lanes, group) for i in range(half)]
        high = [at + half for at in low]
        rows = [k.shuffle(a, low, b) + k.shuffle(a, high, b) for a, b in zip(rows[::2], rows[1::2], strict=True)]
        group = half
    (total,) = rows
    while group > 1:
        half = group // 2
        low = [g + i for g in range(0, total.lanes, group) for i in range(half)]
        total = k.shuffle(total, low) + k.shuffle(total, [at + half for at in low])
        group = half
    return total


def least(k: Emitter, a: Any, b: Any) -> Ix:
    """The smaller of two indices."""
    a, b = Ix.of(a), Ix.of(b)
    if not a.terms and not b.terms:
        return Ix(min(a.const, b.const))
    return Ix.of(k.minimum(k.index(a), k.index(b)))


def greatest(k: Emitter, a: Any, b: Any) -> Ix:
    """The larger of two indices."""
    a, b = Ix.of(a), Ix.of(b)
    if not a.terms and not b.terms:
        return Ix(max(a.const, b.const))
    return Ix.of(k.maximum(k.index(a), k.index(b)))


def _left(k: Emitter, span: Ix, chains: int) -> Ix:
    """How many terms remain when `span` of them are taken `chains` at a time: blocks of k end at any place."""
    if not span.terms:
        return Ix(span.const % chains)
    return Ix(0) if chains == 1 else Ix.of(k.remainder(k.index(span), chains))


def _sum(values: list[Val]) -> Val:
    while len(values) > 1:
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=False)] + values[len(values) & ~1 :]
    return values[0]


def _places(tile: list[list[list[Any]]]) -> list[tuple[int, int, int]]:
    return [(c, r, q) for c, rows in enumerate(tile) for r, row in enumerate(rows) for q in range(len(row))]


def _each(tile: list[list[list[Var]]], do: Callable[[Var], None]) -> None:
    for c, r, q in _places(tile):
        do(tile[c][r][q])
