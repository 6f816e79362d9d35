"""`backlit draw`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backlit.cli import main


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "step.py"
    path.write_text(
        "import backlit as bl\nw = bl.tensor(1.0, requires_grad=True)\nloss = (w - 3) ** 2\nloss.backward()\n", "utf-8"
    )
    return path


def test_a_script_is_drawn_as_text_and_saved_as_a_picture(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", str(script)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the last backward() of step.py\n")
    assert "◆ w " in out
    assert "∂ -4" in out
    picture = tmp_path / "step.svg"
    assert main(["draw", f"{script}:loss", "--svg", str(picture), "--collapse", "none", "--wrt", "w"]) == 0
    assert picture.read_text("utf-8").startswith("<svg ")
    assert capsys.readouterr().out == f"written: {picture}\n"
    assert main(["draw", str(script), "--collapse", "layers,0"]) == 1
    assert "no group has the path '0'" in capsys.readouterr().err


def test_a_terminal_gets_colours(
    script: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["draw", str(script)]) == 0
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "rich.text", None)
    assert main(["draw", str(script)]) == 0
    assert "\x1b[" not in capsys.readouterr().out


def test_an_expression_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", "1/(1+exp(-(w*x+b)))", "x=1", "w=0", "b=0"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1/(1+exp(-(w*x+b)))\n")
    assert "◎ h6 = 1 / h5" in out
    assert main(["draw", "w*x", "w=1"]) == 1
    assert "no value for x" in capsys.readouterr().err
