"""Linear algebra: systems of equations, inverses, determinants, powers, diagonals. All work on stacks of matrices.

Derivatives: Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation (2008), unless another source is named.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import COMPLEX, DType, complex64, float32, float64, int64
from ..base.errors import ArgumentError, ShapeError
from ..base.shapes import as_axis, as_index, broadcast
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .arithmetic import multiply
from .complex import imag
from .contraction import matmul
from .creation import tril, triu
from .einsum import conjugated
from .joining import concat
from .movement import broadcast_to, matrix_transpose, roll
from .operands import operand
from .reduce import sum as sum_

linalg = "linalg"


def adjoint(x: Any) -> Any:
    """The conjugate transpose, of matrices in the last two axes."""
    return conjugated(matrix_transpose(x))


def real_of(dtype: DType) -> DType:
    """The dtype of the absolute values of numbers of `dtype`."""
    return dtype if dtype.char not in COMPLEX else float32 if dtype == complex64 else float64


def matrices(x: Any, where: str) -> Any:
    """`x`, if its last two axes can be matrices."""
    if len(x.shape) < 2:
        raise ShapeError(f"{where}: expected matrices, shape (..., M, N), got shape {x.shape}.")
    return x


def square(x: Any, where: str) -> Any:
    """`x`, if its last two axes are square matrices."""
    matrices(x, where)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{where}: expected square matrices, shape (..., M, M), got shape {x.shape}.")
    return x


def well_conditioned(rng: Any, *shape: int) -> Any:
    """Random matrices far from singular ones."""
    x = rng.normal(size=shape)
    return x + 3 * np.eye(shape[-1])


# --- equations and inverses ----------------------------------------------------------------------------


def _solve_spec(x1: Any, x2: Any) -> Spec:
    square(x1, "solve")
    m = x1.shape[-1]
    rows = x2.shape[0] if len(x2.shape) == 1 else x2.shape[-2] if x2.shape else None
    if rows != m:
        raise ShapeError(
            f"solve: x1 has {m} rows, x2 of shape {x2.shape} has {rows}; expected (M,), or matrices (..., M, K) "
            "(a stack of vectors needs a last axis of size 1)."
        )
    if len(x2.shape) == 1:
        return Spec(x1.shape[:-1], x1.dtype)
    return Spec((*broadcast(x1.shape[:-2], x2.shape[:-2], where="solve"), m, x2.shape[-1]), x1.dtype)


def _solve_vjp(g: Any, out: Any, x1: Any, x2: Any) -> Any:
    vector = x2.ndim == 1
    column = solve(adjoint(x1), g[..., None] if vector and x1.ndim > 2 else g)
    if vector and x1.ndim > 2:
        return -matmul(column, conjugated(out[..., None, :])), column[..., 0]
    if vector:
        return -(column[:, None] * conjugated(out)), column
    return -matmul(column, adjoint(out)), column


@op(
    namespace=linalg, infer=_solve_spec, vjp=_solve_vjp, saves="out x1", dtypes="floating-point", array_api=True,
    samples=lambda rng: [
        ((well_conditioned(rng, 3, 3), rng.normal(size=3)), {}),
        ((well_conditioned(rng, 2, 2, 2), rng.normal(size=(2, 3))), {}),
        ((well_conditioned(rng, 2, 2, 2), rng.normal(size=2)), {}),
    ],
)  # fmt: skip
def solve(x1: Any, x2: Any, /) -> Any:
    """The solution x of x1 @ x = x2, for x2 of shape (M,) or (..., M, K).

    Raises:
        ArgumentError: x1 is singular.

    >>> import backlit as bl
    >>> bl.linalg.solve(bl.tensor([[2.0, 0.0], [0.0, 4.0]]), bl.tensor([2.0, 2.0]))
    tensor([1. , 0.5], dtype=float32)
    """
    _solve_spec(x1, x2)
    try:
        return np.linalg.solve(x1, x2)
    except np.linalg.LinAlgError:
        raise singular("solve", x1, "least squares: bl.linalg.lstsq(x1, x2)") from None


def singular(where: str, x: Any, mend: str) -> ArgumentError:
    """The error for a matrix that has no inverse."""
    which = "one of the matrices is" if len(x.shape) > 2 else "the matrix is"
    return ArgumentError(f"{where}: {which} singular (shape {x.shape}); its columns depend on each other. Use {mend}.")


@op(
    namespace=linalg, infer=lambda x: Spec(square(x, "inv").shape, x.dtype), saves="out", dtypes="floating-point",
    vjp=lambda g, out, x: (-matmul(adjoint(out), matmul(g, adjoint(out))),), array_api=True,
    samples=lambda rng: [((well_conditioned(rng, 3, 3),), {}), ((well_conditioned(rng, 2, 2, 2),), {})],
)  # fmt: skip
def inv(x: Any, /) -> Any:
    """The inverses of square matrices. To solve equations use `solve`, which is faster and more accurate."""
    try:
        return np.linalg.inv(square(x, "inv"))
    except np.linalg.LinAlgError:
        raise singular("inv", x, "bl.linalg.pinv") from None


@op(
    namespace=linalg, infer=lambda x: Spec(square(x, "det").shape[:-2], x.dtype), saves="x", dtypes="floating-point",
    vjp=lambda g, out, x: (g[..., None, None] * conjugated(cofactors(x)),), onnx="Det", array_api=True,
    samples=lambda rng: [((rng.normal(size=(3, 3)),), {}), ((well_conditioned(rng, 2, 2, 2),), {})],
)  # fmt: skip
def det(x: Any, /) -> Any:
    """The determinants of square matrices. The gradient, the matrix of cofactors, exists for singular ones too."""
    return np.linalg.det(square(x, "det"))


def _cofactors_vjp(g: Any, out: Any, x: Any) -> Any:
    """Of det(x) · inv(x).T by the product rule."""
    inverse = inv(x)
    through_det = sum_(g * conjugated(matrix_transpose(inverse)), axis=(-2, -1), keepdims=True) * conjugated(out)
    through_inv = matmul(adjoint(inverse), matmul(matrix_transpose(g), adjoint(inverse)))
    return (through_det - conjugated(det(x))[..., None, None] * through_inv,)


@op(
    namespace="hidden", infer=lambda x: Spec(square(x, "det").shape, x.dtype), saves="out x", dtypes="floating-point",
    vjp=_cofactors_vjp, samples=lambda rng: [((well_conditioned(rng, 3, 3),), {})],
)  # fmt: skip
def cofactors(x: Any, /) -> Any:
    """The matrix of cofactors, det(x) · inv(x).T continued to singular x: from the SVD (Stewart 1998)."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    n = s.shape[-1]
    others = np.prod(np.where(np.eye(n, dtype=bool), s.dtype.type(1), s[..., None, :]), axis=-1)
    turn = np.linalg.det(u) * np.linalg.det(vh)
    return turn[..., None, None] * np.conj((u * others[..., None, :]) @ vh)


