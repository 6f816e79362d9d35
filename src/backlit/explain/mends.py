"""`mends_for`: what may help against a fault, the likeliest first, as changes of an experiment that can be tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from .changes import recurrent
from .remedies import added, data, described, ending, joined, start, steps
from .verdict import Experiment, Mend

#: For a fault, the layer where it is, its figures and the experiment: what may help; None for what has no place.
Remedies = Callable[[str, Mapping[str, float], Experiment], Iterable[Mend | None]]


def mends_for(fault: str, layer: str, figures: Mapping[str, float], experiment: Experiment) -> tuple[Mend, ...]:
    """What may mend a fault, the likeliest first.

    Args:
        fault: one of the names in `FAULTS` (`explain/faults.py`).
        layer: the path of the layer or parameter where it is; empty for the whole.
        figures: what it was seen by.
        experiment: the training; nothing of it is changed, neither here nor by a mend's `apply`.

    >>> from backlit import nn, optim
    >>> import numpy as np
    >>> x, y = np.zeros((8, 3), "float32"), np.zeros(8, "int64")
    >>> model = nn.Sequential(nn.Dense(4, "sigmoid"), nn.Dense(2)).build((3,))
    >>> e = Experiment(model, "cross_entropy", optim.sgd(0.1), (x, y))
    >>> mends_for("vanishing gradient", "", {}, e)[0].what
    'take "relu" in the place of sigmoid, with init="he_normal"'
    """
    found: dict[str, Mend] = {}
    for mend in REMEDIES[fault](layer, figures, experiment):
        if mend is not None:
            found.setdefault(mend.what, mend)
    return tuple(found.values())


def _vanishing(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    if recurrent(e.model):
        yield start.other_start(e)
        yield added.gated(e)
    yield start.rectified(e)
    yield joined(start.rectified(e), added.norms(e))
    yield added.norms(e)
    yield start.other_start(e)
    yield added.residuals(e)
    yield joined(start.other_start(e), added.norms(e))


def _exploding(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield start.other_start(e)
    yield steps.clipped(e)
    yield added.norms(e)
    yield data.standardised_targets(e)
    yield added.gated(e)
    yield joined(start.other_start(e), steps.clipped(e))


def _dead(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield start.other_start(e, layer)
    yield start.other_start(e)
    yield start.leaky(e)
    for standard in data.standardised_inputs(e):
        yield joined(standard, start.other_start(e))


def _saturated(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield start.other_start(e)
    yield start.smaller_start(e)
    yield joined(steps.adam_instead(e), start.smaller_start(e))
    for standard in data.standardised_inputs(e):
        yield joined(standard, start.other_start(e))
    yield joined(start.other_start(e), added.norms(e))
    yield start.rectified(e)


def _scale(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield start.other_start(e)
    yield start.other_start(e, layer)
    yield joined(start.other_start(e), added.norms(e))


def _unnormalised(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    standard = data.standardised_inputs(e)
    yield from standard
    for mend in standard:
        yield joined(mend, start.other_start(e))


def _too_high(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield steps.tested_rate(e)
    yield joined(start.other_start(e), steps.tested_rate(e))
    yield steps.slower(e, 10)


def _too_low(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield steps.tested_rate(e)
    yield steps.faster(e, 100)
    yield steps.adam_instead(e)


def _stuck(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield added.hidden_layer(e)
    yield steps.tested_rate(e)
    for standard in data.standardised_inputs(e)[:1]:
        yield joined(standard, start.other_start(e))
    yield start.other_start(e)
    yield from ending.matching_loss(e)
    yield described("look at pairs of inputs and targets: do they belong together?", "only you can know that")


def _over_fitting(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield steps.stopped(e)
    yield added.dropout(e)
    yield steps.decayed(e, 0.01)
    yield joined(added.dropout(e), steps.stopped(e))
    yield joined(steps.decayed(e, 0.1), steps.stopped(e))


def _constant(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield ending.single_output(e)
    yield start.other_start(e)
    yield from ending.matching_loss(e)
    for standard in data.standardised_inputs(e):
        yield joined(standard, start.other_start(e))
    yield start.leaky(e)
    yield described("look at the inputs as the model gets them: do samples differ?", "how they are made is your code")


def _wrong_loss(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield ending.single_output(e)
    yield from ending.matching_loss(e)
    yield described(
        "choose a loss for what the network ends with: scores, probabilities, numbers", "the end is your code"
    )


def _slip(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield data.column_targets(e)
    yield data.flat_targets(e)
    yield described("give outputs and targets one shape in the loss", "the shapes meet within your own loss")


def _unused(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield added.attached(e, layer)
    yield described(
        f"use {layer or 'the parameter'} in forward, or leave it out of the model",
        "what forward should do only you know",
    )


def _unchanged(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield from steps.unfrozen(e, layer)
    yield described(
        f"look for stop_gradient, detach() or no_grad() on the way to {layer or 'the parameter'}",
        "forward is your own code",
    )


def _numerical(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield data.finite_rows(e)
    yield from ending.matching_loss(e)
    yield data.positive_outputs(e)
    yield data.poisoned_rows(e)
    yield from data.standardised_inputs(e)
    yield data.scaled_targets(e)
    yield data.unit_inputs(e)
    yield steps.clipped(e)
    yield joined(start.other_start(e), steps.slower(e, 10))


def _collapse(layer: str, figures: Mapping[str, float], e: Experiment) -> Iterator[Mend | None]:
    yield from data.class_weights(e)
    yield start.other_start(e)
    for weighted in data.class_weights(e)[:1]:
        yield joined(weighted, start.other_start(e))


REMEDIES: dict[str, Remedies] = {
    "vanishing gradient": _vanishing,
    "exploding gradient": _exploding,
    "dead units": _dead,
    "saturated activations": _saturated,
    "bad initial scale": _scale,
    "unnormalised input": _unnormalised,
    "learning rate too high": _too_high,
    "learning rate too low": _too_low,
    "loss not decreasing": _stuck,
    "over-fitting": _over_fitting,
    "constant output": _constant,
    "wrong loss": _wrong_loss,
    "broadcasting slip": _slip,
    "unused parameter": _unused,
    "unchanged parameter": _unchanged,
    "numerical problem": _numerical,
    "class collapse": _collapse,
}
