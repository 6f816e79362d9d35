"""The rules: what is wrong, by the figures. Each is a function from `Findings` to verdicts; `judged` asks them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..faults import FAULTS
from ..findings import Findings
from ..verdict import Verdict
from . import course, scale, signal, structure

Rule = Callable[[Findings], Iterator[Verdict]]

RULES: tuple[Rule, ...] = (
    structure.nonfinite, structure.broadcast, structure.wrong_loss, structure.unused, structure.unchanged,
    scale.unnormalised, scale.initial, signal.dead, signal.saturated, signal.vanishing, signal.exploding,
    course.rate_too_high, course.rate_too_low, course.constant, course.overfitting, course.collapse, course.stuck,
)  # fmt: skip


def judged(findings: Findings) -> list[Verdict]:
    """The verdicts, roots first; what follows from another says so (`because`).

    What was there first cannot follow from what came up in the trial; of what came up together, the one that stands
    earlier in `FAULTS` is the root.
    """
    order = list(FAULTS)
    found = sorted((v for rule in RULES for v in rule(findings)), key=lambda v: (v.step > 0, order.index(v.fault)))
    verdicts: list[Verdict] = []
    for i, v in enumerate(found):
        root = next((other.fault for other in found[:i] if other.fault in FAULTS[v.fault].after), "")
        verdicts.append(v._replace(because=root))
    return sorted(verdicts, key=lambda v: bool(v.because))
