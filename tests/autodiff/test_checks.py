"""settings(check=True): a value changed in place after it was saved is found."""

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import GradientError


def changed(compute, derivative=lambda y: y.backward()):
    """What happens when the user's array is changed between the computation and its derivative."""
    shared = np.array([1.0, 2.0, 3.0])
    w = bl.tensor([4.0, 5.0, 6.0], requires_grad=True)
    y = compute(w, bl.asarray(shared))
    shared[1] = 9.0
    derivative(y)


CAUGHT = [
    (lambda w, a: (w * a).sum(), r"multiply at test_checks.py:\d+: its input x2 was changed in place"),
    (lambda w, a: (a * w).sum(), "its input x1"),
    (lambda w, a: bl.matmul(w, a), "matmul .*its input x2"),
    (lambda w, a: bl.sin(a.clone() * w).sum(), "multiply"),
]


@pytest.mark.parametrize(("compute", "message"), CAUGHT)
def test_a_change_in_place_is_found(compute, message):
    with bl.settings(check=True), pytest.raises(GradientError, match=message):
        changed(compute)


def test_a_changed_result_is_found():
    with bl.settings(check=True):
        x = bl.tensor([1.0, 2.0], requires_grad=True)
        y = bl.exp(x)
        y.value[0] = 7.0
        with pytest.raises(GradientError, match=r"exp .*its result"):
            y.sum().backward()


def test_functional_transforms_check_too():
    shared = np.array([1.0, 2.0])
    with bl.settings(check=True):
        _, pull = bl.vjp(lambda x: x * bl.asarray(shared), np.ones(2))
        shared[0] = 3.0
        with pytest.raises(GradientError, match="changed in place"):
            pull(np.ones(2))


def test_what_is_not_saved_may_change_and_off_is_off():
    with bl.settings(check=True):
        changed(lambda w, a: (w + a).sum())
        changed(lambda w, a: (w * bl.tensor(a)).sum())
    with bl.settings(check=False):
        changed(lambda w, a: (w * a).sum())


def test_derivatives_are_right_under_check():
    def f(x):
        a, b = bl.unstack(x * x)
        return bl.exp(a) * b + (x @ x)

    x = np.array([0.5, -1.0])
    with bl.settings(check=True):
        checked = bl.hessian(f)(x).numpy()
    assert np.array_equal(checked, bl.hessian(f)(x).numpy())
