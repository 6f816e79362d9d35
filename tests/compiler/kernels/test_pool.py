"""Native poolings against the NumPy kernels of eager mode, over geometries, layouts, widths and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit  # noqa: F401
from backlit.compiler.codegen.writer import Target
from backlit.compiler.kernels.body import Body
from backlit.compiler.kernels.conv_layout import batched, channels_last
from backlit.compiler.kernels.pool import PoolBackward, PoolForward
from backlit.graph.node import Node
from backlit.graph.opdef import OPS, Spec

from ..running import Runner
from .test_conv import WIDTHS, array_of, laid_out, leaf

GEOMETRIES = [
    {"shape": (16, 3, 8, 10), "window": (2, 2)},
    {"shape": (16, 5, 9, 37), "window": (2, 2)},
    {"shape": (16, 17, 7, 11), "window": (3, 3), "stride": 2, "pad": 1},
    {"shape": (16, 2, 9, 9), "window": (3, 2), "stride": 1, "dilation": 2, "pad": 1},
    {"shape": (16, 2, 40), "window": (4,), "pad": 0},
    {"shape": (16, 4, 5, 6, 7), "window": (2, 3, 2), "pad": 1},
    {"shape": (16, 3, 5, 6), "window": (5, 6)},
    {"shape": (16, 2, 7, 20), "window": (2, 3), "stride": 3},
]
LAYOUTS = ["row", "last", "lanes"]


def geometry_of(g: dict[str, Any]) -> dict[str, Any]:
    d = len(g["window"])
    stride = (g["stride"],) * d if "stride" in g else g["window"]
    pad, dilation = g.get("pad", 0), g.get("dilation", 1)
    return {"window": g["window"], "stride": stride, "padding": ((pad, pad),) * d, "dilation": (dilation,) * d}


def run(
    nodes: list[Node], values: list[np.ndarray], layout: str, target: Target, threads: int = 1
) -> list[np.ndarray]:  # fmt: skip
    """What the kernel makes of operands, all arrays in one layout."""
    d = values[0].ndim - 2
    order = {"row": tuple(range(d + 2)), "last": channels_last(d), "lanes": batched(d)}[layout]
    split = target.lanes(values[0].dtype.str[1:]) if layout == "lanes" else 0
    views = [laid_out(f"a{i}", v.shape, order, v.dtype, split) for i, v in enumerate(values)]
    made = [laid_out(f"r{i}", n.shape, order, n.dtype, split) for i, n in enumerate(nodes)]
    body = Body([], {}, {n: [v] for n, v in zip(nodes, made, strict=True)})
    forward = nodes[0].op.name in ("pool_max", "pool_argmax", "pool_sum", "pool_pick")
    if forward:
        kernel = PoolForward(nodes if len(nodes) > 1 else nodes[0], views, body, target, threads)
    else:
        kernel = PoolBackward(nodes[0], views, body, target, threads)
    arrays = {v.buffer: array_of(v, x, x.dtype)[0] for v, x in zip(views, values, strict=True)}
    seen = []
    for view, node in zip(made, nodes, strict=True):
        arrays[view.buffer], array = array_of(view, None, node.dtype)
        seen.append(array)
    Runner(kernel, target)(arrays, threads)
    return [np.array(s).reshape(n.shape) for s, n in zip(seen, nodes, strict=True)]


def node_of(op: str, values: list[np.ndarray], params: dict[str, Any]) -> tuple[Node, np.ndarray]:
    expected = OPS[op].eval(*values, **params)
    leaves = tuple(leaf(v.shape, v.dtype) for v in values)
    return Node(OPS[op], leaves, params, None, Spec(expected.shape, expected.dtype)), expected


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: "-".join(str(v) for v in g.values()).replace(" ", ""))
def test_all_ops(geometry: dict[str, Any], layout: str) -> None:
    params, rng = geometry_of(geometry), np.random.default_rng(3)
    target = WIDTHS[(geometry["shape"][1] + len(layout)) % 3]
    dtype = "f4" if geometry["shape"][1] % 2 else "f8"
    x = rng.normal(size=geometry["shape"]).astype(dtype)
    x[0, 0].flat[::3] = 1.5  # equal values: the first counts
    best, expected = node_of("pool_max", [x], params)
    which, numbers = node_of("pool_argmax", [x], params)
    found = run([best, which], [x], layout, target, 3)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], numbers)
    g = rng.normal(size=expected.shape).astype(dtype)
    size = {"size": x.shape[2:]}
    for op, values, extra in [
        ("pool_sum", [x], {}), ("pool_pick", [x, numbers], {}),
        ("pool_place", [g, numbers], size), ("pool_spread", [g], size),
    ]:  # fmt: skip
        node, expected = node_of(op, values, {**extra, **params})
        (found,) = run([node], values, layout, target, 2)
        np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == "f8" else 2e-6, atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nan_and_infinity(layout: str) -> None:
    x = np.random.default_rng(1).normal(size=(16, 4, 4, 32)).astype("f4")
    x[:, :, 0, 0] = np.nan
    x[:, :, 1, 3] = np.nan
    x[:, :, 2:, 4:6] = -np.inf
    for window in ((2, 2), (4, 32)):
        params = geometry_of({"window": window})
        nodes, expected = zip(*(node_of(op, [x], params) for op in ("pool_max", "pool_argmax")), strict=True)
        found = run(list(nodes), [x], layout, WIDTHS[0])
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_integers(layout: str) -> None:
    x = np.random.default_rng(1).integers(-50, 50, size=(16, 3, 6, 7)).astype("i4")
    for op in ("pool_max", "pool_argmax", "pool_sum"):
        node, expected = node_of(op, [x], geometry_of({"window": (2, 3), "stride": 2, "pad": 1}))
        np.testing.assert_array_equal(run([node], [x], layout, WIDTHS[0])[0], expected)
