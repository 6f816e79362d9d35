"""Reading and writing by index, against NumPy, for every kind of index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backlit as bl
from backlit.base.errors import IndexRangeError, ShapeError
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.ops.indexing import parse
from backlit.testing import check_grad


@st.composite
def indexed(draw: Any) -> tuple[Any, Any]:
    """An array and an index of it that mixes ints, slices, None, `...`, integer arrays and masks."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    x = np.arange(float(np.prod(shape))).reshape(shape) + 1
    parts: list[Any] = []
    axis = 0
    gap = draw(st.integers(0, len(shape)))
    common = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    masked = draw(st.booleans())
    while axis < len(shape):
        n = shape[axis]
        if draw(st.integers(0, 5)) == 0:
            parts.append(None)
        if axis == gap and not any(p is Ellipsis for p in parts):
            parts.append(Ellipsis)
            axis += draw(st.integers(0, len(shape) - axis))
            continue
        kind = draw(st.sampled_from(["int", "slice", "array", "mask", "stop"]))
        if kind == "stop":
            break
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            parts.append(draw(st.slices(n)))
        elif kind == "array" and not masked:
            inner = draw(hnp.broadcastable_shapes(common, max_dims=len(common), max_side=3))
            inner = tuple(c if i != 1 else 1 for i, c in zip(inner[::-1], common[::-1], strict=False))[::-1]
            parts.append(draw(hnp.arrays(np.int64, inner, elements=st.integers(-n, n - 1))))
        elif kind == "mask" and masked:
            width = draw(st.integers(1, len(shape) - axis))
            if any(isinstance(p, np.ndarray) for p in parts):
                width = 1
                parts.append(slice(None))
            else:
                parts.append(draw(hnp.arrays(np.bool_, shape[axis : axis + width])))
            axis += width
            continue
        else:
            parts.append(slice(None))
        axis += 1
    rank = sum(p is None for p in parts)
    return x, tuple(parts) if rank < 4 else (0,)


@given(indexed())
@settings(max_examples=300)
def test_reading_agrees_with_numpy(case: tuple[Any, Any]) -> None:
    x, index = case
    want = x[index]
    got = bl.asarray(x)[index]
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.numpy(), want)
    found = parse(x, index, "test")
    assert found.index.shape(x.shape, [np.shape(a) for a in found.arrays]) == want.shape


@given(indexed())
@settings(max_examples=100)
def test_the_gradient_of_reading_counts_how_often_each_element_was_read(case: tuple[Any, Any]) -> None:
    x, index = case
    t = bl.tensor(x, requires_grad=True)
    t[index].sum().backward()
    want = np.zeros_like(x)
    np.add.at(want, index, 1.0)
    assert t.grad is not None
    np.testing.assert_array_equal(t.grad.numpy(), want)


@given(indexed(), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_writing_agrees_with_numpy_and_gives_the_gradient_to_the_winner(case: tuple[Any, Any], random: Any) -> None:
    x, index = case
    shape = x[index].shape
    keep = [random.random() < 0.7 for _ in shape]
    small = tuple(n if k else 1 for n, k in zip(shape, keep, strict=True))
    y = -1 - np.arange(float(np.prod(small))).reshape(small)
    a, b = bl.tensor(x, requires_grad=True), bl.tensor(y, requires_grad=True)
    out = a * 1
    out[index] = b
    want = x.copy()
    want[index] = y
    np.testing.assert_array_equal(out.numpy(), want)
    # Values are all different, so the survivors can be read off the result.
    out.sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    np.testing.assert_array_equal(a.grad.numpy(), (want == x).astype(float))
    left = np.array([np.sum(want == v) for v in y.ravel()], float).reshape(y.shape)
    np.testing.assert_array_equal(b.grad.numpy(), left)


@given(indexed())
@settings(max_examples=100)
def test_index_add_is_ufunc_at(case: tuple[Any, Any]) -> None:
    x, index = case
    y = np.arange(float(x[index].size)).reshape(x[index].shape) * 0.5
    want = x.copy()
    np.add.at(want, index, y)
    np.testing.assert_allclose(bl.index_add(x, index, y).numpy(), want)


def test_x_slice_mask_assignment_keeps_both_gradients() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=2)
    mask = np.array([True, False, True])

    def write(a: Any, b: Any) -> Any:
        out = a * a
        out[1:, mask] = b * b
        return out

    check_grad(write, (x, y), order=2)


