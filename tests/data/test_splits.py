"""Dividing samples: nothing lost, classes in proportion, groups together, the same parts for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from backlit import data
from backlit.base.errors import ArgumentError, ShapeError


def test_classes_keep_their_proportions_and_nothing_is_lost():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    parts = data.split(y, [0.6, 0.2, 0.2], seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(160))
    assert [np.bincount(y[p]).tolist() for p in parts] == [[60, 30, 6], [20, 10, 2], [20, 10, 2]]
    assert [p.tolist() for p in parts] == [p.tolist() for p in data.split(y, [0.6, 0.2, 0.2], seed=3)]
    assert parts[0].tolist() != data.split(y, [0.6, 0.2, 0.2], seed=4)[0].tolist()


def test_measured_values_are_divided_without_classes():
    parts = data.split(np.linspace(0, 1, 11), [0.5, 0.5])
    assert [len(p) for p in parts] in ([6, 5], [5, 6])
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(11))


def test_groups_stay_together_and_classes_nearly_in_proportion():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 1000)
    y = (rng.random(1000) < 0.3).astype(int)
    parts = data.split(y, [0.7, 0.1, 0.2], seed=1, groups=groups)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1000))
    kept = [set(groups[p]) for p in parts]
    assert not kept[0] & kept[1] | kept[0] & kept[2] | kept[1] & kept[2]
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert abs(len(part) - 1000 * share) < 20
        assert abs(y[part].mean() - y.mean()) < 0.05


@pytest.mark.parametrize("fractions", [[0.5, 0.4], [1.5, -0.5]])
def test_fractions_that_are_refused(fractions):
    with pytest.raises(ArgumentError, match="positive and add up to 1"):
        data.split(np.arange(10), fractions)


def test_groups_of_another_length():
    with pytest.raises(ShapeError, match=r"groups must have shape \(4,\), one for each sample, got \(2,\)"):
        data.split(np.zeros(4), [0.5, 0.5], groups=[1, 2])


def test_divided_knows_the_task_by_the_classes():
    x = np.zeros((40, 3))
    found = data.divided("mine", x, np.arange(40) % 2, ("no", "yes"), "here", fractions=(0.5, 0.25, 0.25))
    assert (found.task, [len(p) for p in (found.train, found.validation, found.test)]) == (
        "classification",
        [20, 10, 10],
    )
    assert data.divided("mine", x, np.arange(40.0), (), "here").task == "regression"
