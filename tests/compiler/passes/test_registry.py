"""Every record of the registry goes through all passes: results and gradients stay as the eager kernels give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves, rebuild
from backlit.graph.opdef import OPS
from backlit.testing.cases import samples_of

from .running import traced, unchanged

NAMES = sorted(n for n, op in OPS.items() if op.samples is not None and "eager_only" not in op.traits)


def calls(case: Any) -> list[tuple[Any, list[Any]]]:
    """The call as a function of all its arrays, and, where an index needs a value, of those of floats only."""
    items = leaves(case.tree)
    at = [i for i, x in enumerate(items) if isinstance(x, np.ndarray)]
    floats = [i for i in at if items[i].dtype.kind in "fc"]

    def function(places: list[int]) -> Any:
        def call(*xs: Any) -> Any:
            new = list(items)
            for i, x in zip(places, xs, strict=True):
                new[i] = x
            args, kwargs = rebuild(case.tree, iter(new))
            return case.op.public(*args, **kwargs)

        return call

    return [(function(places), [items[i] for i in places]) for places in (at, floats) if places]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NAMES)
def test_record(name):
    done = 0
    for case in samples_of(OPS[name], np.random.default_rng(0)):
        for call, arrays in calls(case):
            for single in (False, True):
                values = [a.astype("f") if single and a.dtype == float else a for a in arrays]
                try:
                    graph = traced(call, *values)
                except (bl.GraphError, bl.ShapeError, bl.DtypeError):
                    continue  # an index or a count that must be known, or dtypes that must agree with another
                unchanged(graph, values)
                done += 1
                floats = [i for i, a in enumerate(values) if a.dtype.kind in "fc"]
                if not floats:
                    continue

                def pulled(*xs: Any, call: Any = call, floats: Any = floats) -> Any:
                    def moving(*moved: Any) -> Any:
                        new = list(xs)
                        for i, x in zip(floats, moved, strict=True):
                            new[i] = x
                        return tuple(y for y in leaves(call(*new)) if y.dtype.kind in "fc")

                    ys, pull = bl.vjp(moving, *[xs[i] for i in floats])
                    return pull(tuple(bl.ones(y.shape, dtype=y.dtype) for y in ys)) if ys else ()

                try:
                    graph = traced(pulled, *values)
                except (bl.GradientError, bl.GraphError, bl.DtypeError):
                    continue
                if graph.outputs:
                    unchanged(graph, values, ulps=1024)
    assert done