class SlogdetResult(NamedTuple):
    """The determinant as `sign · exp(logabsdet)`."""

    sign: Any
    logabsdet: Any


def _slogdet_vjp(g: Any, out: Any, x: Any) -> Any:
    weight = g[1]
    if x.dtype.char in COMPLEX:  # the sign turns with the imaginary part of d log det = tr(inv(x) dx)
        weight = weight + 1j * imag(g[0] * conjugated(out[0]))
    return (weight[..., None, None] * adjoint(inv(x)),)


@op(
    namespace=linalg, results=SlogdetResult, saves="out x", dtypes="floating-point", vjp=_slogdet_vjp, array_api=True,
    infer=lambda x: (Spec(square(x, "slogdet").shape[:-2], x.dtype), Spec(x.shape[:-2], real_of(x.dtype))),
    samples=lambda rng: [((rng.normal(size=(3, 3)),), {}), ((well_conditioned(rng, 2, 2, 2),), {})],
)  # fmt: skip
def slogdet(x: Any, /) -> Any:
    """Sign and logarithm of the absolute value of the determinants: safe where these over- or underflow.

    For a singular matrix sign is 0 and logabsdet -inf; there is no gradient there (an error says so).
    """
    return SlogdetResult(*np.linalg.slogdet(square(x, "slogdet")))


def _pinv_vjp(g: Any, out: Any, x: Any, *, rtol: float | None) -> Any:
    """Golub & Pereyra, The differentiation of pseudo-inverses and nonlinear least squares (1973), equation 4.12."""
    outh, gh = adjoint(out), adjoint(g)
    first = matmul(outh, matmul(g, outh))
    tall = matmul(gh, matmul(out, outh))
    wide = matmul(matmul(outh, out), gh)
    return (tall - matmul(x, matmul(out, tall)) + wide - matmul(matmul(wide, out), x) - first,)


def _pinv_params(x: Any, /, *, rtol: float | None = None) -> Any:
    return (operand(x),), {"rtol": None if rtol is None else float(rtol)}


