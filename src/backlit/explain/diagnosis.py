"""`diagnose`: what is wrong with a training, by which figures, and what mends it, tried on a copy."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

from ..base.errors import ArgumentError, shown
from ..data import Part
from ..nn import Layer
from ..optim import Optimizer, adam
from ..train.files import write_whole
from .findings import Findings
from .flow import Flow
from .measuring import Measured
from .mends import mends_for
from .rules import judged
from .running import samples
from .trial import Outcome, tried
from .verdict import Experiment, Verdict


class Diagnosis(NamedTuple):
    """What `diagnose` found.

    Attributes:
        verdicts: what is wrong, roots before what follows from them (`because`); empty for a healthy training.
        outcomes: for each verdict what its mends did, tried on a copy; None where none was tried.
        findings: the figures.
        experiment: what was looked at.
    """

    verdicts: tuple[Verdict, ...]
    outcomes: tuple[Outcome | None, ...]
    findings: Findings
    experiment: Experiment

    @property
    def healthy(self) -> bool:
        """Was nothing found?"""
        return not self.verdicts

    @property
    def flow(self) -> Flow | None:
        """How each layer changes the gradient on its way back."""
        return self.findings.flow

    def __str__(self) -> str:
        lines = [self._headline(), "", *_table(self.findings)]
        for told in self.flow.sentences()[:2] if self.flow is not None else ():
            lines += ["", *wrap(told, 98)]
        for verdict, outcome in zip(self.verdicts, self.outcomes, strict=True):
            lines += ["", *_told(verdict, outcome)]
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write it as text (.txt) or page (.html), or draw how the gradient flows (.png)."""
        kind = Path(path).suffix
        if kind == ".png" and self.flow is not None:
            self.flow.save(path, "turns" if len(self.flow.turns) > len(self.flow.layers) else "layers")
        elif kind in (".txt", ".html"):
            write_whole(path, str(self) + "\n" if kind == ".txt" else self._repr_html_())
        else:
            why = "there is no gradient that could be drawn" if kind == ".png" else "expected .txt, .html or .png"
            raise ArgumentError(f"save: {path}: {why}.")

    def _headline(self) -> str:
        roots = [v for v in self.verdicts if not v.because]
        if not roots:
            trial = self.findings.trial
            course = (
                f": in {trial.steps} steps the loss goes from {trial.start:.3g} to {trial.end:.3g}" if trial else ""
            )
            return f"Nothing is wrong that is looked for{course}."
        return "; ".join(f"{v.fault}{f' in {v.layer}' if v.layer else ''}" for v in roots).capitalize() + "."

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<li><b>{escape(v.fault)}</b>{f' in <code>{escape(v.layer)}</code>' if v.layer else ''}: "
            f"{escape(v.evidence)}.{f' <i>Mend:</i> {escape(o.sentence)}.' if o else ''}</li>"
            for v, o in zip(self.verdicts, self.outcomes, strict=True)
        )
        table = escape("\n".join(_table(self.findings)))
        flow = "".join(f"<p>{escape(told)}</p>" for told in (self.flow.sentences()[:2] if self.flow else ()))
        return f"<div><p><b>{escape(self._headline())}</b></p><ul>{rows}</ul>{flow}<pre>{table}</pre></div>"


