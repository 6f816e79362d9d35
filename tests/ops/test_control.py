"""cond, while_loop, fori_loop, scan: the same in every mode, every derivative, errors that name the leaf."""

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.base.errors import ArgumentError, DtypeError, GradientError, ShapeError
from backlit.base.trees import leaves
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad

F64 = np.dtype(np.float64)
RNG = np.random.default_rng(1)
W, XS = RNG.normal(size=(2, 2)) / 2, RNG.normal(size=(4, 2))
U, V = np.array(1.3), np.array(-0.7)


def rnn(w, xs):
    """Closes over an argument and a constant; the carry has an integer in it."""

    def step(carry, x):
        h = bl.tanh(bl.matmul(w, carry["h"]) + x)
        return {"h": h, "n": carry["n"] + 1}, ((h * h).sum(), carry["n"])

    last, (norms, steps) = bl.scan(step, {"h": bl.tensor([0.1, 0.2], dtype=F64), "n": 0}, xs)
    return (last["h"] * norms[1]).sum() + norms.sum() * last["n"] + steps.sum()


def backwards(w, xs):
    last, ys = bl.scan(lambda c, x: (bl.sin(c * x[0]) + w.sum() * c, c * x), w[0, 0], xs, reverse=True)
    return last + (ys * ys).sum()


def branches(u, v):
    z = u * v
    a = bl.cond(z > 0, lambda t: bl.sin(t) * z, lambda t: bl.exp(t) * v * u, u)
    b = bl.cond(v < 0, lambda t: {"p": t * t, "q": z}, lambda t: {"p": t, "q": v}, u)
    return a * b["p"] + b["q"]


def looping(u, v):
    return bl.fori_loop(0, 4, lambda i, c: c * u + bl.sin(c) * (i + 1) * 0.5, v)


def nested(u, v):
    def body(i, c):
        return bl.cond(c > u, lambda: c * u * 0.5, lambda: bl.fori_loop(0, 2, lambda j, d: d * v + u, c))

    return bl.fori_loop(0, 3, body, u * v)


def unrolled_while(u, v):
    return bl.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, s[1] * u + v), (0, v))[1]


DIFFERENTIABLE = [(rnn, (W, XS)), (backwards, (W, XS)), (branches, (U, V)), (branches, (U, -V)), (looping, (U, V)),
                  (nested, (U, V))]  # fmt: skip

FORMS = {
    "value": lambda f: f,
    "grad": lambda f: bl.grad(f, argnums=(0, 1)),
    "jvp": lambda f: lambda a, b: bl.jvp(f, [a, b], [a, b]),
    "hvp": lambda f: lambda a, b: bl.hvp(f, [a, b], [a, b]),
    "grad of jvp": lambda f: bl.grad(lambda a, b: bl.jvp(lambda a: f(a, b), [a], [a])[1], argnums=(0, 1)),
    "jvp of jvp": lambda f: lambda a, b: bl.jvp(lambda a: bl.jvp(lambda a: f(a, b), [a], [a])[1], [a], [a]),
    "third": lambda f: bl.grad(
        lambda a, b: (bl.grad(lambda a, b: (bl.grad(f)(a, b) ** 2).sum(), argnums=1)(a, b) ** 2).sum()
    ),
}


@pytest.mark.parametrize(("f", "args"), DIFFERENTIABLE)
def test_derivatives_against_differences(f, args):
    check_grad(f, args, order=2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("f", "args"), DIFFERENTIABLE)
