"""grad, vjp, jvp, jacobian, hessian, hvp: nesting, trees, closures, and what they say to wrong calls."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import ArgumentError, DtypeError, GradientError, ShapeError
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad

F64 = np.dtype(np.float64)


def f(x):
    return bl.sin(x) * x * x


def exact(x, order):
    """Derivatives of x² sin(x), by Leibniz's rule."""
    s = [np.sin(x), np.cos(x), -np.sin(x), -np.cos(x)] * 2
    return x * x * s[order] + 2 * order * x * s[order - 1] + order * (order - 1) * s[order - 2]


def by_grad(h):
    return bl.grad(h)


def by_vjp(h):
    return lambda x: bl.vjp(h, x)[1](bl.tensor(1.0, dtype=bl.float64))[0]


def by_jvp(h):
    return lambda x: bl.jvp(h, [x], [1.0])[1]


NESTINGS = list(itertools.product([by_grad, by_vjp, by_jvp], repeat=4))


@pytest.mark.parametrize("ways", NESTINGS, ids=["-".join(d.__name__[3:] for d in ways) for ways in NESTINGS])
def test_every_nesting_to_order_four(ways):
    d, x = f, np.float64(1.3)
    for order, way in enumerate(ways, 1):
        d = way(d)
        np.testing.assert_allclose(d(x).item(), exact(x, order), rtol=1e-13)
        assert d(x).node is None


def test_nesting_in_a_graph_without_values():
    d = by_grad(by_jvp(by_vjp(f)))
    graph = trace(d, [Spec((), F64)])
    np.testing.assert_allclose(graph(np.float64(0.7))[0], exact(0.7, 3), rtol=1e-13)


@pytest.mark.parametrize("way", [by_grad, by_vjp, by_jvp])
@pytest.mark.parametrize("inner", [by_grad, by_vjp, by_jvp])
def test_perturbations_are_not_confused(way, inner):
    """d/dx (x · d/dy (x + y)) is 1, not 2 (Siskind & Pearlmutter 2005); d/dx (x · d/dy (x y)) is 2x."""
    assert way(lambda x: x * inner(lambda y: x + y)(np.float64(1)))(np.float64(5)).item() == 1.0
    assert way(lambda x: x * inner(lambda y: x * y)(np.float64(1)))(np.float64(5)).item() == 10.0
    assert way(lambda x: inner(lambda y: x * y * y)(x))(np.float64(5)).item() == 20.0


def test_trivial_functions():
    x = bl.tensor([1.0, 2.0])
    assert bl.grad(lambda x: 1.0)(3.0).item() == 0.0
    assert bl.grad(lambda x, y: y, argnums=0)(3.0, 4.0).item() == 0.0
    assert bl.value_and_grad(lambda x: x)(3.0)[1].item() == 1.0
    assert bl.jvp(lambda x: 1.0, [x], [x])[1].item() == 0.0
    out, pull = bl.vjp(lambda x, y: (x, y, x), x, x)
    assert [t.tolist() for t in pull((x, x, x))] == [[2.0, 4.0], [1.0, 2.0]]
    assert out[0].tolist() == x.tolist()
    (g,) = bl.vjp(lambda x: (x.sum(), 3), x)[1]((1.0, 0))
    assert g.tolist() == [1.0, 1.0]


@dataclass
class Layer:
    weight: Any
    bias: Any


def test_trees_and_argnums():
    params = {"layers": [Layer(bl.tensor([[1.0, 2.0]]), 0.5)], "scale": np.float32(2)}

    def loss(x, p, n):
        layer = p["layers"][0]
        return ((layer.weight * x).sum() + layer.bias) * p["scale"] * n

    value, (gp, gx) = bl.value_and_grad(loss, argnums=(1, 0))(3.0, params, 2)
    assert value.item() == 38.0
    assert isinstance(gp["layers"][0], Layer)
    assert gp["layers"][0].weight.tolist() == [[12.0, 12.0]]
    assert (gp["layers"][0].bias.item(), gp["scale"].item(), gx.item()) == (4.0, 19.0, 12.0)
    assert bl.grad(loss, argnums=-1)(3.0, params, n=2)["scale"].item() == 19.0
    g, aux = bl.grad(lambda x: (x * x, {"x": x, "text": "kept"}), has_aux=True)(3.0)
    assert (g.item(), aux["x"].item(), aux["x"].node, aux["text"]) == (6.0, 3.0, None, "kept")


