"""Every record of the registry in a static graph whose sizes are all unknown: the same bits as in eager mode."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import static
from backlit.base.trees import leaves
from backlit.graph.defer import is_static
from backlit.graph.opdef import OPS
from backlit.testing.cases import samples_of

#: Ops of many inputs whose sizes other arguments fix: too many unknown ones to find out by trial.
PINNED = {"scaled_dot_product_attention"}


def equal(found, expected, what):
    expected = expected.numpy() if isinstance(expected, bl.Tensor) else expected
    assert found.dtype == expected.dtype, what
    np.testing.assert_array_equal(found, expected, err_msg=what)


@pytest.mark.usefixtures("on_numpy")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the same in both modes
@pytest.mark.parametrize("name", sorted(n for n, op in OPS.items() if op.samples is not None))
def test_record(name):
    op = OPS[name]
    for case in samples_of(op, np.random.default_rng(0)):
        if not case.arrays:
            continue
        with static.Graph(), static.Session() as session:
            shapes = [(None,) * a.ndim if name not in PINNED else (None, *a.shape[1:]) for a in case.arrays]
            pairs = zip(case.arrays, shapes, strict=True)
            xs = [static.placeholder(a.dtype, s, name=f"x{i}") for i, (a, s) in enumerate(pairs)]
            feed = dict(zip(xs, case.arrays, strict=True))
            if "eager_only" in op.traits:
                with pytest.raises(bl.GraphError, match="depends on values"):
                    case(*xs)
                continue
            if name == "unstack":  # nor is the number of its results known
                with pytest.raises(bl.GraphError, match="number of results depends on a size"):
                    case(*xs)
                continue
            outputs = leaves(case(*xs))
            expected = leaves(case(*case.tensors()))
            assert len(outputs) == len(expected)
            for y, e in zip(outputs, expected, strict=True):
                if is_static(y):  # else no placeholder is needed for it, as for the shape of one
                    equal(session.run(y, feed), e, str(case))
                    assert None in y.shape or y.shape == e.shape, f"{case}: said to have shape {y.shape}, has {e.shape}"
            differentiate(case, xs, [y for y in outputs if is_static(y) and y.dtype.kind in "fc"], session, feed)


def differentiable(tree):
    return tuple(y for y in leaves(tree) if y.dtype.kind in "fc")


def differentiate(case, xs, ys, session, feed):
    if not ys:
        return
    try:
        values, pull = bl.vjp(lambda *arrays: differentiable(case(*arrays)), *case.arrays)
        expected = pull(tuple(np.ones(v.shape, v.dtype) for v in values))
    except bl.GradientError:
        expected = None
    found = [g for g in static.gradients(ys, xs) if g is not None]
    if expected is None:
        if found:
            with pytest.raises(bl.GradientError):
                session.run(found, feed)
        return
    for g, e, x in zip(static.gradients(ys, xs), expected, case.arrays, strict=True):
        if g is None:
            assert not e.numpy().any(), case
        else:
            equal(session.run(g, feed), e, f"gradient of {case} with respect to {x.shape}")
