"""`run`: some steps of an experiment on a copy, natively, and what came of them; and the learning rate that does best.

A loss of the user's own is taken as it is, slips and all: a trainer would refuse some of them, but here they are what
is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.functions import value_and_grad
from ..base.config import no_grad
from ..base.dtypes import INTEGER
from ..base.errors import ArgumentError, shown
from ..data import Loader, Part
from ..graph.tensor import Tensor
from ..modes.compile import compile
from ..nn import Layer
from ..nn.losses import LOSSES
from ..nn.passes import unmade
from ..ops.random import key as random_key
from ..optim import rate_scaled, with_scale
from ..train.fitting import arrays_of
from ..train.goals import Goal, as_parameters, goal_of
from ..train.steps import State, training_loop
from .changes import copied, plain
from .verdict import Experiment

Array = np.ndarray[Any, Any]

#: Samples that figures before and after are taken from.
MEASURED = 2048
#: The range test goes through rates this far below and above the one at hand, decade by decade,
DECADES = tuple(10.0**k for k in range(-6, 8))
#: then between the best decade and its neighbours.
BETWEEN = tuple(10.0 ** (k / 4) for k in (-3, -2, -1, 1, 2, 3))


class Run(NamedTuple):
    """What some steps did.

    Attributes:
        losses: the loss of each step before its update; infinite or NaN from where it diverged.
        start, end: the loss, in evaluation, on the first 2,048 samples, before and after.
        quality: what does not depend on the loss: the share of samples whose class is right, averaged over the classes,
            or, for numbers, which part of the variance of the targets the outputs explain (R², at least -1); NaN where
            it cannot be said.
        validation: the loss on validation data after the steps, and
        curve: at several points on the way, with their steps; empty where there are none.
        values: parameters and buffers reached.
    """

    losses: Array
    start: float
    end: float
    quality: float
    validation: float
    curve: tuple[tuple[int, float], ...]
    values: dict[str, Any]

    @property
    def finite(self) -> bool:
        """Did every step have a finite loss, and the end, too?"""
        return bool(np.isfinite(self.losses).all() and np.isfinite(self.end))


class Runner:
    """An experiment compiled: it can be run for several learning rates without compiling again."""

    def __init__(self, experiment: Experiment, threads: int | None = None) -> None:
        self.experiment = experiment
        self.model = copied(experiment.model)
        inputs = [as_parameters(x[:1]) for x in experiment.data[:-1]]
        if unmade(self.model):
            self.model.build(*inputs, key=experiment.seed)
        self.goal = goal_for(self.model, experiment.loss, experiment.data)
        self.optimizer = rate_scaled(experiment.optimizer)
        self._loop = training_loop(self.model, self.goal, self.optimizer, threads)
        self._measure = compile(self._measured, threads=threads)

    def __call__(
        self, steps: int, rate: float = 1.0, stops: Sequence[int] = (), values: Mapping[str, Any] | None = None
    ) -> Run:
        """Train a copy for some steps, with the learning rate multiplied.

        Args:
            stops: steps at which the loss on validation data is looked at.
            values: parameters to begin with, in the place of the model's.
        """
        e = self.experiment
        data = tuple(map(plain, e.data))
        order = batches(data, e.batch_size, steps, e.seed)
        params, buffers = (
            {k: Tensor(np.array(plain((values or {}).get(k, v)))) for k, v in d.items()}
            for d in (self.model.parameters(), self.model.state())
        )
        begun = self.optimizer.init(params)
        state = State(params, buffers, with_scale(begun, rate), Tensor(0, np.int64))
        start, _ = self._looked(e.data, {**params, **buffers})
        losses: Any = Tensor(np.zeros(steps, np.float32))
        curve: list[tuple[int, float]] = []
        key, before = random_key(e.seed), 0
        with no_grad(), np.errstate(all="ignore"):
            for stop in sorted({*(s for s in stops if 0 < s < steps), steps}):
                state, losses, _ = self._loop(
                    state, losses, {}, data, order, np.int64(0), np.int64(before), np.int64(stop), key
                )
                before = stop
                if e.validation is not None:
                    curve.append((stop, self._looked(e.validation, {**state.params, **state.buffers})[0]))
        values = {**state.params, **state.buffers}
        end, quality = self._looked(e.data, values)
        held = curve[-1][1] if curve else float("nan")
        return Run(losses.numpy().astype(np.float64), start, end, quality, held, tuple(curve), values)

    def _looked(self, data: tuple[Any, ...], values: dict[str, Any]) -> tuple[float, float]:
        some = tuple(plain(x)[:MEASURED] for x in data)
        with no_grad(), np.errstate(all="ignore"):
            loss, out = self._measure(values, some)
        return float(loss.numpy()), quality(out.numpy(), some[-1])

    def _measured(self, values: Any, batch: Any) -> tuple[Any, Any]:
        inputs, y, _ = self.goal.opened(batch)
        out, _ = self.model.apply(values, *inputs)
        return self.goal.loss(out, y), out


def samples(given: Any, where: str, name: str = "batch") -> tuple[Any, ...]:
    """Inputs and targets, in the forms that `fit` takes or all in one row, as arrays with as many samples each."""
    if not isinstance(given, Part):
        if not isinstance(given, (tuple, list)) or len(given) < 2:
            raise ArgumentError(
                f"{where}: expected {name}=(inputs, targets), arrays with one row for each sample; got "
                f"{'nothing' if given is None else shown(given)}."
            )
        *inputs, y = given
        given = arrays_of(inputs[0] if len(inputs) == 1 else tuple(inputs), y)
    else:
        given = arrays_of(given)
    return Loader(given, 1).arrays  # which says so if there are more inputs than targets, or none


def goal_for(model: Layer, loss: Any, data: Sequence[Any]) -> Goal:
    """The loss for a model and data as the trainer wants it; a function of the user's own as it is."""
    if isinstance(loss, str) or loss in LOSSES.values():
        with np.errstate(all="ignore"):  # a sample goes through the network, which may be what is broken
            return goal_of(model, tuple(plain(x)[:1] for x in data), loss, [])
    return Goal(loss, getattr(loss, "__name__", type(loss).__name__), (), {}, False, False, None)


