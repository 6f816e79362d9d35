"""`Verdict`: one thing that is wrong with a training, where, by which evidence, and what may mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..nn import Layer
from ..optim import Optimizer


class Experiment(NamedTuple):
    """A training as it can be run on a copy, and changed.

    Attributes:
        model: the network; never the user's own where anything is trained.
        loss: a function `loss(outputs, targets)`, or its name in `nn.losses`.
        optimizer: of `backlit.optim`.
        data: a batch, or a whole data set, as arrays: inputs, then targets.
        validation: the same of data that are not trained on; None where there are none.
        batch_size: samples in a step.
        seed: of the first values, the order of samples and dropout.
    """

    model: Layer
    loss: Any
    optimizer: Optimizer
    data: tuple[Any, ...]
    validation: tuple[Any, ...] | None = None
    batch_size: int = 64
    seed: int = 0


class Mend(NamedTuple):
    """A change that may help.

    Attributes:
        what: in the imperative, with the code: "start from He's weights: nn.Dense(64, weight='he_normal')".
        apply: the experiment with the change made; the one given is left as it is.
    """

    what: str
    apply: Callable[[Experiment], Experiment]


class Verdict(NamedTuple):
    """What is wrong.

    Attributes:
        fault: its name in `FAULTS` (`explain/faults.py`), such as "dead units".
        layer: the path of the layer (or parameter) where it is; empty where it is the whole.
        evidence: one sentence with the figures: "97 % of the units of layers.0 give 0 for every sample".
        figures: the figures by name, and the thresholds that they were held against.
        mends: what may help, the likeliest first.
        step: how many steps of training it took to show; 0 for what is there from the start.
        because: the fault that this one follows from, by name; empty where it stands for itself.
    """

    fault: str
    layer: str
    evidence: str
    figures: Mapping[str, float]
    mends: tuple[Mend, ...] = ()
    step: int = 0
    because: str = ""
