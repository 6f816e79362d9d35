"""A line search for the strong Wolfe conditions, as one loop with one evaluation in each turn.

The steps are those of PyTorch's `_strong_wolfe`, which are minFunc's (Schmidt 2005): go on until a minimum is
bracketed, then close in on it with cubics (Nocedal & Wright 2006, algorithms 3.5 and 3.6, equation 3.59).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..base.trees import tree_map
from ..graph.tensor import Tensor
from ..ops.comparison import isfinite, maximum, minimum, where
from ..ops.control import while_loop
from ..ops.reduce import max as largest

#: `evaluate(x) -> (value, slope)`, the function and its gradient at a vector.
Evaluate = Callable[[Any], tuple[Any, Any]]

#: The parts of the slope at the beginning by which the value must fall, and to which the slope must.
ENOUGH_LOWER, FLAT_ENOUGH = 1e-4, 0.9

#: Evaluations after the first one.
MOST = 25


class Place(NamedTuple):
    """A point on the line: how far along the direction, the value there, and the slope along the line."""

    at: Any
    value: Any
    slope: Any


class _Search(NamedTuple):
    """What the loop carries.

    Attributes:
        at: where to evaluate next.
        count: evaluations so far.
        found: is `low` the answer?
        inside: is a minimum between `low` and `high`? Until then `low` is the place before.
        near: was the last trial close to an end of the bracket?
        low: the best place so far.
        high: the other end.
        gradient: the gradient at `low`.
    """

    at: Any
    count: Any
    found: Any
    inside: Any
    near: Any
    low: Place
    high: Place
    gradient: Any


def strong_wolfe(
    evaluate: Evaluate, x: Any, value: Any, gradient: Any, direction: Any, first: Any, shortest: Any = None
) -> tuple[Any, Any, Any, Any]:
    """How far to go from `x` along a direction in which the value falls.

    Args:
        evaluate: the function and its gradient.
        x: where to begin, a vector.
        value: the value there.
        gradient: the gradient there.
        direction: the vector along which to go.
        first: how much of it to try first.
        shortest: the length of a bracket, in the largest of its coordinates, that is not split; by default what
            rounding leaves of the coordinates of `x`.

    Returns:
        How much of the direction, the value and the gradient there, and the number of evaluations (int32). The first is
        0 where no lower value was found.
    """
    start = Place(0.0 * value, value, (gradient * direction).sum())
    size = largest(abs(direction))
    if shortest is None:
        shortest = np.finfo(x.dtype).eps * largest(abs(x))
    no = Tensor(False)

    def turn(s: _Search) -> _Search:
        new_value, new_gradient = evaluate(x + s.at * direction)
        new = Place(s.at, new_value, (new_gradient * direction).sum())
        # Written so that a value that is no number is no progress.
        low_enough = new.value <= value + ENOUGH_LOWER * s.at * start.slope
        worse = ~(new.value < s.low.value)
        too_far = ~low_enough | (worse & (s.inside | (s.count > 1)))
        flat = abs(new.slope) <= -FLAT_ENOUGH * start.slope
        found = ~too_far & flat
        turned = ~too_far & ~found & where(s.inside, new.slope * (s.high.at - s.low.at) >= 0, new.slope >= 0)
        inside = s.inside | too_far | turned
        # On the way to a bracket the new place takes over from the one before; in one, it may become either end.
        becomes_low = ~worse | ~(too_far | turned)
        low = _either(becomes_low, new, s.low)
        kept = s.inside & ~too_far & ~turned
        high = _either(kept, s.high, _either(becomes_low, s.low, new))
        gradient_low = where(becomes_low, new_gradient, s.gradient)
        # The next trial.
        further = _cubic(s.low, new, new.at + 0.01 * (new.at - s.low.at), 10 * new.at)
        left, right = minimum(low.at, high.at), maximum(low.at, high.at)
        between, near = _split(_cubic(low, high, left, right), left, right, s.inside & s.near)
        found = found | (inside & ((right - left) * size <= shortest))
        return _Search(
            where(inside, between, further), s.count + 1, found, inside, inside & near, low, high, gradient_low
        )

    end = while_loop(
        lambda s: ~s.found & (s.count <= MOST),
        turn,
        _Search(first + 0.0 * value, Tensor(0, np.int32), no, no, no, start, start, gradient),
    )
    return end.low.at, end.low.value, end.gradient, end.count


def _either(condition: Any, yes: Place, no: Place) -> Place:
    return tree_map(lambda a, b: where(condition, a, b), yes, no)


def _cubic(a: Place, b: Place, low: Any, high: Any) -> Any:
    """Where the cubic through two places has its minimum, brought between two bounds; the middle if it has none."""
    gap = b.at - a.at
    one = a.slope + b.slope - 3 * (b.value - a.value) / where(gap == 0, 1.0, gap)
    square = one * one - a.slope * b.slope
    two = maximum(square, 0.0).sqrt() * where(gap >= 0, 1.0, -1.0)
    bend = b.slope - a.slope + 2 * two
    found = b.at - gap * (b.slope + two - one) / where(bend == 0, 1.0, bend)
    has_one = (square >= 0) & (bend != 0) & isfinite(found)
    return where(has_one, minimum(maximum(found, low), high), (low + high) / 2)


def _split(at: Any, left: Any, right: Any, again: Any) -> tuple[Any, Any]:
    """A trial moved away from the ends of a bracket if it is close to one, and was so the last time or is outside."""
    margin = 0.1 * (right - left)
    near = minimum(right - at, at - left) < margin
    move = near & (again | (at >= right) | (at <= left))
    moved = where(abs(at - right) < abs(at - left), right - margin, left + margin)
    return where(move, moved, at), near & ~move
