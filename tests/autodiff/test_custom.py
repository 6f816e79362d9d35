"""custom_derivative: rules are used, in every mode and order, and checked."""

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import GradientError
from backlit.base.trees import leaves
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad

F64 = np.dtype(np.float64)
A, B = np.array([0.4, -1.1]), np.array([1.5, 0.3])


@bl.custom_derivative
def by_vjp(p, s):
    """The value of `plain`."""
    return {"a": p["u"] * s, "b": bl.sin(s)}


@by_vjp.vjp
def _(g, out, p, s):
    return {"u": g["a"] * s}, g["a"] * p["u"] + g["b"] * bl.cos(s)


@bl.custom_derivative
def by_jvp(p, s):
    return {"a": p["u"] * s, "b": bl.sin(s)}


@by_jvp.jvp
def _(tangents, out, p, s):
    dp, ds = tangents
    return {"a": dp["u"] * s + p["u"] * ds, "b": bl.cos(s) * ds}


def total(rule):
    def f(u, s):
        out = rule({"u": u * u}, s)
        return (out["a"] * out["b"]).sum()

    return f


@pytest.mark.parametrize("rule", [by_vjp, by_jvp])
def test_every_order_and_mode(rule):
    check_grad(total(rule), [A, B], order=3)


@pytest.mark.parametrize("rule", [by_vjp, by_jvp])
def test_a_graph_computes_what_eager_computes(rule):
    everything = lambda u, s: leaves((bl.grad(total(rule), (0, 1))(u, s), bl.hvp(total(rule), [u, s], [s, u])))
    graph = trace(everything, [Spec((2,), F64), Spec((2,), F64)])
    for mine, eager in zip(graph(A, B), everything(A, B), strict=True):
        np.testing.assert_allclose(mine, eager.numpy(), rtol=1e-14)


def test_the_rule_takes_the_place_of_the_derivative():
    @bl.custom_derivative
    def pinched(x, *, limit):
        return x * 1

    @pinched.vjp
    def _(g, out, x, *, limit):
        return bl.clip(g, -limit, limit)

    x = bl.tensor([1.0, 2.0], requires_grad=True)
    (pinched(x, limit=0.5) * bl.tensor([3.0, 0.1])).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.5, 0.1])
    assert pinched(x.detach(), limit=1).node is None
    assert by_vjp.__name__ == "by_vjp"
    assert by_vjp.__doc__ == "The value of `plain`."


def test_both_rules_serve_their_own_mode():
    @bl.custom_derivative
    def f(x):
        return x * 1

    f.vjp(lambda g, out, x: g * 10)
    f.jvp(lambda t, out, x: t[0] * 20)
    assert bl.grad(f)(1.0).item() == 10.0
    assert bl.jvp(f, [1.0], [1.0])[1].item() == 20.0


def test_arguments_without_derivative():
    @bl.custom_derivative
    def pick(x, index, name):
        return x[index] if name == "first" else x

    @pick.vjp
    def _(g, out, x, index, name):
        return bl.where(bl.arange(3) == index, g, 0.0), None, None

    assert bl.grad(lambda x: pick(x, np.int64(1), "first"))(np.ones(3)).tolist() == [0.0, 1.0, 0.0]


def test_dtype_of_a_cotangent_follows_its_input():
    @bl.custom_derivative
    def f(x):
        return x * 1

    f.vjp(lambda g, out, x: bl.tensor(2.0, dtype=bl.float64))
    assert bl.grad(f)(np.float32(1)).dtype == bl.float32


def with_rule(rule, call):
    def run():
        f = bl.custom_derivative(lambda x, y: (x * y).sum())
        f.__name__ = "f"
        f.vjp(rule)
        call(f)

    return run


both = lambda f: bl.grad(lambda x, y: f(x, y), argnums=(0, 1))(A, B)


def missing():
    bl.custom_derivative(lambda x: x)(1.0)


def closing_over():
    w = bl.tensor(2.0, requires_grad=True)
    f = bl.custom_derivative(lambda x: x * w)
    f.vjp(lambda g, out, x: g)
    f(1.0)


WRONG = [
    (missing, "has no rule yet"),
    (with_rule(lambda g, out, x, y: g, both), r"returned 1 cotangent\(s\) for 2 argument\(s\)"),
    (with_rule(lambda g, out, x, y: (g, g, g), both), r"returned 3 cotangent\(s\) for 2"),
    (with_rule(lambda g, out, x, y: (g * y, g), both), r"argument 1 has shape \(\), expected \(2,\)"),
    (with_rule(lambda g, out, x, y: ({"a": g}, g), both), "argument 0 is an array, its cotangent a tree"),
    (closing_over, "is no positional argument"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_rules_are_explained(call, message):
    with pytest.raises(GradientError, match=message):
        call()


def test_errors_of_the_function_are_its_own():
    @bl.custom_derivative
    def f(x):
        raise KeyError("mine")

    f.vjp(lambda g, out, x: g)
    with pytest.raises(KeyError, match="mine"):
        f(1.0)
