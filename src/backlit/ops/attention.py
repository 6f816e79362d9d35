"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..base.dtypes import BOOL, REAL_FLOAT
from ..base.errors import DtypeError, ShapeError
from ..base.shapes import broadcast
from ..graph.op import composite
from .arithmetic import add, multiply
from .comparison import not_equal, where
from .contraction import matmul
from .movement import matrix_transpose
from .operands import operand
from .reduce import any as any_
from .softmax import softmax


def _checked(q: Any, k: Any, v: Any, mask: Any) -> None:
    """Raise the error that explains what does not fit."""
    where_ = "scaled_dot_product_attention"
    if min(len(q.shape), len(k.shape), len(v.shape)) < 2:
        raise ShapeError(
            f"{where_}: expected q (..., queries, d), k (..., keys, d) and v (..., keys, e), "
            f"got {q.shape}, {k.shape}, {v.shape}."
        )
    if q.shape[-1] != k.shape[-1]:
        raise ShapeError(f"{where_}: q has vectors of length {q.shape[-1]}, k of {k.shape[-1]}; they must be equal.")
    if k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"{where_}: there are {k.shape[-2]} keys, but {v.shape[-2]} values; there must be as many.")
    scores = (*broadcast(q.shape[:-2], k.shape[:-2], where=where_), q.shape[-2], k.shape[-2])
    if mask is not None:
        if mask.dtype.char not in BOOL + REAL_FLOAT:
            raise DtypeError(
                f"{where_}: mask has dtype {mask.dtype.name}; expected boolean (True where a key may be seen), or "
                "floating-point (added to the scores). Compare first, for example mask != 0."
            )
        if broadcast(mask.shape, scores, where=f"{where_}, mask and scores") != scores:
            raise ShapeError(f"{where_}: mask of shape {mask.shape} does not broadcast to the scores, {scores}.")


def _samples(rng: Any) -> list[Any]:
    q, k, v = (rng.normal(size=s) for s in ((2, 3, 2), (2, 4, 2), (2, 4, 3)))
    seen = np.array([[True, False, True, True], [False] * 4, [True] * 4])
    return [((q, k, v), {}), ((q, k, v, seen), {"scale": 0.5}), ((q[0], q[0], q[0]), {"causal": True}),
            ((q, k, v, rng.normal(size=(3, 4))), {})]  # fmt: skip


@composite(dtypes="real floating-point", onnx="Attention", samples=_samples)
def scaled_dot_product_attention(
    q: Any, k: Any, v: Any, /, mask: Any = None, *, causal: bool = False, scale: float | None = None
) -> Any:
    """softmax(scale · q kᵀ + mask) v: for each query the mean of the values, weighted by how well its key fits.

    `q` has shape (..., queries, d), `k` (..., keys, d), `v` (..., keys, e); the result (..., queries, e).
    The axes before are batch and heads, and broadcast.

    Args:
        mask: what broadcasts to (..., queries, keys): boolean (True where a query may see a key), or numbers
            added to the scores (-inf hides).
        causal: query i sees keys 0 to i only.
        scale: by default 1/√d.

    A query that may see no key gets 0, and its gradient is 0.
    Source: Vaswani et al., Attention is all you need (2017), equation 1.

    >>> import backlit as bl
    >>> x = bl.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> bl.scaled_dot_product_attention(x, x, x, causal=True)[0]
    tensor([1., 0.], dtype=float32)
    """
    q, k, v = operand(q), operand(k), operand(v)
    mask = None if mask is None else operand(mask)
    _checked(q, k, v, mask)
    return matmul(attention_weights(q, k, mask, causal=causal, scale=scale), v)


def attention_weights(q: Any, k: Any, mask: Any = None, *, causal: bool = False, scale: float | None = None) -> Any:
    """softmax(scale · q kᵀ + mask): with which weight each query looks at each key."""
    scores = matmul(multiply(q, 1 / math.sqrt(q.shape[-1]) if scale is None else scale), matrix_transpose(k))
    seen: Any = np.tri(*scores.shape[-2:], dtype=bool) if causal else None
    if mask is not None:
        if mask.dtype.char == BOOL:
            allowed = mask
        else:
            allowed = not_equal(mask, -math.inf)
            scores = add(scores, where(allowed, mask, 0))
        seen = allowed if seen is None else allowed & seen
    if seen is None:
        return softmax(scores, axis=-1)
    # A finite score instead of -inf: a row without any key stays free of NaN, in both directions.
    weights = softmax(where(seen, scores, float(np.finfo(scores.dtype).min) / 2), axis=-1)
    return weights if mask is None else where(any_(seen, axis=-1, keepdims=True), weights, 0)
