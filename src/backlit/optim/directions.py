"""Directions of descent for line searches: steepest, L-BFGS, BFGS and Newton by conjugate gradients.

Each is a pair of functions over vectors, and a memory in between that is a tree of arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.functions import jvp
from ..graph.tensor import Tensor
from ..ops.comparison import maximum, minimum, where
from ..ops.control import scan, while_loop
from ..ops.joining import concat
from .wolfe import Evaluate


class Directions(NamedTuple):
    """Where to search next, and what is learnt from having gone there.

    Attributes:
        init: `init(x) -> memory`.
        direction: `direction(evaluate, x, gradient, memory) -> vector`, along which the function falls.
        learn: `learn(memory, step, change) -> memory`, from a step and the change of the gradient over it.
        length: `length(gradient, memory)`, how much of the direction to try first.
    """

    init: Callable[[Any], Any]
    direction: Callable[[Evaluate, Any, Any, Any], Any]
    learn: Callable[[Any, Any, Any], Any]
    length: Callable[[Any, Any], Any]


def _cautious(gradient: Any) -> Any:
    """The first trial where nothing is known of the function's scale: a step of 1 at most, coordinates added up."""
    return 1 / maximum(1.0, abs(gradient).sum())


def _curves_up(product: Any, step_square: Any, change_square: Any) -> Any:
    """Does the function curve upwards along a step? A pair along which it does not would spoil the estimate.

    Asked of the cosine between step and change of the gradient, so that units do not matter.
    """
    return product > np.finfo(product.dtype).eps * (step_square.sqrt() * change_square.sqrt())


class Pairs(NamedTuple):
    """What L-BFGS remembers, the oldest first.

    Attributes:
        steps: the last steps, of shape (history_size, n).
        changes: the changes of the gradient over them, likewise.
        weights: for each `1 / step·change`; 0 where there is no such pair yet.
        size: the first guess at the inverse Hessian, a number by which the gradient is multiplied.
        begun: has a step been made?
    """

    steps: Any
    changes: Any
    weights: Any
    size: Any
    begun: Any


def lbfgs_directions(history_size: int) -> Directions:
    """The two-loop recursion (Nocedal & Wright 2006, algorithm 7.4)."""

    def init(x: Any) -> Pairs:
        none = np.zeros((history_size, x.shape[0]), x.dtype)
        return Pairs(
            Tensor(none), Tensor(none), Tensor(np.zeros(history_size, x.dtype)), Tensor(np.ones((), x.dtype)),
            Tensor(False),
        )  # fmt: skip

    def direction(evaluate: Evaluate, x: Any, gradient: Any, memory: Pairs) -> Any:
        def newest_first(q: Any, pair: Any) -> tuple[Any, Any]:
            step, change, weight = pair
            alpha = weight * (step * q).sum()
            return q - alpha * change, alpha

        def oldest_first(q: Any, pair: Any) -> tuple[Any, None]:
            step, change, weight, alpha = pair
            beta = weight * (change * q).sum()
            return q + (alpha - beta) * step, None

        # Loops of the plan, so that a long memory is neither a long plan nor a slow one.
        pairs = (memory.steps, memory.changes, memory.weights)
        q, alphas = scan(newest_first, -gradient, pairs, reverse=True)
        return scan(oldest_first, q * memory.size, (*pairs, alphas))[0]

    def learn(memory: Pairs, step: Any, change: Any) -> Pairs:
        product, square = (step * change).sum(), (change * change).sum()
        good = _curves_up(product, (step * step).sum(), square)
        weight = 1 / where(good, product, 1.0)

        def pushed(rows: Any, row: Any) -> Any:
            return where(good, concat([rows[1:], row[None]]), rows)

        return Pairs(
            pushed(memory.steps, step), pushed(memory.changes, change), pushed(memory.weights, weight),
            where(good, product / where(good, square, 1.0), memory.size), Tensor(True),
        )  # fmt: skip

    def length(gradient: Any, memory: Pairs) -> Any:
        return where(memory.begun, 1.0, _cautious(gradient))

    return Directions(init, direction, learn, length)


