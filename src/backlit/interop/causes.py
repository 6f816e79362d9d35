"""Why a node gives other numbers here than there: the likely cause in words, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import BacklitError
from ..testing.diagnosis import Jacobians, kink, likely_cause, pattern
from ..testing.ulp import counted
from .local import Local

#: Up to so many units in the last place a difference of values is called rounding.
ROUNDING = 4096.0
#: Ops at whose kinks and ties libraries choose differently, and what is chosen here.
CHOICES = {
    "abs": "Here the derivative of |x| at 0 is 0",
    "relu": "Here the derivative of relu at 0 is 0",
    "relu6": "Here the derivative of relu6 at 0 and at 6 is 0",
    "leaky_relu": "Here the slope of leaky_relu at 0 is that of the negative side",
    "maximum": "Here two equal numbers share the cotangent, half each",
    "minimum": "Here two equal numbers share the cotangent, half each",
    "max": "Here all entries that are the largest share the cotangent",
    "min": "Here all entries that are the smallest share the cotangent",
    "segment_max": "Here all entries that are the largest share the cotangent",
    "clip": "Here a number that equals a bound counts as inside",
    "pool_max": "Here the first maximum of a window takes the cotangent",
    "sort": "Here equal numbers keep their order, and each its cotangent",
    "hypot": "Here the gradient at the origin is 0",
    "power_norm": "Here the gradient of a norm at 0 is 0",
    "hard_tanh": "Here the derivative at -1 and 1 is 0",
    "hard_sigmoid": "Here the derivative at -3 and 3 is 0",
    "prod": "Here products without each factor are multiplied out, so that a factor of 0 has a derivative",
}
_CHOSEN = "a library may choose any value between the slopes of the two sides: move the point, or compare elsewhere"


class Cause(NamedTuple):
    """What is likely, and what mends it; `ours` tells whether the fault lies here."""

    what: str
    mend: str
    ours: bool | None = None


def of_values(local: Local, ours: Any, theirs: Any, allowed: Any, ulp: float, title: str) -> Cause:
    """Why two values of a node differ."""
    if np.shape(ours) != np.shape(theirs):
        return Cause(
            f"the shapes differ: {np.shape(ours)} here, {np.shape(theirs)} in {title}",
            "look at axes and keepdims of the op", None,
        )  # fmt: skip
    if ours.dtype != theirs.dtype:
        return Cause(
            f"{title} computes in {theirs.dtype.name}, here it is {ours.dtype.name}: numbers were promoted otherwise",
            "give all inputs the same dtype", None,
        )  # fmt: skip
    if not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
        which = "here" if not np.all(np.isfinite(ours)) else f"in {title}"
        return Cause(f"a value is not finite {which} only: overflow, or the edge of the domain", "scale the inputs")
    if (single := of_single(theirs, ours, title)) is not None:
        return single
    found = _told(ours, theirs, allowed)
    if found:
        return Cause(found, f"look at the kernel of {local.op.name}", True)
    if ulp <= ROUNDING and np.any(allowed > 0):
        share = float(np.mean(np.abs(ours - theirs) > allowed))
        return Cause(
            f"rounding: {share:.0%} of the entries are off by more than kernels of {local.op.name} differ, "
            f"by up to {counted(ulp)}",
            "another order of a sum, fused products, or less precision (TF32, bfloat16) on one side; try float64",
        )
    if (found := of_single(theirs, ours, title)) is not None:
        return found
    return Cause(
        f"the kernels of {local.op.name} compute different things here", "compare both with their documentation"
    )


def of_single(theirs: Any, ours: Any, title: str) -> Cause | None:
    """Does a double-precision result have the accuracy of single precision?"""
    if np.asarray(ours).dtype.name not in ("float64", "complex128"):
        return None
    size = float(np.max(np.abs(ours), initial=0.0))
    error = float(np.max(np.abs(theirs - ours), initial=0.0)) / size if size else 1.0
    if not 1e-10 < error < 2 * float(np.finfo(np.float32).eps):
        return None
    return Cause(
        f"the two agree to {error:.1g}, single precision: {title} computes a part, or a constant, in float32",
        "do not count on more digits of it there", False,
    )  # fmt: skip


def of_cotangents(local: Local, slot: int, ours: Sequence[Any], theirs: Any, allowed: Any, title: str) -> Cause:
    """Why the cotangents of an input differ; differences decide who is right."""
    mine = ours[slot]
    if np.shape(mine) != np.shape(theirs):
        return Cause(f"the shapes differ: {np.shape(mine)} here, {np.shape(theirs)} in {title}", _rule(local), True)
    if local.guarded and np.any(np.isnan(theirs) & np.isfinite(mine)):
        return Cause(
            f"0 · inf: {title} multiplies a cotangent of 0 by an infinite partial, of a branch of `where` that was "
            "not taken; here what was not taken gets 0",
            "there, make the input safe inside the branch too: where(ok, f(where(ok, x, 1)), y)", False,
        )  # fmt: skip
    referee = _referee(local, ours)
    if referee is None:
        return Cause(_told(mine, theirs, allowed) or "the derivatives differ", _rule(local), None)
    excess = referee.excess
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
    kink = _kink(referee)
    if kink and local.op.name in CHOICES:
        return Cause(f"{kink} {CHOICES[local.op.name]}.", _CHOSEN, None)
    if excess[row, column] <= 1:
        if kink:
            return Cause(kink, _CHOSEN, None)
        if (found := of_single(theirs, mine, title)) is not None:
            return found
        return Cause(
            f"finite differences side with the rule here; {title}'s derivative of {local.op.name} is another one",
            f"use {local.op.name} there with care", False,
        )  # fmt: skip
    found = _told(mine, theirs, allowed) or arranged(mine, theirs, allowed) or likely_cause(referee, row, column)
    said = f"{_whose(local)}: finite differences side with {title}; "
    return Cause(said + found, _rule(local, found), True)


def of_differences(local: Local, slot: int, ours: Sequence[Any]) -> Cause:
    """Why the rule of an input and differences of the kernel disagree."""
    c = local.by_differences(ours)
    if len(c.columns) < c.f.x.size:
        c = local.by_differences(ours, singly=True)
    row, column = (int(i) for i in np.unravel_index(int(np.argmax(c.excess)), c.excess.shape))
    found: str | None = None
    if len(c.columns) == c.f.x.size:  # each derivative by itself is known
        leaf = sum(local.wanted[:slot])
        start = sum(x.length for x in c.f.inputs[:leaf])
        part = slice(start, start + c.f.inputs[leaf].length)
        shape = c.f.inputs[leaf].shape
        mine, theirs, allowed = (m[0, part] for m in (c.by_rule, c.by_differences, c.allowed))
        found = pattern(mine, theirs, allowed)
        if found is None and not c.f.inputs[leaf].complex:
            found = arranged(mine.reshape(shape), theirs.reshape(shape), allowed)
    found = found or likely_cause(c, row, column)
    return Cause(f"{_whose(local)}: {found}", _rule(local, found), True)


def of_hand(ours: Any, theirs: Any) -> Cause:
    """What is wrong with a gradient made by hand."""
    mend = "correct the formula; bl.explain(fn, *args) shows the gradient path by path"
    if np.shape(ours) != np.shape(theirs):
        return Cause(f"its shape is {np.shape(ours)}, that of the argument {np.shape(theirs)}", mend, True)
    allowed = np.full(np.shape(ours), _floor(theirs) * 1024)
    found = _told(ours, theirs, allowed) or arranged(ours, theirs, allowed)
    return Cause((found or "it is another function").rstrip("."), mend, True)


def _whose(local: Local) -> str:
    if local.op.family == "custom":
        return f"your rule of {local.op.name} gives another derivative than its function has"
    return f"the rule of {local.op.name} is wrong"


def _rule(local: Local, found: str = "") -> str:
    if local.op.family == "custom" or "gradient" in local.op.name:
        meant = "; if that is meant (clipping, straight-through), this is where the gradients part"
    else:
        meant = ""
    factor = found.partition("same factor ")[2].partition(":")[0]
    what = f"divide the rule's result by {factor}" if factor else f"correct the rule of {local.op.name}"
    return f"{what}, and check it with bl.testing.check_grad{meant}"


def _told(ours: Any, theirs: Any, allowed: Any) -> str | None:
    """What the entries have to do with one another."""
    if np.iscomplexobj(ours):
        if np.all(np.abs(np.conj(ours) - theirs) <= 100 * allowed + _floor(theirs)):
            return "the imaginary part has the wrong sign: a conj is missing in the rule, or there is one too many."
        return None
    return pattern(np.ravel(ours).astype(float), np.ravel(theirs).astype(float), np.ravel(allowed) + _floor(theirs))


def _floor(x: Any) -> float:
    finite = np.abs(x[np.isfinite(x)]) if np.ndim(x) else np.abs(np.nan_to_num(x))
    return float(np.finfo(np.asarray(x).dtype).eps) * float(np.max(finite, initial=0.0))


def arranged(ours: Any, theirs: Any, allowed: Any) -> str | None:
    """Are the numbers the right ones at wrong places: transposed, turned round, or summed along another axis?"""
    slack = float(np.max(allowed, initial=0.0)) * 100 + _floor(theirs) * 100
    for words, moved in _arrangements(ours):
        if moved.shape == theirs.shape and np.all(np.abs(moved - theirs) <= slack):
            return f"{words}: the numbers are right, their places are not."
    for axis, other in permutations(range(np.ndim(theirs)), 2):
        a, b = np.sum(ours, axis=axis), np.sum(theirs, axis=other)
        if a.shape == b.shape and a.size > 1 and np.all(np.abs(a - b) <= slack * ours.shape[axis]):
            return f"the wrong axis: sums over axis {axis} are those over axis {other} there."
    return None


def _arrangements(x: Any) -> Iterator[tuple[str, Any]]:
    for axes in permutations(range(np.ndim(x))) if 2 <= np.ndim(x) <= 4 else ():
        words = "a transpose is missing, or one too many" if np.ndim(x) == 2 else f"axes stand in the order {axes}"
        turned = np.transpose(x, axes)
        yield words, turned
        yield words, turned.reshape(x.shape)
    for axis in range(np.ndim(x)):
        yield f"turned round along axis {axis}", np.flip(x, axis)
        yield f"shifted along axis {axis}", np.roll(x, 1, axis)
        yield f"shifted along axis {axis}", np.roll(x, -1, axis)


def _referee(local: Local, ours: Sequence[Any]) -> Jacobians | None:
    try:
        found = local.by_differences(ours)
        return found if len(found.columns) == found.f.x.size else local.by_differences(ours, singly=True)
    except (BacklitError, ValueError, TypeError, IndexError, FloatingPointError):  # of the user's kernel, off the point
        return None


def _kink(c: Jacobians) -> str | None:
    """Is the point at a kink along any direction?"""
    return next((found for i in range(len(c.columns)) if (found := kink(c, 0, i))), None)
