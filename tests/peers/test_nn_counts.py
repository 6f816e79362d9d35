"""Counts of operations beside torch's FlopCounterMode, and the spread of first values beside jax's initialisers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.nn.initialisers import INITIALISERS, TruncatedNormal

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn


def counted_by_torch(model: Any, shape: tuple[int, ...]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(shape))
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("layer", "twin", "shape"),
    [
        (nn.Dense(7, use_bias=False), T.Linear(5, 7, bias=False), (4, 5)),
        (nn.Dense(7, use_bias=False), T.Linear(5, 7, bias=False), (4, 3, 5)),
        (nn.Conv1d(6, 3, 2, use_bias=False), T.Conv1d(4, 6, 3, 2, bias=False), (2, 4, 9)),
        (nn.Conv2d(6, (3, 2), 2, 1, use_bias=False), T.Conv2d(4, 6, (3, 2), 2, 1, bias=False), (2, 4, 9, 8)),
        (nn.Conv2d(6, 3, dilation=2, groups=2, use_bias=False), T.Conv2d(4, 6, 3, dilation=2, groups=2, bias=False),
         (3, 4, 7, 7)),
        (nn.Conv3d(3, 2, use_bias=False), T.Conv3d(2, 3, 2, bias=False), (1, 2, 4, 4, 4)),
        (nn.ConvTranspose2d(6, 3, 2, use_bias=False), T.ConvTranspose2d(4, 6, 3, 2, bias=False), (2, 4, 5, 6)),
    ],
    ids=lambda x: repr(x) if isinstance(x, nn.Layer) else "",
)  # fmt: skip
def test_products_and_convolutions(layer: nn.Layer, twin: Any, shape: tuple[int, ...]) -> None:
    assert layer.summary(shape[1:], batch=shape[0]).flops == counted_by_torch(twin, shape)


@pytest.mark.parametrize("name", [n for n in INITIALISERS if n.split("_")[0] in ("glorot", "he", "lecun")])
@pytest.mark.parametrize("shape", [(200, 300), (20, 30, 3, 3)])
def test_variances_are_those_of_jax(name: str, shape: tuple[int, ...]) -> None:
    jax = pytest.importorskip("jax")
    axes = {"in_axis": 0, "out_axis": 1} if len(shape) == 2 else {"in_axis": 1, "out_axis": 0}
    theirs = np.asarray(getattr(jax.nn.initializers, name)(**axes)(jax.random.key(0), shape))
    window = int(np.prod(shape[2:]))
    fans = (shape[axes["in_axis"]] * window, shape[axes["out_axis"]] * window)
    ours = INITIALISERS[name](bl.random.key(0), shape, *fans).numpy()
    spread = 5 * np.sqrt(4 / ours.size)  # five standard deviations of the quotient of two sample variances
    assert abs(ours.var() / theirs.var() - 1) < spread
    assert abs(abs(ours).max() / abs(theirs).max() - 1) < 0.02


def test_the_truncated_normal_is_that_of_torch() -> None:
    theirs = T.init.trunc_normal_(torch.empty(300, 400), std=0.2, a=-0.4, b=0.4).numpy()
    ours = TruncatedNormal(0.2)(bl.random.key(0), (300, 400), 1, 1).numpy()
    assert abs(ours.var() / theirs.var() - 1) < 5 * np.sqrt(4 / ours.size)
