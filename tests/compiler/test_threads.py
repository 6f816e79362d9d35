"""Plans and threads: the same bits every run, many threads at once, and results that stay as they are."""

from __future__ import annotations

import ctypes
import gc
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

import backlit as bl

from .native import agree, arrays, eager, native

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(96, 200)).astype("f4"), RNG.normal(size=(200, 64)).astype("f4"), np.zeros(64, "f4")


def loss(w: Any, b: Any, x: Any) -> Any:
    hidden = bl.tanh(x @ w + b)
    return bl.mean(bl.logsumexp(hidden, axis=1)) + bl.sum(bl.softmax(hidden, axis=1) ** 2) + bl.sum(bl.sin(x)) * 0.01


def step(w: Any, b: Any, x: Any) -> Any:
    value, (dw, db) = bl.value_and_grad(loss, (0, 1))(w, b, x)
    return w - 0.1 * dw, b - 0.1 * db, value


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_the_same_bits_in_every_run_and_on_any_number_of_threads(threads):
    """Reductions are cut into blocks that do not depend on the number of threads, so that their order is one."""
    run = bl.compile(step, threads=threads)
    first = [y.tobytes() for y in arrays(run(W, B, X))]
    for _ in range(20):
        assert [y.tobytes() for y in arrays(run(W, B, X))] == first
    single = bl.compile(step, threads=1)
    assert [y.tobytes() for y in arrays(single(W, B, X))] == first
    agree(arrays(run(W, B, X)), eager(step, [W, B, X]))


def test_one_plan_called_by_eight_threads():
    run = bl.compile(lambda x, k: [bl.sin(x) * k, bl.sum(x) + k])
    x = RNG.normal(size=40_000).astype("f4")
    expected = {k: arrays(run(x, np.float32(k))) for k in range(8)}
    expected = {k: [y.copy() for y in ys] for k, ys in expected.items()}
    start = Barrier(8)

    def work(k: int) -> bool:
        start.wait()
        same = True
        for _ in range(40):
            held = [arrays(run(x, np.float32(k))) for _ in range(3)]
            same &= all(np.array_equal(a, b) for ys in held for a, b in zip(ys, expected[k], strict=True))
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_eight_threads_compile_at_once():
    start = Barrier(8)
    product = lambda x: bl.exp(x) @ bl.exp(x).mT
    shared = bl.compile(product)

    def work(k: int) -> None:
        start.wait()
        for n in (1, 2, 3):
            x = np.linspace(0, 1, 5 * n * (30 + k), dtype="f4").reshape(5 * n, -1)
            mine = lambda x: bl.cumulative_sum(bl.tanh(x * k), axis=1) + bl.sum(x, axis=1, keepdims=True)
            agree(native(mine, [x]), eager(mine, [x]))
            agree(arrays(shared(x)), eager(product, [x]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert shared.traces == 24


# --- results ---------------------------------------------------------------------------------------

WAYS = {
    "the tensor": lambda y: y,
    "its array": lambda y: y.numpy(),
    "a slice of the tensor": lambda y: y[5:],
    "a slice of its array": lambda y: y.numpy()[5:],
    "a view of a view": lambda y: y.numpy().reshape(100, -1).T[3:][::-1],
    "a view as another dtype": lambda y: y.numpy().view(np.int32)[::2],
    "a memoryview": lambda y: memoryview(y.numpy()),
    "a slice of a memoryview": lambda y: memoryview(y.numpy())[7:],
    "DLPack from the tensor": np.from_dlpack,
    "DLPack from its array": lambda y: np.from_dlpack(y.numpy()),
    "frombuffer": lambda y: np.frombuffer(y.numpy(), np.float32)[1:],
    "a broadcast": lambda y: np.broadcast_to(y.numpy(), (3, 10_000)),
    "the base of a view": lambda y: y.numpy()[1:].base,
    "asarray of it": np.asarray,
    "ctypes": lambda y: y.numpy().ctypes,
    "an iterator": lambda y: iter(y.numpy()),
    "flat": lambda y: y.numpy().flat,
    "an array that shows its memory": lambda y: np.lib.stride_tricks.as_strided(y.numpy(), (10, 10), (4, 4)),
}


def seen(held: Any) -> Any:
    if hasattr(held, "data_as"):
        return np.array(held.data_as(ctypes.POINTER(ctypes.c_float))[:9])
    if type(held).__name__ == "iterator":
        return np.array(list(held))
    return np.array(held)


@pytest.mark.parametrize("way", WAYS)
def test_a_result_stays_as_it_is_while_anything_holds_it(way):
    run = bl.compile(lambda x: bl.sin(x) + 1)
    x = np.linspace(0, 3, 10_000, dtype="f4")
    expected = seen(WAYS[way](run(x)))
    held = WAYS[way](run(x))
    for i in range(4):
        run(x + i + 1)
    gc.collect()
    for i in range(4):
        run(x + i + 1)
    np.testing.assert_array_equal(seen(held), expected)


def test_memory_that_nobody_holds_is_used_again():
    run = bl.compile(lambda x: bl.sin(x) + 1)
    x = np.linspace(0, 3, 10_000, dtype="f4")
    places = {run(x).numpy().ctypes.data for _ in range(20)}
    assert len(places) == 1
    kept = [run(x) for _ in range(5)]
    assert len({y.numpy().ctypes.data for y in kept}) == 5


def test_two_results_of_a_call_do_not_share_memory():
    run = bl.compile(lambda x: (x + 1, x + 1, bl.reshape(x + 1, (-1,)), x[:, ::-1]))
    a, b, c, d = arrays(run(np.zeros((100, 3), "f4")))
    assert not any(np.shares_memory(p, q) for p, q in ((a, b), (a, c), (b, c), (a, d)))


def test_an_argument_handed_through_is_no_view_of_the_callers():
    run = bl.compile(lambda x: (x, bl.reshape(x, (2, 3)), x[1:]))
    x = np.arange(6, dtype="f4")
    found = arrays(run(x))
    x[:] = 9
    agree(found, [np.arange(6, dtype="f4"), np.arange(6, dtype="f4").reshape(2, 3), np.arange(1, 6, dtype="f4")])


def test_indices_out_of_range_raise_and_do_not_spoil_the_plan():
    x, good = np.arange(12, dtype="f4").reshape(4, 3), np.array([0, -1, 3])
    cases = [
        lambda x, i: bl.take(x, i, axis=0), lambda x, i: x[i], lambda x, i: bl.index_update(x, i, 1.0),
        lambda x, i: bl.index_add(x, i, 1.0), lambda x, i: bl.sin(x)[i] * 2,
    ]  # fmt: skip
    for function in cases:
        run = bl.compile(function)
        for bad in ([0, 4, 1], [-5, 0, 0], [2**40, 0, 1], [0, 0, -(2**62)]):
            with pytest.raises(IndexError, match="out of range"):
                run(x, np.array(bad))
            agree(arrays(run(x, good)), eager(function, [x, good]))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_is_flat_over_ten_thousand_calls():
    run = bl.compile(step)
    small = bl.compile(lambda x, i: (bl.sum(bl.take(x, i)), bl.cumulative_sum(x)))
    x, i = np.arange(50, dtype="f4"), np.array([1, 2])
    w, b = W[:, :8].copy(), B[:8].copy()
    for _ in range(100):
        run(w, b, X[:4]), small(x, i)
    gc.collect()
    before = resident()
    for _ in range(10_000):
        run(w, b, X[:4])
        small(x, i)
    gc.collect()
    assert resident() - before < 3_000_000


def resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
