"""`backlit explore`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from backlit.cli import main


def test_an_expression_becomes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    page = tmp_path / "pages" / "neuron.html"
    command = ["explore", "1/(1+exp(-(w*x+b)))", "x=1", "w=0", "b=0", "--out", str(page)]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert "<title>1/(1+exp(-(w*x+b)))</title>" in page.read_text("utf-8")
    assert opened == [page.as_uri()]
    assert main([*command, "--no-open"]) == 0
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert main(command) == 0
    assert len(opened) == 1


def test_a_script_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "step.py"
    script.write_text(
        "import backlit as bl\nw = bl.tensor(1.0, requires_grad=True)\nloss = (w - 3) ** 2\nloss.backward()\n", "utf-8"
    )
    assert main(["explore", f"{script}:loss", "--no-open"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert "loss = (w - 3) ** 2" in path.read_text("utf-8")  # the line of the script
    assert main(["explore", str(script), "w=1"]) == 1
    assert "values are for an expression" in capsys.readouterr().err
    assert main(["explore", "1 + 1"]) == 1
    assert "no variable" in capsys.readouterr().err
