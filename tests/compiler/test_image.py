"""Plans found in the disk cache: that they are found, that they do the same, and that they are not taken for others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import IndexRangeError
from backlit.compiler import fingerprint, image
from backlit.compiler.native_plan import NativePlan
from backlit.compiler.stored import StoredPlan
from backlit.graph.graph import Graph, trace
from backlit.graph.op import op
from backlit.graph.opdef import OPS, Spec
from backlit.runtime.host import host

pytestmark = pytest.mark.skipif(host() is None, reason="no LLVM here")

KEY_OF = image.key_of
rng = np.random.default_rng(0)
W, X = rng.normal(size=(40, 30)).astype("f4"), rng.normal(size=(20, 40)).astype("f4")


@pytest.fixture(autouse=True)
def folder(_compiled_anew: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; and sources that nobody changes while tests run."""
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    monkeypatch.setattr(image, "key_of", KEY_OF)
    monkeypatch.setattr(image, "_sources", lambda: "those of today")
    return tmp_path / "plans"


def step(w: Any, x: Any) -> Any:
    loss, slope = bl.value_and_grad(lambda w: bl.softmax(bl.tanh(x @ w)).max(axis=-1).sum())(w)
    return w - 0.1 * slope, loss


def plans(function: Callable[..., Any], *values: Any, **how: Any) -> list[Any]:
    """The plans that two processes would make."""
    return [bl.compile(function, **how).plan(*map(bl.tensor, values)) for _ in range(2)]


