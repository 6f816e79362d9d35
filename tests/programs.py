"""Random programs over the ops of the library: a small grammar, and what a namespace must offer to run them.

A program is drawn by asking `pick(options)` again and again, so that Hypothesis or a plain random
generator can draw it, and runs on any namespace with the names of the Array API (`bl`, `Jax`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import backlit as bl

Pick = Callable[[Sequence[Any]], Any]

#: Each op stays finite, smooth at random points and of moderate size, so that ten in a row can be differentiated.
UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "abs": lambda m, x: m.abs(x),
    "atan": lambda m, x: m.atan(x),
    "cos": lambda m, x: m.cos(x),
    "erf": lambda m, x: m.erf(x),
    "exp": lambda m, x: m.exp(-x * x),
    "expm1": lambda m, x: m.expm1(m.tanh(x)),
    "gelu": lambda m, x: m.gelu(x),
    "leaky": lambda m, x: m.leaky_relu(x),
    "log": lambda m, x: m.log(x * x + 0.5),
    "log1p": lambda m, x: m.log1p(x * x),
    "negative": lambda m, x: -x,
    "pow": lambda m, x: (x * x + 0.5) ** 0.7,
    "reciprocal": lambda m, x: 1 / (x * x + 1),
    "relu": lambda m, x: m.relu(x),
    "sigmoid": lambda m, x: m.sigmoid(x),
    "sin": lambda m, x: m.sin(x),
    "softplus": lambda m, x: m.softplus(x),
    "sqrt": lambda m, x: m.sqrt(x * x + 0.5),
    "square": lambda m, x: m.tanh(x) ** 2,
    "tanh": lambda m, x: m.tanh(x),
}
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda m, x, y: x + y,
    "atan2": lambda m, x, y: m.atan2(x, y * y + 0.5),
    "divide": lambda m, x, y: x / (y * y + 1),
    "hypot": lambda m, x, y: m.hypot(x, y + 3.3),
    "logaddexp": lambda m, x, y: m.logaddexp(x, y),
    "maximum": lambda m, x, y: m.maximum(x, y),
    "minimum": lambda m, x, y: m.minimum(x, y),
    "multiply": lambda m, x, y: x * y,
    "subtract": lambda m, x, y: x - 0.5 * y,
    "where": lambda m, x, y: m.where(x > y, m.sin(x), y),
}
#: Ops of one array of at least one axis, with an axis.
ALONG: dict[str, Callable[[Any, Any, int], Any]] = {
    "concat": lambda m, x, k: m.concat([x, x * 0.5], axis=k),
    "cumulative_sum": lambda m, x, k: m.cumulative_sum(x, axis=k),
    "expand_dims": lambda m, x, k: m.expand_dims(x, axis=k),
    "first": lambda m, x, k: x[(slice(None),) * k + (0,)],
    "flip": lambda m, x, k: m.flip(x, axis=k),
    "gather": lambda m, x, k: x[(slice(None),) * k + (np.array([-1, 0, 0]),)],
    "logsumexp": lambda m, x, k: m.logsumexp(x, axis=k),
    "max": lambda m, x, k: m.max(x, axis=k),
    "mean": lambda m, x, k: m.mean(x, axis=k),
    "moveaxis": lambda m, x, k: m.moveaxis(x, k, 0),
    "prod": lambda m, x, k: m.prod(m.cos(x), axis=k),
    "reverse": lambda m, x, k: x[(slice(None),) * k + (slice(None, None, -1),)],
    "roll": lambda m, x, k: m.roll(x, 1, axis=k),
    "softmax": lambda m, x, k: m.softmax(x, axis=k),
    "sort": lambda m, x, k: m.sort(x, axis=k),
    "stack": lambda m, x, k: m.stack([x, m.sin(x)], axis=k),
    "std": lambda m, x, k: m.sqrt(m.var(x, axis=k) + 0.1),
    "sum": lambda m, x, k: m.sum(x, axis=k, keepdims=True),
    "take": lambda m, x, k: m.take(x, m.asarray([0, 0]), axis=k),
    "written": lambda m, x, k: m.written(x, (slice(None),) * k + (0,), 0.25 * m.sum(x)),
}
#: Ops of one matrix, or a stack of them.
MATRIX: dict[str, Callable[[Any, Any], Any]] = {
    "einsum": lambda m, x: m.einsum("...ij,...kj->...ik", x, m.sin(x)) * 0.3,
    "matmul": lambda m, x: m.matrix_transpose(x) @ x * 0.3,
    "reshape": lambda m, x: m.reshape(x, (-1,)),
    "tril": lambda m, x: m.tril(x),
    "transpose": lambda m, x: m.matrix_transpose(x),
}

SHAPES = [(), (3,), (2, 3), (1, 3), (2, 1), (4,), (2, 2, 3), (1,)]
NODES = 12
#: Only arrays with fewer elements go through ops that may make more of them.
FEW = 100


class Ours:
    """The namespace of the library, with assignment to a part as a function."""

    written = staticmethod(lambda x, index, new: bl.index_update(x, index, new))

    def __getattr__(self, name: str) -> Any:
        return getattr(bl, name)


class Program:
    """Inputs and a list of steps, each applied to earlier results, of which several may be used again and again."""

    def __init__(self, pick: Pick) -> None:
        rng = np.random.default_rng(pick(range(10_000)))
        self.inputs = [rng.normal(size=pick(SHAPES)) for _ in range(pick([1, 2, 3]))]
        self.directions = [rng.normal(size=x.shape) for x in self.inputs]
        self.steps: list[tuple[Any, ...]] = []
        values = [bl.tensor(x) for x in self.inputs]
        for _ in range(pick(range(1, NODES + 1))):
            step = self._drawn(pick, values)
            self.steps.append(step)
            values.append(_apply(Ours(), step, values))
        rest = sum(v.size for v in values[len(self.inputs) :])
        self.weights = rng.normal(size=rest)

    def _drawn(self, pick: Pick, values: Sequence[Any]) -> tuple[Any, ...]:
        newest = len(values) - 1
        i = pick([newest, *range(len(values))])
        x = values[i]
        small = x.size < FEW
        kinds = ["unary", "binary"] + ["along"] * (small and 0 < x.ndim < 4) + ["matrix"] * (small and 1 < x.ndim < 4)
        kind = pick(kinds)
        if kind == "binary":
            j = pick([k for k, y in enumerate(values) if _broadcast(x.shape, y.shape)])
            return kind, pick(sorted(BINARY)), i, j
        if kind == "along":
            return kind, pick(sorted(ALONG)), i, pick(range(x.ndim))
        return kind, pick(sorted(UNARY if kind == "unary" else MATRIX)), i

    def __call__(self, m: Any, *xs: Any) -> Any:
        """A number: every result of a step enters it, with weights of its own."""
        values = list(xs)
        for step in self.steps:
            values.append(_apply(m, step, values))
        total, start = 0.0, 0
        for v in values[len(xs) :]:
            size = int(np.prod(v.shape))
            total = total + m.sum(v * self.weights[start : start + size].reshape(v.shape))
            start += size
        return total

    def __repr__(self) -> str:
        return f"Program({[x.shape for x in self.inputs]}, {self.steps})"


def _apply(m: Any, step: tuple[Any, ...], values: Sequence[Any]) -> Any:
    kind, name, i, *rest = step
    x = values[i]
    if kind == "unary":
        return UNARY[name](m, x)
    if kind == "binary":
        return BINARY[name](m, x, values[rest[0]])
    return ALONG[name](m, x, rest[0]) if kind == "along" else MATRIX[name](m, x)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(p == q or 1 in (p, q) for p, q in zip(a[::-1], b[::-1], strict=False))
