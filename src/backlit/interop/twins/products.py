"""Twins of products of arrays: matrices, einsum, convolution, pooling, Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..libraries import Library
from .record import Twin, shared


def _tf_matmul(tf: Any, a: Any, b: Any) -> Any:
    """TensorFlow's product takes matrices only."""
    columns = b if len(b.shape) > 1 else b[:, None]
    rows = a if len(a.shape) > 1 else a[None, :]
    found = tf.linalg.matmul(rows, columns)
    found = found if len(b.shape) > 1 else found[..., 0]
    return found if len(a.shape) > 1 else tf.squeeze(found, -1 if len(b.shape) == 1 else -2)


def _tf_pair(tf: Any, a: Any, b: Any, *, one: str, two: str, out: str) -> Any:
    """Sizes of 1 that broadcast are none of TensorFlow's einsum."""
    sizes: dict[str, int] = {}
    for term, x in ((one, a), (two, b)):
        for label, n in zip(term, x.shape, strict=True):
            sizes[label] = max(sizes.get(label, 1), int(n))
    a, b = (tf.broadcast_to(x, [sizes[c] for c in term]) for x, term in ((a, one), (b, two)))
    return tf.einsum(f"{one},{two}->{out}", a, b)


# --- convolution: (batch, channels, *space) -----------------------------------------------------------


def _bordered(library: Library, x: Any, padding: Any) -> Any:
    """Zeros around the space of x; a negative border cuts off."""
    for axis, (lo, hi) in enumerate(padding, 2):
        n = int(x.shape[axis])
        x = x[(slice(None),) * axis + (slice(max(-lo, 0), n + min(hi, 0)),)]
    pads = ((0, 0), (0, 0), *((max(lo, 0), max(hi, 0)) for lo, hi in padding))
    return _pad(library, x, pads) if any(map(any, pads)) else x


def _pad(library: Library, x: Any, pads: Any, value: float = 0) -> Any:
    m = library.module
    if library.name == "torch":
        return m.nn.functional.pad(x, [n for pair in reversed(pads) for n in pair], value=value)
    if library.name == "jax":
        return m.numpy.pad(x, pads, constant_values=value)
    return m.pad(x, pads, constant_values=np.dtype(x.dtype.as_numpy_dtype).type(value))


def _last(n: int) -> list[int]:
    """Channels from the second place to the last."""
    return [0, *range(2, n), 1]


def _first(n: int) -> list[int]:
    return [0, n - 1, *range(1, n - 1)]


