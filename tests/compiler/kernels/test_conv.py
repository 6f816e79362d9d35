"""Native convolutions against the NumPy kernels of eager mode, over geometries, layouts, widths and threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import backlit  # noqa: F401
from backlit.compiler.codegen.values import code_of
from backlit.compiler.codegen.writer import Target
from backlit.compiler.kernels.body import Body
from backlit.compiler.kernels.conv import BackwardData, Convolution
from backlit.compiler.kernels.conv_choice import convolution
from backlit.compiler.kernels.conv_layout import batched, channels_last, layouts, outputs_last
from backlit.compiler.kernels.conv_pool import PooledConvolution, can_pool, reaches_all
from backlit.compiler.kernels.conv_weight import BackwardWeight
from backlit.compiler.kernels.conv_winograd import Winograd
from backlit.compiler.kernels.conv_winograd_weight import WinogradWeight
from backlit.compiler.kernels.views import Buffer, View
from backlit.graph.node import Node
from backlit.graph.opdef import OPS, Spec
from backlit.ops.patches import window_positions

from ..running import Runner

CLASSES = {"convolve": Convolution, "convolve_transposed": BackwardData, "convolve_weight": BackwardWeight}


def leaf(shape: Sequence[int], dtype: Any) -> Node:
    return Node(OPS["exp"], (), {}, None, Spec(tuple(shape), np.dtype(dtype)))


def laid_out(name: str, shape: Sequence[int], order: Sequence[int], dtype: Any, split: int = 0) -> View:
    """A view whose axes lie in memory in an order, outermost first; with `split` the first axis is split before."""
    shape = (shape[0] // split, split, *shape[1:]) if split else tuple(shape)
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis], step = step, step * shape[axis]
    return View(Buffer(name, code_of(dtype), step), shape, tuple(strides))


def array_of(view: View, value: np.ndarray | None, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Memory for a view, and the view as a NumPy array over it, filled with a value."""
    memory = np.full(view.buffer.size, np.nan if np.dtype(dtype).kind == "f" else -7, dtype)
    strides = [s * memory.itemsize for s in view.strides]
    seen = np.lib.stride_tricks.as_strided(memory, view.shape, strides)
    if value is not None:
        seen[...] = value.reshape(view.shape)
    return memory, seen


