"""`findings_of`: an experiment looked at, tried for some steps on a copy, and looked at again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..base.config import enable_grad, no_grad, settings
from ..base.dtypes import FLOAT, INTEGER
from ..base.errors import BacklitError
from ..graph.node import Node
from ..graph.tensor import Tensor, edge, leaf_node
from ..nn import Layer
from ..ops.random import key as random_key
from ..train.goals import Goal
from .changes import plain
from .faults import limit
from .findings import NAN, Born, Findings, InputFigures, Snapshot, Trial
from .flow import flow_of
from .nonfinite import trace_nonfinite
from .probe import Probe
from .rules.course import largest_change
from .running import MEASURED, Run, Runner, batches
from .tape import Tape, tape_of
from .verdict import Experiment

Array = np.ndarray[Any, Any]

#: Samples that are looked at at once.
SAMPLES = 256
#: The learning rate is tried at these factors where the loss does not fall at the one that is given.
SLOWER, FASTER = (0.1, 0.01, 0.001), (30.0, 1000.0, 30000.0)


class Sight:
    """A network, its loss and a batch, as they are looked at.

    Args:
        model: the network.
        goal: the loss.
        batch: inputs and targets, as arrays.
        seed: of dropout.
    """

    def __init__(self, model: Layer, goal: Goal, batch: Sequence[Any], seed: int = 0) -> None:
        self.model, self.goal, self.seed = model, goal, seed
        self.batch = tuple(Tensor(x) for x in batch)
        self.probe = Probe(model, self.loss, lambda batch: goal.opened(batch)[0])

    def loss(self, out: Any, batch: Any) -> Any:
        """The loss of outputs for a batch."""
        return self.goal.loss(out, self.goal.opened(batch)[1])

    def snapshot(self, values: Mapping[str, Any], step: int) -> Snapshot:
        """The figures at these values."""
        with np.errstate(all="ignore"):
            return self.probe.snapshot(self.probe(values, self.batch, random_key(self.seed)), step)

    def recorded(self, values: Mapping[str, Any]) -> tuple[Any, Tape | None]:
        """The outputs for the batch, in training, and the tape of the loss; None where there is nothing to derive."""
        trained = {p for p in self.model.parameters() if values[p].dtype.char in FLOAT}
        entered = {p: edge(leaf_node(v.value, name=p)) if p in trained else v for p, v in values.items()}
        with enable_grad(), settings(keep_values=True), np.errstate(all="ignore"):
            inputs = self.goal.opened(self.batch)[0]
            out, _ = self.model.apply(entered, *inputs, training=True, key=random_key(self.seed))
            loss = self.loss(out, self.batch)
        return out, tape_of(loss, names={p: entered[p] for p in trained}) if loss.node is not None else None

    def born(self, values: Mapping[str, Any], step: int = 0) -> Born | None:
        """Where the first number that is not finite comes up at these values; None where there is none."""
        trained = [p for p in self.model.parameters() if values[p].dtype.char in FLOAT]

        def loss(params: Any, inputs: Any, targets: Any) -> Any:
            batch = (*inputs, targets) if isinstance(inputs, tuple) else (inputs, targets)
            key = random_key(self.seed)
            out, _ = self.model.apply({**values, **params}, *self.goal.opened(batch)[0], training=True, key=key)
            return self.loss(out, batch)

        *inputs, y = self.batch
        x = inputs[0] if len(inputs) == 1 else tuple(inputs)
        origin = trace_nonfinite(loss, {p: values[p] for p in trained}, x, y, wrt="params")
        if origin is None:
            return None
        place = f" ({origin.place})" if origin.place else ""
        if origin.direction == "input":
            told = f"{origin.reason}{place}"
        else:
            way = f"the derivative of {origin.of or origin.op}" if origin.direction == "backward" else origin.op
            told = f"{way} gives the first number that is not finite, {origin.what}{place}: {origin.reason}"
        return Born(origin.layer, f"{told}; to mend it: {origin.mend.rstrip('.')}", step)

    def facts(self, first: Snapshot, out: Any, tape: Tape | None, y: Array) -> Findings:
        """What can be said before anything is trained; `y` are all the targets there are."""
        classes = y.dtype.char in INTEGER or y.dtype == np.bool_
        return Findings(
            first,
            inputs=_inputs(tape),
            targets=None if classes else (float(y.min()), float(y.max())),
            shares=_shares(y, tuple(out.shape)),
            baseline=_baseline(self.goal, y, tuple(out.shape)),
            loss=self.goal.name,
            last_op=_last(out, tape),
            slips=_slips(tape),
        )


class Measured:
    """What was measured of an experiment, and with what.

    Attributes:
        findings: what the rules look at.
        runner: runs more of it.
        run: the trial; None where the loss or a gradient was no finite number from the start.
        tape: of the first batch; None where its graph could not be differentiated.
    """

    def __init__(self, experiment: Experiment, steps: int = 200) -> None:
        self.runner = Runner(experiment)
        model = self.runner.model
        self.sight = Sight(model, self.runner.goal, [plain(x)[:SAMPLES] for x in experiment.data], experiment.seed)
        start = {**model.parameters(), **model.state()}
        first = self.sight.snapshot(start, 0)
        out, self.tape = self.sight.recorded(start)
        self.run: Run | None = None
        found = self.sight.facts(first, out, self.tape, plain(experiment.data[-1]))
        if first.finite:
            flow = flow_of(self.tape) if self.tape is not None else None
            self.findings = self._tried(found._replace(flow=flow, cut=self._cut(start, first)), start, steps)
        else:
            self.findings = found._replace(nonfinite=self.sight.born(start))

    def _tried(self, found: Findings, start: Mapping[str, Any], steps: int) -> Findings:
        """With what some steps of training do, at this learning rate and, where that does little, at others."""
        runner = self.runner
        self.run = run = runner(steps, stops=[steps * k // 8 for k in range(1, 8)])
        finite = all(np.isfinite(v.numpy()).all() for v in run.values.values() if v.dtype.char in FLOAT)
        last = self.sight.snapshot(run.values, steps) if finite else None
        found = found._replace(
            trial=_trial(run, steps),
            last=last if last is not None and last.finite else None,
            moved={
                p: bool((run.values[p].numpy() != v.numpy()).any())
                for p, v in start.items()
                if p in found.first.parameters
            },
            changes=self._changes(start),
            validation=tuple((s, loss) for s, loss in run.curve if np.isfinite(loss)),
        )
        change, falls = largest_change(found), run.end / run.start if run.start > 0 else NAN
        if change < limit("learning rate too low", "change"):
            if falls > limit("learning rate too low", "falls"):
                found = found._replace(faster=self._best(steps, FASTER))
        elif not falls < limit("learning rate too high", "rises") or change > limit("learning rate too high", "change"):
            found = found._replace(slower=self._best(steps, SLOWER))
        if not run.finite and (found.slower is None or not found.slower.finite):
            found = found._replace(nonfinite=self._broken(start, run))
        return found

    def _broken(self, start: Mapping[str, Any], run: Run) -> Born | None:
        """Where the number was born that a trial broke by: in the step whose loss was the first that was not finite, or
        in the one before.
        """
        e, fine = self.runner.experiment, np.isfinite(run.losses)
        first = len(fine) if fine.all() else int(np.argmin(fine))
        order = batches(tuple(map(plain, e.data)), e.batch_size, first + 1, e.seed)
        for step in range(max(first - 1, 0), first + 1):
            values = self.runner(step).values if step else start
            batch = [plain(x)[order[step]] for x in e.data]
            born = Sight(self.runner.model, self.runner.goal, batch, e.seed).born(values, step)
            if born is not None:
                return born
        return None

    def _cut(self, start: Mapping[str, Any], first: Snapshot) -> tuple[str, ...]:
        """Parameters without a gradient that the loss depends on: it is another when they are."""
        found: list[str] = []
        for path, figures in first.parameters.items():
            if np.isnan(figures.gradient):
                moved = Tensor(start[path].numpy() * 1.5 + 0.5)
                other = self.sight.snapshot({**start, path: moved}, 0).loss
                if other != first.loss:
                    found.append(path)
        return tuple(found)

    def _best(self, steps: int, rates: Sequence[float]) -> Trial:
        """The run at the rate that ends lowest."""
        runs = [_trial(self.runner(steps, rate), steps, rate) for rate in rates]
        return min(runs, key=lambda t: t.end if t.finite else np.inf)

    def _changes(self, start: Mapping[str, Any]) -> dict[str, float]:
        """How large a step is beside the weights: the first or the sixth, whichever is larger."""
        found: dict[str, float] = {}
        for a, b in ((start, self.runner(1).values), (self.runner(5).values, self.runner(6).values)):
            for path in self.runner.model.parameters():
                old, new = (v[path].numpy().astype(np.float64) for v in (a, b))
                size = np.linalg.norm(old)
                if size > 0 and np.isfinite(new).all() and np.isfinite(size):
                    found[path] = max(found.get(path, 0.0), float(np.linalg.norm(new - old) / size))
        return found


def _last(out: Any, tape: Tape | None) -> tuple[str, str]:
    """The op that made the outputs, what only moves elements excepted, and its layer."""
    node = tape.image(out) if tape is not None else None
    while node is not None and node.op.family == "movement":
        node = next((x for x in node.inputs or () if isinstance(x, Node)), None)
    return (node.op.name, tape.layer(node)) if node is not None and tape is not None else ("", "")


def _trial(run: Run, steps: int, rate: float = 1.0) -> Trial:
    return Trial(steps, run.losses, run.start, run.end, run.quality, rate)


def _inputs(tape: Tape | None) -> InputFigures | None:
    """The data that the first weights are multiplied with, if nothing that is learned came before."""
    for node in () if tape is None else tape.nodes:
        if node.op.name not in ("matmul", "convolve"):
            continue
        x = next((v for v in node.inputs or () if not isinstance(v, Node) and np.ndim(v) > 1), None)
        if x is None or x.dtype.char not in FLOAT:
            return None
        x = np.asarray(x, np.float64)
        axes = (0, *range(2, x.ndim)) if node.op.name == "convolve" else tuple(range(x.ndim - 1))
        spreads = x.std(axis=axes)
        varying = spreads[spreads > 1e-6 * (np.abs(x).max() or 1.0)]
        small, large = np.quantile(varying, (0.1, 0.9)) if varying.size else (np.inf, 0.0)
        with np.errstate(all="ignore"):
            size = float(np.sqrt(np.mean(x**2)))
        return InputFigures(
            size, float(x.min()), float(x.max()), float(small), float(large), bool(varying.size),
        )  # fmt: skip
    return None


def _shares(y: Array, out: tuple[int, ...]) -> tuple[float, ...]:
    """Which share of the targets is of each class."""
    if y.dtype.char not in INTEGER or len(out) != y.ndim + 1 or out[1 : y.ndim] != y.shape[1:]:
        return ()
    counts = np.bincount(y.ravel()[y.ravel() >= 0], minlength=out[-1])
    return tuple((counts / max(counts.sum(), 1)).tolist())


def _baseline(goal: Goal, y: Array, out: tuple[int, ...]) -> float:
    """The loss of the best constant output: the classes' frequencies, or the mean of the targets."""
    y = y[:MEASURED]
    shape = (len(y), *out[1:])
    shares = _shares(y, out)
    try:
        if shares and goal.name == "cross_entropy":
            constant = np.broadcast_to(np.log(np.maximum(shares, 1e-12)), shape)
        elif goal.name == "binary_cross_entropy" and y.size == np.prod(shape):
            p = np.clip(y.mean(), 1e-6, 1 - 1e-6)
            constant = np.full(shape, np.log(p / (1 - p)))
        elif y.dtype.char in FLOAT and y.size == np.prod(shape):
            middle = np.median if goal.name == "mae" else np.mean
            constant = np.broadcast_to(middle(y.reshape(shape), axis=0), shape)
        else:
            return NAN
        with no_grad(), np.errstate(all="ignore"):
            found = goal.loss(Tensor(constant.astype(np.float32)), goal.opened((y[:1], Tensor(y)))[1])
        return float(found.numpy())
    except (BacklitError, TypeError, ValueError):
        return NAN


def _slips(tape: Tape | None) -> tuple[str, ...]:
    """In what comes after the network: (n, 1) and (n,) that were spread to (n, n)."""
    if tape is None or not tape.calls:
        return ()
    last = max(c.stop for c in tape.calls)
    found: list[str] = []
    for node in tape.nodes:
        if node.op.family != "elementwise" or tape.source(node).serial < last:
            continue
        shapes: list[tuple[int, ...]] = [tuple(getattr(x, "shape", ())) for x in node.inputs or ()]
        if len(shapes) == 2 and sorted(map(len, shapes)) == [1, 2]:
            row, column = sorted(shapes, key=len)
            if column == (*row, 1) and row[0] > 1:
                line = tape.line(node)
                where = f" ({line})" if line else ""
                found.append(f"{node.op.name} spreads {shapes[0]} against {shapes[1]} to {node.shape}{where}")
    return tuple(dict.fromkeys(found))
