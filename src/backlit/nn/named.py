"""Things that may be given by name: activations, initialisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from ..base.errors import ArgumentError, shown

Thing = TypeVar("Thing", bound=Callable[..., Any])


def named(given: Any, table: Mapping[str, Thing], what: str) -> Thing:
    """What `table` holds under the name `given`; a function given itself is taken as it is."""
    if callable(given):
        return given  # type: ignore[return-value]
    if not isinstance(given, str) or given not in table:
        close = get_close_matches(str(given), table, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"no {what} is named {shown(given)}; there are {', '.join(table)}.{hint}")
    return table[given]
