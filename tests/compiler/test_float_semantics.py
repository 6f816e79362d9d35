"""What a user may rely on: roundings, NaN and infinities are those of eager mode, and the same from run to run."""

import numpy as np
import pytest

import backlit as bl

rng = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(7,), (300, 41)])
def test_a_product_and_a_sum_are_rounded_one_by_one(shape):
    x = rng.normal(size=shape).astype("f")
    root = bl.compile(lambda x, y: bl.sqrt(x * x - y * y))
    np.testing.assert_array_equal(root(x, x.copy()).numpy(), np.zeros(shape, "f"))


def test_arithmetic_gives_the_bits_of_eager_mode():
    def f(x, y):
        return (x * y + x) / (y - 3.0 * x) - x * x * y

    x, y = rng.normal(size=(2, 1003)).astype("f")
    np.testing.assert_array_equal(bl.compile(f)(x, y).numpy(), f(bl.tensor(x), bl.tensor(y)).numpy())


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x - x, lambda x: x / x, lambda x: bl.exp(x) / bl.exp(x), lambda x: bl.log(x), lambda x: bl.sqrt(x),
        lambda x: bl.max(x, axis=0), lambda x: bl.min(x, axis=1), lambda x: bl.sum(x, axis=1), lambda x: bl.sum(x),
        lambda x: bl.softmax(x, axis=1), lambda x: bl.logsumexp(x, axis=0), lambda x: bl.where(x > 0, bl.log(x), 0.0),
        lambda x: bl.maximum(x, 0.5), lambda x: bl.relu(x), lambda x: x @ bl.ones((5, 2)),
        lambda x: bl.argmax(x, axis=1),
    ],
)  # fmt: skip
def test_nan_and_infinities_stand_where_eager_mode_has_them(f):
    x = rng.normal(size=(6, 5)).astype("f")
    x[0, 0], x[1, 1], x[2, 2], x[3, 3], x[4, 4] = np.nan, np.inf, -np.inf, 0.0, -0.0
    with np.errstate(all="ignore"):
        expected = f(bl.tensor(x)).numpy()
    found = bl.compile(f)(x).numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_plan_gives_the_same_bits_every_time():
    x, w = rng.normal(size=(1009, 130)).astype("f"), rng.normal(size=(130, 70)).astype("f")
    f = bl.compile(lambda x, w: (bl.sum(bl.tanh(x @ w)), bl.sum(x * x, axis=0), bl.softmax(x @ w, axis=1)))
    first = [t.numpy().tobytes() for t in f(x, w)]
    for _ in range(20):
        assert [t.numpy().tobytes() for t in f(x, w)] == first
