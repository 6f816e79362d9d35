"""Mends of the loss and of the end of a network, so that they suit each other and the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...base.dtypes import INTEGER
from ...nn import Dense
from ...nn.losses import LOSSES, nll
from ...ops.comparison import clip
from ...ops.exponential import log
from ..changes import (
    PROBABILITIES,
    copied,
    last_activation,
    last_part,
    made,
    plain,
    with_last_activation,
    with_targets,
)
from ..running import outputs_of
from ..verdict import Experiment, Mend

#: Probabilities are kept this far from 0 before a logarithm is taken.
LEAST = 1e-7


def matching_loss(e: Experiment) -> list[Mend]:
    """A loss, and an end of the network, that suit each other and the targets."""
    out, y, end = outputs_of(e), plain(e.data[-1]), last_activation(e.model)
    whole = y.dtype.char in INTEGER or y.dtype == np.bool_
    classes = int(y.max()) + 1 if whole and y.size else 0
    found: list[Mend] = []
    scores = whole and tuple(out.shape[:-1]) == y.shape and out.shape[-1] >= max(classes, 2)
    single = out.size == y.size and whole and classes <= 2
    if scores or single:
        name = "cross_entropy" if scores else "binary_cross_entropy"
        if end in (*PROBABILITIES, "log_softmax") and with_last_activation(e.model, None) is not None:
            found.append(
                Mend(
                    f'leave {end} out at the end, and take loss="{name}", which works on scores',
                    lambda e: e._replace(model=with_last_activation(e.model, None), loss=name),
                )
            )
        elif end in ("relu", "relu6") and with_last_activation(e.model, None) is not None:
            found.append(
                Mend(
                    f'leave {end} out at the end: scores may be negative; loss="{name}"',
                    lambda e: e._replace(model=with_last_activation(e.model, None), loss=name),
                )
            )
        if _probabilities(out.numpy(), scores):
            told = "the logarithm of the probabilities, kept from 0: nll(log(clip(p, 1e-7, 1)), y)"
            found.append(Mend(f"take as loss {told}", lambda e: e._replace(loss=_of_probabilities(scores))))
        if e.loss not in (name, LOSSES[name], "auto"):
            found.append(Mend(f'take loss="{name}", from scores', lambda e: e._replace(loss=name)))
    elif whole and classes > 2 and (last := last_part(e.model)) is not None and isinstance(last[1], Dense):
        found.append(
            Mend(
                f'give each class a score: nn.Dense({classes}) at the end, loss="cross_entropy"',
                lambda e: _with_scores(e, classes),
            )
        )
    elif not whole:
        if end and with_last_activation(e.model, None) is not None:
            found.append(
                Mend(
                    f"leave {end} out at the end: the targets go from {y.min():.3g} to {y.max():.3g}",
                    lambda e: e._replace(model=with_last_activation(e.model, None)),
                )
            )
        if e.loss not in ("mse", LOSSES["mse"], "auto") and out.size == y.size:
            found.append(Mend('take loss="mse"', lambda e: e._replace(loss="mse")))
    return found


def _probabilities(out: np.ndarray[Any, Any], several: bool) -> bool:
    if not np.isfinite(out).all() or out.min() < 0 or out.max() > 1:
        return False
    return not several or bool(np.allclose(out.sum(axis=-1), 1, atol=1e-3))


def _of_probabilities(several: bool) -> Callable[[Any, Any], Any]:
    if several:
        return lambda p, y: nll(log(clip(p, LEAST, 1.0)), y)

    def binary(p: Any, y: Any) -> Any:
        y = y.reshape(p.shape).astype(p.dtype)
        return -(y * log(clip(p, LEAST, 1.0)) + (1 - y) * log(clip(1 - p, LEAST, 1.0))).mean()

    return binary


def _with_scores(e: Experiment, classes: int) -> Experiment:
    model = copied(e.model)
    found = last_part(model)
    assert found is not None
    owner, _ = found
    owner.layers = (*owner.layers[:-1], Dense(classes))
    changed = e._replace(model=model, loss="cross_entropy")
    return changed._replace(model=made(model, changed))


def single_output(e: Experiment) -> Mend | None:
    """softmax over one output is 1 whatever the input: leave it out, with the binary loss on the score."""
    out, y = outputs_of(e), plain(e.data[-1])
    if last_activation(e.model) != "softmax" or out.shape[-1] != 1 or with_last_activation(e.model, None) is None:
        return None
    whole = y.dtype.char in INTEGER
    loss = "binary_cross_entropy" if whole or set(np.unique(y)) <= {0, 1} else "mse"

    def apply(e: Experiment) -> Experiment:
        shaped = lambda y: plain(y).reshape(len(y), 1).astype(np.int64 if whole or loss != "mse" else plain(y).dtype)
        return with_targets(e, shaped)._replace(model=with_last_activation(e.model, None), loss=loss)

    return Mend(f'leave softmax out (over one output it is always 1), and take loss="{loss}" on the score', apply)
