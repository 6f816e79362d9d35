"""Training in the static mode: its optimizers by their formulas, and agreement with eager mode to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import static

rng = np.random.default_rng(0)
F = np.float32


@pytest.fixture(autouse=True)
def graph():
    with static.Graph() as g:
        yield g


# --- the formulas, by hand ---------------------------------------------------------------------------------


class ByHand:
    """TensorFlow 1's formulas on NumPy arrays, one instance for each parameter."""

    def __init__(self, name, rate):
        self.name, self.rate = name, rate
        self.m = self.s = F(0)
        self.b1, self.b2 = np.float64(0.9), np.float64(0.999)

    def step(self, v, g):
        if self.name == "sgd":
            return v - self.rate * g
        if self.name == "adam":
            self.m = 0.9 * self.m + (1 - 0.9) * g
            self.s = 0.999 * self.s + (1 - 0.999) * (g * g)
            rate = F(self.rate * np.sqrt(1 - self.b2) / (1 - self.b1))
            self.b1, self.b2 = self.b1 * 0.9, self.b2 * 0.999
            return v - rate * self.m / (np.sqrt(self.s) + 1e-8)
        self.m = 0.9 * self.m + g
        return v - (self.rate * g + self.rate * 0.9 * self.m if self.name == "nesterov" else self.rate * self.m)


OPTIMIZERS = {
    "sgd": lambda rate: static.GradientDescentOptimizer(rate),
    "momentum": lambda rate: static.MomentumOptimizer(rate, 0.9),
    "nesterov": lambda rate: static.MomentumOptimizer(rate, 0.9, use_nesterov=True),
    "adam": lambda rate: static.AdamOptimizer(rate),
}


# --- networks ----------------------------------------------------------------------------------------------


def dense(p, x, y):
    h = bl.relu(x @ p["w1"] + p["b1"])
    return -bl.mean(bl.sum(y * bl.log_softmax(h @ p["w2"] + p["b2"], axis=1), axis=1))


def convolutional(p, x, y):
    h = bl.reshape(x, (-1, 1, 8, 8))
    h = bl.max_pool2d(bl.tanh(bl.conv2d(h, p["k"], padding="same") + bl.reshape(p["c"], (3, 1, 1))), 2)
    return -bl.mean(bl.sum(y * bl.log_softmax(bl.reshape(h, (-1, 48)) @ p["w"], axis=1), axis=1))


def recurrent(p, x, y):
    h = bl.zeros_like(x[:, :8])
    for t in range(0, 64, 16):
        h = bl.sigmoid(x[:, t : t + 16] @ p["u"] + h @ p["v"])
    return bl.mean((h @ p["w"] - y) ** 2.0)


def normal(*shape):
    return (rng.normal(size=shape) * 0.2).astype(F)


NETWORKS = {
    "dense": (dense, {"w1": normal(64, 16), "b1": normal(16), "w2": normal(16, 10), "b2": normal(10)}),
    "convolutional": (convolutional, {"k": normal(3, 1, 3, 3), "c": normal(3), "w": normal(48, 10)}),
    "recurrent": (recurrent, {"u": normal(16, 8), "v": normal(8, 8), "w": normal(8, 10)}),
}


