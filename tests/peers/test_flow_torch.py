"""The factor of each layer, beside the gradients that PyTorch's hooks see before and behind it."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.explain.flow import flow_of
from backlit.explain.tape import tape_of

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_factors_are_those_of_torch(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 12)), rng.normal(size=(32, 4))
    sizes = [12, 16, 16, 8, 4]
    with bl.settings(default_dtype=bl.float64):
        model = nn.Sequential(*[nn.Dense(n, activation=name) for n in sizes[1:]])
        model(x)
        tape = tape_of(lambda p: bl.mean((model.apply(p, x)[0] - y) ** 2), model.parameters())
    flow = flow_of(tape)

    theirs = torch.tensor(x, requires_grad=True)
    signals = []
    for i in range(len(sizes) - 1):
        w, b = (torch.tensor(model.parameters()[f"{i}.{part}"].numpy()) for part in ("weight", "bias"))
        theirs = getattr(torch, name)(theirs @ w + b)
        theirs.retain_grad()
        signals.append(theirs)
    torch.mean((theirs - torch.tensor(y)) ** 2).backward()
    norms = [float(torch.linalg.norm(s.grad)) for s in signals]
    parts = {part.path: part for part in flow.layers}
    for i in range(1, len(norms)):
        assert parts[str(i)].ratio == pytest.approx(norms[i - 1] / norms[i], rel=1e-9)
