"""Factorisations of matrices: Cholesky, QR, eigenvalues, singular values. All work on stacks of matrices.

A factor that the matrix does not determine (eigenvectors of a repeated eigenvalue) has no derivative. The formulas
then divide by zero, and the gradient of whatever depends on it is infinite or NaN, never a plausible wrong number;
what depends on the eigenvalues alone is right. Where the shape decides, an error is raised.

`cholesky`, `eigh` and `eigvalsh` take the Hermitian part (x + xᴴ)/2 of their input, so that their gradient is
Hermitian and agrees with what any change of the input does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import COMPLEX, DType, complex64, complex128, float32
from ..base.errors import ArgumentError, GradientError
from ..graph.op import op
from ..graph.opdef import Spec
from .arithmetic import masked_multiply
from .complex import imag
from .contraction import matmul
from .creation import tril, triu
from .einsum import conjugated
from .joining import concat
from .linalg import adjoint, diagonal, from_diagonal, linalg, matrices, real_of, solve, square
from .operands import operand


def _hermitian(x: Any, where: str) -> Any:
    square(x, where)
    return (x + np.conj(np.swapaxes(x, -1, -2))) / 2


def _symmetric(rng: Any, *shape: int) -> Any:
    """Random symmetric positive definite matrices with eigenvalues well apart."""
    q = np.linalg.qr(rng.normal(size=shape))[0]
    return (q * (1.0 + np.arange(shape[-1]))) @ np.swapaxes(q, -1, -2)


def _outside(n: int, dtype: Any) -> Any:
    """Ones off the diagonal."""
    return 1 - np.eye(n, dtype=dtype)


def _inverse_gaps(values: Any) -> Any:
    """The matrix 1 / (values[j] - values[i]), with ones on its diagonal: infinite for two equal values."""
    gaps = values[..., None, :] - values[..., :, None]
    return 1 / (gaps + np.eye(values.shape[-1], dtype=values.dtype))


def _diagonal_matrix(values: Any) -> Any:
    n = values.shape[-1]
    return from_diagonal(values, size=(n, n), offset=0)


# --- Cholesky and QR -----------------------------------------------------------------------------------


def _cholesky_params(x: Any, /, *, upper: bool = False) -> Any:
    return (operand(x),), {"upper": bool(upper)}


def _cholesky_vjp(g: Any, out: Any, x: Any, *, upper: bool) -> Any:
    """Murray, Differentiation of the Cholesky decomposition (2016), equation 10."""
    lower = adjoint(out) if upper else out
    g = adjoint(g) if upper else g
    part = tril(matmul(adjoint(lower), g))
    part = part * (1 - 0.5 * np.eye(x.shape[-1], dtype=x.dtype))
    left = solve(adjoint(lower), part)
    ct = adjoint(solve(adjoint(lower), adjoint(left)))
    return ((ct + adjoint(ct)) * 0.5,)


@op(
    namespace=linalg, prepare=_cholesky_params, saves="out", dtypes="floating-point", vjp=_cholesky_vjp, array_api=True,
    infer=lambda x, *, upper: Spec(square(x, "cholesky").shape, x.dtype),
    samples=lambda rng: [((_symmetric(rng, 3, 3),), {}), ((_symmetric(rng, 2, 2, 2),), {"upper": True})],
)  # fmt: skip
def cholesky(x: Any, /, *, upper: bool) -> Any:
    """The lower triangular L with x = L Lᴴ, or with `upper` U = Lᴴ, for Hermitian positive definite x.

    Raises:
        ArgumentError: x is not positive definite.
    """
    try:
        lower = np.linalg.cholesky(_hermitian(x, "cholesky"))
    except np.linalg.LinAlgError:
        raise ArgumentError(
            f"cholesky: the matrix (shape {x.shape}) is not positive definite; its eigenvalues must be positive. "
            "Rounding can make them negative: add a small multiple of the identity."
        ) from None
    return np.conj(np.swapaxes(lower, -1, -2)) if upper else lower


class QRResult(NamedTuple):
    """Orthonormal columns `Q` and upper triangular `R`."""

    Q: Any
    R: Any


def _qr_params(x: Any, /, *, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete"):
        raise ArgumentError(f"qr: mode={mode!r}; expected 'reduced' or 'complete'.")
    return (matrices(operand(x), "qr"),), {"mode": mode}


def _qr_spec(x: Any, *, mode: str) -> Any:
    *front, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    return Spec((*front, m, k), x.dtype), Spec((*front, k, n), x.dtype)


def _qr_vjp(g: Any, out: Any, x: Any, *, mode: str) -> Any:
    """Walter & Lehmann, Algorithmic differentiation of linear algebra functions (2013); Seeger et al. (2017)."""
    m, n = x.shape[-2:]
    (gq, gr), (q, r) = g, out
    if m >= n:
        if mode == "complete" and m > n:
            raise GradientError(
                f"qr: mode='complete' has no derivative for {m} x {n} matrices: the last {m - n} columns of Q are not "
                "determined. Use mode='reduced'."
            )
        return (_square_qr_vjp(gq, gr, q, r),)
    # [x1 x2] = Q [R1 R2]: Q and R1 come from the square x1, and R2 = Qᴴ x2.
    gr1, gr2 = gr[..., :m], gr[..., m:]
    first = _square_qr_vjp(gq + matmul(x[..., m:], adjoint(gr2)), gr1, q, r[..., :m])
    return (concat([first, matmul(q, gr2)], axis=-1),)


def _square_qr_vjp(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    half = triu(matmul(gr, adjoint(r)) - matmul(adjoint(q), gq))
    whole = (half + adjoint(half)) * (1 - 0.5 * np.eye(r.shape[-1], dtype=r.dtype))
    return adjoint(solve(r, adjoint(gq + matmul(q, whole))))


@op(
    namespace=linalg, prepare=_qr_params, infer=_qr_spec, results=QRResult, saves="out x", dtypes="floating-point",
    vjp=_qr_vjp, array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=(3, 2)),), {}),
        ((rng.normal(size=(2, 2, 3)),), {}),
        ((rng.normal(size=(2, 2)),), {"mode": "complete"}),
    ],
)  # fmt: skip
def qr(x: Any, /, *, mode: Any) -> Any:
    """x = Q R with orthonormal columns in Q and upper triangular R, for x of shape (..., M, N).

    Args:
        mode: "reduced" (Q is M x K with K = min(M, N)) or "complete" (Q is M x M; not differentiable where M > N).

    The derivative needs the first min(M, N) columns to be independent; where not, an error says so.
    """
    return QRResult(*np.linalg.qr(x, mode))


# --- eigenvalues ---------------------------------------------------------------------------------------


class EighResult(NamedTuple):
    """Real eigenvalues in ascending order, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Complex eigenvalues, and eigenvectors of length 1 as columns."""

    eigenvalues: Any
    eigenvectors: Any


def _eigh_vjp(g: Any, out: Any, x: Any) -> Any:
    """Giles (2008), section 3.1, with the Hermitian part taken."""
    (gw, gv), (w, v) = g, out
    turn = masked_multiply(matmul(adjoint(v), gv) * _outside(x.shape[-1], x.dtype), _inverse_gaps(w))
    inner = turn + _diagonal_matrix(gw)
    ct = matmul(v, matmul(inner, adjoint(v)))
    return ((ct + adjoint(ct)) * 0.5,)


@op(
    namespace=linalg, results=EighResult, saves="out", dtypes="floating-point", vjp=_eigh_vjp, array_api=True,
    infer=lambda x: (Spec(square(x, "eigh").shape[:-1], real_of(x.dtype)), Spec(x.shape, x.dtype)),
    samples=lambda rng: [((_symmetric(rng, 3, 3),), {}), ((_symmetric(rng, 2, 2, 2),), {})],
)  # fmt: skip
def eigh(x: Any, /) -> Any:
    """Eigenvalues and eigenvectors of Hermitian matrices: x = V diag(w) Vᴴ.

    Eigenvectors of a repeated eigenvalue have no derivative (see the head of this file): what depends on them has an
    infinite or NaN gradient. Of complex eigenvectors only what does not depend on their phase is differentiable.
    """
    return EighResult(*np.linalg.eigh(_hermitian(x, "eigh")))


def _eigvalsh_vjp(g: Any, out: Any, x: Any) -> Any:
    v = eigh(x)[1]
    return (matmul(v * g[..., None, :], adjoint(v)),)


@op(
    namespace=linalg, saves="x", dtypes="floating-point", array_api=True, vjp=_eigvalsh_vjp,
    infer=lambda x: Spec(square(x, "eigvalsh").shape[:-1], real_of(x.dtype)),
    samples=lambda rng: [((_symmetric(rng, 3, 3),), {}), ((_symmetric(rng, 2, 2, 2),), {})],
)  # fmt: skip
def eigvalsh(x: Any, /) -> Any:
    """The eigenvalues of Hermitian matrices, in ascending order. For repeated ones the gradient is a subgradient."""
    return np.linalg.eigvalsh(_hermitian(x, "eigvalsh"))


def _complex_of(dtype: DType) -> DType:
    return complex64 if dtype in (complex64, float32) else complex128


def _eig_vjp(g: Any, out: Any, x: Any) -> Any:
    """Boeddeker et al., On the computation of complex-valued gradients (2017), equation 4.77."""
    (gw, gv), (w, v) = g, out
    vh = adjoint(v)
    turn = matmul(vh, gv)
    turn = turn - matmul(vh, v) * (diagonal(turn) + conjugated(diagonal(turn)))[..., None, :] * 0.5
    turn = masked_multiply(turn * _outside(x.shape[-1], v.dtype), conjugated(_inverse_gaps(w)))
    return (solve(vh, matmul(turn + _diagonal_matrix(gw), vh)),)


@op(
    namespace=linalg, results=EigResult, saves="out", dtypes="floating-point", vjp=_eig_vjp,
    infer=lambda x: (Spec(square(x, "eig").shape[:-1], _complex_of(x.dtype)), Spec(x.shape, _complex_of(x.dtype))),
    samples=lambda rng: [((rng.normal(size=(3, 3)),), {})],
)  # fmt: skip
def eig(x: Any, /) -> Any:
    """Eigenvalues and eigenvectors of square matrices, always complex: x V = V diag(w).

    Differentiable where the eigenvalues differ, in what does not depend on the phase of the eigenvectors.
    """
    w, v = np.linalg.eig(square(x, "eig"))
    dtype = _complex_of(x.dtype)
    return EigResult(w.astype(dtype), v.astype(dtype))


def _eigvals_vjp(g: Any, out: Any, x: Any) -> Any:
    vh = adjoint(eig(x)[1])
    return (solve(vh, g[..., :, None] * vh),)


@op(
    namespace=linalg, saves="x", dtypes="floating-point", vjp=_eigvals_vjp,
    infer=lambda x: Spec(square(x, "eigvals").shape[:-1], _complex_of(x.dtype)),
    samples=lambda rng: [((rng.normal(size=(3, 3)),), {})],
)  # fmt: skip
def eigvals(x: Any, /) -> Any:
    """The eigenvalues of square matrices, always complex. Differentiable where they differ."""
    return np.linalg.eigvals(square(x, "eigvals")).astype(_complex_of(x.dtype))


# --- singular values -----------------------------------------------------------------------------------


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values in descending order, right singular vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def _svd_params(x: Any, /, *, full_matrices: bool = True) -> Any:
    return (matrices(operand(x), "svd"),), {"full_matrices": bool(full_matrices)}


def _svd_spec(x: Any, *, full_matrices: bool) -> Any:
    *front, m, n = x.shape
    k = min(m, n)
    u, v = (m, n) if full_matrices else (k, k)
    return Spec((*front, m, u), x.dtype), Spec((*front, k), real_of(x.dtype)), Spec((*front, v, n), x.dtype)


def _svd_vjp(g: Any, out: Any, x: Any, *, full_matrices: bool) -> Any:
    """Townsend, Differentiating the singular value decomposition (2016); the phase of complex vectors fixed in V."""
    m, n = x.shape[-2:]
    if full_matrices and m != n:
        raise GradientError(
            f"svd: full_matrices=True has no derivative for {m} x {n} matrices: the vectors "
            f"beyond the first {min(m, n)} are not determined. Use full_matrices=False, or svdvals."
        )
    (gu, gs, gvh), (u, s, vh) = g, out
    uh, gv = adjoint(u), adjoint(gvh)
    k = s.shape[-1]
    row, column = s[..., None, :], s[..., :, None]
    inverse = masked_multiply(_inverse_gaps(s), 1 / (row + column))
    turn_u, turn_v = matmul(uh, gu), matmul(vh, gv)
    outside = _outside(k, x.dtype)
    left = masked_multiply((turn_u - adjoint(turn_u)) * outside, inverse) * row
    right = masked_multiply((turn_v - adjoint(turn_v)) * outside, inverse) * column
    inner = left + right + _diagonal_matrix(gs)
    if x.dtype.char in COMPLEX:
        inner = inner + _diagonal_matrix(1j * masked_multiply(imag(diagonal(turn_u)), 1 / s))
    ct = matmul(u, matmul(inner, vh))
    if m > k:
        rest = gu - matmul(u, turn_u)
        ct = ct + matmul(masked_multiply(rest, 1 / row), vh)
    if n > k:
        rest = gvh - matmul(adjoint(turn_v), vh)
        ct = ct + matmul(u, masked_multiply(rest, 1 / column))
    return (ct,)


@op(
    namespace=linalg, prepare=_svd_params, infer=_svd_spec, results=SVDResult, saves="out", dtypes="floating-point",
    vjp=_svd_vjp, array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=(3, 2)),), {"full_matrices": False}),
        ((rng.normal(size=(2, 2, 3)),), {"full_matrices": False}),
        ((rng.normal(size=(2, 2)),), {}),
    ],
)  # fmt: skip
def svd(x: Any, /, *, full_matrices: bool) -> Any:
    """The singular value decomposition x = U diag(S) Vh, for x of shape (..., M, N).

    Args:
        full_matrices: U is M x M and Vh N x N; else they have only min(M, N) columns and rows. Full ones
            of matrices that are not square have no derivative.

    Vectors of repeated singular values have no derivative (see the head of this file): what depends on them has an
    infinite or NaN gradient. Of complex vectors only what does not depend on their common phase is differentiable.
    """
    return SVDResult(*np.linalg.svd(x, full_matrices=full_matrices))


def _svdvals_vjp(g: Any, out: Any, x: Any) -> Any:
    u, _, vh = svd(x, full_matrices=False)
    return (matmul(u * g[..., None, :], vh),)


@op(
    namespace=linalg, saves="x", dtypes="floating-point", vjp=_svdvals_vjp, array_api=True,
    infer=lambda x: Spec((*matrices(x, "svdvals").shape[:-2], min(x.shape[-2:])), real_of(x.dtype)),
    samples=lambda rng: [((rng.normal(size=(3, 2)),), {}), ((rng.normal(size=(2, 2, 3)),), {})],
)  # fmt: skip
def svdvals(x: Any, /) -> Any:
    """The singular values of matrices, in descending order. For repeated ones and 0 the gradient is a subgradient."""
    return np.linalg.svdvals(matrices(x, "svdvals"))
