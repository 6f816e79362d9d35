"""Transformers: blocks of attention and of two dense layers, and stacks of such blocks."""

from __future__ import annotations

from typing import Any

from ..base.errors import ArgumentError
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from .activations import Activation, activation_of
from .attention import MultiHeadAttention
from .dense import Dense
from .dropout import Dropout
from .layer import Layer
from .norms import LayerNorm


class FeedForward(Layer):
    """Two dense layers, place by place: to `hidden` units, and back to the width of the input
    (Vaswani et al. 2017, section 3.3).

    Args:
        hidden: units between; by default four times the width.
        activation: a function, or its name, between the two.
        dropout: how much of the hidden units is left out in training.
        use_bias: with biases?

    Attributes:
        inner, outer: the two `Dense` layers.
    """

    def __init__(
        self, hidden: int | None = None, activation: Activation = "relu", *, dropout: float = 0.0, use_bias: bool = True
    ) -> None:
        if hidden is not None and as_index(hidden, "hidden", "FeedForward") < 1:
            raise ArgumentError(f"FeedForward: hidden must be 1 or more, got {hidden}.")
        activation_of(activation)
        self.hidden, self.activation, self.dropout, self.use_bias = hidden, activation, dropout, use_bias
        self.inner: Dense | None = None
        self.outer: Dense | None = None
        self.dropped = Dropout(dropout)

    def setup(self, key: Tensor, *inputs: Any) -> None:
        width = inputs[0].shape[-1]
        hidden = 4 * width if self.hidden is None else self.hidden
        self.inner = Dense(hidden, self.activation, use_bias=self.use_bias)
        self.outer = Dense(width, use_bias=self.use_bias)

    def forward(self, x: Any) -> Any:
        inner: Any = self.inner
        outer: Any = self.outer
        return outer(self.dropped(inner(x)))


class _Block(Layer):
    """Steps, each with a residual connection and a normalisation, after it as in Vaswani et al. (2017, section 3.1), or
    before it as in Xiong et al. (2020), which trains more steadily.
    """

    norm_first: bool
    dropped: Dropout

    def _step(self, x: Any, norm: LayerNorm, step: Any) -> Any:
        if self.norm_first:
            return x + self.dropped(step(norm(x)))
        return norm(x + self.dropped(step(x)))


class TransformerEncoderLayer(_Block):
    """A block of an encoder, or, with `causal=True`, of a language model such as GPT: attention of a sequence
    (n, time, width) to itself, then two dense layers; after PyTorch's layer of this name.

    Called with `mask` and `key_mask`, as `MultiHeadAttention` takes them.

    Args:
        heads: of attention.
        hidden: units of the two dense layers' middle; by default four times the width.
        dropout: how much is left out in training: of weights of attention, hidden units, and results of both parts.
        activation: of the hidden units.
        norm_first: normalise the input of each part, in the place of the sum after it?
        causal: place i sees places 0 to i only.
        rotary: positions by turning queries and keys; see `nn.rotary`.
        epsilon: of the normalisations.
        use_bias: with biases in attention and dense layers?

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.TransformerEncoderLayer(2)(bl.ones((3, 5, 4))).shape
    (3, 5, 4)
    """

    def __init__(
        self,
        heads: int,
        hidden: int | None = None,
        *,
        dropout: float = 0.1,
        activation: Activation = "relu",
        norm_first: bool = False,
        causal: bool = False,
        rotary: bool = False,
        epsilon: float = 1e-5,
        use_bias: bool = True,
    ) -> None:
        self.heads, self.hidden, self.dropout, self.activation = heads, hidden, dropout, activation
        self.norm_first, self.causal, self.rotary = norm_first, causal, rotary
        self.epsilon, self.use_bias = epsilon, use_bias
        self.attention = MultiHeadAttention(heads, dropout=dropout, causal=causal, rotary=rotary, use_bias=use_bias)
        self.attention_norm = LayerNorm(epsilon=epsilon)
        self.feed_forward = FeedForward(hidden, activation, dropout=dropout, use_bias=use_bias)
        self.feed_forward_norm = LayerNorm(epsilon=epsilon)
        self.dropped = Dropout(dropout)

    def forward(self, x: Any, *, mask: Any = None, key_mask: Any = None) -> Any:
        look = lambda x: self.attention(x, mask=mask, key_mask=key_mask)
        x = self._step(x, self.attention_norm, look)
        return self._step(x, self.feed_forward_norm, self.feed_forward)


