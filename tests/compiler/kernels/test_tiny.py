"""Graphs of small tensors in registers, beside the same graphs run by NumPy."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves
from backlit.compiler.codegen.values import Val, code_of
from backlit.compiler.codegen.writer import Target
from backlit.compiler.kernels.tiny import Tiny, fits
from backlit.compiler.kernels.views import Buffer, View
from backlit.compiler.pipeline import run
from backlit.graph.closure import close
from backlit.graph.graph import Graph
from backlit.graph.node import Node
from backlit.graph.opdef import OPS
from tests.compiler.running import WIDE, Runner
from tests.programs import Ours, Program

TARGETS = {64: WIDE, 32: Target(32, 16), 16: Target(16, 16)}

#: Enough native forms to test with, for ops whose records have none.
FORMS: dict[str, Callable[..., Val]] = {
    "add": lambda k, x, y: x + y,
    "subtract": lambda k, x, y: x - y,
    "multiply": lambda k, x, y: x * y,
    "divide": lambda k, x, y: x / y,
    "negative": lambda k, x: -x,
    "abs": lambda k, x: k.abs(x),
    "sqrt": lambda k, x: k.sqrt(x),
    "exp": lambda k, x: k.exp(x),
    "log": lambda k, x: k.log(x),
    "sin": lambda k, x: k.sin(x),
    "cos": lambda k, x: k.cos(x),
    "tanh": lambda k, x: k.tanh(x),
    "expm1": lambda k, x: k.expm1(x),
    "sigmoid": lambda k, x: k.sigmoid(x),
    "maximum": lambda k, x, y: k.maximum(x, y),
    "minimum": lambda k, x, y: k.minimum(x, y),
    "equal": lambda k, x, y: k.equal(x, y),
    "not_equal": lambda k, x, y: k.not_equal(x, y),
    "less": lambda k, x, y: x < y,
    "less_equal": lambda k, x, y: x <= y,
    "greater": lambda k, x, y: x > y,
    "greater_equal": lambda k, x, y: x >= y,
    "logical_and": lambda k, x, y: k.cast(x, "b1") & k.cast(y, "b1"),
    "logical_not": lambda k, x: ~k.cast(x, "b1"),
    "isfinite": lambda k, x: k.abs(x) < np.inf,
    "where": lambda k, c, x, y: k.select(k.cast(c, "b1"), x, y),
    "guarded_multiply": lambda k, x, y: k.select(k.equal(x, 0), k.const(0, x.code, x.lanes), x * y),
}


@pytest.fixture(autouse=True)
def _native_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, form in FORMS.items():
        if OPS[name].native is None:
            monkeypatch.setattr(OPS[name], "native", form)


def traced(function: Callable[..., Any], arguments: Sequence[Any]) -> Graph:
    """A function of trees as the graph that a plan would be made of."""
    return run(close(function, [bl.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]).graph())


class Native:
    """A graph as one native function of arrays."""

    def __init__(self, graph: Graph, target: Target = WIDE, donate: bool = False) -> None:
        self.graph = graph
        self.inputs = [Buffer(f"x{i}", code_of(n.dtype), int(np.prod(n.shape)), "input") for i, n in
                       enumerate(graph.inputs)]  # fmt: skip
        ends = [x if isinstance(x, Node) else np.asarray(x) for x in graph.outputs]
        ends = [(tuple(x.shape), np.dtype(x.dtype)) for x in ends]
        self.outputs = [Buffer(f"y{i}", code_of(d), int(np.prod(s)), "output") for i, (s, d) in enumerate(ends)]
        if donate:
            self.outputs = self.inputs[: len(self.outputs)]
        self.ends = ends
        reads = {n: View.whole(b, n.shape) for n, b in zip(graph.inputs, self.inputs, strict=True)}
        writes = [(i, View.whole(b, s)) for i, (b, (s, _)) in enumerate(zip(self.outputs, ends, strict=True))]
        assert fits(graph, target)
        self.runner = Runner(Tiny(graph, reads, writes, target), target)

    def __call__(self, *values: Any) -> list[np.ndarray]:
        arrays = {
            b: np.array(v, n.dtype, order="C") for b, v, n in zip(self.inputs, values, self.graph.inputs, strict=True)
        }
        for b, (s, d) in zip(self.outputs, self.ends, strict=True):
            arrays.setdefault(b, np.full(s, 77, d))
        self.runner(arrays)
        return [arrays[b].reshape(s) for b, (s, _) in zip(self.outputs, self.ends, strict=True)]


def check(function: Callable[..., Any], *arguments: Any, width: int = 64, digits: float = 4) -> None:
    """Native and NumPy agree on a function, to rounding."""
    graph = traced(function, arguments)
    values = [np.asarray(x) for x in leaves(list(arguments))]
    with np.errstate(all="ignore"):
        expected = graph(*values)
    for got, wanted in zip(Native(graph, TARGETS[width])(*values), expected, strict=True):
        wanted = np.asarray(wanted)
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        if wanted.dtype.kind == "f":
            scale = max(1.0, np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0))
            np.testing.assert_allclose(got, wanted, rtol=10**-digits, atol=10**-digits * scale)
        else:
            np.testing.assert_array_equal(got, wanted)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def single(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.normal(size=shape), np.float32)


widths = pytest.mark.parametrize("width", sorted(TARGETS))


# --- movement ----------------------------------------------------------------------------------------


MOVEMENT: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda x: bl.reshape(x, (4, 6)) * 2,
    "permute": lambda x: bl.permute_dims(x, (2, 0, 1)) + 1,
    "flip": lambda x: bl.flip(x, axis=1) - x,
    "broadcast": lambda x: bl.broadcast_to(x[:, :1], (2, 3, 4)) * x,
    "slices": lambda x: x[1, ::-2, 1:] * 3,
    "gather": lambda x: x[:, np.array([2, 0, 0])] * x,
    "concat": lambda x: bl.concat([x, x[:, 1:] * 2, bl.zeros((2, 1, 4))], axis=1),
    "stack": lambda x: bl.stack([x[0], x[1] * 2], axis=-1),
    "split": lambda x: bl.split(x + 1, [1, 3], axis=2),
    "pad": lambda x: bl.pad(x[0], ((1, 0), (0, 2))),
    "roll": lambda x: bl.roll(x, 1, axis=2) + x,
    "tril": lambda x: bl.tril(x) - bl.triu(x),
    "update": lambda x: bl.index_update(x, (slice(None), 1), x[:, 0] * 2),
    "constant": lambda x: x * np.arange(4, dtype=np.float32),
    "as it is": lambda x: (x, x[0], 3.0),
}


@widths
@pytest.mark.parametrize("name", MOVEMENT)
def test_movement(name: str, width: int, rng: np.random.Generator) -> None:
    check(MOVEMENT[name], single(rng, 2, 3, 4), width=width)


# --- sums and products -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (8,), (13,), (2, 3), (4, 4), (3, 5), (2, 3, 4), ()])
@pytest.mark.parametrize("width", [64, 16])
def test_reductions(shape: tuple[int, ...], width: int, rng: np.random.Generator) -> None:
    def every(x: Any) -> Any:
        axes = [None, *range(len(shape)), *([(0, len(shape) - 1)] if len(shape) > 1 else [])]
        found = []
        for axis in axes:
            for f in (bl.sum, bl.prod, bl.max, bl.min, bl.mean):
                found.append(f(x, axis=axis) * 2)
            found.append(x - bl.sum(x, axis=axis, keepdims=True))
            found += [bl.all(x > -1, axis=axis), bl.any(x > 1, axis=axis)]
            if not isinstance(axis, tuple):
                found += [bl.argmax(x, axis=axis), bl.argmin(x, axis=axis)]
        return found

    check(every, single(rng, *shape), width=width)


def test_not_a_number_and_infinities(rng: np.random.Generator) -> None:
    x = single(rng, 3, 5)
    x[0, 2], x[1, 1], x[1, 3], x[2, 0] = np.nan, np.inf, -np.inf, -np.inf
    check(lambda x: [f(x, axis=1) for f in (bl.sum, bl.max, bl.min, bl.argmax, bl.argmin, bl.prod)], x)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32, np.uint8])
def test_dtypes(dtype: type) -> None:
    x = np.array([[3, 1, 2], [0, 5, 1]]).astype(dtype)

    def some(x: Any) -> Any:
        return (bl.sum(x, axis=0), bl.max(x, axis=1), bl.min(x), bl.prod(x, axis=1), bl.any(x, axis=0), bl.all(x),
                bl.argmax(x, axis=1), x.T.astype(np.float32) * 0.5, bl.where(x > 1, x, x[::-1]),
                bl.concat([x, x], axis=1)[:, 2:5], bl.cumulative_sum(x, axis=1))  # fmt: skip

    check(some, x)


def test_truth() -> None:
    x = np.array([[True, False, True], [False, False, True]])
    check(lambda x: (bl.any(x, axis=0), bl.all(x, axis=1), bl.sum(x, axis=1), x.T, bl.concat([x, x], axis=1)[:, 2:5],
                     bl.where(x, x[::-1], x[:, ::-1]), x.astype(np.float32)), x)  # fmt: skip


@widths
def test_sums_along_the_way(width: int, rng: np.random.Generator) -> None:
    check(lambda x: (bl.cumulative_sum(x, axis=1), bl.cumulative_prod(x, axis=0, include_initial=True),
                     bl.cumulative_sum(x, axis=0, include_initial=True)), single(rng, 3, 5), width=width)  # fmt: skip


@widths
@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (3, 4)), ((4, 2), (2, 1)), ((3,), (3,)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((2, 1, 2, 3), (3, 3, 2)),
     ((1, 5), (5, 7)), ((4, 1), (1, 4)), ((5, 9), (9, 3))],
)  # fmt: skip
def test_products(a: tuple[int, ...], b: tuple[int, ...], width: int, rng: np.random.Generator) -> None:
    def both(x: Any, y: Any) -> Any:
        return x @ y, bl.grad(lambda x, y: bl.sum(bl.sin(x @ y)), argnums=(0, 1))(x, y)

    check(both, single(rng, *a), single(rng, *b), width=width)


# --- indices that are known late ---------------------------------------------------------------------


@widths
def test_late_indices(width: int, rng: np.random.Generator) -> None:
    i = np.array([2, 0, -1, 2])

    def some(x: Any, i: Any) -> Any:
        return (bl.take(x, i, axis=1), bl.take(x * 2, i[0], axis=0), x[i[1:]], bl.one_hot(bl.abs(i), 5),
                bl.grad(lambda x: bl.sum(bl.take(x, i, axis=0) ** 2))(x))  # fmt: skip

    check(some, single(rng, 3, 4), i, width=width)


def test_indices_beyond_the_ends_read_nothing_else(rng: np.random.Generator) -> None:
    x = single(rng, 3, 4)
    native = Native(traced(lambda x, i: bl.take(x, i, axis=0), [x, np.array([0])]))
    np.testing.assert_array_equal(native(x, np.array([70]))[0], x[2:])
    np.testing.assert_array_equal(native(x, np.array([-70]))[0], x[:1])


def test_elements_that_fall_together_are_added(rng: np.random.Generator) -> None:
    i = np.array([1, 1, 0])
    check(lambda x: bl.grad(lambda x: bl.sum(bl.sin(x[i])))(x), single(rng, 2, 3))


# --- loops and branches ------------------------------------------------------------------------------


@widths
def test_fori(width: int, rng: np.random.Generator) -> None:
    def power(x: Any, w: Any) -> Any:
        return bl.fori_loop(0, 5, lambda i, x: bl.tanh(w @ x) + 0.1 * i, x)

    check(power, single(rng, 3), single(rng, 3, 3), width=width)
    check(bl.grad(lambda x, w: bl.sum(power(x, w)), argnums=(0, 1)), single(rng, 3), single(rng, 3, 3), width=width)


@widths
@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool, width: int, rng: np.random.Generator) -> None:
    def recurrent(w: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = bl.tanh(h @ w + x)
            return h, h * 2

        return bl.scan(step, bl.zeros(4), xs, reverse=reverse)

    w, xs = single(rng, 4, 4), single(rng, 300, 4)
    check(recurrent, w, xs, width=width)
    check(bl.grad(lambda w, xs: bl.sum(recurrent(w, xs)[1]), argnums=(0, 1)), w, xs[:24], width=width)


def test_scan_of_no_steps_and_without_slices(rng: np.random.Generator) -> None:
    check(lambda x: bl.fori_loop(3, 3, lambda i, x: x * 2, x) + 1, single(rng, 3))
    check(lambda x: bl.scan(lambda c, _: (c * 0.5, (c, c[0] > 0)), x, None, length=3), single(rng, 3))


def test_slices_of_what_was_computed(rng: np.random.Generator) -> None:
    check(lambda x: bl.scan(lambda c, r: (c + r, c * r), bl.zeros(2), bl.sin(x) + 1), single(rng, 5, 2))


def test_minibatches_taken_by_late_indices(rng: np.random.Generator) -> None:
    def train(w: Any, data: Any, order: Any) -> Any:
        def step(w: Any, rows: Any) -> Any:
            x = bl.take(data, rows, axis=0)
            return w - 0.1 * bl.grad(lambda w: bl.mean((x @ w - 1) ** 2))(w), None

        return bl.scan(step, w, order)[0]

    check(train, single(rng, 3), single(rng, 400, 3), rng.integers(0, 400, (20, 4)))


def test_loops_in_loops(rng: np.random.Generator) -> None:
    def deep(x: Any) -> Any:
        def outer(i: Any, x: Any) -> Any:
            y = bl.fori_loop(0, 3, lambda j, y: bl.sin(y) * x + 0.01 * j, x)
            return bl.cond(bl.sum(y) > 0, lambda: y, lambda: -x)

        return bl.fori_loop(0, 4, outer, x)

    check(deep, single(rng, 3))


def test_while(rng: np.random.Generator) -> None:
    def halved(x: Any, least: Any) -> Any:
        return bl.while_loop(lambda s: bl.max(s[0]) > least, lambda s: (s[0] * 0.5, s[1] + 1), (x, 0))

    x = bl.abs(bl.tensor(single(rng, 5))).numpy()
    check(halved, x, np.float32(0.01).reshape(()))
    check(halved, x, np.float32(100).reshape(()))


@pytest.mark.parametrize("sign", [-1, 1])
def test_cond(sign: int, rng: np.random.Generator) -> None:
    def f(x: Any) -> Any:
        return bl.cond(bl.sum(x) > 0, lambda x: (x * 2, x[0]), lambda x: (bl.sin(x), x[1]), x)

    x = sign * np.abs(single(rng, 4))
    check(f, x)
    check(bl.grad(lambda x: bl.sum(f(x)[0]) + f(x)[1]), x)


def test_donated_inputs_are_read_before_they_are_written(rng: np.random.Generator) -> None:
    a, b = single(rng, 3), single(rng, 3)
    got = Native(traced(lambda a, b: (b * 2, a + b), [a, b]), donate=True)(a, b)
    np.testing.assert_allclose(got, [b * 2, a + b])
    xs = single(rng, 200, 3)
    backward = traced(lambda xs: bl.scan(lambda c, x: (c + x, c), bl.zeros(3), xs, reverse=True)[1], [xs])
    np.testing.assert_allclose(Native(backward, donate=True)(xs)[0], backward(xs)[0], rtol=1e-5)
    large = traced(lambda x, y: (y, x), [xs, xs + 1])
    np.testing.assert_array_equal(Native(large, donate=True)(xs, xs + 1), [xs + 1, xs])


def test_views_that_do_not_lie_in_a_row(rng: np.random.Generator) -> None:
    x = single(rng, 3, 4)
    graph = traced(lambda x: bl.sin(x) * 2, [x.T])
    source, target = Buffer("x", "f4", 12), Buffer("y", "f4", 24)
    reads = {graph.inputs[0]: View.whole(source, (3, 4)).permuted((1, 0))}
    kernel = Tiny(graph, reads, [(0, View(target, (4, 3), (6, 2), 1))], WIDE)
    out = np.zeros((4, 6), np.float32)
    Runner(kernel)({source: x, target: out})
    np.testing.assert_allclose(out[:, 1::2], np.sin(x.T) * 2, rtol=1e-6)
    assert not out[:, ::2].any()


# --- what fits ---------------------------------------------------------------------------------------


def test_what_does_not_fit(rng: np.random.Generator) -> None:
    assert fits(traced(lambda x: x * 2, [single(rng, 8)]), WIDE)
    assert not fits(traced(lambda x: x * 2, [single(rng, 5000)]), WIDE)
    assert not fits(traced(lambda x: x @ x, [single(rng, 60, 60)]), WIDE)
    assert not fits(traced(lambda x: bl.fft.fft(x), [single(rng, 4)]), WIDE)
    assert not fits(traced(lambda x: bl.sort(x), [single(rng, 4)]), WIDE)
    assert fits(traced(lambda xs: bl.scan(lambda c, x: (c + x, c), 0.0, xs), [single(rng, 5000)]), WIDE)


def test_the_source_is_readable(rng: np.random.Generator) -> None:
    graph = traced(lambda x: bl.sum(x * 2), [single(rng, 4)])
    reads = {graph.inputs[0]: View.whole(Buffer("x", "f4", 4), (4,))}
    kernel = Tiny(graph, reads, [(0, View.whole(Buffer("y", "f4", 1), ()))], WIDE)
    assert any("multiply" in line for line in kernel.source())
    assert kernel.flops > 0


# --- random programs ---------------------------------------------------------------------------------


def drawn(count: int) -> Iterator[Program]:
    """Random programs, as many as asked for, of the ops that have a native form."""
    for seed in range(count):
        choice = random.Random(seed).choice
        yield Program(lambda options, choice=choice: choice(list(options)))


def test_random_programs_with_gradients() -> None:
    """Programs with an op that has no tiny form are passed over; enough are left."""
    done = 0
    for i, program in enumerate(drawn(120)):
        arguments = tuple(range(len(program.inputs)))

        def both(*xs: Any, program: Program = program, arguments: Any = arguments) -> Any:
            return program(Ours(), *xs), bl.grad(lambda *xs: program(Ours(), *xs), argnums=arguments)(*xs)

        width = sorted(TARGETS)[i % 3]
        if fits(traced(both, program.inputs), TARGETS[width]):
            check(both, *program.inputs, width=width, digits=9)
            done += 1
    assert done > 20


# --- whole trainings ---------------------------------------------------------------------------------


def test_a_network_learns_to_exclude() -> None:
    """The XOR network, some hundred steps: the loop keeps everything in registers."""
    rng = np.random.default_rng(2)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([[0], [1], [1], [0]], np.float32)

    def loss(p: Any, x: Any, y: Any) -> Any:
        return bl.sum((bl.sigmoid(bl.sigmoid(x @ p[0] + p[1]) @ p[2] + p[3]) - y) ** 2)

    def train(p: Any, x: Any, y: Any) -> Any:
        def step(i: Any, p: Any) -> Any:
            return tuple(w - 0.5 * g for w, g in zip(p, bl.grad(loss)(p, x, y), strict=True))

        return bl.fori_loop(0, 300, step, p)

    p = tuple(bl.tensor(single(rng, *s)) for s in ((2, 2), (2,), (2, 1), (1,)))
    check(train, p, bl.tensor(x), bl.tensor(y), digits=3)


def test_the_loop_of_a_network_moves_no_memory() -> None:
    """What is carried stays in registers: between the labels of the loop there is no store."""
    graph = traced(lambda x: bl.fori_loop(0, 100, lambda i, x: x - 0.1 * bl.sin(x), x), [np.ones(4, np.float32)])
    asm = Native(graph).runner.asm.splitlines()
    jump = next(i for i, line in enumerate(asm) if line.strip().startswith("j") and ".LBB0_" in line)
    label = asm[jump].split()[-1] + ":"
    start = next(i for i, line in enumerate(asm) if line.startswith(label))
    stores = [line for line in asm[start:jump] if line.rstrip().endswith(")") and "mov" in line]
    assert not stores
