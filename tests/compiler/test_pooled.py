"""Convolutions with maximum poolings after them: one kernel, or two where something else needs what lies between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.kernels.conv_nest import WORTH
from backlit.compiler.kernels.conv_pool import PooledConvolution
from backlit.compiler.lower.steps import Run, walk

from .native import agree, arrays, check, eager, in_memory

RNG = np.random.default_rng(11)


def pooled(function: Any, *values: Any, **options: Any) -> int:
    """How many kernels of a plan pool what they convolve."""
    compiled: Any = bl.compile(function, **options)
    plan = compiled.plan(*values)
    found = [s.kernel for step in plan.steps for s in walk([step]) if isinstance(s, Run)]
    kernels = [k for k in found if isinstance(k, PooledConvolution)]
    assert all(k.grain == max(1, WORTH * k.units // k.flops) for k in kernels)  # threads share what is worth it
    return len(kernels)


def layer(x: Any, w: Any, c: Any, window: Any = 2, **geometry: Any) -> Any:
    """Convolution, bias, bend, maximum."""
    if w.ndim == 3:
        return bl.max_pool1d(bl.relu(bl.conv1d(x, w, c, **geometry)), window)
    return bl.max_pool2d(bl.relu(bl.conv2d(x, w, c, **geometry)), window)


CASES = [
    ((16, 1, 12, 12), (8, 1, 5, 5), 2, {}),
    ((32, 3, 11, 9), (5, 3, 3, 3), 2, {"padding": 1}),  # the last row and column are in no window
    ((3, 4, 13, 10), (35, 4, 3, 3), (2, 3), {"padding": 1, "stride": 2}),
    ((4, 20, 12, 8), (40, 20, 5, 5), 2, {"dilation": 2, "padding": 4}),
    ((16, 6, 10, 10), (8, 3, 3, 3), 2, {"groups": 2}),
    ((8, 6, 10, 10), (6, 1, 3, 3), 2, {"groups": 6}),
    ((16, 2, 30), (6, 2, 3), 4, {}),
    ((5, 3, 29), (18, 3, 5), 3, {"padding": 2}),
]


@pytest.mark.parametrize(("image", "kernel", "window", "geometry"), CASES, ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_forward_and_backward(image, kernel, window, geometry, dtype):
    x, w, c = (RNG.normal(size=size).astype(dtype) for size in (image, kernel, kernel[:1]))

    def both(x, w, c):
        y, pull = bl.vjp(lambda x, w, c: layer(x, w, c, window, **geometry), x, w, c)
        return bl.sum(y, axis=-1), pull(bl.cos(y))

    def forward(x, w, c):
        return bl.sum(layer(x, w, c, window, **geometry), axis=-1)

    with in_memory():
        assert pooled(forward, x, w, c) == pooled(both, x, w, c) == 1
        check(forward, [x, w, c], str(image), ulps=256)
        check(both, [x, w, c], str(image), ulps=1024)
        x[0, 0, ..., 3] = np.nan
        x[-1, -1, ..., 0] = -np.inf
        check(forward, [x, w, c], f"{image} with NaN", ulps=256)


def test_what_something_else_needs_is_written():
    x, w, c = (RNG.normal(size=size).astype("f4") for size in ((16, 2, 10, 10), (8, 2, 3, 3), (8,)))

    def bent_too(x, w, c):
        y = bl.relu(bl.conv2d(x, w, c))
        return bl.max_pool2d(y, 2), y

    def summed_too(x, w, c):
        y = bl.relu(bl.conv2d(x, w, c))
        return bl.max_pool2d(y, 2), bl.sum(y, axis=(0, 2, 3))

    def overlapping(x, w, c):
        return bl.max_pool2d(bl.relu(bl.conv2d(x, w, c)), 3, stride=1)

    with in_memory():
        for function in (bent_too, summed_too, overlapping):
            assert pooled(function, x, w, c) == 0
            check(function, [x, w, c], function.__name__, ulps=256)


def test_weights_are_updated_after_they_were_read():
    """Two layers, whose parameters are donated: the step writes them while nothing is to read them any more."""
    params = [RNG.normal(size=size).astype("f4") * 0.2 for size in ((8, 1, 3, 3), (8,), (16, 8, 3, 3), (16,))]
    x = RNG.normal(size=(16, 1, 14, 14)).astype("f4")

    def step(params, x):
        def loss(p):
            y = layer(layer(x, *p[:2]), *p[2:])
            return bl.sum(y * y)

        return [p - 0.01 * g for p, g in zip(params, bl.grad(loss)(params), strict=True)], loss(params)

    expected = eager(lambda x, *p: step(list(p), x), [x, *params])
    given = [bl.tensor(p) for p in params]
    assert pooled(step, given, bl.tensor(x), donate="params") == 2
    compiled: Any = bl.compile(step, donate="params")
    agree([y.copy() for y in arrays(compiled(given, bl.tensor(x)))], expected, "donated", ulps=1024)
