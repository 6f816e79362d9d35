"""Gradients in a static graph, and rules of the user's own."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.graph.defer import defer


@pytest.fixture(autouse=True)
def graph():
    with static.Graph() as g:
        yield g


X = np.random.default_rng(0).normal(size=(4, 3))

FUNCTIONS = [
    ("polynomial", lambda x: x * x * x + 2.0 * x),
    ("used twice", lambda x: bl.exp(x) * x + x),
    ("broadcast", lambda x: x * bl.sum(x, axis=0)),
    ("broadcast to more rows", lambda x: x[:1] * x),
    ("product", lambda x: bl.matmul(x, x.T)),
    ("normalised", lambda x: bl.exp(x - bl.max(x, axis=1, keepdims=True)) / bl.sum(bl.exp(x), axis=1, keepdims=True)),
    ("reshaped", lambda x: bl.reshape(x, (-1, 2)) ** 2.0),
    ("indexed", lambda x: x[1:, ::2] * x[:-1, 1:]),
    ("stopped", lambda x: bl.stop_gradient(x) * x),
    ("parts", lambda x: bl.concat(bl.split(x, 3, axis=1)[::-1], axis=1) * x),
    ("spread", lambda x: bl.std(x, axis=0)),
]  # fmt: skip


def both(f, order: int):
    """The derivative of the sum of f of this order: eagerly, and from the static graph fed with X."""
    eager = f
    for _ in range(order):
        eager = bl.grad(lambda t, g=eager: bl.sum(g(t)))
    x = static.placeholder("float64", (None, None), name="x")
    y = f(x)
    for _ in range(order):
        (y,) = static.gradients(y, x)
    with static.Session() as session:
        return session.run(y, {x: X}), eager(bl.tensor(X)).numpy()


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in FUNCTIONS])
def test_gradients_are_those_of_eager_mode_to_the_last_bit(f, order):
    found, expected = both(f, order)
    np.testing.assert_array_equal(found, expected)


def test_seeds_several_outputs_and_intermediate_tensors():
    x = static.placeholder("float64", (None,), name="x")
    h = x * x
    y, z = h * 3.0, bl.exp(h)
    dh, dx = static.gradients([y, z], [h, x], grad_ys=[np.array([1.0, 10.0]), h])
    fed = np.array([0.5, 2.0])
    with static.Session() as session:
        found_h, found_x = session.run([dh, dx], {x: fed})
    expected = 3 * np.array([1.0, 10.0]) + np.exp(fed**2) * fed**2
    np.testing.assert_allclose(found_h, expected, rtol=1e-14)
    np.testing.assert_allclose(found_x, expected * 2 * fed, rtol=1e-14)


def test_a_tensor_handed_on_is_not_the_one_it_came_from():
    """A function may return its argument; a derivative with respect to the result must not see more of it."""
    x = static.placeholder("float64", (), name="x")
    h = defer("hand on", lambda t: t, (x,), {})
    again = defer("hand on", lambda t: t, (h,), {})
    y = x * 5.0 + h * 3.0 + again * 2.0
    found = static.gradients(y, [x, h, again])
    with static.Session() as session:
        assert session.run(found, {x: 1.0}) == [10.0, 5.0, 2.0]


def test_a_function_kept_as_a_call_may_reach_tensors_by_closure():
    x = static.placeholder("float64", (None,), name="x")
    w = static.Variable(np.float64(3.0), name="w")
    y = defer("scaled", lambda t: bl.sum(t * w * w), (x,), {})
    assert y.shape == ()
    found = static.gradients(y, [x, w])
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        value, dx, dw = session.run([y, *found], {x: [1.0, 2.0]})
    assert (value, dw) == (27.0, 18.0)
    np.testing.assert_array_equal(dx, [9.0, 9.0])


def test_gradient_with_respect_to_a_constant():
    c = static.constant([2.0, 3.0])
    x = static.placeholder("float32", (2,))
    (g,) = static.gradients(bl.sum(c * c * x), c)
    (folded,) = static.gradients(bl.sum(c * c), c)
    with static.Session() as session:
        np.testing.assert_array_equal(session.run(g, {x: [1, 10]}), [4, 60])
        np.testing.assert_array_equal(session.run(folded), [4, 6])


def test_no_path_is_none_and_no_effect_is_zero():
    x = static.placeholder("float32", (2,), name="x")
    u = static.placeholder("float32", (2,), name="u")
    n = static.placeholder("int64", (2,), name="n")
    assert static.gradients(x * 2.0, u) == [None]
    assert static.gradients(bl.stop_gradient(x) * u, [x]) == [None]
    assert static.gradients(bl.astype(bl.astype(x, "int64"), "float32"), x) == [None]
    with bl.no_grad():
        cut = x * x
    assert static.gradients(cut + u, x) == [None]
    (g,) = static.gradients(x * 3.0, x)
    (gg,) = static.gradients(g, x)
    (f,) = static.gradients(bl.floor(x) + u, x)
    with static.Session() as session:
        np.testing.assert_array_equal(session.run(gg, {x: [1, 2]}), [0, 0])
        np.testing.assert_array_equal(session.run(f, {x: [1, 2], u: [0, 0]}), [0, 0])
    for bad in ((bl.sum(n), x), (bl.sum(x), n)):
        with pytest.raises(bl.DtypeError, match="only floating-point"):
            static.gradients(*bad)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: static.gradients(bl.tensor(1.0), x), bl.GraphError, "bl.grad"),
        (lambda x: static.gradients(x, 3.0), bl.GraphError, "got float"),
        (lambda x: static.gradients(x, x, [None, None]), bl.ArgumentError, "1 ys and 2 grad_ys"),
        (lambda x: static.gradients(x, x, static.constant([1.0])), bl.ShapeError, "cotangent"),
    ],
)
def test_wrong_calls(call, error, text):
    with pytest.raises(error, match=text):
        call(static.placeholder("float32", (2,)))


def test_nodes_of_a_derivative_name_the_line_of_what_they_derive():
    x = static.placeholder("float32", (None,), name="x")
    y = static.placeholder("float32", (None,), name="y")
    product = x * y
    (g,) = static.gradients(product, x, grad_ys=static.placeholder("float32", (None,), name="seed"))
    with static.Session() as session:
        session.run(g, {"x": [1.0], "y": [1.0], "seed": [1.0]})
        plan = next(iter(session._recipes.values())).plans
    node = next(iter(plan.values()))[0].graph.nodes[-1]
    assert node.label.startswith("multiply (derivative of multiply) at test_static_gradients.py")
    assert node.line == product.node.line


def test_paths_through_an_infinite_slope_that_carry_nothing():
    x = static.placeholder("float64", (None,), name="x")
    y = bl.sum(bl.where(x > 0, bl.sqrt(x), 0.0))
    (g,) = static.gradients(y, x)
    with static.Session() as session:
        np.testing.assert_array_equal(session.run(g, {x: [0.0, 4.0]}), [0.0, 0.25])


# --- rules of the user's own -----------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch):
    from backlit.modes.static import extending

    monkeypatch.setattr(extending, "_REGISTERED", {})


@pytest.mark.usefixtures("registered")
def test_override_the_rule_of_an_op(graph):
    @static.RegisterGradient("ten times")
    def rule(op, grad):
        assert (op.name, len(op.inputs), len(op.outputs)) == ("exp", 1, 1)
        return grad * op.inputs[0] * 10.0

    x = static.placeholder("float64", (None,), name="x")
    with graph.gradient_override_map({"exp": "ten times"}):
        y = bl.exp(x)
    z = bl.exp(x)
    found = static.gradients(y, x) + static.gradients(z, x) + static.gradients(static.gradients(y, x)[0], x)
    fed = np.array([1.0, 2.0])
    with static.Session() as session:
        g, plain, second = session.run(found, {x: fed})
    np.testing.assert_array_equal(g, 10 * fed)
    np.testing.assert_allclose(plain, np.exp(fed), rtol=1e-15)
    np.testing.assert_array_equal(second, [10.0, 10.0])


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["sum", "mean", "std"])
def test_override_an_op_with_parameters(graph, name):
    """`mean` and others may be made of other ops: the rule replaces that of the whole."""

    @static.RegisterGradient("by hand")
    def rule(op, grad):
        return bl.broadcast_to(bl.expand_dims(grad, axis=1), op.inputs[0].shape) * 7.0

    x = static.placeholder("float64", (None, 3), name="x")
    with graph.gradient_override_map({name: "by hand"}):
        y = getattr(bl, name)(x, axis=1)
    (g,) = static.gradients(y, x)
    with static.Session() as session:
        value, found = session.run([y, g], {x: X})
    np.testing.assert_array_equal(value, getattr(bl, name)(bl.tensor(X), axis=1).numpy())
    np.testing.assert_array_equal(found, np.full(X.shape, 7.0))


@pytest.mark.usefixtures("registered")
def test_an_op_of_the_users_own():
    @static.RegisterGradient("spike")
    def rule(op, grad):
        x, w = op.inputs
        return [grad * w, bl.sum(grad * x)]

    x = static.placeholder("float64", (None, 3), name="x")
    w = static.placeholder("float64", (), name="w")
    y = static.py_func(lambda x, w: x * w, [x, w], "float64", name="spike")
    assert y.shape == (None, 3)
    found = static.gradients(y, [x, w])
    with static.Session() as session:
        value, dx, dw = session.run([y, *found], {x: X, w: 2.0})
    np.testing.assert_array_equal(value, 2 * X)
    np.testing.assert_array_equal(dx, np.full(X.shape, 2.0))
    np.testing.assert_allclose(dw, X.sum(), rtol=1e-12)


@pytest.mark.usefixtures("registered")
def test_a_python_function_with_several_results():
    @static.RegisterGradient("both_ends")
    def rule(op, low, high):
        lowest, highest = op.outputs
        x = op.inputs[0]
        return low * bl.astype(x == lowest, "float64") + high * bl.astype(x == highest, "float64")

    def both_ends(v):
        return v.min(), v.max()

    x = static.placeholder("float64", (None, 3), name="x")
    low, high = static.py_func(both_ends, [x], ["float64", "float64"], shape=lambda s: [(), ()])
    (g,) = static.gradients(high - low, x)
    with static.Session() as session:
        spread, found = session.run([high - low, g], {x: X})
    assert spread == X.max() - X.min()
    assert found[X.max() == X] == 1
    assert found[X.min() == X] == -1
    assert np.abs(found).sum() == 2


def test_a_python_function_runs_in_every_run():
    calls = []
    y = static.py_func(lambda v: calls.append(1) or v, [static.constant(2.0)], "float32")
    with static.Session() as session:
        assert [session.run(y), session.run(y)] == [2, 2]
    assert len(calls) == 2


@pytest.mark.usefixtures("registered")
def test_wrong_rules_are_named(graph):
    x = static.placeholder("float64", (2,), name="x")
    orphan = static.py_func(lambda v: v, [x], "float64", name="orphan")
    with graph.gradient_override_map({"exp": "nobody"}):
        lost = bl.exp(x)

    @static.RegisterGradient("too many")
    def two(op, grad):
        return grad, grad

    @static.RegisterGradient("misshapen")
    def misshapen(op, grad):
        return bl.tensor(np.ones(5))

    with graph.gradient_override_map({"exp": "too many", "sin": "misshapen"}):
        many, bent = bl.exp(x), bl.sin(x)
    cases = [
        (orphan, bl.GradientError, 'orphan has no gradient.*RegisterGradient."orphan"'),
        (lost, bl.GradientError, "nothing is registered as 'nobody'"),
        (many, bl.GradientError, "returned 2 cotangents for 1 inputs"),
        (bent, bl.ShapeError, "misshapen"),
    ]
    with static.Session() as session:
        for y, error, text in cases:
            with pytest.raises(error, match=text):
                session.run(static.gradients(y, x), {x: [1.0, 2.0]})
    with pytest.raises(bl.GraphError, match="registered already"):
        static.RegisterGradient("too many")


def test_a_python_function_must_return_what_it_says():
    x = static.placeholder("float64", (2,), name="x")
    cases = [
        (static.py_func(lambda v: v[:1], [x], "float64", name="cut"), bl.ShapeError, r"shape \(1,\), expected \(2,\)"),
        (static.py_func(lambda v: v + 1j, [x], "float64", name="turned"), bl.DtypeError, "complex128"),
        (static.py_func(lambda v: [v], [x], ["float64"] * 2, name="few"), bl.ArgumentError, "1 results, Tout names 2"),
    ]
    with static.Session() as session:
        for y, error, text in cases:
            with pytest.raises(error, match=text):
                session.run(y, {x: [1.0, 2.0]})
