"""Watching a training: it changes nothing, stays within its share, and what it wrote can be read."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim, train
from backlit.base.errors import DataError
from backlit.explain import watch as watching
from backlit.explain.record import NAME, histogram, record_of

AFFORDS = watching.Watch._affords
X = np.random.default_rng(0).normal(size=(640, 8)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


@pytest.fixture(autouse=True)
def _looks_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a training is looked at goes by the clock, which no test does."""
    monkeypatch.setattr(watching.Watch, "_affords", lambda self, cost: True)


def network() -> nn.Layer:
    return nn.Sequential(nn.Dense(16, "relu"), nn.Dropout(0.2), nn.BatchNorm(), nn.Dense(2))


def fitted(*callbacks: Any, model: Any = None, **options: Any) -> tuple[nn.Layer, train.History]:
    model = model or network()
    history = model.fit(X, Y, callbacks=callbacks, verbose=False, **{"epochs": 3, **options})
    return model, history


def test_it_changes_nothing_eagerly_or_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, losses = fitted()
    for seconds in (watching.COMPILING, 0.0):
        monkeypatch.setattr(watching, "COMPILING", seconds)
        seen = bl.watch()
        model, history = fitted(seen)
        assert history["loss"] == losses["loss"]
        for path, p in plain.parameters().items():
            np.testing.assert_array_equal(p.numpy(), model.parameters()[path].numpy())
        assert (seen._native is not None) == (seconds == 0)
        assert seen.record is not None
        assert len(seen.record.looks) > 1
        assert seen.record.looks[-1].snapshot.parameters["0.weight"].change > 0


def test_what_it_wrote_can_be_read(tmp_path: Path) -> None:
    seen = bl.watch(tmp_path)
    fitted(seen, validation=(X[:64], Y[:64]), epochs=11)
    found = record_of(tmp_path)
    assert found is not None
    assert seen.record is not None
    assert found.verdicts == seen.verdicts
    assert [look.snapshot.step for look in found.looks] == [look.snapshot.step for look in seen.record.looks]
    assert found.looks[-1].weights == seen.record.looks[-1].weights
    assert found.findings.baseline == seen.record.findings.baseline
    assert found.findings.validation == seen.record.findings.validation
    assert found.findings.trial is not None
    assert found.findings.trial.end == seen.record.findings.trial.end  # type: ignore[union-attr]
    for text in ("", "{}", json.dumps({"form": 99}), '{"form": 1, "looks": [], "facts": {}}'):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(DataError, match=NAME):
            record_of(tmp_path)
    assert record_of(tmp_path / "nowhere") is None


def test_a_training_that_goes_on_keeps_its_looks(tmp_path: Path) -> None:
    options = {"checkpoints": tmp_path / "c", "optimizer": optim.adam(1e-2)}
    fitted(bl.watch(tmp_path), epochs=2, **options)
    before = record_of(tmp_path)
    fitted(bl.watch(tmp_path), epochs=4, resume=True, **options)
    after = record_of(tmp_path)
    assert before is not None
    assert after is not None
    assert after.looks[0].weights == before.looks[0].weights
    assert after.looks[-1].snapshot.step == 80


def test_what_is_wrong_is_told_at_the_end_where_progress_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Dense(16, "relu"), nn.Dense(2)).build((8,), key=0)
    model.load_values({"0.bias": np.full(16, -100.0, np.float32)})
    seen = bl.watch(tmp_path)
    fitted(seen, model=model)
    assert [(v.fault, v.layer) for v in seen.verdicts if not v.because] == [("dead units", "0")]
    assert not capsys.readouterr().out
    told = bl.watch(tmp_path)
    model.fit(X, Y, callbacks=[told], epochs=2)
    assert f"\nWatched: dead units in 0. See backlit doctor {tmp_path}\n" in capsys.readouterr().out


def test_a_training_that_breaks_leaves_a_record(tmp_path: Path) -> None:
    with pytest.raises(train.DivergedError):
        fitted(bl.watch(tmp_path), model=nn.Sequential(nn.Dense(4), nn.Dense(2)), optimizer=optim.sgd(1e30))
    assert record_of(tmp_path) is not None


def test_of_many_looks_every_second_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "KEPT", 4)
    seen = bl.watch()
    fitted(seen, epochs=12)
    assert seen.record is not None
    steps = [look.snapshot.step for look in seen.record.looks]
    assert len(steps) <= 4
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 240)


def test_it_keeps_to_its_share() -> None:
    seen = watching.Watch(share=0.01)
    seen._begun, seen.spent = watching.perf_counter() - 10.0, 0.05
    affords = AFFORDS.__get__(seen)
    assert affords(0.04)
    assert not affords(0.06)


def test_histograms() -> None:
    found = histogram(np.arange(100_000))
    assert sum(found.counts) <= 4096
    assert (found.low, found.high) == (0, pytest.approx(99_999, rel=1e-3))
    assert histogram(np.full(7, 3.0)).counts == (*[0] * 12, 7, *[0] * 11)
    assert sum(histogram(np.array([1.0, np.nextafter(1.0, 2.0), 1.0])).counts) == 3
    assert isnan(histogram(np.array([np.nan])).low)


def test_samples_may_have_weights_and_the_folder_need_not_be_there(tmp_path: Path) -> None:
    seen = bl.watch(tmp_path / "runs" / "new")
    assert repr(seen) == "Watch(0 looks: nothing that is looked for)"
    network().fit(X, Y, weights=np.ones(len(X)), epochs=1, callbacks=seen, verbose=False)
    assert record_of(tmp_path / "runs" / "new") is not None
    assert repr(seen).startswith("Watch(")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.0}, "share"),
        ({"samples": 1}, "samples"),
        ({"folder": nn.Dense(1)}, "the path of a folder, .*Dense"),
    ],
)
def test_bad_options(options: Any, message: str) -> None:
    with pytest.raises(bl.ArgumentError, match=message):
        bl.watch(**options)