def case(op: str, n: int, c: int, o: int, size: Any, kernel: Any, stride: int = 1, pad: int = 0, dilation: int = 1,
         groups: int = 1, dtype: Any = "f8") -> tuple[Node, list[np.ndarray]]:  # fmt: skip
    """A node and its operands' values."""
    d = len(size)
    geometry = {"stride": (stride,) * d, "padding": ((pad, pad),) * d, "dilation": (dilation,) * d, "groups": groups}
    plain = {k: v for k, v in geometry.items() if k != "groups"}
    out = window_positions(tuple(size), tuple(kernel), *plain.values())
    rng = np.random.default_rng(5)
    make = lambda *shape: (
        rng.integers(-8, 8, shape) if np.dtype(dtype).kind == "i" else rng.normal(size=shape)
    ).astype(dtype)
    x, w, g = make(n, c, *size), make(o, c // groups, *kernel), make(n, o, *out)
    values, extra = {
        "convolve": ([x, w], {}), "convolve_transposed": ([g, w], {"size": tuple(size)}),
        "convolve_weight": ([x, g], {"kernel": tuple(kernel)}),
    }[op]  # fmt: skip
    params = {**geometry, **extra}
    expected = OPS[op].eval(*values, **params)
    node = Node(
        OPS[op], tuple(leaf(v.shape, dtype) for v in values), params, None, Spec(expected.shape, expected.dtype)
    )
    return node, [*values, expected]


def run(node: Node, values: list[np.ndarray], orders: Sequence[Sequence[int]], split: int, target: Target,
        threads: int = 1, epilogue: bool = False, kind: Any = None) -> np.ndarray:  # fmt: skip
    """What the kernel makes, in the layouts given for the two operands and the output."""
    dtype = node.dtype
    samples = [True, node.op.name == "convolve_weight", node.op.name != "convolve_weight"]
    names = "abr"
    views = [laid_out(names[i], v.shape, orders[i], dtype, split if samples[i] else 0) for i, v in enumerate(values)]
    reads, nodes, last = {}, [], node
    arrays = {}
    if epilogue:  # relu(y * 2) + the old output, in place
        old = leaf(node.shape, dtype)
        twice = Node(OPS["multiply"], (node, 2), {}, None, node.spec)
        last = Node(OPS["add"], (twice, old), {}, None, node.spec)
        nodes, reads = [twice, last], {old: views[2]}
    body = Body(nodes, reads, {last: [views[2]]})
    kernel = (kind or CLASSES[node.op.name])(node, views[:2], body, target, threads)
    for view, value in zip(views[:2], values[:2], strict=True):
        arrays[view.buffer] = array_of(view, value, dtype)[0]
    memory, seen = array_of(views[2], values[2] if epilogue else None, dtype)
    arrays[views[2].buffer] = memory
    Runner(kernel, target)(arrays, threads)
    return np.array(seen).reshape(node.shape)


GEOMETRIES = [
    {"n": 16, "c": 1, "o": 8, "size": (9, 10), "kernel": (5, 5)},
    {"n": 16, "c": 3, "o": 5, "size": (8, 7), "kernel": (3, 3), "pad": 1},
    {"n": 16, "c": 4, "o": 18, "size": (6, 9), "kernel": (3, 2), "stride": 2, "pad": 1},
    {"n": 16, "c": 6, "o": 4, "size": (9, 8), "kernel": (3, 3), "pad": 2, "dilation": 2, "groups": 2},
    {"n": 16, "c": 5, "o": 5, "size": (7, 7), "kernel": (2, 3), "stride": 3, "dilation": 2, "groups": 5, "pad": 1},
    {"n": 16, "c": 19, "o": 19, "size": (6, 7), "kernel": (3, 3), "stride": 2, "groups": 19, "pad": 1},
    {"n": 16, "c": 8, "o": 16, "size": (6, 7), "kernel": (3, 3), "groups": 8},
    {"n": 16, "c": 2, "o": 3, "size": (24,), "kernel": (11,), "pad": 5},
    {"n": 16, "c": 2, "o": 17, "size": (9,), "kernel": (1,), "stride": 2},
    {"n": 16, "c": 2, "o": 3, "size": (4, 5, 3), "kernel": (2, 3, 2), "pad": 1, "stride": 2},
    {"n": 16, "c": 19, "o": 37, "size": (4, 18), "kernel": (3, 3), "pad": 1},
    {"n": 16, "c": 1, "o": 1, "size": (3, 3), "kernel": (3, 3), "pad": 3},
]
WIDTHS = [Target(64, 32), Target(32, 16), Target(16, 32)]


def orders_for(op: str, d: int, layout: str) -> tuple[list[Sequence[int]], bool]:
    plain, weight = tuple(range(d + 2)), tuple(range(d + 2))
    array, split = {"plain": (plain, False), "last": (channels_last(d), False), "lanes": (batched(d), True)}[layout]
    if layout != "plain":
        weight = outputs_last(d)
    return ([array, array, weight] if op == "convolve_weight" else [array, weight, array]), split


@pytest.mark.parametrize("layout", ["plain", "last", "lanes"])
@pytest.mark.parametrize("op", list(CLASSES))
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: "-".join(str(v) for v in g.values()).replace(" ", ""))
def test_geometries(geometry: dict[str, Any], op: str, layout: str) -> None:
    target = WIDTHS[(len(layout) + geometry["o"]) % 3]
    node, values = case(op, **geometry)
    orders, split = orders_for(op, len(geometry["size"]), layout)
    found = run(node, values, orders, target.lanes("f8") if split else 0, target)
    np.testing.assert_allclose(found, values[2], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("op", list(CLASSES))
@pytest.mark.parametrize("layout", ["last", "lanes"])
@pytest.mark.parametrize("epilogue", [False, True])
def test_float32_threads_and_epilogue(op: str, layout: str, epilogue: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits do not depend on how units are shared; the body reads and writes the output in place."""
    monkeypatch.setattr(OPS["multiply"], "native", lambda k, x, y: x * y)
    monkeypatch.setattr(OPS["add"], "native", lambda k, x, y: x + y)
    node, values = case(op, n=32, c=6, o=20, size=(9, 8), kernel=(3, 3), pad=1, dtype="f4")
    orders, split = orders_for(op, 2, layout)
    first, *others = (run(node, values, orders, 16 if split else 0, WIDTHS[0], t, epilogue) for t in (1, 2, 3))
    np.testing.assert_allclose(first, values[2] * (3 if epilogue else 1), rtol=1e-4, atol=2e-4)
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("op", ["convolve", "convolve_transposed"])
def test_large_weights(op: str) -> None:
    """They are used for several rows at a time, the last time for fewer, whoever does these rows."""
    node, values = case(op, n=3, c=96, o=112, size=(5, 4), kernel=(3, 3), pad=1)
    orders, _ = orders_for(op, 2, "last")
    for threads in (1, 2):
        found = run(node, values, orders, 0, WIDTHS[0], threads)
        np.testing.assert_allclose(found, values[2], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("op", list(CLASSES))
def test_integers(op: str) -> None:
    node, values = case(op, n=4, c=2, o=3, size=(5, 6), kernel=(2, 3), pad=1, dtype="i4")
    orders, _ = orders_for(op, 2, "plain")
    np.testing.assert_array_equal(run(node, values, orders, 0, WIDTHS[0]), values[2])


@pytest.mark.parametrize("op", list(CLASSES))
@pytest.mark.parametrize(("n", "c", "o"), [(0, 2, 3), (4, 0, 3), (4, 2, 0)])
def test_nothing(op: str, n: int, c: int, o: int) -> None:
    """No samples or no channels: what is left of the output is 0."""
    node, values = case(op, n=n, c=c, o=o, size=(5, 6), kernel=(2, 3))
    orders, _ = orders_for(op, 2, "plain")
    np.testing.assert_array_equal(run(node, values, orders, 0, WIDTHS[0]), values[2])


def test_float16() -> None:
    node, values = case("convolve", n=3, c=2, o=5, size=(5, 6), kernel=(2, 3), dtype="f2")
    orders, _ = orders_for("convolve", 2, "last")
    np.testing.assert_allclose(run(node, values, orders, 0, WIDTHS[0]), values[2], rtol=1e-2, atol=1e-2)


def test_layouts_ask_for_lanes_where_channels_are_few() -> None:
    few, _ = case("convolve", 32, 1, 8, (9, 9), (5, 5), dtype="f4")
    many, _ = case("convolve", 32, 64, 64, (4, 4), (3, 3), dtype="f4")
    odd, _ = case("convolve", 31, 1, 8, (9, 9), (5, 5), dtype="f4")
    assert layouts(few, WIDTHS[0]).lanes == 16
    assert layouts(many, WIDTHS[0]).lanes == layouts(odd, WIDTHS[0]).lanes == 0


@pytest.mark.parametrize(
    ("geometry", "window", "layout", "kinds"),
    [
        ({"c": 1, "o": 8, "size": (12, 12), "kernel": (5, 5)}, (2, 2), "lanes", "pool_max pool_argmax"),
        ({"c": 3, "o": 5, "size": (9, 11), "kernel": (3, 3), "pad": 1}, (2, 2), "lanes", "pool_max"),
        ({"c": 3, "o": 21, "size": (9, 12), "kernel": (3, 3), "pad": 1}, (2, 3), "last", "pool_max pool_argmax"),
        ({"c": 2, "o": 6, "size": (20,), "kernel": (3,), "stride": 2}, (3,), "last", "pool_argmax"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("threads", [1, 3])
def test_pooled(
    geometry: dict[str, Any], window: tuple[int, ...], layout: str, kinds: str, threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The convolution, negated, and the maxima of windows of that, with their places."""
    monkeypatch.setattr(OPS["negative"], "native", lambda k, x: -x)
    node, values = case("convolve", n=16, **geometry)
    d, target = len(window), WIDTHS[0]
    negated = Node(OPS["negative"], (node,), {}, None, node.spec)
    params = {"window": window, "stride": window, "padding": ((0, 0),) * d, "dilation": (1,) * d}
    pools, expected = [], []
    for kind in kinds.split():
        expected.append(OPS[kind].eval(-values[2], **params))
        pools.append(Node(OPS[kind], (negated,), params, None, Spec(expected[-1].shape, expected[-1].dtype)))
    assert can_pool(pools[0], target)
    orders, split = orders_for("convolve", d, layout)
    lanes = target.lanes("f8") if split else 0
    x, w = (laid_out("xw"[i], values[i].shape, orders[i], "f8", 0 if i else lanes) for i in (0, 1))
    y = laid_out("y", node.shape, orders[2], "f8", lanes)
    made = [laid_out(f"p{i}", e.shape, orders[2], e.dtype, lanes) for i, e in enumerate(expected)]
    kept = {negated: [y]} if reaches_all(pools[0]) else {}
    pooled = Body([], {}, {p: [v] for p, v in zip(pools, made, strict=True)})
    kernel = PooledConvolution(node, [x, w], Body([negated], {}, kept), target, threads, pools, pooled)
    memory = [array_of(v, a, "f8") for v, a in ((x, values[0]), (w, values[1]), (y, None))]
    memory += [array_of(v, None, e.dtype) for v, e in zip(made, expected, strict=True)]
    arrays = {v.buffer: m for v, (m, _) in zip((x, w, y, *made), memory, strict=True)}
    Runner(kernel, target)(arrays, threads)
    for (_, seen), e in zip(memory[3:], expected, strict=True):
        np.testing.assert_allclose(np.array(seen).reshape(e.shape), e, rtol=1e-12, atol=1e-12)
    if kept:
        np.testing.assert_allclose(np.array(memory[2][1]).reshape(node.shape), -values[2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", list(CLASSES))
@pytest.mark.parametrize("layout", ["plain", "last"])
@pytest.mark.parametrize(("size", "pad"), [((8, 10), 1), ((9, 7), 1), ((8, 9), 0), ((6, 8), 3)])
def test_winograd(op: str, layout: str, size: tuple[int, int], pad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen products for four outputs give what thirty-six do."""
    monkeypatch.setattr(OPS["multiply"], "native", lambda k, x, y: x * y)
    monkeypatch.setattr(OPS["add"], "native", lambda k, x, y: x + y)
    made = []

    def kind(*args: Any) -> Any:
        made.append(convolution(*args))
        return made[-1]

    for dtype, c, o, tolerance in (("f8", 19, 30, 1e-11), ("f4", 37, 33, 2e-4)):
        node, values = case(op, n=24, c=c, o=o, size=size, kernel=(3, 3), pad=pad, dtype=dtype)
        orders, _ = orders_for(op, 2, layout)
        target = Target(64, 32) if dtype == "f8" else Target(32, 16)
        one, two = (run(node, values, orders, 0, target, threads, True, kind) for threads in (1, 2))
        np.testing.assert_allclose(one, 3 * values[2], rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(one, two)
    assert all(isinstance(kernel, Winograd | WinogradWeight) for kernel in made)
