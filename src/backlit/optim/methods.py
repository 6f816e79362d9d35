"""The methods of `minimize`, each as a first point and a step from one point to the next, over vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.functions import value_and_grad
from ..autodiff.jacobian import jacobian
from ..base.errors import ArgumentError
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..ops.comparison import isfinite, maximum, where
from ..ops.control import fori_loop
from ..ops.creation import arange, eye
from ..ops.joining import concat
from ..ops.reduce import all as every
from ..ops.reduce import max as largest
from .directions import Directions
from .flat import Flat
from .optimizer import Optimizer
from .wolfe import strong_wolfe


class Point(NamedTuple):
    """Where a method stands: a vector, the value there (shape ()) and the gradient there."""

    x: Any
    value: Any
    gradient: Any


class Method(NamedTuple):
    """How to go down.

    Attributes:
        begin: `begin(x) -> (point, memory)`; it evaluates the function once.
        step: `step(point, memory) -> (point, memory, evaluations, stuck)`; `stuck` says that no lower value was found
            and none will be found from here.
    """

    begin: Callable[[Any], tuple[Point, Any]]
    step: Callable[[Point, Any], tuple[Point, Any, Any, Any]]


#: A function of vectors and the shape of the tree that they stand for, to a method.
Maker = Callable[[Callable[[Any], Any], Flat], Method]


def searching(rule: Directions) -> Maker:
    """A line search for the strong Wolfe conditions along each of the rule's directions."""

    def make(f: Callable[[Any], Any], shape: Flat) -> Method:
        evaluate = value_and_grad(lambda x: _scalar(f(x), x.dtype))

        def step(point: Point, memory: Any) -> tuple[Point, Any, Any, Any]:
            direction = rule.direction(evaluate, point.x, point.gradient, memory)
            # Rounding, or a memory of quite another place, may make it a direction of ascent.
            falls = (direction * point.gradient).sum() < 0
            direction = where(falls, direction, -point.gradient)
            length, value, gradient, count = strong_wolfe(
                evaluate, *point, direction, rule.length(point.gradient, memory)
            )
            moved = length * direction
            memory = rule.learn(memory, moved, gradient - point.gradient)
            return Point(point.x + moved, value, gradient), memory, count, length == 0

        return Method(lambda x: (Point(x, *evaluate(x)), rule.init(x)), step)

    return make


def following(optimizer: Optimizer) -> Maker:
    """The steps of an optimizer, whatever the value does."""

    def make(f: Callable[[Any], Any], shape: Flat) -> Method:
        evaluate = value_and_grad(lambda x: _scalar(f(x), x.dtype))

        def step(point: Point, memory: Any) -> tuple[Point, Any, Any, Any]:
            params, memory = optimizer.update(shape.tree(point.x), shape.tree(point.gradient), memory)
            x = shape.vector(params)
            return Point(x, *evaluate(x)), memory, Tensor(1, np.int32), Tensor(False)

        return Method(lambda x: (Point(x, *evaluate(x)), optimizer.init(shape.tree(x))), step)

    return make


class Damping(NamedTuple):
    """What Levenberg-Marquardt remembers: JᵀJ, the damping, its next growth, and the largest diagonal of JᵀJ so far."""

    normal: Any
    damping: Any
    growth: Any
    scale: Any


def levenberg_marquardt(f: Callable[[Any], Any], shape: Flat) -> Method:
    """Half the sum of squares of a vector of residuals, by Gauss-Newton steps with damping.

    Each is the solution of `(JᵀJ + damping·D) step = -Jᵀr` with Marquardt's D, the largest diagonal of JᵀJ so far; the
    damping follows from how well the model foretold the new value (Nielsen 1999; Madsen, Nielsen & Tingleff 2004,
    algorithm 3.16).
    """

    def residuals(x: Any) -> tuple[Any, Any]:
        found = as_tensor(f(x))
        if found.ndim != 1:
            raise ArgumentError(
                f"minimize: 'levenberg-marquardt' wants a vector of residuals, the function gave shape {found.shape}."
            )
        return found.astype(x.dtype), found.astype(x.dtype)

    def evaluate(x: Any) -> tuple[Point, Any]:
        # Columns forward or rows in reverse: whichever are fewer.
        slopes, r = jacobian(residuals, has_aux=True)(x)
        return Point(x, (r * r).sum() / 2, slopes.T @ r), slopes.T @ slopes

    def begin(x: Any) -> tuple[Point, Damping]:
        point, normal = evaluate(x)
        number = point.value * 0.0
        return point, Damping(normal, number + 1e-3, number + 2.0, _diagonal(normal))

    def step(point: Point, memory: Damping) -> tuple[Point, Damping, Any, Any]:
        normal, damping, growth, scale = memory
        floor = maximum(largest(scale), 1.0) * np.finfo(scale.dtype).eps
        weights = damping * maximum(scale, floor)
        move = solve_definite(normal + weights[:, None] * eye(normal.shape[0], dtype=normal.dtype), -point.gradient)
        other, other_normal = evaluate(point.x + move)
        foretold = (move * (weights * move - point.gradient)).sum() / 2
        ratio = (point.value - other.value) / foretold
        better = ratio > 0
        point = Point(*(where(better, new, old) for new, old in zip(other, point, strict=True)))
        after = Damping(
            where(better, other_normal, normal),
            where(better, damping * maximum(1 / 3, 1 - (2 * ratio - 1) ** 3), damping * growth),
            where(better, 2.0, 2 * growth),
            where(better, maximum(scale, _diagonal(other_normal)), scale),
        )
        tiny = largest(abs(move)) <= np.finfo(move.dtype).eps * largest(abs(point.x))
        return point, after, Tensor(1, np.int32), ~better & (tiny | ~isfinite(after.damping))

    return Method(begin, step)


def solve_definite(matrix: Any, right: Any) -> Any:
    """The solution x of `matrix @ x = right` for a positive definite matrix, by Gauss-Jordan elimination.

    It needs no pivots there. The row and column of each turn are taken out by products with a unit vector, which plans
    run natively, as they do not an index that only the turn knows.
    """
    n = matrix.shape[0]
    rows = arange(n)

    def eliminate(k: Any, table: Any) -> Any:
        unit = (rows == k).astype(matrix.dtype)
        column = table[:, :n] @ unit
        row = (unit @ table) / (unit * column).sum()
        return table - (column - unit)[:, None] * row[None, :]

    return fori_loop(0, n, eliminate, concat([matrix, right[:, None]], axis=1))[:, n]


def finite(point: Point) -> Any:
    """Are the value and all of the gradient finite?"""
    return isfinite(point.value) & every(isfinite(point.gradient))


def _diagonal(matrix: Any) -> Any:
    return (matrix * eye(matrix.shape[0], dtype=matrix.dtype)).sum(axis=1)


def _scalar(y: Any, dtype: Any) -> Any:
    y = as_tensor(y)
    if y.shape != ():
        raise ArgumentError(
            f"minimize: expected a function that gives one number, of shape (), got shape {y.shape}. Add up "
            "what it gives, or, if these are residuals whose squares are to be least, say method='levenberg-marquardt'."
        )
    if y.dtype.kind != "f":
        raise ArgumentError(f"minimize: expected a function that gives a real floating-point number, got {y.dtype}.")
    return y.astype(dtype)
