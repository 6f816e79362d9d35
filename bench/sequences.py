"""W8, W9: a recurrent network, and a small transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .dense import entropy_jax, entropy_tensorflow
from .training import Training
from .workload import Contender, rng


class Lstm(Training):
    """An LSTM (Hochreiter & Schmidhuber 1997), its last state to one output, and the mean squared error."""

    key = "W8"
    tolerance = 1e-3
    slow = frozenset({"TensorFlow XLA"})

    def __init__(
        self, features: int = 32, width: int = 128, length: int = 64, batch: int = 32, target: float | None = 2.5e-3
    ) -> None:
        self.features, self.width, self.length, self.size, self.target = features, width, length, batch, target
        self.title = f"LSTM {features} to {width}, length {length}, batch {batch}, SGD step"
        inner, outer = width * 4 * width, features * 4 * width
        self.flops = 2.0 * batch * length * (3 * inner + 2 * outer)

    def start(self) -> list[Any]:
        import numpy as np

        n, m = self.width, self.features
        shapes = ((m, 4 * n), (n, 4 * n), (4 * n,), (n, 1), (1,))
        return [rng().uniform(-1, 1, s).astype(np.float32) * np.float32(n**-0.5) for s in shapes]

    def batch(self) -> tuple[Any, Any]:
        """x has shape (length, batch, features)."""
        import numpy as np

        random = np.random.default_rng(1)
        x = random.standard_normal((self.length, self.size, self.features), dtype=np.float32)
        return x, random.standard_normal((self.size, 1), dtype=np.float32)

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl

        w, u, b, out, bias = params
        n = self.width

        def cell(state: Any, given: Any) -> Any:
            h, c = state
            z = given + h @ u
            i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
            c = bl.sigmoid(f) * c + bl.sigmoid(i) * bl.tanh(g)
            return (bl.sigmoid(o) * bl.tanh(c), c), ()

        zero = bl.zeros((self.size, n))
        (h, _), _ = bl.scan(cell, (zero, zero), x @ w + b)
        return bl.mean((h @ out + bias - y) ** 2)

    def loss_torch(self, params: Any, x: Any, y: Any) -> Any:
        import torch

        w, u, b, out, bias = params
        zero = x.new_zeros((1, self.size, self.width))
        weights = [w.t(), u.t(), b, torch.zeros_like(b)]
        _, h, _ = self._torch_lstm(x, (zero, zero), weights, True, 1, 0.0, True, False, False)
        return ((torch.addmm(bias, h[0], out) - y) ** 2).mean()

    def torch(self, compiled: bool = False) -> Contender:
        import torch

        # torch.compile cannot compile this kernel, and makes a slower one of a loop over cells: it stays as it is.
        self._torch_lstm = torch.compiler.disable(torch.lstm) if compiled else torch.lstm
        return super().torch(compiled)

    def loss_jax(self, params: Any, x: Any, y: Any) -> Any:
        import jax
        import jax.numpy as jnp

        w, u, b, out, bias = params

        def cell(state: Any, given: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(given + h @ u, 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zero = jnp.zeros((self.size, self.width))
        (h, _), _ = jax.lax.scan(cell, (zero, zero), x @ w + b)
        return ((h @ out + bias - y) ** 2).mean()

    def loss_tensorflow(self, params: Any, x: Any, y: Any) -> Any:
        import tensorflow as tf

        w, u, b, out, bias = params
        flat = tf.reshape(x, (self.length * self.size, self.features))
        given = tf.unstack(tf.reshape(tf.matmul(flat, w) + b, (self.length, self.size, 4 * self.width)))
        h = c = tf.zeros((self.size, self.width))
        for step in given:
            i, f, g, o = tf.split(step + tf.matmul(h, u), 4, 1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
        return tf.reduce_mean((tf.matmul(h, out) + bias - y) ** 2)


class Gpt(Training):
    """A transformer that predicts the next of a sequence of tokens: pre-norm, GELU (by tanh), causal attention."""

    key = "W9"
    optimizer, rate = "adam", 1e-3
    tolerance = 1e-3

    def __init__(
        self, width: int = 128, heads: int = 4, layers: int = 4, length: int = 64, batch: int = 16,
        vocabulary: int = 256, target: float | None = 13e-3,
    ) -> None:  # fmt: skip
        self.width, self.heads, self.layers, self.length, self.size = width, heads, layers, length, batch
        self.vocabulary, self.target = vocabulary, target
        self.title = f"GPT of width {width}, {heads} heads, {layers} layers, length {length}, batch {batch}, Adam step"
        tokens = batch * length
        dense = layers * 12 * width * width + width * vocabulary
        self.flops = 6.0 * tokens * dense + 12.0 * layers * tokens * length * width

    def start(self) -> list[Any]:
        """Embeddings; for each layer two norms and four dense layers; then a norm and the dense layer to tokens."""
        import numpy as np

        random, n = rng(), self.width

        def matrix(a: int, b: int) -> Any:
            return (random.standard_normal((a, b)) * 0.02).astype(np.float32)

        def norm() -> list[Any]:
            return [np.ones(n, np.float32), np.zeros(n, np.float32)]

        def dense(a: int, b: int) -> list[Any]:
            return [matrix(a, b), np.zeros(b, np.float32)]

        params = [matrix(self.vocabulary, n), matrix(self.length, n)]
        for _ in range(self.layers):
            params += [*norm(), *dense(n, 3 * n), *dense(n, n), *norm(), *dense(n, 4 * n), *dense(4 * n, n)]
        return [*params, *norm(), *dense(n, self.vocabulary)]

    def batch(self) -> tuple[Any, Any]:
        import numpy as np

        tokens = np.random.default_rng(1).integers(0, self.vocabulary, (self.size, self.length + 1))
        return np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])

    def blocks(self, params: Sequence[Any]) -> list[Sequence[Any]]:
        """The parameters of each layer."""
        return [params[2 + 12 * i : 14 + 12 * i] for i in range(self.layers)]

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl

        batch, length, n = self.size, self.length, self.width

        def norm(h: Any, scale: Any, shift: Any) -> Any:
            centred = h - bl.mean(h, axis=-1, keepdims=True)
            variance = bl.mean(centred * centred, axis=-1, keepdims=True)
            return centred * bl.rsqrt(variance + 1e-5) * scale + shift

        def split(h: Any) -> Any:
            return bl.permute_dims(h.reshape((batch, length, self.heads, n // self.heads)), (0, 2, 1, 3))

        h = bl.embedding(x, params[0]) + params[1]
        for s1, t1, wa, ba, wo, bo, s2, t2, w1, b1, w2, b2 in self.blocks(params):
            z = norm(h, s1, t1) @ wa + ba
            q, k, v = (split(z[:, :, i * n : (i + 1) * n]) for i in range(3))
            a = bl.scaled_dot_product_attention(q, k, v, causal=True)
            h = h + bl.permute_dims(a, (0, 2, 1, 3)).reshape((batch, length, n)) @ wo + bo
            h = h + bl.gelu(norm(h, s2, t2) @ w1 + b1, approximate="tanh") @ w2 + b2
        scores = norm(h, *params[-4:-2]) @ params[-2] + params[-1]
        return bl.softmax_cross_entropy(scores, y)

    def loss_torch(self, params: Any, x: Any, y: Any) -> Any:
        from torch.nn.functional import cross_entropy, embedding, gelu, layer_norm, scaled_dot_product_attention

        batch, length, n = self.size, self.length, self.width

        def dense(h: Any, w: Any, b: Any) -> Any:
            return (h.reshape(batch * length, -1) @ w + b).view(batch, length, -1)

        h = embedding(x, params[0]) + params[1]
        for s1, t1, wa, ba, wo, bo, s2, t2, w1, b1, w2, b2 in self.blocks(params):
            z = dense(layer_norm(h, (n,), s1, t1), wa, ba)
            q, k, v = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in z.split(n, 2))
            a = scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + dense(a.transpose(1, 2).reshape(batch, length, n), wo, bo)
            h = h + dense(gelu(dense(layer_norm(h, (n,), s2, t2), w1, b1), approximate="tanh"), w2, b2)
        scores = dense(layer_norm(h, (n,), *params[-4:-2]), *params[-2:])
        return cross_entropy(scores.view(-1, self.vocabulary), y.reshape(-1))

    def loss_jax(self, params: Any, x: Any, y: Any) -> Any:
        import jax
        import jax.numpy as jnp

        batch, length, n = self.size, self.length, self.width

        def norm(h: Any, scale: Any, shift: Any) -> Any:
            mean, variance = jnp.mean(h, -1, keepdims=True), jnp.var(h, -1, keepdims=True)
            return (h - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift

        h = params[0][x] + params[1]
        for s1, t1, wa, ba, wo, bo, s2, t2, w1, b1, w2, b2 in self.blocks(params):
            z = norm(h, s1, t1) @ wa + ba
            q, k, v = (p.reshape(batch, length, self.heads, -1) for p in jnp.split(z, 3, 2))
            a = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            h = h + a.reshape(batch, length, n) @ wo + bo
            h = h + jax.nn.gelu(norm(h, s2, t2) @ w1 + b1, approximate=True) @ w2 + b2
        return entropy_jax(norm(h, *params[-4:-2]) @ params[-2] + params[-1], y)

    def loss_tensorflow(self, params: Any, x: Any, y: Any) -> Any:
        import tensorflow as tf

        batch, length, n = self.size, self.length, self.width
        seen = tf.constant([[j <= i for j in range(length)] for i in range(length)])

        def norm(h: Any, scale: Any, shift: Any) -> Any:
            mean, variance = tf.nn.moments(h, -1, keepdims=True)
            return tf.nn.batch_normalization(h, mean, variance, shift, scale, 1e-5)

        def dense(h: Any, w: Any, b: Any) -> Any:
            return tf.reshape(tf.matmul(tf.reshape(h, (batch * length, -1)), w) + b, (batch, length, -1))

        h = tf.gather(params[0], x) + params[1]
        for s1, t1, wa, ba, wo, bo, s2, t2, w1, b1, w2, b2 in self.blocks(params):
            z = tf.reshape(dense(norm(h, s1, t1), wa, ba), (batch, length, 3, self.heads, n // self.heads))
            q, k, v = tf.unstack(tf.transpose(z, (2, 0, 3, 1, 4)))
            scores = tf.matmul(q * (n // self.heads) ** -0.5, k, transpose_b=True)
            a = tf.matmul(tf.nn.softmax(tf.where(seen, scores, -1e9)), v)
            h = h + dense(tf.reshape(tf.transpose(a, (0, 2, 1, 3)), (batch, length, n)), wo, bo)
            h = h + dense(tf.nn.gelu(dense(norm(h, s2, t2), w1, b1), approximate=True), w2, b2)
        return entropy_tensorflow(dense(norm(h, *params[-4:-2]), *params[-2:]), y)
