"""Every record of the registry as part of a native plan: its values and gradients are those of eager mode.

All samples of a record, in single and double precision, are one plan: once in registers, where they fit, and once in
the kernels for arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves
from backlit.graph.opdef import OPS
from backlit.testing.cases import samples_of

from .native import agree, eager, in_memory, native
from .passes.running import traced, with_gradient
from .passes.test_registry import NAMES, calls

#: Results that are right up to the condition of a matrix, or of a sum of terms of both signs.
LOOSE = {"cond": 1e4, "eig": 1e5, "eigh": 1e5, "inv": 1e4, "pinv": 1e5, "solve": 1e4, "svd": 1e5, "lstsq": 1e5}

Call = tuple[Callable[..., Any], list[Any]]


def runs_of(name: str) -> list[Call]:
    """The samples of a record that can be traced, each with its gradient where there is one."""
    found: list[Call] = []
    for case in samples_of(OPS[name], np.random.default_rng(0)):
        for call, arrays in calls(case):
            for single in (False, True):
                values = [a.astype("f") if single and a.dtype == float else a for a in arrays]
                count = len(values) if all(a.dtype.kind in "fc" for a in values) else 0
                for function in (with_gradient(call, count), call) if count else (call,):
                    try:
                        traced(function, *values)
                    except (bl.GradientError, bl.GraphError, bl.ShapeError, bl.DtypeError):
                        continue  # a value must be known, dtypes must agree, or there is no derivative
                    found.append((function, values))
                    break
    return found


def together(calls: list[Call]) -> Call:
    """Several calls as one function."""

    def function(*xs: Any) -> list[Any]:
        out, start = [], 0
        for call, values in calls:
            out.append(leaves(call(*xs[start : start + len(values)])))
            start += len(values)
        return out

    return function, [x for _, values in calls for x in values]


def _largest(x: Any) -> float:
    return float(np.abs(x[np.isfinite(x)]).max(initial=0)) if x.dtype.kind in "fc" else 0.0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NAMES)
def test_record(name):
    runs = runs_of(name)
    assert runs
    function, values = together(runs)
    # A gradient that is zero is so but for the rounding of terms of about 1.
    expected = [(y, max(1.0, _largest(y))) for y in eager(function, values)]
    for form in (nullcontext, in_memory):
        with form():
            agree(native(function, values), expected, f"{name}, {form.__name__}", 64 * LOOSE.get(name, 1))
