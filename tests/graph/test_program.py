"""Closed graphs: traced, printed, checked, and run as straight-line Python."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.graph.graph import Graph, trace
from backlit.graph.node import Node
from backlit.graph.opdef import OPS, OpDef, Spec

F = bl.float32
X = np.random.default_rng(0).normal(size=(2, 3)).astype("f")


def test_traced_printed_and_run():
    graph = trace(lambda x, w: [bl.sum(bl.exp(x @ w), axis=0), 2.0], [Spec((2, 3), F), Spec((3, 2), F)])
    assert str(graph).splitlines() == [
        "%0 = input float32(2, 3)",
        "%1 = input float32(3, 2)",
        "%2 = matmul(%0, %1) float32(2, 2)",
        "%3 = exp(%2) float32(2, 2)",
        "%4 = sum(%3, axis=(0,), keepdims=False) float32(2,)",
        "return %4, 2.0",
    ]
    graph.verify()
    total, two = graph(X, X.T)
    np.testing.assert_array_equal(total, np.exp(X @ X.T).sum(0))
    assert two == 2.0


def test_source_shows_operators_constants_and_dead_values():
    big = np.ones(100, "f")
    graph = trace(lambda x: bl.reshape((x * 2 + big) / x, (10, 10)), [Spec((100,), F)])
    assert [line.strip() for line in graph.source.splitlines()] == [
        "def run(x0):",
        "v1 = x0 * 2",
        "v2 = v1 + c1",
        "v1 = None",
        "v3 = v2 / x0",
        "v2 = None",
        "v4 = reshape_(v3, shape=(10, 10))",
        "v3 = None",
        "return (v4, )",
    ]
    np.testing.assert_array_equal(graph(big)[0], np.full((10, 10), 3, "f"))


def test_kernels_of_one_name_are_kept_apart():
    def make(value):
        return OpDef("same name", lambda x: x + value, infer=lambda x: x, nondiff="a test")

    x = trace(lambda t: t, [Spec((), F)]).inputs[0]
    one = Node(make(1), (x,), {}, None, Spec((), F))
    two = Node(make(10), (one,), {}, None, Spec((), F))
    assert Graph([x], [two, one])(np.float32(0)) == (11, 1)


def test_parameters_that_are_no_identifiers():
    op = OpDef("odd", lambda x, **params: x + params["not-a-name"], infer=lambda x, **_: x, nondiff="a test")
    x = trace(lambda t: t, [Spec((), F)]).inputs[0]
    assert Graph([x], [Node(op, (x,), {"not-a-name": 5}, None, Spec((), F))])(np.float32(1)) == (6,)


def test_an_error_names_the_line_that_made_the_node():
    graph = trace(lambda x: bl.reshape(x + 1, (3, 2)), [Spec((2, 3), F)])
    with pytest.raises(bl.ShapeError, match=r"reshape.*\(5,\).*\(3, 2\).*in reshape at test_program"):
        graph(np.ones(5, "f"))


def test_an_input_that_is_missing_is_named():
    graph = trace(lambda x: x + 1, [Spec((), F)])
    with pytest.raises(bl.GraphError, match="neither an input of the graph nor a constant"):
        Graph([], graph.outputs)()


def test_replay_expands_and_keeps_lines():
    graph = trace(lambda x: bl.exp(x) * x, [Spec((2, 3), F)])
    (y,) = graph.replay([bl.tensor(X, requires_grad=True)])
    np.testing.assert_array_equal(y.numpy(), np.exp(X) * X)
    assert y.node.line == graph.nodes[-1].line


@pytest.mark.parametrize("fault", ["order", "shape"])
def test_verify_finds_what_is_illegal(fault):
    graph = trace(lambda x: bl.exp(x) * x, [Spec((2, 3), F)])
    exp, product = graph.nodes
    if fault == "order":
        graph.nodes = (product, exp)
        text = "used before it is computed"
    else:
        product.like = Spec((2, 2), F)
        text = r"holds float32\(2, 2\), its rule says float32\(2, 3\)"
    with pytest.raises(bl.GraphError, match=text):
        graph.verify()


def test_derivatives_run_without_warnings_and_the_rest_with_them():
    def slope(x):
        return bl.grad(lambda t: bl.sum(bl.where(t > 0, bl.sqrt(t), 0.0)))(x)

    graph = trace(slope, [Spec((2,), F)])
    np.testing.assert_array_equal(graph(np.array([0, 4], "f"))[0], [0, 0.25])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        trace(lambda x: bl.log(x), [Spec((), F)])(np.float32(0))


def test_a_long_chain_is_no_recursion():
    def chain(x):
        for _ in range(5000):
            x = OPS["negative"](x)
        return x

    assert trace(chain, [Spec((), F)])(np.float32(2)) == (2,)
