"""Every record of the registry, checked from every side on its own samples; and every rule made wrong, and caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.dtypes import BOOL, FLOAT
from backlit.graph.op import Op
from backlit.graph.opdef import OPS
from backlit.testing import OpMismatch, check_op


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


# --- mutants: every rule off by 0.05 %, in itself or only in its own derivative ---------------------

OFF = 1.0005
RULES = ("partials", "transpose", "vjp", "jvp")
FACETS = (
    "family", "namespace", "infer", "prepare", "saves", "dtypes", "promotes", "result", "results", "traits", "samples",
)  # fmt: skip

frozen = Op("frozen", np.positive, nondiff="it was planted", traits="stops", infer=lambda x: x, saves="")


def scaled(d: Any) -> Any:
    """A derivative off by 0.05 %."""
    return d * OFF if not hasattr(d, "dtype") or d.dtype.char in FLOAT + BOOL else d


def twisted(d: Any) -> Any:
    """A derivative of the right value, whose own derivative is off by 0.05 %."""
    return d * OFF - frozen(d) * (OFF - 1) if hasattr(d, "dtype") and d.dtype.char in FLOAT else d


def mutated(rule: Any, wrong: Callable[[Any], Any]) -> Any:
    """A rule whose results are made wrong."""
    if rule is None or rule == 0:
        return rule
    if isinstance(rule, tuple):
        return tuple(mutated(r, wrong) for r in rule)
    if not callable(rule):
        return wrong(rule)

    def mutant(*args: Any, **params: Any) -> Any:
        found = rule(*args, **params)
        return tuple(d if d is None else wrong(d) for d in found) if isinstance(found, (tuple, list)) else wrong(found)

    return mutant


def check_mutant(name: str, wrong: Callable[[Any], Any], orders: tuple[int, ...]) -> None:
    op = OPS[name]
    facets = {facet: getattr(op, facet) for facet in FACETS} | {r: mutated(getattr(op, r), wrong) for r in RULES}
    mutant = Op(name, op.eval, doc=op.doc, **facets)
    with pytest.raises(OpMismatch):
        check_op(mutant, orders=orders, view=VIEWS.get(name), complex=name == "imag")


def parts(op: Any) -> list[Any]:
    """The rules of an op that are not constantly zero."""
    rules = [getattr(op, r) for r in RULES]
    return [p for rule in rules for p in (rule if isinstance(rule, tuple) else [rule]) if p is not None and p != 0]


#: Piecewise linear: the local derivative is constant, and there is nothing in its own derivative to be wrong.
STRAIGHT = {
    "abs", "clip", "copysign", "floor_divide", "hard_sigmoid", "hard_tanh", "leaky_relu", "maximum", "minimum",
    "nan_to_num", "relu", "relu6", "remainder", "sign",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if parts(op) and n not in ("sign", "floor_divide")])
def test_a_rule_off_by_little_is_caught(name: str) -> None:
    check_mutant(name, scaled, (1,))


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if any(map(callable, parts(op))) and n not in STRAIGHT])
def test_a_rule_off_in_its_own_derivative_is_caught(name: str) -> None:
    check_mutant(name, twisted, (1, 2))
