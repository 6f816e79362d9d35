"""RUN, SCRIPT.py and SCRIPT.py:NAME as what a command looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.base.errors import DataError
from backlit.cli import main
from backlit.cli.subject import subject
from backlit.explain.tape import tape_of

SCRIPT = """
import backlit as bl
w = bl.tensor(1.0, requires_grad=True)
for step in range(3):
    loss = (w - 3) ** 2
    loss.backward()
    w = bl.tensor(w.detach() - 0.1 * w.grad, requires_grad=True)
other = bl.exp(w)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "descend.py"
    path.write_text(SCRIPT, "utf-8")
    return path


def test_a_script_gives_the_last_value_that_was_differentiated(script: Path) -> None:
    found = subject(str(script))
    assert found.y is found.names["loss"]
    tape = tape_of(found.y)
    assert "descend.py:5" in tape.line(tape.output)
    assert subject(f"{script}:other").title == "other of descend.py"


def test_what_cannot_be_looked_at_says_why(script: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such script"):
        subject("nowhere.py")
    with pytest.raises(bl.ArgumentError, match=r"no variable 'los'\. Did you mean 'loss'"):
        subject(f"{script}:los")
    with pytest.raises(bl.ArgumentError, match="is int, expected a Tensor"):
        subject(f"{script}:step")
    for text, error, message in (
        ("import backlit as bl\nx = bl.tensor(1.0, requires_grad=True) * 2", bl.ArgumentError, r"such as other.py:x"),
        ("1 / 0", DataError, "in line 1: ZeroDivisionError"),
        ("raise SystemExit(3)", DataError, "exit code 3"),
    ):
        (tmp_path / "other.py").write_text(text, "utf-8")
        with pytest.raises(error, match=message):
            subject(str(tmp_path / "other.py"))


def test_a_run_gives_the_loss_of_its_network(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    assert main(["train", "--data", "digits", "--epochs", "1", "--out", str(tmp_path)]) == 0
    (run,) = tmp_path.iterdir()
    found = subject(str(run))
    assert found.title.startswith("cross_entropy of digits-mlp")
    assert found.model is not None
    assert not found.y.shape
    assert len(tape_of(found.y).leaves) == 4


def test_the_network_of_a_run_that_a_script_left_is_the_script_s(tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
    nn.Sequential(nn.Dense(1)).fit(x, x, epochs=1, run=tmp_path / "r", verbose=False)
    with pytest.raises(DataError, match=r"made by a script.*bl\.explore\(loss, model=model, run="):
        subject(str(tmp_path / "r"))
