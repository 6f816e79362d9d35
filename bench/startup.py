"""W11, W12: how long a program waits before the first step: for the import, and for the first call.

Each figure is that of a fresh process: `python -m bench.startup W4 jax.jit` prints one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any

from . import peers
from .remote import ROOT
from .runner import QUICK, Effort, statistics_of

#: The modules whose import is timed.
IMPORTS = {"Backlit": "backlit", "NumPy alone": "numpy", "torch": "torch", "jax": "jax", "TensorFlow": "tensorflow"}

#: Workloads whose first call is timed, and the targets: seconds cold, and from the cache on disk.
FIRST = {"W4": (0.15, 0.02), "W6": (0.4, 0.02), "W9": (1.0, 0.02)}

#: Who keeps what it compiled on disk, and the variables that say where.
CACHES = {
    "Backlit": ("BACKLIT_CACHE",),
    "jax.jit": ("JAX_COMPILATION_CACHE_DIR",),
    "torch.compile": ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"),
}

_SECONDS = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


class Fresh:
    """Fresh processes that find the bytecode of everything cached, as on a user's machine, in a folder of their own.

    It is removed when the `with` block ends.
    """

    def __init__(self, effort: Effort) -> None:
        self._effort = effort

    def __enter__(self) -> Fresh:
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def run(self, *arguments: str, **environment: str) -> float:
        """The number that Python prints on its last line, run with these arguments."""
        given = peers.environment() | {"PYTHONPYCACHEPREFIX": self._folder.name} | environment
        given.pop("PYTHONDONTWRITEBYTECODE", None)
        ran = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=given, capture_output=True, text=True,
            timeout=self._effort.patience,
        )  # fmt: skip
        if ran.returncode:
            raise subprocess.SubprocessError(f"{' '.join(arguments[-2:])}: {ran.stderr.strip().splitlines()[-1:]}")
        return float(ran.stdout.strip().splitlines()[-1])


def imports(names: list[str], effort: Effort) -> dict[str, Any]:
    """Seconds that importing takes."""
    samples: dict[str, list[float]] = {
        label: [] for label, module in IMPORTS.items() if module == "numpy" or _needed(module, names)
    }
    with Fresh(effort) as fresh:
        for turn in range(effort.rounds + 1):
            for label, seconds in samples.items():
                if turn > 5 and seconds[0] > 0.5:
                    continue
                found = fresh.run("-c", _SECONDS.format(IMPORTS[label]))
                if turn:  # the first writes the bytecode
                    seconds.append(found)
    return {label: statistics_of(seconds) for label, seconds in samples.items()}


def _needed(module: str, names: list[str]) -> bool:
    return any(module in peers.PEERS[name].needs for name in names)


def first_calls(keys: Iterable[str], names: list[str], effort: Effort) -> dict[str, dict[str, Any]]:
    """Seconds from the function to the first result, of those that compile, by workload.

    "Backlit, cached" is the time of a process that finds on disk what the one before compiled.
    """
    found: dict[str, dict[str, Any]] = {key: {} for key in keys}
    with Fresh(effort) as fresh:
        for name in [n for n in names if n in CACHES or n in ("tf.function", "TensorFlow XLA")]:
            slow = name == "torch.compile" and not effort.slow
            for i, (key, results) in enumerate(found.items()):
                if slow and effort is QUICK:
                    results[name] = {"skipped": "slow; left out of a quick run"}
                    continue
                try:
                    cold, cached = _pairs(fresh, key, name, 1 if slow else min(5, effort.rounds), warm=i == 0)
                except subprocess.SubprocessError as error:
                    results[name] = {"error": str(error)}
                    continue
                results[name] = statistics_of(cold)
                if cached:
                    results[f"{name}, cached"] = statistics_of(cached)
    return found


def _pairs(fresh: Fresh, key: str, name: str, turns: int, warm: bool) -> tuple[list[float], list[float]]:
    """So many times with an empty cache, and again with what that left in it."""
    cold: list[float] = []
    cached: list[float] = []
    for turn in range(turns + warm):
        with tempfile.TemporaryDirectory() as folder:
            given = dict.fromkeys(CACHES.get(name, ()), folder) | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
            seconds = [fresh.run("-m", "bench.startup", key, name, **given) for _ in range(2 if name in CACHES else 1)]
        if turn or not warm:  # the first writes the bytecode
            cold.append(seconds[0])
            cached += seconds[1:]
    return cold, cached


def first(key: str, name: str) -> float:
    """Seconds from having imported the framework and made the data to the result of the first call.

    The import of what the framework loads only to compile is part of it.
    """
    from .suite import workloads

    peers.hold()
    peers.settle(name)
    for module in peers.PEERS[name].needs:
        __import__(module)
    workload: Any = next(w for w in workloads() if w.key == key)
    data = workload.start(), workload.batch(), workload.channels_last()
    workload.start, workload.batch, workload.channels_last = (lambda d=d: d for d in data)
    if name == "Backlit":
        workload.backlit_optimizer()  # imports it
    start = time.perf_counter()
    contender = workload.contenders()[name]()
    float(contender.step())
    return time.perf_counter() - start


if __name__ == "__main__":
    print(first(*sys.argv[1:]))
