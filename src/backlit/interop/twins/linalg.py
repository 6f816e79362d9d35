"""Twins of linear algebra. Eigenvectors and singular vectors are fixed up to a phase only, so a twin of theirs
brings its own to the phase of ours: see `aligned`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .record import Twin, Without


def _solved(solve: Callable[..., Any]) -> Callable[..., Any]:
    """Of a vector or of matrices."""

    def twin(m: Any, a: Any, b: Any) -> Any:
        return solve(m, a, b[:, None])[..., 0] if len(b.shape) == 1 else solve(m, a, b)

    return twin


def _hermitian(x: Any, transposed: Any) -> Any:
    """Functions of Hermitian matrices read one triangle in some libraries; here both count alike."""
    return (x + transposed) / 2


def _torch_hermitian(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda t, x, **params: f(t, _hermitian(x, x.mH), **params)


def _jax_hermitian(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda j, x, **params: f(j, _hermitian(x, j.numpy.conj(j.numpy.matrix_transpose(x))), **params)


def _tf_hermitian(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda tf, x, **params: f(tf, _hermitian(x, tf.linalg.adjoint(x)), **params)


def _tf_svd(tf: Any, x: Any, *, full_matrices: bool) -> Any:
    s, u, v = tf.linalg.svd(x, full_matrices=full_matrices)
    return u, s, tf.linalg.adjoint(v)


def _tf_solve(tf: Any, a: Any, b: Any) -> Any:
    batch = tf.broadcast_static_shape(a.shape[:-2], b.shape[:-2])
    a, b = (tf.broadcast_to(x, [*batch, *x.shape[-2:]]) for x in (a, b))
    return tf.linalg.solve(a, b)


def _rank(t: Any, x: Any, *, rtol: float | None) -> Any:
    return t.linalg.matrix_rank(x, rtol=rtol)


_NO_GENERAL = Without("TensorFlow has no derivative of the eigenvalues of matrices that are not Hermitian")

LINALG: dict[str, Twin] = {
    "solve": Twin(
        "linalg.solve",
        _solved(lambda j, a, b: j.numpy.linalg.solve(a, b)),
        _solved(_tf_solve),
    ),
    "inv": Twin("linalg.inv", "numpy.linalg.inv", "linalg.inv"),
    "det": Twin("linalg.det", "numpy.linalg.det", "linalg.det"),
    "slogdet": Twin("linalg.slogdet", "numpy.linalg.slogdet", "linalg.slogdet"),
    "cofactors": Twin(
        lambda t, x: t.linalg.det(x)[..., None, None] * t.linalg.inv(x).mT,
        lambda j, x: j.numpy.linalg.det(x)[..., None, None] * j.numpy.matrix_transpose(j.numpy.linalg.inv(x)),
        lambda tf, x: tf.linalg.det(x)[..., None, None] * tf.linalg.matrix_transpose(tf.linalg.inv(x)),
    ),
    "pinv": Twin(
        "linalg.pinv",
        lambda j, x, *, rtol: j.numpy.linalg.pinv(x, rtol=rtol),
        lambda tf, x, *, rtol: tf.linalg.pinv(x, rtol),
    ),
    "expm": Twin(
        "linalg.matrix_exp",
        lambda j, x: j.numpy.vectorize(j.scipy.linalg.expm, signature="(n,n)->(n,n)")(x),
        "linalg.expm",
    ),
    "matrix_rank": Twin(
        _rank,
        lambda j, x, *, rtol: j.numpy.linalg.matrix_rank(x, rtol=rtol),
        Without("TensorFlow counts singular values above an absolute limit"),
    ),
    "cholesky": Twin(
        _torch_hermitian(lambda t, x, *, upper: t.linalg.cholesky(x, upper=upper)),
        _jax_hermitian(lambda j, x, *, upper: j.numpy.linalg.cholesky(x, upper=upper)),
        _tf_hermitian(
            lambda tf, x, *, upper: tf.linalg.adjoint(tf.linalg.cholesky(x)) if upper else tf.linalg.cholesky(x)
        ),
    ),
    "qr": Twin(
        lambda t, x, *, mode: tuple(t.linalg.qr(x, mode)),
        lambda j, x, *, mode: tuple(j.numpy.linalg.qr(x, mode)),
        lambda tf, x, *, mode: tuple(tf.linalg.qr(x, full_matrices=mode == "complete")),
    ),
    "eigh": Twin(
        _torch_hermitian(lambda t, x: tuple(t.linalg.eigh(x))),
        _jax_hermitian(lambda j, x: tuple(j.numpy.linalg.eigh(x))),
        _tf_hermitian(lambda tf, x: tuple(tf.linalg.eigh(x))),
    ),
    "eigvalsh": Twin(
        _torch_hermitian(lambda t, x: t.linalg.eigvalsh(x)),
        _jax_hermitian(lambda j, x: j.numpy.linalg.eigvalsh(x)),
        _tf_hermitian(lambda tf, x: tf.linalg.eigvalsh(x)),
    ),
    "eig": Twin(
        "linalg.eig", Without("JAX has no derivative of eigenvectors of matrices that are not Hermitian"), _NO_GENERAL
    ),
    "eigvals": Twin("linalg.eigvals", "numpy.linalg.eigvals", _NO_GENERAL),
    "svd": Twin(
        lambda t, x, *, full_matrices: tuple(t.linalg.svd(x, full_matrices=full_matrices)),
        lambda j, x, *, full_matrices: tuple(j.numpy.linalg.svd(x, full_matrices=full_matrices)),
        _tf_svd,
    ),
    "svdvals": Twin(
        "linalg.svdvals",
        lambda j, x: j.numpy.linalg.svdvals(x),
        lambda tf, x: tf.linalg.svd(x, compute_uv=False),
    ),
}
