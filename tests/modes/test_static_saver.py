"""Saving and restoring variables."""

from __future__ import annotations

import os

import numpy as np
import pytest

import backlit as bl
from backlit import static


@pytest.fixture(autouse=True)
def graph():
    with static.Graph() as g:
        yield g


def make(shape=(2, 3), dtype="float32"):
    with static.name_scope("layer"):
        w = static.Variable(np.arange(np.prod(shape)).reshape(shape), dtype, name="w")
    return w, static.Variable(1.5, name="file"), static.Variable(7, name="step", trainable=False)


def test_round_trip(tmp_path):
    variables = make()
    change = static.group(variables[0].assign_add(np.ones((2, 3))), variables[2].assign_add(1))
    saver = static.Saver()
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        session.run(change)
        path = saver.save(session, tmp_path / "model.npz")
        at_step = saver.save(session, tmp_path / "model", global_step=variables[2])
    assert at_step.endswith("model-8")
    assert sorted(os.listdir(tmp_path)) == ["model-8", "model.npz"]
    for saved in (path, at_step):
        with static.Session() as session:
            saver.restore(session, saved)
            w, scalar, step = session.run(list(variables))
        np.testing.assert_array_equal(w, np.arange(6, dtype="f").reshape(2, 3) + 1)
        assert (scalar, step) == (1.5, 8)
    with np.load(path, allow_pickle=False) as stored:
        assert set(stored) == {"layer/w", "file", "step"}


def test_chosen_variables_under_other_names(tmp_path):
    w, _, step = make()
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        static.Saver({"weights": w}).save(session, tmp_path / "w")
    with static.Session() as session:
        static.Saver({"weights": w}).restore(session, tmp_path / "w")
        session.run(w)
        with pytest.raises(bl.GraphError, match="has no value in this session"):
            session.run(step)
    assert static.Saver([step]) is not None


def test_what_cannot_be_restored_changes_nothing(tmp_path):
    make()
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        static.Saver().save(session, tmp_path / "good")
    for shape, dtype, error, text in (
        ((3, 3), "float32", bl.ShapeError, r"'layer/w'.*shape \(3, 3\).*\(2, 3\)"),
        ((2, 3), "float64", bl.DtypeError, "float64.*float32"),
    ):
        with static.Graph(), static.Session() as session:
            make(shape, dtype)
            saver = static.Saver()
            session.run(static.global_variables_initializer())
            before = session.run(static.global_variables())
            with pytest.raises(error, match=text):
                saver.restore(session, tmp_path / "good")
            for a, b in zip(before, session.run(static.global_variables()), strict=True):
                np.testing.assert_array_equal(a, b)
    extra = static.Variable(0.0, name="extra")
    (tmp_path / "bad").write_bytes(b"not a file of values")
    with static.Session() as session:
        with pytest.raises(bl.GraphError, match="no value named 'extra'; it holds layer/w, file, step"):
            static.Saver([extra]).restore(session, tmp_path / "good")
        with pytest.raises(bl.ArgumentError, match="no file written by Saver"):
            static.Saver([extra]).restore(session, tmp_path / "bad")
        with pytest.raises(FileNotFoundError):
            static.Saver([extra]).restore(session, tmp_path / "none")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    v = static.Variable(1.0, name="v")
    step = v.assign_add(1.0)
    saver = static.Saver()
    with static.Session() as session:
        session.run(static.global_variables_initializer())
        saver.save(session, tmp_path / "model")
        session.run(step)

        def fails(*_):
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fails)
            with pytest.raises(OSError, match="disk full"):
                saver.save(session, tmp_path / "model")
        assert os.listdir(tmp_path) == ["model"]
        saver.restore(session, tmp_path / "model")
        assert session.run(v) == 1


def test_nothing_to_save():
    with pytest.raises(bl.ArgumentError, match="no variables"):
        static.Saver()


def test_load_checks_everything_first():
    v, w = static.Variable([1.0, 2.0], name="v"), static.Variable(1.0, name="w")
    array = np.array([5, 6], "f")
    with static.Session() as session:
        v.load(array, session)
        array[...] = 0
        np.testing.assert_array_equal(session.run(v), [5, 6])
        with pytest.raises(bl.ShapeError, match="'w'"):
            session.load({v: [0, 0], w: [1.0, 2.0]})
        np.testing.assert_array_equal(session.run(v), [5, 6])
