"""The optimizers: against formulas written out in NumPy, in native plans, over trees, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from backlit.base.errors import ArgumentError, DtypeError
from backlit.base.trees import leaves, tree_map

ALL = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, momentum=0.9, dampening=0.1),
    "nesterov": optim.sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "lion": optim.lion(0.01, weight_decay=0.1),
    "adagrad": optim.adagrad(0.1, lr_decay=0.01),
    "rmsprop": optim.rmsprop(0.01),
    "centered": optim.rmsprop(0.01, centered=True, momentum=0.9),
    "adadelta": optim.adadelta(),
    "adam": optim.adam(0.1),
    "amsgrad": optim.adam(0.1, amsgrad=True),
    "adamw": optim.adamw(optim.cosine(0.1, 50)),
    "nadam": optim.nadam(0.05),
    "adafactor": optim.adafactor(0.05),
}
everyone = pytest.mark.parametrize("optimizer", ALL.values(), ids=list(ALL))


def by_sgd(gradients, x):
    for g in gradients:
        x = x - 0.1 * g
    return x


def by_nesterov(gradients, x):
    """Sutskever et al. 2013, as PyTorch has it, with the penalty in the gradient."""
    v = 0
    for g in gradients:
        g = g + 0.01 * x
        v = 0.9 * v + g
        x = x - 0.1 * (g + 0.9 * v)
    return x


def by_lion(gradients, x):
    """Chen et al. 2023, algorithm 2."""
    m = np.zeros_like(x)
    for g in gradients:
        c = 0.9 * m + 0.1 * g
        m = 0.99 * m + 0.01 * g
        x = x - 0.01 * (np.sign(c) + 0.1 * x)
    return x


def by_adam(gradients, x):
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


def by_adamw(gradients, x):
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        lr = 0.1 * (1 + np.cos(np.pi * min((t - 1) / 50, 1))) / 2
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x * (1 - lr * 0.01) - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x


@pytest.mark.parametrize("formula", [by_sgd, by_nesterov, by_lion, by_adam, by_adamw])
def test_steps_follow_the_formula(formula):
    rng = np.random.default_rng(0)
    x, gradients = rng.normal(size=5), rng.normal(size=(50, 5))
    optimizer = ALL[formula.__name__.removeprefix("by_")]
    params = {"a": bl.tensor(x), "b": [bl.tensor(x[0])]}
    state = optimizer.init(params)
    for g in gradients:
        params, state = optimizer.update(params, {"a": bl.tensor(g), "b": [bl.tensor(g[0])]}, state)
    np.testing.assert_allclose(params["a"].numpy(), formula(gradients, x), rtol=1e-12)
    np.testing.assert_allclose(params["b"][0].item(), params["a"].numpy()[0], rtol=1e-12)


def problem(dtype):
    """Parameters of a small network, and a function that gives their gradients."""
    rng = np.random.default_rng(1)
    x, y = (bl.tensor(rng.normal(size=s).astype(dtype)) for s in ((8, 3), (8, 2)))
    params = {"one": {"w": rng.normal(size=(3, 4)), "b": np.zeros(4)}, "two": [rng.normal(size=(4, 2)), np.ones(2)]}
    params = tree_map(lambda p: bl.tensor(p.astype(dtype)), params)

    def loss(p):
        return bl.mean((bl.tanh(x @ p["one"]["w"] + p["one"]["b"]) @ p["two"][0] + p["two"][1] - y) ** 2)

    return params, loss


@everyone
def test_native_loops_agree_with_single_steps_in_double_precision(optimizer):
    """A hundred steps in one native loop in float32, beside the same steps one by one in float64."""
    found = []
    for dtype in (np.float32, np.float64):
        params, loss = problem(dtype)

        def step(p, state, loss=loss):
            value, g = bl.value_and_grad(loss)(p)
            return *optimizer.update(p, g, state), value

        state = optimizer.init(params)
        if dtype == np.float32:
            params, state, _ = bl.compile(step, donate=("p", "state")).repeat(25)(params, state)
        else:
            for _ in range(25):
                params, state, _ = step(params, state)
        assert all(p.dtype == dtype for p in leaves(params))
        found.append(np.concatenate([p.numpy().ravel() for p in leaves(params)]))
    np.testing.assert_allclose(found[0], found[1], rtol=2e-3, atol=2e-4)


@everyone
def test_update_changes_none_of_its_arguments_and_records_nothing(optimizer):
    rng = np.random.default_rng(0)
    params = {"w": bl.tensor(rng.normal(size=(2, 3)), requires_grad=True), "b": rng.normal(size=3)}
    slope = tree_map(lambda p: bl.tensor(rng.normal(size=p.shape)), params)
    state = optimizer.init(params)
    given = (params, slope, state)
    before = [np.array(x) for x in leaves(given)]
    new, after = optimizer.update(params, slope, state)
    for x, old in zip(leaves(given), before, strict=True):
        np.testing.assert_array_equal(np.array(x), old)
    assert not any(p.requires_grad for p in leaves((new, after)))
    assert all(isinstance(x, bl.Tensor) for x in leaves((new, after)))
    assert [x.shape for x in leaves(after)] == [x.shape for x in leaves(state)]
    assert [x.dtype for x in leaves(after)] == [x.dtype for x in leaves(state)]


@everyone
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept(optimizer, dtype):
    params = {"a": bl.tensor(np.ones((3, 2), dtype)), "b": bl.tensor(np.ones(3, np.float32))}
    new, state = optimizer.update(params, params, optimizer.init(params))
    assert [p.dtype for p in leaves(new)] == [dtype, np.float32]
    assert all(x.dtype in (np.int32, dtype, np.float32) for x in leaves(state))


@everyone
def test_a_tree_without_leaves(optimizer):
    params, _ = optimizer.update({"w": None}, {"w": None}, optimizer.init({"w": None}))
    assert params == {"w": None}


def test_first_steps_of_adam_are_exact_in_float32():
    """The correction 1 - 0.999 is 0.001; taken as a difference in float32, it is off by 5e-5."""
    p = {"x": bl.tensor(np.float32(0.0))}
    optimizer = optim.adam(1.0, eps=1e-30)
    p, _ = optimizer.update(p, {"x": bl.tensor(np.float32(3.0))}, optimizer.init(p))
    np.testing.assert_allclose(p["x"].item(), -1.0, rtol=3e-7)


def test_complex_parameters_go_down_the_gradient():
    z = bl.tensor(np.array([3 + 4j]))
    optimizer = optim.sgd(0.5)
    z, _ = optimizer.update(z, bl.grad(lambda z: bl.sum(bl.abs(z) ** 2))(z), optimizer.init(z))
    np.testing.assert_allclose(z.numpy(), 0, atol=1e-12)
    with pytest.raises(DtypeError, match="adam: the parameter given is complex128; expected a real floating"):
        optim.adam().init(z)


def test_the_rate_can_be_asked_for():
    optimizer = optim.sgd(optim.step_decay(0.5, 2))
    params = {"x": bl.tensor(1.0)}
    state, rates = optimizer.init(params), []
    for _ in range(4):
        rates.append(round(float(optimizer.rate(state)), 6))
        params, state = optimizer.update(params, params, state)
    assert rates == [0.5, 0.5, 0.05, 0.05]
    assert optim.sgd(0.5).rate(optim.sgd(0.5).init(params)) == 0.5


def test_other_structure_is_refused():
    optimizer = optim.adam()
    params = {"a": bl.tensor([1.0])}
    with pytest.raises(ArgumentError, match="adam: the trees differ at the root"):
        optimizer.update(params, {"b": bl.tensor([1.0])}, optimizer.init(params))


def test_integers_are_refused_by_their_path():
    with pytest.raises(DtypeError, match=r"adam: the parameter a\.0 is int64; expected a real floating"):
        optim.adam().init({"a": [bl.tensor([1])]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.sgd(0), "lr: expected a positive number or a schedule"),
        (lambda: optim.adam("fast"), "lr: expected a positive number or a schedule .* got 'fast'"),
        (lambda: optim.adam(float("nan")), "lr: expected"),
        (lambda: optim.sgd(1, momentum=1.0), "momentum: expected a number from 0 up to"),
        (lambda: optim.sgd(1, nesterov=True), "nesterov=True needs a momentum"),
        (lambda: optim.adam(betas=0.9), "betas: expected two numbers"),
        (lambda: optim.adam(betas=(0.9, 1.0)), r"betas\[1\]: expected a number from 0"),
        (lambda: optim.adamw(weight_decay=-1), "weight_decay: expected a number of 0 or more"),
        (lambda: optim.rmsprop(eps=0), "eps: expected a positive number"),
        (lambda: optim.adafactor(beta2_decay=0.8), "beta2_decay: expected a number below 0"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