def batches(data: tuple[Array, ...], size: int, steps: int, seed: int) -> Array:
    """The rows of each step: epochs in random order, one after the other; their last, smaller batches are left out."""
    loader = Loader(data, min(size, len(data[0])), key=seed, drop_last=True)
    rows = [loader.rows(i)[: loader.steps * loader.batch_size] for i in range(-(-steps // loader.steps))]
    return np.concatenate(rows).reshape(-1, loader.batch_size)[:steps]


def outputs_of(experiment: Experiment) -> Tensor:
    """What the model gives, in evaluation, for the first samples."""
    with no_grad(), np.errstate(all="ignore"):
        return copied(experiment.model)(*(as_parameters(plain(x)[:MEASURED]) for x in experiment.data[:-1]))


def classes(y: Any) -> bool:
    """Are these targets numbers of classes?"""
    return y.dtype.char in INTEGER or y.dtype == np.bool_


def quality(out: Array, y: Array) -> float:
    """How good outputs are, whatever the loss: the share that is right, a mean over classes, or R², at least -1."""
    if not np.isfinite(out).all():
        return float("nan")
    if classes(y):
        if out.shape[:-1] == y.shape and out.shape[-1] > 1:
            right, kind = (out.argmax(-1) == y).ravel(), y.ravel()
        elif out.size == y.size:
            bound = 0.5 if out.min() >= 0 and out.max() <= 1 else 0.0
            right, kind = (out > bound).ravel() == (y > 0).ravel(), (y > 0).ravel()
        else:
            return float("nan")
        return float(np.mean([right[kind == c].mean() for c in np.unique(kind)]))
    if out.size != y.size:
        return float("nan")
    spread = np.mean((y - y.mean(axis=0)) ** 2, dtype=np.float64)
    error = np.mean((out.reshape(y.shape).astype(np.float64) - y) ** 2)
    return float(max(1 - error / spread, -1.0)) if spread > 0 else float("nan")


def best_rate(runner: Runner, steps: int = 60, values: Mapping[str, Any] | None = None) -> tuple[float, Run]:
    """The factor of the learning rate with which the loss is least after some steps, and what it did then. Of rates
    that do about as well (within 2 % of the fall) it is the smallest, which leaves the most room.

    This is the range test of Smith 2017 (section 3.3) with a start from the same point for each rate, so that one that
    is too high does not spoil the look at the next.
    """
    runs = {factor: runner(steps, factor, values=values) for factor in DECADES}
    best = _least(runs)
    runs |= {best * f: runner(steps, best * f, values=values) for f in BETWEEN}
    factor = _least(runs)
    return factor, runs[factor]


def _least(runs: Mapping[float, Run]) -> float:
    ends = {f: r.end if r.finite else np.inf for f, r in sorted(runs.items())}
    least, start = min(ends.values()), next(iter(runs.values())).start
    if not np.isfinite(least):
        return min(runs)
    room = 0.02 * max(start - least, 0.0) if np.isfinite(start) else 0.0
    return next(f for f, end in ends.items() if end <= least + room)


def poisonous(experiment: Experiment, most: int = 64) -> list[int]:
    """The samples, of those that figures are taken from, for which the loss or a gradient is not finite, by halving;
    no more than a few above `most`.
    """
    model, goal = copied(experiment.model), goal_for(experiment.model, experiment.loss, experiment.data)
    data = tuple(plain(x)[:MEASURED] for x in experiment.data)
    params, found = model.parameters(), []

    def fine(start: int, stop: int) -> bool:
        inputs, y, _ = goal.opened(tuple(Tensor(x[start:stop]) for x in data))
        with np.errstate(all="ignore"):
            value, slopes = value_and_grad(lambda p: goal.loss(model.apply(p, *inputs)[0], y))(params)
        return all(np.isfinite(plain(x)).all() for x in (value, *slopes.values()))

    waiting = [(0, len(data[0]))]
    while waiting and len(found) <= most:
        start, stop = waiting.pop()
        if fine(start, stop):
            continue
        if stop - start == 1:
            found.append(start)
        else:
            middle = (start + stop) // 2
            waiting += [(middle, stop), (start, middle)]
    return found
