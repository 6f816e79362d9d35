"""`minimize`: known minima and scipy's searches, over trees and dtypes, in one native loop; and what it refuses."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import backlit as bl
from backlit import optim
from backlit.base.errors import ArgumentError, BacklitError, DtypeError
from backlit.optim.methods import solve_definite

SEARCHES = ("lbfgs", "bfgs", "newton", "gradient-descent")
#: What scipy calls the methods, and how it is told to stop by the gradient (Newton-CG: by the step) alone.
THEIRS = {
    "lbfgs": ("L-BFGS-B", {"ftol": 0, "gtol": 1e-6}),
    "bfgs": ("BFGS", {"gtol": 1e-6}),
    "newton": ("Newton-CG", {"xtol": 1e-8}),
}
MINIMA = [(3.0, 2.0), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848126)]


def himmelblau(p):
    return (p["x"] ** 2 + p["y"] - 11) ** 2 + (p["x"] + p["y"] ** 2 - 7) ** 2


def rosenbrock(x):
    return bl.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def quartic(x):
    """Convex, of very different curvature along its axes, and least at 1."""
    scales = bl.tensor(np.logspace(0, 2, 8))
    return bl.sum(scales * (x - 1) ** 2) + bl.sum((x - 1) ** 4)


@pytest.mark.parametrize("method", [*SEARCHES, "adam"])
def test_the_minima_of_himmelblau(method):
    options = {"lr": 0.05} if method == "adam" else {}
    solve = optim.minimizer(himmelblau, method=method, **options)
    for x, y in MINIMA:
        found = solve({"x": x + 0.3, "y": y - 0.3})
        assert found.converged
        assert found.reason == "the gradient is within tol"
        assert (found.x["x"].item(), found.x["y"].item()) == pytest.approx((x, y), abs=1e-5)
        assert found.value == pytest.approx(0, abs=1e-10)
        assert found.gradient_norm <= 1e-6


@pytest.mark.parametrize("method", THEIRS)
@pytest.mark.parametrize(("f", "start"), [(rosenbrock, [-1.2, 1.0]), (rosenbrock, [0.5] * 6), (quartic, [3.0] * 8)])
def test_beside_scipy(method, f, start):
    """The same minimum, for about as many evaluations."""
    name, options = THEIRS[method]
    gradient = bl.compile(bl.value_and_grad(f))
    both: Any = lambda x: tuple(part.numpy() for part in gradient(bl.tensor(x)))
    theirs = optimize.minimize(both, start, jac=True, method=name, options=options)
    ours = bl.minimize(f, start, method=method)
    assert ours.converged
    np.testing.assert_allclose(ours.x.numpy(), theirs.x, atol=1e-4)
    assert ours.evaluations <= 1.5 * theirs.nfev + 5


@pytest.mark.parametrize("method", THEIRS)
def test_units_do_not_matter(method):
    """The same function with its arguments in nanometres, metres and kilometres."""
    for unit in (1e-9, 1.0, 1e3):
        start = np.array([-1.2, 1.0]) * unit
        found = bl.minimize(lambda x, unit: rosenbrock(x / unit), start, unit, method=method, tol=1e-6 / unit)
        assert found.converged, unit
        np.testing.assert_allclose(found.x.numpy() / unit, 1, rtol=1e-4)
        assert found.evaluations < 150


def test_gradient_descent_gets_there_slowly():
    found = bl.minimize(quartic, [3.0] * 8, method="gradient-descent")
    assert found.converged
    assert found.steps > 100
    np.testing.assert_allclose(found.x.numpy(), 1, atol=1e-5)


def exponential(p, x, y):
    return p["height"] * bl.exp(-p["rate"] * x) + p["floor"] - y


def test_levenberg_marquardt_is_least_squares():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 3, 40)
    y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.05 * rng.normal(size=40)
    found = bl.minimize(
        exponential, {"height": 1.0, "rate": 0.1, "floor": 0.0}, x, y, method="levenberg-marquardt", tol=1e-9
    )
    theirs = optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * x) + p[2] - y, [1, 0.1, 0], method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    assert found.converged
    np.testing.assert_allclose([v.item() for v in found.x.values()], theirs.x, rtol=1e-6)
    assert found.value == pytest.approx(theirs.cost, rel=1e-9)
    assert found.evaluations < 50


def test_levenberg_marquardt_bears_residuals_that_tell_nothing():
    """Two parameters that only their sum is told of: JᵀJ has no inverse."""
    found = bl.minimize(lambda p: bl.stack([p[0] + p[1] - 1, 2 * (p[0] + p[1]) - 2]), [5.0, 3.0],
                        method="levenberg-marquardt")  # fmt: skip
    assert found.converged
    assert found.x.numpy().sum() == pytest.approx(1)


def test_definite_systems():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(6, 6))
    matrix, right = half @ half.T + 0.1 * np.eye(6), rng.normal(size=6)
    np.testing.assert_allclose(
        solve_definite(bl.tensor(matrix), bl.tensor(right)).numpy(), np.linalg.solve(matrix, right), rtol=1e-9
    )


@pytest.mark.parametrize("method", [*SEARCHES, "levenberg-marquardt"])
def test_trees_of_arrays_keep_shapes_and_dtypes(method):
    start = {"w": np.ones((2, 3), np.float32), "b": [np.zeros((), np.float64), bl.ones((1, 2), dtype=bl.float32)]}

    def f(p):
        parts = [(p["w"] + p["b"][0] - 2).flatten(), (p["b"][1] - 3).flatten(), p["b"][0].reshape((1,))]
        residuals = bl.concat([part.astype(bl.float64) for part in parts])
        return residuals if method == "levenberg-marquardt" else (residuals**2).sum()

    found = bl.minimize(f, start, method=method, tol=1e-5)
    assert found.converged, found
    assert (found.x["w"].shape, found.x["w"].dtype) == ((2, 3), np.float32)
    assert (found.x["b"][0].shape, found.x["b"][0].dtype) == ((), np.float64)
    np.testing.assert_allclose(found.x["b"][1].numpy(), [[3, 3]], rtol=1e-4)
    np.testing.assert_allclose(found.x["w"].numpy(), 2, rtol=1e-4)


@pytest.mark.parametrize("method", SEARCHES)
def test_float32(method):
    f = quartic if method == "gradient-descent" else rosenbrock
    found = bl.minimize(f, np.full(4 if f is rosenbrock else 8, 0.3, np.float32), method=method)
    assert found.converged, found
    assert found.x.dtype == np.float32
    np.testing.assert_allclose(found.x.numpy(), 1, atol=2e-3)


@pytest.mark.parametrize(
    "rule", ["sgd", "lion", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam", "adafactor"]
)
def test_every_rule_goes_down(rule):
    found = bl.minimize(lambda x: (x**2).sum(), [1.0, -2.0], method=rule, lr=0.02, max_steps=300)
    assert found.value < 4.9
    assert found.evaluations == found.steps + 1


def test_an_optimizer_of_ones_own_sees_the_paths():
    optimizer = optim.groups({"x": optim.sgd(0.01), "y": None})
    found = bl.minimize(himmelblau, {"x": 1.0, "y": 1.0}, method=optimizer)
    assert found.converged is False  # the gradient of y is none of its business
    assert (found.reason, found.steps) == ("max_steps reached", 10_000)
    assert found.x["y"].item() == 1.0
    assert found.x["x"].item() == pytest.approx(optimize.minimize_scalar(
        lambda x: (x**2 + 1 - 11) ** 2 + (x + 1 - 7) ** 2, bounds=(1, 4), method="bounded").x, abs=1e-4)  # fmt: skip


def test_history_holds_the_way():
    found = bl.minimize(himmelblau, {"x": 0.0, "y": 0.0}, history=True)
    assert found.history is not None
    xs, values = found.history
    assert xs["x"].shape == xs["y"].shape == values.shape == (found.steps + 1,)
    assert values[0].item() == 170
    assert values[-1].item() == found.value
    np.testing.assert_allclose(himmelblau(xs).numpy(), values.numpy(), rtol=1e-9, atol=1e-12)
    assert (np.diff(values.numpy()) <= 0).all()


def test_a_minimizer_is_compiled_once():
    traced = []

    def f(x, shift):
        traced.append(x)
        return ((x - shift) ** 2).sum()

    solve = optim.minimizer(f)
    assert solve([1.0, 2.0], 3.0).x.numpy() == pytest.approx([3, 3])
    first = len(traced)
    assert solve([5.0, 2.0], 4.0).x.numpy() == pytest.approx([4, 4])
    assert len(traced) == first


def test_an_end_that_is_no_minimum_says_why():
    below = bl.minimize(lambda x: -x.sum(), [1.0], max_steps=20)
    assert not below.converged
    kink = bl.minimize(lambda x: bl.maximum(x - 0.3, 0.6 - 2 * x).sum(), [1.0], method="bfgs")
    assert kink.reason.startswith("no lower value")
    assert kink.x.item() == pytest.approx(0.3, abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lost = bl.minimize(lambda x: (x**4).sum(), [9.0], method="sgd", lr=1.0)
    assert lost.reason == "the value or the gradient is no longer finite"
    assert not lost.converged


def test_a_start_at_the_minimum():
    found = bl.minimize(lambda x: (x**2).sum(), [0.0, 0.0])
    assert (found.steps, found.evaluations, found.converged) == (0, 1, True)


def test_searches_leave_places_where_the_function_is_no_number():
    found = bl.minimize(lambda x: (x - bl.log(x)).sum(), [0.01, 30.0])
    assert found.converged
    np.testing.assert_allclose(found.x.numpy(), 1, atol=1e-5)


def test_the_result_can_be_read():
    text = repr(bl.minimize(lambda x: ((x - 1) ** 2).sum(), [0.0, 0.0]))
    lines = text.splitlines()
    assert lines[0] == "Minimum"
    assert [line.split()[0] for line in lines[1:]] == ["x", "value", "gradient", "steps", "end"]
    assert lines[-1].endswith("the gradient is within tol")
    assert "end      not converged: max_steps" in repr(bl.minimize(rosenbrock, [5.0, 5.0], max_steps=2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], method="lbgfs"), "no method 'lbgfs'; did you mean 'lbfgs'"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], method="simplex"), "Expected an optimizer or one of lbfgs, bfgs"),
        (lambda: bl.minimize(lambda x: x, [0.0, 1.0]), r"shape \(\), got shape \(2,\).*levenberg-marquardt"),
        (lambda: bl.minimize(lambda x: 3, [0.0, 1.0]), "real floating-point number, got int64"),
        (lambda: bl.minimize(rosenbrock, [0.0, 1.0], method="levenberg-marquardt"), r"vector of residuals.*shape \(\)"),
        (lambda: bl.minimize(rosenbrock, [0.0, float("nan")]), "x0 is not finite"),
        (lambda: bl.minimize(himmelblau, {"x": float("inf"), "y": 0.0}), r"x0\.x is not finite"),
        (lambda: bl.minimize(lambda x: bl.log(x).sum(), [-1.0]), "at the start the function is nan"),
        (lambda: bl.minimize(rosenbrock, np.array([1, 2])), "x0 is int64; expected floating-point"),
        (lambda: bl.minimize(rosenbrock, []), "a start with numbers in it"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], max_steps=0), "max_steps: expected a positive whole number"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], tol=-1), "tol: expected a number of 0 or more"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], history_size=0), "history_size: expected a positive whole"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], lr=0.1), "'lbfgs' has no option lr; it takes history_size"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], method="sgd"), "'sgd' needs the option lr"),
        (lambda: bl.minimize(rosenbrock, [0.0, 0.0], method=optim.sgd(1), lr=1), "belong into the optimizer"),
    ],
)
def test_what_cannot_work_is_refused(call, message):
    with pytest.raises((ArgumentError, DtypeError), match=message) as error:
        call()
    assert isinstance(error.value, BacklitError)


def test_line_search_options_are_checked():
    with pytest.raises(ArgumentError, match="line_search: expected 'strong_wolfe' or None, got 'armijo'"):
        optim.lbfgs(line_search="armijo")


@pytest.mark.parametrize("line_search", ["strong_wolfe", None])
def test_lbfgs_eager_and_native(line_search):
    optimizer = optim.lbfgs(0.5, history_size=4, line_search=line_search)
    start = {"x": bl.tensor(np.float64(1.0)), "y": bl.tensor(np.float64(2.5))}
    step = bl.compile(lambda p, state: optimizer.update(p, himmelblau, state))
    p = q = start
    state = other = optimizer.init(start)
    for _ in range(12):
        p, state, value = optimizer.update(p, himmelblau, state)
        q, other, _ = step(q, other)
    np.testing.assert_allclose([p["x"].item(), p["y"].item()], [q["x"].item(), q["y"].item()], rtol=1e-9)
    assert value.item() < 0.1
    assert start["x"].item() == 1.0


def test_functions_with_parts_that_are_not_native():
    def f(x):
        return -bl.log(bl.linalg.det(bl.eye(2, dtype=x.dtype) * 2 - x[:, None] * x[None, :])) + ((x - 0.1) ** 2).sum()

    theirs = optimize.minimize(
        lambda x: -np.log(np.linalg.det(2 * np.eye(2) - np.outer(x, x))) + ((x - 0.1) ** 2).sum(), [0.5, -0.5]
    )
    for method in ("lbfgs", "bfgs", "newton"):
        np.testing.assert_allclose(bl.minimize(f, [0.5, -0.5], method=method).x.numpy(), theirs.x, atol=1e-5)
