"""A graph beside a library, on a mirror of this one with planted faults: which node, which direction, which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.interop.comparison import Comparison
from backlit.interop.twins import Without

from .mirror import mirrored

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3))


def f(x: Any, w: Any) -> Any:
    return bl.mean(bl.tanh(bl.sin(x) @ w) ** 2)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Comparison]:
    def run(fn: Any, args: Any, faults: Any = None, **options: Any) -> Comparison:
        mirrored(monkeypatch, faults)
        return bl.compare(fn, args, against="torch", **options)

    return run


def with_rule(name: str, value: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    @bl.custom_derivative
    def other(*xs: Any) -> Any:
        return value(*xs)

    other.vjp(rule)
    return lambda *xs, **_: other(*xs)


def test_the_same_is_equal_in_both_precisions(beside: Callable[..., Comparison]) -> None:
    found = beside(f, [X, W])
    assert found.equal
    assert found.dtypes == ("float64", "float32")
    assert all(r.ulp == 0 for r in found.rows)
    assert {e.name for e in found.ends} == {"output", "gradient by x", "gradient by w"}
    assert "whole graph in float32, apart: output 0 ulp" in str(found)


def test_networks_and_several_outputs(beside: Callable[..., Comparison]) -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, activation="relu"), nn.BatchNorm(), nn.Flatten(), nn.Dense(2))
    x = RNG.normal(size=(3, 1, 6, 6)).astype("float32")
    model(x)
    found = beside(lambda p, x: bl.mean(model.apply(p, x)[0] ** 2), [model.parameters(), x])
    assert found.equal
    assert found.dtypes == ("float32", "float64")

    def g(x: Any) -> Any:
        u, s, vh = bl.linalg.svd(x, full_matrices=False)
        parts = bl.split(x, 2, axis=0)
        return bl.sum(s) + bl.sum((u * s) @ vh * x) + bl.sum(parts[0] * parts[1].astype("float64"))

    assert beside(g, [X]).equal


def test_a_wrong_value_there(beside: Callable[..., Comparison]) -> None:
    off = {"tanh": lambda x: bl.tanh(x) * 1.25}
    found = beside(f, [X, W], off, dtypes=["float64"])
    assert found.first is not None
    assert (found.first.op, found.first.direction) == ("tanh", "forward")
    assert "same factor 0.8" in found.first.cause
    assert {d.op for d in found.divergences} == {"tanh"}
    few = beside(f, [X, W], {"tanh": lambda x: bl.tanh(x) * (1 + 1e-14)}, dtypes=["float64"])
    assert few.first is not None
    assert "rounding" in few.first.cause


def test_a_wrong_value_of_another_kind(beside: Callable[..., Comparison]) -> None:
    shapes = beside(f, [X, W], {"matmul": lambda a, b: bl.sum(bl.matmul(a, b), axis=0, keepdims=True)})
    assert shapes.first is not None
    assert "the shapes differ" in shapes.first.cause
    narrow = beside(f, [X, W], {"tanh": lambda x: bl.tanh(x.astype("float32"))}, dtypes=["float64"])
    assert narrow.first is not None
    assert "promoted" in narrow.first.cause
    single = {"tanh": lambda x: bl.tanh(x.astype("float32")).astype("float64")}
    found = beside(f, [X, W], single, dtypes=["float64"])
    assert found.first is not None
    assert "single precision" in found.first.cause
    infinite = beside(f, [X, W], {"tanh": lambda x: bl.where(x > 0, x, bl.full_like(x, np.inf))}, dtypes=["float64"])
    assert infinite.first is not None
    assert "not finite in Mirror only" in infinite.first.cause
    another = beside(f, [X, W], {"tanh": lambda x: bl.sin(x) + x**2}, dtypes=["float64"])
    assert another.first is not None
    assert "compute different things" in another.first.cause


def test_a_derivative_that_differs_there(beside: Callable[..., Comparison]) -> None:
    wrong = with_rule("tanh", bl.tanh, lambda g, out, x: g * 3 * x)
    found = beside(f, [X, W], {"tanh": wrong}, dtypes=["float64"])
    assert found.first is not None
    assert (found.first.op, found.first.direction, found.first.fault) == ("tanh", "backward", "there")
    assert "finite differences side with the rule here" in found.first.cause
    assert not any(e.name == "output" and e.share > 1 for e in found.ends)
    assert any(e.share > 1 for e in found.ends)


def test_a_wrong_rule_here(beside: Callable[..., Comparison]) -> None:
    @bl.custom_derivative
    def cube(x: Any) -> Any:
        y = x * x
        return y * x, y.shape[0] * 1.0

    @cube.vjp
    def _(g: Any, out: Any, x: Any) -> Any:
        return -3 * x**2 * g[0]

    found = beside(lambda x: bl.sum(cube(x)[0]), [X])
    assert found.first is not None
    assert (found.first.op, found.first.direction, found.first.fault) == ("cube", "backward", "here")
    assert "the sign is wrong" in found.first.cause
    assert "your rule of cube" in str(found)
    assert [d.dtype for d in found.divergences] == ["float64", "float32"]


def test_conventions_at_kinks(beside: Callable[..., Comparison]) -> None:
    other = with_rule("abs", bl.abs, lambda g, out, x: g * bl.where(x >= 0, 1.0, -1.0))
    found = beside(lambda x: bl.sum(bl.abs(x)), [np.array([0.0, 1.0, -2.0])], {"abs": other}, dtypes=["float64"])
    assert found.first is not None
    assert "Here the derivative of |x| at 0 is 0" in found.first.cause
    assert found.first.fault == ""


def test_what_was_not_taken(beside: Callable[..., Comparison]) -> None:
    naive = with_rule("sqrt", bl.sqrt, lambda g, out, x: g * (0.5 / out))
    with np.errstate(all="ignore"):
        found = beside(
            lambda x: bl.sum(bl.where(x > 0, bl.sqrt(x), x)), [np.array([0.0, 4.0])], {"sqrt": naive},
            dtypes=["float64"],
        )  # fmt: skip
    assert found.first is not None
    assert "0 · inf" in found.first.cause


def refuses(*_: Any, **__: Any) -> Any:
    raise ValueError("strides are not supported\nat all")


def test_ops_without_twins_and_refusals(beside: Callable[..., Comparison]) -> None:
    found = beside(f, [X, W], {"tanh": Without("nobody has it"), "sin": refuses}, dtypes=["float64"])
    assert found.equal
    assert found.without == {"tanh": "nobody has it", "sin": "Mirror cannot run it: strides are not supported"}
    assert "not compared: tanh: nobody has it" in str(found)
    assert all(e.ulp == 0 for e in found.ends)

    undifferentiable = with_rule("sin", bl.sin, refuses)
    found = beside(f, [X, W], {"sin": undifferentiable}, dtypes=["float64"])
    assert "cannot differentiate it" in found.without["sin"]
    assert all(e.ulp == 0 for e in found.ends)


def test_what_the_graph_amplifies(beside: Callable[..., Comparison]) -> None:
    """Each node is off by less than kernels differ, and the difference of nearly equal numbers shows it."""
    off = {"exp": lambda x: bl.exp(x) * (1 + 4e-16)}
    found = beside(lambda x: bl.sum((bl.exp(x) - np.exp(X)) * 1e6), [X], off, dtypes=["float64"])
    assert found.first is not None
    assert found.first.op == "whole graph"
    assert "amplifies" in found.first.cause


def test_integers_and_empty_arrays(beside: Callable[..., Comparison]) -> None:
    def g(x: Any) -> Any:
        best = bl.argmax(x, axis=1)
        return bl.sum(bl.take_along_axis(x, best[:, None], axis=1)) + bl.sum(x[:0])

    assert beside(g, [X]).equal


def test_complex_numbers(beside: Callable[..., Comparison]) -> None:
    def g(x: Any) -> Any:
        return bl.sum(bl.abs(bl.fft.fft(x) * 2) ** 2)

    assert beside(g, [X]).equal
    wrong = with_rule("multiply", bl.multiply, lambda g, out, a, b: (g * b, g * bl.conj(a)))
    z = X + 1j * X[::-1]
    found = beside(lambda x: bl.sum(bl.real(x * (2 + 1j) * x)), [z], {"multiply": wrong}, dtypes=["float64"])
    assert found.first is not None
    assert found.first.direction == "backward"
