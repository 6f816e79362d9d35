"""The learning-rate finder: its curve is that of training with a rising rate, and its suggestion trains."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, train
from backlit.base.errors import ArgumentError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 4)).astype(np.float32)
Y = (X[:, 0] * X[:, 1]).astype(np.float32)


def network():
    return nn.Sequential(nn.Dense(16, "tanh"), nn.Dropout(0.1), nn.Dense(1))


def test_the_curve_is_that_of_training_with_a_rising_rate():
    model = network().build((4,))
    before = {path: v.numpy().tobytes() for path, v in model.values().items()}
    found = train.find_learning_rate(model, X, Y, optimizer="sgd", lowest=1e-4, highest=0.1, steps=20, seed=3)
    assert {path: v.numpy().tobytes() for path, v in model.values().items()} == before
    log = train.LossLog()
    rising = optim.exponential(1e-4, 1000 ** (1 / 19))
    model.fit(X, Y, epochs=4, optimizer=optim.sgd(rising), seed=3, callbacks=log, verbose=False)
    np.testing.assert_allclose(found.losses, log.losses)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-4, 0.1, 20))


@pytest.mark.parametrize("optimizer", ["adam", lambda lr: optim.sgd(lr, momentum=0.9)], ids=["adam", "momentum"])
def test_the_suggestion_trains_better_than_much_less_or_much_more(optimizer):
    model = network()
    rate = train.find_learning_rate(model, X, Y, optimizer=optimizer, highest=100.0).suggestion
    make = optim.adam if optimizer == "adam" else optimizer

    def reached(lr):
        try:
            return network().fit(X, Y, epochs=10, optimizer=make(lr), verbose=False)[-1]["loss"]
        except train.DivergedError:
            return np.inf

    assert reached(rate) < min(reached(rate / 100), reached(rate * 100))
    with pytest.raises(ArgumentError, match="no parameters yet"):
        model.values()


def test_where_training_breaks_the_curve_ends(tmp_path):
    pytest.importorskip("matplotlib")
    found = train.find_learning_rate(network(), X, Y, optimizer="sgd", highest=1e20, batch_size=1000)
    assert len(found.rates) == len(found.losses) < 190
    assert np.isfinite(found.losses).all()
    found.picture(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_errors_teach():
    with pytest.raises(ArgumentError, match="expected 0 < lowest < highest and 20 steps or more"):
        train.find_learning_rate(network(), X, Y, lowest=1.0)
    with pytest.raises(ArgumentError, match="from step 1 on, at the rate 1e-06; look at the data"):
        train.find_learning_rate(network(), X * np.float32(np.nan), Y)
    with pytest.raises(ArgumentError, match="the target of sample 2 is 9"):
        train.find_learning_rate(nn.Dense(3), X, np.where(np.arange(160) == 2, 9, 0))


def test_a_network_predicts_in_the_unit_of_its_targets():
    y = 5000 + 1000 * X[:, :1]
    model = nn.Sequential(nn.Dense(1), nn.Unstandardize.of(y, axis=0))
    history = model.fit(X, y, epochs=20, lr=0.05, metrics=["r2"], verbose=False)
    assert history[-1]["r2"] > 0.9
    assert abs(np.mean(model.predict(X)) - 5000) < 200
    assert bl.nn.Standardize.of(y, axis=0)(model(X)).numpy().std() == pytest.approx(1, abs=0.2)