@op(
    namespace=linalg, prepare=_pinv_params, saves="out x", dtypes="floating-point", vjp=_pinv_vjp, array_api=True,
    infer=lambda x, *, rtol: Spec((*matrices(x, "pinv").shape[:-2], x.shape[-1], x.shape[-2]), x.dtype),
    samples=lambda rng: [((rng.normal(size=(3, 2)),), {}), ((rng.normal(size=(2, 2, 3)),), {"rtol": 1e-6})],
)  # fmt: skip
def pinv(x: Any, /, *, rtol: Any) -> Any:
    """The Moore-Penrose pseudo-inverses of matrices.

    Args:
        rtol: singular values up to `rtol` times the largest count as zero; by default max(M, N) times the
            machine epsilon.

    The derivative is that among matrices of the same rank, for only there the pseudo-inverse is continuous.
    """
    return np.linalg.pinv(matrices(x, "pinv"), rtol=rtol)


@composite(
    namespace=linalg, dtypes="floating-point",
    samples=lambda rng: [((rng.normal(size=(4, 2)), rng.normal(size=4)), {}),
                         ((rng.normal(size=(2, 3)), rng.normal(size=(2, 2))), {})],
)  # fmt: skip
def lstsq(x1: Any, x2: Any, /, *, rtol: float | None = None) -> Any:
    """The x that minimises the length of x1 @ x - x2, and where several do, the shortest of them: pinv(x1) @ x2."""
    return matmul(pinv(x1, rtol=rtol), operand(x2))


@composite(
    namespace=linalg, dtypes="floating-point",
    samples=lambda rng: [
        ((well_conditioned(rng, 3, 3), rng.normal(size=(3, 2))), {}),
        ((well_conditioned(rng, 2, 2), rng.normal(size=2)), {"upper": True, "unit_diagonal": True}),
    ],
)  # fmt: skip
def solve_triangular(x1: Any, x2: Any, /, *, upper: bool = False, unit_diagonal: bool = False) -> Any:
    """The solution x of x1 @ x = x2, reading the lower (or `upper`) triangle of x1, its diagonal as ones if told so."""
    x1 = square(operand(x1), "solve_triangular")
    off = 1 if unit_diagonal else 0
    part = triu(x1, k=off) if upper else tril(x1, k=-off)
    return solve(part + np.eye(x1.shape[-1], dtype=x1.dtype) if unit_diagonal else part, x2)


# --- powers --------------------------------------------------------------------------------------------


@composite(
    namespace=linalg, dtypes="floating-point", array_api=True,
    samples=lambda rng: [((well_conditioned(rng, 2, 2), n), {}) for n in (3, 1, -2)],
)  # fmt: skip
def matrix_power(x: Any, n: int, /) -> Any:
    """Square matrices multiplied with themselves `n` times; a negative `n` inverts, 0 gives the identity."""
    x = square(operand(x), "matrix_power")
    n = as_index(n, "n", "matrix_power")
    if n == 0:
        return broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    base = inv(x) if n < 0 else x
    n = abs(n)
    result: Any = None
    while n:
        if n & 1:
            result = base if result is None else matmul(result, base)
        n >>= 1
        if n:
            base = matmul(base, base)
    return result


def _expm_vjp(g: Any, out: Any, x: Any) -> Any:
    """The upper right block of expm([[x, g], [0, x]]) is the derivative at x along g (Higham, section 10.6)."""
    xh, n = adjoint(x), x.shape[-1]
    zero = np.zeros(x.shape, x.dtype)
    block = concat([concat([xh, g], axis=-1), concat([zero, xh], axis=-1)], axis=-2)
    return (expm(block)[..., :n, n:],)


@op(
    namespace=linalg, infer=lambda x: Spec(square(x, "expm").shape, x.dtype), saves="x", vjp=_expm_vjp,
    dtypes="floating-point", samples=lambda rng: [((rng.normal(size=s),), {}) for s in ((2, 2), (2, 2, 2))],
)  # fmt: skip
def expm(x: Any, /) -> Any:
    """The exponential of square matrices, by scaling and squaring of a Padé approximation of degree 13.

    Source: Higham, The scaling and squaring method for the matrix exponential revisited (2005), algorithm 2.3.
    """
    square(x, "expm")
    norms = np.abs(x).sum(axis=-2).max(axis=-1, initial=0)
    squarings = np.maximum(np.ceil(np.log2(np.maximum(norms, 1e-30) / 5.371920351148152)), 0)
    y = x / (2.0**squarings).astype(x.dtype)[..., None, None]
    b = _PADE13
    one = np.eye(x.shape[-1], dtype=x.dtype)
    y2 = y @ y
    y4 = y2 @ y2
    y6 = y4 @ y2
    odd = y @ (y6 @ (b[13] * y6 + b[11] * y4 + b[9] * y2) + b[7] * y6 + b[5] * y4 + b[3] * y2 + b[1] * one)
    even = y6 @ (b[12] * y6 + b[10] * y4 + b[8] * y2) + b[6] * y6 + b[4] * y4 + b[2] * y2 + b[0] * one
    result = np.linalg.solve(even - odd, even + odd)
    for i in range(int(squarings.max(initial=0))):
        result = np.where((squarings > i)[..., None, None], result @ result, result)
    return result