@pytest.mark.parametrize("how", [{}, {"donate": "w"}, {"threads": 2}])
def test_the_second_is_found_and_does_the_same(how: dict[str, Any]) -> None:
    first, second = plans(step, W, X, **how)
    assert isinstance(first, NativePlan)
    assert isinstance(second, StoredPlan)
    for one, other in zip(first([W.copy(), X]), second([W.copy(), X]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_else_a_plan_has(folder: Path) -> None:
    first, second = plans(step, W, X)
    assert (second.source, second.llvm, repr(second)) == (first.source, first.llvm, repr(first))
    assert [r.name for r in second.report().rows] == [r.name for r in first.report().rows]
    with pytest.raises(AttributeError, match="nonsense"):
        _ = second.nonsense


def test_constants_and_outputs_that_are_constant() -> None:
    table = rng.normal(size=(30, 5)).astype("f4")
    first, second = plans(lambda w: (w @ table, bl.ones((2, 3)) * 2), W)
    assert isinstance(second, StoredPlan)
    for one, other in zip(first([W]), second([W]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_loops_and_branches() -> None:
    def function(x: Any) -> Any:
        total, history = bl.scan(lambda c, y: (c * 0.5 + y, c.sum()), x[0], x)
        return bl.cond(total.sum() > 0, lambda t: bl.exp(t), lambda t: -t, total), history

    first, second = plans(function, X)
    assert isinstance(second, StoredPlan)
    for one, other in zip(first([X]), second([X]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_index_out_of_range_is_reported() -> None:
    indices = np.arange(7)
    _, second = plans(lambda w, i: bl.take(w, i, axis=0) * 2, W, indices)
    assert isinstance(second, StoredPlan)
    for _ in range(2):
        with pytest.raises(IndexRangeError, match=r"take at test_image.py:\d+: an index is out of range .* \(40, 30\)"):
            second([W, indices + 39])
        np.testing.assert_array_equal(second([W, indices])[0], W[:7] * 2)


def test_calls_of_numpy_are_not_kept(folder: Path) -> None:
    first, second = plans(lambda w: bl.linalg.svdvals(w) + 1, W)
    assert isinstance(first, NativePlan)
    assert isinstance(second, NativePlan)


def test_object_code_that_is_gone_is_made_anew(folder: Path) -> None:
    first, _ = plans(step, W, X)
    for file in folder.iterdir():
        if b"ELF" in file.read_bytes()[:64]:
            file.unlink()
    again, found = plans(step, W, X)
    assert isinstance(again, NativePlan)
    assert isinstance(found, StoredPlan)
    np.testing.assert_array_equal(first([W, X])[0], found([W, X])[0])


def test_turned_off(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("BACKLIT_CACHE", "0")
    assert all(isinstance(p, NativePlan) for p in plans(step, W, X))
    monkeypatch.delenv("BACKLIT_CACHE")
    assert key(lambda x: x + 1.0, A) is not None
    with monkeypatch.context() as patch:
        patch.setenv("BACKLIT_DEBUG", "1")
        assert key(lambda x: x + 1.0, A) is None
    with bl.settings(check=True):
        assert all(isinstance(p, NativePlan) for p in plans(step, W, X))


# --- keys ------------------------------------------------------------------------------------------


def key(function: Callable[..., Any], *specs: Any, threads: int = 1, donated: Any = None) -> str | None:
    machine = host()
    assert machine is not None
    return image.key_of(trace(function, [Spec(s, np.dtype(t)) for s, t in specs]), machine, threads, donated or {})


A = ((3, 4), "f4")


def test_keys() -> None:
    keys = [
        key(lambda x: x + 1.0, A),
        key(lambda x: x + 2.0, A),
        key(lambda x: x + 1.0, ((4, 3), "f4")),
        key(lambda x: x + 1.0, ((3, 4), "f8")),
        key(lambda x: x - 1.0, A),
        key(lambda x: x + 1.0, A, threads=2),
        key(lambda x: x + 1.0, A, donated={0: 0}),
        key(lambda x: x + np.ones(4, "f4"), A),
        key(lambda x: x + np.array([1, 1, 1, 2], "f4"), A),
        key(lambda x: x[1:], A),
        key(lambda x: x[:1], A),
        key(lambda x: x[0], A),
        key(lambda x: x[None], A),
        key(lambda x: x[-1], A),
        key(lambda x: x.sum(axis=0), A),
        key(lambda x: x.sum(axis=1), A),
        key(lambda x: x.astype("i4"), A),
        key(lambda x: x.astype("i8"), A),
        key(lambda x: bl.where(x > 0, x, 0.0), A),
        key(lambda x: bl.where(x > 0, x, -0.0), A),
        key(lambda x: bl.where(x > 0, 0.0, x), A),
        key(lambda x: bl.scan(lambda c, y: (c + y, c), x[0], x), A),
        key(lambda x: bl.scan(lambda c, y: (c - y, c), x[0], x), A),
        key(lambda x, y: x - y, A, A),
        key(lambda x, y: y - x, A, A),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert key(lambda x: x + 1.0, A) == keys[0]
    with bl.settings(default_dtype="float64"):
        assert key(lambda x: x + 1.0, A) != keys[0]


def test_names_are_not_in_the_key() -> None:
    def named(y: Any) -> Any:
        return y + 1.0

    assert key(named, A) == key(lambda x: x + 1.0, A)


def test_no_key_for_ops_of_the_user() -> None:
    own = op(name="doubled_by_the_user", namespace="hidden", nondiff="only run here")(lambda x: 2 * x)
    try:
        assert key(lambda x: own(x), A) is None
    finally:
        del OPS["doubled_by_the_user"]


def test_no_key_where_a_parameter_is_unknown() -> None:
    graph = trace(lambda x: x.sum(axis=0), [Spec((3,), np.dtype("f4"))])
    graph.nodes[0].params["axis"] = object()
    with pytest.raises(fingerprint.Unknown, match="object"):
        fingerprint.fingerprint(Graph(graph.inputs, graph.outputs))


def test_no_key_for_sources_changed_since(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    read = image._sources.__wrapped__
    monkeypatch.setattr(image, "LOADED", 1e12)
    assert isinstance(read(), str)
    assert read() == read()
    monkeypatch.setattr(image, "LOADED", 0.0)
    assert read() is None


def test_packed() -> None:
    constants = np.arange(6, dtype="f4").reshape(2, 3), np.zeros((0, 2), "u1"), np.array(3.0)
    pointers = [("input", 0), ("constant", constants[0]), ("status", 0), ("constant", constants[1]), ("output", 1)]
    results = None, np.float64(2.5), constants[2], None
    for given, out in ((pointers, results), ([], ())):
        before = image.Image("00ff", 4096, 64, 2, tuple(given), tuple(out))
        after = image.Image.unpacked(before.packed())
        assert after[:4] == before[:4]
        for one, other in zip(after.pointers, before.pointers, strict=True):
            assert one[0] == other[0]
            np.testing.assert_array_equal(one[1], other[1], strict=True)
        for one, other in zip(after.results, before.results, strict=True):
            assert (one is None) == (other is None)
            if other is not None:
                np.testing.assert_array_equal(one, other)