def _convolve(library: Library, x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    m, n = library.module, len(stride)
    x = _bordered(library, x, padding)
    if library.name == "torch":
        function = getattr(m.nn.functional, f"conv{n}d")
        return function(x, w, stride=stride, dilation=dilation, groups=groups)
    if library.name == "jax":
        return m.lax.conv_general_dilated(
            x, w, stride, [(0, 0)] * n, rhs_dilation=dilation, feature_group_count=groups
        )  # fmt: skip
    turned = m.transpose(w, [*range(2, n + 2), 1, 0])
    parts = zip(m.split(m.transpose(x, _last(n + 2)), groups, -1), m.split(turned, groups, -1), strict=True)
    ys = [m.nn.convolution(a, b, strides=stride, padding="VALID", dilations=dilation) for a, b in parts]
    return m.transpose(m.concat(ys, -1), _first(n + 2))


def _by_taps(library: Library, x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The same in TensorFlow, tap by tap: its own convolution cannot be differentiated twice."""
    tf = library.module
    x = _bordered(library, x, padding)
    space = zip(map(int, x.shape[2:]), map(int, w.shape[2:]), dilation, stride, strict=True)
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, d, s in space]
    x = tf.reshape(x, [x.shape[0], groups, -1, *x.shape[2:]])
    w = tf.reshape(w, [groups, -1, *w.shape[1:]])
    total: Any = 0
    for tap in np.ndindex(*map(int, w.shape[3:])):
        seen = tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, n, s in zip(tap, dilation, out, stride, strict=True)
        )
        total = total + tf.einsum("bgc...,goc->bgo...", x[(..., *seen)], w[(..., *tap)])
    return tf.reshape(total, [x.shape[0], -1, *out])


def _again(library: Library) -> Any:
    """The convolution whose derivative can be differentiated."""
    return _by_taps if library.name == "tensorflow" else _convolve


def _convolve_transposed(library: Library, g: Any, w: Any, *, size: Any, groups: int, **geometry: Any) -> Any:
    like = library.zeros((int(g.shape[0]), int(w.shape[1]) * groups, *size), g)
    return library.transposed(lambda x: _again(library)(library, x, w, groups=groups, **geometry), like, g)


def _convolve_weight(library: Library, x: Any, g: Any, *, kernel: Any, groups: int, **geometry: Any) -> Any:
    like = library.zeros((int(g.shape[1]), int(x.shape[1]) // groups, *kernel), x)
    return library.transposed(lambda w: _again(library)(library, x, w, groups=groups, **geometry), like, g)


# --- pooling --------------------------------------------------------------------------------------------


def _pool_max(library: Library, x: Any, *, window: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    m, n = library.module, len(window)
    pads = ((0, 0), (0, 0), *padding)
    if library.name == "jax":
        return m.lax.reduce_window(
            x, -np.inf, m.lax.max, (1, 1, *window), (1, 1, *stride), pads, window_dilation=(1, 1, *dilation)
        )
    x = _pad(library, x, pads, -np.inf) if any(map(any, padding)) else x
    if library.name == "torch":
        return getattr(m.nn.functional, f"max_pool{n}d")(x, window, stride, dilation=dilation)
    found = m.nn.pool(m.transpose(x, _last(n + 2)), window, "MAX", stride, "VALID", dilations=dilation)
    return m.transpose(found, _first(n + 2))


def _pool_sum(library: Library, x: Any, *, window: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """As a convolution of each channel with ones."""
    channels = int(x.shape[1])
    ones = library.zeros((channels, 1, *window), x) + 1
    return _again(library)(library, x, ones, stride=stride, padding=padding, dilation=dilation, groups=channels)


def _pool_spread(library: Library, g: Any, *, size: Any, **geometry: Any) -> Any:
    like = library.zeros((*map(int, g.shape[:2]), *size), g)
    return library.transposed(lambda x: _pool_sum(library, x, **geometry), like, g)


def _tap_positions(size: Any, which: Any, *, window: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """The position in x (batch, channels, *size) of tap `which` of each window; -1 in the border."""
    which = np.asarray(which)
    taps = np.unravel_index(which, window)
    place = np.indices(which.shape)
    flat, inside = place[0] * which.shape[1] + place[1], np.ones(which.shape, bool)
    for i, n in enumerate(size):
        at = place[i + 2] * stride[i] + taps[i] * dilation[i] - padding[i][0]
        inside &= (at >= 0) & (at < n)
        flat = flat * n + at
    return np.where(inside, flat, -1)


def _pool_pick(library: Library, x: Any, which: Any, **geometry: Any) -> Any:
    at = _tap_positions(tuple(map(int, x.shape[2:])), which, **geometry)
    inside = np.flatnonzero(at >= 0)
    return library.scatter(library.gather(x, at.reshape(-1)[inside]), inside, at.shape)


def _pool_place(library: Library, g: Any, which: Any, *, size: Any, **geometry: Any) -> Any:
    at = _tap_positions(size, which, **geometry).reshape(-1)
    inside = np.flatnonzero(at >= 0)
    return library.scatter(library.gather(g, inside), at[inside], (*map(int, g.shape[:2]), *size))


# --- Fourier --------------------------------------------------------------------------------------------


def _dft(torch: Any, x: Any, *, axes: Any, inverse: bool, norm: str) -> Any:
    return (torch.fft.ifftn if inverse else torch.fft.fftn)(x, dim=axes, norm=norm)


def _jax_dft(j: Any, x: Any, *, axes: Any, inverse: bool, norm: str) -> Any:
    for a in axes:  # jax takes at most three at once
        x = (j.numpy.fft.ifft if inverse else j.numpy.fft.fft)(x, axis=a, norm=norm)
    return x


def _scale(n: int, inverse: bool, norm: str) -> float:
    """By what an unscaled transform of length n is multiplied."""
    return n**-0.5 if norm == "ortho" else 1 / n if (norm == "backward") == inverse else 1.0


def _to_end(tf: Any, x: Any, axis: int) -> tuple[Any, list[int]]:
    order = [i for i in range(len(x.shape)) if i != axis] + [axis]
    return tf.transpose(x, order), [int(i) for i in np.argsort(order)]


def _tf_dft(tf: Any, x: Any, *, axes: Any, inverse: bool, norm: str) -> Any:
    x = x if x.dtype.is_complex else tf.complex(x, tf.zeros_like(x))
    for a in axes:
        n = int(x.shape[a])
        y, back = _to_end(tf, x, a)
        y = (tf.signal.ifft(y) * n if inverse else tf.signal.fft(y)) * tf.constant(_scale(n, inverse, norm), x.dtype)
        x = tf.transpose(y, back)
    return x


def _tf_of_real(tf: Any, x: Any, *, axis: int, norm: str) -> Any:
    y, back = _to_end(tf, x, axis)
    y = tf.signal.rfft(y)
    return tf.transpose(y * tf.constant(_scale(int(x.shape[axis]), False, norm), y.dtype), back)


def _tf_to_real(tf: Any, x: Any, *, axis: int, n: int, norm: str) -> Any:
    x = x if x.dtype.is_complex else tf.complex(x, tf.zeros_like(x))
    y, back = _to_end(tf, x, axis)
    y = tf.signal.irfft(y, [n])
    return tf.transpose(y * tf.constant(_scale(n, True, norm) * n, y.dtype), back)


PRODUCTS: dict[str, Twin] = {
    "matmul": Twin("matmul", "numpy.matmul", _tf_matmul),
    "einsum_one": Twin(
        lambda t, x, *, term, out: t.einsum(f"{term}->{out}", x),
        lambda j, x, *, term, out: j.numpy.einsum(f"{term}->{out}", x),
        lambda tf, x, *, term, out: tf.einsum(f"{term}->{out}", x),
    ),
    "einsum_pair": Twin(
        lambda t, a, b, *, one, two, out: t.einsum(f"{one},{two}->{out}", a, b),
        lambda j, a, b, *, one, two, out: j.numpy.einsum(f"{one},{two}->{out}", a, b),
        _tf_pair,
    ),
    "convolve": shared(_convolve),
    "convolve_transposed": shared(_convolve_transposed),
    "convolve_weight": shared(_convolve_weight),
    "pool_max": shared(_pool_max),
    "pool_sum": shared(_pool_sum),
    "pool_spread": shared(_pool_spread),
    "pool_pick": shared(_pool_pick),
    "pool_place": shared(_pool_place),
    "dft": Twin(_dft, _jax_dft, _tf_dft),
    "dft_of_real": Twin(
        lambda t, x, *, axis, norm: t.fft.rfft(x, dim=axis, norm=norm),
        lambda j, x, *, axis, norm: j.numpy.fft.rfft(x, axis=axis, norm=norm),
        _tf_of_real,
    ),
    "dft_to_real": Twin(
        lambda t, x, *, axis, n, norm: t.fft.irfft(x, n, dim=axis, norm=norm),
        lambda j, x, *, axis, n, norm: j.numpy.fft.irfft(x, n, axis=axis, norm=norm),
        _tf_to_real,
    ),
}
