"""Linear algebra against NumPy and SciPy, and what happens where a matrix is singular or a factor not determined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import backlit as bl
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
linalg: Any = bl.linalg


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def unitary(*shape: int) -> Any:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def positive(n: int, draw: Any = normal) -> Any:
    x = draw(2, n, n)
    return x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(n)


VECTOR = (2, 1, 0, 3.5, -2, math.inf)
MATRIX = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
SAME = [
    ("solve", (normal(3, 3), normal(3)), {}), ("solve", (normal(2, 3, 3), normal(3, 2)), {}),
    ("solve", (normal(2, 3, 3), normal(3)), {}), ("inv", (normal(2, 3, 3),), {}), ("inv", (unitary(3, 3),), {}),
    ("det", (normal(2, 3, 3),), {}), ("det", (unitary(3, 3),), {}), ("slogdet", (normal(2, 3, 3),), {}),
    ("slogdet", (unitary(3, 3),), {}), ("slogdet", (np.zeros((2, 2)),), {}), ("pinv", (normal(2, 3, 2),), {}),
    ("pinv", (unitary(2, 3),), {}), ("pinv", (np.diag([1.0, 1e-3, 0.0]),), {"rtol": 1e-2}),
    ("matrix_power", (normal(2, 3, 3), 5), {}), ("matrix_power", (normal(2, 2), -3), {}),
    ("matrix_power", (normal(2, 2), 0), {}), ("matrix_power", (normal(2, 2), 1), {}),
    ("matrix_rank", (np.diag([1.0, 1e-3, 0.0]),), {}), ("matrix_rank", (np.diag([1.0, 1e-3, 0.0]),), {"rtol": 1e-2}),
    ("cross", (normal(2, 3), normal(3)), {}), ("cross", (normal(3, 2), normal(3, 1)), {"axis": 0}),
    ("diagonal", (normal(2, 3, 4),), {"offset": 2}), ("diagonal", (normal(3, 4),), {"offset": -2}),
    ("diagonal", (normal(3, 4),), {"offset": 9}), ("trace", (normal(2, 3, 4),), {"offset": 1}),
    ("trace", (np.ones((2, 2), np.int32),), {}), ("outer", (normal(2), normal(3)), {}),
    ("cholesky", (positive(3),), {}), ("cholesky", (positive(3, unitary),), {"upper": True}),
    ("eigvalsh", (positive(3),), {}), ("eigvalsh", (positive(3, unitary),), {}), ("svdvals", (normal(2, 3, 4),), {}),
    *[("vector_norm", (normal(2, 3, 4),), {"axis": (0, 2), "ord": p, "keepdims": p == 1}) for p in VECTOR],
    ("vector_norm", (unitary(2, 3),), {}), ("vector_norm", (normal(2, 3),), {"ord": -math.inf, "axis": -1}),
    *[("matrix_norm", (normal(2, 3, 4),), {"ord": p, "keepdims": p == 1}) for p in MATRIX],
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(SAME)))
def test_values_agree_with_numpy(i: int) -> None:
    name, args, kwargs = SAME[i]
    found = getattr(linalg, name)(*args, **kwargs)
    wanted = getattr(np.linalg, name)(*args, **kwargs)
    pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
    for a, b in pairs:
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("draw", [normal, unitary], ids=["real", "complex"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 3), (2, 3, 4)])
def test_factors_multiply_to_the_matrix(draw: Any, shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(x, mode=mode)
        np.testing.assert_allclose((q @ r).numpy(), x, atol=1e-13)
        assert q.shape == np.linalg.qr(x, mode)[0].shape
    for full in (False, True):
        u, s, vh = linalg.svd(x, full_matrices=full)
        k = s.shape[-1]
        np.testing.assert_allclose(((u[..., :k] * s[..., None, :]) @ vh[..., :k, :]).numpy(), x, atol=1e-13)
        assert s.dtype == bl.float64
    square = x @ np.conj(np.swapaxes(x, -1, -2))
    w, v = linalg.eigh(square)
    np.testing.assert_allclose(((v * w[..., None, :]) @ bl.conj(v).mT).numpy(), square, atol=1e-12)
    w, v = linalg.eig(square)
    np.testing.assert_allclose((v * w[..., None, :]).numpy(), (square @ v).numpy(), atol=1e-11)
    assert w.dtype == bl.complex128


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_expm_agrees_with_scipy(scale: float) -> None:
    x = normal(3, 4, 4) * scale * np.array([1.0, 0.1, 3.0])[:, None, None]
    found = linalg.expm(x).numpy()
    for a, b in zip(found, map(scipy.linalg.expm, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())


@pytest.mark.parametrize("shape", [(5, 2), (2, 5), (3, 3)])
def test_lstsq_agrees_with_scipy(shape: tuple[int, int]) -> None:
    a, b = normal(*shape), normal(shape[0], 2)
    np.testing.assert_allclose(linalg.lstsq(a, b).numpy(), scipy.linalg.lstsq(a, b)[0], atol=1e-10)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_solve_triangular_reads_one_triangle(upper: bool, unit: bool) -> None:
    a, b = normal(3, 3) + 3 * np.eye(3), normal(3, 2)
    found = linalg.solve_triangular(a, b, upper=upper, unit_diagonal=unit)
    np.testing.assert_allclose(found.numpy(), scipy.linalg.solve_triangular(a, b, lower=not upper, unit_diagonal=unit))


FLOAT32 = [
    "inv",
    "det",
    "slogdet",
    "cholesky",
    "qr",
    "eigh",
    "eigvalsh",
    "svd",
    "svdvals",
    "pinv",
    "expm",
    "vector_norm",
]


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_stays(name: str) -> None:
    out = getattr(linalg, name)(positive(3)[0].astype(np.float32))
    assert {a.dtype for a in (out if isinstance(out, tuple) else (out,))} == {bl.float32}


# --- where a matrix is singular, or does not determine a factor ----------------------------------------


def test_the_gradient_of_det_exists_for_singular_matrices() -> None:
    x = normal(3, 2) @ normal(2, 3)
    check_grad(linalg.det, (x,), order=1)
    check_grad(linalg.det, (np.zeros((2, 2)),), order=1)


def test_eigenvalues_may_be_repeated() -> None:
    x = bl.tensor(np.diag([1.0, 1.0, 2.0]), requires_grad=True)
    linalg.eigh(x).eigenvalues.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.eye(3), atol=1e-15)
    s = bl.tensor(np.eye(3)[:, :2], requires_grad=True)
    linalg.svd(s, full_matrices=False).S.sum().backward()
    np.testing.assert_allclose(s.grad.numpy(), np.eye(3)[:, :2], atol=1e-15)


def test_vectors_of_repeated_values_have_no_finite_gradient() -> None:
    x = bl.tensor(np.eye(3), requires_grad=True)
    (linalg.eigh(x).eigenvectors * normal(3, 3)).sum().backward()
    assert not np.isfinite(x.grad.numpy()).all()
    x = bl.tensor(np.eye(3), requires_grad=True)
    (linalg.svd(x).U * normal(3, 3)).sum().backward()
    assert not np.isfinite(x.grad.numpy()).all()


def test_the_gradient_of_a_symmetric_factorisation_is_symmetric() -> None:
    for f in (linalg.cholesky, linalg.eigvalsh):
        x = bl.tensor(positive(3)[0], requires_grad=True)
        f(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), x.grad.numpy().T)


def test_the_norm_has_a_gradient_of_zero_at_zero() -> None:
    for order in (2, 1, 3, 1.5):
        x = bl.tensor(np.zeros(3), requires_grad=True)
        linalg.vector_norm(x, ord=order).backward()
        assert x.grad.tolist() == [0, 0, 0]
    x = bl.tensor(np.array([[0.0, 0.0], [3.0, 4.0]]), requires_grad=True)
    linalg.vector_norm(x, axis=1).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0], [0.6, 0.8]])
    check_grad(lambda x: linalg.vector_norm(x, ord=3), (np.array([0.0, 1.0, -2.0]),), order=1)


WRONG = [
    (lambda x: linalg.inv(np.ones((2, 2))), bl.ArgumentError, "inv: the matrix is singular .*bl.linalg.pinv"),
    (lambda x: linalg.solve(np.ones((2, 2, 2)), normal(2)), bl.ArgumentError, "one of the matrices is singular.*lstsq"),
    (lambda x: linalg.inv(normal(2, 3)), bl.ShapeError, r"expected square matrices, shape \(..., M, M\)"),
    (lambda x: linalg.det(normal(2)), bl.ShapeError, "expected matrices"),
    (lambda x: linalg.solve(normal(3, 3), normal(2)), bl.ShapeError, "x1 has 3 rows, x2 of shape .* has 2"),
    (lambda x: linalg.cholesky(-np.eye(2)), bl.ArgumentError, "not positive definite"),
    (lambda x: linalg.qr(normal(2, 2), mode="full"), bl.ArgumentError, "mode='full'; expected 'reduced' or 'complete'"),
    (lambda x: linalg.qr(x, mode="complete").Q.sum().backward(), bl.GradientError, "Use mode='reduced'"),
    (lambda x: linalg.svd(x).U.sum().backward(), bl.GradientError, "Use full_matrices=False"),
    (lambda x: linalg.cross(normal(2), normal(2)), bl.ShapeError, "expected 3 elements along axis -1"),
    (lambda x: linalg.vector_norm(normal(2), ord="fro"), bl.ArgumentError, "ord='fro'; expected a number"),
    (lambda x: linalg.matrix_norm(normal(2, 2), ord=3), bl.ArgumentError, "ord=3; expected 'fro'"),
    (lambda x: linalg.matrix_power(normal(2, 2), 0.5), bl.ArgumentError, "n must be an integer"),
    (lambda x: linalg.inv(np.eye(2, dtype=int)), bl.DtypeError, "expected floating-point"),
    (lambda x: bl.sum(linalg.slogdet(x[:2] * 0)[1]).backward(), bl.ArgumentError, "singular"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call(bl.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True))
