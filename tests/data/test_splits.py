"""Dividing samples: nothing lost, classes in proportion, groups together, the same parts for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from backlit import data
from backlit.base.errors import ArgumentError
from backlit.data.splits import divide


def test_classes_keep_their_proportions_and_nothing_is_lost():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    parts = data.split(y, [0.6, 0.2, 0.2], seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(160))
    assert [np.bincount(y[p]).tolist() for p in parts] == [[60, 30, 6], [20, 10, 2], [20, 10, 2]]
    assert [p.tolist() for p in parts] == [p.tolist() for p in data.split(y, [0.6, 0.2, 0.2], seed=3)]
    assert parts[0].tolist() != data.split(y, [0.6, 0.2, 0.2], seed=4)[0].tolist()


def test_a_number_of_samples_is_divided_without_classes():
    parts = data.split(11, [0.5, 0.5])
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


@pytest.mark.parametrize(
    ("y", "fractions", "options", "message"),
    [
        (10, [0.5, 0.4], {}, "add up to 1"),
        (10, [1.5, -0.5], {}, "must be positive"),
        (10, [], {}, "must be positive"),
        (np.ones(4), [0.5, 0.5], {}, r"float64 \(4,\).*split\(len\(y\), fractions\)"),
        (np.ones((4, 2), int), [0.5, 0.5], {}, "one class for each sample"),
        (4, [0.5, 0.5], {"groups": [1, 2]}, "one group for each of 4 samples"),
    ],
)
def test_what_a_split_refuses(y, fractions, options, message):
    with pytest.raises(ArgumentError, match=message):
        data.split(y, fractions, **options)


def test_too_few_samples_for_three_parts():
    with pytest.raises(ArgumentError, match="tiny: 2 samples are too few"):
        divide("tiny", data.Part(np.zeros(2), np.zeros(2)), (), "here", "regression")
