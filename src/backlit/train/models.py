"""The two networks of `backlit train`: parameters as a tree, the network as a function of them.

Weights start from He's normal distribution (He et al. 2015, section 2.2), biases from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..graph.tensor import Tensor
from ..ops.activation import relu
from ..ops.convolution import conv2d
from ..ops.movement import reshape
from ..ops.pooling import max_pool2d

Params = dict[str, dict[str, Tensor]]


class Model(NamedTuple):
    """A network.

    Attributes:
        init: `init(rng, image_shape, classes)`: its parameters at the start.
        apply: `apply(params, x)`: scores of the classes for images (n, height, width), before the softmax.
    """

    init: Callable[[np.random.Generator, tuple[int, ...], int], Params]
    apply: Callable[[Params, Any], Tensor]


def _layer(rng: np.random.Generator, *shape: int, inputs: int, outputs: int) -> dict[str, Tensor]:
    weight = rng.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
    return {"weight": Tensor(weight), "bias": Tensor(np.zeros(outputs, np.float32))}


def _dense(rng: np.random.Generator, inputs: int, outputs: int) -> dict[str, Tensor]:
    return _layer(rng, inputs, outputs, inputs=inputs, outputs=outputs)


def _conv(rng: np.random.Generator, channels: int, filters: int, side: int) -> dict[str, Tensor]:
    return _layer(rng, filters, channels, side, side, inputs=channels * side * side, outputs=filters)


def _mlp_init(rng: np.random.Generator, image: tuple[int, ...], classes: int) -> Params:
    return {"hidden": _dense(rng, image[0] * image[1], 128), "out": _dense(rng, 128, classes)}


def _mlp_apply(p: Params, x: Any) -> Tensor:
    x = reshape(x, (x.shape[0], -1))
    x = relu(x @ p["hidden"]["weight"] + p["hidden"]["bias"])
    return x @ p["out"]["weight"] + p["out"]["bias"]


def _cnn_init(rng: np.random.Generator, image: tuple[int, ...], classes: int) -> Params:
    pooled = (image[0] // 4) * (image[1] // 4) * 32
    return {
        "conv1": _conv(rng, 1, 16, 3),
        "conv2": _conv(rng, 16, 32, 3),
        "hidden": _dense(rng, pooled, 128),
        "out": _dense(rng, 128, classes),
    }


def _cnn_apply(p: Params, x: Any) -> Tensor:
    x = reshape(x, (x.shape[0], 1, *x.shape[1:]))
    for name in ("conv1", "conv2"):
        bias = reshape(p[name]["bias"], (-1, 1, 1))
        x = max_pool2d(relu(conv2d(x, p[name]["weight"], padding="same") + bias), 2)
    return _mlp_apply(p, x)


MODELS = {"mlp": Model(_mlp_init, _mlp_apply), "cnn": Model(_cnn_init, _cnn_apply)}