#: Coefficients of the approximation, divided by the first.
_PADE13 = tuple(accumulate(range(13), lambda b, k: b * (13 - k) / ((26 - k) * (k + 1)), initial=1.0))


# --- rank, cross products, diagonals -------------------------------------------------------------------


def _rank_params(x: Any, /, *, rtol: float | None = None) -> Any:
    return (operand(x),), {"rtol": None if rtol is None else float(rtol)}


@op(
    namespace=linalg, prepare=_rank_params, nondiff="a rank is a whole number", dtypes="floating-point", array_api=True,
    infer=lambda x, *, rtol: Spec(matrices(x, "matrix_rank").shape[:-2], int64),
    samples=lambda rng: [((rng.normal(size=(3, 2)),), {}), ((np.ones((2, 2, 2)),), {"rtol": 0.1})],
)  # fmt: skip
def matrix_rank(x: Any, /, *, rtol: float | None) -> Any:
    """How many singular values of each matrix exceed `rtol` times the largest (by default max(M, N) times epsilon)."""
    return np.asarray(np.linalg.matrix_rank(matrices(x, "matrix_rank"), rtol=rtol), np.int64)


@composite(
    namespace=linalg, dtypes="numeric", array_api=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}),
        ((rng.normal(size=(3, 2)), rng.normal(size=(3, 1))), {"axis": -2}),
    ],
)  # fmt: skip
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors with 3 elements along `axis`; other axes broadcast."""
    x1, x2 = operand(x1), operand(x2)
    at1, at2 = as_axis(axis, len(x1.shape), "cross"), as_axis(axis, len(x2.shape), "cross")
    if x1.shape[at1] != 3 or x2.shape[at2] != 3:
        raise ShapeError(f"cross: expected 3 elements along axis {axis}, got shapes {x1.shape} and {x2.shape}.")
    return multiply(roll(x1, -1, axis=at1), roll(x2, 1, axis=at2)) - multiply(
        roll(x1, 1, axis=at1), roll(x2, -1, axis=at2)
    )


def _diagonal_length(m: int, n: int, offset: int) -> int:
    return max(0, min(m + min(offset, 0), n - max(offset, 0)))


def _diagonal_params(x: Any, /, *, offset: int = 0) -> Any:
    return (matrices(operand(x), "diagonal"),), {"offset": as_index(offset, "offset", "diagonal")}


def _diagonal_spec(x: Any, *, offset: int) -> Spec:
    return Spec((*x.shape[:-2], _diagonal_length(x.shape[-2], x.shape[-1], offset)), x.dtype)


@op(
    namespace=linalg, prepare=_diagonal_params, infer=_diagonal_spec, saves="", traits="jointly_linear", array_api=True,
    transpose=(lambda g, x, *, offset: from_diagonal(g, size=tuple(x.shape[-2:]), offset=offset),),
    samples=lambda rng: [((rng.normal(size=(2, 3, 2)),), {"offset": k}) for k in (0, 1, -2)],
)  # fmt: skip
def diagonal(x: Any, /, *, offset: int) -> Any:
    """The diagonals of matrices; `offset` counts to the right of the main one."""
    return np.diagonal(x, offset, -2, -1)


@op(
    namespace="hidden", infer=lambda g, *, size, offset: Spec((*g.shape[:-1], *size), g.dtype), saves="",
    traits="jointly_linear", transpose=(lambda ct, g, *, size, offset: diagonal(ct, offset=offset),),
    samples=lambda rng: [((rng.normal(size=(2, 2)),), {"size": (3, 2), "offset": 0}),
                         ((rng.normal(size=1),), {"size": (2, 3), "offset": 2})],
)  # fmt: skip
def from_diagonal(g: Any, /, *, size: tuple[int, int], offset: int) -> Any:
    """The transpose of `diagonal`: matrices that are zero outside their diagonal `g`."""
    result = np.zeros((*g.shape[:-1], *size), g.dtype)
    i = np.arange(g.shape[-1])
    result[..., i - min(offset, 0), i + max(offset, 0)] = g
    return result


@composite(
    namespace=linalg, dtypes="numeric", array_api=True,
    samples=lambda rng: [((rng.normal(size=(3, 3)),), {}), ((rng.normal(size=(2, 2, 3)),), {"offset": 1})],
)  # fmt: skip
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of each matrix' diagonal; `dtype` as in `sum`."""
    return sum_(diagonal(x, offset=offset), axis=-1, dtype=dtype)
