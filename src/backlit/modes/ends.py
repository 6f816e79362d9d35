"""What each result of a traced function is: computed, an input handed through, or there already.

A plan computes what must be computed and nothing else, and gives each of it memory of its own; the rest is put
in its place by whoever calls the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..graph.node import Node


class Computed(NamedTuple):
    """A result that a plan computes: the number of its output."""

    output: int


class Given(NamedTuple):
    """A result that is one of the inputs, handed through: its number."""

    input: int


class Constant(NamedTuple):
    """A result that does not depend on the inputs: an array."""

    value: Any


class Fixed(NamedTuple):
    """A result that is no array: it is handed out as it was when the function was traced."""

    value: Any


End = Computed | Given | Constant | Fixed


def sorted_out(results: Sequence[Node | Constant | Fixed], inputs: Sequence[Node]) -> tuple[list[Node], list[End]]:
    """The nodes that must be computed, each once, and for each result what it is."""
    place = {n: i for i, n in enumerate(inputs)}
    number: dict[Node, int] = {}
    ends: list[End] = []
    for x in results:
        if not isinstance(x, Node):
            ends.append(x)
        elif x in place:
            ends.append(Given(place[x]))
        else:
            ends.append(Computed(number.setdefault(x, len(number))))
    return list(number), ends
