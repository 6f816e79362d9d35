"""Twins of reductions, of scans along an axis, of softmax and losses, and of sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..libraries import Library
from .record import Twin, named, shared, without


def _reduced(torch: str, jax: str, tensorflow: str) -> Twin:
    """Reductions over several axes; over none of them torch would take all."""

    def in_torch(t: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        return getattr(t, torch)(x, dim=axis, keepdim=keepdims) if axis else x.clone()

    return Twin(
        in_torch,
        lambda j, x, *, axis, keepdims: getattr(j.numpy, jax)(x, axis=axis, keepdims=keepdims),
        lambda tf, x, *, axis, keepdims: getattr(tf.math, tensorflow)(x, axis=axis, keepdims=keepdims),
    )


def _torch_prod(t: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    for a in sorted(axis, reverse=True):
        x = x.prod(a, keepdim=keepdims)
    return x


def _truth(torch: str, tensorflow: str) -> Twin:
    def in_torch(t: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        return getattr(t, torch)(x, dim=axis, keepdim=keepdims) if axis else x.bool()

    return Twin(
        in_torch,
        lambda j, x, *, axis, keepdims: getattr(j.numpy, torch)(x, axis=axis, keepdims=keepdims),
        lambda tf, x, *, axis, keepdims: getattr(tf.math, tensorflow)(
            tf.cast(x, tf.bool), axis=axis, keepdims=keepdims
        ),
    )


def _count(x: Any, axis: Any) -> int:
    return int(np.prod([x.shape[a] for a in axis]))


def _tf_var(tf: Any, x: Any, *, axis: Any, correction: float, keepdims: bool) -> Any:
    n = _count(x, axis)
    return tf.math.reduce_variance(x, axis=axis, keepdims=keepdims) * (n / (n - correction) if correction else 1)


def _spread(name: str, tensorflow: Any) -> Twin:
    return Twin(
        lambda t, x, *, axis, correction, keepdims: getattr(t, name)(
            x, dim=axis, correction=correction, keepdim=keepdims
        ),
        lambda j, x, *, axis, correction, keepdims: getattr(j.numpy, name)(
            x, axis=axis, ddof=correction, keepdims=keepdims
        ),
        tensorflow,
    )


def _place_of(name: str) -> Twin:
    def in_tf(tf: Any, x: Any, *, axis: int | None, keepdims: bool) -> Any:
        found = getattr(tf.math, name)(tf.reshape(x, [-1]) if axis is None else x, axis=axis or 0)
        if not keepdims:
            return found
        return tf.reshape(found, [1] * len(x.shape)) if axis is None else tf.expand_dims(found, axis)

    return Twin(
        lambda t, x, *, axis, keepdims: getattr(t, name)(x, dim=axis, keepdim=keepdims),
        lambda j, x, *, axis, keepdims: getattr(j.numpy, name)(x, axis=axis, keepdims=keepdims),
        in_tf,
    )


# --- along an axis -----------------------------------------------------------------------------------


def _running(torch: str, initial: int) -> Twin:
    def with_initial(x: Any, axis: int, wanted: bool, first: Any, concat: Callable[..., Any]) -> Any:
        if not wanted:
            return x
        shape = [1 if i == axis else n for i, n in enumerate(x.shape)]
        return concat([first(shape), x], axis)

    return Twin(
        lambda t, x, *, axis, include_initial: with_initial(
            getattr(t, torch)(x, axis), axis, include_initial, lambda s: t.full(s, initial, dtype=x.dtype), t.cat
        ),
        lambda j, x, *, axis, include_initial: with_initial(
            getattr(j.numpy, torch)(x, axis), axis, include_initial, lambda s: j.numpy.full(s, initial, x.dtype),
            j.numpy.concatenate,
        ),
        lambda tf, x, *, axis, include_initial: with_initial(
            getattr(tf.math, torch)(x, axis), axis, include_initial, lambda s: tf.fill(s, tf.cast(initial, x.dtype)),
            tf.concat,
        ),
    )  # fmt: skip


def _recurrence(stack: Callable[..., Any], unstack: Callable[..., Any]) -> Callable[..., Any]:
    """h[i] = a[i] h[i-1] + b[i], step by step as it is defined."""

    def twin(m: Any, a: Any, b: Any, *, axis: int) -> Any:
        h: Any = None
        found = []
        for one, other in zip(unstack(m, a, axis), unstack(m, b, axis), strict=True):
            h = other if h is None else one * h + other
            found.append(h)
        return stack(m, found, axis)

    return twin


def _jax_unstack(j: Any, x: Any, axis: int) -> Any:
    return [j.numpy.take(x, i, axis) for i in range(x.shape[axis])]


def _tf_sort(tf: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    return tf.sort(x, axis=axis, direction="DESCENDING" if descending else "ASCENDING")


def _jax_argsort(j: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    return j.numpy.argsort(x, axis=axis, descending=descending, stable=stable)


def _top_positions(order: Callable[..., Any]) -> Callable[..., Any]:
    return lambda m, x, *, k, axis, largest: order(m, x, axis, largest)[(slice(None),) * axis + (slice(0, k),)]


# --- softmax and what is made of it --------------------------------------------------------------------


def _by_axis(torch: str, tensorflow: str) -> Twin:
    name = torch
    return Twin(
        lambda t, x, *, axis: getattr(t, name)(x, dim=axis),
        lambda j, x, *, axis: getattr(j.nn, name)(x, axis=axis),
        lambda tf, x, *, axis: getattr(tf.nn, tensorflow)(x, axis=axis),
    )


#: What each library calls them.
_LOG_SOFTMAX = {"torch": "log_softmax", "jax": "nn.log_softmax", "tensorflow": "nn.log_softmax"}
_MODULE = {"torch": "{}", "jax": "numpy.{}", "tensorflow": "reduce_{}"}


def _cross_entropy(library: Library, logits: Any, labels: Any, *, axis: int, reduction: str) -> Any:
    """By the definition: -log softmax at the labels, of the library's own log_softmax."""
    total = _MODULE[library.name]
    logs = named(library, _LOG_SOFTMAX[library.name])(logits, axis)
    if "int" in str(labels.dtype):
        losses = -library.gather(logs, _at_labels(tuple(logits.shape), np.asarray(labels), axis))
    else:
        losses = -named(library, total.format("sum"))(logs * labels, axis)
    return losses if reduction == "none" else named(library, total.format(reduction))(losses)


