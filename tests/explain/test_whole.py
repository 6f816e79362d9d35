"""A whole Tape holds what has no derivative too; what cannot be traced is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.explain.tape import Unrecorded
from backlit.explain.whole import whole_tape


def names(tape: Any) -> list[str]:
    return [n.op.name for n in tape.nodes if n.inputs]


def test_what_has_no_derivative_stands_in_it() -> None:
    def f(w: Any) -> Any:
        with bl.no_grad():
            s = bl.exp(w)
        return bl.where(w > 0, w * s, 0.0).sum() + bl.take(w, bl.argmax(w))

    w = bl.tensor([1.0, 2.0])
    tape = whole_tape(f, w)
    assert names(tape) == ["exp", "greater", "multiply", "where", "sum", "argmax", "take", "add"]
    np.testing.assert_allclose(tape.cotangents[tape.leaves[0]], bl.grad(f)(w).numpy())
    assert names(whole_tape(bl.compile(f), w)) == names(tape)


def test_a_function_that_looks_at_values_is_called() -> None:
    f = lambda w, mode: (w * 2 if float(w) > 0 else w * 3) if mode == "linear" else w
    assert names(whole_tape(f, 1.0, "linear")) == ["multiply"]


def test_what_it_closes_over() -> None:
    v = bl.tensor(3.0, requires_grad=True)
    h = v * 2
    assert names(whole_tape(lambda w: w * v, 1.0)) == ["multiply"]
    assert names(whole_tape(lambda w: w * h, 1.0)) == ["multiply", "multiply"]
    tape = whole_tape(lambda w: w * v, 1.0, names={"v": v})
    assert {tape.name(n) for n in tape.leaves} == {"v", "w"}


def test_errors_teach() -> None:
    with pytest.raises(Unrecorded, match="nothing is recorded"):
        whole_tape(lambda w: bl.ones(()), 1.0)
    with pytest.raises(bl.ArgumentError, match="must return a Tensor"):
        whole_tape(lambda w: 3, 1.0)
    with pytest.raises(bl.ArgumentError, match="w has no value"):
        bl.compile(lambda w: whole_tape(lambda w: w * 2, w) and w)(1.0)
