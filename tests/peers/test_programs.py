"""Random programs beside JAX, in float64: value, gradient and Hessian times a vector agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl

from ..programs import Ours, Program

jax = pytest.importorskip("jax")
jnp = jax.numpy


class Jax:
    """JAX under the names that the programs use."""

    def gelu(self, x: Any) -> Any:
        return jax.nn.gelu(x, approximate=False)

    def written(self, x: Any, index: Any, new: Any) -> Any:
        return x.at[index].set(new)

    def __getattr__(self, name: str) -> Any:
        return next(getattr(home, name) for home in (jnp, jax.nn, jax.scipy.special) if hasattr(home, name))


def agree(ours: Any, theirs: Any) -> None:
    scale = 1 + max(float(np.abs(b).max(initial=0.0)) for b in theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("seed", range(20))
def test_as_jax_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = Program(lambda options: options[rng.integers(len(options))])
    every = tuple(range(len(p.inputs)))
    f, g = (lambda *xs: p(Ours(), *xs)), (lambda *xs: p(Jax(), *xs))
    mine, v = [[bl.tensor(a) for a in arrays] for arrays in (p.inputs, p.directions)]
    with jax.enable_x64(True):

        @jax.jit
        def theirs(xs: Any, w: Any) -> Any:
            product = jax.jvp(jax.grad(g, every), xs, w)[1]
            return (*jax.value_and_grad(g, every)(*xs), product)

        expected = list(map(np.asarray, jax.tree.leaves(theirs(tuple(p.inputs), tuple(p.directions)))))
    found = bl.value_and_grad(f, every)(*mine)
    agree([found[0], *found[1], *bl.hvp(f, mine, v)], expected)
