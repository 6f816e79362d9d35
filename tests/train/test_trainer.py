"""The trainer: the same bits however it is interrupted, figures that are what they say, and clear errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, train
from backlit.base.errors import ArgumentError, DataError, DtypeError, ShapeError
from backlit.data import Loader
from backlit.nn import losses

RNG = np.random.default_rng(0)
X = RNG.normal(size=(230, 5)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def network():
    return nn.Sequential(nn.Dense(12, "tanh"), nn.Dropout(0.2), nn.BatchNorm(), nn.Dense(2))


def bits(model):
    return {path: v.numpy().tobytes() for path, v in model.values().items()}


def test_figures_are_those_of_the_model():
    model = network()
    history = model.fit(X, Y, epochs=3, validation=(X[:70], Y[:70]), batch_size=32, verbose=False)
    row = history[-1]
    loss, accuracy = row["validation_loss"], row["validation_accuracy"]
    scores = model(X[:70]).numpy()
    assert loss == pytest.approx(losses.cross_entropy(bl.tensor(scores), Y[:70]).item(), rel=1e-6)
    assert accuracy == pytest.approx(np.mean(scores.argmax(1) == Y[:70]))
    np.testing.assert_allclose(model.predict(X[:70], batch_size=32), scores, rtol=1e-5, atol=1e-6)
    assert model.evaluate(X[:70], Y[:70]) == {"loss": pytest.approx(loss), "accuracy": pytest.approx(accuracy)}
    assert [r["epoch"] for r in history] == [1, 2, 3]
    assert row["step"] == 3 * 8


def test_the_first_step_is_that_of_eager_differentiation():
    model = nn.Sequential(nn.Dense(12, "tanh"), nn.Dense(2)).build((5,), key=4)
    params = model.parameters()
    loss, g = bl.value_and_grad(lambda p: losses.cross_entropy(model.apply(p, X)[0], Y))(params)
    history = model.fit(X, Y, epochs=1, batch_size=230, shuffle=False, optimizer=optim.sgd(0.1), verbose=False)
    assert history[0]["loss"] == pytest.approx(loss.item(), rel=1e-6)
    for path, p in model.parameters().items():
        np.testing.assert_allclose(p.numpy(), params[path].numpy() - 0.1 * g[path].numpy(), rtol=1e-5, atol=1e-6)


def test_runs_repeat_to_the_bit_and_seeds_differ():
    models = [network() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        model.fit(X, Y, epochs=2, seed=seed, verbose=False)
    assert bits(models[0]) == bits(models[1]) != bits(models[2])


class StopAt(train.Callback):
    def __init__(self, step):
        self.every, self.step = 1, step

    def steps(self, trainer):
        if trainer.running_state.step.item() == self.step:
            trainer.stop("enough")


@pytest.mark.parametrize("step", [1, 7, 8, 13])
def test_going_on_comes_to_the_same_bits_and_the_same_history(tmp_path, step):
    def run(folder, stop=None, resume=False):
        model, every = network(), [train.Checkpoints(folder), StopAt(stop), train.LossLog()]
        trainer = train.Trainer(model, optim.adam(0.01), callbacks=every, seed=2)
        if resume:
            trainer.resume(*train.latest(folder))
        trainer.fit(Loader((X, Y), 32, key=2), 3, Loader((X, Y), 100, shuffle=False))
        return model, [(r["loss"], r["accuracy"], r["validation_loss"]) for r in trainer.history], every[2].losses

    whole = run(tmp_path / "whole")
    run(tmp_path / "broken", stop=step)
    model, history, log = run(tmp_path / "broken", resume=True)
    assert bits(model) == bits(whole[0])
    assert (history, log) == whole[1:]
    assert len(log) == 3 * Loader((X, Y), 32).steps


@pytest.mark.parametrize("step", [8, 20, 30])
def test_early_stopping_before_or_after_checkpoints_goes_on_to_the_same_bits(tmp_path, step):
    def run(folder, stop=None, resume=False, turned=False):
        model = network()
        every = [train.EarlyStopping(patience=4, min_delta=10.0), train.LossLog(), train.Checkpoints(folder)]
        every = [*(every[::-1] if turned else every), *([StopAt(stop)] if stop else [])]
        trainer = train.Trainer(model, optim.adam(0.03), callbacks=every, seed=2)
        if resume:
            trainer.resume(*train.latest(folder))
        history = trainer.fit(Loader((X, Y), 32, key=2), 12, Loader((X, Y), 100, shuffle=False))
        log = next(c for c in every if isinstance(c, train.LossLog)).losses
        return bits(model), history["loss"], log, history.stopped

    whole = run(tmp_path / "whole")
    assert "has not improved" in whole[-1]
    for turned in (False, True):
        folder = tmp_path / f"broken-{turned}"
        run(folder, step, turned=turned)
        assert run(folder, resume=True, turned=turned) == whole


def test_callbacks_that_keep_nothing_may_differ_others_may_not(tmp_path, capsys):
    network().fit(X, Y, epochs=1, checkpoints=tmp_path)
    network().fit(X, Y, epochs=2, checkpoints=tmp_path, resume=True, verbose=False, callbacks=[StopAt(99)])
    with pytest.raises(ArgumentError, match="written with the callbacks"):
        network().fit(X, Y, epochs=3, checkpoints=tmp_path, resume=True, verbose=False, callbacks=[train.LossLog()])


def test_killed_at_random_instants_a_run_comes_to_the_same_bits():
    kills = Path(__file__).parent / "kills.py"
    done = subprocess.run([sys.executable, str(kills), "4"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'kills': 4" in done.stdout


def test_control_c_ends_after_a_step_and_what_was_reached_is_kept(tmp_path, capsys):
    class Press(train.Callback):
        every = 3

        def steps(self, trainer):
            os.kill(os.getpid(), signal.SIGINT)

    model = network()
    history = model.fit(X, Y, epochs=5, callbacks=[Press()], checkpoints=tmp_path, seed=5)
    assert "stopped by Ctrl-C after step" in history.stopped
    assert "Stopped by Ctrl-C" in capsys.readouterr().out
    again = network()
    again.fit(X, Y, epochs=5, callbacks=[train.Callback()], seed=5, verbose=False)
    resumed = network()
    trainer = train.Trainer(resumed, optim.adam(), callbacks=[train.Checkpoints(tmp_path)], seed=5)
    trainer.resume(*train.latest(tmp_path)).fit(Loader((X, Y), 32, key=5), 5)
    assert bits(resumed) == bits(again)


def test_data_on_disk_or_transformed_train_as_those_in_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", X)
    monkeypatch.setattr("backlit.train.blocks.BLOCK", 3 * 32 * (X[0].nbytes + 8))  # three batches in a block
    models = [network() for _ in range(3)]
    options = {"epochs": 2, "verbose": False}
    models[0].fit(Loader((X, Y), 32), **options)
    models[1].fit(Loader((np.load(tmp_path / "x.npy", mmap_mode="r"), Y), 32), **options)
    models[2].fit(Loader((2 * X, Y), 32, transform=lambda x: x / 2), **options)
    assert bits(models[0]) == bits(models[1]) == bits(models[2])


def test_early_stopping_takes_the_best_parameters_back():
    seen = []

    class Keep(train.Callback):
        def epoch(self, trainer, row):
            seen.append({k: np.array(v.numpy()) for k, v in trainer.values().items()})

    model = network()
    rule = train.EarlyStopping(patience=2)
    history = model.fit(
        X[:40], Y[:40], epochs=200, validation=(X[40:], Y[40:]), lr=0.05, callbacks=[rule, Keep()], verbose=False
    )
    losses_ = history["validation_loss"]
    best = int(np.argmin(losses_))
    assert len(history) == best + 3 < 200
    assert history.stopped.startswith("validation_loss has not improved for 2 epochs")
    assert all(np.array_equal(v.numpy(), seen[best][path]) for path, v in model.values().items())


def test_the_rate_falls_on_a_plateau_without_a_new_trace():
    rule = train.ReduceOnPlateau("loss", patience=0, threshold=10.0, factor=0.5)
    model = network()
    history = model.fit(X, Y, epochs=4, optimizer=optim.rate_scaled(optim.sgd(0.1)), callbacks=[rule], verbose=False)
    np.testing.assert_allclose(history["lr"], [0.1, 0.1, 0.05, 0.025])


def test_a_second_fit_takes_the_plans_of_the_first():
    trainer = train.Trainer(network(), seed=1)
    for epochs in (1, 2, 3):
        trainer.fit(Loader((X, Y), 32, key=1), epochs)
    assert trainer._loop.traces == 2  # for whole batches, and for the smaller one
    whole = train.Trainer(network(), seed=1)
    whole.fit(Loader((X, Y), 32, key=1), 3)
    assert bits(trainer.model) == bits(whole.model)
    trainer.fit(Loader((X.astype(np.float16), Y), 32, key=1), 4)  # other data, other plans


def test_weights_count_samples():
    twice = np.concatenate([X, X[:50]]), np.concatenate([Y, Y[:50]])
    models = [nn.Sequential(nn.Dense(4, "tanh"), nn.Dense(2)).build((5,)) for _ in range(2)]
    options = {"optimizer": optim.sgd(0.5), "epochs": 20, "batch_size": 1000, "verbose": False}
    models[0].fit(*twice, **options)
    models[1].fit(X, Y, weights=np.r_[np.full(50, 2.0), np.ones(180)], **options)
    for a, b in zip(models[0].values().values(), models[1].values().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_several_inputs_and_regression():
    class Sum(nn.Layer):
        def __init__(self):
            self.left, self.right = nn.Dense(1), nn.Dense(1, use_bias=False)

        def forward(self, a, b):
            return self.left(a) + self.right(b)

    target = X[:, :1] - 2 * X[:, 3:4] + 1
    model = Sum()
    history = model.fit((X[:, :2], X[:, 2:]), target, epochs=60, lr=0.05, metrics=["r2"], verbose=False)
    assert history[-1]["r2"] > 0.999
    assert model.predict((X[:, :2], X[:, 2:])).shape == (230, 1)


def test_the_time_of_a_training_is_accounted_for():
    class Slow(train.Callback):
        def epoch(self, trainer, row):
            time.sleep(0.05)

    timing = train.Timing()
    start = time.perf_counter()
    network().fit(X, Y, epochs=3, validation=(X, Y), callbacks=[Slow(), timing], verbose=False)
    assert 0.15 <= timing.seconds["rest"] < sum(timing.seconds.values()) <= time.perf_counter() - start
    assert min(timing.seconds.values()) > 0
    assert repr(timing).startswith("Timing(steps ")


def test_logs(tmp_path):
    every = [
        train.CSVLog(tmp_path / "log.csv"),
        train.JSONLog(tmp_path / "log.jsonl"),
        train.TensorBoard(tmp_path / "tb"),
    ]
    history = network().fit(X, Y, epochs=2, callbacks=every, verbose=False)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,step,loss,accuracy,lr,seconds")
    assert float(lines[2].split(",")[2]) == pytest.approx(history[1]["loss"])
    assert [json.loads(line)["epoch"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]
    assert next((tmp_path / "tb").glob("events*")).stat().st_size > 100


def test_a_run_folder_tells_all(tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "run"
    model = network()
    model.fit(X, Y, epochs=2, validation=0.2, run=folder, verbose=False)
    assert {p.name for p in folder.iterdir()} == {
        "config.json", "log.csv", "watch.json", "checkpoints", "params.safetensors", "curves.png",
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config["parameters"]["0.weight"] == [5, 12]
    assert config["loss"] == "cross_entropy"
    more = network()
    history = more.fit(X, Y, epochs=4, validation=0.2, run=folder, resume=True, verbose=False)
    whole = network()
    whole.fit(X, Y, epochs=4, validation=0.2, verbose=False)
    assert bits(more) == bits(whole)
    assert [int(row["epoch"]) for row in train.RunFolder(folder).history()] == [r["epoch"] for r in history]


def test_files_of_models(tmp_path):
    model = network().build((5,), key=3)
    model.save(tmp_path / "m.safetensors")
    other = network().build((5,)).load(tmp_path / "m.safetensors")
    assert bits(other) == bits(model)
    with pytest.raises(DataError, match=r"of another model: with 2\.mean, 2\.scale"):
        nn.Sequential(nn.Dense(3)).build((5,)).load(tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        (tmp_path / "half.safetensors").write_bytes(whole[:length])
        with pytest.raises(DataError, match="not a whole safetensors file"):
            train.load_arrays(tmp_path / "half.safetensors")


def test_a_loss_that_explodes_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Dense(1)).build((5,))
    before = bits(model)
    with pytest.raises(train.DivergedError, match=r"epoch \d+, step \d+: the loss is (inf|nan)"):
        model.fit(X, X[:, :1], epochs=300, optimizer=optim.sgd(1e6), verbose=False)
    assert bits(model) == before


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: m.fit(X), ArgumentError, "targets are missing"),
        (lambda m: m.fit(X, Y, epochs=-1), ArgumentError, "epochs must be 0 or more, got -1"),
        (lambda m: m.fit(X, Y[:5]), ShapeError, "whose first axis"),
        (lambda m: m.fit(X, X, verbose=False), ArgumentError, "no loss suits outputs of shape"),
        (lambda m: m.fit(X, Y, loss="cross_entrpy"), ArgumentError, "Did you mean 'cross_entropy'"),
        (lambda m: m.fit(X, Y, optimizer="adma"), ArgumentError, "Did you mean 'adam'"),
        (lambda m: m.fit(X, Y, metrics=["acuracy"]), ArgumentError, "Did you mean 'accuracy'"),
        (lambda m: m.fit(X, Y, validation=1.5), ArgumentError, "a share must lie between 0 and 1"),
        (lambda m: m.fit(X, Y, validation="all"), ArgumentError, "expected .x, y., a Part"),
        (lambda m: m.fit(X, Y, resume=True), ArgumentError, "name their folder, checkpoints= or run="),
        (lambda m: m.fit(X, Y, loss=lambda out, y: out[:, 0]), ArgumentError, "must return one number"),
        (lambda m: m.fit(X, Y, callbacks=[train.EarlyStopping()]), ArgumentError, "Give validation data"),
        (lambda m: m.fit(X, Y, optimizer=optim.adam(), lr=0.1), ArgumentError, "lr is for an optimizer given by name"),
        (lambda m: m.fit(X[:, :3], Y), ShapeError, "do not fit"),
        (lambda m: m.fit(X, np.where(X[:, 0] > 2, -1, Y)), ArgumentError, "is -1; expected a class from 0 to 1"),
        (lambda m: m.fit(X, Y, validation=(X, Y + 7)), ArgumentError, "validation: the target of sample 0 is [78]"),
        (lambda m: m.evaluate(X, np.where(X[:, 0] > 1, 2, Y)), ArgumentError, "evaluate: the target of sample"),
        (lambda m: m.fit(X, np.where(X[:, :2] > 1, np.nan, 0)), ArgumentError, "is nan; expected a finite number"),
        (lambda m: m.fit(X, Y[:, None]), ArgumentError, r"no last axis: y\[..., 0\]"),
        (lambda m: m.fit(X, Y * 1.0), ArgumentError, r"integers: y.astype\(int\)"),
        (lambda m: m.fit(X, np.array(["cat", "dog"])[Y]), DtypeError, "words that name classes become numbers"),
        (lambda m: m.fit([X, X[:, :2]], Y), ShapeError, "are a tuple of arrays"),
        (lambda m: m.fit(X, Y, validation=(X[:0], Y[:0])), ArgumentError, "validation: there is no sample"),
        (lambda m: m.fit(X, Y, validation=1e-4), ArgumentError, "leaves one part empty"),
        (lambda m: m.fit(X, Y, optimizer=optim.adam), ArgumentError, "made by a call"),
        (lambda m: m.fit(X, Y, optimizer=optim.lbfgs()), ArgumentError, "see backlit.minimize"),
        (lambda m: m.fit(X, Y, callbacks=[train.LossLog]), ArgumentError, "expected objects of classes made from"),
        (lambda m: m.fit(np.where(X > 2, np.nan, X), Y), train.DivergedError, "inputs itself is the first that is not"),
    ],
)  # fmt: skip
def test_errors_teach(call, error, text):
    with pytest.raises(error, match=text):
        call(network().build((5,)))


@pytest.mark.parametrize("y", [X[:, 0], Y, Y > 0], ids=["numbers", "classes", "yes and no"])
def test_flat_targets_beside_one_output_are_a_column(y):
    rows = []
    for targets in (y, y[:, None]):
        model = nn.Sequential(nn.Dense(4, "tanh"), nn.Dense(1))
        history = model.fit(X, targets, epochs=2, validation=(X, targets), metrics=["mse"], verbose=False)
        rows.append([row[k] for row in history for k in ("loss", "mse", "validation_loss")])
        rows[-1].append(model.evaluate(X, targets)["loss"])
    assert rows[0] == rows[1]
    with pytest.raises(ArgumentError, match=r"give the targets as a column, y\[..., None\]"):
        model.fit(X, y, loss=lambda out, y: bl.mean((out - y) ** 2), verbose=False)


def test_true_and_false_are_classes():
    said, numbered = (network().fit(X, y, epochs=1, verbose=False)[0] for y in (Y == 1, Y))
    assert said["loss"] == numbered["loss"]


def test_validation_needs_no_weights():
    history = network().fit(X, Y, weights=X[:, 0] ** 2, validation=(X, Y), callbacks=train.LossLog(), verbose=False)
    assert np.isfinite(history[-1]["validation_loss"])


def test_callbacks_forget_an_earlier_training():
    callbacks = [
        train.EarlyStopping("loss", patience=2, min_delta=10), train.LossLog(),
        train.ReduceOnPlateau("loss", patience=0, threshold=10.0, threshold_mode="abs"),
    ]  # fmt: skip
    rows = []
    for _ in range(2):
        model = network()
        make = optim.rate_scaled(optim.adam())
        history = model.fit(X, Y, epochs=9, optimizer=make, callbacks=callbacks, seed=len(rows), verbose=False)
        rows.append((len(history), len(callbacks[1].losses), history["lr"], bits(model)))
    assert rows[0][:3] == rows[1][:3]
    assert rows[0][3] != rows[1][3]


def test_a_new_training_does_not_mix_its_checkpoints_with_old_ones(tmp_path):
    network().fit(X, Y, epochs=2, checkpoints=tmp_path, verbose=False)
    with pytest.raises(ArgumentError, match=r"checkpoints of another training here, up to step-0000000016"):
        network().fit(X, Y, epochs=1, checkpoints=tmp_path, verbose=False)
    assert len(network().fit(X, Y, epochs=3, checkpoints=tmp_path, resume=True, verbose=False)) == 3


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    network().fit(X, Y, epochs=1, checkpoints=tmp_path, verbose=False)
    with pytest.raises(ArgumentError, match="with batch size 32, this one has 16"):
        network().fit(X, Y, epochs=2, batch_size=16, checkpoints=tmp_path, resume=True, verbose=False)
    with pytest.raises(ArgumentError, match=r"holds nothing at state.params.1.weight|another model or optimizer"):
        nn.Sequential(nn.Dense(3), nn.Dense(2)).fit(X, Y, epochs=2, checkpoints=tmp_path, resume=True, verbose=False)
    with pytest.raises(ArgumentError, match=r"holds state.optimizer.slots.*, which is not here"):
        network().fit(X, Y, epochs=2, checkpoints=tmp_path, resume=True, verbose=False, optimizer="sgd", lr=0.1)
    with pytest.raises(DataError, match="there is no checkpoint"):
        train.latest(tmp_path / "nothing")
