"""Gradient descent, with momentum, and Adam: each is a pair `init`, `update` over trees of parameters.

>>> import backlit as bl
>>> from backlit import optim
>>> optimizer = optim.adam(0.1)
>>> x = {"x": bl.tensor(5.0)}
>>> state = optimizer.init(x)
>>> for _ in range(200):
...     gradients = bl.grad(lambda p: (p["x"] - 3.0) * (p["x"] - 3.0))(x)
...     x, state = optimizer.update(x, gradients, state)
>>> round(x["x"].item(), 2)
3.0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError
from ..base.trees import leaves, rebuild, same_structure, tree_map
from ..graph.tensor import Tensor
from ..ops.creation import zeros_of
from ..ops.exponential import expm1


class Optimizer(NamedTuple):
    """How parameters follow their gradients; neither function changes its arguments.

    Attributes:
        init: `init(params) -> state`.
        update: `update(params, gradients, state) -> (params, state)`.
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], tuple[Any, Any]]


def sgd(lr: float) -> Optimizer:
    """Gradient descent: `p - lr·g`."""
    _positive(lr=lr)

    @no_grad()
    def update(params: Any, gradients: Any, state: tuple[()]) -> tuple[Any, tuple[()]]:
        return tree_map(lambda p, g: p - lr * g, params, gradients), state

    return Optimizer(lambda params: (), update)


def momentum(lr: float, decay: float = 0.9) -> Optimizer:
    """Gradient descent with momentum (Polyak 1964): `v = decay·v + g`, `p - lr·v`."""
    _positive(lr=lr)
    _decay(decay=decay)

    @no_grad()
    def update(params: Any, gradients: Any, velocity: Any) -> tuple[Any, Any]:
        velocity = tree_map(lambda v, g: decay * v + g, velocity, gradients)
        return tree_map(lambda p, v: p - lr * v, params, velocity), velocity

    return Optimizer(_zeros, update)


class AdamState(NamedTuple):
    """Steps taken, and the running means of the gradient and of its square."""

    step: Tensor
    mean: Any
    square: Any


def adam(lr: float = 1e-3, decay: float = 0.9, decay_square: float = 0.999, epsilon: float = 1e-8) -> Optimizer:
    """Adam (Kingma & Ba 2015, algorithm 1): steps of about `lr` in each parameter, whatever its gradient's size."""
    _positive(lr=lr, epsilon=epsilon)
    _decay(decay=decay, decay_square=decay_square)

    def init(params: Any) -> AdamState:
        return AdamState(Tensor(0.0, np.float32), _zeros(params), _zeros(params))

    @no_grad()
    def update(params: Any, gradients: Any, state: AdamState) -> tuple[Any, AdamState]:
        same_structure(params, gradients, where="adam")
        step = state.step + 1
        m_scale, v_scale = _one_minus_power(decay, step), _one_minus_power(decay_square, step)
        # m̂ / (√v̂ + ε) with the two corrections taken out of it, so that each parameter costs one root and one division.
        rate, root = lr / m_scale, 1 / v_scale.sqrt()
        rows = []
        for p, g, m, v in zip(*map(leaves, (params, gradients, state.mean, state.square)), strict=True):
            m = decay * m + (1 - decay) * g
            v = decay_square * v + (1 - decay_square) * (g * g)
            rows.append((p - rate / (v.sqrt() * root + epsilon) * m, m, v))
        new = [rebuild(params, iter(column)) for column in zip(*rows, strict=True)]
        return new[0], AdamState(step, new[1], new[2])

    return Optimizer(init, update)


def _one_minus_power(decay: float, step: Tensor) -> Tensor:
    """`1 - decay**step` without the cancellation that costs float32 four digits in Adam's first steps."""
    return -expm1(step * (math.log(decay) if decay else -math.inf))


def _zeros(params: Any) -> Any:
    return tree_map(lambda p: Tensor(zeros_of(p)), params)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ArgumentError(f"{name}: expected a positive number, got {value}.")


def _decay(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ArgumentError(f"{name}: expected a number from 0 up to, but not including, 1, got {value}.")
