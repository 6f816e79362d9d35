"""Products of matrices: native kernels beside NumPy in float64, over shapes, layouts, dtypes, widths and threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.codegen.values import code_of
from backlit.compiler.codegen.writer import Target
from backlit.compiler.kernels import contract_plan
from backlit.compiler.kernels.body import Body
from backlit.compiler.kernels.contract import Contraction
from backlit.compiler.kernels.contract_tile import Cut, Panels, tile
from backlit.compiler.kernels.views import Buffer, View
from backlit.graph.graph import Graph, trace
from backlit.graph.opdef import OPS, Spec

from ..running import WIDE, Runner

NARROW, MIDDLE = Target(16, 16), Target(32, 16)
TARGETS = [WIDE, MIDDLE, NARROW, Target(16, 32)]

#: How an operand lies in memory: the order of its last two axes, and the step along each.
LAYOUTS = {
    "rows": ((-2, -1), (1, 1)),
    "columns": ((-1, -2), (1, 1)),
    "sliced": ((-2, -1), (2, 3)),
    "backwards": ((-2, -1), (-1, -1)),
    "columns backwards": ((-1, -2), (1, -1)),
    "one row": ((-2, -1), (0, 1)),
}


class Operand:
    """An array in memory of its own, laid out in one of the ways above, with its view."""

    def __init__(self, name: str, shape: Sequence[int], layout: str, dtype: Any, rng: np.random.Generator) -> None:
        order, steps = LAYOUTS[layout]
        *batch, rows, columns = shape
        sizes = {-2: rows * abs(steps[0]) or 1, -1: columns * abs(steps[1]) or 1}
        inner, outer = sizes[order[1]], sizes[order[0]]
        stride = {order[1]: 1, order[0]: inner}
        strides = [stride[-2] * steps[0], stride[-1] * steps[1]]
        offset = sum((n - 1) * -s for n, s in zip((rows, columns), strides, strict=True) if s < 0 and n)
        for n in reversed(batch):
            strides.insert(0, inner * outer)
            outer *= n
        size = inner * outer
        kind = np.dtype(dtype).kind
        self.memory = (rng.standard_normal(size) if kind == "f" else rng.integers(0, 9, size)).astype(dtype)
        self.view = View(Buffer(name, code_of(dtype), size), tuple(shape), tuple(strides), offset)
        step = self.memory.itemsize
        self.array = np.lib.stride_tricks.as_strided(
            self.memory[offset:], self.view.shape, [s * step for s in self.view.strides]
        )


def product(lhs: np.ndarray, rhs: np.ndarray, then: Any = lambda x: x, *more: np.ndarray) -> Graph:
    """The graph of a product and what is done with it."""
    specs = [Spec(x.shape, x.dtype) for x in (lhs, rhs, *more)]
    return trace(lambda a, b, *rest: (then(bl.matmul(a, b), *rest),), specs)


def check(
    m: int, deep: int, n: int, left: str = "rows", right: str = "rows", dtype: Any = "f4", target: Target = WIDE,
    batch: tuple[int, ...] = (), out: str = "rows", threads: int = 1, repeats: bool = False,
) -> Contraction:  # fmt: skip
    """Run a product in 1 to 3 portions and compare."""
    rng = np.random.default_rng(m * 7 + deep * 3 + n)
    a = Operand("a", (*batch, m, deep), left, dtype, rng)
    b = Operand("b", (deep, n) if repeats else (*batch, deep, n), right, dtype, rng)
    graph = product(a.array, b.array)
    (node,) = graph.outputs
    c = Operand("c", node.shape, out, node.dtype, rng)
    body = Body((), {}, {node: [c.view]})
    kernel = Contraction(node, a.view, b.view.broadcast((*batch, deep, n)), body, target, threads)
    runner = Runner(kernel, target)
    arrays = {a.view.buffer: a.memory, b.view.buffer: b.memory, c.view.buffer: c.memory}
    seen = []
    for portions in (1, 2, 3):
        if c.memory.dtype.kind == "f":
            c.memory[:] = np.nan
        runner(arrays, portions)
        seen.append(c.array.copy())
    for other in seen[1:]:
        np.testing.assert_array_equal(other, seen[0])
    if node.dtype.kind != "f":
        np.testing.assert_array_equal(seen[0], a.array @ b.array)
        return kernel
    x, y = a.array.astype("f8"), b.array.astype("f8")
    rounding = float(np.finfo(node.dtype).eps)
    inside = float(np.finfo("f4" if node.dtype == "f2" else node.dtype).eps) * (4 + math.sqrt(min(deep, 4096)))
    allowed = (inside * (abs(x) @ abs(y)) + rounding * abs(x @ y)) * 0.75 + np.finfo(node.dtype).tiny
    wrong = abs(seen[0] - x @ y) - allowed
    assert not wrong.size or wrong.max() <= 0, (wrong.max(), kernel.plan)
    return kernel


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize(
    ("m", "deep", "n"),
    [(0, 3, 2), (2, 0, 3), (2, 3, 0), (1, 1, 1), (1, 37, 70), (37, 1, 5), (17, 19, 23), (29, 31, 101), (128, 33, 10)],
)
def test_shapes(m: int, deep: int, n: int, target: Target) -> None:
    check(m, deep, n, target=target, threads=2)


@pytest.mark.parametrize("target", [WIDE, NARROW], ids=str)
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
def test_layouts(left: str, right: str, target: Target) -> None:
    check(23, 35, 53, left, right, target=target)


@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", ["rows", "columns", "sliced"])
def test_one_column_and_one_row(left: str, right: str) -> None:
    check(43, 150, 1, left, right)
    check(1, 150, 43, left, right, target=MIDDLE)


@pytest.mark.parametrize("dtype", ["f8", "f2", "i8", "i4", "u1"])
def test_dtypes(dtype: str) -> None:
    check(13, 21, 37, dtype=dtype)
    check(13, 70, 37, "columns", "columns", dtype=dtype, target=MIDDLE)


@pytest.mark.parametrize("right", ["rows", "columns"])
@pytest.mark.parametrize(("batch", "threads"), [((6,), 2), ((2, 3), 1), ((2,), 4)])
def test_batches(batch: tuple[int, ...], threads: int, right: str) -> None:
    check(19, 32, 40, "rows", right, batch=batch, threads=threads)
    check(19, 32, 40, "columns", right, batch=batch, threads=threads, target=MIDDLE)


def test_a_batch_with_one_right_operand_is_one_tall_product() -> None:
    kernel = check(5, 16, 33, batch=(2, 4), repeats=True)
    assert kernel.plan.rows.size == 40
    assert check(5, 16, 33, "columns", batch=(2, 4), repeats=True).plan.rows.size == 5  # its rows do not lie evenly


def test_results_kept_by_columns_are_those_of_the_transposed_product() -> None:
    kernel = check(40, 16, 23, out="columns")
    assert kernel.turned
    assert kernel.plan.panels.size == 40
    check(40, 16, 23, out="sliced")
    check(40, 16, 1, out="sliced")


@pytest.mark.parametrize("right", ["rows", "columns"])
def test_operands_that_lie_a_power_of_two_apart_are_packed(right: str) -> None:
    kernel = check(130, 300, 1024, "rows", right, threads=2)
    assert kernel.plan.pack_rhs
    kernel = check(1024, 300, 130, "columns", right, threads=2)
    assert kernel.plan.pack_lhs


@pytest.mark.parametrize("target", [WIDE, MIDDLE], ids=str)
def test_long_sums_are_cut(target: Target) -> None:
    for right in ("rows", "columns"):
        kernel = check(70, 5001, 90, "rows", right, target=target, threads=2)
        assert kernel.plan.deep < 5001
    check(40, 4099, 2048, "columns", "rows", target=target, threads=2)


@pytest.mark.parametrize("target", [WIDE, MIDDLE], ids=str)
@pytest.mark.parametrize("deep", [4096, 4097, 4608])
@pytest.mark.parametrize(("m", "n"), [(1, 64), (2, 3), (3, 17), (5, 16), (6, 33)])
def test_long_sums_of_few_rows_end_where_their_blocks_do(m: int, n: int, deep: int, target: Target) -> None:
    assert check(m, deep, n, target=target).plan.deep < deep


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 2), (2, 9)])
@pytest.mark.parametrize("deep", [16_383, 16_384, 16_385, 300_001])
def test_sums_along_the_lanes(m: int, n: int, deep: int) -> None:
    assert check(m, deep, n, "rows", "columns").plan.along_k


def test_large_left_operands_are_done_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_plan, "READ_AGAIN", 1 << 14)
    monkeypatch.setattr(contract_plan, "BLOCK", 1 << 13)
    monkeypatch.setattr(contract_plan, "PACKED", 1 << 15)
    kernel = check(150, 64, 257, threads=2)
    assert kernel.plan.row_blocks > 1
    assert kernel.plan.column_blocks > 1


def test_not_a_number_and_infinity_come_out_where_they_do_in_numpy() -> None:
    a, b = np.ones((20, 30), "f4"), np.ones((30, 40), "f4")
    a[3, 4], a[5, 6], b[7, 8] = np.nan, np.inf, -np.inf
    node = product(a, b).outputs[0]
    buffers = [Buffer(name, "f4", size) for name, size in (("a", 600), ("b", 1200), ("c", 800))]
    views = [View.whole(buffer, shape) for buffer, shape in zip(buffers, [(20, 30), (30, 40), (20, 40)], strict=True)]
    c = np.empty((20, 40), "f4")
    with np.errstate(invalid="ignore"):
        expected = a @ b
    Runner(Contraction(node, views[0], views[1], Body((), {}, {node: [views[2]]}), WIDE, 1))(
        dict(zip(buffers, (a, b, c), strict=True))
    )
    np.testing.assert_array_equal(c, expected)


@pytest.fixture
def _native(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, form in {
        "add": lambda k, x, y: x + y, "multiply": lambda k, x, y: x * y, "subtract": lambda k, x, y: x - y,
        "maximum": lambda k, x, y: k.maximum(x, y),
    }.items():  # fmt: skip
        monkeypatch.setattr(OPS[name], "native", form)


@pytest.mark.usefixtures("_native")
@pytest.mark.parametrize("target", [WIDE, MIDDLE, NARROW], ids=str)
@pytest.mark.parametrize(("m", "deep", "n"), [(30, 20, 45), (30, 20, 7), (30, 40, 1), (20, 5000, 30)])
def test_work_on_the_results(m: int, deep: int, n: int, target: Target) -> None:
    """A bias, a bound and a mask; the product itself is kept too."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, deep)), rng.standard_normal((deep, n))
    bias, mask = rng.standard_normal(n), rng.standard_normal((m, n))
    graph = product(a, b, lambda p, c, w: bl.maximum(p + c, 0.5) * w, np.broadcast_to(bias, (m, n)), mask)
    (result,) = graph.outputs
    nodes = [result.inputs[0].inputs[0], result.inputs[0], result]
    node = nodes[0].inputs[0]
    shapes = {"a": (m, deep), "b": (deep, n), "bias": (n,), "mask": (m, n), "kept": (m, n), "out": (m, n)}
    views = {name: View.whole(Buffer(name, "f8", math.prod(s)), s) for name, s in shapes.items()}
    reads = {graph.inputs[2]: views["bias"].broadcast((m, n)), graph.inputs[3]: views["mask"]}
    body = Body(nodes, reads, {node: [views["kept"]], result: [views["out"]]})
    kernel = Contraction(node, views["a"], views["b"], body, target, 2)
    kept, out = np.empty((m, n)), np.empty((m, n))
    arrays = {"a": a, "b": b, "bias": bias, "mask": mask, "kept": kept, "out": out}
    Runner(kernel, target)({views[name].buffer: array for name, array in arrays.items()}, 2)
    np.testing.assert_allclose(kept, a @ b, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(out, np.maximum(a @ b + bias, 0.5) * mask, rtol=1e-10, atol=1e-10)
    assert kernel.flops == m * n * (2 * deep + 3)
    assert kernel.source()[-6:] == [
        f"      matmul = sum(a[i, k] * b[k, j] for k in 0..{deep})",
        "      kept[i, j] = matmul",
        "      add = matmul + bias[j]",
        "      maximum = maximum(add, 0.5)",
        "      multiply = maximum * mask[i, j]",
        "      out[i, j] = multiply",
    ]


@pytest.mark.usefixtures("_native")
@pytest.mark.parametrize(("m", "deep", "n"), [(50, 20, 45), (50, 20, 7), (1, 5, 45), (45, 5, 1), (45, 5000, 33)])
def test_an_update_in_place_is_made_once(m: int, deep: int, n: int) -> None:
    rng = np.random.default_rng(0)
    x, d, w = (rng.standard_normal(s).astype("f4") for s in ((deep, m), (deep, n), (m, n)))
    graph = product(x.T, d, lambda g, w: w - g * np.float32(0.125), w)
    (result,) = graph.outputs
    views = [View.whole(Buffer(name, "f4", s.size), s.shape) for name, s in (("x", x), ("d", d), ("w", w))]
    scaled = result.inputs[1]
    node = scaled.inputs[0]
    body = Body([scaled, result], {graph.inputs[2]: views[2]}, {result: [views[2]]})
    kernel = Contraction(node, views[0].permuted((1, 0)), views[1], body, WIDE, 2)
    expected = w - x.T.astype("f8") @ d * 0.125
    Runner(kernel)(dict(zip((v.buffer for v in views), (x, d, w), strict=True)), 3)
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-4 * math.sqrt(deep))


def test_rows_are_cut_into_tiles_of_nearly_equal_height() -> None:
    for size in range(1, 200):
        cut = Cut.of(size, 14)
        rows = [
            t * h + extra + r for h, first, last, extra in cut.versions for t in range(first, last) for r in range(h)
        ]
        assert rows == list(range(size))
        assert len(cut.versions) <= 2
    assert Panels(70, 32).versions == [(32, 0, 2), (6, 2, 3)]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_tiles_fit_the_registers(target: Target) -> None:
    for m, n, deep in [(128, 128, 784), (784, 128, 128), (1, 1000, 1000), (1000, 10, 50), (97, 101, 103)]:
        for code in ("f4", "f8"):
            rows, panels = tile(m, n, deep, code, target)
            vectors = panels.width // target.lanes(code)
            assert rows.height * vectors + vectors + 1 <= target.vector_registers or rows.height == 1


def test_heights_divide_the_rows_where_they_can() -> None:
    assert tile(128, 128, 784, "f4", WIDE)[0].height == 8
    assert tile(784, 128, 128, "f4", WIDE)[0].height == 14
