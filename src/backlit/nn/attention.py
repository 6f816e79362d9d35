"""`MultiHeadAttention`: each place of a sequence looks at others, in several ways at once."""

from __future__ import annotations

import math
from typing import Any

from ..base.dtypes import BOOL, REAL_FLOAT
from ..base.errors import ArgumentError, DtypeError, ShapeError
from ..base.shapes import as_index
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.attention import attention_weights, scaled_dot_product_attention
from ..ops.comparison import where
from ..ops.contraction import matmul
from ..ops.movement import permute_dims, reshape
from .dense import Dense
from .dropout import Dropout
from .initialisers import Initialiser, initialiser
from .layer import Layer
from .positions import rotary


class MultiHeadAttention(Layer):
    """Attention in several heads (Vaswani et al. 2017, section 3.2.2).

    Inputs are `query` (n, queries, width), and `key` and `value` (n, keys, ...), by default the query: then a sequence
    looks at itself. Where only `key` is given it is also the value. The result has the shape of the query.

    Called with

    - `mask`: what a query may see: boolean, True where it may see a key; or numbers that are added to the scores.
      Its shape is (queries, keys), (n, queries, keys) or (n, heads, queries, keys); sizes may be 1.
    - `key_mask`: boolean (n, keys), True where a key counts; False for padding.

    A query that may see no key gets the bias of `out`. (In PyTorch True means hidden, and such a query gets NaN.)

    Args:
        heads: how many ways of looking there are; each has width / heads of the features.
        dropout: how many of the weights with which keys are looked at are left out in training.
        causal: query i sees keys 0 to i only.
        rotary: turn queries and keys by an angle that grows with their place; see `nn.rotary`.
        use_bias: with biases?
        init: first values of the weights.

    Attributes:
        query, key, value, out: `Dense` layers, each to the width of the query.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> attention = nn.MultiHeadAttention(2, causal=True)
    >>> attention(bl.ones((3, 5, 4))).shape
    (3, 5, 4)
    >>> attention(bl.ones((3, 5, 4)), key_mask=bl.ones((3, 5), dtype="bool")).shape
    (3, 5, 4)
    """

    def __init__(
        self,
        heads: int,
        *,
        dropout: float = 0.0,
        causal: bool = False,
        rotary: bool = False,
        use_bias: bool = True,
        init: str | Initialiser = "glorot_uniform",
    ) -> None:
        if as_index(heads, "heads", "MultiHeadAttention") < 1:
            raise ArgumentError(f"MultiHeadAttention: heads must be 1 or more, got {heads}.")
        initialiser(init)
        self.heads, self.dropout, self.causal, self.rotary = heads, dropout, causal, rotary
        self.use_bias, self.init = use_bias, init
        self.query: Dense | None = None
        self.key: Dense | None = None
        self.value: Dense | None = None
        self.out: Dense | None = None
        self.dropped = Dropout(dropout)

    def setup(self, key: Tensor, *inputs: Any) -> None:
        width = inputs[0].shape[-1]
        if width % self.heads:
            raise ArgumentError(
                f"MultiHeadAttention: {self.heads} heads do not divide the width {width} of the query; "
                f"take one of {', '.join(str(h) for h in range(1, width + 1) if width % h == 0)}."
            )
        make = lambda: Dense(width, use_bias=self.use_bias, init=self.init)
        self.query, self.key, self.value, self.out = make(), make(), make(), make()

    def forward(self, query: Any, key: Any = None, value: Any = None, *, mask: Any = None, key_mask: Any = None) -> Any:
        key = query if key is None else key
        value = key if value is None else value
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != 3:
                raise ShapeError(f"MultiHeadAttention: {name} must have shape (n, time, width), got {tuple(x.shape)}.")
        parts: tuple[Any, ...] = (self.query, self.key, self.value)
        q, k, v = (self._split(part(x)) for part, x in zip(parts, (query, key, value), strict=True))
        if self.rotary:
            q, k = rotary(q), rotary(k)
        mask = self._mask(mask, key_mask, (q.shape[0], self.heads, q.shape[2], k.shape[2]))
        if self.training and self.dropout:
            found = matmul(self.dropped(attention_weights(q, k, mask, causal=self.causal)), v)
        else:
            found = scaled_dot_product_attention(q, k, v, mask, causal=self.causal)
        out: Any = self.out
        return out(reshape(permute_dims(found, (0, 2, 1, 3)), query.shape))

    def _split(self, x: Any) -> Any:
        """(n, time, width) as (n, heads, time, width / heads)."""
        n, time, width = x.shape
        return permute_dims(reshape(x, (n, time, self.heads, width // self.heads)), (0, 2, 1, 3))

    def _mask(self, mask: Any, key_mask: Any, scores: tuple[int, ...]) -> Any:
        """Both masks as one that broadcasts to the scores, (n, heads, queries, keys)."""
        n, heads, queries, keys = scores
        if mask is not None:
            mask = as_tensor(mask)
            full = (1,) * (4 - mask.ndim) + tuple(mask.shape)
            if mask.ndim == 3:
                full = (mask.shape[0], 1, *mask.shape[1:])
            if mask.ndim not in (2, 3, 4) or any(a not in (1, b) for a, b in zip(full, scores, strict=True)):
                raise ShapeError(
                    f"MultiHeadAttention: mask has shape {tuple(mask.shape)}; expected (queries, keys), here "
                    f"{(queries, keys)}, or {(n, queries, keys)} or {(n, heads, queries, keys)}, where sizes may be 1."
                )
            if mask.dtype.char not in BOOL + REAL_FLOAT:
                raise DtypeError(
                    f"MultiHeadAttention: mask has dtype {mask.dtype.name}; expected boolean (True where a key may be "
                    "seen), or floating-point (added to the scores). Compare first, for example mask != 0."
                )
            mask = reshape(mask, full)
        if key_mask is None:
            return mask
        key_mask = as_tensor(key_mask)
        if tuple(key_mask.shape) != (n, keys) or key_mask.dtype.char not in BOOL:
            raise ShapeError(
                f"MultiHeadAttention: key_mask is {key_mask.dtype.name} of shape {tuple(key_mask.shape)}; expected "
                f"boolean of shape (n, keys), here {(n, keys)}, True where a key counts."
            )
        counts = reshape(key_mask, (n, 1, 1, keys))
        if mask is None:
            return counts
        return mask & counts if mask.dtype.char in BOOL else where(counts, mask, -math.inf)
