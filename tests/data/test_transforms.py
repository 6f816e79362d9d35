"""Transforms: fitted as scikit-learn does, carried through JSON, and chance that follows from keys."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import backlit as bl
from backlit import data
from backlit.base.errors import ArgumentError, DataError
from backlit.data.keys import bits, child_keys, integers, normals, uniforms
from backlit.data.transforms import Transform

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 3, 9, 7), dtype=np.uint8)
KEYS = RNG.integers(0, 2**32, (12, 2), dtype=np.uint32)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(data.Standardize, StandardScaler), (data.Normalize, MinMaxScaler)], ids=lambda k: k.__name__
)
def test_columns_are_scaled_as_scikit_learn_does(ours, theirs):
    train, test = RNG.normal(50, 7, (200, 4)), RNG.normal(50, 7, (30, 4))
    train[:, 2] = 3  # constant: only moved
    test[:, 2] = 3
    found = ours.fit(train)(test)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, theirs().fit(train).transform(test), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [0, None, (0, 2), (0, -1)])
def test_constants_over_any_axes_with_the_samples(axis):
    x = RNG.normal(5, 3, (50, 4, 6))
    found = data.Standardize.fit(x, axis)(x)
    np.testing.assert_allclose(found.mean(axis=axis), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(axis=axis), 1, rtol=1e-5)
    found = data.Normalize.fit(x, axis)(x)
    np.testing.assert_allclose(found.min(axis=axis), 0, atol=1e-6)
    np.testing.assert_allclose(found.max(axis=axis), 1, rtol=1e-5)
    with pytest.raises(ArgumentError, match="axis must contain 0"):
        data.Standardize.fit(x, 1)


def test_fitting_reads_in_blocks(monkeypatch):
    from backlit.data import arrays

    x = RNG.normal(5, 3, (1000, 3))
    whole = data.Standardize.fit(x)
    monkeypatch.setattr(arrays, "_BLOCK", 100)
    assert len(list(arrays.blocks(x))) > 100
    np.testing.assert_allclose(data.Standardize.fit(x).scale, whole.scale, rtol=1e-6)


def test_one_hot_is_that_of_scikit_learn_and_knows_what_it_has_seen():
    for seen in (np.array([5, 2, 9, 2]), np.array(["b", "a", "b"])):
        encoder = OneHotEncoder(sparse_output=False).fit(seen[:, None])
        np.testing.assert_array_equal(data.OneHot.fit(seen)(seen), encoder.transform(seen[:, None]))
    assert data.OneHot.fit(np.arange(4))(np.zeros((2, 3), int)).shape == (2, 3, 4)
    with pytest.raises(DataError, match=r"7 did not occur in the training part, where there were \[2, 5\]"):
        data.OneHot.fit(np.array([2, 5]))(np.array([2, 7]))
    with pytest.raises(ArgumentError, match="float64"):
        data.OneHot.fit(np.array([0.5]))


ALL = [
    data.Standardize.fit(IMAGES / 7, axis=None),
    data.Normalize.fit(IMAGES),
    data.OneHot.fit(np.array(["no", "yes"])),
    data.Flatten(),
    data.Shift(2, fill=7),
    data.Flip(0.3, -2),
    data.Crop(4, 5, padding=1),
    data.Noise(0.1),
    data.Compose((data.Shift(1), data.Compose((data.Flatten(), data.Noise(2.0))))),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_transforms_go_through_json_to_the_bit(transform):
    plain = json.loads(json.dumps(transform.plain()))
    found = data.restore(plain)
    assert type(found) is type(transform)
    assert json.dumps(found.plain()) == json.dumps(transform.plain())
    if not isinstance(transform, data.OneHot):
        np.testing.assert_array_equal(found(IMAGES, KEYS), transform(IMAGES, KEYS))


@pytest.mark.parametrize(
    "plain",
    [{}, {"transform": "Nothing"}, {"transform": "Shift", "far": 2}, 5, {"transform": "Flip", "p": 2.0, "axis": 9}],
)
def test_what_describes_no_transform(plain):
    with pytest.raises(DataError, match="no transform is described by"):
        data.restore(plain)


def test_compose_fits_each_step_on_what_the_steps_before_leave():
    made = data.Compose.fit(IMAGES, data.Shift(3), data.Flatten(), data.Standardize.fit)
    flat = IMAGES.reshape(12, -1)
    np.testing.assert_array_equal(made(IMAGES), data.Standardize.fit(flat)(flat))
    assert made(IMAGES, KEYS).shape == flat.shape
    with pytest.raises(ArgumentError, match="step 1"):
        data.Compose.fit(IMAGES, data.Flatten(), len)


# --- chance ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", ALL[4:], ids=lambda t: type(t).__name__)
def test_chance_depends_on_the_key_of_the_sample_alone(transform):
    whole = transform(IMAGES, KEYS)
    rows = np.array([7, 0, 3])
    np.testing.assert_array_equal(transform(IMAGES[rows], KEYS[rows]), whole[rows])
    alone = [transform(IMAGES[r : r + 1], KEYS[r : r + 1])[0] for r in range(12)]
    np.testing.assert_array_equal(alone, whole)
    assert np.any(transform(IMAGES, KEYS[::-1]) != whole)
    assert np.array_equal(transform(IMAGES), transform(IMAGES))  # without keys there is no chance


def test_shift_moves_and_fills():
    found = data.Shift(2, fill=9)(IMAGES, KEYS)
    moves = set()
    for image, moved in zip(IMAGES, found, strict=True):
        framed = np.pad(image, [(0, 0), (2, 2), (2, 2)], constant_values=9)
        hits = [(i, j) for i in range(5) for j in range(5) if np.array_equal(framed[:, i : i + 9, j : j + 7], moved)]
        assert len(hits) == 1
        moves |= set(hits)
    assert len(moves) > 5
    assert data.Shift(2)(IMAGES) is IMAGES


@pytest.mark.parametrize("axis", [-1, -2])
def test_flip_mirrors_the_share_that_was_asked_for(axis):
    images = np.broadcast_to(IMAGES[0], (4000, 3, 9, 7))
    keys = RNG.integers(0, 2**32, (4000, 2), dtype=np.uint32)
    found = data.Flip(0.3, axis)(images, keys)
    mirrored = np.array([np.array_equal(f, np.flip(IMAGES[0], axis)) for f in found])
    assert abs(mirrored.mean() - 0.3) < 5 * np.sqrt(0.21 / 4000)
    np.testing.assert_array_equal(found[~mirrored], images[~mirrored])
    with pytest.raises(ArgumentError, match=r"axis=0"):
        data.Flip(0.5, 0)


def test_crop_takes_windows_and_in_evaluation_the_middle():
    np.testing.assert_array_equal(data.Crop(5, 3)(IMAGES), IMAGES[:, :, 2:7, 2:5])
    gray = IMAGES[:, 0]
    found = data.Crop(5, 3)(gray, KEYS)
    for image, window in zip(gray, found, strict=True):
        assert any(np.array_equal(image[i : i + 5, j : j + 3], window) for i in range(5) for j in range(5))
    with pytest.raises(ArgumentError, match="12 x 3 does not fit into images of 9 x 7"):
        data.Crop(12, 3)(IMAGES)


def test_noise_is_normal():
    found = data.Noise(0.5)(np.zeros((2000, 5), np.uint8), RNG.integers(0, 2**32, (2000, 2), dtype=np.uint32))
    assert found.dtype == np.float32
    assert kstest(found.ravel() / 0.5, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.1


def test_bits_are_those_of_each_key():
    for count in (5, 20_000):
        wanted = [bl.random.bits(bl.tensor(key), (count,)).numpy() for key in KEYS[:3]]
        np.testing.assert_array_equal(bits(KEYS[:3], count), wanted)


def test_numbers_of_keys_are_even():
    keys = RNG.integers(0, 2**32, (3000, 2), dtype=np.uint32)
    assert kstest(uniforms(keys, 3).ravel(), "uniform").pvalue > 1e-3
    assert np.all(np.isfinite(normals(keys, 3)))
    counts = np.bincount(integers(keys, 4, 5).ravel(), minlength=5) / 12_000
    assert counts.size == 5
    assert np.all(abs(counts - 0.2) < 5 * np.sqrt(0.16 / 12_000))
    assert len(np.unique(np.concatenate([child_keys(keys, n) for n in range(3)]), axis=0)) == 9000


@pytest.mark.parametrize("transform", [data.Shift(1), data.Flip(), data.Crop(1, 1)], ids=lambda t: type(t).__name__)
def test_augmentations_want_images(transform):
    with pytest.raises(ArgumentError, match=r"expected images, shape \(n, ..., height, width\), got \(4, 5\)"):
        transform(np.zeros((4, 5)))


def test_a_transform_without_a_call_does_nothing_by_itself():
    with pytest.raises(NotImplementedError):
        Transform()(IMAGES)
