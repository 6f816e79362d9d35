"""Recurrent networks beside PyTorch and JAX: losses, gradients and second derivatives, of traced loops and of plans."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves
from backlit.compiler import pipeline
from backlit.graph.graph import trace
from backlit.graph.opdef import Spec
from tests.recurrent import LOSSES

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

OURS = SimpleNamespace(
    sigmoid=bl.sigmoid, tanh=bl.tanh, scan=bl.scan, zeros=lambda shape: bl.zeros(shape, dtype=bl.float64),
    concat=lambda parts: bl.concat(parts, axis=-1),
)  # fmt: skip


def torch_scan(step: Any, state: Any, xs: Any, reverse: bool = False) -> Any:
    """What a loop in PyTorch is: a loop in Python."""
    ys = []
    for x in reversed(xs.unbind()) if reverse else xs.unbind():
        state, y = step(state, x)
        ys.append(y)
    return state, None if ys[0] is None else torch.stack(ys)


THEIRS = SimpleNamespace(
    sigmoid=torch.sigmoid, tanh=torch.tanh, scan=torch_scan, concat=lambda parts: torch.cat(parts, -1),
    zeros=lambda shape: torch.zeros(shape, dtype=torch.float64),
)  # fmt: skip
JAX = SimpleNamespace(
    sigmoid=jax.nn.sigmoid, tanh=jax.numpy.tanh, scan=jax.lax.scan, zeros=jax.numpy.zeros,
    concat=lambda parts: jax.numpy.concatenate(parts, -1),
)  # fmt: skip


def first_and_second(module: Any, loss: Any, count: int) -> Any:
    """The loss, its gradient, and the gradient of the squared length of that, with respect to the weights."""

    def function(*given: Any) -> Any:
        weights, rest = given[:count], given[count:]
        at = lambda *w: loss(*w, *rest)
        numbers = tuple(range(count))
        square = lambda *w: sum((g**2).sum() for g in module.grad(at, argnums=numbers)(*w))
        return at(*weights), module.grad(at, argnums=numbers)(*weights), module.grad(square, argnums=numbers)(*weights)

    return function


def plan(function: Any, given: list[Any]) -> Any:
    """The traced function after all passes, run by NumPy: leaves of its result."""
    graph = trace(lambda *a: leaves(function(*a)), [Spec(a.shape, a.dtype) for a in given])
    return graph(*given), pipeline.run(graph)(*given)


@pytest.mark.parametrize("name", LOSSES)
def test_beside_torch(name: str) -> None:
    loss, given, count = LOSSES[name]
    weights = [torch.tensor(w, requires_grad=True) for w in given[:count]]
    value = loss(THEIRS, *weights, *map(torch.tensor, given[count:]))
    first = torch.autograd.grad(value, weights, create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), weights)
    expected = [t.detach().numpy() for t in (value, *first, *second)]
    for found in plan(first_and_second(bl, lambda *a: loss(OURS, *a), count), given):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_beside_jax(name: str) -> None:
    loss, given, count = LOSSES[name]
    with jax.enable_x64(True):
        theirs = jax.jit(first_and_second(jax, lambda *a: loss(JAX, *a), count))(*given)
        expected = [np.asarray(x) for x in jax.tree.leaves(theirs)]
    for found in plan(first_and_second(bl, lambda *a: loss(OURS, *a), count), given):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
