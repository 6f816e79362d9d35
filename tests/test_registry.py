"""Every record of the registry, checked from every side on its own samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import backlit as bl
from backlit.graph.opdef import OPS
from backlit.testing import check_op


def _projectors(vectors: Any) -> Any:
    """Of eigenvectors or singular vectors, what does not depend on their sign or phase: v_i v_i* for each i."""
    return bl.einsum("...ik,...jk->...kij", vectors, bl.conj(vectors))


#: Results that are fixed only up to signs or phases: what is differentiated instead.
VIEWS: dict[str, Callable[..., Any]] = {}

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
