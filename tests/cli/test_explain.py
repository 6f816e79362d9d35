"""`backlit explain`: what it prints, what it checks, and what it says of a wrong command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.cli import main
from backlit.explain.expression import Expression, assignments, functions

NEURON = ["explain", "1/(1+exp(-(w*x+b)))", "x=1", "w=0", "b=0"]


def test_the_neuron(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NEURON, "--check", "differences"]) == 0
    out = capsys.readouterr().out
    for line in (
        "f(x, w, b) = 1/(1+exp(-(w*x+b)))",
        "f = h6 = 0.5   at x = 1, w = 0, b = 0",
        "⑧ ∂h6/∂h5 = -1 / h5² = -0.25",
        "∂f/∂w = 0.25: one path",
        "= 1 · 1 · (-1) · 1 · 1 · (-0.25) = 0.25",
        "the chain rule       0       0.25    0.25",
        "finite differences   0       0.25    0.25",
        "of what their own error allows",
    ):
        assert line in out
    for number in "①②③④⑤⑥⑦⑧":
        assert number in out


def test_arrays_and_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = ["explain", "mean((tanh(x@W + b) - t)**2)", "x=[1,2;3,4]", "W=[[0.1,0.2],[-0.3,0.4]]", "b=[0.1,-0.1]",
               "t=0.5", "--wrt", "W,b", "--html", str(page), "--check", "none"]  # fmt: skip
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "∂f/∂W ← xᵀ @ G    (2, 2)ᵀ·(2, 2) → (2, 2)" in out
    assert "∂f/∂t:" not in out
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert main([*NEURON, "--latex", "--wrt", "w"]) == 0
    assert capsys.readouterr().out.count(r"\begin{align*}") == 2


def test_other_libraries_are_asked_where_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backlit.cli.peers.find_spec", lambda name: None)
    assert main(NEURON) == 0
    out = capsys.readouterr().out
    for name in ("torch", "jax", "tensorflow"):
        assert any(line.split()[:1] == [name] and line.endswith("not installed") for line in out.split("\n"))


def test_a_kink_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "relu(x)", "x=0", "--check", "differences"]) == 1
    assert "likely cause: a kink" in capsys.readouterr().out


def test_a_gradient_that_is_not_finite_is_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "log(x)", "x=0", "--check", "differences"]) == 1
    told = capsys.readouterr().out
    assert "the gradient is not finite at this point" in told
    assert "by the rules" not in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["sigmod(x)", "x=1"], "did you mean sigmoid?"),
        (["ln(x)", "x=1"], "did you mean log?"),
        (["zzz(x)", "x=1"], "such as exp, log"),
        (["x*y", "x=1"], "no value for y: add y=NUMBER"),
        (["width*2", "widht=1"], "did you mean width?"),
        (["x*2", "q=1"], "there are x"),
        (["2x", "x=1"], "A product needs a *"),
        (["sin(x", "x=1"], "cannot be read: '(' was never closed"),
        (["x^2", "x=1"], "A power is written x**2"),
        (["x.real", "x=1"], "not known here"),
        (["x if x else 2", "x=1"], "not known here"),
        (["'a' * x", "x=1"], "not known here"),
        (["bl.exp(x)", "x=1"], "by their plain name"),
        (["x*2", "x=abc"], "expected a number, or an array"),
        (["x*2", "x=[1,2;3]"], "expected a number, or an array"),
        (["x*2", "1"], "expected NAME=VALUE"),
        (["x*2", "x=[1,2]"], "write sum(...) or mean(...) around it"),
        (["x@y", "x=[1,2]", "y=[1,2,3]"], "do not fit"),
        (["9**9**9 * x", "x=1"], "9 ** 9"),
        (["1/0 * x", "x=1"], "division by zero"),
        (["2 + 3"], "there is no variable"),
        (["x*2", "x=1", "--wrt", "y"], "there is no variable 'y'"),
    ],
)
def test_errors_teach(line: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *line, "--check", "none"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("backlit: ")
    assert told in error


def test_expressions_are_computed_as_python_would() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.5, 2, 2)
    for source, expected in (
        ("x + y * 2 - -x", x + y * 2 + x),
        ("(x + y)**2 / x", (x + y) ** 2 / x),
        ("exp(x) * log(y) + pi", np.exp(x) * np.log(y) + np.pi),
        ("sum([1, x, y], axis=0)", 1 + x + y),
        ("+x**2", x**2),
    ):
        assert float(Expression(source).value({"x": x, "y": y}, np)) == pytest.approx(expected)
    assert Expression("b + a*b").names == ("b", "a")
    assert assignments(["v=[1, -2, 1e3]"], Expression("sum(v)"))["v"].tolist() == [1.0, -2.0, 1000.0]
    assert assignments(["v=2*pi"], Expression("v"))["v"] == pytest.approx(2 * np.pi)
    assert all(hasattr(bl, name) for name in functions())


def test_a_reader_that_has_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "backlit", "explain", "w*x", "w=1", "x=2", "--check", "none"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), told) == (141, b"")
