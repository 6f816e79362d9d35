"""`minimize`: the least value of a plain function over any tree of numbers, in one native loop.

>>> import backlit as bl
>>> def rosenbrock(p):
...     return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2
>>> found = bl.minimize(rosenbrock, {"x": -1.2, "y": 1.0})
>>> found.converged, round(found.x["x"].item(), 4), round(found.x["y"].item(), 4)
(True, 1.0, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError, DtypeError, shown
from ..base.trees import leaves, leaves_with_paths, tree_map
from ..graph.closure import as_tensor
from ..graph.tensor import Tensor
from ..modes.compile import compile
from ..ops.comparison import where
from ..ops.control import while_loop
from ..ops.index import index_update
from ..ops.reduce import max as largest
from .adafactor import adafactor
from .adam import adam, adamw, nadam
from .adaptive import adadelta, adagrad, rmsprop
from .checks import not_negative, whole
from .descent import lion, sgd
from .directions import bfgs_directions, lbfgs_directions, newton_directions, steepest_directions
from .flat import flat
from .methods import Maker, Point, finite, following, levenberg_marquardt, searching
from .optimizer import Optimizer


def _lbfgs(*, history_size: int = 10) -> Maker:
    whole(history_size=history_size)
    return searching(lbfgs_directions(int(history_size)))


#: What makes each method, from the options that are its own.
_METHODS: dict[str, Callable[..., Maker]] = {
    "lbfgs": _lbfgs,
    "bfgs": lambda: searching(bfgs_directions()),
    "newton": lambda: searching(newton_directions()),
    "gradient-descent": lambda: searching(steepest_directions()),
    "levenberg-marquardt": lambda: levenberg_marquardt,
}
_RULES = {r.__name__: r for r in (sgd, lion, adagrad, rmsprop, adadelta, adam, adamw, nadam, adafactor)}

#: Why the loop ended; where nothing else ended it, it was the number of steps.
_REASONS = (
    "max_steps reached",
    "the gradient is within tol",
    "no lower value found along the last direction; this may be as low as rounding allows",
    "the value or the gradient is no longer finite",
)
_WITHIN, _STUCK, _NOT_FINITE = 1, 2, 3


@dataclass(frozen=True)
class Minimum:
    """What `minimize` found.

    Attributes:
        x: where, a tree like `x0`.
        value: the function there; for Levenberg-Marquardt half the sum of squares.
        gradient_norm: the largest entry of the gradient there, without its sign.
        steps: steps made.
        evaluations: how often the function was evaluated together with its gradient.
        converged: is `gradient_norm` within `tol`?
        reason: why it ended, in words.
        history: with `history=True` the points and values from the start on, `(xs, values)`, stacked along axis 0.
    """

    x: Any
    value: float
    gradient_norm: float
    steps: int
    evaluations: int
    converged: bool
    reason: str
    history: tuple[Any, Tensor] | None = None

    def __repr__(self) -> str:
        end = self.reason if self.converged else f"not converged: {self.reason}"
        rows = {
            "x": shown(self.x, 400), "value": f"{self.value:.8g}", "gradient": f"{self.gradient_norm:.2g} at most",
            "steps": f"{self.steps}, with {self.evaluations} evaluations", "end": end,
        }  # fmt: skip
        return "\n".join(["Minimum", *(f"  {name:8} {text}" for name, text in rows.items())])


def minimize(
    f: Callable[..., Any],
    x0: Any,
    *args: Any,
    method: str | Optimizer = "lbfgs",
    tol: float | None = None,
    max_steps: int | None = None,
    history: bool = False,
    **options: Any,
) -> Minimum:
    """A minimum of `f` near `x0`: the whole search is one native loop.

    Args:
        f: `f(x, *args)`, a function of a tree that gives one number (for "levenberg-marquardt" a vector of residuals),
            written with Backlit's operations.
        x0: where to begin: a tree of floating-point arrays, which say in what precision the search is done, or of
            Python's numbers, which are taken as float64; a list of numbers is taken as a vector.
        *args: further trees of arrays for `f`, such as data.
        method: "lbfgs" (Liu & Nocedal 1989) for most; "bfgs" for up to some hundreds of numbers; "newton" where the
            curvature is worth its price; "gradient-descent" to compare with; all four with a line search for the strong
            Wolfe conditions. "levenberg-marquardt" for residuals. Or the name of a rule ("adam", "sgd", ...), with its
            options, or any optimizer of `optim`: these follow the gradient whatever the value does.
        tol: how large the gradient's entries may be at a minimum; by default 1e-6, or 1e-3 where x0 is float32.
        max_steps: steps at most; by default 1000, or 10000 for rules and optimizers.
        history: keep all points and values on the way.
        **options: `history_size` of "lbfgs"; the options of a rule, such as `lr`.

    Raises:
        ArgumentError: an unknown method, a function that gives no scalar, or a start that is not finite.

    >>> import backlit as bl
    >>> x, y = bl.linspace(0, 1, 20, dtype=bl.float64), 3 * bl.exp(-2 * bl.linspace(0, 1, 20, dtype=bl.float64))
    >>> fit = bl.minimize(lambda p, x, y: p[0] * bl.exp(p[1] * x) - y, [1.0, 0.0], x, y, method="levenberg-marquardt")
    >>> fit.x.numpy().round(6).tolist()
    [3.0, -2.0]
    """
    return minimizer(f, method=method, tol=tol, max_steps=max_steps, history=history, **options)(x0, *args)


def minimizer(
    f: Callable[..., Any],
    *,
    method: str | Optimizer = "lbfgs",
    tol: float | None = None,
    max_steps: int | None = None,
    history: bool = False,
    **options: Any,
) -> Callable[..., Minimum]:
    """The function `(x0, *args) -> Minimum`, compiled when first called, for many starts or data; see `minimize`."""
    make, known = _maker(method, options)
    limit = (1000 if known else 10_000) if max_steps is None else max_steps
    whole(max_steps=limit)
    limit = int(limit)
    if tol is not None:
        not_negative(tol=tol)

    @compile
    def search(x0: Any, tol: Any, most: Any, args: tuple[Any, ...]) -> Any:
        shape = flat(x0)
        way = make(lambda x: f(shape.tree(x), *args), shape)
        point, memory = way.begin(shape.vector(x0))
        path = [_row(_many(part, limit + 1), part, 0) for part in point[:2]] if history else None

        def step(run: _Run) -> _Run:
            point, memory, evaluations, stuck = way.step(run.point, run.memory)
            count = run.steps + 1
            path = run.path and [_row(rows, part, count) for rows, part in zip(run.path, point, strict=False)]
            return _Run(point, memory, count, run.evaluations + evaluations, _reason(point, tol, stuck), path)

        one = Tensor(1, np.int32)
        begin = _Run(point, memory, 0 * one, one, _reason(point, tol, Tensor(False)), path)
        end = while_loop(lambda run: (run.reason == 0) & (run.steps < most), step, begin)
        point = end.point
        path = end.path and (shape.tree(end.path[0]), end.path[1])
        return shape.tree(point.x), (point.value, _norm(point), end.steps, end.evaluations, end.reason), path

    @no_grad()
    def run(x0: Any, *args: Any) -> Minimum:
        start = _start(x0)
        narrow = all(leaf.dtype.itemsize <= 4 for leaf in leaves(start))
        goal = (1e-3 if narrow else 1e-6) if tol is None else tol
        x, numbers, path = search(start, goal, limit, args)
        value, norm, steps, evaluations, reason = (number.item() for number in numbers)
        if steps == 0 and reason == _NOT_FINITE:
            raise ArgumentError(
                f"minimize: at the start the function is {value:g} and the largest entry of its gradient {norm:g}; "
                "expected finite numbers. Begin elsewhere."
            )
        kept = path and tree_map(lambda rows: rows[: steps + 1], path)
        return Minimum(x, value, norm, steps, evaluations, reason == _WITHIN, _REASONS[reason], kept)

    return run


class _Run(NamedTuple):
    """What the loop carries; `reason` is 0 while it goes on, `path` the points and values so far or None."""

    point: Point
    memory: Any
    steps: Any
    evaluations: Any
    reason: Any
    path: Any


def _reason(point: Point, tol: Any, stuck: Any) -> Any:
    """The place in `_REASONS` of why to end at this point; 0 to go on."""
    found = where(_norm(point) <= tol, _WITHIN, where(stuck, _STUCK, 0))
    return where(finite(point), found, _NOT_FINITE).astype(np.int32)


def _norm(point: Point) -> Any:
    return largest(abs(point.gradient))


def _many(part: Any, n: int) -> Any:
    return Tensor(np.zeros((n, *part.shape), part.dtype))


def _row(rows: Any, part: Any, i: Any) -> Any:
    return index_update(rows, i, part)


def _maker(method: Any, options: dict[str, Any]) -> tuple[Maker, bool]:
    """What makes the method, and whether it is one that searches, of which fewer steps are expected."""
    if isinstance(method, Optimizer) and not options:
        return following(method), False
    if isinstance(method, str) and method in _RULES:
        return following(_made(method, _RULES[method], options)), False
    if isinstance(method, str) and method in _METHODS:
        return _made(method, _METHODS[method], options), True
    if isinstance(method, Optimizer):
        raise ArgumentError(f"minimize: the options {', '.join(options)} belong into the optimizer that is given.")
    names = [*_METHODS, *_RULES]
    near = get_close_matches(str(method), names, 1)
    raise ArgumentError(
        f"minimize: there is no method {shown(method)}{f'; did you mean {near[0]!r}?' if near else '.'} Expected "
        f"an optimizer or one of {', '.join(names)}."
    )


def _made(name: str, make: Callable[..., Any], options: dict[str, Any]) -> Any:
    known = signature(make).parameters
    if unknown := [option for option in options if option not in known]:
        raise ArgumentError(
            f"minimize: {name!r} has no option {unknown[0]}; it takes {', '.join(known) or 'none'}. "
            "Further arguments of the function are given by position."
        )
    if missing := [p.name for p in known.values() if p.default is p.empty and p.name not in options]:
        raise ArgumentError(f"minimize: {name!r} needs the option {missing[0]}, such as {missing[0]}=0.1.")
    return make(**options)


def _start(x0: Any) -> Any:
    """`x0` with Tensors for leaves, Python's numbers in the precision that Python has for them."""
    if isinstance(x0, list | tuple) and x0 and all(isinstance(leaf, int | float) for leaf in x0):
        x0 = np.array(x0, np.float64)
    start = tree_map(lambda x: x if isinstance(x, Tensor | np.ndarray | np.generic) else np.float64(x), x0)
    named = list(leaves_with_paths(start))
    if not any(np.size(leaf) for _, leaf in named):
        raise ArgumentError(f"minimize: expected a start with numbers in it, got x0={shown(x0)}.")
    for path, leaf in named:
        where = f"x0.{path}" if path else "x0"
        value = as_tensor(leaf)
        if value.dtype.kind != "f":
            raise DtypeError(f"minimize: {where} is {value.dtype}; expected floating-point numbers, such as 1.0.")
        if not np.isfinite(value.numpy()).all():
            raise ArgumentError(f"minimize: {where} is not finite: {shown(value)}.")
    return tree_map(as_tensor, start)
