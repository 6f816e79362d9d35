"""Networks put together by chance: a step of training natively and eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn

PARTS: list[Callable[[], nn.Layer]] = [
    lambda: nn.Conv2d(4, 3, padding="same"),
    lambda: nn.Conv2d(2, 2, groups=1, activation="elu"),
    lambda: nn.ConvTranspose2d(4, 2, 2, "same"),
    nn.BatchNorm,
    nn.InstanceNorm,
    nn.ReLU,
    lambda: nn.MaxPool2d(2, padding="same"),
    lambda: nn.Residual(nn.Sequential(nn.GELU(), nn.Dropout(0.2))),
    lambda: nn.Concat(nn.Conv2d(2, 1), nn.AvgPool2d(3, stride=1, padding="same")),
    lambda: nn.PReLU(per_channel=True),
    lambda: nn.ChannelDropout(0.3),
]


@pytest.mark.parametrize("seed", range(6))
def test_a_step_of_training(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [PARTS[i]() for i in rng.integers(0, len(PARTS), rng.integers(2, 6))]
    model = nn.Sequential(*parts, nn.Flatten(), nn.LayerNorm(), nn.Dense(3))
    x = bl.tensor(rng.normal(size=(4, int(rng.integers(1, 4)), 9, 8)))
    with bl.settings(default_dtype="float64"):
        model.build(x, key=seed)

    def step(p: Any, state: Any, x: Any) -> Any:
        def loss(p: Any) -> Any:
            y, new = model.apply({**state, **p}, x, training=True, key=bl.random.key(seed))
            return bl.mean(bl.sin(y)), new

        return bl.value_and_grad(loss, has_aux=True)(p)

    p = {path: value.detach() for path, value in model.parameters().items()}
    (a, state), slopes = step(p, model.state(), x)
    (b, other), native = bl.compile(step)(p, model.state(), x)
    assert b.item() == pytest.approx(a.item(), rel=1e-10)
    largest = max(abs(s.detach().numpy()).max() for s in slopes.values())
    for path, slope in slopes.items():
        np.testing.assert_allclose(native[path].numpy(), slope.detach().numpy(), rtol=1e-8, atol=1e-10 * largest)
    for path, value in state.items():
        np.testing.assert_allclose(other[path].numpy(), value.detach().numpy(), rtol=1e-10, atol=1e-12)
