"""Twins of what moves elements about: shapes, indices, joining, segments."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ...ops.indexing import positions
from ..libraries import Library
from .record import Twin, shared


def _numbers(shape: Any) -> Any:
    """The position of each element of an array of this shape."""
    shape = tuple(shape)
    return np.arange(int(np.prod(shape))).reshape(shape)


def _moved(where: Callable[..., Any]) -> Twin:
    """Ops whose result is elements of the input: `where` moves their positions, by NumPy."""
    return shared(lambda library, x, **params: library.gather(x, where(_numbers(x.shape), **params)))


def _expanded(expand: Callable[..., Any]) -> Callable[..., Any]:
    def twin(m: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
        for a in sorted(axis):
            x = expand(m, x, a)
        return x

    return twin


def _integers(arrays: Any) -> list[Any]:
    return [np.asarray(a) for a in arrays]


def _getitem(library: Library, x: Any, *indices: Any, index: Any) -> Any:
    return library.gather(x, _numbers(x.shape)[index.at(_integers(indices))])


def _place(library: Library, y: Any, *indices: Any, index: Any, shape: Any) -> Any:
    return library.scatter(y, positions(tuple(shape), index, _integers(indices)), shape)


def _index_add(library: Library, x: Any, y: Any, *indices: Any, index: Any) -> Any:
    return x + library.scatter(y, _numbers(x.shape)[index.at(_integers(indices))], tuple(x.shape))


def _index_update(library: Library, x: Any, y: Any, *indices: Any, index: Any) -> Any:
    """Of values for one place the last stays."""
    at = _numbers(x.shape)[index.at(_integers(indices))]
    last = {int(place): i for i, place in enumerate(at.reshape(-1))}
    source = np.full(x.shape, -1)
    source.reshape(-1)[list(last)] = list(last.values())
    kept, written = np.flatnonzero(source < 0), np.flatnonzero(source >= 0)
    spread = np.broadcast_to(_numbers(y.shape), at.shape).reshape(-1)
    new = library.gather(y, spread[source.reshape(-1)[written]])
    shape = tuple(x.shape)
    return library.scatter(library.gather(x, kept), kept, shape) + library.scatter(new, written, shape)


def _take(library: Library, x: Any, indices: Any, *, axis: int) -> Any:
    return library.gather(x, np.take(_numbers(x.shape), np.asarray(indices), axis))


def _window(start: Any, size: int, axis: int) -> tuple[Any, ...]:
    first = int(np.asarray(start))
    return (slice(None),) * axis + (slice(first, first + size),)


def _dynamic_slice(library: Library, x: Any, start: Any, *, size: int, axis: int) -> Any:
    return library.gather(x, _numbers(x.shape)[_window(start, size, axis)])


def _dynamic_place(library: Library, y: Any, start: Any, *, axis: int, length: int) -> Any:
    shape = tuple(length if i == axis else n for i, n in enumerate(y.shape))
    return library.scatter(y, _numbers(shape)[_window(start, y.shape[axis], axis)], shape)


def _split(library: Library, x: Any, *, cuts: tuple[int, ...], axis: int) -> Any:
    ends = [0, *cuts, int(x.shape[axis])]
    return tuple(_dynamic_slice(library, x, a, size=max(b - a, 0), axis=axis) for a, b in pairwise(ends))


def _pad_zeros(library: Library, x: Any, *, pads: Any) -> Any:
    shape = tuple(a + int(n) + b for n, (a, b) in zip(x.shape, pads, strict=True))
    at = _numbers(shape)[tuple(slice(a, a + int(n)) for n, (a, _) in zip(x.shape, pads, strict=True))]
    return library.scatter(x, at, shape)


def _resize(library: Library, x: Any, *, axes: Any, sizes: Any) -> Any:
    shape = list(map(int, x.shape))
    for a, n in zip(axes, sizes, strict=True):
        shape[a] = n
    common = tuple(slice(0, min(m, n)) for m, n in zip(map(int, x.shape), shape, strict=True))
    return library.scatter(library.gather(x, _numbers(x.shape)[common]), _numbers(shape)[common], shape)


def _segment_sum(library: Library, x: Any, ids: Any, *, num_segments: int) -> Any:
    shape = (num_segments, *map(int, x.shape[1:]))
    return library.scatter(x, _numbers(shape)[np.asarray(ids)], shape)


def _torch_segment_max(t: Any, x: Any, ids: Any, *, num_segments: int) -> Any:
    at = ids.reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)
    return x.new_full((num_segments, *x.shape[1:]), -np.inf).scatter_reduce(0, at, x, "amax")


def _tf_segment_max(tf: Any, x: Any, ids: Any, *, num_segments: int) -> Any:
    found = tf.math.unsorted_segment_max(x, ids, num_segments)
    return tf.where(found == x.dtype.min, tf.constant(-np.inf, x.dtype), found)


def _from_diagonal(library: Library, g: Any, *, size: tuple[int, int], offset: int) -> Any:
    shape = (*map(int, g.shape[:-1]), *size)
    return library.scatter(g, np.diagonal(_numbers(shape), offset, -2, -1), shape)


def _triangle(name: str) -> Twin:
    return Twin(
        lambda t, x, *, k: getattr(t, name)(x, k),
        lambda j, x, *, k: getattr(j.numpy, name)(x, k),
        lambda tf, x, *, k: getattr(tf.experimental.numpy, name)(x, k),
    )


MOVEMENT: dict[str, Twin] = {
    "astype": shared(
        lambda library, x, *, dtype: library.module.cast(x, library.dtype(dtype)) if library.name == "tensorflow"
        else x.astype(library.dtype(dtype)) if library.name == "jax" else x.to(library.dtype(dtype))
    ),
    "copy": Twin(lambda t, x: x.clone(), "numpy.copy", "identity"),
    "broadcast_to": Twin(
        lambda t, x, *, shape: x.broadcast_to(shape),
        lambda j, x, *, shape: j.numpy.broadcast_to(x, shape),
        lambda tf, x, *, shape: tf.broadcast_to(x, shape),
    ),
    "reshape": Twin(
        lambda t, x, *, shape: x.reshape(shape),
        lambda j, x, *, shape: x.reshape(shape),
        lambda tf, x, *, shape: tf.reshape(x, shape),
    ),
    "expand_dims": Twin(
        _expanded(lambda t, x, a: x.unsqueeze(a)),
        lambda j, x, *, axis: j.numpy.expand_dims(x, axis),
        _expanded(lambda tf, x, a: tf.expand_dims(x, a)),
    ),
    "squeeze": Twin(
        lambda t, x, *, axis: x.squeeze(axis),
        lambda j, x, *, axis: j.numpy.squeeze(x, axis),
        lambda tf, x, *, axis: tf.squeeze(x, axis) if axis else x,
    ),
    "permute_dims": Twin(
        lambda t, x, *, axes: x.permute(axes),
        lambda j, x, *, axes: j.numpy.transpose(x, axes),
        lambda tf, x, *, axes: tf.transpose(x, axes),
    ),
    "matrix_transpose": Twin(lambda t, x: x.mT, "numpy.matrix_transpose", "linalg.matrix_transpose"),
    "flip": Twin(
        lambda t, x, *, axis: x.flip(axis),
        lambda j, x, *, axis: j.numpy.flip(x, axis),
        lambda tf, x, *, axis: tf.reverse(x, axis),
    ),
    "roll": _moved(np.roll),
    "getitem": shared(_getitem),
    "place": shared(_place),
    "index_add": shared(_index_add),
    "index_update": shared(_index_update),
    "take": shared(_take),
    "dynamic_slice": shared(_dynamic_slice),
    "dynamic_place": shared(_dynamic_place),
    "concat": Twin(
        lambda t, *xs, axis: t.cat(xs, axis),
        lambda j, *xs, axis: j.numpy.concatenate(xs, axis),
        lambda tf, *xs, axis: tf.concat(xs, axis),
    ),
    "stack": Twin(
        lambda t, *xs, axis: t.stack(xs, axis),
        lambda j, *xs, axis: j.numpy.stack(xs, axis),
        lambda tf, *xs, axis: tf.stack(xs, axis),
    ),
    "unstack": Twin(
        lambda t, x, *, axis: x.unbind(axis),
        lambda j, x, *, axis: tuple(j.numpy.take(x, i, axis) for i in range(x.shape[axis])),
        lambda tf, x, *, axis: tf.unstack(x, axis=axis),
    ),
    "split": shared(_split),
    "tril": _triangle("tril"),
    "triu": _triangle("triu"),
    "pad_zeros": shared(_pad_zeros),
    "resize": shared(_resize),
    "segment_sum": shared(_segment_sum),
    "segment_max": Twin(
        _torch_segment_max,
        lambda j, x, ids, *, num_segments: j.ops.segment_max(x, ids, num_segments),
        _tf_segment_max,
    ),
    "diagonal": Twin(
        lambda t, x, *, offset: t.diagonal(x, offset, -2, -1),
        lambda j, x, *, offset: j.numpy.diagonal(x, offset, -2, -1),
        lambda tf, x, *, offset: tf.experimental.numpy.diagonal(x, offset, -2, -1),
    ),
    "from_diagonal": shared(_from_diagonal),
    "one_hot": Twin(
        lambda t, x, *, num_classes, dtype, axis: t.nn.functional.one_hot(x, num_classes).movedim(-1, axis).to(
            getattr(t, dtype.name)
        ),
        lambda j, x, *, num_classes, dtype, axis: j.nn.one_hot(x, num_classes, dtype=dtype, axis=axis),
        lambda tf, x, *, num_classes, dtype, axis: tf.one_hot(x, num_classes, axis=axis, dtype=dtype.name),
    ),
    "filled_like": Twin(
        lambda t, x, *, value, dtype: t.full_like(x, value, dtype=getattr(t, np.dtype(dtype).name)),
        lambda j, x, *, value, dtype: j.numpy.full_like(x, value, dtype=dtype),
        lambda tf, x, *, value, dtype: tf.fill(x.shape, tf.constant(value, np.dtype(dtype).name)),
    ),
    "stop_gradient": Twin(lambda t, x: x.detach(), "lax.stop_gradient", "stop_gradient"),
}  # fmt: skip