def diagnose(
    model: Layer, loss: Any = "auto", batch: Sequence[Any] | Part | None = None, *, optimizer: Optimizer | None = None,
    validation: Sequence[Any] | Part | None = None, steps: int = 200, batch_size: int = 64, mends: bool = True,
    seed: int = 0,
) -> Diagnosis:  # fmt: skip
    """Say what is wrong with a training, why, and what mends it.

    The model is looked at as it is, trained for some steps on a copy, and looked at again. For each fault that comes
    out mends are tried, on copies too, and what they did is told in figures. Neither model nor data are changed.

    Args:
        model: the network.
        loss: `loss(outputs, targets)`, or the name of one of `nn.losses`; "auto" goes by the targets, as `fit` does.
        batch: `(inputs, targets)`, or a `Part`: one batch, or a whole data set; several inputs are a tuple.
        optimizer: the one that is used; by default `optim.adam()`.
        validation: the same of data that are not trained on; without them over-fitting is not seen.
        steps: of the trial.
        batch_size: samples of a step of it.
        mends: try them?
        seed: of the order of samples, and of dropout.

    >>> import numpy as np
    >>> import backlit as bl
    >>> from backlit import nn, optim
    >>> x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = nn.Sequential(nn.Dense(16, "relu"), nn.Dense(2)).build((8,))
    >>> bl.diagnose(model, "cross_entropy", (x, y), optimizer=optim.sgd(300.0), mends=False).verdicts[0].fault
    'learning rate too high'
    """
    if not isinstance(model, Layer):
        raise ArgumentError(
            f"diagnose: expected a network, a backlit.nn.Layer, got {type(model).__name__}. What is computed without "
            "layers is told about by bl.explain, bl.why and bl.trace_nonfinite."
        )
    if not isinstance(loss, str) and not callable(loss):
        raise ArgumentError(
            f'diagnose: loss must be a function of outputs and targets, its name, or "auto"; got {shown(loss)}.'
        )
    if steps < 10:
        raise ArgumentError(f"diagnose: steps must be at least 10, to see where the loss goes; got {steps}.")
    data = samples(batch, "diagnose", "batch")
    held = None if validation is None else samples(validation, "diagnose", "validation")
    experiment = Experiment(model, loss, optimizer or adam(), data, held, batch_size, seed)
    return examined(experiment, steps, mends)


def examined(experiment: Experiment, steps: int = 200, mends: bool = True) -> Diagnosis:
    """The diagnosis of an experiment."""
    measured = Measured(experiment, steps)
    experiment = experiment._replace(model=measured.runner.model)  # a copy, whose parameters are there
    verdicts = [v._replace(mends=mends_for(v.fault, v.layer, v.figures, experiment)) for v in judged(measured.findings)]
    outcomes = [
        tried(v, experiment, steps, before=measured.run) if mends and v.mends and not v.because else None
        for v in verdicts
    ]
    return Diagnosis(tuple(verdicts), tuple(outcomes), measured.findings, experiment)


def _told(v: Verdict, outcome: Outcome | None) -> list[str]:
    title = f"{v.fault}{f' in {v.layer}' if v.layer else ''}" + (f" (follows from {v.because})" if v.because else "")
    lines = [title.capitalize(), *wrap(f"{v.evidence}.", 96, initial_indent="  ", subsequent_indent="  ")]
    if outcome is not None:
        kind = "mend, tried: " if outcome.mend is not None else "mend: "
        lines += wrap(f"{kind}{outcome.sentence}.", 96, initial_indent="  → ", subsequent_indent="    ")
        if not outcome.helped and outcome.mend is not None:
            lines.append("    (it did not help)")
    elif v.mends:
        lines += wrap(f"mend, not tried: {v.mends[0].what}.", 96, initial_indent="  → ", subsequent_indent="    ")
    return lines


def _table(f: Findings) -> list[str]:
    """A line for each layer with parameters or an activation: its output, its gradient, its weights."""
    rows = [("layer", "output", "dead", "mean |f'|", "gradient", "grad/weight", "step/weight")]
    for path, x in f.first.layers.items():
        if not path and len(f.first.layers) > 1:  # the model as a whole; an activation here is one of the loss
            continue
        own = {p: q for p, q in f.first.parameters.items() if p.rpartition(".")[0] == path and len(q.shape) > 1}
        if not own and not x.activation:
            continue
        ratios = [q.gradient / q.rms for q in own.values() if q.rms > 0]
        changes = [f.changes[p] for p in own if p in f.changes]
        rows.append((
            f"{path} {x.kind}".strip(), f"{x.rms:.3g}", "" if np.isnan(x.dead) else f"{x.dead:.0%}",
            "" if np.isnan(x.slope) else f"{x.slope:.2g}", f"{x.cotangent:.2g}",
            f"{max(ratios):.2g}" if ratios else "", f"{max(changes):.2g}" if changes else "",
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
