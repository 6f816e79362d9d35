"""What a workload is: one computation, written for each contender in its best ordinary form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

#: Threads that every contender may use.
THREADS = 2


class Contender(NamedTuple):
    """A workload in one framework.

    Attributes:
        step: one call, finished when it returns.
        check: values that must agree between contenders. It is called once, before the first `step`.
    """

    step: Callable[[], Any]
    check: Callable[[], Sequence[float]]


def stepping(step: Callable[[], Any], calls: int = 3) -> Contender:
    """The contender whose steps return the values to compare; those of its first calls are compared."""
    return Contender(step, lambda: [float(step()) for _ in range(calls)])


class Workload:
    """One row of the table. Subclasses have a method for each contender that takes part.

    Attributes:
        key: "W4"; `title`: what is computed.
        unit: the one that times are given in.
        target: the time aimed at, in seconds; None where none is set.
        per: how many steps one call does; the time of one is reported.
        tolerance: by how much of its size a value may differ from Backlit's.
        flops, bytes: operations, and bytes moved to or from memory, that one step needs at the least; 0 is unknown.
        slow: contenders that are left out unless everything is asked for.
    """

    key: str
    title: str
    unit = "ms"
    target: float | None = None
    per = 1
    tolerance = 1e-4
    flops = 0.0
    bytes = 0.0
    slow: frozenset[str] = frozenset()

    def contenders(self) -> dict[str, Callable[[], Contender]]:
        """What makes each contender, by its name in `peers.PEERS`."""
        from .peers import PEERS

        made = {name: getattr(self, peer.method, None) for name, peer in PEERS.items()}
        return {name: make for name, make in made.items() if make is not None}


def rng() -> Any:
    """The generator from which data and parameters come, the same in every process."""
    import numpy as np

    return np.random.default_rng(0)
