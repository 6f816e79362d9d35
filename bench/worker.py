"""A process that holds one contender, and does what it is told on standard input: one JSON object a line each way.

Contenders live in processes of their own, so that the threads of one do not spin while another is timed.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from . import peers
from .suite import limits, workloads
from .workload import Contender


def timed(step: Callable[[], Any], calls: int) -> float:
    """Seconds that one call takes, of so many in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return (time.perf_counter() - start) / calls


def rest(patience: float = 2.0) -> None:
    """Wait until the threads of this process sleep: those of OpenBLAS and OpenMP spin a while after their work.

    Whoever is timed next would share the cores with them. Raises `TimeoutError` when they spin for `patience` seconds.
    """
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        used = time.process_time()
        time.sleep(0.005)
        if time.process_time() - used < 0.001:
            return
    raise TimeoutError(f"threads were still busy {patience:g} s after the work")


class Worker:
    """What a message may ask for: each method takes the fields of one and gives those of the answer.

    Args:
        name: the contender, as in `PEERS`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._workloads = {w.key: w for w in [*workloads(), *limits()]}
        self._contender: Contender | None = None

    def prepare(self, workload: str) -> dict[str, Any]:
        """Make a workload ready: the values to compare, the time until they were there, and that of one warm call."""
        self._contender = None
        gc.collect()
        start = time.perf_counter()
        self._contender = self._workloads[workload].contenders()[self._name]()
        values = list(self._contender.check())
        first = time.perf_counter() - start
        step, count = self._contender.step, 1
        once = timed(step, 1)
        if once < 0.5:
            once = timed(step, 1)
            # A count that makes the clock and the first calls after a pause negligible.
            while once * count < 0.02:
                count = max(2 * count, int(0.02 / once) + 1)
                once = timed(step, count)
        rest()
        return {"values": values, "first": first, "once": once}

    def sample(self, calls: int) -> dict[str, Any]:
        """The time of one of so many calls; some before are not counted, as caches and threads went cold."""
        assert self._contender is not None
        step = self._contender.step
        for _ in range(min(calls // 5, 50)):
            step()
        seconds = timed(step, calls)
        rest()
        return {"seconds": seconds}


def main() -> None:
    """Answer messages until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    name = sys.argv[1]
    peers.hold()
    peers.settle(name)
    worker = Worker(name)
    for line in sys.stdin:
        message = json.loads(line)
        try:
            answer = getattr(worker, message.pop("do"))(**message)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
