"""simplify: each rule before and after, and what must not be simplified."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit.compiler import pipeline
from backlit.compiler.passes.algebra import uniform
from backlit.compiler.passes.decompose import decompose
from backlit.compiler.passes.simplify import simplify
from backlit.graph.opdef import OPS

from .running import F64, I64, body, specified, unchanged

#: Shapes and dtypes of inputs.
V, M, N = ((3,),), ((2, 3),), ((2, 3), I64)
B = ((3,), np.dtype(bool))
guarded, masked = (OPS[n] for n in ("guarded_multiply", "masked_multiply"))


def after(function, *specs):
    return body(simplify(decompose(specified(function, *specs))))


#: function, inputs, the one line expected for the output: the name of an input, or the printed nodes.
CASES = [
    (lambda x: x * 1, [V], "%0"),
    (lambda x: 1.0 * x, [V], "%0"),
    (lambda x: x - 0.0, [V], "%0"),
    (lambda x: x + -0.0, [V], "%0"),
    (lambda x: x / 1, [V], "%0"),
    (lambda x: bl.negative(-x), [V], "%0"),
    (lambda x: +x, [V], "%0"),
    (lambda x: x**1, [V], "%0"),
    (lambda x: x + 0, [N], "%0"),
    (lambda x: x * np.ones((2, 3), "f"), [V], ["broadcast_to(%0, shape=(2, 3)) float32(2, 3)"]),
    (lambda x: x * -1, [V], ["negative(%0) float32(3,)"]),
    (lambda x: x / 4, [V], ["multiply(%0, 0.25) float32(3,)"]),
    (lambda x: x / np.float32(-0.125), [V], ["multiply(%0, np.float32(-8.0)) float32(3,)"]),
    (lambda x: -x * 3, [V], ["multiply(%0, -3) float32(3,)"]),
    (lambda x: -x / 3, [V], ["divide(%0, -3) float32(3,)"]),
    (lambda x, y: x + -y, [V, V], ["subtract(%0, %1) float32(3,)"]),
    (lambda x, y: -x + y, [V, V], ["subtract(%1, %0) float32(3,)"]),
    (lambda x, y: x - -y, [V, V], ["add(%0, %1) float32(3,)"]),
    (lambda x, y: -x * -y, [V, V], ["multiply(%0, %1) float32(3,)"]),
    (lambda x: x**2, [V], ["multiply(%0, %0) float32(3,)"]),
    (lambda x: x**3.0, [V], ["multiply(%0, %0) float32(3,)", "multiply(%1, %0) float32(3,)"]),
    (lambda x: x**4, [V], ["multiply(%0, %0) float32(3,)", "multiply(%1, %1) float32(3,)"]),
    (lambda x: x**0.5, [V], ["sqrt(%0) float32(3,)"]),
    (lambda x: bl.relu(bl.relu(x)), [V], ["relu(%0) float32(3,)"]),
    (lambda x: bl.logical_and(x, x), [B], "%0"),
    (lambda x: bl.logical_not(bl.logical_not(x)), [B], "%0"),
    (lambda x, y: bl.logical_not(x == y), [V, V], ["not_equal(%0, %1) bool(3,)"]),
    (lambda x: bl.clip(x), [V], "%0"),
    # choices
    (lambda x, y: bl.where(True, x, y), [V, V], "%0"),
    (lambda x, y: bl.where(np.zeros((2, 3), "?"), x, y), [V, V], ["broadcast_to(%1, shape=(2, 3)) float32(2, 3)"]),
    (lambda c, x: bl.where(c, x, x), [B, V], "%1"),
    (lambda c, x, y: bl.where(bl.logical_not(c), x, y), [B, V, V],
     ["where(%0, %2, %1) float32(3,)"]),
    (lambda c, x, y: bl.where(c, bl.where(c, x, 0), y), [B, V, V],
     ["where(%0, %1, %2) float32(3,)"]),
    (lambda c, x, y: bl.where(c, x, bl.where(c, 0, y)), [B, V, V],
     ["where(%0, %1, %2) float32(3,)"]),
    # guarded products
    (lambda x, y: guarded(x, bl.astype(y > 0, bl.float32)), [V, V],
     ["greater(%1, 0) bool(3,)", "astype(%2, dtype=dtype('float32')) float32(3,)", "multiply(%0, %3) float32(3,)"]),
    (lambda x: guarded(x, 3.0), [V], ["multiply(%0, 3.0) float32(3,)"]),
    (lambda x: guarded(2.0, x), [V], ["multiply(2.0, %0) float32(3,)"]),
    (lambda x: masked(x, 2.0), [V], ["masked_multiply(%0, 2.0) float32(3,)"]),
    # dtypes
    (lambda x: bl.astype(x, bl.float32), [V], "%0"),
    (lambda x: bl.astype(bl.astype(x, bl.float64), bl.float32), [V], "%0"),
    (lambda x: bl.astype(bl.astype(x > 0, bl.float64), bl.int64), [V],
     ["greater(%0, 0) bool(3,)", "astype(%1, dtype=dtype('int64')) int64(3,)"]),
    # operands that only repeat
    (lambda x, y: bl.broadcast_to(x, (2, 3)) * y, [V, M], ["multiply(%0, %1) float32(2, 3)"]),
    (lambda x: x + np.full((3,), 2.0, "f"), [V], ["add(%0, np.float32(2.0)) float32(3,)"]),
    (lambda x: bl.exp(bl.broadcast_to(x, (2, 3))), [V],
     ["exp(%0) float32(3,)", "broadcast_to(%1, shape=(2, 3)) float32(2, 3)"]),
    # shapes and order
    (lambda x: bl.reshape(bl.reshape(x, (6,)), (3, 2)), [M], ["reshape(%0, shape=(3, 2)) float32(3, 2)"]),
    (lambda x: bl.reshape(bl.reshape(x, (6,)), (2, 3)), [M], "%0"),
    (lambda x: bl.reshape(x, (-1,)), [M], ["reshape(%0, shape=(6,)) float32(6,)"]),
    (lambda x: bl.squeeze(bl.expand_dims(x, axis=1), axis=1), [M], "%0"),
    (lambda x: x.mT.mT, [M], "%0"),
    (lambda x: bl.permute_dims(bl.permute_dims(x, (2, 0, 1)), (2, 0, 1)), [((2, 3, 4),)],
     ["permute_dims(%0, axes=(1, 2, 0)) float32(3, 4, 2)"]),
    (lambda x: bl.permute_dims(x, (1, 0, 2)), [((2, 1, 4),)], ["reshape(%0, shape=(1, 2, 4)) float32(1, 2, 4)"]),
    (lambda x: bl.broadcast_to(bl.broadcast_to(x, (2, 3)), (4, 2, 3)), [V],
     ["broadcast_to(%0, shape=(4, 2, 3)) float32(4, 2, 3)"]),
    (lambda x: bl.broadcast_to(bl.reshape(x, (1, 3)), (2, 3)), [V], ["broadcast_to(%0, shape=(2, 3)) float32(2, 3)"]),
    (lambda x: bl.flip(bl.flip(x), axis=0), [M], ["flip(%0, axis=(1,)) float32(2, 3)"]),
    (lambda x: bl.flip(x), [((1, 3),)], ["flip(%0, axis=(1,)) float32(1, 3)"]),
    # parts and borders
    (lambda x: x[1:][1:, ::2], [((4, 5),)], ["getitem(%0, index=[2:4:1, 0:5:2]) float32(2, 3)"]),
    (lambda x: x[::2][1:], [((7,),)], ["getitem(%0, index=[2:7:2]) float32(3,)"]),
    (lambda x, y: bl.concat([x, y])[3:], [V, V], "%1"),
    (lambda x, y: bl.concat([x, y])[4:], [V, V], ["getitem(%1, index=[1:3:1]) float32(2,)"]),
    (lambda x: bl.pad(x, 1)[1:-1], [V], "%0"),
    (lambda x: bl.pad(bl.pad(x, (0, 1)), (2, 0)), [V], ["pad_zeros(%0, pads=((2, 1),)) float32(6,)"]),
    (lambda x, y: bl.concat([bl.concat([x, y]), y, bl.zeros(0)]), [V, V], ["concat(%0, %1, %1, axis=0) float32(9,)"]),
    (lambda x: bl.concat([x, bl.zeros(0)]), [V], "%0"),
    # reductions
    (lambda x: bl.sum(x, axis=1), [((3, 1),)], ["reshape(%0, shape=(3,)) float32(3,)"]),
    (lambda x: bl.max(x, axis=(0, 1), keepdims=True), [((3, 1),)],
     ["max(%0, axis=(0,), keepdims=True) float32(1, 1)"]),
    (lambda x: bl.expand_dims(bl.sum(x, axis=1), axis=1), [M], ["sum(%0, axis=(1,), keepdims=True) float32(2, 1)"]),
    (lambda x: bl.squeeze(bl.any(x, axis=1, keepdims=True), axis=1), [((2, 3), np.dtype("?"))],
     ["any(%0, axis=(1,), keepdims=False) bool(2,)"]),
    (lambda x: bl.sum(bl.reshape(x, (6,))), [M], ["sum(%0, axis=(0, 1), keepdims=False) float32()"]),
    (lambda x: bl.max(bl.broadcast_to(x, (2, 3)), axis=0), [V], "%0"),
    (lambda x: bl.sum(bl.broadcast_to(x, (2, 3)), axis=0), [V], ["multiply(%0, 2) float32(3,)"]),
    (lambda x: bl.sum(bl.broadcast_to(x, (2, 3))), [((2, 1),)],
     ["sum(%0, axis=(0, 1), keepdims=False) float32()", "multiply(%1, 3) float32()"]),
]  # fmt: skip


@pytest.mark.parametrize(("function", "specs", "expected"), CASES, ids=range(len(CASES)))
def test_rule(function, specs, expected):
    graph = specified(function, *specs)
    lines = body(simplify(decompose(graph)))
    if isinstance(expected, str):
        assert lines == [f"return {expected}"]
    else:
        assert [line.partition(" = ")[2] for line in lines[:-1]] == expected
    rng = np.random.default_rng(0)
    unchanged(graph, pipeline.sample(graph, rng), ulps=8)
    special = [
        np.resize(np.array([0.0, -0.0, math.inf, -math.inf, math.nan, 2.0], "f"), n.shape).astype(n.dtype)
        if n.dtype.kind == "f"
        else v
        for n, v in zip(graph.inputs, pipeline.sample(graph, rng), strict=True)
    ]
    unchanged(graph, special, ulps=8)


@pytest.mark.parametrize("function", [
    lambda x: x * 0,  # NaN of infinities
    lambda x: x + 0.0,  # 0.0 of -0.0
    lambda x: x - -0.0,
    lambda x: 0 - x,
    lambda x: x - x,
    lambda x: x / x,
    lambda x: x / 3,  # 1/3 is no float
    lambda x: x / 2.0**140,  # its reciprocal is not normal
    lambda x: x / 0,
    lambda x: x**0,  # NaN too becomes 1, which eager does as well, but by its own kernel
    lambda x: x**-2,
    lambda x: 3 * (x * 5),
    lambda x: bl.astype(bl.astype(x, bl.float16), bl.float32),
    lambda x: guarded(x, x),
    lambda x: guarded(x, math.inf),
    lambda x: guarded(0.0, x),
    lambda x: masked(x, x),
    lambda x: bl.sum(x, axis=0),
    lambda x: bl.pad(x, 1)[1:],
    lambda x: bl.concat([x, x])[2:4],
    lambda x: bl.logical_not(x > 0),  # NaN is neither
])  # fmt: skip
def test_what_stays(function):
    graph = decompose(specified(function, ((3,),)))
    assert body(simplify(graph)) == body(graph)


def test_a_power_of_a_single_number_stays():
    graph = specified(lambda x: x**0.5, ((),))
    assert simplify(graph) is graph  # sqrt(-inf) is NaN, NumPy's power of a single -inf is inf


def test_integers_are_no_floats():
    function = lambda n: (n * -1, n // 2, -n * 3, bl.astype(bl.astype(n, bl.float64), bl.int64))
    graph = specified(function, ((3,), I64))
    unchanged(graph, [np.array([2**62 + 1, -7, 3])])
    assert body(simplify(graph)) == body(graph)


def test_float64_has_smaller_powers_of_two():
    assert after(lambda x: x / 2.0**140, ((3,), F64))[0].startswith("%1 = multiply")


def test_an_array_of_one_number():
    assert uniform(np.full((2, 3), 2.5)) == 2.5
    assert uniform(np.broadcast_to(np.float32(3), (1000, 1000))) == 3
    assert uniform(np.full((4, 5), np.nan)[:, ::2]).shape == ()
    for other in (np.array([0.0, -0.0, 0.0, 0.0]), np.arange(4), np.array([1, 2, 1, 1, 1])):
        assert uniform(other) is other


def test_simplifying_twice_changes_nothing():
    def function(x, w):
        y = bl.softmax(bl.mean(x, axis=0) @ w - x[0] * 1) ** 2
        return bl.sum(y / 2), bl.grad(lambda w: bl.logsumexp(x @ w))(w)

    once = pipeline.run(specified(function, ((4, 3),), ((3, 3),)))
    assert body(pipeline.run(once)) == body(once)
