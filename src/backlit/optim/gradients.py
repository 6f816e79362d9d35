"""Changes of gradients before an optimizer sees them: clipping, and `chain`, which puts such functions in front of one.

>>> import backlit as bl
>>> from backlit import optim
>>> optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1))
>>> p = {"x": bl.tensor([3.0, 4.0])}
>>> p, _ = optimizer.update(p, p, optimizer.init(p))
>>> p["x"]
tensor([2.94, 3.92], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ..base.config import no_grad
from ..base.dtypes import COMPLEX
from ..base.errors import ArgumentError, shown
from ..base.trees import leaves, tree_map
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.comparison import clip, minimum
from .checks import positive
from .optimizer import Optimizer

#: A function of a tree of gradients that gives a tree of the same structure.
Transform = Callable[[Any], Any]

#: Added to a norm before something is divided by it, as in torch.nn.utils.clip_grad_norm_.
_LEAST = 1e-6


def chain(*parts: Any) -> Optimizer:
    """An optimizer whose gradients go through functions first: `chain(clip_by_global_norm(1.0), adam(1e-3))`.

    Args:
        *parts: functions that take a tree of gradients and return one like it, such as the `clip_by` functions of this
            module or any of your own; then the optimizer.
    """
    *transforms, last = parts or (None,)
    if not isinstance(last, Optimizer):
        raise ArgumentError(f"chain: expected an optimizer as the last part, got {shown(last)}.")
    for transform in transforms:
        if isinstance(transform, Optimizer) or not callable(transform):
            raise ArgumentError(
                f"chain: expected functions of gradients before the optimizer, got {shown(transform)}; "
                "only the last part is an optimizer."
            )

    @no_grad()
    def update(params: Any, gradients: Any, state: Any, scale: Any = None) -> tuple[Any, Any]:
        return last.update(params, reduce(lambda g, transform: transform(g), transforms, gradients), state, scale)

    return Optimizer(last.init, update, last.rate)


def clip_by_value(limit: float) -> Transform:
    """Each number of the gradients brought into the range from `-limit` to `limit`."""
    positive(limit=limit)
    return lambda gradients: tree_map(lambda g: clip(as_tensor(g), -limit, limit), gradients)


def clip_by_norm(max_norm: float) -> Transform:
    """Each array scaled down, where needed, so that its Euclidean norm is at most `max_norm`."""
    positive(max_norm=max_norm)
    return lambda gradients: tree_map(lambda g: _scaled(as_tensor(g), _factor(max_norm, global_norm(g))), gradients)


def clip_by_global_norm(max_norm: float) -> Transform:
    """All gradients scaled down by one factor, where needed, so that their norm together is at most `max_norm`.

    Source: Pascanu, Mikolov & Bengio 2013, algorithm 1; with the 1e-6 that PyTorch adds to the norm.
    """
    positive(max_norm=max_norm)

    def clipped(gradients: Any) -> Any:
        factor = _factor(max_norm, global_norm(gradients))
        return tree_map(lambda g: _scaled(as_tensor(g), factor), gradients)

    return clipped


def global_norm(tree: Any) -> Tensor:
    """The Euclidean norm of all numbers of a tree together, at least in float32."""
    return as_tensor(sum((_square(as_tensor(x)) for x in leaves(tree)), Tensor(0.0, np.float32))).sqrt()


def _square(x: Tensor) -> Tensor:
    x = abs(x) if x.dtype.char in COMPLEX else x
    x = x.astype(np.result_type(x.dtype, np.float32))
    return (x * x).sum()


def _factor(max_norm: float, norm: Tensor) -> Tensor:
    return minimum(max_norm / (norm + _LEAST), 1.0)


def _scaled(g: Tensor, factor: Tensor) -> Tensor:
    return g * factor.astype(np.finfo(g.dtype).dtype)
