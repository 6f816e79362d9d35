"""Activations, the softmax family and losses: values beside SciPy and NumPy, gradients at the far ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

import backlit as bl

X = np.array([-1000.0, -100.0, -20.0, -3.5, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 2.9, 3.0, 6.5, 40.0, 100.0, 1000.0])


def _softplus(x: Any) -> Any:
    return np.logaddexp(x, 0)


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


VALUES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sigmoid": (bl.sigmoid, scipy.special.expit),
    "log_sigmoid": (bl.log_sigmoid, scipy.special.log_expit),
    "softplus": (bl.softplus, _softplus),
    "softsign": (bl.softsign, lambda x: x / (1 + abs(x))),
    "silu": (bl.silu, lambda x: x * scipy.special.expit(x)),
    "mish": (bl.mish, lambda x: x * np.tanh(_softplus(x))),
    "relu": (bl.relu, lambda x: x * (x > 0)),
    "relu6": (bl.relu6, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": (bl.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "leaky_relu, steep": (lambda x: bl.leaky_relu(x, negative_slope=2), lambda x: np.where(x > 0, x, 2 * x)),
    "elu": (bl.elu, lambda x: scipy.special.boxcox(np.exp(np.minimum(x, 0)), 1) + np.maximum(x, 0)),
    "celu": (lambda x: bl.celu(x, alpha=2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2))),
    "gelu": (bl.gelu, lambda x: x * scipy.stats.norm.cdf(x)),
    "gelu with tanh": (lambda x: bl.gelu(x, approximate="tanh"), _gelu_tanh),
    "hard_tanh": (bl.hard_tanh, lambda x: np.clip(x, -1, 1)),
    "hard_sigmoid": (bl.hard_sigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard_swish": (bl.hard_swish, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    ours, theirs = VALUES[name]
    assert_allclose(ours(X).numpy(), theirs(X), rtol=1e-13, atol=1e-16)
    single = ours(X.astype(np.float32)).numpy()
    assert single.dtype == np.float32
    assert_allclose(single, theirs(X), rtol=2e-6, atol=1e-6)


def test_selu_keeps_mean_and_variance() -> None:
    z, w = np.polynomial.hermite_e.hermegauss(200)
    y = bl.selu(z).numpy()
    w = w / w.sum()
    assert_allclose([w @ y, w @ y**2], [0, 1], atol=2e-3)  # the quadrature sees the kink at 0


#: Slopes at minus and plus 1000; each finite at every order.
SLOPES = {
    "sigmoid": (0, 0), "log_sigmoid": (1, 0), "softplus": (0, 1), "softsign": (1001.0**-2, 1001.0**-2), "silu": (0, 1),
    "mish": (0, 1), "relu": (0, 1), "relu6": (0, 0), "leaky_relu": (0.01, 1), "leaky_relu, steep": (2, 1),
    "elu": (0, 1),
    "celu": (0, 1), "gelu": (0, 1), "gelu with tanh": (0, 1), "hard_tanh": (0, 0), "hard_sigmoid": (0, 0),
    "hard_swish": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SLOPES)
def test_gradients_at_the_far_ends(name: str, dtype: Any) -> None:
    f = VALUES[name][0]
    ends = np.array([-1000, 1000], dtype)
    slope = bl.grad(lambda x: bl.sum(f(x)))
    assert_allclose(slope(ends).numpy(), SLOPES[name], rtol=1e-6, atol=1e-30)
    assert slope(ends).dtype == dtype
    second = bl.grad(lambda x: bl.sum(slope(x)))
    assert np.isfinite(second(ends).numpy()).all()
    assert np.isfinite(bl.grad(lambda x: bl.sum(second(x)))(ends).numpy()).all()


def test_glu() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    assert_allclose(bl.glu(x).numpy(), x[:, :2] * scipy.special.expit(x[:, 2:]))
    with pytest.raises(bl.ShapeError, match="axis 0 of size 3 cannot be cut into 2 equal parts"):
        bl.glu(x, axis=0)


def test_relu_at_zero_is_off() -> None:
    assert bl.grad(bl.relu)(0.0).item() == 0
    assert_array_equal(bl.relu(bl.tensor([-2, 3])).numpy(), [0, 3])


def test_gelu_knows_two_forms() -> None:
    with pytest.raises(bl.ArgumentError, match="'tanh', got 'sigmoid'"):
        bl.gelu(1.0, approximate="sigmoid")


# --- along an axis ---------------------------------------------------------------------------------

ROWS = np.random.default_rng(0).normal(size=(3, 5, 4)) * 10


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_softmax_family(axis: int, shift: float) -> None:
    x = ROWS + shift
    assert_allclose(bl.softmax(x, axis=axis).numpy(), scipy.special.softmax(x, axis), rtol=1e-13)
    assert_allclose(bl.log_softmax(x, axis=axis).numpy(), scipy.special.log_softmax(x, axis), rtol=1e-13, atol=1e-13)
    assert_allclose(bl.logsumexp(x, axis=axis).numpy(), scipy.special.logsumexp(x, axis), rtol=1e-14)


@pytest.mark.parametrize("classes", [1, 3, 64, 65, 200])
def test_softmax_of_a_matrix(classes: int) -> None:
    x = np.random.default_rng(1).normal(size=(17, classes))
    for given in (x, np.asfortranarray(x), x[::2], x[:, ::-1]):
        assert_allclose(bl.softmax(given).numpy(), scipy.special.softmax(given, 1), rtol=1e-13)


def test_logsumexp_of_nothing() -> None:
    x = np.array([[-np.inf, 0.0, 0.0], [-np.inf, -np.inf, -np.inf], [np.inf, 0.0, 1.0]])
    assert_allclose(bl.logsumexp(x, axis=1).numpy(), [math.log(2), -np.inf, np.inf])
    rows = bl.grad(lambda x: bl.sum(bl.logsumexp(x, axis=1)))(x[:2]).numpy()
    assert_array_equal(rows, [[0, 0.5, 0.5], [0, 0, 0]])
    curved = bl.grad(lambda x: bl.sum(bl.grad(lambda x: bl.sum(bl.logsumexp(x, axis=1)))(x) ** 2))(x[:2]).numpy()
    assert np.isfinite(curved).all()
    assert bl.logsumexp(np.zeros((2, 0)), axis=1).tolist() == [-np.inf, -np.inf]
    assert bl.softmax(np.zeros((2, 0))).shape == (2, 0)
    assert bl.logsumexp(np.float64(2.5)).item() == 2.5


def test_softmax_of_a_masked_row() -> None:
    x = np.array([[-np.inf, 1.0, 1.0]])
    assert bl.softmax(x).tolist() == [[0, 0.5, 0.5]]
    g = bl.grad(lambda x: bl.sum(bl.softmax(x) * np.array([1.0, 2.0, 3.0])))(x).numpy()
    assert_array_equal(g, [[0, -0.25, 0.25]])


def test_softmax_needs_an_axis() -> None:
    with pytest.raises(bl.ShapeError, match="axis 2 is out of range"):
        bl.softmax(np.zeros((2, 3)), axis=2)
    with pytest.raises(bl.DtypeError, match="real floating-point"):
        bl.softmax(bl.tensor([1, 2]))


# --- losses ----------------------------------------------------------------------------------------

P, T = ROWS[0], ROWS[1]
LOSSES: dict[str, tuple[Callable[..., Any], Any]] = {
    "mse": (bl.mse, (P - T) ** 2),
    "mae": (bl.mae, abs(P - T)),
    "huber": (bl.huber, scipy.special.huber(1.0, P - T)),
    "huber 5": (lambda *a, **k: bl.huber(*a, delta=5.0, **k), scipy.special.huber(5.0, P - T)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_reductions(name: str) -> None:
    f, each = LOSSES[name]
    assert_allclose(f(P, T, reduction="none").numpy(), each)
    assert_allclose([f(P, T).item(), f(P, T, reduction="sum").item()], [each.mean(), each.sum()])
    with pytest.raises(bl.ArgumentError, match="'mean', 'sum' or 'none', got 'avg'"):
        f(P, T, reduction="avg")
    with pytest.raises(bl.ShapeError, match=r"\(5, 4\) and targets of shape \(4,\) do not pair up"):
        f(P, T[0])


def test_binary_cross_entropy() -> None:
    t = np.linspace(0, 1, P.size).reshape(P.shape)
    p = scipy.special.expit(P)
    expected = -scipy.special.xlogy(t, p) - scipy.special.xlog1py(1 - t, -p)
    assert_allclose(bl.binary_cross_entropy_with_logits(P, t, reduction="none").numpy(), expected, rtol=1e-9)
    ends = np.array([1000.0, -1000.0])
    assert bl.binary_cross_entropy_with_logits(ends, np.ones(2), reduction="none").tolist() == [0, 1000]
    slope = bl.grad(lambda x: bl.binary_cross_entropy_with_logits(x, np.ones(2), reduction="sum"))
    assert slope(ends).tolist() == [0, -1]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_softmax_cross_entropy(axis: int, shift: float) -> None:
    x = ROWS + shift
    labels = np.random.default_rng(2).integers(0, x.shape[axis], np.delete(x.shape, axis))
    one_hot = np.moveaxis(np.eye(x.shape[axis])[labels], -1, axis)
    each = -(one_hot * scipy.special.log_softmax(x, axis)).sum(axis)
    soft = scipy.special.softmax(ROWS[::-1], axis)
    for given, expected in (
        (labels, each),
        (one_hot, each),
        (soft, -(soft * scipy.special.log_softmax(x, axis)).sum(axis)),
    ):
        loss = lambda x, reduction="mean", given=given: bl.softmax_cross_entropy(
            x, given, axis=axis, reduction=reduction
        )
        assert_allclose(loss(x, "none").numpy(), expected, rtol=1e-10)
        assert_allclose([loss(x).item(), loss(x, "sum").item()], [expected.mean(), expected.sum()], rtol=1e-10)
        target = soft if given is soft else one_hot
        assert_allclose(bl.grad(loss)(x).numpy(), (scipy.special.softmax(x, axis) - target) / each.size, atol=1e-12)
    assert bl.softmax_cross_entropy(x.astype(np.float32), one_hot, axis=axis).dtype == bl.float32


def test_a_class_that_cannot_be_costs_nothing() -> None:
    x = np.array([[-np.inf, 0.0, 0.0]])
    for labels in ([1], np.array([[0.0, 1.0, 0.0]])):
        value, g = bl.value_and_grad(lambda x, t=labels: bl.softmax_cross_entropy(x, t))(x)
        assert value.item() == pytest.approx(math.log(2))
        assert_allclose(g.numpy(), [[0, -0.5, 0.5]])


@pytest.mark.parametrize("label", [3, -1])
def test_labels_must_name_a_class(label: int) -> None:
    with pytest.raises(bl.ArgumentError, match=rf"label {label} names no class.*3 classes along axis 1, 0 to 2"):
        bl.softmax_cross_entropy(np.zeros((2, 3)), [0, label])


def test_labels_must_pair_up() -> None:
    for labels in ([0, 1, 2], np.eye(3, dtype=np.int64)[:2], np.ones((3, 2))):
        with pytest.raises(bl.ShapeError, match="do not pair up with logits of shape"):
            bl.softmax_cross_entropy(np.zeros((2, 3)), labels)
