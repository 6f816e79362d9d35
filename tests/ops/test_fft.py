"""Fourier transforms against NumPy: every function, length, axis and norm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl

RNG = np.random.default_rng(0)
fft: Any = bl.fft
SEVERAL = [(None, None), ((4, 5), (1, 2)), ((6, 2), (0, 2)), (None, (2, 0)), ((4, -1), (0, 1))]


def signal(*shape: int, real: bool = False) -> Any:
    x = RNG.normal(size=shape)
    return x if real else x + 1j * RNG.normal(size=shape)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [None, 3, 4, 7])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_axis(name: str, n: int | None, norm: Any) -> None:
    x = signal(5, 4, real=name in ("rfft", "ihfft"))
    for axis in (-1, 0):
        found = getattr(fft, name)(x, n=n, axis=axis, norm=norm)
        np.testing.assert_allclose(found.numpy(), getattr(np.fft, name)(x, n=n, axis=axis, norm=norm), atol=1e-13)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize(("s", "axes"), SEVERAL)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_several_axes(name: str, s: Any, axes: Any, norm: Any) -> None:
    x = signal(3, 4, 5, real=name == "rfftn")
    found = getattr(fft, name)(x, s=s, axes=axes, norm=norm)
    if name == "irfftn" and s is not None and s[-1] == -1:
        s = (s[0], 2 * (x.shape[axes[-1]] - 1))
    np.testing.assert_allclose(found.numpy(), getattr(np.fft, name)(x, s=s, axes=axes, norm=norm), atol=1e-13)


def test_lengths_without_axes_are_those_of_the_last() -> None:
    x = signal(3, 4, 5)
    np.testing.assert_allclose(fft.fftn(x, s=(2, 7)).numpy(), np.fft.fftn(x, (2, 7), axes=(-2, -1)))


@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
@pytest.mark.parametrize("axes", [None, 0, (0, 1), (-1,)])
def test_shifts(name: str, axes: Any) -> None:
    x = signal(3, 4)
    np.testing.assert_array_equal(getattr(fft, name)(x, axes=axes).numpy(), getattr(np.fft, name)(x, axes))


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies(n: int) -> None:
    for name in ("fftfreq", "rfftfreq"):
        found = getattr(fft, name)(n, d=0.1, dtype=bl.float64)
        np.testing.assert_array_equal(found.numpy(), getattr(np.fft, name)(n, 0.1))
        assert getattr(fft, name)(n).dtype == bl.float32


def test_dtypes() -> None:
    x = np.ones(4, np.float32)
    assert fft.fft(x).dtype == fft.rfft(x).dtype == fft.ihfft(x).dtype == bl.complex64
    assert fft.irfft(x).dtype == fft.hfft(x).dtype == bl.float32


def test_a_gradient_through_the_spectrum_is_parseval() -> None:
    x = bl.tensor(signal(7, real=True), requires_grad=True)
    y = fft.rfft(x, norm="ortho")
    weights = np.array([1, 2, 2, 2])
    bl.sum(bl.abs(y) ** 2 * weights).backward()  # the sum of squares of the signal
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.numpy(), rtol=1e-13)


WRONG = [
    (lambda: fft.rfft(signal(3)), bl.DtypeError, "rfft: expected a real input, got complex128"),
    (lambda: fft.fft(signal(3), norm="unitary"), bl.ArgumentError, "norm='unitary'; expected 'backward'"),
    (lambda: fft.fft(signal(3), n=0), bl.ArgumentError, "n=0; a transform has a length of 1 or more"),
    (lambda: fft.fft(signal(3), axis=1), bl.ShapeError, "axis 1 is out of range"),
    (lambda: fft.fft(signal(0)), bl.ShapeError, "is empty"),
    (lambda: fft.irfft(signal(1)), bl.ArgumentError, "give n"),
    (lambda: fft.fftn(signal(3, 3), s=(2,), axes=(0, 1)), bl.ArgumentError, "must have the same length"),
    (lambda: fft.fftn(signal(3), s=(2, 2)), bl.ShapeError, "names 2 sizes"),
    (lambda: fft.fftn(signal(3), axes=(0, 0)), bl.ShapeError, "twice"),
    (lambda: fft.rfftn(signal(3, real=True), axes=()), bl.ArgumentError, "one or more axes"),
    (lambda: fft.fftfreq(0), bl.ArgumentError, "fftfreq: n=0"),
    (lambda: fft.fftfreq(3, dtype=bl.int32), bl.DtypeError, "expected a real floating-point dtype"),
    (lambda: fft.fft(np.arange(3)), bl.DtypeError, "expected floating-point"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call()
