"""Losses: gradients against finite differences, weights and reductions by their definitions, clear errors."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import ArgumentError, BacklitError, DtypeError, ShapeError
from backlit.nn import losses
from backlit.nn.ctc import ctc
from backlit.testing import check_grad

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))
Y = RNG.integers(0, 4, 6)
P = RNG.dirichlet(np.ones(4), 6)
W = RNG.uniform(0.5, 2, 4)
ROWS = RNG.uniform(0.5, 2, 6)
SIGNS = RNG.choice([-1.0, 1.0], (6, 4))

CASES = {
    "mse": (losses.mse, P, {}),
    "mae": (losses.mae, P, {}),
    "huber": (losses.huber, P, {"delta": 0.7}),
    "smooth_l1": (losses.smooth_l1, P, {"beta": 0.7}),
    "cross_entropy": (losses.cross_entropy, Y, {}),
    "cross_entropy of probabilities": (losses.cross_entropy, P, {"label_smoothing": 0.1, "class_weights": W}),
    "cross_entropy with options": (
        losses.cross_entropy, Y, {"label_smoothing": 0.1, "class_weights": W, "ignore_index": 2},
    ),
    "nll": (losses.nll, Y, {"class_weights": W, "ignore_index": 1}),
    "binary_cross_entropy": (losses.binary_cross_entropy, P, {"label_smoothing": 0.1}),
    "binary_cross_entropy weighted": (losses.binary_cross_entropy, P, {"pos_weight": 3.0}),
    "kl_divergence": (losses.kl_divergence, P, {}),
    "hinge": (losses.hinge, SIGNS, {}),
    "hinge of classes": (losses.hinge, Y, {"margin": 0.8}),
    "cosine": (losses.cosine, P, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    loss, targets, options = CASES[name]
    check_grad(lambda x: loss(x, bl.tensor(targets), **options), (X,))
    check_grad(lambda x: loss(x, bl.tensor(targets), weights=ROWS, **options), (X,))


@pytest.mark.parametrize("name", CASES)
def test_compiled_is_eager(name):
    loss, targets, options = CASES[name]
    f = bl.value_and_grad(lambda x: loss(x, bl.tensor(targets), **options))
    compiled = bl.compile(f)
    for a, b in zip(f(X), compiled(X), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in CASES if not n.startswith(("nll", "cross_entropy with"))])
def test_the_mean_is_weighted(name):
    loss, targets, options = CASES[name]
    each = loss(X, targets, reduction="none", **options).numpy()
    assert loss(X, targets, **options).item() == pytest.approx(each.mean())
    assert loss(X, targets, reduction="sum", **options).item() == pytest.approx(each.sum())
    expected = np.average(each.reshape(6, -1).mean(1), weights=ROWS)
    assert loss(X, targets, weights=ROWS, **options).item() == pytest.approx(expected)


def test_a_weight_of_two_is_a_sample_twice():
    options = {"class_weights": W, "ignore_index": 2, "label_smoothing": 0.2}
    twice = losses.cross_entropy(np.r_[X, X[:1]], np.r_[Y, Y[:1]], **options)
    weighted = losses.cross_entropy(X, Y, weights=np.r_[2.0, np.ones(5)], **options)
    assert twice.item() == pytest.approx(weighted.item())


def test_ctc_sums_over_alignments():
    """All paths of three frames that read as the labels, enumerated."""
    logits, labels = RNG.normal(size=(1, 3, 3)), [1, 2]
    p = np.exp(logits[0]) / np.exp(logits[0]).sum(1, keepdims=True)
    total = 0.0
    for path in np.ndindex(3, 3, 3):
        read = [c for i, c in enumerate(path) if c and (i == 0 or c != path[i - 1])]
        total += p[0, path[0]] * p[1, path[1]] * p[2, path[2]] * (read == labels)
    loss = ctc(logits, np.array([labels]), np.array([3]), np.array([2]), reduction="sum")
    assert loss.item() == pytest.approx(-np.log(total))


def test_ctc_gradients_and_impossible_labels():
    logits = RNG.normal(size=(3, 5, 4))
    labels, lengths, counts = np.array([[1, 2], [3, 3], [1, 1]]), np.array([5, 4, 2]), np.array([2, 2, 1])
    check_grad(lambda x: ctc(x, labels, lengths, counts), (logits,))
    counts = np.array([2, 2, 2])  # 1, 1 needs three frames
    assert np.isinf(ctc(logits, labels, lengths, counts, reduction="none").numpy()).tolist() == [False, False, True]
    g = bl.grad(lambda x: ctc(x, labels, lengths, counts, zero_infinity=True))(bl.tensor(logits))
    assert np.isfinite(g.numpy()).all()
    assert not g.numpy()[2].any()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: losses.mse(X, X[:, :1]), ShapeError, "do not pair up"),
        (lambda: losses.mse(X[:, 0], X[:, :1]), ShapeError, "do not pair up"),
        (lambda: losses.cross_entropy(X, Y + 1), BacklitError, "names no class"),
        (lambda: losses.cross_entropy(X, Y[:, None], label_smoothing=0.1), ShapeError, "do not pair up with scores"),
        (lambda: losses.cross_entropy(X, Y, label_smoothing=2), ArgumentError, "from 0 to 1"),
        (lambda: losses.cross_entropy(X, P, ignore_index=1), DtypeError, "probabilities"),
        (lambda: losses.cross_entropy(X, Y, class_weights=W[:2]), ShapeError, r"must have shape \(4,\)"),
        (lambda: losses.nll(X, P), DtypeError, "expected class numbers"),
        (lambda: losses.mae(X, P, reduction="max"), ArgumentError, "reduction must be"),
        (lambda: losses.mae(X, P, weights=W), ShapeError, "one weight for each sample"),
        (lambda: losses.hinge(X, SIGNS[:, :2]), ShapeError, "do not pair up"),
        (lambda: losses.loss_of("crossentropy"), ArgumentError, "Did you mean 'cross_entropy'"),
        (lambda: ctc(X, Y, Y, Y), ShapeError, "expected logits"),
    ],
)
def test_errors_teach(call, error, text):
    with pytest.raises(error, match=text):
        call()
