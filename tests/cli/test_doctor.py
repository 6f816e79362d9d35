"""`backlit doctor`: of runs, of scripts that fit, of scripts with a loop of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backlit import nn, train
from backlit.cli import main

SCRIPT = """
import numpy as np
from backlit import nn
x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32") * {scale}
nn.Sequential(nn.Dense(16, "tanh"), nn.Dense(2)).fit(x, (x[:, 0] > 0).astype(int), epochs=1, verbose=False)
"""
LOOP = """
import backlit as bl
weights = [bl.tensor(0.5, requires_grad=True) for _ in range({depth})]
unused = bl.tensor(1.0, requires_grad=True)
h = bl.tensor(1.0)
for w in weights:
    h = bl.sigmoid(h * w)
((h - 3) ** 2).backward()
"""


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--data", "iris", "--epochs", "2", "--optimizer", "sgd", "--lr", "300", "--out", str(tmp_path)]
    assert main(command) == 0
    (run,) = tmp_path.iterdir()
    assert (run / "watch.json").is_file()
    capsys.readouterr()
    assert main(["doctor", "--in", str(tmp_path), "--steps", "50", "--no-try"]) == 3
    out = capsys.readouterr().out
    assert f"{run}: " in out
    assert "2 epochs: loss " in out
    assert "Learning rate too high" in out
    assert "→ mend, not tried: " in out
    assert "While it trained, in " in out


def test_a_run_that_a_script_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    model = nn.Sequential(nn.Dense(8, "relu"), nn.Dense(2)).build((4,), key=0)
    model.load_values({"0.bias": np.full(8, -100.0, np.float32)})
    model.fit(x, (x[:, 0] > 0).astype(int), epochs=2, run=tmp_path / "r", verbose=False)
    assert main(["doctor", "r", "--in", str(tmp_path)]) == 3
    out = capsys.readouterr().out
    assert "backlit doctor SCRIPT.py" in out
    assert "  dead units in 0: 100% of the units" in out
    assert max(map(len, out.partition("While")[2].splitlines())) <= 100


def test_a_run_that_broke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    y, x[5, 2] = (x[:, 0] > 0).astype(int), np.nan
    with pytest.raises(train.DivergedError):
        nn.Sequential(nn.Dense(8, "relu"), nn.Dense(2)).fit(x, y, run=tmp_path / "r", verbose=False)
    assert main(["doctor", str(tmp_path / "r")]) == 3
    out = capsys.readouterr().out
    assert "inputs itself is the first that is not finite" in out
    assert "nothing else." in out


def test_a_script_that_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "s.py"
    script.write_text(SCRIPT.format(scale=1))
    assert main(["doctor", str(script), "--no-try"]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out
    script.write_text(SCRIPT.format(scale=300))
    assert main(["doctor", str(script), "--no-try"]) == 3
    assert "Unnormalised input" in capsys.readouterr().out


def test_a_script_with_a_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "loop.py"
    script.write_text(LOOP.format(depth=10))
    assert main(["doctor", str(script)]) == 3
    out = capsys.readouterr().out
    assert "The gradient of the last backward() of loop.py" in out
    assert "sigmoid: mean |f'|" in out
    assert "weights.0: norm 0.5, gradient " in out
    script.write_text(LOOP.format(depth=1))
    assert main(["doctor", str(script)]) == 0


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nowhere", "there is no such run, neither here nor in"),
        ("nowhere.py", "no such script"),
        (None, "There are no runs"),
    ],
)
def test_what_is_not_there(
    what: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert main(["doctor", *([what] if what else []), "--in", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    script = tmp_path / "empty.py"
    script.write_text("x = 1\n")
    assert main(["doctor", str(script)]) == 1
    assert "neither called fit() nor backward()" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m backlit explain 'x*y+sin(x)' x=1 y=2 --check none | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("f(x, y)")
    assert not done.stderr
