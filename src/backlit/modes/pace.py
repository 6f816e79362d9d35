"""`Pace`: how many steps a native loop does before it comes back to Python."""

from __future__ import annotations

#: A chunk of steps is to take about so long, in seconds: Ctrl-C and progress wait for no more.
CHUNK = 0.05


class Pace:
    """Few steps at first, then as many as fit into `CHUNK`. What is computed must not depend on it."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._most = 1

    def next(self, left: int) -> int:
        """How many of the steps that are left come next."""
        count = min(left, self._most)
        return max(1, min(count, int(CHUNK / self._seconds))) if self._seconds else count

    def took(self, seconds: float, steps: int) -> None:
        """So long took these steps."""
        if self._most > 1:  # the first chunk was compiled on the way
            self._seconds = seconds / steps
        self._most = 8 * steps
