"""The run: every workload, its contenders compared and then timed in turns."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from .remote import Failed, Remote
from .workload import Workload

#: A call that takes less is repeated until a sample takes about so long.
_SHORTEST = 1e-7


class Effort(NamedTuple):
    """How much time is spent.

    Attributes:
        rounds: samples of each contender.
        sample: seconds that a sample takes; more where one call takes longer.
        most: seconds for all samples of one contender; then there are fewer, but at least three.
        patience: seconds until a contender has to be ready.
        slow: take part also where a contender is slow to make or to run.
    """

    rounds: int
    sample: float
    most: float
    patience: float
    slow: bool


QUICK = Effort(rounds=7, sample=0.02, most=1.5, patience=60, slow=False)
USUAL = Effort(rounds=15, sample=0.06, most=4, patience=120, slow=False)
FULL = Effort(rounds=31, sample=0.1, most=20, patience=900, slow=True)


class Disagreement(Exception):
    """Two contenders computed different things, so that their times say nothing."""


def statistics_of(samples: list[float]) -> dict[str, Any]:
    """Median, quartiles and least of the seconds that a step took, and the samples in their order."""
    low, middle, high = statistics.quantiles(samples if len(samples) > 1 else samples * 2, n=4, method="inclusive")
    return {"median": middle, "quartiles": [low, high], "least": min(samples), "samples": list(samples)}


def compare(workload: Workload, values: dict[str, Sequence[float]]) -> None:
    """Check that all values agree with those of the first contender within the tolerance of the workload."""
    first, *others = values
    for other in others:
        for i, (a, b) in enumerate(zip(values[first], values[other], strict=True)):
            if not math.isclose(a, b, rel_tol=workload.tolerance, abs_tol=workload.tolerance * 1e-2):
                raise Disagreement(
                    f"{workload.key}: value {i} of {first} is {a:.7g}, that of {other} {b:.7g}; they may differ by "
                    f"{workload.tolerance:g} of their size."
                )


def measure(workload: Workload, remotes: dict[str, Remote], effort: Effort) -> dict[str, Any]:
    """The results of one workload: a record of statistics or of what went wrong, for each contender."""
    results: dict[str, Any] = {}
    ready: dict[str, dict[str, Any]] = {}
    for name in workload.contenders():
        if name not in remotes:
            continue
        if name in workload.slow and not effort.slow:
            results[name] = {"skipped": "slow; --full runs it"}
            continue
        try:
            ready[name] = remotes[name].ask("prepare", effort.patience, workload=workload.key)
        except Failed as error:
            results[name] = {"error": str(error)}
    compare(workload, {name: r["values"] for name, r in ready.items()})
    calls = {name: max(1, int(effort.sample / max(r["once"], _SHORTEST))) for name, r in ready.items()}
    rounds = {
        name: min(effort.rounds, max(3, int(effort.most / (1.2 * calls[name] * r["once"]))))
        for name, r in ready.items()
    }
    samples: dict[str, list[float]] = {name: [] for name in ready}
    names, order = list(ready), random.Random(0)
    for turn in range(effort.rounds):
        order.shuffle(names)  # nobody always comes after the same one
        for name in names:
            if turn < rounds[name] and name not in results:
                try:
                    answer = remotes[name].ask("sample", effort.patience, calls=calls[name])
                except Failed as error:
                    results[name] = {"error": str(error)}
                    continue
                samples[name].append(answer["seconds"] / workload.per)
    for name, seconds in samples.items():
        if name not in results:
            results[name] = statistics_of(seconds) | {
                "calls": calls[name], "first": ready[name]["first"], "values": ready[name]["values"]
            }  # fmt: skip
    return results


def record(workload: Workload, results: dict[str, Any]) -> dict[str, Any]:
    """What is written down of a workload."""
    return {
        "title": workload.title,
        "unit": workload.unit,
        "target": workload.target,
        "flops": workload.flops / workload.per,
        "bytes": workload.bytes / workload.per,
        "tolerance": workload.tolerance,
        "results": results,
    }