def test_a_graph_computes_what_eager_computes(f, args, form):
    derivative = FORMS[form](f)
    graph = trace(lambda *a: leaves(derivative(*a)), [Spec(a.shape, a.dtype) for a in args])
    for mine, eager in zip(graph(*args), leaves(derivative(*args)), strict=True):
        np.testing.assert_allclose(mine, eager.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("f", [rnn, looping, branches])
def test_a_replayed_graph_can_be_differentiated(f):
    """A graph run again on Tensors with values: its loops are on the tape as one node each."""
    args = dict(DIFFERENTIABLE)[f]
    graph = trace(f, [Spec(a.shape, a.dtype) for a in args])
    again = lambda *a: graph.replay(a)[0]
    for form in ("value", "grad", "jvp", "hvp"):
        for a, b in zip(leaves(FORMS[form](again)(*args)), leaves(FORMS[form](f)(*args)), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_a_loop_is_one_node():
    step = lambda n: lambda x: bl.fori_loop(0, n, lambda i, c: c * x, x)
    sizes = {n: len(trace(bl.grad(step(n)), [Spec((), F64)]).nodes) for n in (3, 3000)}
    assert sizes[3] == sizes[3000] < 20
    graph = trace(bl.grad(step(300)), [Spec((), F64)])
    np.testing.assert_allclose(graph(np.float64(1.001))[0], 301 * 1.001**300, rtol=1e-12)


def test_while_has_forward_mode_in_a_graph_and_both_on_the_tape():
    check_grad(unrolled_while, [U, V], order=2)
    for form in ("value", "jvp", "jvp of jvp"):
        derivative = FORMS[form](unrolled_while)
        graph = trace(lambda *a, d=derivative: leaves(d(*a)), [Spec((), F64), Spec((), F64)])
        for mine, eager in zip(graph(U, V), leaves(derivative(U, V)), strict=True):
            np.testing.assert_allclose(mine, eager.numpy(), rtol=1e-13)
    with pytest.raises(GradientError, match=r"number of steps is not known.*fori_loop or scan"):
        trace(bl.grad(unrolled_while), [Spec((), F64), Spec((), F64)])


def test_bounds_that_are_values_of_the_graph():
    power = lambda n, x: bl.fori_loop(0, n, lambda i, c: c * x, 1.0)
    graph = trace(lambda n, x: bl.jvp(lambda x: power(n, x), [x], [1.0]), [Spec((), np.dtype(np.int64)), Spec((), F64)])
    value, slope = graph(np.int64(5), np.float64(2))
    assert (value, slope) == (32.0, 80.0)
    assert power(bl.tensor(5), bl.tensor(2.0)).item() == 32.0


def test_numbers_take_the_dtype_of_the_step():
    total = lambda xs: bl.scan(lambda c, x: (c + x, None), 0.0, xs)[0]
    graph = trace(total, [Spec((3,), F64)])
    assert total(np.ones(3)).dtype == graph(np.ones(3))[0].dtype == F64
    assert bl.while_loop(lambda c: c < 3, lambda c: c + U, 0).dtype == F64
    assert bl.scan(lambda c, x: (c + x, None), 0.0, np.ones(3, np.float32))[0].dtype == np.float32


def test_only_one_branch_is_computed():
    calls = []

    def spy(name):
        return lambda x: calls.append(name) or x

    assert bl.cond(True, spy("yes"), spy("no"), bl.tensor(1.0)).item() == 1.0
    assert calls == ["yes"]
    safe = lambda x: bl.cond(x > 0, lambda: bl.log(x), lambda: x * 0.0)
    graph = trace(bl.grad(safe), [Spec((), F64)])
    assert graph(np.float64(2))[0] == 0.5
    assert graph(np.float64(-2))[0] == 0.0


def test_scan_without_xs_without_ys_and_without_steps():
    assert bl.scan(lambda c, _: (c * 2, None), 1, None, length=5)[0].item() == 32
    carry, ys = bl.scan(lambda c, x: (c + x, {"twice": x * 2}), 0.0, np.zeros((0,), np.float32))
    assert carry.item() == 0.0
    assert ys["twice"].shape == (0,)
    last, ys = bl.scan(lambda c, x: (c + x, c), 0.0, bl.tensor([1.0, 2.0, 3.0]), reverse=True)
    assert (last.item(), ys.tolist()) == (6.0, [5.0, 3.0, 0.0])
    assert bl.fori_loop(3, 1, lambda i, c: c + i, 7).item() == 7


@pytest.mark.parametrize("size", [2, 5])
def test_static_graphs_of_open_size(size):
    with static.Graph().as_default(), static.Session() as session:
        x = static.placeholder("float64", shape=(None, 2))
        w = static.placeholder("float64", shape=(2, 2))
        n = static.placeholder("int64", shape=())
        loss = rnn(w, x)
        slope = static.gradients(loss, [w, x])
        chosen = bl.cond(x.sum() > 0, lambda: x * 2, lambda: x - 1)
        halved = bl.while_loop(lambda t: t > x[0, 0], lambda t: t / 2, bl.tensor(1.0, dtype=F64))
        powers = bl.fori_loop(0, n, lambda i, c: c * 2, x)
        kept = bl.checkpoint(lambda a: bl.tanh(a) * w[0, 0])(x)
        feed = {x: XS[:size] if size < 5 else np.vstack([XS, XS])[:5], w: W, n: 3}
        found = session.run([loss, *slope, chosen, halved, powers, *static.gradients(kept, [x, w])], feed)
    xs = feed[x]
    eager = [rnn(bl.tensor(W), bl.tensor(xs)), *bl.grad(rnn, (0, 1))(W, xs)]
    for mine, theirs in zip(found, eager, strict=False):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-13)
    assert np.array_equal(found[3], xs * 2 if xs.sum() > 0 else xs - 1)
    assert found[4] <= xs[0, 0] < 2 * found[4] or xs[0, 0] >= 1
    assert np.array_equal(found[5], xs * 8)
    np.testing.assert_allclose(found[6], W[0, 0] / np.cosh(xs) ** 2)


def graph_of(f, *specs):
    return lambda: trace(f, specs or [Spec((), F64)])


WRONG = [
    (lambda: bl.cond(np.array([True, False]), abs, abs, 1.0), ArgumentError, r"one boolean, got bool\(2,\).*bl.where"),
    (lambda: bl.while_loop(lambda c: c * 0.5, lambda c: c, 1.0), ArgumentError, "one boolean, got float32"),
    (lambda: bl.scan(lambda c, x: (c, x), 0.0, None), ArgumentError, "give length="),
    (lambda: bl.scan(lambda c, x: c, 0.0, np.ones(3)), ArgumentError, r"the pair \(carry, y\)"),
    (lambda: bl.scan(lambda c, x: (c, x), 0.0, 1.0), ShapeError, r"xs has shape \(\)"),
    (lambda: bl.scan(lambda c, x: (c, x), 0.0, {"a": np.ones(3), "b": np.ones(2)}), ShapeError,
     r"xs\.b has 2 slices, but xs\.a asks for 3"),
    (lambda: bl.scan(lambda c, x: (c, x), 0.0, np.ones(3), length=4), ShapeError, "has 3 slices, but length=4 asks"),
    (lambda: bl.scan(lambda c, x: ({"h": c["h"] + x}, x), {"h": np.float32(0)}, np.ones(3)), DtypeError,
     r"the carry at 'h' goes in as float32\(\), comes out as float64\(\).*astype"),
    (lambda: bl.scan(lambda c, x: (x, x), 0.5, np.arange(3)), DtypeError, "goes in as float32.*comes out as int64"),
    (lambda: bl.scan(lambda c, x: (c + x, x), 0.0, np.ones((3, 2), np.float32)), ShapeError,
     r"the carry goes in as float32\(\), comes out as float32\(2,\)"),
    (lambda: bl.fori_loop(0, 3, lambda i, c: (c, c), 1.0), ArgumentError, "fori_loop|scan: the carry.*differ"),
    (lambda: bl.fori_loop(0, 1.5, lambda i, c: c, 1.0), ArgumentError, "a bound must be an integer"),
    (graph_of(lambda x: bl.cond(x > 0, lambda: x, lambda: {"a": x})), ArgumentError, "the result: the trees differ"),
    (graph_of(lambda x: bl.cond(x > 0, lambda: {"a": x}, lambda: {"a": x > 1})), DtypeError,
     r"the result at 'a' true_fn gives float64\(\), false_fn gives bool\(\)"),
    (graph_of(lambda x: bl.while_loop(lambda c: c < x, lambda c: bl.stack([c, c]), x)), ShapeError, "the carry"),
    (graph_of(lambda x: x if x > 0 else -x), bl.GraphError, "bl.cond"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
