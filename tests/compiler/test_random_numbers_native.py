"""Random numbers in native plans are those of eager mode: bits, keys and choices exactly, floats but for rounding."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.lower.steps import Call, walk
from backlit.compiler.native_plan import NativePlan
from backlit.compiler.numpy_plan import NumpyPlan
from backlit.compiler.passes import recipes_random
from backlit.ops.threefry import threefry

from .native import agree, arrays, check, eager, in_memory

random = bl.random
KEY = random.key(20240607)
SHAPES = [(), (1,), (0, 3), (7,), (131,), (3, 5, 2), (40, 33)]

FLOATS: dict[str, Callable[..., Any]] = {
    "uniform": random.uniform,
    "spread": lambda k, s, d: random.uniform(k, s, d, low=-2.0, high=3.0),
    "normal": random.normal,
    "truncated": lambda k, s, d: random.truncated_normal(k, -1.0, 2.5, s, d),
    "half line": lambda k, s, d: random.truncated_normal(k, 0.5, np.inf, s, d),
    "gumbel": random.gumbel,
    "exponential": random.exponential,
}
INTEGERS: dict[str, Callable[[Any, Any], Any]] = {
    "bits8": lambda k, s: random.bits(k, s, "uint8"),
    "bits16": lambda k, s: random.bits(k, s, "uint16"),
    "bits32": random.bits,
    "bits64": lambda k, s: random.bits(k, s, "uint64"),
    "dice": lambda k, s: random.randint(k, s, 1, 7),
    "bytes": lambda k, s: random.randint(k, s, 0, 256, "uint8"),
    "small": lambda k, s: random.randint(k, s, -100, 100, "int8"),
    "short": lambda k, s: random.randint(k, s, -300, 30000, "int16"),
    "int": lambda k, s: random.randint(k, s, -(2**31), 2**31 - 1, "int32"),
    "unsigned": lambda k, s: random.randint(k, s, 5, 2**63 + 9, "uint64"),
    "bernoulli": lambda k, s: random.bernoulli(k, 0.3, s),
    "of five": lambda k, s: random.categorical(k, bl.log(bl.arange(1.0, 6.0)), shape=s),
    "keys": lambda k, s: random.split(k, sum(s)),
    "folded": lambda k, s: random.fold_in(k, len(s) - 2),
}


def plan_of(run: Any, *values: Any) -> Any:
    """The plan that a compiled function has for these values; all of it is native."""
    plan = run.plan(*values)
    assert isinstance(plan, NativePlan)
    assert not [s for s in walk(plan.steps) if isinstance(s, Call)]
    return plan


def same(function: Callable[..., Any], *values: Any, ulps: float = 8, form: Any = nullcontext) -> None:
    """Assert that a function is native, and gives what it gives step by step up to rounding of numbers of about 1."""
    expected = [(y, np.maximum(1, np.abs(y)) if y.dtype.kind == "f" else None) for y in eager(function, values)]
    with form():
        run = bl.compile(lambda *xs: function(*xs))
        plan_of(run, *values)
        agree(arrays(run(*values)), expected, ulps=ulps)


@pytest.mark.parametrize("form", [nullcontext, in_memory])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", FLOATS)
def test_floats(name, dtype, form):
    if dtype == "float16" and isinstance(bl.compile(abs).plan(np.float16(0)), NumpyPlan):
        pytest.skip("the processor has no half precision")
    same(lambda key: [FLOATS[name](key, s, dtype) for s in SHAPES], KEY, form=form)


@pytest.mark.parametrize("form", [nullcontext, in_memory])
@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name, form):
    same(lambda key: [INTEGERS[name](key, s) for s in SHAPES], KEY, form=form)


@pytest.mark.parametrize("form", [nullcontext, in_memory])
def test_parameters_that_are_arrays(form):
    rng = np.random.default_rng(0)

    def function(key: Any, p: Any, logits: Any) -> Any:
        return (
            random.bernoulli(key, p), random.bernoulli(key, p, (5, 3, 4)), random.categorical(key, logits),
            random.categorical(key, logits, axis=0), random.categorical(key, logits, shape=(7, 3)),
            random.normal(key, mean=logits, scale=abs(logits)), random.categorical(key, logits, shape=(0, 3)),
        )  # fmt: skip

    same(function, KEY, rng.uniform(size=(3, 4)), rng.normal(size=(3, 4)).astype("f"), form=form)


def test_a_key_that_is_known():
    """Its numbers are drawn when the function is traced; only what is mixed into it is not known then."""
    function = lambda n: (random.normal(KEY, (3,)) * n, random.normal(random.fold_in(KEY, n), (30, 30)))
    same(function, np.int64(5))


def test_keys_of_keys():
    def function(key: Any, data: Any) -> Any:
        one, two = random.split(key)
        return [random.bits(random.fold_in(k, n), (9,)) for k in (one, two) for n in (data, data + 1, 2**32 + 5, -1)]

    for data in (np.int64(-3), np.int64(2**40 + 1), np.uint8(255)):
        same(function, KEY, data)


@pytest.mark.parametrize("shape", [(12, 5), (60,), (61,), (4, 3, 5), (30, 1, 2), (2, 1, 30)])
@pytest.mark.parametrize("many", [8, 64])
def test_counters_of_large_arrays(monkeypatch, shape, many):
    monkeypatch.setattr(recipes_random, "LARGE", 10)
    monkeypatch.setattr(recipes_random, "MANY", many)
    same(lambda key, x: (random.bits(key, shape), x * random.uniform(key, shape)), KEY, np.ones(shape, "f"))


def test_rows_of_large_arrays_keep_constants_small():
    for shape in [(1 << 22,), (3000, 3000), (50, 64, 64, 32), (1_000_000, 3), (100_000, 10)]:
        row = recipes_random._row(shape)
        assert row + np.prod(shape) // row <= recipes_random.MANY
        assert np.prod(shape) % row == 0


def test_known_answers_of_the_op():
    # Random123 1.14, tests/kat_vectors: "threefry2x32 20" with the counter (0, 0) and the key (0, 0).
    zero = np.uint32(0)
    run = bl.compile(lambda *xs: [threefry(*xs, word=w) for w in ("first", "second")])
    assert [w.item() for w in run(zero, zero, zero)] == [0x6B200159, 0x99BA4EFE]


@pytest.mark.parametrize("n", [5, 200])
def test_loops(n):
    def noisy(key: Any, x: Any) -> Any:
        def body(carry: Any, i: Any) -> Any:
            x, own = carry
            own, use = bl.unstack(random.split(own))
            noise = random.normal(random.fold_in(key, i), x.shape)
            x = bl.where(random.bernoulli(use, 0.5, x.shape), x + noise, x)
            return (x, own), random.randint(use, (), 0, 10)

        return bl.scan(body, (x, key), bl.arange(6))

    same(noisy, KEY, np.zeros(n, "f"), ulps=64)

    def walk_on(key: Any, x: Any) -> Any:
        step = lambda i, x: x + random.uniform(random.fold_in(key, i), x.shape)
        return bl.fori_loop(0, 9, step, x), bl.while_loop(
            lambda c: c[1].sum() < n * 3, lambda c: (c[0] + 1, step(c[0], c[1])), (bl.asarray(0), x)
        )

    same(walk_on, KEY, np.zeros(n, "f"), ulps=64)


def test_dropout_joins_the_product():
    def layer(key: Any, x: Any, w: Any) -> Any:
        y = bl.relu(x @ w)
        return bl.where(random.bernoulli(key, 0.8, y.shape), y / 0.8, 0)

    rng = np.random.default_rng(0)
    values = [rng.normal(size=s).astype("f") for s in ((64, 100), (100, 96))]
    run = bl.compile(layer)
    assert [k.kind for k in plan_of(run, KEY, *values).kernels] == ["matmul"]
    check(layer, [KEY.numpy(), *values])


def test_epochs_with_dropout_are_native():
    def step(w: Any, key: Any, x: Any, y: Any) -> Any:
        key, use = bl.unstack(random.split(key))

        def loss(w: Any) -> Any:
            kept = bl.where(random.bernoulli(use, 0.9, x.shape), x, 0)
            return bl.mean((kept @ w - y) ** 2)

        value, slope = bl.value_and_grad(loss)(w)
        return w - 0.1 * slope, key, value

    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(300, 200)).astype("f"), rng.normal(size=200).astype("f")
    run = (made := bl.compile(step)).epochs((x, x @ w), 100, state=(np.zeros(200, "f"), KEY), epochs=2)
    assert made._chunk is not None
    (known,) = made._chunk._known.values()
    assert isinstance(known.plan, NativePlan)
    assert not [s for s in walk(known.plan.steps) if isinstance(s, Call)]
    now, key, losses = bl.zeros(200), KEY, []
    for i in range(6):
        part = x[i % 3 * 100 :][:100]
        now, key, value = step(now, key, bl.tensor(part), bl.tensor(part @ w))
        losses.append(value.item())
    np.testing.assert_allclose(np.ravel(arrays(run.values)[0]), losses, rtol=1e-4)
