"""The other end of a worker: start it, ask it, give it up when it takes too long."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from . import peers

ROOT = Path(__file__).parent.parent


class Failed(Exception):
    """A contender could not do what it was asked for."""


class Remote:
    """A contender in a process of its own, which is started when it is first asked and again after it has died.

    Args:
        name: as in `PEERS`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None

    def ask(self, do: str, seconds: float, **fields: Any) -> dict[str, Any]:
        """The answer to a message. Raises `Failed` when it is an error, or has not come after so many seconds."""
        if self._process is None:
            self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by `stop`)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", self.name], cwd=ROOT, env=peers.environment(), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(json.dumps({"do": do, **fields}), file=process.stdin, flush=True)
            ready = select.select([process.stdout], [], [], seconds)[0]
            line = process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = True, ""
        if not line:
            said = self._last_words()
            self.stop()
            raise Failed(f"no answer within {seconds:.0f} s" if not ready else f"the process died: {said}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def _last_words(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        return " | ".join(self._log.read().strip().splitlines()[-3:])

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None
