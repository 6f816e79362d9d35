"""BACKLIT_CHECK finds a kernel that is wrong, names it and its place, and finds nothing in plans that are right."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import BacklitError
from backlit.graph.opdef import OPS

from .native import agree, arrays, check, eager, in_memory

RNG = np.random.default_rng(0)
X, W, V = RNG.normal(size=(40, 30)), RNG.normal(size=(30, 20)), RNG.normal(size=(20, 7))


def loss(w: Any, v: Any, x: Any) -> Any:
    hidden = bl.tanh(x @ w + 0.1)
    return -bl.mean(bl.log_softmax(hidden @ v, axis=1)[:, 2]) + bl.sum(bl.max(hidden, axis=0)) * 0.01


def step(w: Any, v: Any, x: Any) -> Any:
    value, (dw, dv) = bl.value_and_grad(loss, (0, 1))(w, v, x)
    return w - 0.1 * dw, v - 0.1 * dv, value


def recurrent(w: Any, x: Any) -> Any:
    def turn(h: Any, row: Any) -> Any:
        h = bl.tanh(h @ w + row)
        return h, bl.sum(h)

    h, sums = bl.scan(turn, bl.zeros((20,), dtype=x.dtype), x[:, :20])
    return bl.fori_loop(0, 7, lambda i, h: bl.where(h > 0.1, h * 0.9, h + 0.05), h), bl.sort(sums), bl.argmax(sums)


RIGHT = {
    "a training step": (step, [W, V, X]),
    "loops": (recurrent, [W[:20], X]),
    "convolutions": (
        bl.grad(lambda x, w: bl.sum(bl.max_pool2d(bl.relu(bl.conv2d(x, w)), 2) ** 2), (0, 1)),
        [RNG.normal(size=(16, 3, 9, 9)), RNG.normal(size=(8, 3, 3, 3))],
    ),
    "indices": (
        lambda x: (bl.index_add(x, np.array([0, 2, 0]), 1.0), bl.take(x, bl.argmax(x, axis=1) % 30, axis=1)),
        [X],
    ),
    "numbers": (lambda x: bl.sin(x) * 2 + 1, [np.float32(0.3)]),
}


@pytest.mark.parametrize("case", RIGHT)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_plan_that_is_right_passes(case, dtype):
    function, values = RIGHT[case]
    values = [v.astype(dtype) for v in values]
    with bl.settings(check=True):
        for _ in range(2):
            agree(arrays(bl.compile(function)(*values)), [(y, 10.0) for y in eager(function, values)], case, ulps=1024)
        with in_memory():
            check(function, values, case, ulps=1024)


def off(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A native form whose results are too large by a thousandth."""
    return lambda k, *args, **params: rule(k, *args, **params) * 1.001


def planted(name: str) -> Any:
    return mock.patch.object(OPS[name], "native", off(OPS[name].native))


@pytest.mark.parametrize("name", ["add", "multiply", "tanh", "exp"])
def test_a_fault_is_caught_and_the_kernel_named(name):
    with planted(name), in_memory(), bl.settings(check=True):
        run = bl.compile(step)
        with pytest.raises(BacklitError, match=r"check: kernel '\w+' of the plan of step is wrong") as caught:
            run(W, V, X)
    message = str(caught.value)
    assert name in message.split("It computes: ")[1]
    assert "test_checking.py:" in message
    assert "NumPy" in message


def test_a_fault_in_registers_is_caught():
    x = np.arange(5.0)
    with planted("add"), bl.settings(check=True), pytest.raises(BacklitError, match=r"output 0"):
        bl.compile(lambda x: x + bl.sin(x))(x)


@pytest.mark.parametrize("name", ["add", "multiply", "sigmoid", "maximum"])
def test_the_comparison_of_these_tests_catches_faults_too(name):
    """What the other tests rely on: `check` refuses an op that is off by a thousandth."""
    count = len(OPS[name].input_names)
    with planted(name), pytest.raises(AssertionError):
        check(OPS[name].public, [X + 10, X + 9][:count])


def test_a_fault_in_one_element_is_caught():
    def wrong(k: Any, x: Any) -> Any:
        return k.select(x > 2.5, k.exp(x) * 1.5, k.exp(x))

    x = np.linspace(0, 2.4, 1009)
    x[400] = 2.6
    patched = mock.patch.object(OPS["exp"], "native", wrong)
    found = pytest.raises(BacklitError, match=r"at .400,. .* 1 of 1009 elements are wrong")
    with patched, in_memory(), bl.settings(check=True), found:
        bl.compile(lambda x: bl.exp(x) + 1)(x)


def test_arguments_are_left_as_they_are_and_errors_stay_what_they_are():
    x = X.copy()
    with bl.settings(check=True):
        run = bl.compile(lambda x: x * 2 + 1, donate="x")
        agree(arrays(run(x)), [X * 2 + 1])
        agree([x], [X])
        with pytest.raises(IndexError, match="out of range"):
            bl.compile(lambda x, i: bl.take(x, i, axis=0))(X, np.array([0, 99]))


# --- other machines --------------------------------------------------------------------------------

SELECTION = """
import sys
sys.path.insert(0, {root!r})
from tests.compiler.test_checking import RIGHT, check, in_memory
from tests.compiler.test_rows import SETS, several, np
for function, values in RIGHT.values():
    values = [v.astype("f4") for v in values]
    check(function, values, ulps=4096)
    with in_memory():
        check(function, values, ulps=4096)
x = np.random.default_rng(0).normal(size=(7, 35, 9))
with in_memory():
    check(lambda x: [several(x, axes, False) for axes in SETS], [x.astype("f4")], ulps=1024)
    check(lambda x: [several(x.mT, axes, True) for axes in SETS], [x], ulps=1024)
import backlit as bl
print(type(bl.compile(lambda x: x + 1).plan(x)).__name__)
"""


@pytest.mark.parametrize(("change", "kind"), [
    ({"BACKLIT_VECTOR_BYTES": "16"}, "NativePlan"), ({"BACKLIT_VECTOR_BYTES": "32"}, "NativePlan"),
    ({"BACKLIT_THREADS": "3"}, "NativePlan"), ({"BACKLIT_LLVM": "0"}, "NumpyPlan"),
    ({"BACKLIT_NATIVE": "0"}, "NumpyPlan"),
], ids=lambda x: "-".join(x) if isinstance(x, dict) else "")  # fmt: skip
def test_other_machines(change, kind):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    run = subprocess.run(
        [sys.executable, "-c", SELECTION.format(root=root)],
        env={**os.environ, **change},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip() == kind