@pytest.mark.parametrize(
    ("index", "value"),
    [
        ((slice(None), 1), 2.0), ([0, 0, 2], np.arange(12.0).reshape(3, 4)), (np.zeros((3, 4), bool), 3.0),
        ((Ellipsis, [True, False, False, True]), np.ones((1, 1, 3, 2))), (True, 5.0), (False, 5.0),
    ],
)  # fmt: skip
def test_corner_cases_of_writing(index: Any, value: Any) -> None:
    x = np.arange(12.0).reshape(3, 4)
    want = x.copy()
    want[index] = value
    np.testing.assert_array_equal(bl.index_update(x, index, value).numpy(), want)


@pytest.mark.parametrize("index", [True, False, np.array(True), np.array(1), [], ([], [])])
def test_corner_cases_of_reading(index: Any) -> None:
    x = np.arange(12.0).reshape(3, 4)
    want = x[
        np.array(index, dtype=int) if isinstance(index, list) else index if not isinstance(index, tuple) else ([], [])
    ]
    got = bl.asarray(x)[index]
    np.testing.assert_array_equal(got.numpy(), want)


def test_a_tensor_or_a_list_of_tensors_can_index() -> None:
    x = bl.arange(10.0)
    two, three = bl.tensor(2), bl.tensor(3)
    assert x[two].item() == 2.0
    assert x[[two, three]].tolist() == [2.0, 3.0]
    assert x[x > 7].tolist() == [8.0, 9.0]
    assert x[bl.tensor([1, 2], dtype=bl.uint64)].tolist() == [1.0, 2.0]
    assert x[bl.tensor(1) : three].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (5, "index 5 is out of range for axis 0 of size 3"),
        ((0, -5), "index -5 is out of range for axis 1 of size 4"),
        ((slice(None), [0, 7]), "index 7 is out of range for axis 1 of size 4"),
        ((0, 0, 0), "3 indices for 2 dimension"),
        ((Ellipsis, Ellipsis), "one '...'"),
        (np.array([True, False]), "mask of shape"),
    ],
)
def test_errors_name_index_axis_and_size(index: Any, says: str) -> None:
    x = bl.zeros((3, 4))
    for call in (lambda: x[index], lambda: bl.index_update(x, index, 1.0), lambda: bl.index_add(x, index, 1.0)):
        with pytest.raises(bl.ShapeError, match="(?i)" + says.replace("...", r"\.\.\.")):
            call()
    if "out of range" in says:
        with pytest.raises(IndexError):
            x[index]


def test_other_dtypes_are_refused() -> None:
    x = bl.arange(4)
    with pytest.raises(bl.DtypeError, match="integers, booleans"):
        x[bl.tensor([0.0])]
    with pytest.raises(bl.DtypeError, match="cannot write float32 into int64"):
        x[0] = 1.5
    with pytest.raises(bl.DtypeError, match="indices must be integers"):
        bl.take(x, bl.tensor([0.5]))
    with pytest.raises(bl.ShapeError, match="step"):
        x[::0]


def test_a_mask_without_value() -> None:
    spec = [Spec((3,), bl.float32), Spec((3,), bl.bool), Spec((), bl.float32)]
    with pytest.raises(bl.GraphError, match=r"bl\.where"):
        trace(lambda x, m, y: x[m], spec)
    with pytest.raises(bl.ShapeError, match="single value"):
        trace(lambda x, m, y: bl.index_update(x, m, x), spec)

    def write(x: Any, m: Any, y: Any) -> Any:
        return bl.grad(lambda a, b: (bl.index_update(a, m, b) * a).sum(), argnums=(0, 1))(x, y)

    values = np.array([1, 2, 4], np.float32), np.array([True, False, True]), np.float32(3)
    for later, now in zip(trace(write, spec)(*values), write(*map(bl.asarray, values)), strict=True):
        np.testing.assert_array_equal(later, now.numpy())


