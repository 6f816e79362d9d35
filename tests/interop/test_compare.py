"""bl.compare beside finite differences, with planted faults; its words, tables and errors. Libraries: tests/peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.base.errors import MissingExtra
from backlit.interop.libraries import library

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3))

#: A wrong rule for x @ w, and what is said of it.
FAULTS: dict[str, tuple[Callable[..., Any], str]] = {
    "factor": (lambda g, x, w: (g @ w.mT * 1.001, x.mT @ g), "same factor 1.001"),
    "sign": (lambda g, x, w: (g @ w.mT, -(x.mT @ g)), "the sign is wrong"),
    "transpose": (lambda g, x, w: (g @ w, x.mT @ g), "in no simple pattern"),
    "transposed": (lambda g, x, w: (g @ w.mT, (x.mT @ g).mT), "a transpose is missing"),
    "axis": (lambda g, x, w: (bl.flip(g @ w.mT, axis=1), x.mT @ g), "turned round along axis 1"),
    "nothing": (lambda g, x, w: (g @ w.mT, None), "see no path"),
}


def product(rule: Callable[..., Any]) -> Callable[..., Any]:
    """x @ w with a rule of one's own."""

    @bl.custom_derivative
    def mine(x: Any, w: Any) -> Any:
        return x @ w

    mine.vjp(lambda g, out, x, w: rule(g, x, w))
    return mine


def net(rule: Callable[..., Any]) -> Callable[..., Any]:
    inner = product(rule)
    return lambda x, w: bl.mean(bl.tanh(inner(bl.sin(x), w)) ** 2)


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_rule_is_found_at_its_node(name: str) -> None:
    rule, words = FAULTS[name]
    found = bl.compare(net(rule), [X, W], against="finite-difference")
    assert found.first is not None
    assert (found.first.op, found.first.direction, found.first.fault) == ("mine", "backward", "here")
    assert len(found.divergences) == 1
    assert words in found.first.cause
    assert "your rule of mine" in found.first.cause
    assert "test_compare.py" in found.first.line
    assert f"likely cause: {found.first.cause}".split()[0] in str(found)


def test_right_rules_are_equal() -> None:
    found = bl.compare(net(lambda g, x, w: (g @ w.mT, x.mT @ g)), [X, W], against="finite-difference")
    assert found.equal
    assert found.first is None
    assert found.largest is not None
    assert found.largest.share <= 1
    assert "all equal up to rounding" in str(found)
    assert "5 nodes beside finite differences, in float64" in str(found)


def test_kinks_are_no_faults() -> None:
    found = bl.compare(lambda x: bl.sum(bl.relu(x)), [np.array([0.0, 1.0, -1.0])], against="finite-difference")
    assert found.equal
    assert "a kink" in found.without["relu"]


def test_large_arrays_with_kinks_everywhere() -> None:
    x = np.random.default_rng(0).normal(size=20000) * 0.01
    apart = np.ones(1000)
    apart[500] = 1e-6
    found = bl.compare(lambda x: bl.sum(bl.relu(x)), [apart], against="finite-difference")
    assert found.equal
    assert "kinks lie within one step" in found.without["relu"]

    @bl.custom_derivative
    def rectified(x: Any) -> Any:
        return bl.maximum(x, 0)

    rectified.vjp(lambda g, out, x: g * (x > 0) * 2)
    found = bl.compare(lambda x: bl.sum(rectified(x)), [x], against="finite-difference")
    assert found.first is not None
    assert (found.first.op, found.first.fault) == ("rectified", "here")
    assert "a factor 2 too much" in found.first.cause


def test_registered_gradients_and_static_graphs() -> None:
    @static.RegisterGradient("thrice")
    def _(op: Any, grad: Any) -> Any:
        return 3 * grad

    with static.Graph().as_default() as graph, static.Session() as session:
        x = static.placeholder("float64", shape=(2,), name="x")
        with graph.gradient_override_map({"exp": "thrice"}):
            y = bl.sum(bl.exp(x) * 2)
        found = bl.compare(y, against="finite-difference", session=session, feed_dict={x: [0.5, -1.0]})
    assert found.first is not None
    assert (found.first.op, found.first.input) == ("exp", "x")


