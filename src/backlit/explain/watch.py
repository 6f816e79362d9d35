"""`watch`: a callback that looks at a training while it runs, at a cost that is bounded."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..base.config import no_grad
from ..base.errors import ArgumentError
from ..base.extras import require
from ..graph.tensor import Tensor
from ..modes.compile import compile
from ..ops.random import key as random_key
from ..train import Callback, Progress, Trainer
from .findings import Findings, Snapshot, Trial
from .measuring import Sight
from .record import Look, Record, histogram, record_of
from .rules import judged
from .verdict import Verdict

#: Looks that are kept; of more, every second is let go.
KEPT = 128
#: Seconds that compiling the look may take: it is done once `share` of the training's time pays for it.
COMPILING = 1.5


#: Steps after which the course of the loss is judged.
ENOUGH = 200


class Watch(Callback):
    """Looks at a training: figures of layers, gradients and steps, and what is wrong by the rules of `diagnose`.

    A look is one forward and one backward pass over a batch of the training data; nothing of the training is changed
    by it, to the bit. Looks are taken at the beginning and then as often as the share allows; in a training that is
    long enough to pay for compiling, they become one native plan. With the package threadpoolctl, of the extra `train`,
    they leave the cores to the training at once.

    Args:
        folder: of the run, where `watch.json` is written at the end of epochs; None for not at all.
        share: of the time of training that may be spent on it; at least one look is taken.
        samples: that a look takes.

    Attributes:
        record: what was seen so far; None before the first step.
        verdicts: what is wrong.
        spent: seconds that looking took.
    """

    def __init__(self, folder: str | Path | None = None, share: float = 0.01, samples: int = 32) -> None:
        if not isinstance(folder, (str, Path, type(None))):
            raise ArgumentError(
                f"watch: expected the path of a folder, or nothing, got {type(folder).__name__}; what is watched is "
                "the training that it is given to: model.fit(x, y, callbacks=bl.watch())."
            )
        if not 0 < share <= 1:
            raise ArgumentError(f"watch: share must lie between 0 and 1, a part of the time of training; got {share}.")
        if samples < 2:
            raise ArgumentError(f"watch: samples must be 2 or more, to see how they differ; got {samples}.")
        self.folder = None if folder is None else Path(folder)
        self.share, self.samples = share, samples
        self.record: Record | None = None
        self.spent = self._last_cost = 0.0
        self._threads: Any = None
        self._looks: list[Look] = []
        self._facts: Findings | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What is wrong, by the newest look."""
        return self.record.verdicts if self.record is not None else ()

    def __repr__(self) -> str:
        looks = len(self._looks)
        told = "; ".join(_named(v) for v in self.verdicts) or "nothing that is looked for"
        return f"Watch({looks} look{'s' if looks != 1 else ''}: {told})"

    def begin(self, trainer: Trainer) -> None:
        """Take the first look."""
        self._begun = start = perf_counter()
        self._looks, self._facts, self.record, self._native = [], None, None, None
        before = record_of(self.folder) if self.folder is not None and not trainer.fresh else None
        goal = trainer.goal._replace(weighted=False)  # looks are at batches without their weights
        self._sight = Sight(trainer.model, goal, self._batch(trainer), trainer.seed)
        self._written = 0
        with np.errstate(all="ignore"), self._one_thread():
            self._look(trainer)
            out, tape = self._sight.recorded(trainer.values())
        targets = trainer.data.read(np.arange(min(trainer.data.size, 2048)), 0)[-2 if trainer.weighted else -1]
        with np.errstate(all="ignore"):
            self._facts = self._sight.facts(self._looks[0].snapshot, out, tape, targets)
        if before is not None:  # a training that goes on
            done = trainer.running_state.step.item()
            self._looks = [*(look for look in before.looks if look.snapshot.step < done), *self._looks]
            self._facts = self._facts._replace(first=self._looks[0].snapshot)
        self.spent = perf_counter() - start

    def steps(self, trainer: Trainer) -> None:
        """Look, if the time spent allows it."""
        if trainer.done and self._affords(self._last_cost):
            if self._native is None and (perf_counter() - self._begun) * self.share > COMPILING:
                self._native = compile(self._figures, threads=trainer.threads)
            self._look(trainer)

    def epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Judge what was seen, and write it down if it is new and the time allows it."""
        if len(self._looks) > self._written and self._affords(0.0):
            self._judge(trainer)
            self._write()

    def end(self, trainer: Trainer) -> None:
        """A last look, where it costs little beside what there was; what is wrong in a line, where progress is told."""
        if self._facts is None:
            return
        done = trainer.running_state.step.item() if trainer.state is not None else 0  # none where the loss broke
        if self._looks[-1].snapshot.step < done and self._affords(self._last_cost / 3):
            self._look(trainer)
        self._judge(trainer)
        self._write()
        if self.verdicts and any(isinstance(c, Progress) for c in trainer.callbacks):
            roots = [v for v in self.verdicts if not v.because]
            told = "; ".join(map(_named, roots))
            print(f"Watched: {told}." + (f" See backlit doctor {self.folder}" if self.folder else ""), flush=True)

    def _one_thread(self) -> AbstractContextManager[Any]:
        """NumPy's products in this thread alone: others of theirs would spin for a while beside the training's."""
        if self._threads is None:
            try:
                self._threads = require("threadpoolctl", "train").ThreadpoolController()
            except ImportError:  # looks cost more then
                return nullcontext()
        return self._threads.limit(limits=1, user_api="blas")

    def _affords(self, cost: float) -> bool:
        return self.spent + cost <= (perf_counter() - self._begun) * self.share

    def _batch(self, trainer: Trainer) -> list[Any]:
        """Some samples from all over the data, others in each epoch."""
        size = trainer.data.size
        rows = np.linspace(trainer.epoch, trainer.epoch + size, min(self.samples, size), endpoint=False) % size
        arrays = trainer.data.read(rows.astype(np.int64), trainer.epoch)
        return list(arrays[:-1] if trainer.weighted else arrays)

    def _figures(self, values: Any, optimizer: Any, batch: Any, key: Any) -> Any:
        params = {p: values[p] for p in self._sight.model.parameters()}
        return self._sight.probe(values, batch, key, lambda g: self._update(params, g, optimizer)[0])

    def _look(self, trainer: Trainer) -> None:
        start = perf_counter()
        self._update = trainer.optimizer.update
        state = trainer.running_state
        figures = self._native or self._figures
        with no_grad(), np.errstate(all="ignore"), self._one_thread():
            batch = tuple(Tensor(x) for x in self._batch(trainer)) if self._looks else self._sight.batch
            found = figures(trainer.values(), state.optimizer, batch, random_key(trainer.seed))
        snapshot: Snapshot = self._sight.probe.snapshot(found, state.step.item())
        weights = {path: histogram(v.numpy()) for path, v in state.params.items()}
        self._looks.append(Look(snapshot, weights))
        if len(self._looks) > KEPT:
            del self._looks[1:-1:2]
        self._last_cost = perf_counter() - start
        self.spent += self._last_cost

    def _judge(self, trainer: Trainer) -> None:
        assert self._facts is not None
        start = perf_counter()
        last = self._looks[-1].snapshot
        findings = self._facts._replace(
            last=last if len(self._looks) > 1 and last.finite else None,
            changes={p: q.change for p, q in last.parameters.items() if np.isfinite(q.change)},
            trial=_course(trainer),
            validation=tuple(
                (row["step"], row["validation_loss"]) for row in trainer.history if "validation_loss" in row
            ),
        )
        self.record = Record(tuple(self._looks), findings, tuple(judged(findings)))
        self.spent += perf_counter() - start

    def _write(self) -> None:
        start = perf_counter()
        if self.folder is not None and self.record is not None:
            self.record.save(self.folder)
        self._written = len(self._looks)
        self.spent += perf_counter() - start


def _named(v: Verdict) -> str:
    return f"{v.fault} in {v.layer}" if v.layer else v.fault


def _course(trainer: Trainer) -> Trial | None:
    """The epochs so far, as a trial, from the loss of the first to that of the last; None before they say much."""
    if len(trainer.history) < 2 or trainer.history[-1]["step"] < ENOUGH:
        return None
    losses = np.array(trainer.history["loss"], np.float64)
    return Trial(trainer.history[-1]["step"], losses, float(losses[0]), float(losses[-1]), float("nan"))


def watch(folder: str | Path | None = None, *, share: float = 0.01, samples: int = 32) -> Watch:
    """A callback that watches a training: give it to `fit`, or to a `Trainer`.

    >>> import numpy as np
    >>> import backlit as bl
    >>> from backlit import nn
    >>> x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    >>> seen = bl.watch()
    >>> model = nn.Sequential(nn.Dense(16, "relu"), nn.Dense(2))
    >>> history = model.fit(x, (x[:, 0] > 0).astype(int), epochs=2, callbacks=[seen], verbose=False)
    >>> seen.record.looks[0].snapshot.layers["0"].activation
    'relu'
    >>> seen.verdicts
    ()

    Args:
        folder: where `watch.json` is written; that of a run, for `backlit doctor` and the page of `backlit explore`.
        share: of the time of training that looking may take.
        samples: that a look takes.
    """
    return Watch(folder, share, samples)
