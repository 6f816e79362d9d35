"""Every record of the registry, checked from every side on its own samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import backlit as bl
from backlit.graph.opdef import OPS
from backlit.testing import check_op


def dyads(left: Any, right: Any) -> Any:
    """u_i v_i* for each pair of columns: whatever the signs or phases of eigenvectors, these are determined."""
    return bl.einsum("...ik,...jk->...kij", left, bl.conj(right))


def of_eigen(result: Any) -> Any:
    values, vectors = result
    return values, dyads(vectors, vectors)


def of_svd(result: Any) -> Any:
    u, s, vh = result
    u, v = u[..., : s.shape[-1]], bl.conj(vh).mT[..., : s.shape[-1]]
    return s, dyads(u, u), dyads(u, v)


#: Results that are fixed only up to signs or phases: what is differentiated instead.
VIEWS: dict[str, Callable[..., Any]] = {"eig": of_eigen, "eigh": of_eigen, "svd": of_svd}

#: Ops that cannot have samples, with the reason.
WITHOUT_SAMPLES: dict[str, str] = {}


@pytest.mark.parametrize("name", sorted(OPS))
def test_record(name: str) -> None:
    op = OPS[name]
    if name in WITHOUT_SAMPLES:
        pytest.skip(WITHOUT_SAMPLES[name])
    check_op(op, view=VIEWS.get(name))


def test_every_record_has_samples() -> None:
    assert {name for name, op in OPS.items() if op.samples is None} == set(WITHOUT_SAMPLES)


def test_every_record_is_documented() -> None:
    assert [name for name, op in OPS.items() if not op.doc.strip()] == []
