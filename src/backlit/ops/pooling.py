"""Pooling: the maximum or the mean of windows, over one, two or three spatial axes.

Layout is (batch, channels, *space). The kernels go over the taps of the window and work on whole strided slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError, ShapeError
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .arithmetic import multiply
from .contraction import matmul
from .convolution import AXES, Ints, Pairs, as_padding, per_axis
from .index import take
from .movement import permute_dims, reshape
from .operands import operand
from .patches import inner, padded, window_positions
from .reduce import mean

# --- kernels -------------------------------------------------------------------------------------------


def _taps(window: Ints, stride: Ints, dilation: Ints, out: Ints) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """For each tap of the window its number and the index of what it sees at all positions."""
    for number, tap in enumerate(np.ndindex(*window)):
        starts = (k * d for k, d in zip(tap, dilation, strict=True))
        yield number, (..., *(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, out, stride, strict=True)))


def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.char in FLOAT else np.iinfo(dtype).min


def _positions(size: Ints, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    return window_positions(size, window, stride, padding, dilation)


def _bordered(size: Ints, padding: Pairs) -> Ints:
    return tuple(n + lo + hi for n, (lo, hi) in zip(size, padding, strict=True))


def _pooled(x: Any, *, window: Ints, **geometry: Any) -> Spec:
    return Spec((*x.shape[:2], *_positions(x.shape[2:], window, **geometry)), x.dtype)


def _samples(rng: Any, kind: str = "x") -> list[Any]:
    cases = []
    for size, window, stride, padding, dilation in [
        ((4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
        ((5, 4), (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 2)),
        ((4,), (4,), (4,), ((0, 0),), (1,)),
    ]:
        geometry = {"window": window, "stride": stride, "padding": padding, "dilation": dilation}
        out = _positions(size, window, stride, padding, dilation)
        x = rng.permutation(np.arange(2.0 * prod(size))).reshape(1, 2, *size) + rng.uniform(-0.3, 0.3, (1, 2, *size))
        g = rng.normal(size=(1, 2, *out))
        which = pool_argmax.eval(x, **geometry)
        cases.append({
            "x": ((x,), geometry), "g": ((g,), {"size": size, **geometry}),
            "pick": ((x, which), geometry), "place": ((g, which), {"size": size, **geometry}),
        }[kind])  # fmt: skip
    return cases


# --- the maximum ---------------------------------------------------------------------------------------


@op(
    namespace="hidden", dtypes="real numeric", saves="x", infer=_pooled, onnx="MaxPool",
    vjp=lambda g, out, x, **geometry: (pool_place(g, pool_argmax(x, **geometry), size=tuple(x.shape[2:]), **geometry),),
    samples=_samples,
)  # fmt: skip
def pool_max(x: Any, /, *, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The maximum of each window, found axis by axis. Its cotangent goes to the first maximum of the window."""
    out = _positions(x.shape[2:], window, stride, padding, dilation)
    x = padded(x, padding, _lowest(x.dtype)) if any(map(any, padding)) else x
    for i in range(len(window)):
        axis = i + 2
        if window[i] == x.shape[axis]:
            x = np.maximum.reduce(x, axis=axis, keepdims=True)
            continue
        taps = _taps(window[i : i + 1], stride[i : i + 1], dilation[i : i + 1], out[i : i + 1])
        seen = [x[(slice(None),) * axis + index[1:]] for _, index in taps]
        x = np.maximum(seen[0], seen[-1])
        for other in seen[1:-1]:
            np.maximum(x, other, out=x)
    return np.ascontiguousarray(x)


