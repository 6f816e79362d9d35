"""Data larger than memory trains: a memory-mapped file, in a process that may not hold it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from backlit import nn
from backlit.data import Loader
from backlit.train.fitting import loaders

PROGRAM = """
import resource, sys
import numpy as np
from backlit import nn
from backlit.data import Loader, Standardize

rows, width = 1 << 18, 784                            # 196 MB
x = np.memmap(sys.argv[1], np.uint8, "w+", shape=(rows, width))
y = np.arange(rows) % 2
x[:, 0] = 255 * y
x = np.memmap(sys.argv[1], np.uint8, "r", shape=(rows, width))
few = np.array(x[:2048])
scale = Standardize.fit(few, axis=None)
model = nn.Sequential(nn.Dense(2))
model.fit(Loader((few, y[:2048]), 512, transform=scale), epochs=1, verbose=False)  # loads all that is needed
held = next(int(l.split()[1]) << 10 for l in open("/proc/self/status") if l.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + (160 << 20),) * 2)
try:
    np.array(x)
except MemoryError:
    print("does not fit")
history = model.fit(Loader((x, y), 512, transform=scale), epochs=1, verbose=False)
print(history[-1]["step"], history[-1]["accuracy"] > 0.99)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory work differently elsewhere")
def test_data_larger_than_memory_train(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "large")], capture_output=True, text=True, check=False
    )
    assert run.stdout.splitlines() == ["does not fit", "512 True"], run.stderr


def test_float64_stays_on_disk_and_trains_as_float32(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 4)), rng.integers(0, 2, 90)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    losses = []
    for given in ((x, y), (mapped, y), (Loader((x, y), 32),)):
        model = nn.Sequential(nn.Dense(6), nn.BatchNorm(), nn.Dense(2))
        losses.append(model.fit(*given, epochs=2, batch_size=32, verbose=False)["loss"])
        assert model.predict(mapped).dtype == np.float32
        assert model.evaluate(mapped, y) == model.evaluate(x, y)
    assert losses[0] == losses[1] == losses[2]
    assert loaders(mapped, y, None, 32, None)[0].resident is None
