"""First values of weights, each a function of a key, a shape, and how many inputs and outputs a unit has."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from math import sqrt
from typing import Any

from ..base.config import config
from ..base.errors import ArgumentError
from ..graph.tensor import Tensor
from ..ops.random import uniform

#: `init(key, shape, fan_in, fan_out) -> Tensor`.
Initialiser = Callable[[Any, tuple[int, ...], int, int], Tensor]


def glorot_uniform(key: Any, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Tensor:
    """Uniform within ±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16): for tanh and sigmoid."""
    bound = sqrt(6 / (fan_in + fan_out))
    return uniform(key, shape, config.get().default_dtype, -bound, bound)


INITIALISERS: dict[str, Initialiser] = {"glorot_uniform": glorot_uniform}


def initialiser(given: str | Initialiser) -> Initialiser:
    """The initialiser of this name, or the function itself."""
    if callable(given):
        return given
    if given not in INITIALISERS:
        close = get_close_matches(str(given), INITIALISERS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no initialiser is named {given!r}; there are {', '.join(INITIALISERS)}.{hint}")
    return INITIALISERS[given]