class Inverse(NamedTuple):
    """What BFGS remembers: an estimate of the inverse Hessian, of shape (n, n), and whether it has learnt anything."""

    matrix: Any
    begun: Any


def bfgs_directions() -> Directions:
    """BFGS (Nocedal & Wright 2006, algorithm 6.1, equations 6.17 and 6.20)."""

    def init(x: Any) -> Inverse:
        return Inverse(Tensor(np.eye(x.shape[0], dtype=x.dtype)), Tensor(False))

    def direction(evaluate: Evaluate, x: Any, gradient: Any, memory: Inverse) -> Any:
        return -(memory.matrix @ gradient)

    def learn(memory: Inverse, step: Any, change: Any) -> Inverse:
        product, square = (step * change).sum(), (change * change).sum()
        good = _curves_up(product, (step * step).sum(), square)
        weight = 1 / where(good, product, 1.0)
        scale = where(memory.begun, 1.0, product / where(good, square, 1.0))
        before = scale * memory.matrix
        along = before @ change
        cross = along[:, None] * step[None, :]
        both = (1 + weight * (change * along).sum()) * (step[:, None] * step[None, :])
        after = before + weight * (both - cross - cross.T)
        return Inverse(where(good, after, memory.matrix), memory.begun | good)

    def length(gradient: Any, memory: Inverse) -> Any:
        return where(memory.begun, 1.0, _cautious(gradient))

    return Directions(init, direction, learn, length)


def newton_directions() -> Directions:
    """Newton's directions by conjugate gradients that stop early (Nocedal & Wright 2006, algorithm 7.1).

    The Hessian is never made: each turn multiplies it by a vector, forward over reverse. Where it is met to curve
    downwards the direction found until then is taken.
    """

    def direction(evaluate: Evaluate, x: Any, gradient: Any, memory: Any) -> Any:
        norm = (gradient * gradient).sum().sqrt()
        goal = minimum(0.5, norm.sqrt()) * norm

        def more(state: Any) -> Any:
            _, residual, _, count, curved = state
            return ~curved & (count < 2 * x.shape[0]) & ((residual * residual).sum().sqrt() > goal)

        def turn(state: Any) -> Any:
            z, residual, along, count, _ = state
            _, product = jvp(lambda x: evaluate(x)[1], [x], [along])
            curvature = (along * product).sum()
            square = (residual * residual).sum()
            curved = ~(curvature > 0)
            step = square / where(curved, 1.0, curvature)
            after = residual + step * product
            further = -after + (after * after).sum() / square * along
            # The first direction of all is kept, however the function curves, in a length that units do not matter to.
            first = square / where(curvature == 0, square, abs(curvature)) * along
            z = where(curved, where(count == 0, first, z), z + step * along)
            return z, after, further, count + 1, curved

        begin = (0.0 * x, gradient, -gradient, Tensor(0, np.int32), Tensor(False))
        return while_loop(more, turn, begin)[0]

    return Directions(lambda x: (), direction, lambda memory, *_: memory, lambda gradient, memory: 1.0)


class Last(NamedTuple):
    """What steepest descent remembers: the last step's size and slope, and whether there was one."""

    length: Any
    begun: Any


def steepest_directions() -> Directions:
    """Against the gradient; the first trial has the length that Barzilai & Borwein (1988, equation 5) give."""

    def init(x: Any) -> Last:
        return Last(Tensor(np.ones((), x.dtype)), Tensor(False))

    def learn(memory: Last, step: Any, change: Any) -> Last:
        product = (step * change).sum()
        good = product > 0
        return Last(where(good, (step * step).sum() / where(good, product, 1.0), memory.length), Tensor(True))

    def length(gradient: Any, memory: Last) -> Any:
        return where(memory.begun, memory.length, _cautious(gradient))

    return Directions(init, lambda evaluate, x, gradient, memory: -gradient, learn, length)
