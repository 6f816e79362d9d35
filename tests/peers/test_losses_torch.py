"""Losses with all their options against PyTorch's: values and gradients, in float64, on random data."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.nn import losses
from backlit.nn.ctc import ctc

torch = pytest.importorskip("torch")
F = torch.nn.functional


def agree(ours, theirs, x):
    value, gradient = bl.value_and_grad(ours)(bl.tensor(x))
    t = torch.tensor(x, requires_grad=True)
    expected = theirs(t)
    expected.backward()
    np.testing.assert_allclose(value.item(), expected.item(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient.numpy(), t.grad.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses(seed, reduction):
    rng = np.random.default_rng(seed)
    n, k = rng.integers(2, 9, 2)
    x, y, p = rng.normal(size=(n, k)), rng.integers(0, k, n), rng.dirichlet(np.ones(k), n)
    w, pick, smooth = rng.uniform(0.5, 2, k), int(y[0] + 1) % int(k), float(rng.uniform(0, 0.5))
    t, r = torch.tensor, {"reduction": reduction}
    if (y == pick).all():
        pick = -1
    pairs = [
        (lambda x: losses.mse(x, p, **r), lambda x: F.mse_loss(x, t(p), **r)),
        (lambda x: losses.mae(x, p, **r), lambda x: F.l1_loss(x, t(p), **r)),
        (lambda x: losses.huber(x, p, delta=0.4, **r), lambda x: F.huber_loss(x, t(p), delta=0.4, **r)),
        (lambda x: losses.smooth_l1(x, p, beta=0.4, **r), lambda x: F.smooth_l1_loss(x, t(p), beta=0.4, **r)),
        (lambda x: losses.cross_entropy(x, y, **r), lambda x: F.cross_entropy(x, t(y), **r)),
        (
            lambda x: losses.cross_entropy(x, y, label_smoothing=smooth, class_weights=w, ignore_index=pick, **r),
            lambda x: F.cross_entropy(x, t(y), label_smoothing=smooth, weight=t(w), ignore_index=pick, **r),
        ),
        (
            lambda x: losses.cross_entropy(x, p, label_smoothing=smooth, class_weights=w, **r),
            lambda x: F.cross_entropy(x, t(p), label_smoothing=smooth, weight=t(w), **r),
        ),
        (
            lambda x: losses.nll(x, y, class_weights=w, ignore_index=pick, **r),
            lambda x: F.nll_loss(x, t(y), weight=t(w), ignore_index=pick, **r),
        ),
        (
            lambda x: losses.binary_cross_entropy(x, p, pos_weight=2.5, **r),
            lambda x: F.binary_cross_entropy_with_logits(x, t(p), pos_weight=t(2.5), **r),
        ),
        (
            lambda x: losses.kl_divergence(bl.log_softmax(x), p, **r),
            lambda x: F.kl_div(F.log_softmax(x, -1), t(p), reduction="batchmean" if reduction == "mean" else "sum"),
        ),
        (lambda x: losses.hinge(x, y, margin=0.7, **r), lambda x: F.multi_margin_loss(x, t(y), margin=0.7, **r)),
        (
            lambda x: losses.cosine(x, p, **r),
            lambda x: F.cosine_embedding_loss(x, t(p), torch.ones(int(n), dtype=torch.float64), **r),
        ),
    ]
    for ours, theirs in pairs:
        agree(ours, theirs, x)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_ctc(seed, reduction):
    rng = np.random.default_rng(seed)
    n, time, classes, most = 4, 12, 6, 5
    blank = int(rng.integers(0, classes))
    labels = (blank + rng.integers(1, classes, (n, most))) % classes
    counts, lengths = rng.integers(0, most + 1, n), rng.integers(2, time + 1, n)
    t = torch.tensor
    agree(
        lambda x: ctc(x, labels, lengths, counts, blank=blank, zero_infinity=True, reduction=reduction),
        lambda x: F.ctc_loss(
            F.log_softmax(x, -1).permute(1, 0, 2), t(labels), t(lengths), t(counts), blank=blank, zero_infinity=True,
            reduction=reduction,
        ),
        rng.normal(size=(n, time, classes)),
    )  # fmt: skip
