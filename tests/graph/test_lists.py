"""Lists stand for arrays wherever an op takes one, and Tensors inside them stay differentiable."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import backlit as bl

CALLS: dict[str, Callable[[bl.Tensor], bl.Tensor]] = {
    "function of two": lambda t: bl.add([t, 2 * t], 1.0),
    "operator": lambda t: bl.ones(2) * [t, 2 * t],
    "function of one": lambda t: bl.positive([t, 2 * t]),
    "nested": lambda t: bl.add([[t], [2 * t]], [[0.0], [0.0]]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_tensors_in_a_list_keep_their_gradient(call: Callable[[bl.Tensor], bl.Tensor]) -> None:
    t = bl.tensor(5.0, requires_grad=True)
    bl.sum(call(t)).backward()
    assert t.grad is not None
    assert t.grad.item() == 3.0
