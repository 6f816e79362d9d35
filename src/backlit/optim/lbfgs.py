"""L-BFGS: steps by what the last gradients tell of the curvature, with a line search along each.

It asks for values between, so its `update` is given the function and not its gradient.

>>> import backlit as bl
>>> from backlit import optim
>>> optimizer = optim.lbfgs()
>>> p = {"x": bl.tensor(5.0), "y": bl.tensor(1.0)}
>>> loss = lambda p: (p["x"] - 3.0) ** 2 + 10.0 * (p["y"] - p["x"]) ** 2
>>> state = optimizer.init(p)
>>> for _ in range(8):
...     p, state, value = optimizer.update(p, loss, state)
>>> round(p["x"].item(), 3), round(p["y"].item(), 3)
(3.0, 3.0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..autodiff.functions import value_and_grad
from ..base.config import no_grad
from ..base.errors import ArgumentError, shown
from ..graph.tensor import Tensor
from .checks import positive, whole
from .directions import Pairs, lbfgs_directions
from .flat import Flat, flat
from .wolfe import Evaluate, strong_wolfe

#: A bracket that is not split any more, as in torch.optim.LBFGS.
_SHORTEST = 1e-9


class Searcher(NamedTuple):
    """An optimizer that evaluates the loss itself. The functions change none of their arguments.

    Attributes:
        init: `init(params) -> state`, a tree of arrays.
        update: `update(params, loss, state) -> (params, state, value)`; `loss` is a function of the parameters that
            gives a scalar, `value` what it is at the new ones (without line search: at the old ones).
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Callable[[Any], Any], Any], tuple[Any, Any, Tensor]]


def lbfgs(lr: float = 1.0, *, history_size: int = 10, line_search: str | None = "strong_wolfe") -> Searcher:
    """L-BFGS (Liu & Nocedal 1989), with torch.optim.LBFGS's line search and its rules for the first step.

    Give it the same data in each update, or batches that are large: differences of gradients of different batches
    tell nothing of the curvature. The whole update traces into a native plan.

    Args:
        lr: how much of each direction is tried first; without line search, how much of it is gone.
        history_size: how many steps are remembered; each costs twice the memory of the parameters.
        line_search: "strong_wolfe", or None.
    """
    positive(lr=lr)
    whole(history_size=history_size)
    if line_search not in ("strong_wolfe", None):
        raise ArgumentError(f"line_search: expected 'strong_wolfe' or None, got {shown(line_search)}.")
    rule = lbfgs_directions(int(history_size))

    def init(params: Any) -> Pairs:
        return rule.init(flat(params).vector(params))

    @no_grad()
    def update(params: Any, loss: Callable[[Any], Any], state: Pairs) -> tuple[Any, Pairs, Tensor]:
        shape = flat(params)
        evaluate = evaluated(loss, shape)
        x = shape.vector(params)
        value, gradient = evaluate(x)
        direction = rule.direction(evaluate, x, gradient, state)
        length = lr * rule.length(gradient, state)
        if line_search is None:
            step = length * direction
            after = evaluate(x + step)[1]
        else:
            length, value, after, _ = strong_wolfe(evaluate, x, value, gradient, direction, length, _SHORTEST)
            step = length * direction
        return shape.tree(x + step), rule.learn(state, step, after - gradient), value

    return Searcher(init, update)


def evaluated(loss: Callable[[Any], Any], shape: Flat) -> Evaluate:
    """The value and gradient of a function of trees, as a function of vectors."""
    return value_and_grad(lambda x: loss(shape.tree(x)))
