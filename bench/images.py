"""W6, W7: convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .dense import entropy_jax, entropy_tensorflow
from .training import Training
from .workload import rng


class Convolutional(Training):
    """What both have in common: images, labels, and the parameters in both layouts."""

    size: int  # of the batch
    image: tuple[int, int, int]  # channels, height, width

    def batch(self) -> tuple[Any, Any]:
        import numpy as np

        random = np.random.default_rng(1)
        x = random.standard_normal((self.size, *self.image), dtype=np.float32)
        return x, random.integers(0, 10, self.size)

    def channels_last(self) -> tuple[list[Any], Any]:
        import numpy as np

        params = self.start()
        channels = next(p.shape[0] for p in reversed(params) if p.ndim == 4)
        moved = []
        for p in params:
            if p.ndim == 4:
                p = p.transpose(2, 3, 1, 0)
            elif p.ndim == 2:  # the dense layer takes the features in another order
                side = int((p.shape[0] // channels) ** 0.5)
                p = p.reshape(channels, side, side, -1).transpose(1, 2, 0, 3).reshape(p.shape)
            moved.append(np.ascontiguousarray(p))
        return moved, np.ascontiguousarray(self.batch()[0].transpose(0, 2, 3, 1))


def drawn(shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Parameters of these shapes: weights random, of a scale that keeps that of what goes through them; others 0."""
    import numpy as np

    random, params = rng(), []
    for s in shapes:
        fan = int(np.prod(s[1:])) if len(s) == 4 else s[0]
        params.append(
            np.zeros(s, np.float32)
            if len(s) == 1
            else random.standard_normal(s, dtype=np.float32) * np.float32((2 / fan) ** 0.5)
        )
    return params


class LeNet(Convolutional):
    """Two convolutions of 5x5, each with ReLU and maximum pooling, and a dense layer."""

    key, rate = "W6", 1e-3

    def __init__(self, batch: int = 128, target: float | None = 0.55e-3) -> None:
        self.size, self.image, self.target = batch, (1, 28, 28), target
        self.title = f"LeNet of 8 and 16 channels, 28x28, batch {batch}, SGD step"
        first, second, last = 24 * 24 * 8 * 25, 8 * 8 * 16 * 200, 256 * 10
        self.flops = 2.0 * batch * (2 * first + 3 * second + 3 * last)

    def start(self) -> list[Any]:
        return drawn(((8, 1, 5, 5), (8,), (16, 8, 5, 5), (16,), (256, 10), (10,)))

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl

        k1, c1, k2, c2, w, b = params
        h = bl.max_pool2d(bl.relu(bl.conv2d(x, k1, c1)), 2)
        h = bl.max_pool2d(bl.relu(bl.conv2d(h, k2, c2)), 2)
        return bl.softmax_cross_entropy(h.reshape((self.size, 256)) @ w + b, y)

    def loss_torch(self, params: Any, x: Any, y: Any) -> Any:
        import torch
        from torch.nn.functional import conv2d, cross_entropy, max_pool2d

        k1, c1, k2, c2, w, b = params
        h = max_pool2d(torch.relu(conv2d(x, k1, c1)), 2)
        h = max_pool2d(torch.relu(conv2d(h, k2, c2)), 2)
        return cross_entropy(torch.addmm(b, h.flatten(1), w), y)

    def loss_jax(self, params: Any, x: Any, y: Any) -> Any:
        import jax

        k1, c1, k2, c2, w, b = params
        h = jax_pool(jax.nn.relu(jax_conv(x, k1, "VALID") + c1))
        h = jax_pool(jax.nn.relu(jax_conv(h, k2, "VALID") + c2))
        return entropy_jax(h.reshape((self.size, 256)) @ w + b, y)

    def loss_tensorflow(self, params: Any, x: Any, y: Any) -> Any:
        import tensorflow as tf

        k1, c1, k2, c2, w, b = params
        h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, k1, 1, "VALID"), c1)), 2, 2, "VALID")
        h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(h, k2, 1, "VALID"), c2)), 2, 2, "VALID")
        return entropy_tensorflow(tf.matmul(tf.reshape(h, (self.size, 256)), w) + b, y)


