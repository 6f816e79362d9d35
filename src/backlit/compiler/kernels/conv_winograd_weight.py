"""The gradient of 3 x 3 kernels by Winograd's minimal filtering: the transpose of the forward pass, step by step.

Where y = Aᵀ [(G w Gᵀ) * (Bᵀ x B)] A, the cotangent of w is Gᵀ [(A g Aᵀ) * (Bᵀ x B)] G, summed over patches: one matrix
product over patches for each of the 16 elements. Channels lie in lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any, ClassVar

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from ..codegen.writer import Target
from . import conv_axes
from .body import Body, load
from .conv_axes import Axis
from .conv_nest import account, made, private, times_plus, within
from .conv_patches import Patches, both, pieces
from .conv_tile import best_tile
from .kernel import pointer
from .views import View

#: Patches that are summed over before the sums go back to memory, about.
PATCHES = 64


class WinogradWeight(Patches):
    """`convolve_weight` for 3 x 3 kernels: operands x (N, C, H, W) and g (N, O, *out); the body goes over (O, C, 3, 3).

    A unit of work is a vector of output channels, or two; every thread transforms all of x for itself.
    """

    kind: ClassVar[str] = "convolution, backward to its weights (Winograd)"

    def __init__(self, node: Node, operands: Sequence[View], body: Body, target: Target, threads: int) -> None:
        self.name, self.nodes = f"{node.op.name}_winograd", (node, *body.nodes)
        self.node, self.body = node, body
        self.x, self.g = x, g = tuple(operands)
        self.axes = conv_axes.forward(x.shape[2:], g.shape[2:], (3, 3), **conv_axes.geometry(node))
        self.code = code = x.buffer.code
        self.lanes = lanes = target.lanes(code)
        self.outputs, self.inputs = node.shape[:2]
        self.high, self.wide = (-(-a.positions // 2) for a in self.axes)
        self.together = max(1, min(self.high, PATCHES // self.wide))
        vectors = -(-self.outputs // lanes)
        self.deep = 2 if vectors % 2 == 0 and vectors >= 2 * threads else 1
        self.units = vectors // self.deep
        patches = self.together * self.wide
        c, o = -(-self.inputs // lanes) * lanes, vectors * lanes
        # One plane for each of the 16 elements; a vector more, so that planes do not meet in the sets of the cache.
        sizes = [patches * c + lanes, patches * o + lanes, self.inputs * o + lanes]
        room = private(16 * sum(sizes), code)
        starts = [16 * sum(sizes[:i]) for i in range(3)]
        self.seen = View(room, (16, patches, c), (sizes[0], c, 1), starts[0])
        self.came = View(room, (16, patches, o), (sizes[1], o, 1), starts[1])
        self.sums = View(room, (16, self.inputs, o), (sizes[2], o, 1), starts[2])
        self.private = room.nbytes
        axis = Axis(self.inputs, 1, self.inputs)
        self.tile = best_tile(self.inputs, self.deep, axis, patches, size_of(code) * lanes, target)
        account(self, (x, g), body, 18 * prod(g.shape) * self.inputs, prod(node.shape))

    def emit(self, k: Emitter) -> None:
        with k.when(k.compare("lt", k.lo, k.hi)):
            self._sum(k)
            with k.loop(k.lo, k.hi) as unit, k.loop(0, self.inputs) as c:
                for o in self._columns(unit):
                    self._make(k, o, c)

    def _columns(self, unit: Ix) -> list[Ix]:
        """The first output channels of a unit's vectors."""
        return [(unit * self.deep + j) * self.lanes for j in range(self.deep)]

    def _sum(self, k: Emitter) -> None:
        """The sums over all patches, for the output channels of all units."""
        zero, p = k.const(0, self.code, self.lanes), pointer(self.sums.buffer)
        with k.loop(k.lo, k.hi) as unit, k.loop(0, 16) as plane, k.loop(0, self.inputs) as c:
            for o in self._columns(unit):
                k.store(p, self.sums.at((plane, c, o)), zero)
        with k.loop(0, self.x.shape[0]) as n, k.loop(0, self.high, self.together) as first:
            rows: Any = self.together
            if self.high % self.together:
                rows = k.minimum(k.index(self.high - first), k.const(rows, "i8"))
            with k.loop(0, rows) as r, k.loop(0, self.wide) as x:
                self.see(k, n, (first + r, x), r * self.wide + x)
                with k.loop(k.lo, k.hi) as unit:
                    for o in self._columns(unit):
                        self._come(k, n, (first + r, x), r * self.wide + x, o)
            with k.loop(0, 16) as plane, k.loop(k.lo, k.hi) as unit:
                columns = self._columns(unit)
                for j in range(0, self.deep, self.tile.deep):
                    for c, some in pieces(k, self.inputs, self.tile.wide):
                        self._add(k, plane, columns[j : j + self.tile.deep], c, some, Ix.of(rows) * self.wide)

    def _mask(self, k: Emitter, o: Ix) -> Val | None:
        return k.lanes_below(self.outputs - o, self.lanes) if self.outputs % self.lanes else None

    def _come(self, k: Emitter, n: Ix, patch: Sequence[Ix], number: Ix, o: Ix) -> None:
        """A g Aᵀ for a vector of channels of the cotangent's 2 x 2 elements; what lies outside is 0."""

        def line(g: Sequence[Val]) -> list[Val]:
            return [g[0], g[0] + g[1], g[0] - g[1], -g[1]]

        g, zero = [], k.const(0, self.code, self.lanes)
        for i, j in product(range(2), range(2)):
            place, inside = [at * 2 + d for at, d in zip(patch, (i, j), strict=True)], None
            for a, (axis, d) in enumerate(zip(self.axes, (i, j), strict=True)):
                if d and axis.positions % 2:
                    here, place[a] = within(k, place[a], axis.positions)
                    inside = here if inside is None else inside & here
            index = (n, o, *place)
            found = load(k, self.g, index, self.lanes, axis=1, mask=self._mask(k, o), fixed=True)
            g.append(found if inside is None else k.select(inside, found, zero))
        self.keep(k, self.came, both([g[:2], g[2:]], line), number, o)

    def _add(self, k: Emitter, plane: Ix, columns: Sequence[Ix], c: Ix, some: int, patches: Ix) -> None:
        """Add the products of some patches, for some input channels and some vectors of output channels."""
        code, lanes, p = self.code, self.lanes, pointer(self.sums.buffer)
        cells = list(product(range(some), columns))
        sums = {cell: k.var(k.const(0, code, lanes)) for cell in cells}
        with k.loop(0, patches, once=True) as t:
            g = {o: k.load(p, self.came.at((plane, t, o)), code, lanes) for o in columns}
            x = [k.spread(k.load(p, self.seen.at((plane, t, c + i)), code), code, lanes) for i in range(some)]
            for i, o in cells:
                sums[i, o].set(times_plus(k, x[i], g[o], sums[i, o].get()))
        for i, o in cells:
            place = self.sums.at((plane, c + i, o))
            k.store(p, place, k.load(p, place, code, lanes) + sums[i, o].get())

    def _make(self, k: Emitter, o: Ix, c: Ix) -> None:
        """Gᵀ s G: the gradients of a vector of kernels, handed to the body."""
        half = k.const(0.5, self.code, self.lanes)

        def line(s: Sequence[Val]) -> list[Val]:
            return [s[0] + (s[1] + s[2]) * half, (s[1] - s[2]) * half, (s[1] + s[2]) * half + s[3]]

        p = pointer(self.sums.buffer)
        s = [[k.load(p, self.sums.at((4 * i + j, c, o)), self.code, self.lanes) for j in range(4)] for i in range(4)]
        w = both(s, line)
        for i, j in product(range(3), range(3)):
            self.body.emit(k, {self.node: w[i][j]}, (o, c, i, j), self.lanes, axis=0, mask=self._mask(k, o))

    def source(self) -> Sequence[str]:
        return [
            f"# channels in {self.lanes} lanes, {self.together * self.wide} patches at a time",
            f"for n, patches of 4 x 4 inputs in {(self.x.shape[0], self.high, self.wide)}:",
            "    x'[16, patch, c] = Bᵀ x B;  g'[16, patch, o] = A g Aᵀ",
            f"    s[16, c, o] += x'[16, patch, c] * g'[16, patch, o] for c, o in {(self.inputs, self.outputs)}",
            f"w[o, c, 3 x 3] = Gᵀ s G ; {made(self.body)}",
        ]
