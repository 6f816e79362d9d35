"""A user's program as pyright sees it in strict mode: it must know the types of everything public."""

from __future__ import annotations

from typing import assert_type

import numpy as np

import backlit as bl

x = bl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
w = bl.zeros((2, 3), dtype=bl.float32)

y = bl.tanh(x @ w + 1) * 2 - x.sum()
assert_type(y, bl.Tensor)
assert_type(bl.exp(np.ones(3)), bl.Tensor)
assert_type(bl.sum(x, axis=0, keepdims=True), bl.Tensor)
assert_type(bl.where(x > 0, x, 0.0), bl.Tensor)
assert_type(bl.clip(x, None, 1.0), bl.Tensor)
assert_type(bl.concat([x, x], axis=1), bl.Tensor)
assert_type(bl.unstack(x), tuple[bl.Tensor, ...])
assert_type(bl.linalg.solve(x, x), bl.Tensor)
assert_type(bl.fft.fft(x), bl.Tensor)
assert_type(bl.random.normal(bl.random.key(0), (2, 3)), bl.Tensor)
assert_type(bl.conv2d(bl.ones((1, 1, 4, 4)), bl.ones((1, 1, 3, 3)), padding="same"), bl.Tensor)
assert_type(x.shape, tuple[int, ...])
assert_type(x.requires_grad, bool)
assert_type(x.grad, bl.Tensor | None)
assert_type(x[0, 1:], bl.Tensor)
assert_type(bl.isdtype(bl.float32, "real floating"), bool)

y.sum().backward()


def loss(weights: bl.Tensor) -> bl.Tensor:
    return bl.mean((x @ weights) ** 2)


gradient = bl.grad(loss)(w)
compiled = bl.compile(loss)
decorated = bl.compile(donate="weights", threads=1)(loss)
print(compiled(w), decorated.repeat(3).traces)

with bl.no_grad(), bl.settings(default_dtype=bl.float64):
    w = w - 0.1 * gradient

try:
    bl.reshape(w, (7,))
except bl.ShapeError as problem:
    print(problem)
