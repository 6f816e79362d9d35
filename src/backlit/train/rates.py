"""`find_learning_rate`: a short training whose rate rises, to see where the loss falls and where it breaks."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError
from ..base.higher import higher
from ..base.shapes import as_index
from ..graph.tensor import Tensor
from ..nn import Layer
from ..ops.random import key as random_key
from ..optim import Optimizer, exponential
from .blocks import blocks
from .fitting import loaders, optimizer_of
from .goals import Loss, goal_of
from .steps import State, training_loop

Array = np.ndarray[Any, Any]


class RateCurve(NamedTuple):
    """What `find_learning_rate` saw.

    Attributes:
        rates: the learning rates tried, rising.
        losses: the loss at each, a mean over neighbouring steps, up to where training broke.
        suggestion: a tenth of the rate with the smallest loss (Howard & Gugger 2020, 'Deep Learning for Coders',
            chapter 5).
    """

    rates: Array
    losses: Array
    suggestion: float

    def picture(self, path: str | Path) -> None:
        """Draw loss against rate into a PNG file."""
        higher("rate_curve")(path, self)


def find_learning_rate(
    model: Layer, x: Any, y: Any = None, *, optimizer: str | Callable[[Any], Optimizer] = "adam",
    lowest: float = 1e-6, highest: float = 1.0, steps: int = 200, batch_size: int = 32, loss: str | Loss = "auto",
    seed: int = 0, threads: int | None = None,
) -> RateCurve:  # fmt: skip
    """Train a copy of a model while the learning rate rises exponentially: the range test of Smith 2017, 'Cyclical
    Learning Rates for Training Neural Networks', section 3.3. The steps run natively; the model is left as it is.

    Args:
        model, x, y, batch_size, loss, seed, threads: as for `fit`.
        optimizer: the name of one, or a function of the rate: `lambda lr: optim.sgd(lr, momentum=0.9)`.
        lowest, highest: the range of rates.
        steps: how many steps lead through it; neighbouring ones, a twentieth, are averaged.

    Raises:
        ArgumentError: the range is empty, or the loss is no finite number even at its low end.

    >>> import backlit as bl, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
    >>> model = bl.nn.Sequential(bl.nn.Dense(16, "tanh"), bl.nn.Dense(1))
    >>> found = bl.train.find_learning_rate(model, x, x[:, 0] * x[:, 1])
    >>> 1e-4 < found.suggestion < 1
    True
    """
    steps = as_index(steps, "steps", "find_learning_rate")
    if not 0 < lowest < highest < np.inf or steps < 20:
        raise ArgumentError(
            f"find_learning_rate: expected 0 < lowest < highest and 20 steps or more, got lowest={lowest}, "
            f"highest={highest}, steps={steps}."
        )
    growth = (highest / lowest) ** (1 / (steps - 1))
    rate = exponential(lowest, growth)
    losses = _losses(
        deepcopy(model), x, y, optimizer_of(optimizer, rate) if isinstance(optimizer, str) else optimizer(rate),
        steps, batch_size, loss, seed, threads,
    )  # fmt: skip
    finite = np.isfinite(losses)
    whole = losses if finite.all() else losses[: np.argmin(finite)]
    width = steps // 20
    if len(whole) < width:
        raise ArgumentError(
            f"find_learning_rate: the loss is no finite number from step {len(whole) + 1} on, at the rate "
            f"{lowest * growth ** len(whole):.2g}; look at the data, or begin with a smaller rate, lowest=."
        )
    smooth = np.convolve(
        whole, np.full(width, 1 / width), "valid"
    )  # centred: what trails behind would suggest too much
    rates = lowest * growth ** (np.arange(len(smooth)) + (width - 1) / 2)
    return RateCurve(rates, smooth, float(rates[np.argmin(smooth)] / 10))


def _losses(
    model: Layer, x: Any, y: Any, optimizer: Optimizer, steps: int, batch_size: int, loss: str | Loss, seed: int,
    threads: int | None,
) -> Array:  # fmt: skip
    """The loss of each of so many steps, for as many epochs as they take."""
    data, _ = loaders(x, y, None, batch_size, None, seed=seed)
    goal = goal_of(model, data.read(data.rows(0)[:1]), loss, [], seed=seed)
    goal.check(data, "find_learning_rate")
    # the loop takes the memory of its state
    params, buffers = ({k: Tensor(v.numpy().copy()) for k, v in d.items()} for d in (model.parameters(), model.state()))
    state = State(params, buffers, optimizer.init(params), Tensor(0, np.int64))
    loop = training_loop(model, goal, optimizer, threads)
    found: list[Array] = []
    with no_grad():
        for epoch in range(-(-steps // data.steps)):
            seen, sums = Tensor(np.zeros(data.steps, np.float32)), {}
            for block in blocks(data, epoch):
                state, seen, sums = loop(
                    state, seen, sums, block.data, block.order, np.int64(block.first), np.int64(block.start),
                    np.int64(block.stop), random_key(seed),
                )  # fmt: skip
            found.append(seen.numpy())
    return np.concatenate(found)[:steps].astype(np.float64)
