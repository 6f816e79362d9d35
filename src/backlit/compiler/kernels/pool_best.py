"""The largest of the values that a window sees, and where it was: kept while the taps go by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...graph.node import Node
from ..codegen.emitter import Emitter
from ..codegen.values import Val


def lowest(code: str) -> Any:
    """What no value of a dtype is less than."""
    return -np.inf if code[0] == "f" else np.iinfo(np.dtype(code)).min


def stops_at_nan(pool: Node, size: Sequence[int]) -> bool:
    """Is the place of a NaN that of the maximum? So it is for NumPy's argmax over a whole array, not over windows."""
    params = pool.params
    return tuple(n + sum(p) for n, p in zip(size, params["padding"], strict=True)) == tuple(params["window"])


class Best:
    """The first maximum of the values met so far, and the number it was met with; a NaN is larger than all.

    Args:
        first: what it begins with, whose number is 0.
        numbered: are numbers wanted?
        stops: is the number of the first NaN wanted? Otherwise NaNs do not count for the number.
        picks: is the value wanted that was met with the number? That is the maximum but for NaNs.
    """

    def __init__(self, k: Emitter, first: Val, numbered: bool, stops: bool, picks: bool = False) -> None:
        self.k, self.stops = k, stops and first.code[0] == "f"
        self.value = k.var(first)
        self.number = k.var(k.const(0, "i4", first.lanes)) if numbered or picks else None
        self.picked = k.var(first) if picks else None

    def meet(self, seen: Val, number: Val) -> None:
        """Compare one more value."""
        k, now = self.k, self.value.get()
        if self.number is not None:
            rise = seen > now
            if self.stops:
                rise = rise | (k.is_nan(seen) & ~k.is_nan(now))
            self.number.set(k.select(rise, number, self.number.get()))
            if self.picked is not None:
                self.picked.set(k.select(rise | k.equal(number, 0), seen, self.picked.get()))
        self.value.set(k.maximum(now, seen))
