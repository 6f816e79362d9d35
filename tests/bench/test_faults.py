"""A quick part of the suite of planted faults, and how cases are judged."""

from __future__ import annotations

import numpy as np
import pytest

from backlit.explain.diagnosis import examined
from backlit.explain.running import Run
from backlit.explain.verdict import Verdict
from bench.faults.__main__ import HEALTHY, PLANTED, table
from bench.faults.case import Planted
from bench.faults.judge import Judged, alarm, begun, figures, judge, placed, restored
from bench.faults.others import PLANTED as OTHERS

QUICK = (
    "twelve sigmoid layers", "biases of -10 before relu", "large biases before sigmoid", "weights of 0.001",
    "wine in its units", "descent at a rate of 30", "descent at 1e-6", "softmax over one output",
    "relu at the end, targets of both signs", "magnitudes of (n, 1) minus (n,)", "a layer that forward forgets",
    "a frozen first layer", "softmax by hand", "the root of an error of 0",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_what_was_planted_is_found(name: str) -> None:
    (case,) = (c for c in PLANTED if c.name == name)
    verdict = examined(begun(case.faulty(1), case.before), 100, mends=False).verdicts[0]
    assert verdict.fault == case.fault
    assert placed(case, verdict), verdict


@pytest.mark.parametrize("name", ["relu, He, Adam", "LSTM by rows", "two convolutions"])
def test_nothing_is_said_of_what_is_healthy(name: str) -> None:
    (case,) = (c for c in HEALTHY if c.name == name)
    assert alarm(case, 1, 100).verdicts == ()


def test_a_mend_is_applied_and_held_against_the_twin() -> None:
    (case,) = (c for c in PLANTED if c.name == "squares of (n, 1) minus (n,)")
    found = judge(case, steps=60)
    assert found.right
    assert found.restored
    assert found.loss == pytest.approx(found.twin, rel=0.1)
    told = table([found], figures([found], []))
    assert "broadcasting slip            1    100%" in told


def test_cases_are_what_they_say() -> None:
    every = (*PLANTED, *OTHERS)
    assert len({c.name for c in every}) == len(every)
    kinds = [c.fault for c in PLANTED]
    assert min(kinds.count(k) for k in kinds) >= 2
    assert len(set(kinds)) == 17
    assert {c.family for c in PLANTED} == {"mlp", "cnn", "rnn", "transformer"}


def test_a_layer_and_a_reason_must_be_right() -> None:
    make = PLANTED[0].faulty
    case = Planted("", "mlp", "numerical problem", ("2",), make, make, reason=("log(0)",))
    told = "log gives the first number that is not finite: log(0)"
    assert placed(case, Verdict("numerical problem", "2", told, {}))
    assert placed(case, Verdict("numerical problem", "2.inner", told, {}))
    assert not placed(case, Verdict("numerical problem", "1", told, {}))
    assert not placed(case, Verdict("numerical problem", "2", "0/0", {}))


def test_restored_is_near_the_twin_and_no_less_right() -> None:
    twin = Run(np.array([2.0]), 2.0, 0.1, 0.95, float("nan"), (), {})
    assert restored(twin._replace(end=0.109), twin)
    assert not restored(twin._replace(end=0.12), twin)
    assert not restored(twin._replace(end=0.05, quality=0.7), twin)
    assert not restored(twin._replace(end=0.05, losses=np.array([np.nan])), twin)
    assert restored(twin._replace(end=3.0, quality=0.95), twin, "class collapse")


def test_figures_count() -> None:
    one = Judged("", "mlp", "dead units", (), True, True, False, "", True, False, 1.0, 1.0, 0.0)
    found = figures([one, one._replace(place=True, restored=True)], [])
    assert (found["right"], found["named first"], found["restored"]) == (0.5, 1.0, 0.5)
