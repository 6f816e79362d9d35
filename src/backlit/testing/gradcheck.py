"""`check_grad`: compare the derivatives of a function, of any order and in both modes, with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..base.errors import ArgumentError, BacklitError, shown
from .diagnosis import Jacobians, likely_cause
from .differences import along
from .flat import FlatFunction, Vector, locate
from .ulp import apart

MODES = ("reverse", "forward")


class GradientMismatch(BacklitError, AssertionError):
    """A derivative by the rules differs from that by finite differences."""


def check_grad(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: str | Sequence[str] = MODES,
    *,
    rtol: float = 1e-6,
    complex_step: bool = False,
    full: int = 24,
    directions: int = 2,
    seed: int = 0,
) -> float:
    """Compare the derivatives of `f` at `args` with finite differences, for each order up to `order`.

    Everything floating-point in `args` (trees of Tensors, arrays, numbers) is differentiated, in float64.
    From order 2 on, the derivative that the engine gives is itself differentiated by differences, so that
    every order is checked to the same accuracy: both modes over reverse and over forward.

    Args:
        f: returns a Tensor or a tree of them.
        args: the point, away from kinks and poles by more than 5e-4 of each coordinate.
        order: the highest order of derivative.
        modes: "reverse", "forward" or both.
        rtol: relative tolerance, see below.
        complex_step: `f` is analytic and takes complex numbers: differentiate by a complex step, exact to
            rounding, and compare to 1e-10.
        full: up to this many real coordinates the whole Jacobian is compared entry by entry (for orders from 2
            on: as many directions as `directions` says); above, random directions are.
        directions: how many random directions.
        seed: of the random directions.

    Returns:
        The largest error found, as a fraction of what is allowed (at most 1).

    Raises:
        GradientMismatch: with the worst entry, both values, and the likely cause.

    The tolerance: an extrapolated central difference is good to about eps^(4/5) = 3e-13 for a function of
    scale one (`backlit.testing.differences`), but its truncation error grows as (h/d)⁴ where the nearest singularity
    is at distance d, to 6e-10 at d = 0.1. A relative 1e-6 lies well above both, and 500 times below an
    error of 0.05 %. To it come the rounding error of the difference (64 units in the last place of the largest
    output, divided by the step), a third of what halving the step changed, and 1e-8 of the largest entry, for
    entries that cancel.

    >>> import backlit as bl
    >>> check_grad(lambda x: x * bl.exp(x), [0.5], order=3) < 1
    True
    """
    if not isinstance(args, (list, tuple)):
        raise ArgumentError(f"check_grad: args must be a list with one entry for each argument, got {shown(args)}.")
    modes = (modes,) if isinstance(modes, str) else modes
    if not modes or any(m not in MODES for m in modes):
        raise ArgumentError(f"check_grad: modes must be among {MODES}, got {modes!r}.")
    if order < 1:
        raise ArgumentError(f"check_grad: order must be 1 or more, got {order!r}.")
    rng = np.random.default_rng(seed)
    rtol = min(rtol, 1e-10) if complex_step else rtol
    functions: list[tuple[str, FlatFunction]] = [("", FlatFunction(f, args))]
    worst = 0.0
    for level in range(1, order + 1):
        for chain, g in functions:
            columns = np.eye(g.x.size) if level == 1 and g.x.size <= full else _random(rng, directions, g.x.size)
            numeric = [along(g, v, complex_step) for v in columns]
            for mode in modes:
                compared = _compare(g, columns, numeric, mode, rtol, _cotangents(rng, g, full, directions))
                excess = float(np.max(compared.excess, initial=0.0))
                worst = max(worst, excess)
                if excess > 1:
                    if len(columns) < g.x.size <= 8 * full:  # small enough to name the entry
                        columns = np.eye(g.x.size)
                        numeric = [along(g, v, complex_step) for v in columns]
                        entries = _compare(g, columns, numeric, mode, rtol, np.eye(g.length))
                        compared = entries if np.max(entries.excess) > 1 else compared
                    raise GradientMismatch(_report(compared, level, mode + chain, complex_step))
        if level < order:
            functions = _derivatives(*functions[0], modes, rng, complex_step)
    return worst


def _derivatives(
    chain: str, g: FlatFunction, modes: Sequence[str], rng: np.random.Generator, analytic: bool
) -> list[tuple[str, FlatFunction]]:
    """The derivatives of `g`, by each mode, which the next order is the derivative of.

    The gradient of an analytic function is not analytic (it is conjugated) but its tangent is: the complex
    step goes by tangents.
    """
    found: list[tuple[str, FlatFunction]] = []
    if "reverse" in modes and not analytic:
        found.append((f" over reverse{chain}", g.reverse_derivative(_random(rng, 1, g.length)[0])))
    if "forward" in modes or analytic:
        found.append((f" over forward{chain}", g.forward_derivative(_random(rng, 1, g.x.size)[0])))
    return found


def _random(rng: np.random.Generator, count: int, size: int) -> Vector:
    """Directions whose entries have either sign and sizes between 0.5 and 1, so that none is overlooked."""
    return rng.uniform(0.5, 1.0, (count, size)) * rng.choice([-1.0, 1.0], (count, size))


def _cotangents(rng: np.random.Generator, g: FlatFunction, full: int, count: int) -> Vector:
    return np.eye(g.length) if g.length <= full else _random(rng, count, g.length)


def _compare(
    g: FlatFunction,
    columns: Vector,
    numeric: Sequence[tuple[Vector, Vector]],
    mode: str,
    rtol: float,
    cotangents: Vector,
) -> Jacobians:
    """Forward mode is compared along each direction, reverse mode for each pair of cotangent and direction."""
    by_differences = np.stack([d for d, _ in numeric], axis=1) if len(columns) else np.zeros((g.length, 0))
    noise = np.stack([n for _, n in numeric], axis=1) if len(columns) else np.zeros((g.length, 0))
    if mode == "forward":
        rows = np.eye(g.length)
        by_rule = np.stack([g.push_forward(v) for v in columns], axis=1) if len(columns) else noise
    else:
        rows = cotangents
        pull = g.pull_back()
        by_rule = np.reshape([pull(w) for w in rows], (len(rows), g.x.size)) @ columns.T
        by_differences, noise = rows @ by_differences, np.abs(rows) @ noise
    size = np.maximum(np.abs(np.nan_to_num(by_rule)), np.abs(by_differences))
    allowed = rtol * (size + 0.01 * np.max(np.abs(by_differences), initial=0.0)) + noise + np.finfo(float).tiny
    return Jacobians(g, columns, rows, by_rule, by_differences, allowed)


def _report(c: Jacobians, level: int, what: str, complex_step: bool) -> str:
    row, column = np.unravel_index(int(np.argmax(c.excess)), c.excess.shape)
    wrong, total = int(np.sum(c.excess > 1)), c.excess.size
    rule, numeric = float(c.by_rule[row, column]), float(c.by_differences[row, column])
    return (
        f"check_grad: the derivative of order {level} ({what}) is wrong in {wrong} of {total} entries.\n"
        f"  worst entry: d {_name(c.rows[row], c.f.outputs)} / d {_name(c.columns[column], c.f.inputs)}\n"
        f"    by the rules         {rule:.12g}\n"
        f"    by {'a complex step  ' if complex_step else 'differences     '}  {numeric:.12g}\n"
        f"    they differ by {apart(rule, numeric)}, allowed is {float(c.allowed[row, column]):.3g}\n"
        f"  likely cause: {likely_cause(c, int(row), int(column))}"
    )


def _name(vector: Vector, layout: Sequence[Any]) -> str:
    ones = np.flatnonzero(vector)
    return locate(int(ones[0]), layout) if len(ones) == 1 else "(a random direction)"
