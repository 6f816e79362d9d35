"""What is likely to have gone wrong where two derivatives disagree: a rule's, and another that is believed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .differences import one_sided_jump
from .flat import FlatFunction, Vector

#: Factors that a wrong rule is often off by, in words.
_FACTORS = {-1.0: "the sign is wrong", 2.0: "a factor 2 too much", 0.5: "a factor 2 is missing"}


TRANSPOSED = "a transpose is missing, or one too many: the numbers are right, their places are not."


class Jacobians(NamedTuple):
    """Part of a real Jacobian (`rows` times J times `columns`), by the rules and by differences."""

    f: FlatFunction
    columns: Vector
    rows: Vector
    by_rule: Vector
    by_differences: Vector
    allowed: Vector

    @property
    def excess(self) -> Vector:
        """The error of each entry in units of what is allowed; above 1 it is wrong."""
        error = np.abs(self.by_rule - self.by_differences)
        return np.where(np.isfinite(error), error / self.allowed, np.inf)


def likely_cause(c: Jacobians, row: int, column: int) -> str:
    """The first explanation that fits, the surest ones first."""
    f = c.f
    if f.narrow is not None:
        return (
            f"the function computes in {f.narrow} although its arguments are float64, which leaves differences "
            "only a few digits. Let constants inside follow the dtype of the arguments."
        )
    if not np.array_equal(f(f.x), f(f.x), equal_nan=True):
        return "two calls with the same arguments give different values; fix the random key."
    if not np.isfinite(c.by_differences[row, column]):
        return "the function is not finite here or half a step away: the point is at a pole or the edge of the domain."
    if not np.isfinite(c.by_rule[row, column]):
        return "the rule is not finite here; where infinity meets zero, give the trait 'singular' or use bl.where."
    return kink(c, row, column) or _dependent(c) or _pattern(c)


def kink(c: Jacobians, row: int, column: int) -> str | None:
    """Do the slopes on the two sides of the point differ, or is a jump near it?"""
    near, nearer = one_sided_jump(c.f, c.columns[column])
    weight = np.abs(c.rows[row])
    gap, closer = float(weight @ near), float(weight @ nearer)
    size = abs(c.by_rule[row, column]) + abs(c.by_differences[row, column])
    if closer > 4 * gap > 0 and closer > 1e-3 * size:  # less is rounding, which grows as the step falls
        return "a jump within one step of the point; check at a point farther from it."
    if closer > 1e-3 * size and closer > 0.5 * gap:
        return (
            f"a kink: the slopes on the two sides differ by {closer:.3g} however small the step. There the rule may "
            "choose either, or any between; check at another point."
        )
    if gap > 1e-2 * size and closer < 0.01 * gap:
        return "a kink within one step of the point; check at a point farther from it."
    return None


def _dependent(c: Jacobians) -> str | None:
    """Is a square matrix transposed, or the error antisymmetric in it, so that it vanishes for symmetric changes?"""
    if len(c.columns) != c.f.x.size or not np.array_equal(c.columns, np.eye(c.f.x.size)):
        return None
    start = 0
    for leaf in c.f.inputs:
        part = slice(start, start + leaf.length)
        start += leaf.length
        if len(leaf.shape) < 2 or leaf.shape[-1] != leaf.shape[-2] or leaf.complex:
            continue
        rule, believed, allowed = (
            m[:, part].reshape(-1, *leaf.shape) for m in (c.by_rule, c.by_differences, c.allowed)
        )
        error = rule - believed
        if np.all(np.abs(rule.swapaxes(-1, -2) - believed) <= 2 * allowed) and np.any(np.abs(error) > allowed):
            return TRANSPOSED
        if np.all(np.abs(error + error.swapaxes(-1, -2)) <= 2 * allowed) and np.any(np.abs(error) > allowed):
            return (
                f"the function takes {leaf.path} for symmetric (it may read one triangle only), so that its "
                "entries are not independent. Check x -> f((x + x.T) / 2) instead."
            )
    return None


def _pattern(c: Jacobians) -> str:
    if _conjugated(c):
        return "the imaginary part has the wrong sign: a conj is missing in the rule, or there is one too many."
    return pattern(c.by_rule, c.by_differences, c.allowed) or "the rule is wrong here, in no simple pattern."


def pattern(ours: Vector, theirs: Vector, allowed: Vector) -> str | None:
    """What two derivatives, entry by entry, have to do with one another; None where it is nothing simple.

    Args:
        ours: by the rule.
        theirs: by whatever is believed.
        allowed: how far entries may lie apart.
    """
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(ours - theirs) <= allowed)
    firm = wrong & (np.abs(theirs) > 100 * allowed)
    if not np.any(ours) and np.any(firm):
        return (
            "the rules see no path to this argument: detach, stop_gradient, .numpy() or a rounding cuts it, "
            "or the rule is None or 0."
        )
    if np.all(np.abs(theirs[wrong]) <= allowed[wrong]):
        return "the function does not change with this argument, but the rule says it does."
    if np.any(firm) and _same_where_right(theirs, wrong, allowed):
        ratios = ours[firm] / theirs[firm]
        factor = float(np.median(ratios))
        if np.all(np.abs(ratios - factor) <= 1e-3 * abs(factor - 1)):
            known = [text for k, text in _FACTORS.items() if abs(factor - k) < 1e-6]
            return f"every wrong entry is off by the same factor {factor:.6g}: {(known or ['a constant factor'])[0]}."
    return None


def _same_where_right(theirs: Vector, wrong: Any, allowed: Vector) -> bool:
    """Do the entries that are right not contradict a common factor, being zero?"""
    return bool(np.all(np.abs(theirs[~wrong]) <= 100 * allowed[~wrong])) or bool(np.sum(wrong) > 1)


def _conjugated(c: Jacobians) -> bool:
    """Are the partials conjugated, which changes the sign where just one of input and output is imaginary?"""
    inputs, outputs = (
        np.concatenate([np.tile([1.0, -1.0] if leaf.complex else [1.0], leaf.size) for leaf in layout])
        for layout in (c.f.inputs, c.f.outputs)
    )
    if inputs.min() > 0 or c.by_rule.shape != (c.f.length, c.f.x.size):
        return False
    return bool(np.all(np.abs(c.by_rule * inputs * outputs[:, None] - c.by_differences) <= 2 * c.allowed))
