"""Print how long `import backlit` takes, and how much of it is NumPy: medians of fresh processes, interleaved."""

from __future__ import annotations

import statistics
import subprocess
import sys

CODE = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
ROUNDS = 15


def milliseconds(module: str) -> float:
    """The time to import `module` in a fresh process."""
    ran = subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True)
    return 1e3 * float(ran.stdout)


def main() -> None:
    """Measure and print."""
    numpy, backlit = zip(*[(milliseconds("numpy"), milliseconds("backlit")) for _ in range(ROUNDS)], strict=True)
    a, b = statistics.median(numpy), statistics.median(backlit)
    print(f"import numpy {a:.0f} ms, import backlit {b:.0f} ms: {b - a:.0f} ms more (at most 30)")


if __name__ == "__main__":
    main()
