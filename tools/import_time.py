"""Print how long `import backlit` takes, and how much of it is NumPy: medians of fresh processes, interleaved."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

#: Processor time, which other programs on the machine disturb less than time by the clock.
CODE = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"
ROUNDS = 15

#: As on a user's machine, where the bytecode of an installed package is kept.
CACHED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def milliseconds(module: str) -> float:
    """The time to import `module` in a fresh process."""
    command = [sys.executable, "-c", CODE.format(module)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=CACHED)
    return 1e3 * float(ran.stdout)


def main() -> None:
    """Measure and print."""
    milliseconds("backlit")  # compiles it where that has not been done
    numpy, backlit = zip(*[(milliseconds("numpy"), milliseconds("backlit")) for _ in range(ROUNDS)], strict=True)
    a, b = statistics.median(numpy), statistics.median(backlit)
    print(f"import numpy {a:.0f} ms, import backlit {b:.0f} ms: {b - a:.0f} ms more (at most 30)")


if __name__ == "__main__":
    main()
