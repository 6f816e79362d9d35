"""Ctrl-C while native code runs: noted, and acted on where all is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a long run. What was reached by then is in `run`; nothing of it is half done."""

    def __init__(self, run: Any) -> None:
        super().__init__("interrupted; what was reached is in .run")
        self.run = run


class Interrupts:
    """Inside `held()` Ctrl-C is only noted; `raised()` tells whether it was pressed.

    Only the main thread gets Ctrl-C, so elsewhere this does nothing. A handler of the user's own is
    called as it would have been, only later.
    """

    def __init__(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        self._handler: Any = signal.getsignal(signal.SIGINT) if main else None
        self._noted: tuple[int, Any] | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold Ctrl-C back inside the block."""
        if not callable(self._handler):
            yield
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, self._handler)

    def raised(self) -> bool:
        """Has Ctrl-C been pressed, and does it mean to stop? A handler of the user's that does not raise says no."""
        noted, self._noted = self._noted, None
        if noted is None:
            return False
        try:
            self._handler(*noted)
        except KeyboardInterrupt:
            return True
        return False

    def _note(self, number: int, frame: Any) -> None:
        self._noted = number, frame
