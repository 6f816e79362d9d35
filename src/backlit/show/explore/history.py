"""`history_of`: what a run recorded of its loss, its layers and its parameters, as JSON: curves and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from ...explain.record import Record
from ...train.history import History

#: Figures of layers and parameters that have a curve, in this order.
OF_LAYERS = ("rms", "cotangent", "slope", "saturated", "dead")
OF_PARAMETERS = ("rms", "gradient", "change")


def history_of(epochs: History, record: Record | None) -> dict[str, Any]:
    """The losses of the epochs, and of what was watched, curves over the steps that were looked at and histograms.

    Args:
        epochs: the log of the run.
        record: what `bl.watch` wrote; None where the run was not watched.
    """
    losses = {name: _numbers([row.get(name) for row in epochs]) for name in ("loss", "validation_loss")}
    found: dict[str, Any] = {
        "epochs": {"steps": [row["step"] for row in epochs], **{k: v for k, v in losses.items() if any(v)}},
        "steps": [], "of": {}, "spreads": {},
    }  # fmt: skip
    if record is None:
        return found
    snapshots = [look.snapshot for look in record.looks]
    curves: dict[str, dict[str, list[float | None]]] = {}
    for names, kind in ((OF_LAYERS, "layers"), (OF_PARAMETERS, "parameters")):
        paths = dict.fromkeys(path for s in snapshots for path in getattr(s, kind))
        for path in paths:
            of = [getattr(s, kind).get(path) for s in snapshots]
            values = {name: _numbers([getattr(f, name, None) for f in of]) for name in names}
            curves[path] = {name: v for name, v in values.items() if any(x is not None for x in v)}
    spreads: dict[str, list[Any]] = {}
    for look in record.looks:
        for path, h in look.weights.items():
            ends = [h.low, h.high] if isfinite(h.low) and isfinite(h.high) else None
            spreads.setdefault(path, []).append([look.snapshot.step, ends, list(h.counts)])
    return found | {"steps": [s.step for s in snapshots], "of": curves, "spreads": spreads}


def _numbers(values: Sequence[Any]) -> list[float | None]:
    return [None if v is None or not isfinite(v) else float(f"{v:.5g}") for v in values]
