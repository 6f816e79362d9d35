"""Native kernels of convolutions and poolings against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")

from backlit.compiler.codegen.writer import Target  # noqa: E402

from ..compiler.kernels.test_conv import case, orders_for, run  # noqa: E402
from ..compiler.kernels.test_pool import geometry_of, node_of  # noqa: E402
from ..compiler.kernels.test_pool import run as run_pool  # noqa: E402

TARGET = Target(64, 32)


@pytest.mark.parametrize("layout", ["last", "lanes"])
@pytest.mark.parametrize(
    "geometry",
    [
        {"n": 16, "c": 1, "o": 8, "size": (28, 28), "kernel": (5, 5)},
        {"n": 16, "c": 16, "o": 32, "size": (9, 14), "kernel": (3, 3), "pad": 1, "stride": 2},
        {"n": 16, "c": 6, "o": 12, "size": (10, 9), "kernel": (3, 2), "dilation": 2, "groups": 3, "pad": 2},
    ],
)
def test_three_products(geometry: dict[str, Any], layout: str) -> None:
    found, operands = {}, {}
    for op in ("convolve", "convolve_transposed", "convolve_weight"):
        node, values = case(op, dtype="f4", **geometry)
        orders, split = orders_for(op, 2, layout)
        found[op], operands[op] = run(node, values, orders, 16 if split else 0, TARGET), values
    x, w = (torch.tensor(v, requires_grad=True) for v in operands["convolve"][:2])
    g = torch.tensor(operands["convolve_weight"][1])
    names = {"stride": "stride", "pad": "padding", "dilation": "dilation", "groups": "groups"}
    y = torch.nn.functional.conv2d(x, w, **{names[k]: v for k, v in geometry.items() if k in names})
    y.backward(g)
    for op, expected in (("convolve", y), ("convolve_transposed", x.grad), ("convolve_weight", w.grad)):
        np.testing.assert_allclose(found[op], expected.detach().numpy(), rtol=1e-4, atol=5e-4)


@pytest.mark.parametrize("layout", ["row", "last", "lanes"])
def test_max_pool_and_its_gradient(layout: str) -> None:
    x = np.random.default_rng(0).normal(size=(16, 5, 12, 14)).astype("f4")
    params = geometry_of({"window": (3, 3), "stride": 2, "pad": 1})
    nodes = [node_of(op, [x], params)[0] for op in ("pool_max", "pool_argmax")]
    best, which = run_pool(nodes, [x], layout, TARGET)
    seen = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.max_pool2d(seen, 3, 2, 1)
    y.square().sum().backward()
    np.testing.assert_array_equal(best, y.detach().numpy())
    place, _ = node_of("pool_place", [2 * best, which], {"size": (12, 14), **params})
    (found,) = run_pool([place], [2 * best, which], layout, TARGET)
    np.testing.assert_allclose(found, seen.grad.numpy(), rtol=1e-6)