def _at_labels(shape: tuple[int, ...], labels: Any, axis: int) -> Any:
    """The positions in the flattened logits that labels name."""
    at = np.arange(int(np.prod(shape))).reshape(shape)
    return np.take_along_axis(at, np.expand_dims(labels, axis), axis).squeeze(axis)


def _minus_one_hot(library: Library, x: Any, labels: Any, *, axis: int) -> Any:
    shape = tuple(x.shape)
    mask = np.zeros(shape)
    mask.reshape(-1)[_at_labels(shape, np.asarray(labels), axis).reshape(-1)] = 1
    ones = library.zeros(shape, x) + 1
    return x - library.scatter(library.gather(ones, np.flatnonzero(mask)), np.flatnonzero(mask), shape)


REDUCTIONS: dict[str, Twin] = {
    "sum": _reduced("sum", "sum", "reduce_sum"),
    "mean": _reduced("mean", "mean", "reduce_mean"),
    "max": _reduced("amax", "max", "reduce_max"),
    "min": _reduced("amin", "min", "reduce_min"),
    "logsumexp": Twin(
        lambda t, x, *, axis, keepdims: t.logsumexp(x, axis, keepdim=keepdims),
        lambda j, x, *, axis, keepdims: j.nn.logsumexp(x, axis, keepdims=keepdims),
        lambda tf, x, *, axis, keepdims: tf.math.reduce_logsumexp(x, axis, keepdims=keepdims),
    ),
    "prod": _reduced("prod", "prod", "reduce_prod")._replace(torch=_torch_prod),
    "var": _spread("var", _tf_var),
    "std": _spread("std", lambda tf, x, **params: tf.sqrt(_tf_var(tf, x, **params))),
    "all": _truth("all", "reduce_all"),
    "any": _truth("any", "reduce_any"),
    "count_nonzero": Twin(
        lambda t, x, *, axis, keepdims: (x != 0).sum(axis, keepdim=keepdims),
        lambda j, x, *, axis, keepdims: j.numpy.count_nonzero(x, axis, keepdims=keepdims),
        lambda tf, x, *, axis, keepdims: tf.math.count_nonzero(x, axis, keepdims=keepdims),
    ),
    "argmax": _place_of("argmax"),
    "argmin": _place_of("argmin"),
    "power_norm": Twin(
        lambda t, x, *, axis, keepdims, ord: t.linalg.vector_norm(x, ord, axis, keepdim=keepdims),
        lambda j, x, *, axis, keepdims, ord: j.numpy.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord),
        lambda tf, x, *, axis, keepdims, ord: tf.reduce_sum(tf.abs(x) ** ord, axis, keepdims) ** (1 / ord),
    ),
    # along an axis
    "cumulative_sum": _running("cumsum", 0),
    "cumulative_prod": _running("cumprod", 1),
    "linear_recurrence": Twin(
        _recurrence(lambda t, xs, axis: t.stack(xs, axis), lambda t, x, axis: x.unbind(axis)),
        _recurrence(lambda j, xs, axis: j.numpy.stack(xs, axis), _jax_unstack),
        _recurrence(lambda tf, xs, axis: tf.stack(xs, axis), lambda tf, x, axis: tf.unstack(x, axis=axis)),
    ),
    "sort": Twin(
        lambda t, x, *, axis, descending, stable: t.sort(x, dim=axis, descending=descending, stable=stable).values,
        lambda j, x, *, axis, descending, stable: j.numpy.sort(x, axis=axis, descending=descending, stable=stable),
        _tf_sort,
    ),
    "argsort": Twin(
        lambda t, x, *, axis, descending, stable: t.argsort(x, dim=axis, descending=descending, stable=True),
        _jax_argsort,
        lambda tf, x, *, axis, descending, stable: tf.cast(
            tf.argsort(x, axis, "DESCENDING" if descending else "ASCENDING", stable), tf.int64
        ),
    ),
    "top_positions": Twin(
        lambda t, x, *, k, axis, largest: t.topk(x, k, dim=axis, largest=largest).indices,
        _top_positions(lambda j, x, axis, largest: j.numpy.argsort(x, axis=axis, descending=largest)),
        _top_positions(
            lambda tf, x, axis, largest: tf.cast(
                tf.argsort(x, axis, "DESCENDING" if largest else "ASCENDING", True), tf.int64
            )
        ),
    ),
    "searchsorted": Twin(
        lambda t, a, b, *, side: t.searchsorted(a, b, side=side),
        lambda j, a, b, *, side: j.numpy.searchsorted(a, b, side=side).astype("int64"),
        lambda tf, a, b, *, side: tf.reshape(
            tf.searchsorted(a, tf.reshape(b, [-1]), side=side, out_type=tf.int64), b.shape
        ),
    ),
    "isin": Twin(
        lambda t, a, b, *, invert: t.isin(a, b, invert=invert),
        lambda j, a, b, *, invert: j.numpy.isin(a, b, invert=invert),
        lambda tf, a, b, *, invert: tf.reduce_any(a[..., None] == tf.reshape(b, [-1]), -1) != invert,
    ),
    **without(
        ["running_argmax", "unique_positions", "nonzero", "winners", "segment_counts", "random_order", "pool_argmax"],
        "it gives positions, whole numbers that have no derivative; what is read there is compared",
    ),
    # softmax, losses
    "softmax": _by_axis("softmax", "softmax"),
    "log_softmax": _by_axis("log_softmax", "log_softmax"),
    "softmax_cross_entropy": shared(_cross_entropy),
    "minus_one_hot": shared(_minus_one_hot),
    # random numbers
    **without(
        ["split_key", "fold_in", "bits", "unit_uniform", "standard_normal", "truncated_normal", "gumbel",
         "exponential", "bernoulli", "categorical", "randint"],
        "it draws random numbers: those drawn here are taken there as they are",
    ),
}  # fmt: skip
