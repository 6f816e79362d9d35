"""Random numbers: the published vectors of the generator, the distributions, and what keys promise."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

import backlit as bl
from backlit.base.errors import ArgumentError, DtypeError, ShapeError
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.ops.threefry import threefry2x32, words

KEY = Spec((2,), np.dtype(np.uint32))

# Random123 1.14, tests/kat_vectors: "threefry2x32 20", counter, key, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_threefry_known_answers(counter, key, expected):
    assert tuple(int(w[0]) for w in threefry2x32(key, *map(np.uint32, counter))) == expected


def test_blocks_do_not_show():
    n = 40_000
    first, second = words((1, 2), n)
    one, two = threefry2x32((1, 2), np.zeros(n, np.uint32), np.arange(n, dtype=np.uint32))
    assert (first == one).all()
    assert (second == two).all()


CONTINUOUS = [
    ("uniform", {}, scipy.stats.uniform()),
    ("uniform", {"low": -2.0, "high": 3.0}, scipy.stats.uniform(-2, 5)),
    ("normal", {}, scipy.stats.norm()),
    ("normal", {"mean": 1.0, "scale": 3.0}, scipy.stats.norm(1, 3)),
    ("truncated_normal", {"lower": -1.0, "upper": 2.0}, scipy.stats.truncnorm(-1, 2)),
    ("truncated_normal", {"lower": 2.0, "upper": 5.0}, scipy.stats.truncnorm(2, 5)),
    ("gumbel", {}, scipy.stats.gumbel_r()),
    ("exponential", {}, scipy.stats.expon()),
]


@pytest.mark.parametrize("dtype", [bl.float32, bl.float64])
@pytest.mark.parametrize(("name", "params", "law"), CONTINUOUS)
def test_continuous_distributions(name, params, law, dtype):
    sample = getattr(bl.random, name)(bl.random.key(2024), shape=(20_000,), dtype=dtype, **params)
    assert (sample.dtype, sample.shape) == (dtype, (20_000,))
    assert scipy.stats.kstest(sample.numpy(), law.cdf).pvalue > 0.01


def test_half_precision():
    u = bl.random.uniform(bl.random.key(0), (5000,), bl.float16).numpy()
    z = bl.random.normal(bl.random.key(0), (5000,), bl.float16).numpy()
    assert u.dtype == z.dtype == np.float16
    assert (u >= 0).all()
    assert (u < 1).all()
    assert np.isfinite(z).all()
    assert abs(float(z.astype(float).std()) - 1) < 0.05


def test_discrete_distributions():
    k1, k2, k3 = bl.random.split(bl.random.key(7), 3)
    n = 30_000
    p = np.array([0.1, 0.2, 0.7])
    drawn = bl.random.categorical(k1, np.log(p), shape=(n,)).numpy()
    assert scipy.stats.chisquare(np.bincount(drawn), p * n).pvalue > 0.01
    assert scipy.stats.binomtest(int(bl.random.bernoulli(k2, 0.3, (n,)).numpy().sum()), n, 0.3).pvalue > 0.01
    dice = bl.random.randint(k3, (n,), 1, 7).numpy()
    assert scipy.stats.chisquare(np.bincount(dice)[1:]).pvalue > 0.01
    orders = np.stack([bl.random.permutation(k, 4).numpy() for k in bl.random.split(k1, 2400)])
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == math.factorial(4)
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_bits_are_even_and_keys_unrelated():
    a = bl.random.bits(bl.random.key(0), (4000,)).numpy()
    b = bl.random.bits(bl.random.key(1), (4000,)).numpy()
    ones = np.unpackbits(a.view(np.uint8)).mean()
    changed = np.unpackbits((a ^ b).view(np.uint8)).mean()
    assert abs(ones - 0.5) < 0.01
    assert abs(changed - 0.5) < 0.01
    for width in (8, 16, 64):
        assert bl.random.bits(bl.random.key(0), (3,), f"uint{width}").dtype.itemsize * 8 == width


@pytest.mark.parametrize(("low", "high", "dtype"), [(0, 256, "uint8"), (-128, 128, "int8"), (-3, 9, "int32")])
def test_randint_reaches_its_ends(low, high, dtype):
    drawn = bl.random.randint(bl.random.key(5), (20_000,), low, high, dtype).numpy()
    assert (int(drawn.min()), int(drawn.max()), drawn.dtype) == (low, high - 1, np.dtype(dtype))


def test_categorical_axes():
    logits = np.where(np.eye(3, 4)[:, None, :] == 1, 50.0, 0.0)
    key = bl.random.key(0)
    assert bl.random.categorical(key, logits).numpy().tolist() == [[0], [1], [2]]
    assert bl.random.categorical(key, logits, axis=0).numpy().tolist()[0][:3] == [0, 1, 2]
    assert bl.random.categorical(key, logits, shape=(5, 3, 1)).numpy()[:, :, 0].tolist() == [[0, 1, 2]] * 5


def test_permutation_of_an_array_keeps_its_rows():
    x = np.arange(12.0).reshape(4, 3)
    rows = bl.random.permutation(bl.random.key(1), x).numpy()
    assert sorted(rows[:, 0]) == [0, 3, 6, 9]
    assert (np.diff(rows, axis=1) == 1).all()


@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_parameters_are_differentiable(name):
    key, x = bl.random.key(3), np.array([1.5, -0.5])
    sample = lambda a, b: getattr(bl.random, name)(key, (4, 2), bl.float64, a, b)
    shifted = [(sample(x + h, 2 + k).numpy() - sample(x - h, 2 - k).numpy()) / 2e-3 for h, k in [(1e-3, 0), (0, 1e-3)]]
    da, db = bl.grad(lambda a, b: sample(a, b).sum(), argnums=(0, 1))(x, np.float64(2))
    np.testing.assert_allclose(da.numpy(), shifted[0].sum(0), rtol=1e-9)
    np.testing.assert_allclose(db.numpy(), shifted[1].sum(), rtol=1e-9)


CALLS = [
    lambda k: bl.random.uniform(k, (3, 2), low=-1.0, high=4.0),
    lambda k: bl.random.normal(bl.random.fold_in(k, 9), (5,)),
    lambda k: bl.random.split(k, 3),
    lambda k: bl.random.bernoulli(k, np.array([0.2, 0.9])),
    lambda k: bl.random.categorical(k, np.zeros((2, 3))),
    lambda k: bl.random.permutation(k, 6),
    lambda k: bl.random.randint(k, (4,), 0, 9),
    lambda k: bl.random.truncated_normal(k, -2, 2, (4,)),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_graph_draws_what_eager_draws(call):
    graph = trace(call, [KEY])
    graph.verify()
    for seed in (0, 99):
        eager = call(bl.random.key(seed)).numpy()
        (drawn,) = graph(bl.random.key(seed).numpy())
        assert np.array_equal(eager, drawn)
        assert eager.dtype == drawn.dtype


def test_erfinv_against_scipy():
    x = np.concatenate([np.linspace(-0.999999, 0.999999, 2001), 1 - 10.0 ** -np.arange(1, 16), [1, -1, 0]])
    np.testing.assert_allclose(bl.erfinv(x).numpy(), scipy.special.erfinv(x), rtol=4e-15)
    single = x.astype(np.float32)
    np.testing.assert_allclose(bl.erfinv(single).numpy(), scipy.special.erfinv(single.astype(float)), rtol=1e-6)


WRONG = [
    (lambda: bl.random.uniform(3), ArgumentError, r"expected a key .* got 3\. Make one with bl.random.key"),
    (lambda: bl.random.normal(bl.random.split(bl.random.key(0))), ArgumentError, r"got uint32\(2, 2\)"),
    (lambda: bl.random.key(1.5), ArgumentError, "seed must be an integer"),
    (lambda: bl.random.uniform(bl.random.key(0), dtype=bl.int32), DtypeError, "float16, float32 or float64, got int32"),
    (lambda: bl.random.normal(bl.random.key(0), (3,), mean=np.zeros(2)), ShapeError, "broadcast"),
    (lambda: bl.random.normal(bl.random.key(0), (1,), mean=np.zeros(2)), ShapeError, "leave shape out"),
    (lambda: bl.random.randint(bl.random.key(0), (3,), 5, 5), ArgumentError, "low < high"),
    (lambda: bl.random.randint(bl.random.key(0), (3,), 0, 300, "uint8"), ArgumentError, "within uint8"),
    (lambda: bl.random.truncated_normal(bl.random.key(0), 2, 1), ArgumentError, "less than upper"),
    (lambda: bl.random.categorical(bl.random.key(0), np.zeros((2, 3)), shape=(3,)), ShapeError, "broadcast"),
    (lambda: bl.random.bits(bl.random.key(0), (3,), bl.int32), DtypeError, "unsigned"),
    (lambda: bl.random.fold_in(bl.random.key(0), 1.5), ArgumentError, "one integer"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
