"""Every op made of others that PyTorch also has, on its own samples in float64: value and gradient, to 1e-10."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.trees import leaves, tree_map
from backlit.graph.opdef import OPS
from backlit.testing.cases import Case, as_complex, samples_of

from .twins import TWINS, WITHOUT, dyads, torch


def ours(left: Any, right: Any) -> Any:
    return bl.einsum("...ik,...jk->...kij", left, bl.conj(right))


def seen_eigen(product: Any, result: Any) -> Any:
    return result[0], product(result[1], result[1])


def seen_svd(product: Any, result: Any) -> Any:
    u, s, vh = result
    k = s.shape[-1]
    u, v = u[..., :k], (bl.conj(vh).mT if product is ours else vh.mH)[..., :k]
    return s, product(u, u), product(u, v)


#: Results that are fixed only up to signs or phases: what is compared instead.
VIEWS = {"eig": seen_eigen, "eigh": seen_eigen, "svd": seen_svd}

#: Functions of Hermitian matrices: torch reads one triangle, here both are averaged.
HERMITIAN = {"cholesky", "eigh", "eigvalsh"}

#: Complex inputs are not compared.
REAL_ONLY = {
    **dict.fromkeys(
        ("mse", "mae", "huber", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool",
         "unique_values", "unique_counts", "unique_inverse"), "torch does not take complex numbers",
    ),
}  # fmt: skip

#: Only the value is compared.
VALUE_ONLY = dict.fromkeys(("unique_values", "unique_counts", "unique_inverse"), "torch does not differentiate it")

#: Ops that are made of others; the others are compared in test_interop_twins.py, all but these.
NAMES = [name for name, op in OPS.items() if op.composite is not None or name in {*VIEWS, *HERMITIAN}]


def to_torch(leaf: Any) -> Any:
    return torch.from_numpy(np.array(leaf)) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def compare(name: str, case: Case) -> None:
    rtol = 1e-10
    view = VIEWS.get(name)
    inputs = [torch.from_numpy(a.copy()).requires_grad_(name not in VALUE_ONLY) for a in case.arrays]
    args, kwargs = tree_map(to_torch, case.with_arrays(inputs))
    theirs = TWINS[name](*args, **kwargs)
    theirs = leaves(view(dyads, theirs)) if view else leaves(tuple(theirs) if isinstance(theirs, tuple) else theirs)
    mine = case(*case.tensors())
    mine = leaves(view(ours, mine) if view else mine)
    assert len(mine) == len(theirs)
    for y, z in zip(mine, theirs, strict=True):
        assert_close(y.numpy(), z.numpy(force=True), rtol)

    pairs = [(i, z) for i, z in enumerate(theirs) if z.requires_grad and z.dtype in (torch.float64, torch.complex128)]
    if not pairs or OPS[name].nondiff is not None:
        return
    rng = np.random.default_rng(1)
    ws = [
        np.asarray(rng.normal(size=z.shape) + (1j * rng.normal(size=z.shape) if z.is_complex() else 0))
        for _, z in pairs
    ]
    outputs, cotangents = [z for _, z in pairs], [torch.from_numpy(w) for w in ws]
    expected = torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True)

    def chosen(*xs: Any) -> list[Any]:
        out = case(*xs)
        found = leaves(view(ours, out) if view else out)
        return [found[i] for i, _ in pairs]

    _, pull = bl.vjp(chosen, *case.tensors())
    for g, e, a in zip(pull(ws), expected, case.arrays, strict=True):
        found, wanted = g.numpy(), np.zeros(a.shape) if e is None else e.numpy(force=True)
        if name in HERMITIAN:
            found, wanted = hermitian(found), hermitian(wanted)
        assert_close(found, wanted, rtol)


def hermitian(a: Any) -> Any:
    return (a + np.conj(np.swapaxes(a, -1, -2))) / 2


def assert_close(found: Any, expected: Any, rtol: float) -> None:
    if expected.dtype.kind in "bi":
        np.testing.assert_array_equal(found, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * float(np.max(finite, initial=0.0)))


@pytest.mark.parametrize("name", [n for n in NAMES if n in TWINS])
def test_agrees_with_torch(name: str) -> None:
    for case in samples_of(OPS[name], np.random.default_rng(3)):
        compare(name, case)


@pytest.mark.parametrize("name", [n for n in NAMES if n in TWINS and n not in REAL_ONLY and OPS[n].nondiff is None])
def test_agrees_with_torch_on_complex_numbers(name: str) -> None:
    rng = np.random.default_rng(4)
    cases = [c for c in (as_complex(case, rng) for case in samples_of(OPS[name], rng)) if c is not None]
    for case in cases:
        compare(name, case.replaced(list(map(hermitian, case.arrays))) if name in HERMITIAN else case)


def test_every_op_has_a_twin_or_a_reason() -> None:
    assert sorted(set(NAMES) - set(TWINS)) == sorted(WITHOUT)
    assert sorted(set(TWINS) - set(NAMES)) == []
