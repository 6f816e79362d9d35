"""Discrete Fourier transforms, over the `fft` extension of the Array API standard.

Three linear ops carry all of it: complex to complex, real to the non-negative half of the spectrum, and back.
`resize` cuts or pads before them. Norms: "backward" scales the inverse transform by 1/n, "forward" the forward
one, "ortho" both by 1/√n; the transpose of a transform is the one in the other direction with the scaling exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.config import config
from ..base.dtypes import COMPLEX, REAL_FLOAT, DType, as_dtype, complex64, complex128, float32, float64
from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..base.shapes import as_axes, as_axis, as_index
from ..graph.op import composite, function, op
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, wrap
from .arithmetic import multiply
from .complex import conj
from .movement import roll
from .operands import on_cpu, operand

_SWAP = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _complex(dtype: DType) -> DType:
    return complex128 if dtype in (float64, complex128) else complex64


def _real(dtype: DType) -> DType:
    return float64 if dtype in (float64, complex128) else float32


# --- the linear ops ------------------------------------------------------------------------------------


def _sized(shape: tuple[int, ...], axes: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    new = list(shape)
    for a, n in zip(axes, sizes, strict=True):
        new[a] = n
    return tuple(new)


@op(
    namespace="hidden", saves="", traits="jointly_linear",
    infer=lambda x, *, axes, sizes: Spec(_sized(x.shape, axes, sizes), x.dtype),
    transpose=(lambda g, x, *, axes, sizes: resize(g, axes=axes, sizes=tuple(x.shape[a] for a in axes)),),
    samples=lambda rng: [((rng.normal(size=(3, 2)),), {"axes": (0, 1), "sizes": (2, 4)})],
)  # fmt: skip
def resize(x: Any, /, *, axes: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    """Each of `axes` cut to its size, or filled up with zeros at the end."""
    result = np.zeros(_sized(x.shape, axes, sizes), x.dtype)
    common = tuple(slice(0, min(m, n)) for m, n in zip(x.shape, result.shape, strict=True))
    result[common] = x[common]
    return result


@op(
    namespace="hidden", saves="", traits="jointly_linear", dtypes="floating-point",
    infer=lambda x, *, axes, inverse, norm: Spec(x.shape, _complex(x.dtype)),
    transpose=(lambda g, x, *, axes, inverse, norm: dft(g, axes=axes, inverse=not inverse, norm=_SWAP[norm]),),
    samples=lambda rng: [
        ((rng.normal(size=(3, 2)),), {"axes": (0,), "inverse": back, "norm": "backward"}) for back in (False, True)
    ],
)  # fmt: skip
def dft(x: Any, /, *, axes: tuple[int, ...], inverse: bool, norm: Any) -> Any:
    """The discrete Fourier transform over `axes`, complex to complex."""
    if not axes:
        return x.astype(_complex(x.dtype))
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)


def _doubled(n: int, axis: int, ndim: int, dtype: DType, inside: float) -> Any:
    """Weights along the half spectrum of a signal of length n: `inside` for what stands for two frequencies, else 1."""
    weights = np.full(n // 2 + 1, inside, _real(dtype))
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights.reshape(tuple(-1 if a == axis else 1 for a in range(ndim)))


def _half_transpose(g: Any, x: Any, *, axis: int, norm: str) -> Any:
    n = x.shape[axis]
    return dft_to_real(multiply(g, _doubled(n, axis, g.ndim, g.dtype, 0.5)), axis=axis, n=n, norm=_SWAP[norm])


def _real_transpose(g: Any, x: Any, *, axis: int, n: int, norm: str) -> Any:
    return multiply(dft_of_real(g, axis=axis, norm=_SWAP[norm]), _doubled(n, axis, g.ndim, g.dtype, 2.0))


@op(
    namespace="hidden", saves="", traits="jointly_linear", dtypes="real floating-point", transpose=(_half_transpose,),
    infer=lambda x, *, axis, norm: Spec(_sized(x.shape, (axis,), (x.shape[axis] // 2 + 1,)), _complex(x.dtype)),
    samples=lambda rng: [((rng.normal(size=(n, 2)),), {"axis": 0, "norm": "backward"}) for n in (1, 4, 5)],
)  # fmt: skip
def dft_of_real(x: Any, /, *, axis: int, norm: Any) -> Any:
    """The transform of a real signal, at its frequencies 0 to n // 2."""
    return np.fft.rfft(x, axis=axis, norm=norm)


