"""Reductions in plans: every kind, over every set of axes, in all forms of the kernel; their accuracy; ties and NaN."""

from __future__ import annotations

from itertools import combinations
from math import fsum
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.kernels.rows import Rows

from .native import agree, check, eager, in_memory, native

SHAPES = [(5, 7, 11), (3, 130, 2), (1, 37, 64), (130, 3, 17), (2, 1, 300), (8, 16, 33)]
SETS = [axes for n in (1, 2, 3) for axes in combinations(range(3), n)]


def several(x: Any, axes: Any, keepdims: bool) -> list[Any]:
    """Every reduction, alone and with elementwise work before and after it."""
    return [
        bl.sum(x, axis=axes, keepdims=keepdims), bl.prod(bl.cos(x) * 1.1, axis=axes, keepdims=keepdims),
        bl.max(x, axis=axes, keepdims=keepdims), bl.min(-x * x, axis=axes, keepdims=keepdims),
        bl.any(x > 2.5, axis=axes, keepdims=keepdims), bl.all(x > -2.5, axis=axes, keepdims=keepdims),
        bl.mean(bl.tanh(x), axis=axes, keepdims=keepdims), bl.exp(bl.sum(x * x, axis=axes, keepdims=keepdims) * -0.001),
        bl.sum(x > 0, axis=axes, keepdims=keepdims),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_reduction_over_every_set_of_axes(shape, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    with in_memory():
        check(lambda x: [several(x, axes, len(axes) == 2) for axes in SETS], [x], str(shape), ulps=1024)
        check(lambda x: [y for k in range(3) for y in (bl.argmax(x, axis=k), bl.argmin(x, axis=k))], [x], "places")


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (2, 1, 0)], ids=str)
def test_reductions_of_views(order):
    x = np.random.default_rng(1).normal(size=(9, 35, 21)).astype("f4")
    with in_memory():
        check(lambda x: [several(bl.permute_dims(x, order), axes, False) for axes in SETS], [x], "permuted")
        check(lambda x: [several(x[::-1, 1::2, ::-3], axes, False) for axes in SETS], [x], "strided")
        check(lambda x: [several(bl.broadcast_to(x[:, :1], x.shape), axes, True) for axes in SETS], [x], "broadcast")


def test_reductions_of_integers_and_booleans():
    rng = np.random.default_rng(2)

    def function(x: Any) -> Any:
        kinds = (bl.max, bl.min, bl.sum, bl.prod) if x.dtype != bl.bool else (bl.any, bl.all, bl.sum)
        found = [f(x, axis=axes) for f in kinds for axes in SETS]
        return found if x.dtype == bl.bool else [*found, *(bl.argmax(x, axis=k) for k in range(3)), bl.argmin(x)]

    for dtype in ("i1", "u1", "i2", "i4", "u4", "i8", "u8", "b1"):
        x = rng.integers(0, 2 if dtype == "b1" else 120, (6, 35, 19)).astype(dtype)
        with in_memory():
            check(function, [x - 60 if dtype[0] == "i" else x], dtype)


def test_empty_reductions():
    for shape in ((0,), (3, 0), (0, 4), (2, 0, 5)):
        x = np.zeros(shape, "f4")
        check(lambda x: [f(x, axis=k) for f in (bl.sum, bl.prod, bl.any, bl.all) for k in range(x.ndim)], [x])
        check(lambda x: [bl.sum(x), bl.prod(x), bl.any(x > 0), bl.all(x > 0)], [x])


