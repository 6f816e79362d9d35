"""Fourier transforms and linear algebra beside PyTorch: values and derivatives of order 1 and 2, real and complex."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import backlit as bl

from .both import agree

torch = pytest.importorskip("torch")
mine, theirs = bl.linalg, torch.linalg
LENGTHS = [None, 3, 4, 7, 8]
AXES = [(None, None), ((4, 5), (1, 2)), ((6, 2), (0, 2)), (None, (2, 0))]
NORMS = ["backward", "ortho", "forward"]


@pytest.fixture(params=[False, True], ids=["real", "complex"])
def draw(request: pytest.FixtureRequest) -> Any:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return rng.normal(size=shape) + (1j * rng.normal(size=shape) if request.param else 0)

    return normal


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fft", "ifft", "irfft", "hfft", "rfft", "ihfft"])
def test_fft_over_one_axis(name: str, norm: str, draw: Any) -> None:
    x = draw(5, 4)
    if x.dtype.kind == "c" and name in ("rfft", "ihfft"):
        x = x.real
    for n in LENGTHS:
        for axis in (-1, 0):
            agree(
                lambda x, n=n, axis=axis: getattr(bl.fft, name)(x, n=n, axis=axis, norm=norm),
                lambda x, n=n, axis=axis: getattr(torch.fft, name)(x, n=n, dim=axis, norm=norm),
                [x],
            )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "irfftn", "rfftn"])
def test_fft_over_several_axes(name: str, norm: str, draw: Any) -> None:
    x = draw(3, 4, 5)
    x = x.real if name == "rfftn" else x
    for s, axes in AXES:
        agree(
            lambda x, s=s, axes=axes: getattr(bl.fft, name)(x, s=s, axes=axes, norm=norm),
            lambda x, s=s, axes=axes: getattr(torch.fft, name)(x, s=s, dim=axes, norm=norm),
            [x],
        )


def test_equations_and_inverses(draw: Any) -> None:
    a = draw(2, 3, 3) + 3 * np.eye(3)
    agree(mine.solve, theirs.solve, [a, draw(2, 3, 2)])
    agree(mine.solve, theirs.solve, [a[0], draw(3)])
    agree(mine.inv, theirs.inv, [a])
    agree(mine.det, theirs.det, [a])
    agree(mine.slogdet, theirs.slogdet, [a])
    agree(mine.pinv, theirs.pinv, [draw(2, 4, 3)])
    agree(mine.pinv, theirs.pinv, [draw(2, 2, 3)])
    for n in (1, 2, 3, 5, -2):
        agree(lambda x, n=n: mine.matrix_power(x, n), lambda x, n=n: theirs.matrix_power(x, n), [a])
    agree(mine.expm, theirs.matrix_exp, [draw(2, 3, 3) * 2], tol=1e-9)
    agree(mine.cross, theirs.cross, [draw(4, 3), draw(4, 3)])
    agree(mine.trace, torch.trace, [draw(3, 3)])
    agree(lambda x: mine.diagonal(x, offset=1), lambda x: torch.diagonal(x, 1, -2, -1), [draw(2, 3, 4)])


def hermitian(f: Any) -> Any:
    """PyTorch reads one triangle and Backlit takes the Hermitian part: compare on that."""
    return lambda x: f((x + x.mT.conj()) / 2)


def positive(draw: Any) -> Any:
    x = draw(2, 3, 3) + 3 * np.eye(3)
    return x @ np.conj(np.swapaxes(x, -1, -2))


def test_cholesky_and_qr(draw: Any) -> None:
    x = positive(draw)
    agree(mine.cholesky, hermitian(theirs.cholesky), [x])
    agree(lambda x: mine.cholesky(x, upper=True), hermitian(lambda x: theirs.cholesky(x, upper=True)), [x])
    for shape in ((2, 4, 3), (2, 2, 3), (3, 3)):
        agree(mine.qr, theirs.qr, [draw(*shape)])


def test_eigenvalues(draw: Any) -> None:
    def ours(f: Any) -> Any:  # magnitudes do not depend on sign and phase of the vectors
        return lambda x: (f(x)[0], bl.abs(f(x)[1]))

    def other(f: Any) -> Any:
        return lambda x: (f(x)[0], f(x)[1].abs())

    x = positive(draw)
    agree(mine.eigvalsh, hermitian(theirs.eigvalsh), [x])
    agree(ours(mine.eigh), hermitian(other(theirs.eigh)), [x])
    a = draw(3, 3) + np.diag([0.0, 2.0, 5.0])
    w = np.linalg.eigvals(a)
    order = np.argsort(w.real)
    assert np.diff(w.real[order]).min() > 0.1
    agree(lambda x: mine.eigvals(x)[np.argsort(mine.eigvals(x).numpy().real)], by_real(theirs.eigvals), [a], tol=1e-8)
    agree(lambda x: sorted_pair(*ours(mine.eig)(x)), lambda x: sorted_pair(*other(theirs.eig)(x)), [a], tol=1e-8)


def by_real(f: Any) -> Any:
    return lambda x: f(x)[np.argsort(f(x).detach().resolve_conj().numpy().real)]


def sorted_pair(w: Any, v: Any) -> Any:
    values = w.numpy() if isinstance(w, bl.Tensor) else w.detach().resolve_conj().numpy()
    order = np.argsort(values.real)
    return w[order], v[:, order]


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 2, 3), (3, 3)])
def test_singular_values(shape: tuple[int, ...], draw: Any) -> None:
    def ours(x: Any) -> Any:
        u, s, vh = mine.svd(x, full_matrices=False)
        return bl.abs(u), s, bl.abs(vh), u @ vh

    def other(x: Any) -> Any:
        u, s, vh = theirs.svd(x, full_matrices=False)
        return u.abs(), s, vh.abs(), u @ vh

    x = draw(*shape)
    agree(ours, other, [x], tol=1e-8)
    agree(mine.svdvals, theirs.svdvals, [x])


@pytest.mark.parametrize("order", [2, 1, 3, 0.5, math.inf, -math.inf, -1.5])
def test_vector_norms(order: float, draw: Any) -> None:
    agree(lambda x: mine.vector_norm(x, ord=order, axis=1), lambda x: theirs.vector_norm(x, order, 1), [draw(3, 4)])


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf], ids=str)
def test_matrix_norms(order: Any, draw: Any) -> None:
    agree(lambda x: mine.matrix_norm(x, ord=order), lambda x: theirs.matrix_norm(x, order), [draw(2, 3, 4)], tol=1e-9)
