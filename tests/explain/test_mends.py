"""Mends: each fault has some, they change copies only, and they do what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.explain.changes import activations, followers, last_activation, rate_of, reinitialised, still
from backlit.explain.mends import REMEDIES, mends_for
from backlit.explain.remedies import data, ending, start, steps
from backlit.explain.running import Runner, batches, best_rate, poisonous, quality
from backlit.explain.trial import tried
from backlit.explain.verdict import Experiment, Mend, Verdict

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("int64")


def experiment(
    *layers: Any, loss: Any = "auto", optimizer: Any = None, arrays: Any = (X, Y), **more: Any
) -> Experiment:
    model = nn.Sequential(*layers).build(arrays[0][:1])
    return Experiment(model, loss, optimizer or optim.adam(1e-2), arrays, batch_size=40, **more)


def small(activation: str = "tanh", end: Any = None) -> list[Any]:
    return [nn.Dense(8, activation), nn.Dense(2, end)]


def deep(activation: str, **options: Any) -> Experiment:
    return experiment(*[nn.Dense(8, activation) for _ in range(6)], nn.Dense(2), **options)


def tried_with(fault: str, e: Experiment, layer: str = "", n: int = 60) -> Any:
    return tried(Verdict(fault, layer, "", {}, mends_for(fault, layer, {}, e)), e, n)


def test_every_fault_has_mends_that_change_nothing_given() -> None:
    e = experiment(*small("sigmoid"), validation=(X[:20], Y[:20]))
    before = {k: v.numpy().copy() for k, v in e.model.values().items()}
    text = repr(e.model)
    found = {fault: mends_for(fault, "0", {}, e) for fault in REMEDIES}
    assert all(found.values())
    for mend in {mend.what: mend for mends in found.values() for mend in mends}.values():
        if ";" in mend.what:  # each part is applied by itself
            continue
        try:
            changed = mend.apply(e)
        except bl.BacklitError:
            continue
        assert changed.model is e.model or changed.model.parameters()
    assert repr(e.model) == text
    assert all(np.array_equal(before[k], v.numpy()) for k, v in e.model.values().items())


def test_two_trials_say_the_same_and_the_best_is_told() -> None:
    e = deep("sigmoid", optimizer=optim.sgd(0.1))
    first, second = tried_with("vanishing gradient", e), tried_with("vanishing gradient", e)
    assert first.sentence == second.sentence
    assert first.after == second.after
    assert first.helped
    assert first.after["loss end"] < first.before["loss end"]
    assert "in 60 steps the loss goes from" in first.sentence
    assert len(first.others) > 2


def test_a_slip_is_mended_though_a_trainer_would_refuse_it() -> None:
    y = X[:, 0] - X[:, 2]
    e = experiment(nn.Dense(1), loss=lambda out, y: bl.mean((out - y) ** 2), arrays=(X, y), optimizer=optim.adam(0.1))
    found = tried_with("broadcasting slip", e)
    assert found.helped
    assert found.after["quality"] > 0.95
    assert found.before["quality"] < 0.5


@pytest.mark.parametrize(
    ("fault", "e", "words"),
    [
        ("wrong loss", experiment(*small("relu", "softmax"), loss="cross_entropy"), "leave softmax out"),
        ("learning rate too low", experiment(*small(), optimizer=optim.sgd(1e-6)), "rate"),
        ("loss not decreasing", experiment(nn.Dense(2)), "hidden layer"),
        ("unnormalised input", experiment(*small(), arrays=(X * 90 + 400, Y)), "standardise"),
        ("unchanged parameter", experiment(*small(), optimizer=optim.freeze(optim.adam(0.03), "0.*")), "train 0"),
    ],
)  # fmt: skip
def test_what_is_proposed_helps(fault: str, e: Experiment, words: str) -> None:
    found = tried_with(fault, e, "0", 150)
    assert found.helped, found.sentence
    assert words in found.sentence


def test_what_only_the_user_can_do_is_told_and_not_tried() -> None:
    class Net(nn.Layer):
        def __init__(self) -> None:
            self.spare = bl.tensor(np.ones(3, "float32"), requires_grad=True)
            self.out = nn.Dense(2)

        def forward(self, x: Any) -> Any:
            return self.out(x)

    e = Experiment(Net().build(X[:1]), "auto", optim.adam(), (X, Y))
    found = tried_with("unused parameter", e, "spare")
    assert found.mend is None
    assert not found.helped
    assert found.sentence.startswith("not tried: use spare in forward")


def test_a_run_that_diverges_is_an_outcome() -> None:
    e = experiment(nn.Dense(8, "relu"), nn.Dense(1), loss="mse", arrays=(X, X[:, :1]), optimizer=optim.sgd(50.0))
    run = Runner(e)(30)
    assert not run.finite
    found = tried_with("learning rate too high", e, n=30)
    assert found.helped
    assert "no finite number" in found.sentence
    worse = Mend("raise the rate", lambda e: e._replace(optimizer=optim.sgd(500.0)))
    hopeless = tried(Verdict("learning rate too high", "", "", {}, (worse,)), e, 30)
    assert not hopeless.helped
    assert "training breaks at step" in hopeless.sentence


def test_samples_that_poison_the_gradient_are_found() -> None:
    x = X.copy()
    x[[7, 90]] = 0
    loss = lambda out, y: bl.mean(bl.sqrt(bl.sum(out**2, axis=-1)) + 0.0 * y)
    e = experiment(nn.Dense(3, use_bias=False), loss=loss, arrays=(x, X[:, 0]))
    assert poisonous(e) == [7, 90]
    (mend,) = [m for m in mends_for("numerical problem", "", {}, e) if "samples that make it" in m.what]
    assert poisonous(mend.apply(e)) == []


def test_initialisers_follow_the_activations() -> None:
    model = nn.Sequential(nn.Dense(300), nn.ReLU(), nn.Dense(300, "tanh"), bl.relu, nn.Dense(300), bl.relu, nn.Dense(2))
    model.build((200,))
    after = followers(model)
    assert [after[id(model[i])] for i in (0, 2, 4, 6)] == ["relu", "tanh", "relu", ""]
    assert list(activations(model)) == [("3", "relu"), ("5", "relu"), ("1", "relu"), ("2", "tanh")]
    e = Experiment(model, "auto", optim.adam(), (np.ones((4, 200), "float32"), np.zeros(4, "int64")))
    new = reinitialised(e, lambda path, layer: path in ("0", "2"))
    assert np.std(new.parameters()["0.weight"].numpy()) == pytest.approx((2 / 200) ** 0.5, rel=0.05)
    assert np.std(new.parameters()["2.weight"].numpy()) == pytest.approx((1 / 300) ** 0.5, rel=0.05)
    assert np.array_equal(new.parameters()["4.weight"].numpy(), model.parameters()["4.weight"].numpy())


def test_the_end_of_a_network() -> None:
    assert last_activation(nn.Sequential(nn.Dense(2), nn.Sequential(nn.Softmax()))) == "softmax"
    assert last_activation(nn.Sequential(nn.Dense(2, "sigmoid"))) == "sigmoid"
    assert last_activation(nn.Dense(2, "sigmoid")) == ""
    e = experiment(nn.Dense(8, "tanh"), nn.Dense(1), loss="mse", arrays=(X, Y[:, None].astype("float32") * 3 + 1))
    assert "softplus" in (data.positive_outputs(e) or start.other_start(e)).what  # type: ignore[union-attr]
    counts = experiment(nn.Dense(8, "tanh"), nn.Dense(1), loss="mse", arrays=(X, np.arange(120) % 4))
    (scores,) = [m for m in ending.matching_loss(counts) if "each class" in m.what]
    assert Runner(scores.apply(counts))(10).finite


def test_optimizers_can_be_looked_into() -> None:
    params = experiment(nn.Dense(3), nn.Dense(2)).model.parameters()
    assert still(optim.freeze(optim.adam(optim.warm_up(0.1, 5)), "1.*"), params) == ["1.weight", "1.bias"]
    assert rate_of(optim.adam(0.25), params) == 0.25
    assert rate_of(optim.groups({"0.*": optim.sgd(0.1), "*": optim.sgd(0.5)}), params) == 0.5
    e = steps.slower(experiment(nn.Dense(2), optimizer=optim.adam(0.1)), 10).apply(experiment(nn.Dense(2)))
    assert rate_of(e.optimizer, e.model.parameters()) == pytest.approx(1e-3)


def test_the_range_test_begins_anew_for_each_rate() -> None:
    e = experiment(nn.Dense(8, "tanh"), nn.Dense(2), optimizer=optim.sgd(1e-5))
    runner = Runner(e)
    factor, run = best_rate(runner)
    assert 1e3 < factor <= 1e7
    assert run.end < runner(60).end
    again = runner(60, factor)
    assert again.end == run.end


def test_early_stopping_and_quality() -> None:
    e = experiment(nn.Dense(64, "relu"), nn.Dense(2), arrays=(X[:20], Y[:20]), validation=(X[60:], Y[60:]))
    mend = steps.stopped(e, 64)
    assert mend is not None
    run = Runner(mend.apply(e))(200, stops=[150])
    assert run.curve[0][1] == run.curve[1][1]  # nothing moves after the end
    assert quality(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])) == 0.5
    assert quality(np.array([[2.0], [-1.0]]), np.array([1, 0])) == 1
    assert quality(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 1
    assert np.isnan(quality(np.array([np.nan]), np.array([1.0])))
    assert batches((X,), 50, 5, 0).shape == (5, 50)


def test_recurrent_networks_get_orthogonal_weights_or_gates() -> None:
    x = RNG.normal(size=(40, 6, 2)).astype("float32")
    y = (x[:, 0, 0] > 0).astype("int64")
    small_weights = nn.initialisers.Normal(0.01)
    e = experiment(nn.RNN(8, last=True, recurrent_init=small_weights), nn.Dense(2), arrays=(x, y))
    first, second, *_ = mends_for("vanishing gradient", "0", {}, e)
    assert 'recurrent_init="orthogonal"' in first.what
    u = first.apply(e).model.parameters()["0.forwards.0.recurrent"].numpy()
    np.testing.assert_allclose(u @ u.T, np.eye(8), atol=1e-5)
    assert "0.forwards.0.recurrent" in second.apply(e).model.parameters()
    assert isinstance(second.apply(e).model[0], nn.LSTM)


def test_mends_of_the_data() -> None:
    holes = X.copy()
    holes[[3, 50], 1] = np.nan
    e = experiment(nn.Dense(8, "relu"), nn.Dense(2), arrays=(holes, Y))
    assert len(data.finite_rows(e).apply(e).data[0]) == 118  # type: ignore[union-attr]
    for mend in data.standardised_inputs(e):
        new = mend.apply(e).data[0]
        assert abs(np.nanmean(new)) < 1e-6
        assert np.nanstd(new) == pytest.approx(1, abs=1e-3)
    rare = np.where(np.arange(120) < 12, 1, 0)
    e = experiment(nn.Dense(2), arrays=(X, rare))
    drawn, weighted = data.class_weights(e)
    assert np.bincount(drawn.apply(e).data[1]).tolist() == [108, 108]
    assert Runner(weighted.apply(e))(5).finite
    assert data.class_weights(experiment(nn.Dense(2), arrays=(X, np.arange(120) % 2))) == []
    e = experiment(nn.Dense(1), loss="mse", arrays=(X * 9, X[:, :1] * 1e4 + 5e4))
    unit = data.unit_inputs(e).apply(e).data[0]  # type: ignore[union-attr]
    assert (unit.min(), unit.max()) == (0, 1)
    assert data.scaled_targets(e).apply(e).data[1].std() == pytest.approx(1, abs=1e-3)  # type: ignore[union-attr]
    named = data.standardised_targets(e).apply(e)  # type: ignore[union-attr]
    assert Runner(named)(200).quality > 0 > Runner(e)(200).quality
    flat = lambda x: bl.sum(x, axis=1)
    e = experiment(nn.Dense(3), flat, loss=lambda out, y: bl.mean((out - y) ** 2), arrays=(X, X[:, :1]))
    assert data.column_targets(e) is None
    assert data.flat_targets(e).apply(e).data[1].shape == (120,)  # type: ignore[union-attr]


def test_the_ends_of_networks_and_their_losses() -> None:
    y = Y[:, None]
    e = experiment(nn.Dense(1, "sigmoid"), loss=lambda p, y: -bl.mean(bl.log(p)), arrays=(X, y))
    names = [m.what for m in ending.matching_loss(e)]
    assert any("binary_cross_entropy" in name for name in names)
    (clipped,) = [m for m in ending.matching_loss(e) if "clip(p" in m.what]
    assert Runner(clipped.apply(e))(5).finite
    e = experiment(nn.Dense(8, "tanh"), nn.Dense(1, "softmax"), loss="mse", arrays=(X, y.astype("float32")))
    mend = ending.single_output(e)
    assert mend is not None
    assert tried(Verdict("constant output", "", "", {}, (mend,)), e, 100).after["quality"] > 0.6
    scores = experiment(nn.Dense(2), nn.ReLU())
    assert any("scores may be negative" in m.what for m in ending.matching_loss(scores))


def test_a_layer_that_fits_is_called_where_it_fits() -> None:
    class Net(nn.Layer):
        def __init__(self) -> None:
            self.one, self.two, self.out = nn.Dense(8, "tanh"), nn.Dense(8, "tanh"), nn.Dense(2)
            self.whole = True

        def forward(self, x: Any) -> Any:
            x = self.one(x)
            return self.out(self.two(x) if self.whole else x)

    model = Net().build(X[:1])
    whole = model(X).numpy()
    model.whole = False
    e = Experiment(model, "auto", optim.adam(), (X, Y))
    (mend, told) = mends_for("unused parameter", "two", {}, e)
    np.testing.assert_allclose(mend.apply(e).model(X).numpy(), whole, rtol=1e-6)
    assert "leave it out" in told.what


def test_over_fitting_is_told_by_the_validation_loss() -> None:
    noisy = np.where(RNG.uniform(size=120) < 0.3, 1 - Y, Y)
    e = experiment(nn.Dense(64, "relu"), nn.Dense(2), arrays=(X[:30], noisy[:30]), validation=(X[30:], Y[30:]))
    found = tried_with("over-fitting", e, n=200)
    assert "the validation loss goes to" in found.sentence
    assert found.after["validation loss"] < found.before["validation loss"]


def test_samples_far_behind_that_break_a_training_are_traced() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    x[390] = np.inf
    found = bl.diagnose(nn.Sequential(nn.Dense(8, "tanh"), nn.Dense(2)).build((4,)), "auto", (x, y), steps=30)
    assert found.verdicts[0].fault == "numerical problem"
    assert found.verdicts[0].step > 0
    assert "not finite itself" in found.verdicts[0].evidence
    assert found.outcomes[0] is not None
    assert found.outcomes[0].helped
