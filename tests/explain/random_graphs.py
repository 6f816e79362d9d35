"""Random graphs of a given size, of scalars or of tensors: what the identities of explanations are tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import backlit as bl

from ..programs import ALONG, BINARY, MATRIX, UNARY, Ours

SHAPES = [(), (3,), (2, 3), (1, 3), (2, 1), (4,), (2, 2, 3)]
#: Larger results are squeezed by a tanh, so that a thousand ops in a row stay finite.
LARGE = 2.0
#: Only arrays with fewer elements go through ops that may make more of them.
FEW = 24
#: How far back the inputs of a step are mostly taken from: the depth of the graph grows with its size.
NEAR = 12

Step = tuple[str, str, int, int]


class RandomGraph:
    """A function of some float64 arrays, whose graph has about `nodes` nodes that all lead to its result, a number.

    Args:
        seed: of what is drawn.
        nodes: how many; a few more are made.
        scalars: are all values single numbers?

    Attributes:
        inputs: where the function is to be called: `graph(*map(bl.tensor, graph.inputs))`.
        steps: what is computed: the kind and the name of an op, and the places of its inputs.
    """

    def __init__(self, seed: int, nodes: int, *, scalars: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        shapes = [()] if scalars else SHAPES
        self.inputs = [self.rng.normal(size=self._pick(shapes)) for _ in range(self._pick([1, 2, 3, 4]))]
        self.steps: list[Step] = []
        values = [bl.tensor(x, requires_grad=True) for x in self.inputs]
        first = values[0].node.serial
        unused = set(range(len(values)))
        while values[-1].node.serial - first < nodes - 4 * len(unused):
            step = self._drawn(values)
            for s in (step, ("unary", "tanh", len(values), -1)):
                values.append(applied(s, values))
                self.steps.append(s)
                unused = (unused - {s[2], s[3]}) | {len(values) - 1}
                if np.max(np.abs(values[-1].numpy()), initial=0.0) <= LARGE:
                    break
        self.unused = sorted(unused)

    def __call__(self, *xs: Any) -> Any:
        values = list(xs)
        for step in self.steps:
            values.append(applied(step, values))
        total: Any = 0.0
        for i in self.unused:
            total = total + bl.sum(bl.sin(values[i] + 0.1 * i))
        return total

    def _drawn(self, values: Sequence[Any]) -> Step:
        newest = len(values) - 1
        i = self._near(newest)
        x = values[i]
        kinds = ["unary", "binary", "binary"]
        if x.size < FEW:
            kinds += ["along"] * (0 < x.ndim < 4) + ["matrix"] * (1 < x.ndim < 4)
        kind = self._pick(kinds)
        if kind == "binary":
            fitting = [k for k in range(max(0, newest - 4 * NEAR), newest + 1) if _broadcast(x.shape, values[k].shape)]
            return kind, self._pick(sorted(BINARY)), i, self._pick(fitting or [i])
        if kind == "along":
            return kind, self._pick(sorted(ALONG)), i, -1 - self._pick(range(x.ndim))
        return kind, self._pick(sorted(UNARY if kind == "unary" else MATRIX)), i, -1

    def _near(self, newest: int) -> int:
        back = self.rng.integers(0, NEAR) if self.rng.random() < 0.9 else self.rng.integers(0, newest + 1)
        return max(0, newest - int(back))

    def _pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(0, len(options)))]


def applied(step: Step, values: Sequence[Any]) -> Any:
    kind, name, i, j = step
    x = values[i]
    if kind == "unary":
        return UNARY[name](Ours(), x)
    if kind == "binary":
        return BINARY[name](Ours(), x, values[j])
    if kind == "along":
        return ALONG[name](Ours(), x, -1 - j)
    return MATRIX[name](Ours(), x)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    both: Callable[..., Any] = np.broadcast_shapes
    try:
        return int(np.prod(both(a, b))) <= FEW
    except ValueError:
        return False
