"""Kill a training with SIGKILL again and again, and see that it comes to the bits of one that was left alone.

`python tests/train/kills.py 200` kills 200 times. After each kill every file is read whole; each time a run comes to
its end between kills, its parameters are compared with those of the unbroken run, and a new one begins.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from backlit import train

PROGRAM = str(Path(__file__).parent / "killed.py")


def start(folder: Path, epochs: int) -> subprocess.Popen[str]:
    """The training as a process, waited for until its first step is near."""
    process = subprocess.Popen([sys.executable, PROGRAM, str(folder), str(epochs)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def finished(process: subprocess.Popen[str]) -> str:
    """The parameters that a process prints in the end."""
    told, _ = process.communicate()
    assert process.returncode == 0
    return told


def kills(count: int, epochs: int, seed: int = 0) -> dict[str, int]:
    """Kill so many times; counts of what was seen: kills, files read whole, runs brought to their end."""
    dice, seen = random.Random(seed), {"kills": 0, "files": 0, "ends": 0}
    with tempfile.TemporaryDirectory() as parent:
        process = start(Path(parent, "whole"), epochs)
        begun = perf_counter()
        expected = finished(process)
        took = perf_counter() - begun
        folder = Path(parent, "0")
        while seen["kills"] < count:
            process = start(folder, epochs)
            sleep(took * dice.uniform(0, 0.6))
            process.kill()
            told, _ = process.communicate()
            if process.returncode == 0:  # it came first
                assert told == expected, f"other bits after {seen}"
                seen["ends"] += 1
                folder = Path(parent, str(seen["ends"]))
                continue
            seen["kills"] += 1
            for path in folder.glob("*.safetensors"):
                train.load_arrays(path)
                seen["files"] += 1
        assert finished(start(folder, epochs)) == expected, f"other bits after {seen}"
        seen["ends"] += 1
    return seen


if __name__ == "__main__":
    print(kills(int(sys.argv[1]), epochs=40))
