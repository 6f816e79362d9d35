"""Convolutions with 3 x 3 kernels by Winograd's minimal filtering: 16 products where the sum as it stands takes 36.

F(2 x 2, 3 x 3) of Lavin & Gray, Fast algorithms for convolutional neural networks (2016), section 4.1: patches of 4 x 4
inputs and the kernels are transformed, multiplied element by element and summed over input channels, which is one
matrix product for each of the 16 elements, and each sum is transformed back into 2 x 2 outputs. All transforms are
additions and halves, so that rounding grows by a small factor only. Channels lie in lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product
from math import prod
from typing import Any, ClassVar

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val, size_of
from ..codegen.writer import Target
from .body import Body, load
from .conv_axes import Axis
from .conv_nest import account, made, private, taken_apart, times_plus
from .conv_patches import Patches, both, pieces, vectors
from .conv_tile import best_tile
from .kernel import pointer
from .views import View

#: Patches that one unit of work transforms and multiplies, about.
PATCHES = 32


def pays(node: Node, split: bool, target: Target) -> bool:
    """Is this way the faster one for `node`, a convolution or one of its transposes?

    It needs 3 x 3 kernels in steps of 1, channels enough for the products to outweigh the transforms of patches, and
    patches enough to outweigh those of the weights.
    """
    params, (x, w) = node.params, (v.shape for v in node.parents)
    kernel, size = (node.shape, w[2:]) if node.op.name == "convolve_weight" else (w, node.shape[2:])
    plain = kernel[2:] == (3, 3) and params["stride"] == params["dilation"] == (1, 1) and params["groups"] == 1
    if not plain or split or node.dtype.kind != "f":
        return False
    lanes = target.lanes(node.dtype.str[1:])
    patches = x[0] * -(-size[0] // 2) * -(-size[1] // 2)
    return min(kernel[:2]) >= 2 * lanes and min(size) >= 4 and patches >= 256


class Winograd(Patches):
    """`convolve` or, with its axes and weights turned round, `convolve_transposed`.

    Args:
        x: the input or the cotangent, (N, C, H, W).
        w: the weights as (output channel, input channel, 3, 3), as the axes count taps.
        axes: the two spatial axes.
    """

    kind: ClassVar[str] = "convolution (Winograd)"

    def __init__(self, node: Node, x: View, w: View, axes: Sequence[Axis], body: Body, target: Target) -> None:
        self.name, self.nodes = f"{node.op.name}_winograd", (node, *body.nodes)
        self.node, self.x, self.body, self.target = node, x, body, target
        self.axes, self.w = tuple(axes), w
        self.code = code = x.buffer.code
        self.lanes = lanes = target.lanes(code)
        self.outputs, self.inputs = w.shape[:2]
        self.high, self.wide = (-(-a.positions // 2) for a in axes)
        self.together = max(1, min(self.high, PATCHES // self.wide))
        self.blocks = -(-self.high // self.together)
        self.patches = self.together * self.wide
        self.columns = -(-self.outputs // lanes)
        c, o = -(-self.inputs // lanes) * lanes, self.columns * lanes
        # One plane for each of the 16 elements; a vector more, so that planes do not meet in the sets of the cache.
        sizes = [self.inputs * o + lanes, self.patches * c + lanes, self.patches * o + lanes]
        room = private(16 * sum(sizes), code)
        starts = [16 * sum(sizes[:i]) for i in range(3)]
        self.kernels = View(room, (16, self.inputs, o), (sizes[0], o, 1), starts[0])
        self.seen = View(room, (16, self.patches, c), (sizes[1], c, 1), starts[1])
        self.sums = View(room, (16, self.patches, o), (sizes[2], o, 1), starts[2])
        self.private = room.nbytes
        self.units = x.shape[0] * self.blocks
        positions = prod(a.positions for a in axes)
        flops = 2 * x.shape[0] * positions * 9 * self.outputs * self.inputs
        account(self, (x, w), body, flops, prod(node.shape))

    def emit(self, k: Emitter) -> None:
        self._transform_weights(k)
        with k.loop(k.lo, k.hi) as unit:
            n, block = taken_apart(k, unit, (self.x.shape[0], self.blocks))
            first = block * self.together
            rows: Any = self.together
            if self.high % self.together:
                rows = k.minimum(k.index(self.high - first), k.const(rows, "i8"))
            with k.loop(0, rows) as r, k.loop(0, self.wide) as x:
                self.see(k, n, (first + r, x), r * self.wide + x)
            with k.loop(0, 16) as plane:
                self._multiply(k, plane)
            with k.loop(0, rows) as r, k.loop(0, self.wide) as x:
                self._make(k, n, (first + r, x), r * self.wide + x)

    # --- transforms --------------------------------------------------------------------------------

    def _transform_weights(self, k: Emitter) -> None:
        """G w Gᵀ, once for all units."""
        k.comment("weights, transformed")
        half = k.const(0.5, self.code, self.lanes)

        def line(w: Sequence[Val]) -> list[Val]:
            ends, middle = (w[0] + w[2]) * half, w[1] * half
            return [w[0], ends + middle, ends - middle, w[2]]

        with k.loop(0, self.inputs) as c:
            for o, mask in vectors(k, self.outputs, self.lanes):
                w = [
                    [load(k, self.w, (o, c, i, j), self.lanes, axis=0, mask=mask, fixed=True) for j in range(3)]
                    for i in range(3)
                ]
                self.keep(k, self.kernels, both(w, line), c, o)

    def _make(self, k: Emitter, n: Ix, patch: Sequence[Ix], number: Ix) -> None:
        """Aᵀ m A: the 2 x 2 outputs of a patch, handed to the body."""

        def line(m: Sequence[Val]) -> list[Val]:
            return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]

        p = pointer(self.sums.buffer)
        for o, mask in vectors(k, self.outputs, self.lanes):
            m = [
                [k.load(p, self.sums.at((4 * i + j, number, o)), self.code, self.lanes) for j in range(4)]
                for i in range(4)
            ]
            y = both(m, line)
            for i, j in product(range(2), range(2)):
                place = [at * 2 + d for at, d in zip(patch, (i, j), strict=True)]
                inside: Val | None = None
                for at, d, axis in zip(place, (i, j), self.axes, strict=True):
                    if d and axis.positions % 2:
                        here = k.compare("lt", k.index(at), axis.positions)
                        inside = here if inside is None else inside & here
                with nullcontext() if inside is None else k.when(inside):
                    self.body.emit(k, {self.node: y[i][j]}, (n, o, *place), self.lanes, axis=1, mask=mask)

    # --- products ----------------------------------------------------------------------------------

    def _multiply(self, k: Emitter, plane: Ix) -> None:
        """Of one plane, the sums over input channels for all patches and output channels."""
        axis = Axis(self.patches, 1, self.patches)
        weight = size_of(self.code) * self.lanes
        tile = best_tile(self.patches, self.columns, axis, self.inputs, weight, self.target)
        for o, deep in pieces(k, self.columns, tile.deep):
            for t, wide in pieces(k, self.patches, tile.wide):
                self._tile(k, plane, t, wide, o * self.lanes, deep)

    def _tile(self, k: Emitter, plane: Ix, t: Ix, wide: int, o: Ix, deep: int) -> None:
        code, lanes, p = self.code, self.lanes, pointer(self.seen.buffer)
        cells = list(product(range(deep), range(wide)))
        sums = {cell: k.var(k.const(0, code, lanes)) for cell in cells}
        with k.loop(0, self.inputs) as c:
            x = [k.spread(k.load(p, self.seen.at((plane, t + i, c)), code), code, lanes) for i in range(wide)]
            w = [k.load(p, self.kernels.at((plane, c, o + j * lanes)), code, lanes) for j in range(deep)]
            for j, i in cells:
                sums[j, i].set(times_plus(k, x[i], w[j], sums[j, i].get()))
        for j, i in cells:
            k.store(p, self.sums.at((plane, t + i, o + j * lanes)), sums[j, i].get())

    def source(self) -> Sequence[str]:
        return [
            f"# channels in {self.lanes} lanes, {self.patches} patches at a time",
            f"w'[16, c, o] = G w Gᵀ for c, o in {(self.inputs, self.outputs)}",
            f"for n, patches in {(self.x.shape[0], self.blocks)} x {self.patches}:",
            "    x'[16, patch, c] = Bᵀ x Bᵀ of 4 x 4 inputs",
            f"    s[16, patch, o] = x'[16, patch, c] @ w'[16, c, o], sums over {self.inputs} c",
            f"    y[n, o, 2 x 2 outputs] = Aᵀ s A ; {made(self.body)}",
        ]
