"""Every feed-forward layer beside torch.nn's, in float64 to 1e-10: output, all gradients, buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backlit import nn

from .layers import same, torch

rng = np.random.default_rng(1)
T = torch.nn


def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape)


@pytest.mark.parametrize("shape", [(5, 3), (1, 3), (2, 4, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense(shape: tuple[int, ...], bias: bool) -> None:
    same(nn.Dense(4, use_bias=bias), T.Linear(3, 4, bias=bias), normal(*shape), layout={"weight": np.transpose})


def geometry(seed: int, n: int) -> dict[str, Any]:
    """A random geometry of a convolution over n axes that torch knows, too."""
    draw = np.random.default_rng([seed, n])
    kernel = tuple(int(k) for k in draw.integers(1, 4, n))
    dilation = tuple(int(d) for d in draw.integers(1, 3, n))
    groups = int(draw.choice([1, 1, 2, 4]))
    return {
        "kernel": kernel,
        "dilation": dilation,
        "stride": tuple(int(s) for s in draw.integers(1, 4, n)),
        "padding": tuple(int(p) for p in draw.integers(0, 3, n)),
        "groups": groups,
        "filters": groups * int(draw.integers(1, 4)),
        "channels": groups * int(draw.integers(1, 3)),
        "size": tuple(int(m) for m in draw.integers(6, 9, n)),
        "batch": int(draw.integers(1, 4)),
        "bias": bool(draw.integers(2)),
    }


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_convolution(n: int, seed: int) -> None:
    g = geometry(seed, n)
    options = {name: g[name] for name in ("stride", "padding", "dilation", "groups")}
    layer = getattr(nn, f"Conv{n}d")(g["filters"], g["kernel"], **options, use_bias=g["bias"])
    twin = getattr(T, f"Conv{n}d")(g["channels"], g["filters"], g["kernel"], **options, bias=g["bias"])
    same(layer, twin, normal(g["batch"], g["channels"], *g["size"]))


@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_convolution_of_the_same_size(kernel: Any, dilation: int) -> None:
    layer = nn.Conv2d(3, kernel, padding="same", dilation=dilation)
    same(layer, T.Conv2d(2, 3, kernel, padding="same", dilation=dilation), normal(2, 2, 7, 6))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_transposed_convolution(n: int, seed: int) -> None:
    g = geometry(seed, n)
    options = {name: g[name] for name in ("stride", "dilation", "groups")}
    options["padding"] = tuple(
        min(p, d * (k - 1)) for p, d, k in zip(g["padding"], g["dilation"], g["kernel"], strict=True)
    )
    options["output_padding"] = tuple(s - 1 for s in g["stride"])
    layer = getattr(nn, f"ConvTranspose{n}d")(g["filters"], g["kernel"], **options, use_bias=g["bias"])
    twin = getattr(T, f"ConvTranspose{n}d")(g["channels"], g["filters"], g["kernel"], **options, bias=g["bias"])
    size = tuple(m // 2 + 1 for m in g["size"])
    same(layer, twin, normal(g["batch"], g["channels"], *size))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_pooling(n: int, seed: int) -> None:
    draw = np.random.default_rng([seed, n])
    window = tuple(int(k) for k in draw.integers(1, 4, n))
    stride = tuple(int(s) for s in draw.integers(1, 4, n)) if seed % 2 else None
    padding = tuple(int(draw.integers(0, k // 2 + 1)) for k in window)
    x = normal(2, 3, *(int(m) for m in draw.integers(5, 8, n)))
    layers, twins = (lambda kind, of=of: getattr(of, f"{kind}{n}d") for of in (nn, T))
    same(layers("MaxPool")(window, stride, padding), twins("MaxPool")(window, stride, padding), x)
    counted = bool(seed % 2)
    same(
        layers("AvgPool")(window, stride, padding, count_include_pad=counted),
        twins("AvgPool")(window, stride, padding, count_include_pad=counted),
        x,
    )
    size = tuple(int(m) for m in draw.integers(1, 5, n))
    same(nn.AdaptiveAvgPool(size), twins("AdaptiveAvgPool")(size), x)
    same(nn.AdaptiveMaxPool(size), twins("AdaptiveMaxPool")(size), x)
    same(nn.GlobalAvgPool(keepdims=True), twins("AdaptiveAvgPool")(1), x)
    same(nn.GlobalMaxPool(keepdims=True), twins("AdaptiveMaxPool")(1), x)


def test_max_pooling_with_dilation() -> None:
    same(nn.MaxPool2d(2, stride=1, dilation=2), T.MaxPool2d(2, stride=1, dilation=2), normal(2, 3, 7, 6))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dims", "shape"), [(1, (6, 3)), (1, (2, 3, 5)), (2, (2, 3, 4, 5)), (3, (2, 3, 2, 3, 2))])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.3, "epsilon": 1e-2, "affine": False}])
def test_batch_norm(training: bool, dims: int, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    twin = getattr(T, f"BatchNorm{dims}d")(3, **{"eps" if n == "epsilon" else n: v for n, v in options.items()})
    same(nn.BatchNorm(**options), twin, normal(*shape) * 2 + 3, training=training)


@pytest.mark.parametrize(("axes", "shape"), [(1, (4, 5)), (1, (2, 3, 4)), (2, (2, 3, 4)), (3, (2, 3, 4, 5))])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_and_rms_norm(axes: int, shape: tuple[int, ...], affine: bool) -> None:
    x, last = normal(*shape) * 3 - 1, shape[-axes:]
    same(nn.LayerNorm(axes, 1e-3, affine), T.LayerNorm(last, 1e-3, elementwise_affine=affine), x)
    same(nn.RMSNorm(axes, 1e-3, affine), T.RMSNorm(last, 1e-3, elementwise_affine=affine), x)


@pytest.mark.parametrize("shape", [(2, 6), (1, 6, 5), (3, 6, 2, 3)])
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm(shape: tuple[int, ...], groups: int, affine: bool) -> None:
    if groups == 6 and len(shape) == 2:
        return  # one value to a group: torch refuses in training
    same(nn.GroupNorm(groups, affine=affine), T.GroupNorm(groups, 6, affine=affine), normal(*shape) + 2)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("affine", [True, False])
def test_instance_norm(n: int, affine: bool) -> None:
    twin = getattr(T, f"InstanceNorm{n}d")(3, affine=affine)
    same(nn.InstanceNorm(affine=affine), twin, normal(2, 3, *range(3, 3 + n)), training=True)


@pytest.mark.parametrize("padding", [None, 2])
def test_embedding(padding: int | None) -> None:
    ids = rng.integers(0, 7, size=(4, 5))
    ids[0, 0] = 2

    def layout(table: np.ndarray) -> np.ndarray:  # the twin's row for padding is 0 by custom, not by force
        return table if padding is None else np.where(np.arange(7)[:, None] == padding, 0, table)

    twin = T.Embedding(7, 3, padding_idx=padding)
    if padding is not None:
        twin.register_forward_hook(lambda _, given, out: out * (given[0] != padding)[..., None])
    same(nn.Embedding(7, 3, padding), twin, ids, layout={"weight": layout})


class Affine(T.Module):
    def __init__(self, slope: float, shift: float) -> None:
        super().__init__()
        self.slope, self.shift = slope, shift

    def forward(self, x: Any) -> Any:
        return x * self.slope + self.shift


ACTIVATIONS = [
    (nn.ReLU(), T.ReLU()),
    (nn.ReLU6(), T.ReLU6()),
    (nn.LeakyReLU(), T.LeakyReLU()),
    (nn.LeakyReLU(0.3), T.LeakyReLU(0.3)),
    (nn.ELU(), T.ELU()),
    (nn.ELU(alpha=0.7), T.ELU(0.7)),
    (nn.CELU(2.0), T.CELU(2.0)),
    (nn.SELU(), T.SELU()),
    (nn.GELU(), T.GELU()),
    (nn.GELU("tanh"), T.GELU("tanh")),
    (nn.SiLU(), T.SiLU()),
    (nn.Mish(), T.Mish()),
    (nn.Tanh(), T.Tanh()),
    (nn.Sigmoid(), T.Sigmoid()),
    (nn.LogSigmoid(), T.LogSigmoid()),
    (nn.Softplus(), T.Softplus(threshold=1000)),
    (nn.Softsign(), T.Softsign()),
    (nn.HardTanh(), T.Hardtanh()),
    # torch's own derivative takes 1/6 in float32, even for float64
    (nn.HardSigmoid(), T.Sequential(T.Hardtanh(-3, 3), Affine(1 / 6, 0.5))),
    (nn.HardSwish(), T.Hardswish()),
    (nn.Softmax(), T.Softmax(-1)),
    (nn.Softmax(axis=1), T.Softmax(1)),
    (nn.LogSoftmax(1), T.LogSoftmax(1)),
    (nn.GLU(), T.GLU()),
    (nn.GLU(axis=1), T.GLU(1)),
    (nn.PReLU(), T.PReLU()),
    (nn.PReLU(per_channel=True), T.PReLU(4)),
]


@pytest.mark.parametrize(("layer", "twin"), ACTIVATIONS, ids=lambda x: repr(x) if isinstance(x, nn.Layer) else "")
def test_activation(layer: nn.Layer, twin: Any) -> None:
    same(layer, twin, normal(3, 4, 6) * 4)


def test_shapes() -> None:
    same(nn.Flatten(), T.Flatten(), normal(2, 3, 4))
    same(nn.Flatten(2), T.Flatten(2), normal(2, 3, 4, 2))
    same(nn.Reshape(2, -1), T.Unflatten(1, (2, -1)), normal(3, 8))


def test_a_network() -> None:
    def block(c: int, d: int) -> Any:
        return T.Sequential(T.Conv2d(c, d, 3, padding=1), T.BatchNorm2d(d), T.ReLU(), T.MaxPool2d(2))

    ours = nn.Sequential(
        nn.Conv2d(3, 3, padding=1), nn.BatchNorm(), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(5, 3, padding=1), nn.BatchNorm(), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dense(4),
    )  # fmt: skip
    theirs = T.Sequential(*block(2, 3), *block(3, 5), T.Flatten(), T.Linear(5 * 2 * 2, 4))
    same(ours, theirs, normal(3, 2, 8, 8), training=True, layout={"9.weight": np.transpose})
