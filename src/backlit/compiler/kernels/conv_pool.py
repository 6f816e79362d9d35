"""A convolution, the elementwise steps after it, and the maximum of windows of that: one kernel.

A tile holds whole windows, so that what lies between the convolution and the pooling stays in registers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import ClassVar

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from ..codegen.writer import Target
from .body import Body
from .conv import Block, Convolution
from .conv_nest import account, with_lane
from .conv_tile import Tile
from .pool_best import Best, stops_at_nan
from .views import View


def can_pool(pool: Node, target: Target) -> bool:
    """Can a convolution's kernel compute `pool`, a `pool_max` or `pool_argmax` of what is made of its output?

    The windows must tile their input without a border and few enough be open at a time. What the windows do not reach
    (a last odd row) is then not computed at all, so nothing else may use the input of the pooling where there is such.
    """
    params = pool.params
    tiles = params["stride"] == params["window"] and max(params["dilation"]) == 1
    return tiles and not any(map(any, params["padding"])) and 4 * prod(params["window"]) <= target.vector_registers


def reaches_all(pool: Node) -> bool:
    """Do the windows of `pool` reach every element of their input?"""
    size = _seen_by(pool).shape[2:]
    return all(n % w == 0 for n, w in zip(size, pool.params["window"], strict=True))


class PooledConvolution(Convolution):
    """`convolve` with `pool_max`, `pool_argmax` and what is picked there (`pools`, some of these) after it.

    Operands are those of `Convolution`. `body` goes over (N, O, *out), the index space of the convolution, and computes
    the input of the pooling; `pooled` goes over that of the pooling and is given its results.
    """

    kind: ClassVar[str] = "convolution with pooling"

    def __init__(
        self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int,
        pools: Sequence[Node], pooled: Body,
    ) -> None:  # fmt: skip
        super().__init__(node, operands, body, target, threads)
        self.pools, self.pooled = {n.op.name: n for n in pools}, pooled
        self.window: tuple[int, ...] = pools[0].params["window"]
        self.into = _seen_by(pools[0])
        self.name = "_and_".join([node.op.name, *self.pools])
        self.nodes = (*self.nodes, *pools, *pooled.nodes)
        out = pools[0].shape[2:]
        (axes,) = self.parts
        self.parts = [(*axes[:-1], axes[-1]._replace(positions=out[-1] * self.window[-1]))]
        self.step = self.window[-1]
        self.rows = out[:-1]
        self.units = operands[0].shape[0] * prod(self.rows)
        flops = self.flops + (4 * len(pools) * prod(self.window) + pooled.flops) * prod(pools[0].shape)
        account(self, (*operands, *pooled.reads.values()), body, flops, 0)
        written = (v.buffer for views in pooled.writes.values() for v in views)
        self.writes = tuple(dict.fromkeys((*self.writes, *written)))

    def _rows(self, q: Sequence[Ix]) -> Sequence[Sequence[Ix]]:
        window = self.window[:-1]
        return [
            [at * size + i for at, size, i in zip(q, window, offsets, strict=True)]
            for offsets in product(*map(range, window))
        ]

    def _finish(
        self, k: Emitter, block: Block, x: Ix, tile: Tile, values: Mapping[tuple[int, int, int], Val]
    ) -> None:  # fmt: skip
        """Meet the values of each window row by row, and hand the largest to the second body."""
        wide, numbered, picks = self.window[-1], "pool_argmax" in self.pools, "pool_pick" in self.pools
        pool = next(iter(self.pools.values()))
        stops = stops_at_nan(pool, self.into.shape[2:])
        for start, j in product(range(0, tile.wide, wide), range(tile.deep)):
            seen = [
                self._elementwise(k, block, x + i, tile, r, j, values[r, i, j])[self.into]
                for r, i in product(range(len(block.rows)), range(start, start + wide))
            ]
            best = Best(k, seen[0], numbered, stops, picks)
            for number, value in enumerate(seen[1:], 1):
                best.meet(value, k.const(number, "i4", self.lanes))
            self._hand_on(k, block, x + start, tile, j, best)

    def _hand_on(self, k: Emitter, block: Block, x: Ix, tile: Tile, j: int, best: Best) -> None:
        found = {"pool_max": best.value, "pool_argmax": best.number, "pool_pick": best.picked}
        given = {node: var.get() for name, node in self.pools.items() if (var := found[name]) is not None}
        place = [_divided(at, size) for at, size in zip((*block.rows[0], x), self.window, strict=True)]
        index = with_lane((block.n, self._channel(block, j), *place), self.split)
        self.pooled.emit(k, given, index, self.lanes, axis=1, mask=block.mask if j == tile.deep - 1 else None)


def _seen_by(pool: Node) -> Node:
    return next(pool.parents)


def _divided(at: Ix, n: int) -> Ix:
    """An index that is a multiple of n, divided by it."""
    return Ix(at.const // n, {v: c // n for v, c in at.terms.items()})
