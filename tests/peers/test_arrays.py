"""Reductions, movement, indexing and sorting beside PyTorch: values and gradients in float64, to 1e-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl

torch: Any = pytest.importorskip("torch")
F = torch.nn.functional

RNG = np.random.default_rng(11)
X = RNG.normal(size=(3, 4))
ZEROS = X * (np.arange(12).reshape(3, 4) % 5 > 0)
TIES = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, -1.0, 0.0, -2.0]])
Y = RNG.normal(size=(2, 4))
IDS = np.array([[0, 2, 1], [3, 3, 0], [1, 1, 2]])
ROWS = np.array([2, 0])
J, R = torch.from_numpy(IDS), torch.from_numpy(ROWS)

Both = tuple[list[np.ndarray[Any, Any]], Callable[..., Any], Callable[..., Any]]

#: name: (inputs, here, there)
TABLE: dict[str, Both] = {
    "sum": ([X], lambda x: bl.sum(x, axis=0), lambda x: x.sum(0)),
    "mean": ([X], lambda x: bl.mean(x, axis=1, keepdims=True), lambda x: x.mean(1, keepdim=True)),
    "prod": ([X], bl.prod, lambda x: x.prod()),
    "prod with zeros": ([ZEROS], lambda x: bl.prod(x, axis=1), lambda x: x.prod(1)),
    "max with ties": ([TIES], lambda x: bl.max(x, axis=1), lambda x: x.amax(1)),
    "min with ties": ([TIES], lambda x: bl.min(x, axis=0), lambda x: x.amin(0)),
    "var": ([X], lambda x: bl.var(x, axis=1, correction=1), lambda x: x.var(1, correction=1)),
    "std": ([X], lambda x: bl.std(x, axis=0), lambda x: x.std(0, correction=0)),
    "cumulative_sum": ([X], lambda x: bl.cumulative_sum(x, axis=1), lambda x: x.cumsum(1)),
    "cumulative_prod": ([ZEROS], lambda x: bl.cumulative_prod(x, axis=1), lambda x: x.cumprod(1)),
    "cumulative_max": ([TIES], lambda x: bl.cumulative_max(x, axis=1), lambda x: x.cummax(1).values),
    "cumulative_min": ([TIES], lambda x: bl.cumulative_min(x, axis=0), lambda x: x.cummin(0).values),
    "sort": ([X], lambda x: bl.sort(x, axis=0, descending=True), lambda x: x.sort(0, descending=True).values),
    "top_k": ([X], lambda x: bl.top_k(x, 2).values, lambda x: x.topk(2).values),
    "concat": ([X, Y], lambda x, y: bl.concat([x, y]), lambda x, y: torch.cat([x, y])),
    "stack": ([X, TIES], lambda x, y: bl.stack([x, y], axis=1), lambda x, y: torch.stack([x, y], 1)),
    "split": ([X], lambda x: bl.split(x, 2, axis=1)[1], lambda x: x.tensor_split(2, 1)[1]),
    "unstack": ([X], lambda x: bl.unstack(x)[1], lambda x: x.unbind()[1]),
    "flip": ([X], lambda x: bl.flip(x, axis=1), lambda x: x.flip(1)),
    "roll": ([X], lambda x: bl.roll(x, (1, 2), axis=(0, 1)), lambda x: x.roll((1, 2), (0, 1))),
    "tile": ([X], lambda x: bl.tile(x, (2, 1, 3)), lambda x: x.tile(2, 1, 3)),
    "repeat": ([X], lambda x: bl.repeat(x, 2, axis=1), lambda x: x.repeat_interleave(2, 1)),
    "repeat by numbers": (
        [Y],
        lambda x: bl.repeat(x, [3, 1], axis=0),
        lambda x: x.repeat_interleave(torch.tensor([3, 1]), 0),
    ),
    "tril": ([X], lambda x: bl.tril(x, k=-1), lambda x: x.tril(-1)),
    "diff": ([X], lambda x: bl.diff(x, n=2), lambda x: x.diff(2)),
    "reflect": ([X], lambda x: bl.pad(x, ((0, 0), (2, 1)), mode="reflect"), lambda x: F.pad(x, (2, 1), "reflect")),
    "edge": ([X], lambda x: bl.pad(x, ((0, 0), (2, 1)), mode="edge"), lambda x: F.pad(x, (2, 1), "replicate")),
    "constant": ([X], lambda x: bl.pad(x, (1, 2), value=3.0), lambda x: F.pad(x, (1, 2, 1, 2), value=3.0)),
    "getitem": ([X], lambda x: x[1:, [0, 2, 2]], lambda x: x[1:, [0, 2, 2]]),
    "getitem by mask": ([X], lambda x: x[bl.asarray(X > 0)], lambda x: x[torch.from_numpy(X > 0)]),
    "take": ([X], lambda x: bl.take(x, IDS, axis=1), lambda x: x[:, J]),
    "take_along_axis": ([X], lambda x: bl.take_along_axis(x, IDS, axis=1), lambda x: x.gather(1, J)),
    "put_along_axis": (
        [X, Y],
        lambda x, y: bl.put_along_axis(x, IDS[:2, [1]], y[:, :1]),
        lambda x, y: x.scatter(1, J[:2, [1]], y[:, :1]),
    ),
    "index_update": ([X, Y], lambda x, y: bl.index_update(x, ROWS, y), lambda x, y: x.index_put((R,), y)),
    "index_add": (
        [X, Y],
        lambda x, y: bl.index_add(x, [1, 1], y),
        lambda x, y: x.index_add(0, torch.tensor([1, 1]), y),
    ),
    "embedding": ([X], lambda x: bl.embedding(IDS[:2, :2] % 3, x), lambda x: F.embedding(J[:2, :2] % 3, x)),
    "segment_sum": (
        [X],
        lambda x: bl.segment_sum(x, [1, 0, 1], 2),
        lambda x: x.new_zeros(2, 4).index_add(0, torch.tensor([1, 0, 1]), x),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_value_and_gradient(name: str) -> None:
    inputs, here, there = TABLE[name]
    if name == "put_along_axis":
        inputs = [inputs[0][:2], inputs[1]]  # torch scatters into as many rows as there are indices
    ours = [bl.tensor(x, requires_grad=True) for x in inputs]
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, z = here(*ours), there(*theirs)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)
    weights = np.random.default_rng(0).normal(size=y.shape)
    (y * weights).sum().backward()
    (z * torch.from_numpy(weights)).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-12)
