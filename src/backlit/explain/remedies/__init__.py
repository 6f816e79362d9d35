"""The single changes that mends are made of. Each looks at an experiment and gives a `Mend`, or None.

None is for a change that has no place there. `what` says it in the imperative, with code;
`apply` does it on a copy.
"""

from __future__ import annotations

from functools import reduce

from ...base.errors import ArgumentError
from ..verdict import Experiment, Mend


def joined(*mends: Mend | None) -> Mend | None:
    """Several changes as one; None where one of them has no place."""
    if any(m is None for m in mends):
        return None
    parts = [m for m in mends if m is not None]
    return Mend("; ".join(m.what for m in parts), lambda e: reduce(lambda e, m: m.apply(e), parts, e))


def described(what: str, why: str) -> Mend:
    """A change that only the user can make: it is told, and not tried."""

    def refuse(experiment: Experiment) -> Experiment:
        raise ArgumentError(why)

    return Mend(what, refuse)
