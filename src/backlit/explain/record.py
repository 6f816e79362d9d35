"""`Record`: what watching a training wrote down, and its file `watch.json` in the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import DataError
from ..train.files import write_whole
from .findings import Findings, InputFigures, LayerFigures, ParameterFigures, Snapshot, Trial
from .verdict import Verdict

NAME = "watch.json"
#: The version of the form of the file.
FORM = 1


class Histogram(NamedTuple):
    """How values are spread: so many in each of equal parts from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]


class Look(NamedTuple):
    """What was seen at one step.

    Attributes:
        snapshot: the figures of layers and parameters.
        weights: how the entries of each parameter are spread, by path.
    """

    snapshot: Snapshot
    weights: Mapping[str, Histogram]


class Record(NamedTuple):
    """What was seen of a training.

    Attributes:
        looks: in the order of their steps.
        findings: what the rules look at: facts of the data and the loss, and the first and last look.
        verdicts: what they said at the newest look.
    """

    looks: tuple[Look, ...]
    findings: Findings
    verdicts: tuple[Verdict, ...]

    def save(self, folder: str | Path) -> None:
        """Write it into the folder of a run, whole or not at all."""
        f = self.findings
        facts = {
            "inputs": f.inputs, "targets": f.targets, "shares": f.shares, "baseline": f.baseline, "loss": f.loss,
            "last_op": f.last_op, "slips": f.slips, "trial": f.trial, "validation": f.validation,
        }  # fmt: skip
        verdicts = [{"fault": v.fault, "layer": v.layer, "evidence": v.evidence, "step": v.step, "because": v.because,
                     "figures": dict(v.figures)} for v in self.verdicts]  # fmt: skip
        text = json.dumps(
            {"form": FORM, "looks": _plain(self.looks), "facts": _plain(facts), "verdicts": _plain(verdicts)}
        )
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_whole(Path(folder) / NAME, text + "\n")


def record_of(folder: str | Path) -> Record | None:
    """What watching wrote into the folder of a run; None where it was not watched.

    Raises:
        DataError: the file is damaged, or of another version.
    """
    path = Path(folder) / NAME
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["form"] != FORM:
            raise DataError(f"{path}: it has form {found['form']}, this version of Backlit reads {FORM}.")
        looks = [_look(x) for x in found["looks"]]
        facts = found["facts"]
        inputs, trial = facts["inputs"], facts["trial"]
        findings = Findings(
            looks[0].snapshot, looks[-1].snapshot if len(looks) > 1 else None,
            inputs=None if inputs is None else _floats(InputFigures, inputs),
            targets=None if facts["targets"] is None else tuple(facts["targets"]),
            shares=tuple(facts["shares"]), baseline=_number(facts["baseline"]), loss=facts["loss"],
            last_op=tuple(facts["last_op"]), slips=tuple(facts["slips"]),
            trial=None if trial is None else _floats(Trial, {**trial, "losses": np.array(trial["losses"], np.float64)}),
            validation=tuple((step, _number(loss)) for step, loss in facts["validation"]),
            changes={p: q.change for p, q in looks[-1].snapshot.parameters.items() if isfinite(q.change)},
        )  # fmt: skip
        verdicts = tuple(Verdict(**v) for v in found["verdicts"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        raise DataError(f"{path}: not a record of a watched training ({problem}); delete it and train again.") from None
    return Record(tuple(looks), findings, verdicts)


def histogram(x: Any, bins: int = 24, most: int = 4096) -> Histogram:
    """How the entries of an array are spread; of many, every n-th is counted."""
    values = np.asarray(x, np.float64).ravel()
    values = values[:: max(1, -(-values.size // most))]
    values = values[np.isfinite(values)]
    if not values.size:
        return Histogram(float("nan"), float("nan"), ())
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins, ends(low, high))
    return Histogram(low, high, tuple(counts.tolist()))


def ends(low: float, high: float) -> tuple[float, float]:
    """Between what a histogram counts: the least and the greatest value, or a little apart where these lie so close
    that there are too few numbers between them to part them into bins.

    >>> ends(0.0, 2.0), ends(1.0, 1.0)
    ((0.0, 2.0), (0.5, 1.5))
    """
    size = max(abs(low), abs(high))
    if high - low > max(1e-12 * size, 1e-300):
        return float(low), float(high)
    return float(low) - 0.5 * max(size, 1.0), float(high) + 0.5 * max(size, 1.0)


def _look(x: Any) -> Look:
    snapshot = x["snapshot"]
    layers = {path: _floats(LayerFigures, v) for path, v in snapshot["layers"].items()}
    parameters = {
        path: _floats(ParameterFigures, {**v, "shape": tuple(v["shape"])}) for path, v in snapshot["parameters"].items()
    }
    return Look(
        Snapshot(snapshot["step"], _number(snapshot["loss"]), layers, parameters, tuple(snapshot["classes"])),
        {path: _floats(Histogram, {**v, "counts": tuple(v["counts"])}) for path, v in x["weights"].items()},
    )


def _floats(kind: Any, fields: Mapping[str, Any]) -> Any:
    """A record of figures; null stands for a number that is not finite."""
    return kind(**{k: _number(v) for k, v in fields.items()})


def _number(x: Any) -> Any:
    return float("nan") if x is None else x


def _plain(x: Any) -> Any:
    """What JSON can say of a tree of NamedTuples: objects by field, null for numbers that are not finite."""
    if hasattr(x, "_asdict"):
        return {k: _plain(v) for k, v in x._asdict().items()}
    if isinstance(x, Mapping):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, Sequence) and not isinstance(x, str):
        return [_plain(v) for v in x]
    if isinstance(x, np.ndarray):
        return _plain(x.tolist())
    if isinstance(x, (float, np.floating)):
        return float(x) if isfinite(x) else None
    return x.item() if isinstance(x, np.generic) else x
