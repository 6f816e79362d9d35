"""Points in the plane, drawn from a seed: moons, circles, blobs and spirals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.errors import ArgumentError
from ..base.extras import require
from .arrays import Array
from .dataset import Dataset
from .splits import divided


def moons(samples: int = 1000, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two half circles that reach into each other; `noise` is the standard deviation added to both coordinates."""
    return _plane("moons", 2, *_sklearn("make_moons", samples, noise=noise, random_state=seed))


def circles(samples: int = 1000, noise: float = 0.1, factor: float = 0.5, seed: int = 0) -> Dataset:
    """A circle of radius `factor` in one of radius 1."""
    return _plane("circles", 2, *_sklearn("make_circles", samples, noise=noise, factor=factor, random_state=seed))


def blobs(samples: int = 1000, classes: int = 3, spread: float = 1.0, seed: int = 0) -> Dataset:
    """Normally distributed clouds around `classes` centres drawn from [-10, 10] x [-10, 10]."""
    found = _sklearn("make_blobs", samples, centers=classes, cluster_std=spread, random_state=seed)
    return _plane("blobs", classes, *found)


def spirals(samples: int = 1000, classes: int = 2, turns: float = 1.5, noise: float = 0.02, seed: int = 0) -> Dataset:
    """Arms that wind around the origin out to radius 1, `turns` times (after Lang & Witbrock 1988).

    >>> spirals(300, classes=3).classes
    ('0', '1', '2')
    """
    if samples < 10 * classes or classes < 1:
        raise ArgumentError(f"spirals: expected 10 samples or more for each of {classes} classes, got {samples}.")
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    radius = np.sqrt(rng.uniform(0.01, 1, samples))  # the root spreads them evenly over the disc
    angle = 2 * np.pi * (turns * radius + y / classes)
    x = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, noise, (samples, 2))
    return _plane("spirals", classes, x, y)


def _sklearn(function: str, samples: int, **options: Any) -> tuple[Array, Array]:
    try:
        return getattr(require("sklearn.datasets", "data"), function)(samples, **options)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{function.removeprefix('make_')}: {error}") from None


def _plane(name: str, classes: int, x: Array, y: Array) -> Dataset:
    return divided(name, x.astype(np.float32), y.astype(np.int64), tuple(map(str, range(classes))), "generated")
