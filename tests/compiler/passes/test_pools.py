"""mask_early: maximum poolings backward, before and after; ties and NaN; what is left as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import pipeline
from backlit.compiler.passes.decompose import decompose
from backlit.compiler.passes.pools import mask_early

from ..native import check
from .running import body, specified, unchanged

IMAGE = ((2, 3, 4, 6),)
RNG = np.random.default_rng(3)


def gradient(function: Any) -> Any:
    """The cotangents of x and of numbers added to each channel of it, from a cotangent of the pooling."""

    def back(x: Any, c: Any, g: Any) -> Any:
        _, pull = bl.vjp(lambda x, c: bl.max_pool2d(function(x + c.reshape((-1, 1, 1))), 2), x, c)
        return pull(g)

    return back


def after(function: Any, *specs: Any) -> list[str]:
    return body(mask_early(pipeline.run(specified(function, *specs), passes=pipeline.PIPELINE[:6])))


def test_the_mask_of_relu_is_taken_at_the_maxima():
    geometry = "window=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1)"
    assert after(gradient(bl.relu), IMAGE, ((3,),), ((2, 3, 2, 3),)) == [
        "%3 = reshape(%1, shape=(3, 1, 1)) float32(3, 1, 1)",
        "%4 = add(%0, %3) float32(2, 3, 4, 6)",
        "%5 = relu(%4) float32(2, 3, 4, 6)",
        f"%6 = pool_argmax(%5, {geometry}) int32(2, 3, 2, 3)",
        "%7 = astype(%6, dtype=dtype('uint8')) uint8(2, 3, 2, 3)",
        f"%8 = pool_pick(%5, %6, {geometry}) float32(2, 3, 2, 3)",
        "%9 = greater(%8, 0) bool(2, 3, 2, 3)",
        "%10 = astype(%9, dtype=dtype('float32')) float32(2, 3, 2, 3)",
        "%11 = multiply(%2, %10) float32(2, 3, 2, 3)",
        f"%12 = pool_place(%11, %7, size=(4, 6), {geometry}) float32(2, 3, 4, 6)",
        "%13 = sum(%11, axis=(0, 2, 3), keepdims=False) float32(3,)",
        "return %12, %13",
    ]


@pytest.mark.parametrize("f", [bl.relu, lambda x: bl.where((x > -1) & (x < 0.5), x, 0), bl.leaky_relu, bl.relu6])
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (3, 2, 5, 7), (16, 4, 2, 2), (32, 8, 12, 12), (4, 40, 6, 8)])
def test_results_are_those_of_eager_mode(f, shape):
    x, c = RNG.integers(-3, 3, shape).astype("f4") / 2, RNG.normal(size=shape[1]).astype("f4").round()  # many ties
    g = RNG.normal(size=(*shape[:2], shape[2] // 2, shape[3] // 2)).astype("f4")
    unchanged(specified(gradient(f), *((a.shape,) for a in (x, c, g))), [x, c, g])
    check(gradient(f), [x, c, g], str(shape), ulps=256)
    x[RNG.random(shape) < 0.2] = np.nan
    x[RNG.random(shape) < 0.1] = -np.inf
    check(gradient(f), [x, c * 0, g], f"{shape} with NaN", ulps=256)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, g: gradient_of(bl.max_pool2d, x, g, 3, stride=1),  # windows overlap
        lambda x, g: gradient_of(bl.max_pool2d, x, g, 2, padding=1),  # and reach over the border
    ],
)
def test_windows_that_overlap_or_reach_over_the_border_are_left(function):
    graph = decompose(specified(function, IMAGE, IMAGE))
    assert "pool_pick" not in str(mask_early(graph))
    x = RNG.normal(size=IMAGE[0]).astype("f4")
    check(function, [x, np.ones_like(x)])


def gradient_of(pool: Any, x: Any, g: Any, *args: Any, **params: Any) -> Any:
    return bl.grad(lambda x: bl.sum(pool(bl.relu(x), *args, **params) ** 2 * g[:1, :1, :1, :1]))(x)


def test_what_is_no_mask_of_the_same_array_is_left():
    def function(x, y, g):
        _, pull = bl.vjp(lambda x: bl.max_pool2d(x, 2), x)
        placed = pull(g)[0]
        return placed * (y > 0), placed * bl.exp(x), bl.sum(placed, axis=3)

    graph = mask_early(decompose(specified(function, IMAGE, IMAGE, ((2, 3, 2, 3),))))
    assert "pool_pick" not in str(graph)
    assert "sum(%" in str(graph)
    x, y = (RNG.normal(size=IMAGE[0]).astype("f4") for _ in range(2))
    check(function, [x, y, RNG.normal(size=(2, 3, 2, 3)).astype("f4")])