def test_gradients_reach_what_a_function_closes_over():
    w = bl.tensor(3.0, requires_grad=True)
    bl.grad(lambda x: w * w * x * x)(2.0).backward()
    assert w.grad.item() == 2 * 3.0 * 2 * 2.0
    assert bl.grad(lambda x: x * x)(2.0).node is None


def test_no_grad_outside_does_not_reach_inside():
    w = bl.tensor(2.0, requires_grad=True)
    with bl.no_grad():
        g = bl.grad(f)(w)
        h = bl.hvp(f, [w], [1.0])[0]
        value, pull = bl.vjp(f, w)
        assert pull(1.0)[0].item() == pytest.approx(g.item())
    assert g.item() == pytest.approx(exact(2.0, 1), rel=1e-6)
    assert h.item() == pytest.approx(exact(2.0, 2), rel=1e-6)
    assert not any(t.requires_grad for t in (g, h, value))
    graph = trace(lambda x: bl.grad(lambda y: _silent(y) * y)(x), [Spec((), F64)])
    assert graph(np.float64(3))[0] == 9.0


@bl.no_grad()
def _silent(x):
    return bl.grad(lambda t: t * t * t)(x) / 3


def g(p, y):
    return {"a": bl.tanh(p["u"]) * p["v"].sum() * y, "b": [(p["v"] * p["v"]).sum() * y.sum()]}


P = {"u": np.array([0.3, -0.5]), "v": np.array([[1.0, 2.0, -1.5]])}
Y = np.array([2.0, 0.25])


@pytest.mark.parametrize("mode", [None, "reverse", "forward"])
def test_jacobian_of_trees(mode):
    found = bl.jacobian(g, argnums=(0, 1), mode=mode)(P, Y)
    assert found["a"][0]["v"].shape == (2, 1, 3)
    assert found["b"][0][1].shape == (2,)
    for path, part in (("u", P["u"]), ("v", P["v"])):
        for i in np.ndindex(part.shape):
            step = np.zeros_like(part)
            step[i] = 1e-5
            up, down = (
                g({k: bl.tensor(v + s * step if k == path else v) for k, v in P.items()}, bl.tensor(Y)) for s in (1, -1)
            )
            for key in ("a", "b"):
                pair = [(t["a"] if key == "a" else t["b"][0]).numpy() for t in (up, down)]
                block = (found["a"] if key == "a" else found["b"][0])[0][path].numpy()
                np.testing.assert_allclose(block[(..., *i)], (pair[0] - pair[1]) / 2e-5, rtol=1e-8, atol=1e-9)


def test_jacobian_chooses_the_mode_with_fewer_passes():
    tall, wide = np.ones((5, 2)), np.ones((2, 5))
    for m in (tall, wide):
        x = np.ones(m.shape[1])
        assert np.array_equal(bl.jacobian(lambda x, m=m: bl.matmul(bl.tensor(m), x))(x).numpy(), m)
    assert bl.jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    found, aux = bl.jacobian(lambda x: (x * x, x), has_aux=True)(np.ones(2))
    assert aux.tolist() == [1.0, 1.0]
    assert found.tolist() == [[2.0, 0.0], [0.0, 2.0]]


def quartic(x, y):
    return (x * x * x * y).sum() + (y * y).sum() * x[0]


X0, Y0 = np.array([0.7, -1.2]), np.array([0.4, 2.0])


def test_hessian_agrees_with_differences_and_products():
    (xx, xy), (yx, yy) = bl.hessian(quartic, argnums=(0, 1))(X0, Y0)
    np.testing.assert_allclose(xy.numpy(), yx.numpy().T)
    full = np.block([[xx.numpy(), xy.numpy()], [yx.numpy(), yy.numpy()]])
    v = np.array([0.3, -0.2, 1.0, 0.5])
    gradient = lambda p: np.concatenate([t.numpy() for t in bl.grad(quartic, argnums=(0, 1))(p[:2], p[2:])])
    p = np.concatenate([X0, Y0])
    np.testing.assert_allclose(full @ v, (gradient(p + 1e-6 * v) - gradient(p - 1e-6 * v)) / 2e-6, rtol=1e-8)
    products = bl.hvp(quartic, [X0, Y0], [v[:2], v[2:]])
    np.testing.assert_allclose(full @ v, np.concatenate([t.numpy() for t in products]), rtol=1e-13)
    assert bl.hessian(lambda x: x * x * x)(X0).shape == (2, 2, 2)


