"""How a case is judged: the verdict, the layer, and whether the mend that is proposed restores learning."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from backlit.explain.diagnosis import examined
from backlit.explain.running import Run, Runner
from backlit.explain.verdict import Experiment, Verdict

from .case import Healthy, Planted

#: A mended training is restored if its loss is within this share of the healthy twin's,
WITHIN = 0.1
#: or so little above, as a share of what the twin began with, that both are as good as 0;
NOUGHT = 1e-3
#: and if it is not worse by more than this in the share that is right (or in R²), whatever its loss says.
WORSE = 0.05


class Judged(NamedTuple):
    """What came of a planted fault.

    Attributes:
        name, family, fault: of the case.
        verdicts: what was found, as "fault in layer", in the order in which it was told.
        first: was the planted fault named first?
        among: was it among the roots?
        place: was the layer right (and, of a number that is not finite, the op and the reason), where that fault was
            named?
        mend: what was proposed, or told; and was it applied?
        restored: does training with it come to where the healthy twin comes to?
        loss, twin: where they come to.
        seconds: that it took.
    """

    name: str
    family: str
    fault: str
    verdicts: tuple[str, ...]
    first: bool
    among: bool
    place: bool
    mend: str
    applied: bool
    restored: bool
    loss: float
    twin: float
    seconds: float

    @property
    def right(self) -> bool:
        """Is the first verdict right, and its layer?"""
        return self.first and self.place


class Alarm(NamedTuple):
    """What came of a healthy network: `verdicts` should be empty."""

    name: str
    family: str
    verdicts: tuple[str, ...]
    loss: float
    seconds: float


def begun(experiment: Experiment, steps: int) -> Experiment:
    """An experiment after so many steps."""
    if not steps:
        return experiment
    values = Runner(experiment)(steps).values
    return experiment._replace(model=experiment.model.load_values(values))


def told(verdict: Verdict) -> str:
    """A verdict in a few words."""
    place = f" in {verdict.layer}" if verdict.layer else ""
    return f"{verdict.fault}{place}" + (f" (of {verdict.because})" if verdict.because else "")


def placed(case: Planted, verdict: Verdict) -> bool:
    """Does a verdict name the right layer; and the right op and reason, where they are known?"""
    layer, words = verdict.layer, verdict.evidence.lower()
    if case.layers and not any(layer == p or (p and layer.startswith(f"{p}.")) for p in case.layers):
        return False
    return not case.reason or any(word in words for word in case.reason)


def judge(case: Planted, seed: int = 0, steps: int = 200) -> Judged:
    """Diagnose a planted fault, apply the mend that is proposed, and train on beside the healthy twin."""
    start = perf_counter()
    experiment = begun(case.faulty(seed), case.before)
    found = examined(experiment, steps)
    roots = [v for v in found.verdicts if not v.because]
    named = next((v for v in roots if v.fault == case.fault), None)
    outcome = next((o for o in found.outcomes if o is not None), None)
    twin = Runner(case.twin(seed))(case.steps)
    mended: Run | None = None
    if outcome is not None and outcome.mend is not None:
        mended = Runner(outcome.mend.apply(experiment))(case.steps)
    return Judged(
        case.name, case.family, case.fault, tuple(map(told, found.verdicts)),
        first=bool(found.verdicts) and found.verdicts[0].fault == case.fault,
        among=named is not None,
        place=named is not None and placed(case, named),
        mend=outcome.sentence if outcome else "",
        applied=mended is not None,
        restored=mended is not None and restored(mended, twin, case.fault),
        loss=_left(mended, case.fault) if mended else float("nan"),
        twin=_left(twin, case.fault),
        seconds=perf_counter() - start,
    )  # fmt: skip


def alarm(case: Healthy, seed: int = 0, steps: int = 200) -> Alarm:
    """Diagnose a healthy network."""
    start = perf_counter()
    found = examined(begun(case.experiment(seed), case.before), steps, mends=False)
    trial = found.findings.trial
    loss = trial.end if trial else float("nan")
    return Alarm(case.name, case.family, tuple(map(told, found.verdicts)), loss, perf_counter() - start)


def restored(mended: Run, twin: Run, fault: str = "") -> bool:
    """Did a mended training come to where the healthy one came to?"""
    goal = _left(twin, fault)
    near = _left(mended, fault) <= goal + WITHIN * abs(goal) + NOUGHT * abs(twin.start)
    worse = fault != "over-fitting" and np.isfinite(twin.quality) and not mended.quality >= twin.quality - WORSE
    return bool(near and not worse)


def _left(run: Run, fault: str) -> float:
    """What counts: the loss; on validation data for over-fitting; where rare classes were lost, the share that is
    wrong, averaged over the classes, since mend and twin may weigh samples differently.
    """
    value = {"over-fitting": run.validation, "class collapse": 1 - run.quality}.get(fault, run.end)
    return value if run.finite else float("inf")


def share(values: Sequence[bool]) -> float:
    """The share that is true."""
    return float(np.mean(values)) if values else float("nan")


def figures(judged: Sequence[Judged], alarms: Sequence[Alarm]) -> dict[str, Any]:
    """The figures of a run, as JSON has them."""
    return {
        "planted": len(judged),
        "right": share([j.right for j in judged]),
        "named first": share([j.first for j in judged]),
        "named": share([j.among for j in judged]),
        "restored": share([j.restored for j in judged]),
        "restored of those applied": share([j.restored for j in judged if j.applied]),
        "mend applied": share([j.applied for j in judged]),
        "healthy": len(alarms),
        "false alarms": share([bool(a.verdicts) for a in alarms]),
    }
