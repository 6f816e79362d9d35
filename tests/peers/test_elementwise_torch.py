"""Elementwise functions, activations and losses beside PyTorch in float64: values and gradients to 1e-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl

torch = pytest.importorskip("torch")
F = torch.nn.functional

RNG = np.random.default_rng(0)
ANY = np.concatenate([RNG.normal(size=40) * 3, [0.0, -1000.0, 1000.0, 3.0, -3.0, 6.0]])
UNIT, POSITIVE = RNG.uniform(-0.99, 0.99, 40), RNG.uniform(0.01, 9, 40)
MATRIX, OTHER = RNG.normal(size=(6, 5)) * 4, RNG.normal(size=(6, 5)) * 4
LABELS, SOFT = RNG.integers(0, 5, 6), RNG.dirichlet(np.ones(5), 6)

SAME: dict[str, Any] = {
    **dict.fromkeys("abs sin cos atan tanh asinh square sign floor ceil trunc round".split(), ANY),  # noqa: SIM905
    **dict.fromkeys(("asin", "acos", "atanh", "erfinv", "tan"), UNIT),
    **dict.fromkeys(("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "lgamma", "digamma"), POSITIVE),
    **dict.fromkeys(("exp", "expm1", "sinh", "cosh", "erf", "erfc", "sinc"), MATRIX[0]),
}

#: Where PyTorch itself is that far off: constants rounded to float32, and a trigamma of ten digits.
PYTORCH_IS_OFF = {"celu": 1e-6, "hard_sigmoid": 1e-7, "digamma": 1e-8, "polygamma": 1e-8}

ACTIVATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sigmoid": (bl.sigmoid, torch.sigmoid), "log_sigmoid": (bl.log_sigmoid, F.logsigmoid),
    "softsign": (bl.softsign, F.softsign), "silu": (bl.silu, F.silu), "mish": (bl.mish, F.mish),
    "softplus": (bl.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "relu": (bl.relu, F.relu), "relu6": (bl.relu6, F.relu6), "leaky_relu": (bl.leaky_relu, F.leaky_relu),
    "elu": (lambda x: bl.elu(x, alpha=0.7), lambda x: F.elu(x, alpha=0.7)), "selu": (bl.selu, F.selu),
    "celu": (lambda x: bl.celu(x, alpha=0.7), lambda x: F.celu(x, alpha=0.7)), "gelu": (bl.gelu, F.gelu),
    "gelu tanh": (lambda x: bl.gelu(x, approximate="tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "hard_tanh": (bl.hard_tanh, F.hardtanh), "hard_sigmoid": (bl.hard_sigmoid, F.hardsigmoid),
    "hard_swish": (bl.hard_swish, F.hardswish), "glu": (bl.glu, F.glu),
    "clip": (lambda x: bl.clip(x, -1.0, 3.0), lambda x: torch.clip(x, -1.0, 3.0)),
    "pow 3": (lambda x: x**3, lambda x: x**3), "softmax": (bl.softmax, lambda x: F.softmax(x, -1)),
    "log_softmax": (bl.log_softmax, lambda x: F.log_softmax(x, -1)),
    "logsumexp": (bl.logsumexp, lambda x: torch.logsumexp(x, 0)),
}  # fmt: skip

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "maximum": (bl.maximum, torch.maximum), "minimum": (bl.minimum, torch.minimum), "hypot": (bl.hypot, torch.hypot),
    "atan2": (bl.atan2, torch.atan2), "logaddexp": (bl.logaddexp, torch.logaddexp), "divide": (bl.divide, torch.divide),
    "remainder": (bl.remainder, torch.remainder), "copysign": (bl.copysign, torch.copysign),
    "multiply": (bl.multiply, torch.mul),
    "pow": (lambda a, b: bl.abs(a) ** b, lambda a, b: torch.abs(a) ** b),
    "mse": (bl.mse, F.mse_loss), "mae": (bl.mae, F.l1_loss),
    "huber": (lambda a, b: bl.huber(a, b, delta=2.0), lambda a, b: F.huber_loss(a, b, delta=2.0)),
    "bce": (bl.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits),
    "cross entropy": (bl.softmax_cross_entropy, F.cross_entropy),
}  # fmt: skip


def agree(ours: Callable[..., Any], theirs: Callable[..., Any], *args: Any, rtol: float = 1e-10) -> None:
    mine = [bl.tensor(a, requires_grad=True) for a in args]
    yours = [torch.tensor(a, requires_grad=True) for a in args]
    y, z = ours(*mine), theirs(*yours)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=rtol, atol=1e-12)
    weights = np.cos(np.arange(z.numel())).reshape(z.shape)
    y.backward(weights)
    z.backward(torch.tensor(weights))
    for a, b in zip(mine, yours, strict=True):
        found = np.zeros(a.shape) if a.grad is None else a.grad.numpy()
        np.testing.assert_allclose(found, b.grad.numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("name", SAME)
def test_functions_of_one_argument(name: str) -> None:
    agree(getattr(bl, name), getattr(torch, name), SAME[name], rtol=PYTORCH_IS_OFF.get(name, 1e-10))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    x = ANY[(abs(ANY) != 3) & (ANY != 6)] if name.startswith(("hard", "relu6", "clip")) else ANY
    agree(*ACTIVATIONS[name], x, rtol=PYTORCH_IS_OFF.get(name, 1e-10))


@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_two_arguments(name: str) -> None:
    agree(*PAIRS[name], MATRIX, SOFT if name in ("bce", "cross entropy") else OTHER)


def test_cross_entropy_of_class_numbers() -> None:
    agree(
        lambda x: bl.softmax_cross_entropy(x, LABELS), lambda x: F.cross_entropy(x, torch.tensor(LABELS)), MATRIX
    )  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3])
def test_polygamma(n: int) -> None:
    agree(lambda x: bl.polygamma(n, x), lambda x: torch.polygamma(n, x), POSITIVE, rtol=PYTORCH_IS_OFF["polygamma"])


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_are_shared_alike(name: str) -> None:
    agree(*PAIRS[name], MATRIX, np.where(MATRIX > 0, MATRIX, OTHER))
