"""Patches of 4 x 4 inputs, transformed for Winograd's minimal filtering; small loops that its kernels share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import product

from ..codegen.emitter import Emitter
from ..codegen.values import Ix, Val
from .body import load
from .conv_axes import Axis
from .conv_nest import within
from .kernel import Kernel, pointer
from .views import View


class Patches(Kernel):
    """A kernel that sees its input in patches of 4 x 4, two apart.

    Attributes:
        x: the input, (N, C, H, W), with `inputs` channels.
        axes: its two spatial axes, `high` and `wide` patches long.
        seen: where transformed patches are kept, (16, patches, channels).
    """

    x: View
    axes: tuple[Axis, ...]
    high: int
    wide: int
    inputs: int
    lanes: int
    code: str
    seen: View

    def see(self, k: Emitter, n: Ix, patch: Sequence[Ix], number: Ix) -> None:
        """Bᵀ x B for all channels of a patch; what lies outside is 0."""
        corner = [axis.place(at * 2, 0) for axis, at in zip(self.axes, patch, strict=True)]
        inside: Val | None = None
        for axis, at, count in zip(self.axes, corner, (self.high, self.wide), strict=True):
            if axis.lo > 0:
                here = k.compare("ge", k.index(at), 0)
                inside = here if inside is None else inside & here
            if 2 * count + 2 - axis.lo > axis.size:
                here = k.compare("lt", k.index(at), axis.size - 3)
                inside = here if inside is None else inside & here
        with nullcontext() if inside is None else k.when(inside):
            self._see_channels(k, n, corner, number, False)
        if inside is not None:
            with k.when(~inside):
                self._see_channels(k, n, corner, number, True)

    def _see_channels(self, k: Emitter, n: Ix, corner: Sequence[Ix], number: Ix, careful: bool) -> None:
        def line(x: Sequence[Val]) -> list[Val]:
            return [x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3]]

        places = [[at + i for i in range(4)] for at in corner]
        known: list[list[Val | None]] = [[None] * 4, [None] * 4]
        if careful:
            for at, ok, axis in zip(places, known, self.axes, strict=True):
                for i in range(4):
                    ok[i], at[i] = within(k, at[i], axis.size)
        zero = k.const(0, self.code, self.lanes)
        for c, mask in vectors(k, self.inputs, self.lanes):
            x = [[zero] * 4 for _ in range(4)]
            for i, j in product(range(4), range(4)):
                index = (n, c, places[0][i], places[1][j])
                x[i][j] = load(k, self.x, index, self.lanes, axis=1, mask=mask, fixed=True)
                above, beside = known[0][i], known[1][j]
                if above is not None and beside is not None:
                    x[i][j] = k.select(above & beside, x[i][j], zero)
            self.keep(k, self.seen, both(x, line), number, c)

    def keep(self, k: Emitter, view: View, values: Sequence[Sequence[Val]], row: Ix, column: Ix) -> None:
        for i, j in product(range(4), range(4)):
            k.store(pointer(view.buffer), view.at((4 * i + j, row, column)), values[i][j])


def both(square: Sequence[Sequence[Val]], line: Callable[[Sequence[Val]], list[Val]]) -> list[list[Val]]:
    """A transform along columns, then along rows."""
    columns = [line([row[j] for row in square]) for j in range(len(square[0]))]
    return [line([column[i] for column in columns]) for i in range(len(columns[0]))]


def pieces(k: Emitter, count: int, size: int) -> Iterator[tuple[Ix, int]]:
    """An axis in pieces: a loop over the full ones, then what is left."""
    whole = count // size * size
    if whole:
        with k.loop(0, whole, size) as at:
            yield at, size
    if count > whole:
        yield Ix(whole), count - whole


def vectors(k: Emitter, count: int, lanes: int) -> Iterator[tuple[Ix, Val | None]]:
    """An axis in vectors, the last with a mask where it is not full."""
    for at, size in pieces(k, count, lanes):
        yield at, None if size == lanes else k.first_lanes(size, lanes)