class Vgg(Convolutional):
    """Convolutions of 3x3 with batch normalisation and ReLU, two of each width, each pair followed by pooling."""

    key, rate = "W7", 1e-3
    tolerance = 1e-3  # sums of 65,536 numbers
    slow = frozenset({"torch.compile", "TensorFlow XLA"})

    def __init__(
        self, batch: int = 64, side: int = 32, widths: tuple[int, int] = (64, 128), target: float | None = 75e-3
    ) -> None:
        self.size, self.image, self.widths, self.target = batch, (3, side, side), widths, target
        a, b = widths
        self.title = f"{side}x{side}x3, batch {batch}: conv 3x3 {a}, {a}, pool, {b}, {b}, pool, batch norm, SGD step"
        near, far = side * side * 9, side * side // 4 * 9
        first, others = near * 3 * a, near * a * a + far * (a * b + b * b) + side * side // 16 * b * 10
        self.flops = 2.0 * batch * (2 * first + 3 * others)
        self.last = b * (side // 4) ** 2

    def start(self) -> list[Any]:
        import numpy as np

        a, b = self.widths
        params = []
        for kernel in drawn([(a, 3, 3, 3), (a, a, 3, 3), (b, a, 3, 3), (b, b, 3, 3)]):
            n = kernel.shape[0]
            params += [kernel, np.ones(n, np.float32), np.zeros(n, np.float32)]
        return [*params, *drawn([(self.last, 10), (10,)])]

    def loss_backlit(self, params: Any, x: Any, y: Any) -> Any:
        import backlit as bl

        for i in range(0, 12, 3):
            x = bl.conv2d(x, params[i], padding=1)
            scale, shift = (p.reshape((1, -1, 1, 1)) for p in params[i + 1 : i + 3])
            mean = bl.mean(x, axis=(0, 2, 3), keepdims=True)
            centred = x - mean
            variance = bl.mean(centred * centred, axis=(0, 2, 3), keepdims=True)
            x = bl.relu(centred * bl.rsqrt(variance + 1e-5) * scale + shift)
            x = bl.max_pool2d(x, 2) if i in (3, 9) else x
        return bl.softmax_cross_entropy(x.reshape((self.size, self.last)) @ params[12] + params[13], y)

    def loss_torch(self, params: Any, x: Any, y: Any) -> Any:
        import torch
        from torch.nn.functional import batch_norm, conv2d, cross_entropy, max_pool2d

        for i in range(0, 12, 3):
            x = conv2d(x, params[i], padding=1)
            x = torch.relu(batch_norm(x, None, None, params[i + 1], params[i + 2], training=True))
            x = max_pool2d(x, 2) if i in (3, 9) else x
        return cross_entropy(torch.addmm(params[13], x.flatten(1), params[12]), y)

    def loss_jax(self, params: Any, x: Any, y: Any) -> Any:
        import jax
        import jax.numpy as jnp

        for i in range(0, 12, 3):
            x = jax_conv(x, params[i], "SAME")
            mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            x = jax.nn.relu((x - mean) * (jax.lax.rsqrt(variance + 1e-5) * params[i + 1]) + params[i + 2])
            x = jax_pool(x) if i in (3, 9) else x
        return entropy_jax(x.reshape((self.size, self.last)) @ params[12] + params[13], y)

    def loss_tensorflow(self, params: Any, x: Any, y: Any) -> Any:
        import tensorflow as tf

        for i in range(0, 12, 3):
            x = tf.nn.conv2d(x, params[i], 1, "SAME")
            x = tf.compat.v1.nn.fused_batch_norm(x, params[i + 1], params[i + 2], epsilon=1e-5)[0]
            x = tf.nn.relu(x)
            x = tf.nn.max_pool2d(x, 2, 2, "VALID") if i in (3, 9) else x
        return entropy_tensorflow(tf.matmul(tf.reshape(x, (self.size, self.last)), params[12]) + params[13], y)


def jax_conv(x: Any, kernel: Any, padding: str) -> Any:
    """A convolution with channels on the last axis."""
    from jax import lax

    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def jax_pool(x: Any) -> Any:
    """Maximum pooling over 2x2."""
    import numpy as np
    from jax import lax

    return lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
