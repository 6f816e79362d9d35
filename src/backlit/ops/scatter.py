"""Tables and segments: rows looked up by number, and rows gathered by the number of the group they belong to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.dtypes import INTEGER
from ..base.errors import DtypeError, ShapeError
from ..base.shapes import as_index
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .index import place, take
from .indexing import ARRAY, Filled, Index, check_arrays, positions
from .movement import astype, reshape
from .operands import operand

_FIRST = Index((ARRAY,))


@composite(onnx="Gather", samples=lambda rng: [((np.array([[0, 2], [2, 1]]), rng.normal(size=(3, 4))), {})])
def embedding(ids: Any, table: Any, /) -> Any:
    """The row of `table` for each of `ids` (integers of any shape): shape (*ids.shape, *table.shape[1:]).

    >>> import backlit as bl
    >>> bl.embedding([2, 0], bl.eye(3))
    tensor([[0., 0., 1.],
            [1., 0., 0.]], dtype=float32)
    """
    return take(table, ids, axis=0)


def _segments(x: Any, ids: Any, num_segments: int, where: str) -> tuple[Any, Any, int]:
    x, ids = operand(x), operand(ids)
    if ids.dtype.char not in INTEGER:
        raise DtypeError(f"{where}: segment_ids must be integers, got {ids.dtype.name}; use .astype(bl.int64).")
    if ids.ndim != 1 or ids.shape != x.shape[:1]:
        raise ShapeError(f"{where}: expected one segment id for each row of x {x.shape}, got ids of shape {ids.shape}.")
    return x, ids, as_index(num_segments, "num_segments", where)


def _sum_params(x: Any, segment_ids: Any, num_segments: int, /) -> Any:
    x, ids, n = _segments(x, segment_ids, num_segments, "segment_sum")
    return (x, ids), {"num_segments": n}


def _segment_rule(x: Any, ids: Any, *, num_segments: int, **_: Any) -> Spec:
    return Spec((num_segments, *x.shape[1:]), x.dtype)


def _sum_cases(rng: Any) -> list[Any]:
    ids = np.array([0, 2, 0, 2, 2])
    return [((rng.normal(size=(5, 2)), ids, 4), {}), ((rng.normal(size=5), ids, 3), {})]


@op(
    prepare=_sum_params, infer=_segment_rule, saves="segment_ids", promotes=(), dtypes="numeric",
    traits="jointly_linear", transpose=(lambda g, x, ids, *, num_segments: take(g, ids, axis=0), None),
    samples=_sum_cases,
)  # fmt: skip
def segment_sum(x: Any, segment_ids: Any, /, *, num_segments: int) -> Any:
    """The sums of the rows of `x` that have the same segment id: shape (num_segments, *x.shape[1:]).

    >>> import backlit as bl
    >>> bl.segment_sum(bl.tensor([1.0, 2.0, 4.0]), [0, 1, 0], 2)
    tensor([5., 2.], dtype=float32)
    """
    _check(segment_ids, num_segments, "segment_sum")
    return place.eval(x, segment_ids, index=_FIRST, shape=(num_segments, *x.shape[1:]))


def _check(ids: Any, num_segments: int, where: str) -> None:
    if ids.size and not (ids.min() >= 0 and ids.max() < num_segments):
        check_arrays(where, (num_segments,), Filled(_FIRST, (np.where(ids < 0, num_segments - ids, ids),)))


@composite(dtypes="floating-point", samples=_sum_cases)
def segment_mean(x: Any, segment_ids: Any, num_segments: int, /) -> Any:
    """The means of the rows of `x` that have the same segment id; 0 for a segment without rows."""
    x, ids, n = _segments(x, segment_ids, num_segments, "segment_mean")
    counts = segment_counts(ids, n)
    return segment_sum(x, ids, n) / reshape(astype(counts, x.dtype), (n, *(1,) * (x.ndim - 1)))


@op(
    prepare=lambda ids, num_segments, /: ((ids,), {"num_segments": num_segments}), namespace="hidden",
    infer=lambda ids, *, num_segments: Spec((num_segments,), np.dtype(np.int64)), nondiff="a count is an integer",
    samples=lambda rng: [((np.array([0, 2, 0]), 4), {})],
)  # fmt: skip
def segment_counts(ids: Any, /, *, num_segments: int) -> Any:
    """How many rows each segment has, at least 1 (what a mean is divided by)."""
    return np.maximum(np.bincount(ids, minlength=num_segments)[:num_segments], 1)


def _max_params(x: Any, segment_ids: Any, num_segments: int, /) -> Any:
    x, ids, n = _segments(x, segment_ids, num_segments, "segment_max")
    return (x, ids), {"num_segments": n}


def _max_vjp(g: Any, out: Any, x: Any, ids: Any, *, num_segments: int) -> Any:
    ties = astype(x == take(out, ids, axis=0), x.dtype)
    shares = ties / take(segment_sum(ties, ids, num_segments), ids, axis=0)
    return take(g, ids, axis=0) * shares, None


@op(
    prepare=_max_params, infer=_segment_rule, saves="out x segment_ids", promotes=(), dtypes="real numeric",
    vjp=_max_vjp, samples=lambda rng: [((rng.normal(size=(5, 2)), np.array([0, 2, 0, 1, 2]), 3), {})],
)  # fmt: skip
def segment_max(x: Any, segment_ids: Any, /, *, num_segments: int) -> Any:
    """The largest of the rows of `x` that have the same segment id, elementwise; ties share the gradient.

    A segment without rows holds -inf (the smallest integer for integers).
    """
    _check(segment_ids, num_segments, "segment_max")
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    out = np.full((num_segments, *x.shape[1:]), lowest, x.dtype)
    where = positions(out.shape, _FIRST, (segment_ids,))
    np.maximum.at(out.reshape(-1), where.reshape(-1), x.reshape(-1))
    return out
