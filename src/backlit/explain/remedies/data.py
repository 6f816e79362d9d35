"""Mends of the data: inputs and targets brought to a size or a shape, samples left out or weighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...base.config import config
from ...base.dtypes import INTEGER
from ...nn import Sequential, Unstandardize
from ...nn.losses import cross_entropy
from ..changes import (
    copied,
    last_activation,
    plain,
    with_inputs,
    with_last_activation,
    with_targets,
)
from ..running import outputs_of, poisonous
from ..verdict import Experiment, Mend


def standardised_inputs(e: Experiment) -> list[Mend]:
    """Inputs brought to mean 0 and variance 1: feature by feature, all by one pair (as suits pixels), or both ways."""
    x = plain(e.data[0])
    if x.dtype.kind not in "fiu" or not _continuous(x):
        return []
    found = []
    for axis in [0, None] if x.ndim == 2 else [None]:
        finite = np.isfinite(x)
        mean = np.mean(x, axis=axis, dtype=np.float64, where=finite)
        spread = np.std(x, axis=axis, dtype=np.float64, where=finite)
        scale = np.where(spread > 1e-6 * np.abs(mean) + 1e-30, spread, 1.0)

        def change(x: Any, mean: Any = mean, scale: Any = scale) -> Any:
            return ((plain(x) - mean) / scale).astype(config.get().default_dtype)

        code = "nn.Standardize.of(x)" if axis is None else "nn.Standardize.of(x, axis=0)"
        found.append(
            Mend(f"standardise the inputs: nn.Sequential({code}, model)", lambda e, c=change: with_inputs(e, c))
        )
    return found


def _continuous(x: Any) -> bool:
    """Are these measurements, and not numbers of things such as tokens (int64)?"""
    return x.dtype.kind == "f" or x.dtype == np.uint8


def standardised_targets(e: Experiment) -> Mend | None:
    """A last layer that brings outputs into the unit of the targets."""
    y = plain(e.data[-1])
    if y.dtype.kind != "f" or not isinstance(e.model, Sequential) or y.ndim < 2:
        return None

    def apply(e: Experiment) -> Experiment:
        return e._replace(model=Sequential(*copied(e.model).layers, Unstandardize.of(plain(e.data[-1]), axis=0)))

    return Mend("let the last layer bring outputs into the unit of the targets: nn.Unstandardize.of(y, axis=0)", apply)


def finite_rows(e: Experiment) -> Mend | None:
    """Samples with NaN or infinite numbers left out."""
    good = _whole(e.data)
    if good.all() or not good.any():
        return None

    def apply(e: Experiment) -> Experiment:
        cut = lambda arrays: tuple(plain(a)[_whole(arrays)] for a in arrays)
        return e._replace(data=cut(e.data), validation=None if e.validation is None else cut(e.validation))

    share = 1 - good.mean()
    return Mend(
        f"leave out the samples with NaN or infinite numbers ({share:.2%}): x[np.isfinite(x).all(axis=1)]", apply
    )


def _whole(arrays: Sequence[Any]) -> np.ndarray[Any, Any]:
    rows = [np.isfinite(plain(a).reshape(len(a), -1)).all(axis=1) for a in arrays]
    return np.logical_and.reduce(rows)


def poisoned_rows(e: Experiment) -> Mend | None:
    """Samples left out for which loss or gradient is not finite, where they are few; found by halving."""
    bad = poisonous(e)
    n = len(e.data[0])
    if not bad or len(bad) > n // 20:
        return None
    keep = np.delete(np.arange(n), bad)
    told = ", ".join(map(str, bad[:5])) + ("..." if len(bad) > 5 else "")
    return Mend(
        f"leave out the samples that make it ({told}), or keep what they divide by, or take the root of, from 0",
        lambda e: e._replace(data=tuple(plain(a)[keep] for a in e.data)),
    )


def scaled_targets(e: Experiment) -> Mend | None:
    """Targets brought to mean 0 and variance 1."""
    y = plain(e.data[-1])
    if y.dtype.kind != "f" or not np.isfinite(y).all():
        return None
    mean, spread = np.mean(y, axis=0, dtype=np.float64), np.std(y, axis=0, dtype=np.float64)
    if not np.all(spread > 0) or np.all((np.abs(mean) < 1) & (spread < 3) & (spread > 0.3)):
        return None
    return Mend(
        "standardise the targets: (y - y.mean(0)) / y.std(0)",
        lambda e: with_targets(e, lambda y: ((plain(y) - mean) / spread).astype(config.get().default_dtype)),
    )


def unit_inputs(e: Experiment) -> Mend | None:
    """Inputs brought into the range from 0 to 1."""
    x = plain(e.data[0])
    if not _continuous(x) or not np.isfinite(x).all() or x.ndim != 2:
        return None
    low, high = x.min(axis=0), x.max(axis=0)
    span = np.where(high > low, high - low, 1)
    return Mend(
        "bring the inputs into the range from 0 to 1: (x - x.min(0)) / (x.max(0) - x.min(0))",
        lambda e: with_inputs(e, lambda x: ((plain(x) - low) / span).clip(0, 1).astype(config.get().default_dtype)),
    )


def positive_outputs(e: Experiment) -> Mend | None:
    """Outputs kept above 0, where the targets are."""
    y = plain(e.data[-1])
    if y.dtype.kind != "f" or last_activation(e.model) or y.min() < 0 or with_last_activation(e.model, None) is None:
        return None
    return Mend(
        'keep the outputs above 0, as the targets are: activation="softplus" at the end',
        lambda e: e._replace(model=with_last_activation(e.model, "softplus")),
    )


def column_targets(e: Experiment) -> Mend | None:
    """Targets (n,) as a column beside outputs (n, 1)."""
    y = plain(e.data[-1])
    if tuple(outputs_of(e).shape[1:]) != (*y.shape[1:], 1):
        return None
    return Mend(
        "give the targets as a column, as the outputs are: y[:, None]",
        lambda e: with_targets(e, lambda y: plain(y)[..., None]),
    )


def flat_targets(e: Experiment) -> Mend | None:
    """Targets (n, 1) without their last axis beside outputs (n,)."""
    y = plain(e.data[-1])
    if y.shape[-1:] != (1,) or tuple(outputs_of(e).shape[1:]) != y.shape[1:-1]:
        return None
    return Mend(
        "give the targets the shape of the outputs: y[:, 0]", lambda e: with_targets(e, lambda y: plain(y)[..., 0])
    )


def class_weights(e: Experiment) -> list[Mend]:
    """The loss of rare classes weighted, or their samples drawn as often as those of others."""
    y = plain(e.data[-1])
    if y.dtype.char not in INTEGER or y.ndim != 1:
        return []
    classes, number, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2 or counts.max() < 1.5 * counts.min():
        return []

    def balanced(e: Experiment) -> Experiment:
        most = int(counts.max())
        rows = np.concatenate([np.resize(np.flatnonzero(number == i), most) for i in range(len(classes))])
        return e._replace(data=tuple(plain(a)[rows] for a in e.data))

    found = [Mend("draw each class as often as the others: data.Loader(..., balanced=True)", balanced)]
    out = outputs_of(e)
    if out.ndim == 2 and out.shape[1] > 1 and e.loss in ("auto", "cross_entropy", cross_entropy):
        weights = np.ones(out.shape[1], np.float32)
        weights[classes] = counts.sum() / (len(classes) * counts)

        def weighted(e: Experiment) -> Experiment:
            return e._replace(loss=lambda out, y: cross_entropy(out, y, class_weights=weights))

        found.append(Mend("weigh rare classes: cross_entropy(out, y, class_weights=1 / counts)", weighted))
    return found