def test_functions_of_numpy_are_compared_with_differences() -> None:
    def cube(x: Any) -> Any:
        return x**3

    @static.RegisterGradient("cube of numpy")
    def _(op: Any, grad: Any) -> Any:
        return grad * op.inputs[0] ** 2

    with static.Graph().as_default(), static.Session() as session:
        x = static.placeholder("float64", shape=(2,), name="x")
        y = bl.sum(static.py_func(cube, [x], "float64", name="cube of numpy", shape=(2,)))
        found = bl.compare(y, against="finite-difference", session=session, feed_dict={x: [0.5, -1.0]})
    assert found.first is not None
    assert "factor 0.333333" in found.first.cause


def test_compiled_functions_and_tensors() -> None:
    compiled = bl.compile(lambda x: bl.sum(bl.exp(x) * x))
    assert bl.compare(compiled, [X], against="finite-difference").equal
    w = bl.tensor(X, requires_grad=True)
    assert bl.compare(bl.sum(w * w), against="finite-difference").equal


def test_loops_and_several_outputs() -> None:
    def f(x: Any) -> Any:
        total, _ = bl.scan(lambda c, row: (bl.tanh(c + row), c), bl.zeros((3,), dtype="float64"), x)
        _, s, _ = bl.linalg.svd(x, full_matrices=False)
        return bl.sum(total) + bl.sum(s**2)

    assert bl.compare(f, [X], against="finite-difference").equal


def test_a_gradient_made_by_hand() -> None:
    def f(x: Any, w: Any) -> Any:
        return bl.sum(bl.tanh(x @ w))

    def by_hand(x: Any, w: Any) -> Any:
        d = 1 - np.tanh(x @ w) ** 2
        return d @ w.T, x.T @ d

    assert bl.compare(f, [X, W], against="finite-difference", gradient=by_hand).equal
    dx, dw = by_hand(X, W)
    for wrong, words in [((dx, dw.T), "a transpose is missing"), ((2 * dx, dw), "factor 2"), ((dx[:1], dw), "shape")]:
        found = bl.compare(f, [X, W], against="finite-difference", gradient=wrong)
        assert found.first is not None
        assert found.first.op == "the gradient made by hand"
        assert words in found.first.cause
    with pytest.raises(bl.ArgumentError, match="gradient= has 1 arrays for 2"):
        bl.compare(f, [X, W], against="finite-difference", gradient=[dx])


def test_long_graphs_are_told_briefly() -> None:
    def f(x: Any) -> Any:
        for _ in range(50):
            x = bl.sin(x)
        return bl.sum(x)

    text = str(bl.compare(f, [X], against="finite-difference"))
    assert "21 more, closer" in text
    assert max(map(len, text.splitlines())) <= 100


def test_html() -> None:
    rule, _ = FAULTS["sign"]
    found = bl.compare(net(rule), [X, W], against="finite-difference")
    page = found._repr_html_()
    assert 'class="bad"' in page
    assert "<script" not in page
    assert "mine differs backward" in repr(found)


def test_bad_input() -> None:
    with pytest.raises(bl.ArgumentError, match="expected one of 'torch', 'jax', 'tensorflow', 'finite-difference'"):
        bl.compare(bl.sin, [1.0], against="keras")
    with pytest.raises(bl.ArgumentError, match="dtypes must be among"):
        bl.compare(bl.sin, [1.0], against="finite-difference", dtypes=["float16"])
    with pytest.raises(bl.ArgumentError, match="args must be a list"):
        bl.compare(bl.sin, 1.0, against="finite-difference")  # type: ignore[arg-type]
    with pytest.raises(bl.ArgumentError, match="against='keras'"):
        library("keras")


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtra, match=r'pip install "backlit\[compare\]"'):
        bl.compare(bl.sin, [1.0], against="torch")
