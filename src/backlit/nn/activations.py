"""Activations by name, and as layers."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from ..base.errors import ArgumentError
from ..ops.activation import relu
from ..ops.trigonometric import tanh

#: A function of a Tensor, the name of one, or None for none.
Activation = str | Callable[[Any], Any] | None

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": relu, "tanh": tanh}


def linear(x: Any) -> Any:
    """The identity: no activation."""
    return x


def activation_of(given: Activation) -> Callable[[Any], Any]:
    """The activation of this name, or the function itself."""
    if given is None:
        return linear
    if callable(given):
        return given
    if given not in ACTIVATIONS:
        close = get_close_matches(str(given), ACTIVATIONS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no activation is named {given!r}; there are {', '.join(ACTIVATIONS)}.{hint}")
    return ACTIVATIONS[given]
