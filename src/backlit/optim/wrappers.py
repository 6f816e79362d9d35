"""What can be put around an optimizer: a rate that is set from outside, averages of the weights, accumulation.

>>> import backlit as bl
>>> from backlit import optim
>>> optimizer = optim.rate_scaled(optim.sgd(0.1))
>>> p = bl.tensor(1.0)
>>> state = optim.with_scale(optimizer.init(p), 0.5)
>>> optimizer.update(p, p, state)[0]
tensor(0.95, dtype=float32)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError, shown
from ..base.trees import tree_map
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.comparison import where
from ..ops.control import cond
from ..ops.movement import copy
from .checks import fraction, not_negative, whole
from .optimizer import Optimizer, zeros


class Scaled(NamedTuple):
    """State of `rate_scaled`: the factor of the learning rate (float64, shape ()), and the optimizer's own state."""

    scale: Tensor
    inner: Any


def rate_scaled(optimizer: Optimizer) -> Optimizer:
    """`optimizer` with a learning rate that can be scaled between updates, without tracing or compiling anew.

    The factor is a leaf of the state, 1 at the beginning. `with_scale` sets it; a schedule inside goes on beneath it.
    """

    def init(params: Any) -> Scaled:
        return Scaled(Tensor(1.0, np.float64), optimizer.init(params))

    @no_grad()
    def update(params: Any, gradients: Any, state: Scaled, scale: Any = None) -> tuple[Any, Scaled]:
        factor = state.scale if scale is None else state.scale * scale
        params, inner = optimizer.update(params, gradients, state.inner, factor)
        return params, Scaled(state.scale, inner)

    return Optimizer(init, update, _rate_of(optimizer, lambda state: as_tensor(state.scale).astype(np.float32)))


def with_scale(state: Any, scale: float) -> Any:
    """The state of a `rate_scaled` optimizer, with another factor of the learning rate."""
    if not isinstance(state, Scaled):
        raise ArgumentError(
            f"with_scale: expected the state of optim.rate_scaled(...), got {type(state).__name__}; put rate_scaled "
            "around everything else."
        )
    not_negative(scale=scale)
    return Scaled(Tensor(float(scale), np.float64), state.inner)


class Averaged(NamedTuple):
    """State of `ema`: the running mean of the parameters, and the optimizer's own state."""

    average: Any
    inner: Any


def ema(optimizer: Optimizer, decay: float = 0.999) -> Optimizer:
    """`optimizer`, and beside it an exponential running mean of the parameters, which `averaged(state)` gives.

    The mean begins as the parameters given to `init`; after each update it is `decay·mean + (1 - decay)·p`
    (Polyak & Juditsky 1992 average; this form: Tarvainen & Valpola 2017, equation 2).
    """
    fraction(decay=decay)

    def init(params: Any) -> Averaged:
        return Averaged(tree_map(_kept, params), optimizer.init(params))

    @no_grad()
    def update(params: Any, gradients: Any, state: Averaged, scale: Any = None) -> tuple[Any, Averaged]:
        params, inner = optimizer.update(params, gradients, state.inner, scale)
        mean = tree_map(lambda m, p: m + (1 - decay) * (p - m), state.average, params)
        return params, Averaged(mean, inner)

    return Optimizer(init, update, _rate_of(optimizer))


def averaged(state: Any) -> Any:
    """The averaged parameters in the state of an optimizer with `ema` in it."""
    found = _find(state)
    if len(found) != 1:
        raise ArgumentError(
            f"averaged: expected a state with one optim.ema(...) in it, found {len(found) or 'none'} in {shown(state)}."
        )
    return found[0].average


def _kept(p: Any) -> Tensor:
    """The value of its own that an average begins with: nobody writes to it where `p` is written to."""
    p = as_tensor(p)
    return copy(p) if p.value is None else Tensor(np.array(p.value))


def _find(state: Any) -> list[Averaged]:
    if isinstance(state, Averaged):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, tuple) else ()
    return [found for part in parts for found in _find(part)]


class Accumulated(NamedTuple):
    """State of `accumulate`: gradients since the last step (int32), their sum, and the optimizer's own state."""

    seen: Tensor
    total: Any
    inner: Any


def accumulate(optimizer: Optimizer, n: int) -> Optimizer:
    """`optimizer` at every n-th update, with the mean of n gradients; the parameters stand still between.

    So n small batches make the step of one large batch. Schedules inside count the steps that are taken.
    """
    whole(n=n)

    def init(params: Any) -> Accumulated:
        return Accumulated(Tensor(0, np.int32), tree_map(lambda p: zeros(as_tensor(p)), params), optimizer.init(params))

    @no_grad()
    def update(params: Any, gradients: Any, state: Accumulated, scale: Any = None) -> tuple[Any, Accumulated]:
        params = tree_map(as_tensor, params)
        total = tree_map(lambda t, g: t + g, state.total, gradients)
        full = as_tensor(state.seen) == n - 1

        def step(params: Any, inner: Any) -> tuple[Any, Any]:
            return optimizer.update(params, tree_map(lambda t: t / n, total), inner, scale)

        params, inner = cond(full, step, lambda params, inner: (params, inner), params, state.inner)
        total = tree_map(lambda t: where(full, 0.0, t), total)
        return params, Accumulated(where(full, 0, state.seen + 1).astype(np.int32), total, inner)

    return Optimizer(init, update, _rate_of(optimizer))


def _rate_of(optimizer: Optimizer, factor: Callable[[Any], Any] = lambda state: 1.0) -> Callable[[Any], Any] | None:
    """The rate of the optimizer inside, or rates if it has several, times a factor."""
    rate = optimizer.rate
    return rate and (lambda state: tree_map(lambda r: r * factor(state), rate(state.inner)))
