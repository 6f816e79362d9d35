"""The branch of `where` that is not taken may be infinite or no number: derivatives of the other stay right."""

import numpy as np
import pytest

import backlit as bl

#: A function with the points where it is taken, and those where its value or derivative is not finite.
CASES = {
    "sqrt": (bl.sqrt, [4.0], [0.0, -1.0]),
    "product of two": (lambda x: bl.sqrt(x) * bl.log(x), [4.0], [0.0, -1.0]),
    "x log x": (lambda x: x * bl.log(x), [2.0], [0.0, -1.0]),
    "x to the x": (lambda x: x**x, [2.0], [0.0]),
    "overflow": (lambda x: bl.exp(x) * bl.exp(x), [1.0], [1000.0]),
    "quotient of infinities": (lambda x: bl.exp(x) / (1 + bl.exp(x)), [1.0], [1000.0]),
    "essential singularity": (lambda x: bl.exp(-1 / x) * bl.sin(1 / x), [1.0], [0.0]),
    "arcs": (lambda x: bl.acos(x) + bl.atanh(x) * bl.asin(x), [0.5], [1.0, -1.0, 2.0]),
    "tabulated": (lambda x: bl.lgamma(x) * bl.digamma(x), [2.5], [0.0, -1.0]),
}
ORDERS = {
    "reverse": lambda f: bl.grad(f),
    "forward": lambda f: bl.jacobian(f, mode="forward"),
    "reverse over reverse": lambda f: bl.jacobian(bl.grad(f)),
    "forward over reverse": lambda f: bl.hessian(f),
    "reverse over forward": lambda f: bl.jacobian(bl.jacobian(f, mode="forward")),
    "forward over forward": lambda f: bl.jacobian(bl.jacobian(f, mode="forward"), mode="forward"),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", CASES)
def test_what_is_not_taken_adds_nothing(name, order):
    f, inside, outside = CASES[name]
    x = np.array([*inside, *outside])
    taken = np.arange(len(x)) < len(inside)
    with np.errstate(all="ignore"):
        found = ORDERS[order](lambda x: bl.sum(bl.where(taken, f(x), 0)))(bl.tensor(x)).numpy()
    expected = np.zeros(found.shape)
    corner = (slice(len(inside)),) * found.ndim
    expected[corner] = ORDERS[order](lambda x: bl.sum(f(x)))(bl.tensor(x[taken])).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_traced_and_static_runs_give_the_same():
    f = lambda x: bl.sum(bl.where(x > 0, bl.sqrt(x) * bl.log(x), 0))
    x = np.array([0.0, -1.0, 4.0])
    with bl.static.Graph().as_default(), bl.static.Session() as session, np.errstate(all="ignore"):
        p = bl.static.placeholder(bl.float64, (None,))
        found = session.run(bl.static.gradients(f(p), [p])[0], {p: x})
        np.testing.assert_array_equal(found, bl.grad(f)(bl.tensor(x)).numpy())
    assert np.isfinite(found).all()


@pytest.mark.parametrize("f", [lambda x: (x**3) ** (1 / 3), lambda x: bl.sqrt(x * x)], ids=["cube root", "root"])
def test_what_the_chain_rule_does_not_know_is_not_a_number(f):  # type: ignore[no-untyped-def]
    """An infinite cotangent times a partial of 0: no silent 0, for the true derivative of the first is 1."""
    with np.errstate(all="ignore"):
        assert np.isnan(bl.grad(f)(0.0).item())
