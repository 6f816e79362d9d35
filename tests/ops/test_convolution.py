"""Convolution against SciPy's correlation, and what holds between a convolution and its transposes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.signal import correlate

import backlit as bl
from backlit.ops import patches
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
SIZES = {1: (9,), 2: (7, 6), 3: (4, 5, 4)}


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def reference(x: Any, w: Any, b: Any, stride: int, padding: Any, dilation: int, groups: int) -> Any:
    """Channel by channel with SciPy: dilate the kernel with zeros, correlate everywhere, keep each stride-th place."""
    n = x.ndim - 2
    spread = np.zeros((*w.shape[:2], *(dilation * (k - 1) + 1 for k in w.shape[2:])), w.dtype)
    spread[(..., *(slice(None, None, dilation),) * n)] = w
    x = np.pad(x, [(0, 0), (0, 0), *padding])
    inputs, outputs = w.shape[1], len(w) // groups
    result = []
    for image, o in itertools.product(x, range(len(w))):
        first = o // outputs * inputs
        result.append(sum(correlate(image[first + c], spread[o, c], "valid", "direct") for c in range(inputs)) + b[o])
    result = np.array(result).reshape(len(x), len(w), *result[0].shape)
    return result[(..., *(slice(None, None, stride),) * n)]


ALL = itertools.product([1, 2, 3], [1, 2, 3], [1, 2], [(0, 0), (1, 2)], [1, 2], [1, 2])
GEOMETRIES = [g for g in ALL if g[4] * (g[1] - 1) < min(SIZES[g[0]]) + sum(g[3])]  # where the kernel fits


@pytest.mark.parametrize(("n", "kernel", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_values_agree_with_scipy(n: int, kernel: int, stride: int, padding: Any, dilation: int, groups: int) -> None:
    x, w, b = normal(2, 4, *SIZES[n]), normal(6, 4 // groups, *(kernel,) * n), normal(6)
    conv = getattr(bl, f"conv{n}d")
    found = conv(x, w, b, stride=stride, padding=(padding,) * n, dilation=dilation, groups=groups)
    wanted = reference(x, w, b, stride, (padding,) * n, dilation, groups)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_is_the_transpose(n: int, stride: int) -> None:
    w = normal(4, 3, *(3,) * n)
    x = normal(2, 3, *SIZES[n])
    conv, back = getattr(bl, f"conv{n}d"), getattr(bl, f"conv_transpose{n}d")
    y = conv(x, w, stride=stride, padding=1)
    g = normal(*y.shape)
    lost = tuple((m + 2 - 3) % stride for m in x.shape[2:])
    xg = back(g, w, stride=stride, padding=1, output_padding=lost)
    assert xg.shape == x.shape
    np.testing.assert_allclose(bl.sum(y * g).item(), bl.sum(xg * x).item(), rtol=1e-10)


@pytest.mark.parametrize("block", [1, 3000, 1 << 20])
def test_blocks_make_no_difference(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "BLOCK", block)
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(5, 2, 6, 7)), rng.normal(size=(4, 1, 3, 2))
    for geometry in ({}, {"stride": 2, "padding": 1}, {"dilation": 2}):
        check_grad(lambda x, w, g=geometry: bl.conv2d(x, w, groups=2, **g), (x, w), order=1, modes=("reverse",))


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 1), (8, 3, 2), (7, 2, 3), (6, 5, 4), (5, 1, 2)])
def test_same_padding_divides_the_size_by_the_stride(size: int, kernel: int, stride: int) -> None:
    y = bl.conv1d(normal(1, 1, size), normal(1, 1, kernel), stride=stride, padding="same")
    assert y.shape == (1, 1, -(-size // stride))


def test_forms_of_padding() -> None:
    x, w = normal(1, 2, 5, 5), normal(3, 2, 3, 3)
    for one, other in [(1, "same"), (0, "valid"), ((1, 2), ((1, 1), (2, 2))), (2, (2, (2, 2)))]:
        np.testing.assert_array_equal(bl.conv2d(x, w, padding=one).numpy(), bl.conv2d(x, w, padding=other).numpy())


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "complex64"])
def test_dtypes_stay(dtype: str) -> None:
    x, w = (np.arange(n).reshape(s).astype(dtype) for n, s in ((18, (1, 2, 3, 3)), (16, (2, 2, 2, 2))))
    y = bl.conv2d(x, w)
    assert y.dtype == dtype
    x, w = x.astype("D"), w.astype("D")
    np.testing.assert_array_equal(y.numpy(), reference(x, w, np.zeros(2), 1, [(0, 0)] * 2, 1, 1))


def test_an_empty_batch_is_fine() -> None:
    x, w = bl.tensor(np.zeros((0, 2, 5, 5)), requires_grad=True), bl.tensor(normal(3, 2, 3, 3), requires_grad=True)
    y = bl.conv2d(x, w)
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert not w.grad.numpy().any()


def test_inputs_that_are_not_contiguous() -> None:
    x, w = normal(5, 6, 2, 3).transpose(3, 2, 0, 1), normal(3, 3, 2, 4).transpose(3, 2, 1, 0)
    found = bl.conv2d(x, w)
    np.testing.assert_allclose(found.numpy(), bl.conv2d(x.copy(), w.copy()).numpy())


X, W = normal(1, 3, 4, 4), normal(2, 3, 3, 3)
WRONG = [
    (lambda: bl.conv2d(X, normal(2, 4, 3, 3)), bl.ShapeError, "conv2d: x has 3 channels, w expects 4 × groups 1"),
    (lambda: bl.conv2d(X[0], W), bl.ShapeError, r"x of shape \(batch, channels, height, width\), got \(3, 4, 4\)"),
    (lambda: bl.conv1d(X[0], W), bl.ShapeError, r"expected w of shape \(outputs, channels / groups, length\)"),
    (lambda: bl.conv2d(X, W, normal(3)), bl.ShapeError, r"expected b of shape \(2,\), one for each output channel"),
    (lambda: bl.conv2d(X, W, dilation=2), bl.ShapeError, r"kernel \(3, 3\) with dilation \(2, 2\) does not fit"),
    (lambda: bl.conv2d(X, W, padding="full"), bl.ArgumentError, "padding='full'; expected 'same', 'valid'"),
    (lambda: bl.conv2d(X, W, padding=(1, 1, 1)), bl.ArgumentError, "has 3 entries"),
    (lambda: bl.conv2d(X, W, padding=((1, 1, 1), 0)), bl.ArgumentError, r"a pair is \(before, after\)"),
    (lambda: bl.conv2d(X, W, padding=-1), bl.ArgumentError, "is negative"),
    (lambda: bl.conv2d(X, W, stride=0), bl.ArgumentError, "stride=0; expected 1 or more"),
    (lambda: bl.conv2d(X, W, stride=(1, 2, 3)), bl.ArgumentError, "stride=.* has 3 entries; give one int, or 2"),
    (lambda: bl.conv2d(X, W, stride=1.5), bl.ArgumentError, "stride must be an integer"),
    (lambda: bl.conv2d(normal(1, 4, 4, 4), normal(3, 2, 3, 3), groups=2), bl.ShapeError, "do not divide into 2 groups"),
    (lambda: bl.conv_transpose2d(X, normal(2, 4, 3, 3)), bl.ShapeError, "x has 3 channels, w expects 2"),
    (lambda: bl.conv_transpose2d(X, normal(3, 4, 3, 3), groups=2), bl.ShapeError, "3 input channels do not divide"),
    (lambda: bl.conv_transpose2d(X, normal(3, 4, 3, 3), padding="same"), bl.ArgumentError, "give numbers"),
    (lambda: bl.conv_transpose2d(X, normal(3, 4, 3, 3), output_padding=1), bl.ArgumentError, "smaller than stride"),
    (lambda: bl.conv_transpose2d(X, normal(3, 4, 3, 3), padding=3), bl.ShapeError, "cuts the whole output away"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("seed", range(40))
def test_the_three_products_contract_one_trilinear_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, 5, n))) for _ in range(3))
    padding = tuple((int(lo), int(hi)) for lo, hi in rng.integers(0, 4, (n, 2)))
    least = [max(d * (k - 1) + 1 - lo - hi, 1) for d, k, (lo, hi) in zip(dilation, kernel, padding, strict=True)]
    size = tuple(m + int(rng.integers(0, 5)) for m in least)
    groups, batch, inputs, outputs = map(int, rng.integers(1, 4, 4))
    x, w = rng.normal(size=(batch, groups * inputs, *size)), rng.normal(size=(groups * outputs, inputs, *kernel))
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y = patches.forward(x, w, **geometry)
    g = rng.normal(size=y.shape)
    whole = np.vdot(g, y)
    np.testing.assert_allclose(np.vdot(x, patches.backward_input(g, w, size, **geometry)), whole, atol=1e-9)
    np.testing.assert_allclose(np.vdot(w, patches.backward_weight(x, g, kernel, **geometry)), whole, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 8])
def test_an_infinite_input_reaches_what_it_must_and_no_more(channels: int) -> None:
    x = np.ones((1, channels, 5, 5))
    x[0, 0, 0, 4] = np.inf  # the end of a row: seen by the last tap of the first row alone
    w = np.ones((1, channels, 3, 3))
    none, ones = ((0, 0), (0, 0)), (1, 1)
    y = patches.forward(x, w, ones, none, ones, 1)
    np.testing.assert_array_equal(np.argwhere(~np.isfinite(y)), [[0, 0, 0, 2]])
    gw = patches.backward_weight(x, np.ones((1, 1, 3, 3)), (3, 3), ones, none, ones, 1)
    np.testing.assert_array_equal(np.argwhere(~np.isfinite(gw)), [[0, 0, 0, 2]])
