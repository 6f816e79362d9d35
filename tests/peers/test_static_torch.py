"""The optimizers of the static mode beside torch.optim, where the definitions coincide, over steps of training."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import static

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(16, 6)), rng.normal(size=(16, 2))
INITIAL = {"w1": rng.normal(size=(6, 8)), "b1": rng.normal(size=8), "w2": rng.normal(size=(8, 2))}
STEPS = 30

#: torch adds epsilon after the bias is corrected, TensorFlow 1 before; they coincide without it.
PAIRS = {
    "sgd": (lambda: static.GradientDescentOptimizer(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    "momentum": (lambda: static.MomentumOptimizer(0.05, 0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    "nesterov": (
        lambda: static.MomentumOptimizer(0.05, 0.9, use_nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda: static.AdamOptimizer(0.05, epsilon=0.0), lambda p: torch.optim.Adam(p, 0.05, eps=0.0)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_training_follows_torch(name):
    ours, theirs = PAIRS[name]
    params = {k: torch.tensor(v, requires_grad=True) for k, v in INITIAL.items()}
    optimizer = theirs(list(params.values()))
    expected = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        h = torch.tanh(torch.tensor(X) @ params["w1"] + params["b1"])
        loss = ((h @ params["w2"] - torch.tensor(Y)) ** 2).mean()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())

    with static.Graph(), static.Session() as session:
        x = static.placeholder("float64", (None, 6), name="x")
        y = static.placeholder("float64", (None, 2), name="y")
        v = {k: static.Variable(a, name=k) for k, a in INITIAL.items()}
        loss = bl.mean((bl.tanh(x @ v["w1"] + v["b1"]) @ v["w2"] - y) ** 2.0)
        train = ours().minimize(loss)
        session.run(static.global_variables_initializer())
        found = [session.run([loss, train], {x: X, y: Y})[0] for _ in range(STEPS)]
        values = session.run(v)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    for k, p in params.items():
        np.testing.assert_allclose(values[k], p.detach().numpy(), rtol=1e-9, err_msg=k)


def test_epsilon_of_adam_is_torchs_times_the_correction():
    """One step of each: epsilon counts here, and TensorFlow 1's is torch's times √(1 - β2)."""
    p = torch.tensor(INITIAL["b1"], requires_grad=True)
    optimizer = torch.optim.Adam([p], 0.05, eps=0.5)
    (p * p).sum().backward()
    optimizer.step()
    with static.Graph(), static.Session() as session:
        v = static.Variable(INITIAL["b1"])
        train = static.AdamOptimizer(0.05, epsilon=0.5 * np.sqrt(1 - 0.999)).minimize(bl.sum(v * v))
        session.run(static.global_variables_initializer())
        session.run(train)
        np.testing.assert_allclose(session.run(v), p.detach().numpy(), rtol=1e-12)
