"""One function in Backlit and in PyTorch, on the same numbers: values, gradients and gradients of gradients agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import backlit as bl

try:
    import torch
except ImportError:  # the tests that need it are skipped
    torch: Any = None


def agree(
    ours: Callable[..., Any], theirs: Callable[..., Any], inputs: Sequence[Any], tol: float = 1e-10, order: int = 2
) -> None:
    """Assert that two functions of arrays agree, in float64 or complex128, up to a relative error of `tol`.

    Random cotangents contract the results to a number, and its gradient once more; for complex numbers
    the gradient is the direction of steepest ascent in both libraries.
    """
    rng = np.random.default_rng(7)
    mine = [bl.tensor(x, requires_grad=True) for x in inputs]
    yours = [torch.tensor(x, requires_grad=True) for x in inputs]
    left, right = _several(ours(*mine)), _several(theirs(*yours))
    for level in range(order + 1):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            _close(a, b, tol * 10**level, "value" if level == 0 else f"gradient of order {level}")
        if level == order:
            return
        weights = [_normal(rng, a) for a in left]
        number = sum(_real(bl.sum(a * np.conj(c))) for a, c in zip(left, weights, strict=True))
        twin = sum((b * torch.tensor(np.conj(c))).real.sum() for b, c in zip(right, weights, strict=True))
        if not twin.requires_grad:
            return
        for t in mine:
            t.grad = None
        if number.requires_grad:  # else no path: the gradients must be zero
            number.backward(create_graph=level + 1 < order, retain_graph=True)
        found = torch.autograd.grad(twin, yours, create_graph=True, allow_unused=True)
        kept = [i for i, g in enumerate(found) if g is not None]
        left, right = [_gradient(mine[i]) for i in kept], [found[i] for i in kept]


def _several(out: Any) -> list[Any]:
    return list(out) if isinstance(out, (tuple, list)) else [out]


def _real(x: Any) -> Any:
    return bl.real(x) if x.dtype.kind == "c" else x


def _gradient(t: Any) -> Any:
    return t.grad if t.grad is not None else bl.zeros_like(t)


def _normal(rng: Any, like: Any) -> Any:
    c = rng.normal(size=like.shape)
    return c + 1j * rng.normal(size=like.shape) if like.dtype.kind == "c" else c


def _close(a: Any, b: Any, tol: float, what: str) -> None:
    b = b.detach().resolve_conj().numpy(force=True)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    scale = max(1.0, float(np.abs(b).max(initial=0)))
    np.testing.assert_allclose(a.numpy(), b, rtol=tol, atol=tol * scale, err_msg=what)
