"""Derivatives by finite differences: what the rules are checked against."""

from __future__ import annotations

from typing import Any

import numpy as np

from .flat import FlatFunction, Vector
from .tolerances import STEP, difference_noise


def steps(x: Vector) -> Vector:
    """The step for each coordinate: `STEP` times its size, which is taken as no less than 0.1 and no more than 1."""
    return STEP * np.clip(np.abs(x), 0.1, 1.0)


def along(f: FlatFunction, v: Vector, complex_step: bool = False) -> tuple[Vector, Vector]:
    """The directional derivative of `f` along `v`, and for each entry the error to be expected of it.

    Central differences with steps h and h/2, extrapolated once (Richardson): D = (4 D(h/2) - D(h)) / 3. The truncation
    error falls from O(h²) to O(h⁴) and the rounding error stays O(eps/h), so that the best step is about
    eps^(1/5) = 7e-4 and the error about eps^(4/5) = 3e-13, where plain central differences reach
    eps^(2/3) = 4e-11 at h = eps^(1/3) (Nocedal & Wright, Numerical Optimization, 2nd ed., section 8.1;
    Griewank & Walther, Evaluating Derivatives, 2nd ed., section 1.1).

    With `complex_step`: Im f(x + ihv)/h with h = 1e-30, which subtracts nothing and so has no rounding
    error of its own (Squire & Trapp, SIAM Review 40, 1998); `f` must be analytic and take complex numbers.
    """
    if complex_step:
        h = 1e-30
        found = f.at_complex(f.x + 1j * h * v).imag / h
        return found, np.full(found.shape, difference_noise(float(np.max(np.abs(found), initial=0.0)), 1.0))
    h = step_along(f.x, v)
    (coarse, size), (fine, _) = _central(f, v, h), _central(f, v, h / 2)
    rounding = np.array([difference_noise(float(s), h) for s in _spread(np.nan_to_num(size, posinf=0.0), f)])
    # All that is seen may be truncation (x⁵ at 0); of a power of whatever degree a third of the change is left.
    truncation = np.nan_to_num(np.abs(coarse - fine), posinf=0.0) / 3
    return (4 * fine - coarse) / 3, rounding + truncation


def step_along(x: Vector, v: Vector) -> float:
    """The number to multiply `v` by, so that no coordinate moves by more than its step."""
    moving = v != 0
    return float(np.min(steps(x)[moving] / np.abs(v[moving]), initial=np.inf)) if moving.any() else STEP


def _central(f: FlatFunction, v: Vector, h: float) -> tuple[Vector, Vector]:
    """The difference quotient, and the size of what it was made from."""
    above, below = f(f.x + h * v), f(f.x - h * v)
    slope = np.where(above == below, 0.0, above - below) / (2 * h)  # inf that stays inf does not change
    return slope, np.maximum(np.abs(above), np.abs(below))


def _spread(scale: Vector, f: FlatFunction) -> Vector:
    """Errors within one output are those of its largest entry: its entries are often sums of the same terms."""
    result, start = np.empty_like(scale), 0
    for leaf in f.outputs:
        part = slice(start, start + leaf.length)
        result[part] = np.max(scale[part], initial=0.0)
        start += leaf.length
    return result


def one_sided_jump(f: FlatFunction, v: Vector) -> tuple[Vector, Vector]:
    """How far the slopes on both sides are apart, with step h and with h/16: at a kink they stay apart."""

    def jump(h: float) -> Any:
        here = f(f.x)
        return np.abs((f(f.x + h * v) - here) / h - (here - f(f.x - h * v)) / h)

    h = step_along(f.x, v)
    return jump(h), jump(h / 16)
