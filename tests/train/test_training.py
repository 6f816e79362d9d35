"""The training loop, its files, and what it learns."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

pytest.importorskip("sklearn")

import backlit.data as data
from backlit.base.errors import DataError
from backlit.base.trees import leaves, leaves_with_paths
from backlit.optim import adam, sgd
from backlit.train import MODELS, DivergedError, Stop, Training, confusion, load_params, save_params, write_whole


def training(seed=0, model="mlp", optimizer=None, **options):
    return Training(MODELS[model], data.load("digits"), optimizer or adam(1e-3), seed=seed, **options)


def ignore(progress):
    pass


def test_the_perceptron_reads_digits_and_repeats_itself_to_the_bit():
    logs = []
    for _ in range(2):
        run = training(optimizer=adam(3e-3))
        logs.append([(e.loss, e.validation_loss) for e in run.epochs(12, Stop(), ignore)])
    assert logs[0] == logs[1]
    assert run.evaluate(run.data.test)[1] >= 0.97


def test_seeds_differ():
    first, second = training(seed=0), training(seed=1)
    assert not np.array_equal(leaves(first.params)[0].numpy(), leaves(second.params)[0].numpy())


def test_the_convolutional_network_learns():
    run = training(model="cnn", optimizer=adam(3e-3))
    epochs = list(run.epochs(4, Stop(), ignore))
    assert epochs[-1].validation_accuracy > 0.9


def test_progress_counts_samples():
    run, seen = training(batch_size=100), []
    (epoch,) = run.epochs(1, Stop(), seen.append)
    assert [p.done for p in seen] == [*range(100, 1201, 100), 1258]
    assert epoch.steps == len(seen)
    assert (seen[-1].loss, seen[-1].accuracy) == (epoch.loss, epoch.accuracy)


def test_a_wish_to_stop_ends_the_epoch_after_the_step():
    run, stop = training(), Stop()

    def watch(progress):
        stop.wanted = progress.done >= 192

    epochs = list(run.epochs(5, stop, watch))
    assert [e.steps for e in epochs] == [3]


def test_the_first_interrupt_is_a_wish_and_the_second_one_interrupts():
    stop, before = Stop(), signal.getsignal(signal.SIGINT)
    with stop.on_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wanted
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_loss_that_explodes_says_so():
    run = training(optimizer=sgd(1e30))
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match="try a smaller --lr"):
        list(run.epochs(2, Stop(), ignore))


def test_parameters_survive_the_file(tmp_path):
    run, path = training(), tmp_path / "params.npz"
    save_params(path, run.params)
    again = load_params(path, run.params)
    for (name, a), b in zip(leaves_with_paths(run.params), leaves(again), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    assert set(np.load(path).files) == {"hidden.weight", "hidden.bias", "out.weight", "out.bias"}
    with pytest.raises(DataError, match="expected the parameters"):
        load_params(path, {"w": run.params["out"]["bias"]})
    wrong = {**run.params, "out": run.params["hidden"]}
    with pytest.raises(DataError, match=r"out.weight: expected shape \(64, 128\), found \(128, 10\)"):
        load_params(path, wrong)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_whole(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, "new and longer")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_confusion_counts_rows_by_what_it_was():
    assert confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist() == [[1, 1], [0, 1]]
