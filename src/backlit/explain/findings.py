"""What is measured of a training, as plain figures: of layers, parameters, data, and the course of the loss.

The figures of one step are a `Snapshot`; `probe` makes them, in a run and out of it. `Findings` are all that the rules
(`rules/`) look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .flow import Flow

Array = np.ndarray[Any, Any]
NAN = float("nan")


class LayerFigures(NamedTuple):
    """What a layer gave for a batch, and what came back to it.

    Attributes:
        kind: the name of its class.
        rms: root of the mean square of its output.
        largest: the largest magnitude in it.
        spread: the standard deviation over the samples, averaged over all else, by `rms`: 0 for an output that is the
            same for all samples.
        cotangent: root of the mean square of the derivative of the loss by its output.
        activation: the activation that it ends with, or consists of; empty for none, then the rest is NaN.
        dead: of a rectifier, the share of units that give 0 for every sample.
        slope: the mean of |f'| over all elements.
        saturated: the share of elements with a slope of less than a twentieth of the greatest.
    """

    kind: str
    rms: float
    largest: float
    spread: float
    cotangent: float
    activation: str = ""
    dead: float = NAN
    slope: float = NAN
    saturated: float = NAN


class ParameterFigures(NamedTuple):
    """A parameter and its gradient.

    Attributes:
        shape: as the parameter's.
        rms: root of the mean square.
        spread: its standard deviation; 0 where all entries are equal.
        gradient: root of the mean square of its gradient; NaN where there is none.
        used: did the loss depend on it?
        change: the norm of what the next step changes, by its own norm; NaN where no optimizer was asked.
    """

    shape: tuple[int, ...]
    rms: float
    spread: float
    gradient: float
    used: bool
    change: float = NAN


class Snapshot(NamedTuple):
    """The figures of one step.

    Attributes:
        step: how many updates were done before.
        loss: of the batch.
        layers, parameters: by path, in the order of the forward pass and of the model.
        classes: which share of the samples is said to be of each class; empty where outputs are no scores.
    """

    step: int
    loss: float
    layers: Mapping[str, LayerFigures]
    parameters: Mapping[str, ParameterFigures]
    classes: tuple[float, ...] = ()

    @property
    def finite(self) -> bool:
        """Are the loss and all gradients finite numbers?"""
        gradients = (p.gradient for p in self.parameters.values() if p.used and not np.isnan(p.rms))
        return bool(np.isfinite(self.loss)) and not any(np.isinf(g) for g in gradients)


class InputFigures(NamedTuple):
    """What the first weights of a network are multiplied with, if that is the data as they came.

    Attributes:
        rms: root of the mean square of all.
        low, high: the least and the greatest number.
        smallest, largest: of the standard deviations of the features that vary, the tenth and the ninetieth percentile:
            the border of pictures hardly varies, and does no harm.
        varies: is there any feature that differs from sample to sample?
    """

    rms: float
    low: float
    high: float
    smallest: float
    largest: float
    varies: bool


class Trial(NamedTuple):
    """The course of some steps of training on a copy.

    Attributes:
        steps: how many were done.
        losses: of each step, before its update.
        start, end: the loss before and after, in evaluation.
        quality: the share that is right, or R², after it; NaN where it cannot be said.
        rate: the factor that the learning rate was multiplied with.
    """

    steps: int
    losses: Array
    start: float
    end: float
    quality: float
    rate: float = 1.0

    @property
    def finite(self) -> bool:
        """Did it stay with finite numbers?"""
        return bool(np.isfinite(self.losses).all() and np.isfinite(self.end))


class Born(NamedTuple):
    """Where the first number that is not finite came up.

    Attributes:
        layer: the path of the layer; empty outside of one.
        told: the op, the reason, and what to do, in a sentence.
        step: after how many steps of training; 0 from the start.
    """

    layer: str
    told: str
    step: int = 0


class Findings(NamedTuple):
    """All that the rules look at; what was not measured is None or empty.

    Attributes:
        first: the training as it was given; `last`: after the trial (or the newest step of a run).
        flow: how each layer changes the gradient, at `first`.
        inputs: the data as the first weights see them; None for tokens.
        targets: (least, greatest) of the targets that are no classes.
        shares: of the targets, which share is of each class; empty where they are none.
        baseline: the loss of the best constant output; NaN where it is not known.
        loss: the name of the loss.
        last_op: what the outputs were computed with last, and the path of its layer.
        slips: pairs of shapes, in the loss, that were spread against each other to something larger than both.
        changes: by path, the norm of the change of a parameter in one step, by the parameter's norm.
        moved: by path, whether any entry of a parameter changed in the whole trial.
        trial: the course of some steps; `slower`, `faster`: the same at other learning rates.
        validation: (step, loss) on data that are not trained on.
        cut: paths of parameters that change the loss, though no gradient comes to them.
        nonfinite: where a number that is not finite was born, from the start or at every learning rate that was tried.
    """

    first: Snapshot
    last: Snapshot | None = None
    flow: Flow | None = None
    inputs: InputFigures | None = None
    targets: tuple[float, float] | None = None
    shares: tuple[float, ...] = ()
    baseline: float = NAN
    loss: str = ""
    last_op: tuple[str, str] = ("", "")
    slips: tuple[str, ...] = ()
    changes: Mapping[str, float] = {}
    moved: Mapping[str, bool] = {}
    trial: Trial | None = None
    slower: Trial | None = None
    faster: Trial | None = None
    validation: tuple[tuple[int, float], ...] = ()
    cut: tuple[str, ...] = ()
    nonfinite: Born | None = None
