"""`Evaluation`: loss and metrics of a model on data, batch by batch in native loops, exact for any size of batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..base.config import no_grad
from ..base.trees import tree_map
from ..data import Loader
from ..graph.tensor import Tensor
from ..modes.pace import Pace
from ..nn import Layer
from .blocks import blocks
from .goals import Goal
from .steps import evaluation_loop


class Evaluation:
    """A function from parameters and buffers and a loader to figures by name; compiled once for each size of batch."""

    def __init__(self, model: Layer, goal: Goal, threads: int | None = None) -> None:
        self._goal = goal
        self._loop = evaluation_loop(model, goal, threads)

    def __call__(self, values: Mapping[str, Any], data: Loader) -> dict[str, Any]:
        """The mean loss, and the metrics, on all samples."""
        losses = Tensor(np.zeros(data.steps, np.float32))
        sums: Any = tree_map(lambda x: Tensor(np.zeros_like(x)), self._goal.blank)
        sizes: list[int] = []
        with no_grad():
            for block in blocks(data, 0):
                start, pace = block.start, Pace()
                while start < block.stop:
                    stop = start + pace.next(block.stop - start)
                    losses, sums = self._loop(
                        dict(values), losses, sums, block.data, block.order, np.int64(block.first), np.int64(start),
                        np.int64(stop),
                    )  # fmt: skip
                    start = stop
                sizes += [block.size] * (block.stop - block.start)
        mean = float(np.average(losses.numpy().astype(np.float64), weights=sizes))
        return {"loss": mean} | {m.name: m.value(sums[m.name].numpy()) for m in self._goal.metrics}
