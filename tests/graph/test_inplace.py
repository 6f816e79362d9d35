"""In-place operators keep value semantics whether or not they reuse the memory."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl

OPERATORS = {
    "add": lambda x, y: x.__iadd__(y),
    "subtract": lambda x, y: x.__isub__(y),
    "multiply": lambda x, y: x.__imul__(y),
    "divide": lambda x, y: x.__itruediv__(y),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_update_of_a_parameter_reuses_its_memory(name: str) -> None:
    start = np.array([1.0, 2.0, 4.0])
    w = bl.tensor(start, requires_grad=True)
    memory, node = w.value.ctypes.data, id(w.node)
    with bl.no_grad():
        OPERATORS[name](w, bl.tensor([2.0, 2.0, 0.5], bl.float64))
    assert w.value.ctypes.data == memory
    assert id(w.node) == node
    np.testing.assert_array_equal(w.numpy(), getattr(np, name)(start, [2.0, 2.0, 0.5]))


def seen_by_a_view(w: bl.Tensor) -> np.ndarray:
    return w.numpy()


def seen_by_a_slice(w: bl.Tensor) -> bl.Tensor:
    return w.detach()[1:]


def seen_by_another_tensor(w: bl.Tensor) -> bl.Tensor:
    return w.detach()


@pytest.mark.parametrize("look", [seen_by_a_view, seen_by_a_slice, seen_by_another_tensor])
def test_what_was_read_before_does_not_change(look) -> None:  # type: ignore[no-untyped-def]
    w = bl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    seen = look(w)
    before = np.array(seen)
    with bl.no_grad():
        w -= 1.0
    np.testing.assert_array_equal(np.array(seen), before)
    np.testing.assert_array_equal(w.numpy(), [0.0, 1.0, 2.0])


def test_a_graph_made_before_the_update_keeps_the_old_value() -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()
    with bl.no_grad():
        w *= 10.0
    y.backward()
    assert w.grad is not None
    np.testing.assert_array_equal(w.grad.numpy(), [2.0, 4.0])


def test_memory_shared_with_the_user_is_left_alone() -> None:
    mine = np.array([1.0, 2.0])
    x = bl.asarray(mine)
    x += 1.0
    np.testing.assert_array_equal(mine, [1.0, 2.0])
    np.testing.assert_array_equal(x.numpy(), [2.0, 3.0])


def test_a_recorded_update_is_differentiable() -> None:
    w = bl.tensor([3.0], requires_grad=True)
    y = bl.tensor([2.0])
    y *= w
    y *= w
    y.sum().backward()
    assert w.grad is not None
    assert w.grad.item() == 12.0