@pytest.mark.parametrize("n", [3, 16, 33, 250, 257, 1024, 5000])
def test_rows_that_wait_for_their_reductions(n):
    """Softmax and layer norm: two and three passes, in registers where a row is short, else over memory."""
    x = np.random.default_rng(3).normal(size=(7, n)).astype("f4") * 4

    def function(x: Any) -> list[Any]:
        centred = x - bl.mean(x, axis=1, keepdims=True)
        normal = centred / bl.sqrt(bl.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
        soft = [f(x, axis=1) for f in (bl.softmax, bl.log_softmax, bl.logsumexp)]
        return [*soft, normal, bl.softmax(x, axis=0)]

    with in_memory():
        check(function, [x])
        pulled = bl.grad(lambda x: sum(bl.sum(y * bl.cos(y)) for y in function(x)))
        agree(native(pulled, [x]), [(y, 4.0 * n) for y in eager(pulled, [x])], "gradient")  # a sum over a row


SPECIAL = (np.nan, np.inf, -np.inf, -0.0)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_infinities_and_ties_as_in_numpy(dtype):
    rng = np.random.default_rng(4)
    x = rng.integers(-3, 3, (24, 67)).astype(dtype)
    for i, value in enumerate([v for v in SPECIAL for _ in range(3)]):
        x[i, rng.integers(0, 67, 1 + i % 3)] = value
    x[20] = np.nan
    x[21] = -np.inf
    x[22, ::2] = np.inf

    def function(x: Any) -> list[Any]:
        kinds = (bl.max, bl.min, bl.sum, bl.argmax, bl.argmin, bl.prod)
        return [f(x, axis=k) for f in kinds for k in (0, 1)] + [bl.argmax(x), bl.argmin(x[13:19]), bl.max(x[12:20])]

    with in_memory():
        check(function, [x])
        wide = np.resize(x, (8, 5000))  # cut into blocks
        check(lambda x: [bl.argmax(x), bl.argmin(x), bl.max(x), bl.min(x[:, 3:])], [wide])
        clean = np.where(np.isfinite(wide), wide, 0).astype(dtype)
        check(lambda x: [bl.argmax(x), bl.argmin(x), bl.max(x), bl.min(x), bl.argmax(x, axis=0)], [clean])


def cuts(plan: Any) -> list[int]:
    return [k.blocks for k in plan.kernels if isinstance(k, Rows) and k.partials]


@pytest.mark.parametrize("shape", [(70_001,), (257, 300), (33_000, 5), (40, 3, 1111)], ids=str)
def test_reductions_in_blocks(shape):
    x = np.random.default_rng(5).normal(size=shape).astype("f4")
    found = bl.compile(lambda x: bl.sum(bl.tanh(x)))
    assert cuts(found.plan(x))
    check(lambda x: [bl.sum(bl.tanh(x)), bl.max(x), bl.mean(x * x), bl.any(x > 4), bl.argmax(x), bl.tanh(x) * 2], [x])
    if x.ndim == 2:
        assert_sum(bl.compile(lambda x: bl.sum(x, axis=0))(x).numpy(), x, 0)
        check(lambda x: [bl.max(x, axis=0), bl.min(bl.exp(x), axis=0), bl.argmin(x, axis=0)], [x])


def assert_sum(found: Any, x: Any, axis: Any, ulps: float = 4) -> None:
    """A sum right to some units of the sum of the magnitudes of its terms."""
    exact, size = x.astype("f8").sum(axis), np.abs(x.astype("f8")).sum(axis)
    assert (np.abs(found - exact) <= ulps * np.finfo(x.dtype).eps * size).all()


def test_a_long_sum_is_as_accurate_as_pairwise_summation():
    """Ten million float32 numbers: by one running sum the error would be some thousand units."""
    rng = np.random.default_rng(6)
    total = bl.compile(lambda x: bl.sum(x))
    rows = bl.compile(lambda x: bl.sum(x, axis=1))
    columns = bl.compile(lambda x: bl.sum(x, axis=0))
    same = np.full(10_000_019, 0.1, "f4")  # each addition errs to the same side
    for x in (rng.random(10_000_019, "f4"), rng.random(10_000_019, "f4") * 1e-3 + 1, same):
        exact = fsum(x.astype("f8"))
        ours, numpy = (abs(float(s) - exact) for s in (total(x).numpy(), np.sum(x)))
        assert ours <= max(numpy, 4 * np.finfo("f4").eps * exact / 2), (ours, numpy)
        wide = x[:9_999_990].reshape(3, -1)
        for found, axis, laid in ((rows(wide), 1, wide), (columns(wide.T), 0, wide.T)):
            assert_sum(found.numpy(), laid, axis, ulps=2)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_what_is_kept_of_rounding_does_not_spoil_infinities(special):
    """A long sum keeps what rounding loses; at infinity that is no number, and must not enter the sum."""
    x = np.ones((3, 100_000), "f4")
    x[1, 5] = special
    check(lambda x: [bl.sum(x), bl.sum(x, axis=0), bl.sum(x, axis=1), bl.sum(x.mT, axis=0), bl.sum(-x)], [x])
    check(lambda x: bl.sum(x), [np.full(100_000, -0.0, "f4")])


def test_a_long_product_of_reductions_at_once():
    """Several reductions of one pass, whose intermediate sums are put away together."""
    x = np.random.default_rng(7).random((4, 200_003), "f4")
    found = native(lambda x: [bl.sum(x, axis=1), bl.sum(x * x, axis=1), bl.max(x, axis=1), bl.argmin(x, axis=1)], [x])
    assert_sum(found[0], x, 1, 2)
    assert_sum(found[1], x * x, 1, 2)
    agree(found[2:], [x.max(1), x.argmin(1)])


def test_a_value_that_is_read_as_rows_and_as_columns():
    def function(v: Any) -> list[Any]:
        outer = bl.reshape(v, (-1,)) * v
        again = bl.sin(v)
        twice = bl.sum(again * bl.reshape(again, (-1,)), axis=0)
        return [bl.reshape(bl.sum(outer, axis=0), (-1, 1)) + v, bl.reshape(twice, (-1, 1)) * again + v]

    with in_memory():
        check(function, [np.random.default_rng(8).normal(size=(300, 1))])