@op(
    namespace="hidden", dtypes="real numeric", infer=lambda x, **g: Spec(_pooled(x, **g).shape, np.dtype(np.int32)),
    nondiff="it is a position", samples=_samples,
)  # fmt: skip
def pool_argmax(x: Any, /, *, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The number of the tap, row by row, at which each window has its first maximum."""
    out = _positions(x.shape[2:], window, stride, padding, dilation)
    x = padded(x, padding, _lowest(x.dtype)) if any(map(any, padding)) else x
    if window == x.shape[2:]:
        return np.argmax(x.reshape(*x.shape[:2], prod(window)), axis=-1).astype(np.int32).reshape(*x.shape[:2], *out)
    narrow = np.uint8 if prod(window) <= 255 else np.int32
    which = np.zeros((*x.shape[:2], *out), narrow)
    best: Any = None
    for number, index in _taps(window, stride, dilation, out):
        seen = x[index]
        if best is None:
            best = seen.copy()
            continue
        np.maximum(which, (seen > best) * narrow(number), out=which)  # numbers ascend: the last rise wins
        np.maximum(best, seen, out=best)
    return which.astype(np.int32)


@op(
    namespace="hidden", dtypes="numeric", promotes=(0,), saves="which",
    infer=lambda x, which, **_: Spec(which.shape, x.dtype), samples=lambda rng: _samples(rng, "pick"),
    transpose=(lambda g, x, which, **geometry: pool_place(g, which, size=tuple(x.shape[2:]), **geometry), None),
)  # fmt: skip
def pool_pick(x: Any, which: Any, /, *, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The element of each window at tap `which`."""
    x = padded(x, padding)
    result = np.zeros(which.shape, x.dtype)
    for number, index in _taps(window, stride, dilation, which.shape[2:]):
        np.copyto(result, x[index], where=which == number)
    return result


@op(
    namespace="hidden", dtypes="numeric", promotes=(0,), saves="which",
    infer=lambda g, which, *, size, **_: Spec((*g.shape[:2], *size), g.dtype),
    samples=lambda rng: _samples(rng, "place"),
    transpose=(lambda ct, g, which, *, size, **geometry: pool_pick(ct, which, **geometry), None),
)  # fmt: skip
def pool_place(g: Any, which: Any, /, *, size: Ints, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The transpose of `pool_pick`: each element of `g` added at tap `which` of its window."""
    full = _bordered(size, padding)
    result = np.zeros((*g.shape[:2], *full), g.dtype)
    if window == full:
        flat = result.reshape(*g.shape[:2], prod(full))
        np.put_along_axis(flat, which.reshape(*g.shape[:2], 1), g.reshape(*g.shape[:2], 1), axis=-1)
        return result[inner(size, padding)]
    apart = max(dilation) == 1 and all(s >= k for s, k in zip(stride, window, strict=True))
    for number, index in _taps(window, stride, dilation, g.shape[2:]):
        if apart:
            np.multiply(which == number, g, out=result[index])
        else:
            result[index] += (which == number) * g
    return result[inner(size, padding)]


# --- the sum -------------------------------------------------------------------------------------------


@op(
    namespace="hidden", dtypes="numeric", saves="", traits="jointly_linear", infer=_pooled, samples=_samples,
    transpose=(lambda g, x, **geometry: pool_spread(g, size=tuple(x.shape[2:]), **geometry),),
)  # fmt: skip
def pool_sum(x: Any, /, *, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The sum of each window."""
    out = _positions(x.shape[2:], window, stride, padding, dilation)
    x = padded(x, padding) if any(map(any, padding)) else x
    for i in range(len(window)):
        axis = i + 2
        if window[i] == x.shape[axis]:
            x = np.add.reduce(x, axis=axis, keepdims=True, dtype=x.dtype)
            continue
        total = np.zeros((*x.shape[:axis], out[i], *x.shape[axis + 1 :]), x.dtype)
        for _, index in _taps(window[i : i + 1], stride[i : i + 1], dilation[i : i + 1], out[i : i + 1]):
            total += x[(slice(None),) * axis + index[1:]]
        x = total
    return x


@op(
    namespace="hidden", dtypes="numeric", saves="", traits="jointly_linear",
    infer=lambda g, *, size, **_: Spec((*g.shape[:2], *size), g.dtype), samples=lambda rng: _samples(rng, "g"),
    transpose=(lambda ct, g, *, size, **geometry: pool_sum(ct, **geometry),),
)  # fmt: skip
def pool_spread(g: Any, /, *, size: Ints, window: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """The transpose of `pool_sum`: each element of `g` added all over its window."""
    result = np.zeros((*g.shape[:2], *_bordered(size, padding)), g.dtype)
    for _, index in _taps(window, stride, dilation, g.shape[2:]):
        result[index] += g
    return result[inner(size, padding)]


# --- public --------------------------------------------------------------------------------------------


def _input(x: Any, n: int | None, where: str) -> Any:
    x = operand(x)
    if (n is None and not 3 <= len(x.shape) <= 5) or (n is not None and len(x.shape) != n + 2):
        axes = "*space" if n is None else AXES[n]
        raise ShapeError(f"{where}: expected x of shape (batch, channels, {axes}), got {x.shape}.")
    return x


def _geometry(x: Any, window: Any, stride: Any, padding: Any, dilation: Any, n: int, where: str) -> dict[str, Any]:
    windows = per_axis(window, n, "window", where)
    strides = windows if stride is None else per_axis(stride, n, "stride", where)
    dilations = per_axis(dilation, n, "dilation", where)
    size = tuple(x.shape[2:])
    pads = as_padding(padding, size, windows, strides, dilations, where)
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, windows, strict=True)]
    if any(max(pair) >= span > 0 and max(pair) for pair, span in zip(pads, spans, strict=True)):
        raise ArgumentError(
            f"{where}: padding {padding!r} is as wide as the window {windows}; "
            "some windows would lie in the border alone."
        )
    if min(window_positions(size, windows, strides, pads, dilations)) < 1:
        raise ShapeError(f"{where}: the window {windows} does not fit into the input {size} with padding {pads}.")
    return {"window": windows, "stride": strides, "padding": pads, "dilation": dilations}


def _max_pool(x: Any, window: Any, stride: Any, padding: Any, dilation: Any, n: int) -> Any:
    x = _input(x, n, f"max_pool{n}d")
    return pool_max(x, **_geometry(x, window, stride, padding, dilation, n, f"max_pool{n}d"))


def _avg_pool(x: Any, window: Any, stride: Any, padding: Any, count_include_pad: bool, n: int) -> Any:
    x = _input(x, n, f"avg_pool{n}d")
    geometry = _geometry(x, window, stride, padding, 1, n, f"avg_pool{n}d")
    total = pool_sum(x, **geometry)
    if count_include_pad or not any(map(any, geometry["padding"])):
        return multiply(total, 1 / prod(geometry["window"]))
    counts = pool_sum(np.ones((1, 1, *x.shape[2:]), x.dtype), **geometry)
    return multiply(total, 1 / counts)


def _pool_samples(size: Ints) -> Any:
    def samples(rng: Any) -> list[Any]:
        x = rng.permutation(np.arange(float(prod(size)))).reshape(1, 1, *size)
        return [((x, 2), {}), ((x,), {"window": 2, "stride": 1, "padding": 1})]

    return samples


_POOL_DOC = """The {what} of windows of `x` (batch, channels, {axes}).

Args:
    window: size of the window; an int, or one for each spatial axis.
    stride: the step between windows; by default the window, so that they tile the input.
    padding: border around the input, in the forms that `conv{n}d` takes; smaller than the window.
{more}
"""
_MAX = "    dilation: the step between the elements of a window.\n\nThe gradient goes to the first maximum of a window."
_AVG = "    count_include_pad: count the border's zeros in the mean."


def _doc(n: int, what: str, more: str) -> str:
    return _POOL_DOC.format(n=n, what=what, axes=AXES[n], more=more)


@composite(dtypes="real numeric", onnx="MaxPool", samples=_pool_samples((5,)), doc=_doc(1, "maximum", _MAX))
def max_pool1d(x: Any, /, window: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    return _max_pool(x, window, stride, padding, dilation, 1)


@composite(dtypes="floating-point", onnx="AveragePool", samples=_pool_samples((5,)), doc=_doc(1, "mean", _AVG))
def avg_pool1d(x: Any, /, window: Any, *, stride: Any = None, padding: Any = 0, count_include_pad: bool = True) -> Any:
    return _avg_pool(x, window, stride, padding, count_include_pad, 1)


@composite(dtypes="real numeric", onnx="MaxPool", samples=_pool_samples((4, 4)), doc=_doc(2, "maximum", _MAX))
def max_pool2d(x: Any, /, window: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    return _max_pool(x, window, stride, padding, dilation, 2)


@composite(dtypes="floating-point", onnx="AveragePool", samples=_pool_samples((4, 4)), doc=_doc(2, "mean", _AVG))
def avg_pool2d(x: Any, /, window: Any, *, stride: Any = None, padding: Any = 0, count_include_pad: bool = True) -> Any:
    return _avg_pool(x, window, stride, padding, count_include_pad, 2)


@composite(dtypes="real numeric", onnx="MaxPool", samples=_pool_samples((2, 3, 2)), doc=_doc(3, "maximum", _MAX))
def max_pool3d(x: Any, /, window: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    return _max_pool(x, window, stride, padding, dilation, 3)


@composite(dtypes="floating-point", onnx="AveragePool", samples=_pool_samples((2, 3, 2)), doc=_doc(3, "mean", _AVG))
def avg_pool3d(x: Any, /, window: Any, *, stride: Any = None, padding: Any = 0, count_include_pad: bool = True) -> Any:
    return _avg_pool(x, window, stride, padding, count_include_pad, 3)


def _global_samples(rng: Any) -> list[Any]:
    x = rng.permutation(np.arange(24.0)).reshape(2, 1, 3, 4)
    return [((x,), {}), ((x,), {"keepdims": True})]


@composite(dtypes="floating-point", onnx="GlobalAveragePool", samples=_global_samples)
def global_avg_pool(x: Any, /, *, keepdims: bool = False) -> Any:
    """The mean over all spatial axes of `x` (batch, channels, *space): (batch, channels), or with axes of size 1."""
    x = _input(x, None, "global_avg_pool")
    return mean(x, axis=tuple(range(2, len(x.shape))), keepdims=keepdims)


@composite(dtypes="real numeric", onnx="GlobalMaxPool", samples=_global_samples)
def global_max_pool(x: Any, /, *, keepdims: bool = False) -> Any:
    """The maximum over all spatial axes of `x` (batch, channels, *space): (batch, channels), or with axes of size 1."""
    x = _input(x, None, "global_max_pool")
    n = len(x.shape) - 2
    y = _max_pool(x, tuple(x.shape[2:]), None, 0, 1, n)
    return y if keepdims else reshape(y, y.shape[:2])


def _bins(n: int, count: int) -> list[range]:
    """`count` bins that cover 0 to n - 1 evenly; they overlap where n is no multiple of it (as in PyTorch)."""
    return [range(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]


def _adaptive(x: Any, size: Any, where: str) -> tuple[Any, Ints]:
    x = _input(x, None, where)
    sizes = per_axis(size, len(x.shape) - 2, "size", where)
    if 0 in x.shape[2:]:
        raise ShapeError(f"{where}: x has an empty spatial axis, shape {x.shape}.")
    return x, sizes


def _adaptive_samples(rng: Any) -> list[Any]:
    x = rng.permutation(np.arange(40.0)).reshape(1, 2, 5, 4)
    return [((x,), {"size": 2}), ((x,), {"size": (3, 1)}), ((x[0],), {"size": 2})]


@composite(dtypes="floating-point", samples=_adaptive_samples)
def adaptive_avg_pool(x: Any, /, size: Any) -> Any:
    """The means of evenly spread windows of `x` (batch, channels, *space), so that each spatial axis gets `size`.

    Window i of an axis with n elements goes from ⌊i·n/size⌋ to ⌈(i+1)·n/size⌉, as in PyTorch.
    """
    x, sizes = _adaptive(x, size, "adaptive_avg_pool")
    for axis, (n, m) in enumerate(zip(x.shape[2:], sizes, strict=True), 2):
        weights = np.zeros((n, m), x.dtype)
        for i, bin in enumerate(_bins(n, m)):
            weights[bin.start : bin.stop, i] = 1 / len(bin)
        last = tuple(a for a in range(len(x.shape)) if a != axis)
        x = matmul(permute_dims(x, (*last, axis)), weights)
        x = permute_dims(x, (*range(axis), len(last), *range(axis, len(last))))
    return x


@composite(dtypes="real numeric", samples=_adaptive_samples)
def adaptive_max_pool(x: Any, /, size: Any) -> Any:
    """The maxima of evenly spread windows of `x` (batch, channels, *space), so that each spatial axis gets `size`.

    The windows are those of `adaptive_avg_pool`.
    """
    x, sizes = _adaptive(x, size, "adaptive_max_pool")
    windows = []
    for axis, (n, m) in enumerate(zip(x.shape[2:], sizes, strict=True), 2):
        bins = _bins(n, m)
        width = max(map(len, bins))
        windows.append(width)
        if n != m * width:  # bins of one width, the short ones filled with their last element
            x = take(
                x, np.array([[min(b.start + i, b.stop - 1) for i in range(width)] for b in bins]).ravel(), axis=axis
            )
    return pool_max(
        x, window=tuple(windows), stride=tuple(windows), padding=((0, 0),) * len(windows), dilation=(1,) * len(windows)
    )