def test_take_and_along_axis_agree_with_numpy() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 4, 5))
    ids = rng.integers(-4, 4, (2, 3))
    np.testing.assert_array_equal(bl.take(x, ids, axis=1).numpy(), np.take(x, ids, axis=1))
    lines = rng.integers(0, 4, (3, 2, 5))
    np.testing.assert_array_equal(bl.take_along_axis(x, lines, axis=1).numpy(), np.take_along_axis(x, lines, axis=1))
    values = rng.normal(size=lines.shape)
    order = np.argsort(x, axis=1)
    want = x.copy()
    np.put_along_axis(want, order[:, :2], values, axis=1)
    np.testing.assert_array_equal(bl.put_along_axis(x, order[:, :2], values, axis=1).numpy(), want)
    for wrong in (lambda: bl.take(x, 9, axis=0), lambda: bl.take_along_axis(x, lines + 9, axis=1)):
        with pytest.raises(IndexError, match="out of range for axis"):
            wrong()
    with pytest.raises(bl.ShapeError, match="axis="):
        bl.take(x, 0)


def test_embedding_adds_up_the_gradients_of_a_row_used_twice() -> None:
    table = bl.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    rows = bl.embedding([[1, 1], [3, 1]], table)
    assert rows.shape == (2, 2, 3)
    rows.sum().backward()
    assert table.grad is not None
    np.testing.assert_array_equal(table.grad.numpy(), np.array([0, 3, 0, 1])[:, None] * np.ones(3))


def test_segments() -> None:
    rng = np.random.default_rng(2)
    x, ids = rng.normal(size=(6, 2)), np.array([2, 0, 2, 2, 0, 3])
    groups = [x[ids == i] for i in range(5)]
    np.testing.assert_allclose(bl.segment_sum(x, ids, 5).numpy(), [g.sum(0) for g in groups])
    np.testing.assert_allclose(
        bl.segment_mean(x, ids, 5).numpy(), [g.mean(0) if len(g) else np.zeros(2) for g in groups]
    )
    np.testing.assert_allclose(
        bl.segment_max(x, ids, 5).numpy(), [g.max(0) if len(g) else np.full(2, -np.inf) for g in groups]
    )
    ties = bl.tensor([1.0, 1.0, 0.0], requires_grad=True)
    bl.segment_max(ties, [0, 0, 0], 1).sum().backward()
    assert ties.grad is not None
    assert ties.grad.tolist() == [0.5, 0.5, 0.0]
    for name in ("segment_sum", "segment_max", "segment_mean"):
        with pytest.raises(IndexError, match="axis 0 of size 3"):
            getattr(bl, name)(x, ids, 3)
        with pytest.raises(bl.ShapeError, match="one segment id for each row"):
            getattr(bl, name)(x, ids[:3], 4)
        with pytest.raises(bl.DtypeError, match="integers"):
            getattr(bl, name)(x, x[:, 0], 4)


# --- a window from a start that is computed --------------------------------------------------------


def test_a_dynamic_slice_starts_where_the_graph_says():
    rows = np.arange(12.0).reshape(6, 2)
    batches = lambda x: bl.fori_loop(
        0, 3, lambda i, c: c * 2 + bl.dynamic_slice(x, i * 2, 2), bl.zeros((2, 2), dtype=bl.float64)
    )
    expected = 4 * rows[:2] + 2 * rows[2:4] + rows[4:]
    graph = trace(lambda x: [batches(x), bl.grad(lambda x: batches(x)[0].sum())(x)], [Spec((6, 2), rows.dtype)])
    for run in (lambda x: batches(x).numpy(), lambda x: graph(x)[0]):
        np.testing.assert_array_equal(run(rows), expected)
    assert graph(rows)[1].tolist() == [[4, 4], [0, 0], [2, 2], [0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("start", [-1, 4])
def test_a_dynamic_slice_out_of_range_is_an_error_in_every_mode(start):
    graph = trace(lambda x, i: bl.dynamic_slice(x, i, 2), [Spec((5,), np.dtype(float)), Spec((), np.dtype(int))])
    for call in (lambda: bl.dynamic_slice(np.ones(5), start, 2), lambda: graph(np.ones(5), np.int64(start))):
        with pytest.raises(IndexRangeError, match=rf"start {start} is out of range: .* from 0 to 3"):
            call()


def test_wrong_dynamic_slices():
    with pytest.raises(ShapeError, match="size must be from 0 to 3, the size of axis 1, got 4"):
        bl.dynamic_slice(np.ones((2, 3)), 0, 4, 1)
    with pytest.raises(ShapeError, match=r"start must be one integer, got shape \(2,\)"):
        bl.dynamic_slice(np.ones(3), [0, 1], 1)
    with pytest.raises(bl.GraphError, match=r"depends on values.*bl\.dynamic_slice"):
        trace(lambda x, i: x[i : i + 2], [Spec((5,), np.dtype(float)), Spec((), np.dtype(int))])
