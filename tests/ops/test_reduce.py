"""Reductions and scans against NumPy, and their derivatives where rules go wrong: ties, zeros, no variance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backlit as bl
from backlit.testing import check_grad

SAME = {name: getattr(np, name) for name in ("sum", "prod", "mean", "max", "min", "all", "any", "count_nonzero")}


@st.composite
def reduced(draw: Any, least: int = 0) -> tuple[Any, dict[str, Any]]:
    """An array, perhaps empty or zero-dimensional, with axis= and keepdims=."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=least, max_side=4))
    x = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.5, 0.0, 0.5, 2.0, 3.0])))
    axis = draw(
        st.none()
        | hnp.valid_tuple_axes(len(shape))
        | (st.integers(-len(shape), len(shape) - 1) if shape else st.none())
    )
    return x, {"axis": axis, "keepdims": draw(st.booleans())}


@pytest.mark.parametrize("name", sorted(SAME))
@given(case=reduced(least=1))
def test_values_agree_with_numpy(name: str, case: Any) -> None:
    x, kwargs = case
    want = SAME[name](x, **kwargs)
    got = getattr(bl, name)(x, **kwargs)
    assert got.shape == np.shape(want)
    assert got.dtype == want.dtype if name != "count_nonzero" else got.dtype == bl.int64
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-14)


@pytest.mark.parametrize("name", ["sum", "prod", "all", "any", "count_nonzero"])
@given(case=reduced())
def test_no_elements_give_the_neutral_one(name: str, case: Any) -> None:
    x, kwargs = case
    np.testing.assert_array_equal(getattr(bl, name)(x, **kwargs).numpy(), SAME[name](x, **kwargs))


@pytest.mark.parametrize("name", ["var", "std"])
@given(case=reduced(least=2), correction=st.sampled_from([0, 0.5, 1]))
def test_spread_agrees_with_numpy(name: str, case: Any, correction: float) -> None:
    x, kwargs = case
    n = np.size(x) if kwargs["axis"] is None else np.prod([x.shape[a] for a in np.atleast_1d(kwargs["axis"])])
    if n <= correction:
        return
    want = getattr(np, name)(x, ddof=correction, **kwargs)
    np.testing.assert_allclose(getattr(bl, name)(x, correction=correction, **kwargs).numpy(), want, rtol=1e-13)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name: str) -> None:
    x = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
    for axis in (None, 0, -1):
        for keepdims in (False, True):
            got = getattr(bl, name)(x, axis=axis, keepdims=keepdims)
            assert got.dtype == bl.int64
            np.testing.assert_array_equal(got.numpy(), getattr(np, name)(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "bool", "float16", "float32"])
def test_sums_of_narrow_integers_are_kept_in_64_bits(dtype: str) -> None:
    x = np.ones((3, 100), dtype)
    want = {"b": "int64", "i": "int64", "u": "uint64", "f": dtype}[x.dtype.kind]
    for f in (bl.sum, bl.prod):
        assert f(x, axis=1).dtype.name == want
    assert bl.sum(x, axis=1).tolist() == [100] * 3
    assert bl.sum(x, dtype=bl.float64).dtype == bl.float64
    assert bl.cumulative_sum(x, axis=0).dtype.name == want


def test_ties_share_the_gradient_equally() -> None:
    x = bl.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)
    bl.max(x, axis=1).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_products_are_differentiable_at_zeros(zeros: int) -> None:
    x = np.array([2.0, -1.5, 3.0, 0.5])
    x[:zeros] = 0
    check_grad(lambda t: bl.prod(t) + bl.sum(t * t * t), (x,), order=3)  # the sum gives differences a scale
    check_grad(lambda t: bl.cumulative_prod(t) + t * t * t, (x,), order=3)
    check_grad(lambda t: bl.cumulative_prod(t, include_initial=True), (x + 1j * x[::-1],), order=2)


def test_std_of_equal_numbers_has_gradient_zero() -> None:
    f = lambda t: bl.std(t)
    x = bl.tensor([2.0, 2.0, 2.0])
    assert bl.grad(f)(x).tolist() == [0, 0, 0]
    assert bl.grad(lambda t: (bl.grad(f)(t) ** 2).sum())(x).tolist() == [0, 0, 0]


def test_the_extreme_of_nothing_is_an_error() -> None:
    for f in (bl.max, bl.min, bl.argmax):
        with pytest.raises(bl.ShapeError):
            f(bl.zeros((0,)))
        assert f(bl.zeros((0, 3)), axis=1).shape == (0,)
    with pytest.raises(bl.ShapeError, match=r"sum: axis 2 is out of range"):
        bl.sum(bl.zeros((2, 3)), axis=2)
    with pytest.raises(bl.DtypeError, match="mean: expected floating-point"):
        bl.mean(bl.arange(3))
    with pytest.raises(bl.DtypeError, match="max: expected real numeric"):
        bl.max(bl.asarray(1j))


def test_float16_means_do_not_overflow() -> None:
    assert bl.mean(bl.full((3000,), 100.0, dtype=bl.float16)).item() == 100.0


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("initial", [False, True])
def test_scans_agree_with_numpy(axis: int, initial: bool) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4))
    for name in ("cumulative_sum", "cumulative_prod"):
        want = getattr(np, name)(x, axis=axis, include_initial=initial)
        np.testing.assert_array_equal(getattr(bl, name)(x, axis=axis, include_initial=initial).numpy(), want)
    np.testing.assert_array_equal(bl.cumulative_max(x, axis=axis).numpy(), np.maximum.accumulate(x, axis=axis))
    np.testing.assert_array_equal(bl.cumulative_min(x, axis=axis).numpy(), np.minimum.accumulate(x, axis=axis))
    assert bl.cumsum(x, axis=axis).shape == bl.cumprod(x, axis=axis).shape == x.shape


def test_scans_of_little() -> None:
    with pytest.raises(bl.ShapeError, match="axis= must be given"):
        bl.cumulative_sum(bl.zeros((2, 2)))
    assert bl.cumulative_sum(bl.zeros(0), include_initial=True).tolist() == [0.0]
    assert bl.grad(lambda t: bl.cumulative_prod(t).sum())(bl.zeros(0)).shape == (0,)
    nan = np.array([1.0, np.nan, 2.0])
    np.testing.assert_array_equal(bl.cumulative_max(nan).numpy(), np.maximum.accumulate(nan))
    assert bl.cumulative_max(bl.tensor([1, 1, 0])).dtype == bl.int64


def test_a_list_of_tensors_stays_differentiable() -> None:
    x = bl.tensor(2.0, requires_grad=True)
    bl.sum([x, x * x]).backward()
    assert x.grad is not None
    assert x.grad.item() == 5.0
