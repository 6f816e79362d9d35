"""Arrays made from nothing, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl

#: (name, arguments, keywords, what NumPy says)
TABLE: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = [
    ("zeros", ((2, 3),), {}, np.zeros((2, 3), np.float32)),
    ("ones", (4,), {"dtype": bl.int8}, np.ones(4, np.int8)),
    ("empty", ((0, 2),), {}, np.zeros((0, 2), np.float32)),
    ("full", ((2,), 3), {}, np.full(2, 3)),
    ("full", ((2,), 0.5), {}, np.full(2, 0.5, np.float32)),
    ("full", ((), True), {}, np.array(True)),
    ("full", ((2,), 1j), {}, np.full(2, 1j, np.complex64)),
    ("zeros_like", (np.ones((2, 3)),), {}, np.zeros((2, 3))),
    ("ones_like", (np.ones(2),), {"dtype": bl.bool}, np.ones(2, bool)),
    ("empty_like", (np.ones(2),), {}, np.zeros(2)),
    ("full_like", (np.arange(3), 7), {}, np.full(3, 7)),
    ("arange", (5,), {}, np.arange(5)),
    ("arange", (1, 10, 3), {}, np.arange(1, 10, 3)),
    ("arange", (3.0,), {}, np.arange(3.0, dtype=np.float32)),
    ("arange", (5, 0, -2), {"dtype": bl.float64}, np.arange(5.0, 0, -2)),
    ("linspace", (0, 1, 5), {}, np.linspace(0, 1, 5, dtype=np.float32)),
    ("linspace", (0.0, 2.0, 4), {"endpoint": False, "dtype": bl.float64}, np.linspace(0, 2, 4, endpoint=False)),
    ("linspace", (0, 1j, 3), {}, np.linspace(0, 1j, 3).astype(np.complex64)),
    ("eye", (3,), {}, np.eye(3, dtype=np.float32)),
    ("eye", (2, 4), {"k": 1, "dtype": bl.int64}, np.eye(2, 4, 1, np.int64)),
    ("tril", (np.ones((3, 4)),), {"k": 1}, np.tril(np.ones((3, 4)), 1)),
    ("triu", (np.ones((2, 3, 3)),), {"k": -1}, np.triu(np.ones((2, 3, 3)), -1)),
    ("one_hot", ([2, 0], 3), {}, np.eye(3, dtype=np.float32)[[2, 0]]),
    ("one_hot", ([[2, 0]], 3), {"axis": 0, "dtype": bl.int8}, np.moveaxis(np.eye(3, dtype=np.int8)[[[2, 0]]], -1, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs", "want"), TABLE)
def test_values_and_dtypes(name: str, args: Any, kwargs: Any, want: Any) -> None:
    got = getattr(bl, name)(*args, **kwargs)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.numpy(), want)


def test_defaults_follow_the_settings() -> None:
    with bl.settings(default_dtype=bl.float64):
        for x in (bl.zeros(1), bl.full(1, 0.5), bl.arange(0.5), bl.linspace(0, 1, 2), bl.eye(1), bl.one_hot([0], 1)):
            assert x.dtype == bl.float64
        assert bl.linspace(0, 1j, 2).dtype == bl.complex128


@pytest.mark.parametrize("indexing", ["xy", "ij"])
def test_meshgrid(indexing: Any) -> None:
    axes = np.arange(2), np.arange(3.0), np.arange(4)
    for n in (1, 2, 3):
        for got, want in zip(
            bl.meshgrid(*axes[:n], indexing=indexing), np.meshgrid(*axes[:n], indexing=indexing), strict=True
        ):
            np.testing.assert_array_equal(got.numpy(), want)
    with pytest.raises(bl.ArgumentError, match="indexing"):
        bl.meshgrid(*axes, indexing="yx")


def test_asarray_shares_and_tensor_copies() -> None:
    a = np.arange(3.0)
    shared, copied, forced = bl.asarray(a), bl.tensor(a), bl.asarray(a, copy=True)
    a[0] = 9
    assert (shared[0].item(), copied[0].item(), forced[0].item()) == (9.0, 0.0, 0.0)
    assert bl.asarray(shared) is shared
    assert np.shares_memory(bl.from_dlpack(a).numpy(), a)
    assert bl.asarray(memoryview(b"ab")).tolist() == [97, 98]
    assert bl.asarray(a, dtype=bl.int64).dtype == bl.int64
    for call in (
        lambda: bl.asarray([1, 2], copy=False),
        lambda: bl.asarray(a, dtype=bl.float32, copy=False),
        lambda: bl.asarray(shared, dtype=bl.float32, copy=False),
    ):
        with pytest.raises(bl.ArgumentError, match="cop"):
            call()


def test_asarray_of_tensors_stays_differentiable() -> None:
    x = bl.tensor(2.0, requires_grad=True)
    bl.asarray([[x, x * x], [1.0, x]]).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == 6.0
    y = bl.asarray(x, copy=True)
    assert y is not x
    assert y.requires_grad
    assert bl.asarray(x, dtype=bl.float64).requires_grad


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: bl.zeros(-1), bl.ShapeError, "negative size"),
        (lambda: bl.zeros(1.5), bl.ArgumentError, "integer"),
        (lambda: bl.ones(2, device="cuda"), bl.ArgumentError, "no other device"),
        (lambda: bl.arange(0, 1, 0), bl.ArgumentError, "step"),
        (lambda: bl.linspace(0, 1, -1), bl.ArgumentError, "num"),
        (lambda: bl.one_hot([3], 3), bl.ArgumentError, "label 3 is not one of the 3 classes"),
        (lambda: bl.one_hot([1], 0), bl.ArgumentError, "num_classes"),
        (lambda: bl.one_hot([0.5], 2), bl.DtypeError, "integer"),
        (lambda: bl.tril(bl.zeros(3)), bl.ShapeError, "two or more"),
        (lambda: bl.asarray([[1], [1, 2]]), bl.ShapeError, "rectangular"),
        (lambda: bl.asarray("text"), bl.DtypeError, "not supported"),
        (lambda: bl.from_dlpack([1, 2]), bl.DtypeError, "__dlpack__"),
        (lambda: bl.zeros(2, dtype="text"), bl.DtypeError, "not supported"),
    ],
)
def test_errors(call: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        call()
