"""Mends that begin anew: first values of weights, and activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...nn import Layer
from ...nn.members import layers
from ..changes import (
    RECTIFIERS,
    SQUASHING,
    activations,
    copied,
    last_activation,
    plain,
    rate_times,
    recurrent,
    reinitialised,
    with_activation,
)
from ..running import Runner, best_rate
from ..verdict import Experiment, Mend

#: Weights are tried this much smaller, and larger.
SCALES = (0.01, 0.03, 0.1, 0.3, 3.0)


def other_start(e: Experiment, path: str = "") -> Mend | None:
    """Draw weights anew, with the variance that suits the activations, biases 0."""
    names = {name for _, name in activations(e.model)}
    inits = [t for t, group in (("he_normal", RECTIFIERS), ("glorot_uniform", SQUASHING)) if names & set(group)]
    weighted = any(layer.needs_setup() for _, layer in layers(e.model))
    if not weighted:
        return None
    init = " or ".join(f'"{i}"' for i in inits) or '"glorot_uniform"'
    code = f"init={init}" + (', recurrent_init="orthogonal"' if recurrent(e.model) else "")
    if path and (inside := _owner(e.model, path)):
        return Mend(
            f"draw the parameters of {inside} anew, {code}, biases 0",
            lambda e: e._replace(model=reinitialised(e, lambda p, _: p == inside or p.startswith(f"{inside}."))),
        )
    return Mend(f"draw all weights anew, {code}, biases 0", lambda e: e._replace(model=reinitialised(e)))


def _owner(model: Layer, path: str) -> str:
    """The layer with parameters that a path of a layer, or of a parameter, is about; the one before an activation."""
    weighted = [p for p, layer in layers(model) if p and layer.needs_setup()]
    own = [p for p in weighted if path == p or path.startswith(f"{p}.") or p.startswith(f"{path}.")]
    if own:
        return path if path not in weighted and any(p.startswith(f"{path}.") for p in own) else own[-1]
    before = [p for p in weighted if "." not in p and path.isdigit() and p.isdigit() and int(p) < int(path)]
    return before[-1] if before else ""


def other_activation(e: Experiment, old: Sequence[str], new: str) -> Mend | None:
    """Take another hidden activation, and draw weights that suit it."""
    end = {path for path, _ in list(activations(e.model))[-1:]} if last_activation(e.model) else set()
    there = sorted({name for path, name in activations(e.model) if name in old and path not in end})
    if not there or new in there:
        return None

    def apply(e: Experiment) -> Experiment:
        changed = e._replace(model=with_activation(e.model, there, new, end))
        return changed._replace(model=reinitialised(changed))

    init = "he_normal" if new in RECTIFIERS else "glorot_uniform"
    return Mend(f'take "{new}" in the place of {" and ".join(there)}, with init="{init}"', apply)


def rectified(e: Experiment) -> Mend | None:
    """Activations that do not flatten out."""
    return other_activation(e, SQUASHING, "relu")


def leaky(e: Experiment) -> Mend | None:
    """Rectifiers with a slope on both sides."""
    return other_activation(e, ("relu", "relu6"), "leaky_relu")


def smaller_start(e: Experiment) -> Mend | None:
    """Weights drawn anew and made smaller, or larger, by the factor with which training goes best, at its best rate."""
    start = other_start(e)
    if start is None:
        return None

    def apply(e: Experiment) -> Experiment:
        drawn = start.apply(e)
        runner, values = Runner(drawn), drawn.model.parameters()
        scaled = {f: {k: plain(v) * f if v.ndim > 1 else v for k, v in values.items()} for f in SCALES}
        found = {f: best_rate(runner, 40, tried)[1] for f, tried in scaled.items()}
        best = min(found, key=lambda f: found[f].end if found[f].finite else np.inf)
        factor, _ = best_rate(runner, 120, scaled[best])
        model = copied(drawn.model).load_values(scaled[best])
        return drawn._replace(model=model, optimizer=rate_times(e.optimizer, factor))

    return Mend(
        "draw all weights anew, biases 0, scale them so that activations do not saturate, and take the learning rate "
        "that suits them",
        apply,
    )
