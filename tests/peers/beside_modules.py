"""A layer beside a module of torch.nn, on the same numbers: outputs, and gradients of parameters and inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn

torch: Any
try:
    import torch
except ImportError:  # the tests that need it are skipped
    torch = None


def random_values(model: nn.Layer, seed: int = 1) -> dict[str, np.ndarray]:
    """Values for all parameters of a model, in float64, all different from what is there at first."""
    rng = np.random.default_rng(seed)
    return {path: rng.normal(size=p.shape) * 0.4 for path, p in model.parameters().items()}


def same(
    model: nn.Layer,
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    *,
    compiled: bool = True,
    tol: float = 1e-10,
) -> None:
    """Assert that a built model agrees with a function in torch, in eager mode and as a plan.

    Args:
        ours: `ours(run, *inputs)` gives a list of outputs, where `run(*inputs, **options)` calls the model.
        theirs: `theirs(params, *inputs)` gives the same from the model's parameters as torch Tensors by path.
    """
    rng = np.random.default_rng(7)
    values = random_values(model)
    params = {path: torch.tensor(v, requires_grad=True) for path, v in values.items()}
    xs = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = theirs(params, *xs)
    weights = [rng.normal(size=tuple(e.shape)) for e in expected]
    sum((e * torch.tensor(w)).sum() for e, w in zip(expected, weights, strict=True)).backward()

    def loss(params: Any, xs: Any) -> Any:
        out = ours(lambda *a, **options: model.apply(params, *a, **options)[0], *xs)
        return sum(bl.sum(o * w) for o, w in zip(out, weights, strict=True)), out

    def step(params: Any, xs: Any) -> Any:
        (_, out), gradients = bl.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, xs)
        return out, gradients

    for function in (step, bl.compile(step)) if compiled else (step,):
        out, (by_params, by_inputs) = function(
            {path: bl.tensor(v) for path, v in values.items()}, [bl.tensor(x) for x in inputs]
        )
        assert len(out) == len(expected)
        for i, (mine, yours) in enumerate(zip(out, expected, strict=True)):
            _close(mine, yours.detach(), tol, f"output {i}")
        for i, (mine, yours) in enumerate(zip(by_inputs, xs, strict=True)):
            _close(mine, yours.grad, tol, f"gradient of input {i}")
        for path, mine in by_params.items():
            _close(mine, params[path].grad, tol, f"gradient of {path}")


def _close(mine: Any, yours: Any, tol: float, what: str) -> None:
    yours = yours.numpy()
    assert mine.shape == yours.shape, f"{what}: shapes {mine.shape} and {yours.shape}"
    scale = max(1.0, float(np.abs(yours).max(initial=0)))
    np.testing.assert_allclose(mine.numpy(), yours, rtol=tol, atol=tol * scale, err_msg=what)
