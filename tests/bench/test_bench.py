"""The benchmark: what it times is right, it tells when contenders disagree, and what it writes can be read."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import optim
from bench import peers, report
from bench.__main__ import chosen
from bench.chart import svg
from bench.dense import Epoch
from bench.remote import Failed, Remote
from bench.runner import Disagreement, compare, record, statistics_of
from bench.scalars import Descent
from bench.suite import limits, small, workloads
from bench.worker import rest
from bench.workload import Workload


def by_eager_steps(workload: Descent) -> list[float]:
    """What a loop of eager steps comes to."""
    optimizer = {"sgd": optim.sgd, "adam": optim.adam}[workload.optimizer](workload.rate)
    params: Any = [bl.tensor(p) for p in workload.start()]
    state: Any = optimizer.init(params)
    loss: Any = None
    for _ in range(workload.steps):
        loss, gradients = bl.value_and_grad(workload.loss_backlit)(params)
        params, state = optimizer.update(params, gradients, state)
    return [float(loss), *(float(v) for p in params for v in np.ravel(p.numpy()))]


@pytest.mark.parametrize("workload", small(), ids=lambda w: w.key)
def test_the_native_form_computes_what_the_eager_one_does(workload: Workload) -> None:
    found = workload.backlit().check()  # type: ignore[attr-defined]
    if isinstance(workload, Descent):
        wanted = by_eager_steps(workload)
    elif isinstance(workload, Epoch):
        wanted = workload.numpy().check()
    else:
        wanted = workload.backlit(compiled=False).check()  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, wanted, rtol=workload.tolerance, atol=1e-5)


@pytest.mark.parametrize("workload", [w for w in small() if hasattr(w, "numpy")], ids=lambda w: w.key)
def test_numpy_by_hand_agrees(workload: Workload) -> None:
    found = {
        name: make().check() for name, make in workload.contenders().items() if name in ("Backlit", "NumPy by hand")
    }
    assert len(found) == 2
    compare(workload, found)


def test_small_and_full_sizes_are_of_the_same_workloads() -> None:
    assert {w.key.rstrip("0123456789")[:1] for w in small()} == {"W", "P"}
    assert {w.key for w in small() if w.key[0] == "W"} == {w.key for w in workloads()}
    assert all(w.flops or w.bytes for w in limits())


def test_a_disagreement_names_both_values() -> None:
    workload = workloads()[0]
    compare(workload, {"Backlit": [1.0, 2.0], "torch eager": [1.0, 2.00001]})
    with pytest.raises(Disagreement, match=r"W1: value 1 of Backlit is 2, that of torch eager 2\.1"):
        compare(workload, {"Backlit": [1.0, 2.0], "torch eager": [1.0, 2.1]})


@pytest.mark.parametrize(
    ("key", "only", "wanted"),
    [("W4", "", True), ("W4e", "W4", True), ("W4", "W4e", False), ("W11", "W1", False), ("W11", "W1,W11", True),
     ("W1loop", "W1", True), ("W12-W4", "W12", True)],
)  # fmt: skip
def test_only(key: str, only: str, wanted: bool) -> None:
    assert chosen(key, only) is wanted


def test_a_worker_answers_and_reports_errors() -> None:
    remote = Remote("Backlit")
    try:
        ready = remote.ask("prepare", 60, workload="W1")
        assert ready["values"][0] == pytest.approx(1 / (1 + np.exp(-0.75)), rel=1e-6)
        assert 0 < remote.ask("sample", 60, calls=10)["seconds"] < 1
        with pytest.raises(Failed, match="KeyError: 'W0'"):
            remote.ask("prepare", 60, workload="W0")
    finally:
        remote.stop()


class Clock:
    """Seconds of a process whose threads use a core for so long, as the module `time` tells them."""

    def __init__(self, busy: float) -> None:
        self.now, self.busy = 0.0, busy

    def perf_counter(self) -> float:
        self.now += 1e-6
        return self.now

    def process_time(self) -> float:
        return min(self.now, self.busy)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_worker_rests_until_its_threads_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(busy=0.15)
    monkeypatch.setattr("bench.worker.time", clock)
    rest()
    assert 0.15 <= clock.now < 0.17


def test_threads_that_never_rest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.worker.time", Clock(busy=float("inf")))
    with pytest.raises(TimeoutError, match="still busy 1 s"):
        rest(patience=1)


def test_the_environment_does_not_hold_numpy_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "OPENBLAS_CORETYPE" not in peers.environment()
    assert peers.environment()["OMP_NUM_THREADS"] == "2"


def made_up() -> dict[str, Any]:
    """A record as a run writes it, with figures that nobody measured."""
    results = {
        "Backlit": statistics_of([1e-3, 1.1e-3, 0.9e-3]),
        "torch eager": statistics_of([4e-3, 4.2e-3, 4.1e-3]),
        "jax.jit": statistics_of([2e-3, 2e-3, 2e-3]),
        "tf.function": {"error": "RuntimeError: out of luck"},
        "torch.compile": {"skipped": "slow; --full runs it"},
    }
    return json.loads(
        json.dumps(
            {
                "date": "2026-01-01", "load": 0.0, "versions": {"torch": "2"},
                "limits": {"P": record(limits()[0], results)},
                "machine": {"processor": "a <processor>", "threads": 2, "python": "3.11", "system": "Linux"},
                "workloads": {w.key: record(w, results) for w in workloads()},
            }
        )
    )  # fmt: skip


def test_table_page_and_chart() -> None:
    run = made_up()
    lines = report.table(run).splitlines()
    assert len(lines) == 1 + len(workloads())
    row = next(line for line in lines if line.startswith("W9"))
    for shown in ("1.00", "2.00  jax.jit", "2.00x", "4.10x", "13.0"):
        assert shown in row
    assert row.split()[-1] == "met"
    page = report.page(run, "images/benchmarks.svg")
    assert "| **2.00x** | 4.10 ms | 4.10x |" in page
    assert "failed: RuntimeError: out of luck" in page
    drawing = ElementTree.fromstring(svg(run))
    circles = [e for e in drawing.iter() if e.tag.endswith("circle")]
    assert len(circles) == 3 + 3 * len(workloads())  # the legend, and three contenders in each row
