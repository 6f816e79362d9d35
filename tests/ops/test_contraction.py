"""Products of matrices and tensors against NumPy; derivatives of every order are tested with the registry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.testing import check_grad

RNG = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


MATMUL = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (2, 3, 4)), ((5, 2, 3), (3,)),
    ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((4, 1, 2, 3), (5, 3, 2)), ((2, 3), (5, 3, 4)),
    ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((2, 2, 0), (0, 3)), ((2, 2, 3), (3, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), MATMUL)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, y = normal(*a), normal(*b)
    result = bl.matmul(x, y)
    np.testing.assert_allclose(result.numpy(), x @ y, rtol=1e-13, atol=1e-13)
    assert result.shape == (x @ y).shape
    check_grad(bl.matmul, (x, y), order=1)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float16", "float32", "complex64"])
def test_matmul_keeps_the_dtype(dtype: str) -> None:
    x = np.arange(6).reshape(2, 3).astype(dtype)
    assert bl.matmul(x, x.T).dtype == dtype
    np.testing.assert_array_equal(bl.matmul(x, x.T).numpy(), x @ x.T)


def test_matmul_takes_what_is_not_contiguous() -> None:
    x, y = normal(4, 3, 2).transpose(2, 0, 1), normal(4, 3)[::2].T
    np.testing.assert_allclose(bl.matmul(x, y).numpy(), x @ y)


EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ik,jk->ij", (2, 3), (4, 3)), ("i,i->", (3,), (3,)),
    ("i,j->ij", (2,), (3,)), ("i,j->ji", (2,), (3,)), ("ij->", (2, 3)), ("ij->j", (2, 3)), ("ba", (2, 3)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->j", (2, 2, 3)), ("iji->ij", (2, 3, 2)), ("iii->i", (2, 2, 2)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("bij,kj->bik", (2, 3, 4), (5, 4)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 2), (2, 3, 5, 2)),
    ("...i,...i", (2, 3), (2, 3)), ("...i,...i->...", (2, 3), (3,)), ("...ij,...jk->...ik", (4, 1, 2, 3), (5, 3, 2)),
    ("...,...", (2, 1), (3,)), ("i...->...", (2, 3, 4)), ("...i->i...", (2, 3, 4)),
    ("ij,kl->ik", (2, 3), (4, 5)), ("ij,jk->ik", (2, 1), (3, 4)), ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,ij->ji", (2, 3), (2, 3)),
    ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 2)), ("i,i,i->i", (2,), (2,), (2,)), ("ij,ij,jk->k", (2, 3), (2, 3), (3, 2)),
    ("a,b,c,d->dcba", (2,), (3,), (2,), (3,)), ("ijk,il,jm,kn->lmn", (2, 3, 4), (2, 2), (3, 2), (4, 2)),
    ("ab,ab,ab,ab->a", (2, 3), (1, 3), (2, 3), (2, 1)),
    (" i j , j k -> i k ", (2, 3), (3, 4)), ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)), (",i->i", (), (3,)), ("Zz,zB->ZB", (2, 3), (3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUM, ids=lambda c: c[0])
def test_einsum(case: Any) -> None:
    subscripts, *shapes = case
    operands = [normal(*s) for s in shapes]
    expected = np.einsum(subscripts, *operands)
    result = bl.einsum(subscripts, *operands)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert result.shape == np.shape(expected)
    check_grad(lambda *xs: bl.einsum(subscripts, *xs), operands, order=2, modes=("reverse",))


def test_einsum_of_integers_and_complex_numbers() -> None:
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert bl.einsum("ij->i", x).dtype == bl.int32
    z = normal(2, 3) + 1j * normal(2, 3)
    np.testing.assert_allclose(bl.einsum("ij,kj->ik", z, z).numpy(), z @ z.T)


TENSORDOT = [
    ((2, 3, 4), (3, 4, 5), 2), ((2, 4), (4, 3), 1), ((2,), (3,), 0), ((2, 3, 4), (3, 4, 5), ((1, 2), (0, 1))),
    ((2, 4), (3, 4), ((-1,), (1,))), ((2, 3, 4), (5, 4, 2), ((0, 2), (2, 1))), ((2, 3), (2, 3), 2),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "axes"), TENSORDOT, ids=str)
def test_tensordot(a: Any, b: Any, axes: Any) -> None:
    x, y = normal(*a), normal(*b)
    np.testing.assert_allclose(bl.tensordot(x, y, axes=axes).numpy(), np.tensordot(x, y, axes))


@pytest.mark.parametrize(
    ("a", "b", "axis"), [((3,), (3,), -1), ((2, 3), (3,), -1), ((4, 3, 1), (3, 2), -2), ((3, 2), (3, 2), 0)]
)
def test_vecdot(a: Any, b: Any, axis: int) -> None:
    x, y = normal(*a) + 1j * normal(*a), normal(*b) + 1j * normal(*b)
    moved = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    np.testing.assert_allclose(bl.vecdot(x, y, axis=axis).numpy(), np.vecdot(*moved))


def test_linear_and_outer() -> None:
    x, w, b = normal(2, 3), normal(3, 4), normal(4)
    np.testing.assert_allclose(bl.linear(x, w, b).numpy(), x @ w + b)
    np.testing.assert_allclose(bl.linear(x, w).numpy(), x @ w)
    np.testing.assert_allclose(bl.outer(b, x[0]).numpy(), np.outer(b, x[0]))
    assert bl.outer([1, 2], [3, 4]).tolist() == [[3, 4], [6, 8]]


def test_the_gradient_of_an_unused_operand_costs_nothing() -> None:
    x, w = bl.tensor(normal(2, 3)), bl.tensor(normal(3, 4), requires_grad=True)
    bl.matmul(x, w).sum().backward()
    assert x.grad is None
    np.testing.assert_allclose(w.grad.numpy(), x.numpy().T @ np.ones((2, 4)))


WRONG = [
    (lambda: bl.matmul(normal(2, 3), normal(2, 3)), bl.ShapeError, r"matmul: shapes \(2, 3\) and \(2, 3\).*x1 @ x2.mT"),
    (lambda: bl.tensor([1.0]) @ 2.0, bl.ShapeError, "a scalar multiplies with"),
    (lambda: bl.matmul(normal(2, 2, 3), normal(4, 3, 2)), bl.ShapeError, "leading axes: .* do not broadcast"),
    (lambda: bl.matmul(np.ones((2, 2), bool), np.ones((2, 2), bool)), bl.DtypeError, "matmul: expected numeric"),
    (lambda: bl.einsum("ij,jk", normal(2, 3), normal(2, 3)), bl.ShapeError, "label 'j' stands for sizes 3 and 2"),
    (lambda: bl.einsum("ij", normal(2)), bl.ShapeError, "labels 2 axes, but its operand has shape"),
    (lambda: bl.einsum("...ij", normal(2)), bl.ShapeError, "labels more axes than"),
    (lambda: bl.einsum("i,i", normal(2)), bl.ArgumentError, "2 terms for 1 operands"),
    (lambda: bl.einsum("i->j", normal(2)), bl.ArgumentError, "'j' is in no term"),
    (lambda: bl.einsum("i->ii", normal(2)), bl.ArgumentError, "'i' stands twice"),
    (lambda: bl.einsum("i?", normal(2, 2)), bl.ArgumentError, r"'\?' in 'i\?' is no label"),
    (lambda: bl.einsum("...i->i", normal(2, 2)), bl.ArgumentError, "drops the axes of the ellipsis"),
    (lambda: bl.einsum(normal(2), [0]), bl.ArgumentError, "expected subscripts"),
    (lambda: bl.tensordot(normal(2, 3), normal(4), axes=1), bl.ShapeError, "axis 1 of x1 has size 3, axis 0 of x2 4"),
    (lambda: bl.tensordot(normal(2), normal(2), axes=3), bl.ShapeError, "cannot contract 3 axes"),
    (lambda: bl.tensordot(normal(2), normal(2), axes=((0,), (0, 1))), bl.ShapeError, "they pair up"),
    (lambda: bl.vecdot(normal(2), normal(3)), bl.ShapeError, "lengths 2 and 3"),
    (lambda: bl.vecdot(normal(2, 3), normal(3), axis=0), bl.ArgumentError, "give a negative axis"),
    (lambda: bl.outer(normal(2, 2), normal(2)), bl.ShapeError, "one-dimensional"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_errors(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call()