def test_transforms_of_transforms_against_differences():
    check_grad(lambda x, y: bl.jacobian(quartic, argnums=1)(x, y), [X0, Y0], order=2)
    check_grad(lambda x, y: bl.hessian(quartic)(x, y), [X0, Y0])
    check_grad(lambda x, y: bl.hvp(quartic, [x, y], [y, x]), [X0, Y0])


def test_hvp_costs_a_few_gradients():
    count = lambda h: len(trace(h, [Spec((30,), F64)]).nodes)

    def loss(x):
        for _ in range(20):
            x = bl.tanh(x) * x
        return x.sum()

    assert count(lambda x: bl.hvp(loss, [x], [x])[0]) < 6 * count(bl.grad(loss))


def test_stop_gradient_takes_trees():
    stopped = lambda x: bl.stop_gradient({"a": [x], "b": (x * x, None)})
    assert bl.grad(lambda x: x * stopped(x)["a"][0] + x * stopped(x)["b"][0])(3.0).item() == 12.0
    assert stopped(2.0)["b"][1] is None


def test_what_is_no_number_is_named():
    with pytest.raises(bl.DtypeError, match=r"argument 0\.layer\.kind is 'dense' \(str\).*static"):
        bl.grad(lambda p: p["layer"]["w"])({"layer": {"w": 1.0, "kind": "dense"}})


def test_stop_gradient():
    assert bl.grad(lambda x: x * bl.stop_gradient(x * x))(3.0).item() == 9.0
    assert bl.jvp(lambda x: x * bl.stop_gradient(x), [3.0], [1.0])[1].item() == 3.0
    graph = trace(bl.grad(lambda x: x * bl.stop_gradient(x * x)), [Spec((), F64)])
    assert graph(np.float64(3))[0] == 9.0


WRONG = [
    (lambda: bl.grad(lambda x: x)(bl.tensor([1.0, 2.0])), GradientError, r"shape \(2,\), not one element"),
    (lambda: bl.grad(lambda x: (x, x))(1.0), GradientError, "one scalar Tensor.*has_aux"),
    (lambda: bl.grad(lambda x: x)(1), DtypeError, "argument 0 has dtype int64"),
    (lambda: bl.grad(lambda p: p["w"][1])({"w": [1.0, 2]}), DtypeError, r"argument 0\.w\.1 has dtype int64"),
    (lambda: bl.grad(lambda x: x > 0)(1.0), DtypeError, "expected a floating-point output, got bool"),
    (lambda: bl.grad(lambda x: x, argnums=1)(1.0), ArgumentError, "names argument 1, but 1 were given"),
    (lambda: bl.grad(lambda x, y: x, argnums=(0, -2))(1.0, 2.0), ArgumentError, "names an argument twice"),
    (lambda: bl.grad(lambda x: x, has_aux=True)(1.0), ArgumentError, r"must return \(output, aux\)"),
    (lambda: bl.vjp(lambda x: (x, x), 1.0)[1](1.0), ArgumentError, "vjp: the trees differ"),
    (lambda: bl.vjp(lambda x: x, 1.0)[1](np.ones(3)), ShapeError, r"cotangent has shape \(3,\), the output \(\)"),
    (lambda: bl.jvp(lambda x: x, [1.0], [np.ones(3)]), ShapeError, r"tangent has shape \(3,\), its primal \(\)"),
    (lambda: bl.jvp(lambda x: x, [1.0], [1.0, 2.0]), ArgumentError, "jvp: the trees differ"),
    (lambda: bl.jacobian(lambda x: x, mode="sideways"), ArgumentError, "'reverse', 'forward' or None, got 'sideways'"),
    (lambda: bl.jacobian(lambda x: x > 0)(1.0), DtypeError, "got bool"),
    (lambda: bl.jacobian(lambda x: x * 1j)(np.ones(2)), DtypeError, "real and imaginary parts"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
