"""Metrics against scikit-learn's, and the sums of batches against the whole."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.base.errors import ArgumentError, ShapeError
from backlit.nn import metrics

sk = pytest.importorskip("sklearn.metrics")

RNG = np.random.default_rng(0)
SCORES, Y = RNG.normal(size=(60, 5)), RNG.integers(0, 4, 60)  # class 4 is never true
SAID = SCORES.argmax(1)
OUT, TARGET = RNG.normal(size=(60, 2)), RNG.normal(size=(60, 2))

CASES = [
    (metrics.accuracy(), SCORES, Y, sk.accuracy_score(Y, SAID)),
    (metrics.accuracy(), SCORES, np.eye(5)[Y], sk.accuracy_score(Y, SAID)),
    (metrics.accuracy(), SCORES[:, 0], (Y > 1).astype(int), sk.accuracy_score(Y > 1, SCORES[:, 0] > 0)),
    (metrics.top_k(2), SCORES, Y, sk.top_k_accuracy_score(Y, SCORES, k=2, labels=range(5))),
    (metrics.confusion_matrix(5), SCORES, Y, sk.confusion_matrix(Y, SAID, labels=range(5))),
    *[
        (make(5, average), SCORES, Y, score(Y, SAID, average=None if average == "none" else average, zero_division=0))
        for make, score in (
            (metrics.precision, sk.precision_score), (metrics.recall, sk.recall_score), (metrics.f1, sk.f1_score),
        )
        for average in ("macro", "micro", "weighted", "none")
    ],
    (metrics.f1(2, "binary"), SCORES[:, :2], Y % 2, sk.f1_score(Y % 2, SCORES[:, :2].argmax(1))),
    (metrics.mse(), OUT, TARGET, sk.mean_squared_error(TARGET, OUT)),
    (metrics.mae(), OUT, TARGET, sk.mean_absolute_error(TARGET, OUT)),
    (metrics.r2(), OUT, TARGET, sk.r2_score(TARGET, OUT)),
    (metrics.r2(), OUT, OUT * [1, 0] , sk.r2_score(OUT * [1, 0], OUT)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "out", "y", "expected"), CASES, ids=[f"{c[0].name}{i}" for i, c in enumerate(CASES)]
)
def test_figures(metric, out, y, expected):
    np.testing.assert_allclose(metric(out, y), expected, rtol=1e-12)
    cuts = [(0, 7), (7, 8), (8, 60)]
    sums = bl.compile(metric.sums)
    added = sum(np.asarray(sums(out[a:b], y[a:b])) for a, b in cuts)
    np.testing.assert_allclose(metric.value(added), expected, rtol=1e-12)


def test_errors_teach():
    with pytest.raises(ArgumentError, match="Did you mean 'accuracy'"):
        metrics.metric_of("acuracy")
    with pytest.raises(ArgumentError, match="need the number of classes"):
        metrics.metric_of("f1")
    with pytest.raises(ArgumentError, match="average must be"):
        metrics.f1(3, "mean")(SCORES[:, :3], Y % 3)
    with pytest.raises(ArgumentError, match="k must be 1"):
        metrics.top_k(0)
    with pytest.raises(ShapeError, match="do not pair up"):
        metrics.mse()(OUT, TARGET[:, :1])
    with pytest.raises(ShapeError, match="expected class numbers"):
        metrics.top_k(2)(SCORES, Y[:5])