def batches():
    data = np.random.default_rng(1)
    for n in (12, 12, 5, 12, 1, 5):
        yield data.normal(size=(n, 64)).astype(F), np.eye(10, dtype=F)[data.integers(0, 10, n)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.usefixtures("on_numpy")
def test_training_agrees_with_eager_mode_to_the_last_bit(network, optimizer):
    expected, losses, params, values = trained(network, optimizer)
    assert losses == expected
    for k, v in params.items():
        assert values[k].dtype == F
        np.testing.assert_array_equal(values[k], v, err_msg=k)


@pytest.mark.parametrize("network", NETWORKS)
def test_training_on_the_plans_of_this_machine_agrees_up_to_rounding(network):
    expected, losses, params, values = trained(network, "adam")
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for k, v in params.items():
        np.testing.assert_allclose(values[k], v, rtol=1e-2, atol=1e-4, err_msg=k)


def trained(network, optimizer):
    """Losses and parameters of the same training in eager mode, by hand, and in a session."""
    f, initial = NETWORKS[network]
    params = {k: v.copy() for k, v in initial.items()}
    hands = {k: ByHand(optimizer, 0.05) for k in params}
    expected = []
    for x, y in batches():
        loss, grads = bl.value_and_grad(f)({k: bl.tensor(v) for k, v in params.items()}, x, y)
        params = {k: hands[k].step(v, grads[k].numpy()) for k, v in params.items()}
        expected.append(loss.item())

    x = static.placeholder("float32", (None, 64), name="x")
    y = static.placeholder("float32", (None, 10), name="y")
    variables = {k: static.Variable(v, name=k) for k, v in initial.items()}
    loss = f(variables, x, y)
    train = OPTIMIZERS[optimizer](0.05).minimize(loss)
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        found = [session.run([loss, train], {x: a, y: b})[0] for a, b in batches()]
        values = session.run(variables)
    return expected, found, params, values


# --- optimizers --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rate_that_is_fed(optimizer):
    v = static.Variable(np.ones(3, F))
    rate = static.placeholder("float64", (), name="rate")
    train = OPTIMIZERS[optimizer](rate).minimize(bl.sum(v * v))
    hand, value = ByHand(optimizer, 0.1), np.ones(3, F)
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        for r in (0.5, 0.125, 0.25):
            session.run(train, {rate: r})
            hand.rate = r
            value = hand.step(value, value + value)
            np.testing.assert_array_equal(session.run(v), value)


def test_global_step_is_counted():
    v = static.Variable(1.0)
    count = static.Variable(0, trainable=False)
    train = static.GradientDescentOptimizer(0.1).minimize(v * v, global_step=count)
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        for _ in range(3):
            session.run(train)
        assert session.run(count) == 3


def test_only_the_variables_asked_for_change():
    a, b = static.Variable(1.0), static.Variable(1.0)
    frozen = static.Variable(1.0, trainable=False)
    loss = a * b * frozen
    optimizer = static.GradientDescentOptimizer(0.5)
    assert [v.name for _, v in optimizer.compute_gradients(loss)] == [a.name, b.name]
    train = optimizer.minimize(loss, var_list=[b])
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        session.run(train)
        assert session.run([a, b, frozen]) == [1, 0.5, 1]


def test_gradients_may_be_changed_before_they_are_applied():
    v = static.Variable(np.array([3.0, -4.0], F))
    unused = static.Variable(1.0)
    optimizer = static.GradientDescentOptimizer(1.0)
    pairs = optimizer.compute_gradients(bl.sum(v * v))
    assert pairs[1][0] is None
    assert pairs[1][1] is unused
    train = optimizer.apply_gradients([(bl.clip(g, -1.0, 1.0) if g is not None else None, v) for g, v in pairs])
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        session.run(train)
        np.testing.assert_array_equal(session.run(v), [2.0, -3.0])


def test_slots():
    v = static.Variable(np.ones(2, F), name="v")
    optimizer = static.MomentumOptimizer(0.1, 0.9)
    train = optimizer.minimize(bl.sum(v))
    slot = optimizer.get_slot(v, "Momentum")
    assert slot.name == "v/Momentum"
    assert optimizer.get_slot(v, "Adam") is None
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        session.run(train)
        np.testing.assert_array_equal(session.run(slot), [1, 1])


def test_wrong_calls():
    v = static.Variable(1.0, name="v")
    x = static.placeholder("float32", (), name="x")
    n = static.Variable(1, name="n")
    sgd = static.GradientDescentOptimizer(0.1)
    with pytest.raises(bl.GradientError, match=r"no path leads from 'v' \(variable\).* to .*multiply"):
        sgd.minimize(x * x, var_list=[v])
    with pytest.raises(bl.DtypeError, match=r"'n'.*only floating-point"):
        sgd.minimize(v * 2)
    with pytest.raises(bl.GraphError, match="static graph as loss"):
        sgd.minimize(bl.tensor(1.0))
    with pytest.raises(bl.ArgumentError, match="expected variables"):
        sgd.minimize(v * x, var_list=[x])
    with pytest.raises(bl.GradientError, match="every gradient is None"):
        sgd.apply_gradients([(None, v)])
    with static.Graph():
        y = static.placeholder("float32", ())
        with pytest.raises(bl.ArgumentError, match="no variable to change"):
            sgd.minimize(y * y)
    assert n.trainable


def test_initializer_made_too_early_is_explained():
    v = static.Variable(1.0, name="v")
    init = static.global_variables_initializer()
    train = static.MomentumOptimizer(0.1, 0.9).minimize(v * v)
    with static.Session() as session:
        session.run(init)
        with pytest.raises(bl.GraphError, match=r"v/Momentum.*made after the last variable"):
            session.run(train)


# --- beside eager mode -----------------------------------------------------------------------------------


def test_eager_and_static_in_one_process():
    w = bl.tensor([1.0, 2.0], requires_grad=True)
    x = static.placeholder("float32", (2,))
    y = bl.exp(x * w)
    eager = bl.exp(w * w)
    (g,) = static.gradients(bl.sum(x * x), x)
    with static.Session() as session, bl.no_grad():  # what is built can be differentiated, wherever it is run
        found = session.run([y, g], {x: w.detach()})
    eager.sum().backward()
    np.testing.assert_allclose(found[0], eager.numpy(), rtol=3e-7)  # exp of a plan and of NumPy
    np.testing.assert_array_equal(found[1], [2, 4])
    assert w.grad is not None


def test_random_numbers_are_those_of_eager_mode():
    key = bl.random.key(3)
    w = static.Variable(bl.random.normal(key, (4, 3)))
    n = static.placeholder("int64", (), name="n")
    drawn = bl.random.uniform(bl.random.fold_in(key, n), (5,))
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        np.testing.assert_array_equal(session.run(w), bl.random.normal(key, (4, 3)).numpy())
        for i in (0, 7):
            expected = bl.random.uniform(bl.random.fold_in(key, i), (5,)).numpy()
            np.testing.assert_array_equal(session.run(drawn, {n: i}), expected)
