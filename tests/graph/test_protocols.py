"""NumPy's functions on Tensors, arrays beside Tensors, copying, pickling: values against NumPy, gradients alive."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.2, 0.8, (3, 3)), RNG.uniform(0.2, 0.8, (3, 3))

#: Functions of two matrices (some of one only); each is NumPy's own, called with arrays and with Tensors.
DIFFERENTIABLE: dict[str, Callable[..., Any]] = {
    "sin": lambda x, y: np.sin(x),
    "exp": lambda x, y: np.exp(x),
    "log": lambda x, y: np.log(x),
    "sqrt": lambda x, y: np.sqrt(x),
    "arctan2": lambda x, y: np.arctan2(x, y),
    "arcsin": lambda x, y: np.arcsin(x),
    "absolute": lambda x, y: np.absolute(x),
    "power": lambda x, y: np.power(x, y),
    "true_divide": lambda x, y: np.true_divide(x, y),
    "maximum": lambda x, y: np.maximum(x, y),
    "logaddexp": lambda x, y: np.logaddexp(x, y),
    "matmul": lambda x, y: np.matmul(x, y),
    "add.reduce": lambda x, y: np.add.reduce(x),
    "multiply.accumulate": lambda x, y: np.multiply.accumulate(x, axis=1),
    "sum": lambda x, y: np.sum(x, axis=0),
    "sum over all": lambda x, y: np.sum(x),
    "mean": lambda x, y: np.mean(x, 1, keepdims=True),
    "std": lambda x, y: np.std(x, axis=0, ddof=1),
    "var": lambda x, y: np.var(x),
    "prod": lambda x, y: np.prod(x, axis=(0, 1)),
    "max": lambda x, y: np.max(x, axis=1),
    "amin": lambda x, y: np.amin(x),
    "concatenate": lambda x, y: np.concatenate([x, y], axis=1),
    "concat of one tensor and an array": lambda x, y: np.concatenate((X, x), 0),
    "stack": lambda x, y: np.stack([x, y], -1),
    "vstack": lambda x, y: np.vstack([x, y[0]]),
    "hstack": lambda x, y: np.hstack([x, y]),
    "hstack of rows": lambda x, y: np.hstack([x[0], y[0]]),
    "where": lambda x, y: np.where(X > 0.5, x, y),
    "clip": lambda x, y: np.clip(x, 0.3, 0.6),
    "transpose": lambda x, y: np.transpose(x),
    "transpose by axes": lambda x, y: np.transpose(x, (1, 0)),
    "reshape": lambda x, y: np.reshape(x, (9,)),
    "ravel": lambda x, y: np.ravel(x),
    "squeeze": lambda x, y: np.squeeze(x[None]),
    "expand_dims": lambda x, y: np.expand_dims(x, 0),
    "swapaxes": lambda x, y: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x, y: np.moveaxis(x, 0, 1),
    "broadcast_to": lambda x, y: np.broadcast_to(x, (2, 3, 3)),
    "flip": lambda x, y: np.flip(x, 0),
    "roll": lambda x, y: np.roll(x, 1, axis=1),
    "tile": lambda x, y: np.tile(x, (1, 2)),
    "repeat": lambda x, y: np.repeat(x, 2, axis=0),
    "pad": lambda x, y: np.pad(x, ((1, 0), (0, 2)), constant_values=3.0),
    "pad by reflection": lambda x, y: np.pad(x, 1, mode="reflect"),
    "take": lambda x, y: np.take(x, [0, 2, 0], axis=1),
    "take of all": lambda x, y: np.take(x, [0, 7]),
    "take_along_axis": lambda x, y: np.take_along_axis(x, np.array([[0], [1], [2]]), 1),
    "sort": lambda x, y: np.sort(x, axis=0),
    "cumsum": lambda x, y: np.cumsum(x),
    "cumprod": lambda x, y: np.cumprod(x, axis=1),
    "diff": lambda x, y: np.diff(x, axis=0),
    "tril": lambda x, y: np.tril(x, 1),
    "dot": lambda x, y: np.dot(x, y),
    "dot with a vector": lambda x, y: np.dot(x, y[0]),
    "dot with a number": lambda x, y: np.dot(x, 2.0),
    "dot with a stack": lambda x, y: np.dot(x, np.stack([y, y])),
    "inner": lambda x, y: np.inner(x, y),
    "vdot": lambda x, y: np.vdot(x, y),
    "tensordot": lambda x, y: np.tensordot(x, y, axes=1),
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "copy": lambda x, y: np.copy(x),
    "atleast_2d": lambda x, y: np.atleast_2d(x[0]),
    "norm": lambda x, y: np.linalg.norm(x),
    "norm of rows": lambda x, y: np.linalg.norm(x, axis=1),
    "norm of a matrix": lambda x, y: np.linalg.norm(x, "fro"),
    "norm with an order": lambda x, y: np.linalg.norm(x[0], 3),
    "inv": lambda x, y: np.linalg.inv(x + 3 * np.eye(3)),
    "det": lambda x, y: np.linalg.det(x),
    "array + tensor": lambda x, y: X + x,
    "array - tensor": lambda x, y: X - x,
    "array / tensor": lambda x, y: X / x,
    "array @ tensor": lambda x, y: X @ x,
    "array ** tensor": lambda x, y: X**x,
    "float64 * tensor": lambda x, y: np.float64(2) * x,
    "float64 - tensor": lambda x, y: np.float64(2) - x,
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_numpy_functions_give_numpy_values_and_gradients(name: str) -> None:
    f = DIFFERENTIABLE[name]
    got, want = f(bl.tensor(X, requires_grad=True), bl.tensor(Y)), f(X, Y)
    assert isinstance(got, bl.Tensor)
    assert got.requires_grad
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
    check_grad(f, (X, Y))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.shape(x), lambda x: np.ndim(x), lambda x: np.size(x), lambda x: np.size(x, 1),
        lambda x: np.allclose(x, X), lambda x: np.array_equal(x, X), lambda x: np.argmax(x, axis=1),
        lambda x: np.argsort(x, axis=0), lambda x: np.zeros_like(x), lambda x: np.full_like(x, 2),
        lambda x: np.count_nonzero(x > 0.5), lambda x: np.isfinite(x), lambda x: np.floor_divide(x, 0.1),
        lambda x: x > X, lambda x: x == X, lambda x: np.any(x > 0.5, axis=0), lambda x: np.logical_not(x > 0.5),
        lambda x: np.array_str(x), lambda x: np.searchsorted(np.array([0.3, 0.5]), x), lambda x: np.where(x > 0.5),
        lambda x: divmod(X, x), lambda x: divmod(x, 0.3), lambda x: divmod(0.3, x), lambda x: np.round(x, 1),
        lambda x: np.around(x), lambda x: np.bitwise_and(x > 0.5, X > 0.4),
    ],
)  # fmt: skip
def test_functions_without_derivative(f: Callable[..., Any]) -> None:
    got, want = f(bl.asarray(X)), f(X)
    for a, b in (
        zip(got, want, strict=True)
        if isinstance(want, tuple) and want and not isinstance(want[0], int)
        else [(got, want)]
    ):
        np.testing.assert_array_equal(a.numpy() if isinstance(a, bl.Tensor) else a, b)


@pytest.mark.parametrize(("rows", "columns"), [(4, 2), (2, 2), (2, 3)])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_least_squares_has_the_four_results_of_numpy(rows: int, columns: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(rows, columns)), rng.normal(size=(rows, *shape))
    for got, want in zip(np.linalg.lstsq(bl.asarray(a), b), np.linalg.lstsq(a, b), strict=True):
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-12)


def test_a_single_number_rounds_as_one() -> None:
    x = bl.tensor(2.567, bl.float64)
    assert (round(x), round(x, 1), math.trunc(x), math.floor(x), math.ceil(x)) == (3, 2.6, 2, 2, 3)
    with pytest.raises(bl.ShapeError, match=r"round\(\): expected a Tensor with one element.*bl.round"):
        round(bl.ones(2))


def test_dtypes_beside_numpy_scalars() -> None:
    x = bl.ones(2)
    assert (np.float32(2) * x).dtype == bl.float32
    assert (np.float64(2) * x).dtype == bl.float64
    assert (2.0 * x).dtype == bl.float32


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t, a: np.add(t, a, out=a), "never written into"),
        (lambda t, a: np.sum(t, out=a), "never written into"),
        (lambda t, a: a.__iadd__(t), "never written into"),
        (lambda t, a: np.add.at(a, 0, t), "np.add.at: this function is not supported"),
        (lambda t, a: np.median(t), "np.median: this function is not supported"),
        (lambda t, a: np.sin(t, where=a > 0), "the argument where= is not supported"),
        (lambda t, a: np.sum(t, initial=2.0), "the argument initial= is not supported"),
        (lambda t, a: np.mean(t, dtype=np.float32), "the argument dtype= is not supported"),
        (lambda t, a: np.reshape(t, (9,), order="F"), "order='F' is not supported"),
        (lambda t, a: np.take(t, 0, mode="clip"), "mode='clip' is not supported"),
        (lambda t, a: np.frompyfunc(lambda x: x, 1, 1)(t), "not supported"),
    ],
)
def test_what_is_not_supported_says_so(call: Callable[..., Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        call(bl.tensor(X), X.copy())


def test_a_ufunc_that_only_shares_a_name_is_not_taken_for_the_op() -> None:
    exp = np.frompyfunc(lambda x: -x, 1, 1)
    with pytest.raises(TypeError, match="not supported"):
        exp(bl.tensor(X))


def test_special_functions_of_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    for name in ("erf", "expit", "gammaln"):
        f = getattr(special, name)
        np.testing.assert_allclose(f(bl.asarray(X)).numpy(), f(X), rtol=1e-12)
        check_grad(f, (X,))


def test_traced_tensors_go_through_numpy_too() -> None:
    graph = trace(lambda x: np.sum(np.sin(x) * X), [Spec((3, 3), bl.float64)])
    np.testing.assert_allclose(graph(Y)[0], np.sum(np.sin(Y) * X))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_leaves_of_their_own(how: Callable[..., Any]) -> None:
    w = bl.tensor([1.0, 2.0], requires_grad=True, name="w")
    (w * w).sum().backward()
    twin = how(w)
    assert twin.tolist() == w.tolist()
    assert (twin.requires_grad, twin.is_leaf, twin.name, twin.dtype) == (True, True, "w", w.dtype)
    assert twin.grad.tolist() == [2.0, 4.0]
    (twin * 3).sum().backward()
    assert twin.grad.tolist() == [5.0, 7.0]
    assert w.grad is not None
    assert w.grad.tolist() == [2.0, 4.0]
    computed = how(w * 2)
    assert computed.is_leaf
    assert computed.requires_grad
    assert not how(bl.arange(3)).requires_grad
    assert how({"w": w})["w"].tolist() == w.tolist()


def test_a_tensor_without_value_is_not_copied() -> None:
    with pytest.raises(bl.GraphError, match="no value yet"):
        trace(lambda x: copy.copy(x), [Spec((2,), bl.float32)])


def test_dlpack_shares_memory_with_numpy() -> None:
    t = bl.arange(6.0)
    assert t.__dlpack_device__() == (1, 0)
    array = np.from_dlpack(t)
    assert np.shares_memory(array, t.numpy())
    read_only = bl.broadcast_to(bl.arange(2.0), (2, 2))
    np.testing.assert_array_equal(np.from_dlpack(read_only), [[0, 1], [0, 1]])
    assert bl.from_dlpack(t).tolist() == t.tolist()


def test_formats() -> None:
    assert f"{bl.asarray(0.5):.3f}" == "0.500"
    assert f"{bl.asarray([3]):d}" == "3"
    assert f"{bl.asarray(0.5)}" == repr(bl.asarray(0.5))
    with pytest.raises(ValueError, match="format code"):
        f"{bl.arange(3):.3f}"


def test_iteration_and_length_of_a_single_number_are_type_errors() -> None:
    for call in (iter, len, list):
        with pytest.raises(TypeError, match=r"shape \(\)"):
            call(bl.asarray(1.0))


def test_matplotlib_and_sklearn_take_tensors() -> None:
    figure = pytest.importorskip("matplotlib.figure")
    metrics = pytest.importorskip("sklearn.metrics")
    t = bl.linspace(0, 1, 10)
    axes = figure.Figure().add_subplot()
    axes.plot(t, t * t)
    axes.scatter(t, t, c=t)
    axes.bar(t, t)
    axes.imshow(bl.ones((3, 3)))
    assert metrics.accuracy_score(bl.arange(3), bl.arange(3)) == 1.0
