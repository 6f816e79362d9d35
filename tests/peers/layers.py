"""A layer beside its twin in torch.nn: output, gradients by input and parameters, and buffers after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn

torch: Any = pytest.importorskip("torch")

#: Names in torch.nn for those here, and how a value there is laid out here.
NAMES = {
    "scale": "weight",
    "shift": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}


def twin_name(path: str) -> str:
    """Where the twin keeps what a layer keeps at `path`."""
    front, dot, last = path.rpartition(".")
    return front + dot + NAMES.get(last, last)


Layout = Callable[[np.ndarray], np.ndarray]


def same(
    layer: nn.Layer,
    twin: Any,
    *inputs: np.ndarray,
    training: bool = False,
    layout: Mapping[str, Layout] | None = None,
    seed: int = 0,
) -> None:
    """Check that a layer equals its twin in float64 to 1e-10, with the twin's parameters, drawn anew."""
    rng = np.random.default_rng(seed)
    twin = twin.double().train(training)
    layout = layout or {}
    with torch.no_grad():
        for p in twin.parameters():
            p.copy_(torch.from_numpy(rng.normal(size=tuple(p.shape))))
        for b in twin.buffers():
            if b.dtype.is_floating_point:
                b.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, size=tuple(b.shape))))
    theirs = {**dict(twin.named_parameters()), **dict(twin.named_buffers())}

    def ours(path: str, value: Any) -> np.ndarray:
        return layout.get(path, np.asarray)(value.detach().numpy().copy())

    with bl.settings(default_dtype="float64"):
        layer.build(*inputs)
        values = {path: ours(path, theirs[twin_name(path)]) for path in layer.values()}
        layer.load_values(values)
        arguments = [torch.from_numpy(x.copy()) for x in inputs]
        for a in arguments:
            a.requires_grad_(a.dtype.is_floating_point)
        expected = twin(*arguments)
        weights = rng.normal(size=tuple(expected.shape))
        (expected * torch.from_numpy(weights)).sum().backward()

        moving = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

        def loss(p: Any, *xs: Any) -> Any:
            full = [xs[moving.index(i)] if i in moving else x for i, x in enumerate(inputs)]
            y, state = layer.apply(p, *full, training=training)
            return bl.sum(y * weights), (y, state)

        by = tuple(range(1 + len(moving)))
        (_, (y, state)), (slopes, *by_input) = bl.value_and_grad(loss, argnums=by, has_aux=True)(
            layer.parameters(), *(bl.tensor(inputs[i]) for i in moving)
        )
    close(y.detach().numpy(), expected.detach().numpy(), "output")
    for i, g in zip(moving, by_input, strict=True):
        close(g.numpy(), arguments[i].grad.numpy(), f"gradient by input {i}")
    for path, g in slopes.items():
        close(g.numpy(), layout.get(path, np.asarray)(theirs[twin_name(path)].grad.numpy()), f"gradient by {path}")
    for path, b in state.items():
        close(b.detach().numpy(), theirs[twin_name(path)].numpy(), path)


def close(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    np.testing.assert_allclose(
        found, expected, rtol=1e-10, atol=1e-10 * max(1.0, abs(expected).max(initial=0)), err_msg=what
    )
