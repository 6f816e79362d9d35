"""Copies between arrays that run along different axes: every order of axes, sizes that fill vectors and that do not."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.codegen.writer import Target
from backlit.compiler.kernels.transpose import Transpose, can_transpose, lanes_of
from backlit.compiler.kernels.views import Buffer, View

from ..native import check
from ..running import Runner

WIDTHS = [Target(64, 32), Target(32, 16), Target(16, 16)]
SHAPES = [(16, 16), (64, 48), (37, 21), (5, 100), (3, 70, 4), (4, 4, 33), (8, 16, 4, 4), (2, 9, 7, 5), (3, 4, 2, 8, 6)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_order_of_axes(shape: tuple[int, ...]) -> None:
    turned = 0
    for number, order in enumerate(permutations(range(len(shape)))):
        code, target = ("f4", "f8", "i4", "i8")[number % 4], WIDTHS[number % 3]
        values = np.random.default_rng(number).integers(-1000, 1000, shape).astype(code)
        source = View.whole(Buffer("x", code, values.size), shape)
        laid = View.whole(Buffer("y", code, values.size), [shape[i] for i in order])
        placed = laid.permuted(np.argsort(order).tolist())
        if not can_transpose(source, placed, lanes_of(source, target)):
            assert order[-1] == len(shape) - 1 or min(shape) < 8 or target.lanes(code) < 4
            continue
        turned += 1
        kernel = Transpose("turn", source, placed, target)
        for threads in (1, 3):
            out = np.zeros(laid.shape, code)
            Runner(kernel, target)({source.buffer: values, laid.buffer: out}, threads)
            np.testing.assert_array_equal(out, values.transpose(order), err_msg=f"{order} {code} {target}")
    assert turned


def test_parts_of_arrays_are_left_alone() -> None:
    """What lies around the target is not touched, and what lies around the source is not read."""
    x = np.arange(40.0 * 50).reshape(40, 50).astype("f4")
    x[37:], x[:, 45:] = np.nan, np.nan
    source = View(Buffer("x", "f4", x.size), (30, 40), (50, 1), 7 * 50 + 5)
    target = View(Buffer("y", "f4", 45 * 36), (30, 40), (1, 36), 2 * 36 + 3)
    out = np.full((45, 36), -1, "f4")
    Runner(Transpose("turn", source, target, WIDTHS[0]))({source.buffer: x, target.buffer: out})
    expected = np.full((45, 36), -1, "f4")
    expected[2:42, 3:33] = x[7:37, 5:45].T
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "b1", "u1"])
def test_in_plans(dtype: str) -> None:
    x = np.random.default_rng(5).integers(0, 2, (24, 33, 20)).astype(dtype)

    def function(x: Any) -> Any:
        return bl.permute_dims(x, (2, 1, 0)).reshape((20, -1)), bl.permute_dims(x, (0, 2, 1)).reshape((-1, 33))

    compiled: Any = bl.compile(function)
    kinds = [getattr(s, "kernel", s) for s in compiled.plan(x).steps]
    assert any(isinstance(k, Transpose) for k in kinds) == (dtype in ("f4", "f8", "i4"))
    check(function, [x])
