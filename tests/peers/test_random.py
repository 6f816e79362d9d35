"""The same keys and bits as `jax.random` (threefry_partitionable, its default)."""

import numpy as np
import pytest

import backlit as bl

jax = pytest.importorskip("jax")


def test_keys_are_those_of_jax():
    for seed in (0, 42, 2**31 - 1):
        mine, theirs = bl.random.key(seed), jax.random.PRNGKey(seed)
        assert np.array_equal(mine.numpy(), theirs)
        assert np.array_equal(bl.random.split(mine, 5).numpy(), jax.random.split(theirs, 5))
        assert np.array_equal(bl.random.fold_in(mine, 123).numpy(), jax.random.fold_in(theirs, 123))


SAMPLES = [
    ("bits", lambda r, k: r.bits(k, (3, 50), dtype="uint32")),
    ("bits", lambda r, k: r.bits(k, (77,), dtype="uint8")),
    ("uniform", lambda r, k: r.uniform(k, (1000,))),
    ("uniform", lambda r, k: r.uniform(k, (1000,), dtype="float16")),
    ("bernoulli", lambda r, k: r.bernoulli(k, 0.3, (500,))),
    ("randint", lambda r, k: r.randint(k, (500,), -7, 1000, "int32")),
    ("randint", lambda r, k: r.randint(k, (500,), -(2**31), 2**31 - 1, "int32")),
    ("permutation", lambda r, k: r.permutation(k, 1000)),
    ("permutation", lambda r, k: r.permutation(k, np.arange(60.0, dtype="float32").reshape(20, 3))),
    ("categorical", lambda r, k: r.categorical(k, np.linspace(0, 3, 12, dtype="float32").reshape(3, 4), shape=(99, 3))),
    ("categorical", lambda r, k: r.categorical(k, np.linspace(0, 3, 12, dtype="float32").reshape(3, 4), axis=0)),
]


@pytest.mark.parametrize(("name", "draw"), SAMPLES)
def test_samples_equal_those_of_jax(name, draw):
    mine = draw(bl.random, bl.random.key(7)).numpy()
    assert np.array_equal(mine, np.asarray(draw(jax.random, jax.random.PRNGKey(7))))


def test_continuous_samples_are_close_to_those_of_jax():
    mine, theirs = bl.random.key(3), jax.random.PRNGKey(3)
    for name in ("normal", "gumbel", "exponential"):
        np.testing.assert_allclose(
            getattr(bl.random, name)(mine, (2000,)).numpy(), getattr(jax.random, name)(theirs, (2000,)), 1e-5, 1e-6
        )
    np.testing.assert_allclose(
        bl.random.truncated_normal(mine, -1, 2, (2000,)).numpy(), jax.random.truncated_normal(theirs, -1, 2, (2000,)),
        1e-5, 1e-6,
    )  # fmt: skip


def test_wide_samples_equal_those_of_jax():
    with jax.enable_x64(True):
        theirs = jax.random.PRNGKey(2**40 + 5)
        mine = bl.random.key(2**40 + 5)
        assert np.array_equal(mine.numpy(), theirs)
        assert np.array_equal(bl.random.bits(mine, (9,), "uint64").numpy(), jax.random.bits(theirs, (9,), "uint64"))
        assert np.array_equal(
            bl.random.uniform(mine, (9,), "float64").numpy(), jax.random.uniform(theirs, (9,), "float64")
        )
        assert np.array_equal(
            bl.random.randint(mine, (99,), -5, 10**12).numpy(), jax.random.randint(theirs, (99,), -5, 10**12, "int64")
        )
        np.testing.assert_allclose(
            bl.random.normal(mine, (999,), "float64").numpy(), jax.random.normal(theirs, (999,), "float64"), 1e-13
        )
