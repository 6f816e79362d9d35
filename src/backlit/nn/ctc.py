"""`ctc`: connectionist temporal classification, the loss for sequences of labels whose places in time are not known."""

from __future__ import annotations

from typing import Any

from ..base.errors import ShapeError
from ..graph.closure import as_tensor
from ..ops.comparison import equal, greater, less, where
from ..ops.control import scan
from ..ops.creation import arange, full, zeros
from ..ops.exponential import logaddexp
from ..ops.index import take_along_axis
from ..ops.joining import concat, stack
from ..ops.movement import astype, expand_dims, permute_dims, reshape, squeeze
from ..ops.softmax import log_softmax
from .losses import averaged

#: The logarithm of a probability that counts as 0; an infinity would make its derivatives NaN.
NEVER = -1e30


def ctc(
    logits: Any, labels: Any, lengths: Any, label_lengths: Any, /, *, blank: int = 0, zero_infinity: bool = False,
    weights: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """-ln of the probability of the labels, over all their alignments with the frames (Graves et al. 2006, section
    4.1).

    Args:
        logits: (n, time, classes).
        labels: (n, most labels), class numbers; those beyond its length are not looked at.
        lengths: (n,), how many frames of each sample count.
        label_lengths: (n,).
        blank: the class that stands for no label.
        zero_infinity: a sample with too few frames for its labels, of which the loss is infinite, counts as 0.
        reduction: "mean" divides each loss by the number of its labels before, as PyTorch does.
    """
    x, y = as_tensor(logits), as_tensor(labels)
    lengths, label_lengths = as_tensor(lengths), as_tensor(label_lengths)
    if x.ndim != 3 or y.ndim != 2 or y.shape[0] != x.shape[0]:
        raise ShapeError(
            f"ctc: expected logits (n, time, classes) and labels (n, most labels), got {tuple(x.shape)} and "
            f"{tuple(y.shape)}."
        )
    n, time, most = x.shape[0], x.shape[1], y.shape[1]
    # blank, l1, blank, l2, ..., blank
    states = reshape(stack([full((n, most), blank, dtype=y.dtype), y], axis=2), (n, 2 * most))
    states = concat([states, full((n, 1), blank, dtype=y.dtype)], axis=1)
    log_p = log_softmax(x, axis=-1)
    emitted = take_along_axis(log_p, expand_dims(states, axis=1) + zeros((1, time, 1), dtype=y.dtype), axis=2)
    emitted = permute_dims(emitted, (1, 0, 2))  # (time, n, states)
    never = full((n, 1), NEVER, dtype=x.dtype)
    # From two states before, past a blank, only between different labels.
    before = concat([full((n, 2), blank, dtype=y.dtype), states[:, :-2]], axis=1)
    skips = ~equal(states, blank) & ~equal(states, before)

    def step(alpha: Any, given: Any) -> tuple[Any, None]:
        now, t = given
        one = concat([never, alpha[:, :-1]], axis=1)
        two = where(skips, concat([never, never, alpha[:, :-2]], axis=1), NEVER)
        new = logaddexp(logaddexp(alpha, one), two) + now
        return where(expand_dims(less(t, lengths), axis=1), new, alpha), None

    place = arange(2 * most + 1)
    first = where(less(place, 2), emitted[0], NEVER)
    alpha, _ = scan(step, first, (emitted[1:], arange(1, time)))
    last = expand_dims(astype(label_lengths, "int64") * 2, axis=1)
    ends = _pick(alpha, last)
    ends = where(greater(label_lengths, 0), logaddexp(ends, _pick(alpha, where(greater(last, 0), last - 1, 0))), ends)
    impossible = less(ends, NEVER / 2)
    losses = where(impossible, 0.0 if zero_infinity else float("inf"), -ends)
    if reduction == "mean":
        losses = losses / where(greater(label_lengths, 0), astype(label_lengths, x.dtype), 1.0)
    return averaged(losses, weights, reduction, "ctc")


def _pick(alpha: Any, column: Any) -> Any:
    return squeeze(take_along_axis(alpha, column, axis=1), axis=1)
