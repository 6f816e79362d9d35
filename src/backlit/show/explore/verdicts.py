"""`verdicts_of`: the verdicts on a training as JSON, each with the node or group of the page that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...explain.trial import Outcome
from ...explain.verdict import Verdict


def verdicts_of(
    verdicts: Iterable[Verdict], outcomes: Iterable[Outcome | None], places: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The verdicts with what their mends did, each with the id of the node or group that it is about.

    Args:
        places: ids by path, of layers and parameters.
    """
    found: list[dict[str, Any]] = []
    for verdict, outcome in zip(verdicts, outcomes, strict=True):
        told = {
            "fault": verdict.fault,
            "layer": verdict.layer,
            "evidence": verdict.evidence,
            "because": verdict.because,
        }
        target = _place(verdict.layer, places)
        tried = outcome.sentence if outcome is not None else ""
        mend = verdict.mends[0].what if verdict.mends else ""
        found.append(told | {"target": target, "tried": tried, "mend": mend})
    return found


def _place(path: str, places: Mapping[str, str]) -> str:
    """The id of what has this path, or of the innermost layer around it."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        found = places.get(".".join(parts[:n]))
        if found is not None:
            return found
    return ""