class TransformerDecoderLayer(_Block):
    """A block of a decoder: causal attention of a sequence (n, time, width) to itself, attention to `memory`
    (n, places, ...), what an encoder gave, then two dense layers; after PyTorch's layer of this name.

    Called with `x` and `memory`, and with `mask` and `key_mask` for the first, `memory_mask` and `memory_key_mask` for
    the second attention. Arguments: as of `TransformerEncoderLayer`; `rotary` is about the first.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.TransformerDecoderLayer(2)(bl.ones((3, 5, 4)), bl.ones((3, 7, 4))).shape
    (3, 5, 4)
    """

    def __init__(
        self,
        heads: int,
        hidden: int | None = None,
        *,
        dropout: float = 0.1,
        activation: Activation = "relu",
        norm_first: bool = False,
        rotary: bool = False,
        epsilon: float = 1e-5,
        use_bias: bool = True,
    ) -> None:
        self.heads, self.hidden, self.dropout, self.activation = heads, hidden, dropout, activation
        self.norm_first, self.rotary, self.epsilon, self.use_bias = norm_first, rotary, epsilon, use_bias
        self.attention = MultiHeadAttention(heads, dropout=dropout, causal=True, rotary=rotary, use_bias=use_bias)
        self.attention_norm = LayerNorm(epsilon=epsilon)
        self.memory_attention = MultiHeadAttention(heads, dropout=dropout, use_bias=use_bias)
        self.memory_norm = LayerNorm(epsilon=epsilon)
        self.feed_forward = FeedForward(hidden, activation, dropout=dropout, use_bias=use_bias)
        self.feed_forward_norm = LayerNorm(epsilon=epsilon)
        self.dropped = Dropout(dropout)

    def forward(
        self,
        x: Any,
        memory: Any,
        *,
        mask: Any = None,
        key_mask: Any = None,
        memory_mask: Any = None,
        memory_key_mask: Any = None,
    ) -> Any:
        look = lambda x: self.attention(x, mask=mask, key_mask=key_mask)
        recall = lambda x: self.memory_attention(x, memory, mask=memory_mask, key_mask=memory_key_mask)
        x = self._step(x, self.attention_norm, look)
        x = self._step(x, self.memory_norm, recall)
        return self._step(x, self.feed_forward_norm, self.feed_forward)


class TransformerEncoder(Layer):
    """Encoder blocks, one after the other; after blocks that normalise first, a last normalisation.

    Called with `mask` and `key_mask`, which each block gets.

    Args:
        layers: how many blocks.
        heads, hidden, options: of each block; see `TransformerEncoderLayer`.

    Attributes:
        blocks: the blocks.
        norm: the last normalisation, or None.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> gpt = nn.Sequential(
    ...     nn.Embedding(10, 8), nn.LearnedPositions(5),
    ...     nn.TransformerEncoder(2, heads=2, causal=True, norm_first=True), nn.Dense(10),
    ... )
    >>> gpt(bl.tensor([[1, 2, 3]])).shape
    (1, 3, 10)
    """

    def __init__(self, layers: int, heads: int, hidden: int | None = None, **options: Any) -> None:
        self.layers, self.heads, self.hidden, self.options = layers, heads, hidden, options
        blocks = [TransformerEncoderLayer(heads, hidden, **options) for _ in range(_count(layers, self))]
        self.blocks = blocks
        self.norm = LayerNorm(epsilon=blocks[0].epsilon) if blocks[0].norm_first else None

    def forward(self, x: Any, *, mask: Any = None, key_mask: Any = None) -> Any:
        for block in self.blocks:
            x = block(x, mask=mask, key_mask=key_mask)
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Layer):
    """Decoder blocks, one after the other; after blocks that normalise first, a last normalisation.

    Called with `x`, `memory` and masks, as each block is: see `TransformerDecoderLayer`.

    Args:
        layers: how many blocks.
        heads, hidden, options: of each block; see `TransformerDecoderLayer`.

    Attributes:
        blocks: the blocks.
        norm: the last normalisation, or None.

    >>> import backlit as bl
    >>> from backlit import nn
    >>> nn.TransformerDecoder(2, heads=2)(bl.ones((3, 5, 4)), bl.ones((3, 7, 4))).shape
    (3, 5, 4)
    """

    def __init__(self, layers: int, heads: int, hidden: int | None = None, **options: Any) -> None:
        self.layers, self.heads, self.hidden, self.options = layers, heads, hidden, options
        blocks = [TransformerDecoderLayer(heads, hidden, **options) for _ in range(_count(layers, self))]
        self.blocks = blocks
        self.norm = LayerNorm(epsilon=blocks[0].epsilon) if blocks[0].norm_first else None

    def forward(self, x: Any, memory: Any, **masks: Any) -> Any:
        for block in self.blocks:
            x = block(x, memory, **masks)
        return x if self.norm is None else self.norm(x)


def _count(layers: int, of: Layer) -> int:
    name = type(of).__name__
    if as_index(layers, "layers", name) < 1:
        raise ArgumentError(f"{name}: layers must be 1 or more, got {layers}.")
    return layers
