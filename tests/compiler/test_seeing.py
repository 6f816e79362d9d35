"""Plans can be read: the listing, the passes, the report and its picture, and what BACKLIT_DEBUG prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.debug import level
from backlit.graph.graph import Graph

from .native import in_memory

X, W = np.ones((40, 30), "f4"), np.ones((30, 20), "f4")


def step(w: Any, x: Any) -> Any:
    def loss(w: Any) -> Any:
        return bl.mean(bl.logsumexp(bl.tanh(x @ w), axis=1))

    value, slope = bl.value_and_grad(loss)(w)
    return w - 0.1 * slope, value


def looped(w: Any, x: Any) -> Any:
    h, _ = bl.scan(lambda h, row: (bl.tanh(h @ w + row), None), bl.zeros((20,)), x[:, :20])
    h = bl.cond(bl.sum(h) > 0, lambda h: h * 2, lambda h: h - 1, h)
    return bl.while_loop(lambda h: bl.sum(h) < 10, lambda h: h + 1, h), bl.sort(h)


def test_the_listing_shows_every_kernel_with_its_line():
    with in_memory():
        plan = bl.compile(step).plan(W, X)
    text = plan.source
    assert text.startswith("step(w: f4[30, 20], x: f4[40, 30]) -> out0: f4[30, 20], out1: f4[]")
    assert all(f"\n{k.name}:  # " in text for k in plan.kernels)
    assert "test_seeing.py:" in text
    assert re.search(r"matmul = sum\(x\[i, k\] \* w\[k, j\] for k in 0..30\)\n\s+tanh\d* = tanh\(matmul\)", text)
    assert re.search(r"out0\[i, j\] = subtract", text)  # the update, in the kernel that makes the gradient


def test_the_listing_of_passes_over_a_row():
    with in_memory():
        text = bl.compile(lambda x: bl.softmax(x, axis=1)).plan(np.ones((64, 300), "f4")).source
    order = ["for i in 0..64:", "max = max(max, x[i, j])", "sum += exp", "out0[i, j] = "]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.count("for j in 0..300") == 3


def test_the_listing_of_loops_and_branches():
    with in_memory():
        text = bl.compile(looped).plan(np.ones((20, 20), "f4"), X).source
    parts = (
        "\nrepeat 40 times:\n",
        "slice of x",
        "\nif greater:\n",
        "\nelse:\n",
        "\nrepeat:\n",
        "    if not goes_on: leave",
    )
    for part in parts:
        assert part in text, part
    assert "out1 = NumPy's sort  # test_seeing.py:" in text


def test_passes_are_graphs_with_names():
    passes = bl.compile(step).plan(W, X).passes
    assert [name for name, _ in passes][:2] == ["traced", "decompose"]
    assert all(isinstance(graph, Graph) for _, graph in passes)
    assert "logsumexp" in str(passes[0][1])
    assert "logsumexp" not in str(passes[-1][1])


def test_the_report_and_its_picture(tmp_path):
    with in_memory():
        report = bl.compile(looped).plan(np.ones((20, 20), "f4"), X).report()
    text = str(report)
    assert "loop of " in text
    assert "NumPy" in text
    assert report.seconds > 0
    assert all(row.seconds >= 0 and row.nbytes >= 0 for row in report.rows)
    pytest.importorskip("matplotlib")
    path = tmp_path / "plan.png"
    report.picture(str(path))
    assert path.stat().st_size > 5000


def printed(wanted: str) -> str:
    code = "import numpy as np, backlit as bl; bl.compile(lambda x: bl.sum(bl.exp(x)))(np.ones(1000, 'f4'))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "BACKLIT_DEBUG": wanted}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


def test_each_debug_level_shows_more():
    assert printed("0") == ""
    marks = ["plan of lambda: ", "cse again", "return %", "sum += exp", "define internal void", ".text"]
    one, six = printed("1"), printed("6")
    assert marks[0] in one
    assert len(one.splitlines()) == 1
    assert all(mark in six for mark in marks)
    two = printed("2")
    assert marks[1] in two
    assert marks[2] not in two


def test_a_debug_level_that_is_none(monkeypatch):
    monkeypatch.setenv("BACKLIT_DEBUG", "lots")
    with pytest.raises(bl.ArgumentError, match="BACKLIT_DEBUG=lots: give a number from 0"):
        level()
