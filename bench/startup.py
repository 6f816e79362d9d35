"""W11, W12: how long a program waits before the first step: for the import, and for the first call.

Each figure is that of a fresh process: `python -m bench.startup first W4 "jax.jit"` prints one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from typing import Any

from . import peers
from .remote import ROOT
from .runner import Effort, statistics_of

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


def imports(names: list[str], effort: Effort) -> dict[str, Any]:
    """Seconds that importing takes, the bytecode of everything cached as on a user's machine."""
    samples: dict[str, list[float]] = {
        label: [] for label, module in IMPORTS.items() if module == "numpy" or _needed(module, names)
    }
    with tempfile.TemporaryDirectory() as folder:
        environment = peers.environment() | {"PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(effort.rounds + 1):
            for label, seconds in samples.items():
                if turn > 5 and seconds[0] > 0.5:
                    continue
                found = _run(["-c", _SECONDS.format(IMPORTS[label])], environment, effort.patience)
                if turn:  # the first writes the bytecode
                    seconds.append(float(found))
    return {label: statistics_of(seconds) for label, seconds in samples.items()}


def _needed(module: str, names: list[str]) -> bool:
    return any(module in peers.PEERS[name].needs for name in names)


def first_calls(key: str, names: list[str], effort: Effort) -> dict[str, Any]:
    """Seconds from the function to the first result, cold and from the cache on disk, of those that compile."""
    results: dict[str, Any] = {}
    for name in [n for n in names if n in CACHES or n in ("tf.function", "TensorFlow XLA")]:
        if name == "torch.compile" and effort.rounds < 10:
            results[name] = {"skipped": "slow; left out of a quick run"}
            continue
        cold: list[float] = []
        cached: list[float] = []
        turns = 1 if name == "torch.compile" and not effort.slow else min(5, effort.rounds)
        try:
            for _ in range(turns):
                with tempfile.TemporaryDirectory() as folder:
                    given = dict.fromkeys(CACHES.get(name, ()), folder)
                    environment = peers.environment() | given | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
                    cold.append(_first(key, name, environment, effort))
                    if given:
                        cached.append(_first(key, name, environment, effort))
        except subprocess.SubprocessError as error:
            results[name] = {"error": str(error)}
            continue
        results[name] = statistics_of(cold * 2 if len(cold) == 1 else cold)
        if cached:
            results[f"{name}, cached"] = statistics_of(cached * 2 if len(cached) == 1 else cached)
    return results


def _first(key: str, name: str, environment: dict[str, str], effort: Effort) -> float:
    return float(_run(["-m", "bench.startup", "first", key, name], environment, effort.patience))


def _run(arguments: list[str], environment: dict[str, str], patience: float) -> str:
    """The last line that a fresh process prints."""
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=patience
    )
    if ran.returncode:
        raise subprocess.SubprocessError(f"{' '.join(arguments[-2:])}: {ran.stderr.strip().splitlines()[-1:]}")
    return ran.stdout.strip().splitlines()[-1]


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
    start = time.perf_counter()
    contender = workload.contenders()[name]()
    float(contender.step())
    return time.perf_counter() - start


if __name__ == "__main__":
    print(first(*sys.argv[2:]))