@op(
    namespace="hidden", saves="", traits="jointly_linear", dtypes="floating-point", transpose=(_real_transpose,),
    infer=lambda x, *, axis, n, norm: Spec(_sized(x.shape, (axis,), (n,)), _real(x.dtype)),
    samples=lambda rng: [
        ((rng.normal(size=(n // 2 + 1, 2)),), {"axis": 0, "n": n, "norm": "ortho"}) for n in (1, 4, 5)
    ],
)  # fmt: skip
def dft_to_real(x: Any, /, *, axis: int, n: int, norm: Any) -> Any:
    """The inverse transform to a real signal of length n, from its frequencies 0 to n // 2."""
    return np.fft.irfft(x, n, axis=axis, norm=norm)


# --- arguments -----------------------------------------------------------------------------------------


def _norm(norm: Any, where: str) -> str:
    if norm not in _SWAP:
        raise ArgumentError(f"{where}: norm={norm!r}; expected 'backward', 'ortho' or 'forward'.")
    return norm


def _one(x: Any, n: Any, axis: Any, where: str, least: int = 1) -> tuple[Any, int, int | None]:
    """Operand, axis and length of a transform over one axis."""
    x = operand(x)
    at = as_axis(axis, len(x.shape), where)
    if n is None:
        if x.shape[at] is not None and x.shape[at] < least:
            raise ShapeError(f"{where}: axis {axis} of shape {x.shape} is empty; nothing to transform.")
        return x, at, None
    n = as_index(n, "n", where)
    if n < 1:
        raise ArgumentError(f"{where}: n={n}; a transform has a length of 1 or more.")
    return x, at, n


def _several(x: Any, s: Any, axes: Any, where: str) -> tuple[Any, tuple[int, ...], tuple[int, ...] | None]:
    """Operand, axes (in the order given) and lengths of a transform over several axes."""
    x = operand(x)
    ndim = len(x.shape)
    sizes = None if s is None else tuple(as_index(n, "s", where) for n in s)
    if axes is None:
        count = ndim if sizes is None else len(sizes)
        if count > ndim:
            raise ShapeError(f"{where}: s={s!r} names {count} sizes, but x has shape {x.shape}.")
        at = tuple(range(ndim - count, ndim))
    else:
        as_axes(axes, ndim, where)
        at = tuple(as_axis(a, ndim, where) for a in (axes if isinstance(axes, Sequence) else (axes,)))
    if sizes is not None and len(sizes) != len(at):
        raise ArgumentError(f"{where}: s={s!r} and axes={axes!r} must have the same length.")
    if sizes is not None:
        sizes = tuple(x.shape[a] if n == -1 else n for a, n in zip(at, sizes, strict=True))
        if min(sizes, default=1) < 1:
            raise ArgumentError(f"{where}: s={s!r}; a transform has a length of 1 or more.")
    return x, at, sizes


def _fit(x: Any, axes: tuple[int, ...], sizes: tuple[int, ...] | None) -> Any:
    if sizes is None or sizes == tuple(x.shape[a] for a in axes):
        return x
    return resize(x, axes=axes, sizes=sizes)


def _real_only(x: Any, where: str) -> Any:
    if x.dtype.char in COMPLEX:
        raise DtypeError(f"{where}: expected a real input, got {x.dtype.name}; use fft, or bl.real(x).")
    return x


# --- public --------------------------------------------------------------------------------------------


def _complex_doc(which: str, formula: str) -> str:
    return f"""The {which} discrete Fourier transform over one axis: {formula}.

Args:
    n: length of the transform; the input is cut or filled with zeros to it. By default the size of the axis.
    norm: which direction is scaled by 1/n: "backward" (the inverse), "forward", or "ortho" (both by 1/√n).
"""


def _one_samples(rng: Any) -> list[Any]:
    return [((rng.normal(size=(4, 2)),), {"axis": 0}), ((rng.normal(size=(5,)),), {"n": 3, "norm": "ortho"})]


@composite(
    namespace="fft", dtypes="floating-point", array_api=True, samples=_one_samples,
    doc=_complex_doc("forward", "y[k] = Σ x[j] exp(-2πi jk/n)"),
)  # fmt: skip
def fft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    x, at, n = _one(x, n, axis, "fft")
    x = x if n is None else _fit(x, (at,), (n,))
    return dft(x, axes=(at,), inverse=False, norm=_norm(norm, "fft"))


@composite(
    namespace="fft", dtypes="floating-point", array_api=True, samples=_one_samples,
    doc=_complex_doc("inverse", "x[j] = 1/n Σ y[k] exp(2πi jk/n)"),
)  # fmt: skip
def ifft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    x, at, n = _one(x, n, axis, "ifft")
    x = x if n is None else _fit(x, (at,), (n,))
    return dft(x, axes=(at,), inverse=True, norm=_norm(norm, "ifft"))


def _several_samples(rng: Any) -> list[Any]:
    return [
        ((rng.normal(size=(3, 4)),), {}),
        ((rng.normal(size=(2, 3, 2)),), {"s": (2, 4), "axes": (1, 0), "norm": "forward"}),
    ]


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_several_samples)
def fftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The discrete Fourier transform over several `axes` (all by default), of lengths `s`; see `fft`."""
    x, at, sizes = _several(x, s, axes, "fftn")
    return dft(_fit(x, at, sizes), axes=at, inverse=False, norm=_norm(norm, "fftn"))


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_several_samples)
def ifftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The inverse of `fftn`."""
    x, at, sizes = _several(x, s, axes, "ifftn")
    return dft(_fit(x, at, sizes), axes=at, inverse=True, norm=_norm(norm, "ifftn"))


@composite(namespace="fft", dtypes="real floating-point", array_api=True, samples=_one_samples)
def rfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The discrete Fourier transform of a real signal of length n: its frequencies 0 to n // 2; see `fft`."""
    x, at, n = _one(_real_only(operand(x), "rfft"), n, axis, "rfft")
    x = x if n is None else _fit(x, (at,), (n,))
    return dft_of_real(x, axis=at, norm=_norm(norm, "rfft"))


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_one_samples)
def irfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The inverse of `rfft`: a real signal of length `n`, by default 2·(m - 1) for m frequencies."""
    x, at, n = _one(x, n, axis, "irfft")
    length = _length(x, at, n, "irfft")
    return dft_to_real(_fit(x, (at,), (length // 2 + 1,)), axis=at, n=length, norm=_norm(norm, "irfft"))


def _length(x: Any, axis: int, n: int | None, where: str) -> int:
    """The length of a real signal whose half spectrum lies along `axis`."""
    length = 2 * (x.shape[axis] - 1) if n is None else n
    if length < 1:
        raise ArgumentError(f"{where}: one frequency does not tell the length of the signal; give n.")
    return length


@composite(namespace="fft", dtypes="real floating-point", array_api=True, samples=_several_samples)
def rfftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The transform of a real signal over several axes: `rfft` over the last of `axes`, `fft` over the others."""
    x, at, sizes = _several(_real_only(operand(x), "rfftn"), s, axes, "rfftn")
    if not at:
        raise ArgumentError("rfftn: expected one or more axes.")
    half = dft_of_real(_fit(x, at, sizes), axis=at[-1], norm=_norm(norm, "rfftn"))
    return dft(half, axes=at[:-1], inverse=False, norm=norm) if len(at) > 1 else half


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_several_samples)
def irfftn(x: Any, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
    """The inverse of `rfftn`; `s` holds the sizes of the result, the last one by default 2·(m - 1)."""
    x, at, sizes = _several(x, s, axes, "irfftn")
    if not at:
        raise ArgumentError("irfftn: expected one or more axes.")
    last = _length(x, at[-1], None if sizes is None or (s is not None and s[-1] == -1) else sizes[-1], "irfftn")
    front = tuple(x.shape[a] for a in at[:-1]) if sizes is None else sizes[:-1]
    x = _fit(x, at, (*front, last // 2 + 1))
    if len(at) > 1:
        x = dft(x, axes=at[:-1], inverse=True, norm=_norm(norm, "irfftn"))
    return dft_to_real(x, axis=at[-1], n=last, norm=_norm(norm, "irfftn"))


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_one_samples)
def hfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The transform of a signal with Hermitian symmetry, given by its first half: a real spectrum of length `n`."""
    x, at, n = _one(x, n, axis, "hfft")
    length = _length(x, at, n, "hfft")
    return dft_to_real(conj(_fit(x, (at,), (length // 2 + 1,))), axis=at, n=length, norm=_SWAP[_norm(norm, "hfft")])


@composite(namespace="fft", dtypes="real floating-point", array_api=True, samples=_one_samples)
def ihfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """The inverse of `hfft`: the first half of a signal whose spectrum is real."""
    x, at, n = _one(_real_only(operand(x), "ihfft"), n, axis, "ihfft")
    x = x if n is None else _fit(x, (at,), (n,))
    return conj(dft_of_real(x, axis=at, norm=_SWAP[_norm(norm, "ihfft")]))


def _shift(x: Any, axes: Any, back: bool, where: str) -> Any:
    x = operand(x)
    at = as_axes(axes, len(x.shape), where)
    steps = tuple(-(x.shape[a] // 2) if back else x.shape[a] // 2 for a in at)
    return roll(x, steps, axis=at) if at else x


def _shift_samples(rng: Any) -> list[Any]:
    return [((rng.normal(size=(3, 4)),), {}), ((rng.normal(size=(3, 2)),), {"axes": 0})]


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_shift_samples)
def fftshift(x: Any, /, *, axes: Any = None) -> Any:
    """The spectrum with frequency 0 moved to the middle of `axes` (all by default)."""
    return _shift(x, axes, False, "fftshift")


@composite(namespace="fft", dtypes="floating-point", array_api=True, samples=_shift_samples)
def ifftshift(x: Any, /, *, axes: Any = None) -> Any:
    """The inverse of `fftshift`; the two differ for odd sizes."""
    return _shift(x, axes, True, "ifftshift")


def _frequencies(n: Any, d: float, dtype: Any, device: Any, where: str, numbers: Any) -> Tensor:
    on_cpu(device, where)
    n = as_index(n, "n", where)
    if n < 1 or not math.isfinite(d) or d == 0:
        raise ArgumentError(f"{where}: n={n}, d={d}; expected n of 1 or more and a spacing d other than 0.")
    wanted = config.get().default_dtype if dtype is None else as_dtype(dtype)
    if wanted.char not in REAL_FLOAT:
        raise DtypeError(f"{where}: dtype {wanted.name}; expected a real floating-point dtype.")
    return wrap(numbers(n, d).astype(wanted))


@function(namespace="fft")
def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies that the elements of a transform of length `n` stand for, with samples `d` apart.

    >>> import backlit as bl
    >>> bl.fft.fftfreq(4)
    tensor([ 0.  ,  0.25, -0.5 , -0.25], dtype=float32)
    """
    return _frequencies(n, d, dtype, device, "fftfreq", np.fft.fftfreq)


@function(namespace="fft")
def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies that the elements of `rfft` of a signal of length `n` stand for, with samples `d` apart."""
    return _frequencies(n, d, dtype, device, "rfftfreq", np.fft.rfftfreq)
