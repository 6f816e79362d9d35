"""Random programs as native plans beside JAX, in float64: values and gradients, in every form of kernels."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import numpy as np
import pytest

import backlit as bl
from backlit.compiler.lower import loops, region

from .. import programs
from ..programs import Ours, Program

jax = pytest.importorskip("jax")
pytest.importorskip("llvmlite")

from .test_programs import Jax  # noqa: E402  (needs JAX)

SMALL, MIDDLE = programs.SHAPES, [(37,), (5, 33), (1, 33), (5, 1), (2, 3, 17), ()]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shapes", [SMALL, MIDDLE], ids=["small", "middle"])
def test_as_jax_does(seed: int, shapes: Any) -> None:
    with mock.patch.multiple(programs, SHAPES=shapes, NODES=8, FEW=600):
        p = Program(random.Random(seed).choice)
    every = tuple(range(len(p.inputs)))
    with jax.enable_x64(True):
        value, gradient = jax.jit(jax.value_and_grad(lambda *xs: p(Jax(), *xs), every))(*p.inputs)
        expected = [np.asarray(value), *map(np.asarray, gradient)]
    scale = float(np.abs(p.weights).sum()) + max(float(np.abs(y).max(initial=0.0)) for y in expected)
    never = lambda *_: False
    for taken in (region.fits, never):
        with mock.patch.object(region, "fits", taken), mock.patch.object(loops, "fits", taken):
            run = bl.compile(lambda *xs: bl.value_and_grad(lambda *ys: p(Ours(), *ys), every)(*xs))
            found = run(*p.inputs)
        for a, b in zip([found[0], *found[1]], expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-10, atol=1e-13 * scale)
