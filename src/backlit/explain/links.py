"""What one op does to the gradient that goes back through it: `link_of` an edge of a Tape, and `break_of` one that
lets nothing pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import FLOAT
from ..graph.bind import IN_NO_GRAD, PICK
from ..graph.node import Node
from ..nn.dropout import Dropout
from .contributions import inner
from .tape import Edge, Tape

RECTIFIERS = ("relu", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus")
BOUNDED = ("relu6", "hard_tanh", "hard_sigmoid", "hard_swish", "clip")
SQUASHING = ("sigmoid", "tanh", "softsign", "erf", "log_sigmoid", "atan")
NORMALISED = ("softmax", "log_softmax")
#: Below this mean largest share a softmax is not flat by itself.
SURE = 0.9
CHOOSING = ("maximum", "minimum", "max", "min", "pool_max", "sort", "segment_max")
STEPS = ("floor", "ceil", "round", "trunc", "sign", "floor_divide")
PRODUCTS = ("multiply", "guarded_multiply", "masked_multiply", "matmul", "einsum_pair", "convolve", "divide")
FLAT = ("square", "pow", "abs", "hypot", "power_norm", "cos", "prod")
PARTS = ("getitem", "take", "dynamic_slice", "split", "take_along_axis")

#: A squashing function is saturated where its mean slope is below this, or
STEEP = 0.05
#: this share of its entries have next to none.
FULL = 0.5

#: What mends each kind.
MENDS = {
    "detached": "leave detach() (or stop_gradient, or .numpy()) out where the gradient is to pass",
    "no_grad": "compute this outside of the no_grad() block",
    "integer": "whole numbers have no derivative: use a smooth form, such as bl.softmax for argmax, a matrix product "
    "with its weights for indexing, and no cast to integers",
    "comparison": "a truth value has no derivative: use a smooth form, such as bl.sigmoid(k * x) for x > 0, or "
    "bl.where with values that depend on the parameter",
    "step function": "its slope is 0 wherever it has one: use the value itself, a smooth form, or pass the gradient "
    "straight through: x + bl.stop_gradient(bl.round(x) - x)",
    "no derivative": "use an op that has a derivative",
    "dead units": "start from He's weights and biases of 0, lower the learning rate, or take leaky_relu or gelu",
    "clipped": "widen the bounds, scale the values down before, or take tanh or softsign",
    "saturated": "smaller first weights (glorot_uniform), standardised inputs, a normalisation before it, or relu",
    "masked": "look at the condition: the values that depend on the parameter are (nearly) never chosen",
    "not selected": "look at what is larger there; bl.logsumexp or a mean gives every entry a part",
    "multiplied by zero": "look at the other factor: it is 0 (an input, a mask, or weights that start at 0)",
    "multiplied by small numbers": "scale the other factor up: larger first weights, standardised inputs",
    "dropped out": "a lower rate of dropout; in evaluation nothing is dropped",
    "flat": "nothing is wrong if the loss is at its least; else move away from this point",
    "not read": "read the entries that depend on the parameter",
    "shrunk": "many small factors in a row: take relu, a skip around the layers (x + f(x)), a normalisation between "
    "them, or fewer of them",
}  # fmt: skip


class Link(NamedTuple):
    """What an op does to the gradient on its way.

    Attributes:
        edge: from the input that the gradient goes on to, to the op.
        kind: a key of `MENDS`.
        closed: of an op that works entry by entry, the share of entries through which nothing (or next to nothing)
            passes; NaN for others.
        factor: norm of what passes, by the norm of what comes.
        evidence: what it does, with figures.
    """

    edge: Edge
    kind: str
    closed: float
    factor: float
    evidence: str


def break_of(edge: Edge) -> str:
    """Why nothing passes an edge by the rule of its op: a key of `MENDS`."""
    op = edge.target.op
    if op.nondiff == IN_NO_GRAD:
        return "no_grad"
    if op.name == "stop_gradient":
        return "detached"
    if op is not PICK and op.results is None and edge.target.dtype.kind == "b":
        return "comparison"
    if op.name in STEPS:
        return "step function"
    if op.results is None and edge.target.dtype.char not in FLOAT:
        return "integer"
    return "no derivative"


def link_of(tape: Tape, edge: Edge, piece: Any, cotangent: Any) -> Link:
    """What the op of `edge.target` does to `cotangent`, of which `piece` passes."""
    target, name = edge.target, edge.target.op.name
    coming, passing = np.sqrt(inner(cotangent, cotangent)), np.sqrt(inner(piece, piece))
    factor = float(passing / coming) if coming else 1.0
    slopes = _slopes(edge)
    if name == "where":
        return _masked(tape, edge, factor)
    if slopes is not None and name in (*RECTIFIERS, *BOUNDED, *SQUASHING, *CHOOSING, *STEPS):
        return _by_slopes(edge, slopes, factor)
    if name in NORMALISED:
        top = float(np.mean(np.max(np.exp(_of(target)) if name == "log_softmax" else _of(target), axis=-1)))
        if top < SURE and factor < 1e-3:
            said = f"the shares of {name} add up to 1 whatever goes in, and the gradient by all of them is (nearly) one"
            return Link(edge, "flat", np.nan, factor, said)
        said = f"the largest share of a row is {top:.4g} on average; at 1 {name} is flat"
        return Link(edge, "saturated", np.nan, factor, said)
    if name in CHOOSING:
        said = f"{name} selects others than {_share(float(np.mean(np.asarray(piece) == 0)))} of its entries"
        return Link(edge, "not selected", np.nan, factor, said)
    if name in PRODUCTS:
        return _multiplied(tape, edge, factor)
    if name in PARTS:
        said = f"{_share(float(np.mean(np.asarray(piece) == 0)))} of its entries are not read by {name}, or get nothing"
        return Link(edge, "not read", np.nan, factor, said)
    if name in FLAT and slopes is not None and not slopes.any():
        return Link(edge, "flat", 1.0, factor, f"the slope of {name} is 0, for its input is 0 throughout")
    kind = "flat" if factor == 0 else "shrunk"
    return Link(edge, kind, np.nan, factor, f"{name} passes on {factor:.3g} of the norm of the gradient")


def _by_slopes(edge: Edge, slopes: Any, factor: float) -> Link:
    name = edge.target.op.name
    closed, mean = float(np.mean(np.abs(slopes) < 1e-3)), float(np.mean(np.abs(slopes)))
    if name in RECTIFIERS:
        said = f"the slope of {name} is 0 for {_share(closed)} of its entries" + _units(slopes)
        return Link(edge, "dead units", closed, factor, said)
    if name in SQUASHING:
        said = f"the mean slope of {name} is {mean:.3g}"
        if closed < FULL and mean > STEEP:
            return Link(edge, "shrunk", closed, factor, said)
        said += f", and next to 0 for {_share(closed)} of its entries" if closed else ""
        return Link(edge, "saturated", closed, factor, said)
    if name in CHOOSING:
        return Link(
            edge, "not selected", closed, factor, f"{name} takes the other value in {_share(closed)} of its entries"
        )
    if name in STEPS:
        return Link(edge, "step function", 1.0, factor, f"the slope of {name} is 0")
    return Link(edge, "clipped", closed, factor, f"{_share(closed)} of the entries are beyond the bounds of {name}")


def _units(slopes: Any) -> str:
    """How many units are dead, where entries are samples by units."""
    if slopes.ndim < 2 or slopes.shape[0] < 2:
        return ""
    dead = (np.abs(slopes) < 1e-3).all(axis=tuple(range(slopes.ndim - 1)))
    if dead.all():
        return f"; all {dead.size} units are 0 on every sample"
    per_sample = (np.abs(slopes) < 1e-3).all(axis=tuple(range(1, slopes.ndim))).mean()
    said = f"; {int(dead.sum())} of {dead.size} units are 0 on every sample"
    return said + (f", and on {_share(float(per_sample))} of samples all are" if per_sample else "")


def _masked(tape: Tape, edge: Edge, factor: float) -> Link:
    chosen = np.asarray(_of(edge.target.inputs[0])).astype(bool)  # type: ignore[index]
    first = edge.slot == 1
    closed = float(np.mean(~chosen if first else chosen))
    if _in_dropout(tape, edge):
        return Link(edge, "dropped out", closed, factor, f"dropout has set {_share(closed)} of the entries to 0")
    branch = "true" if first else "false"
    said = f"where takes it where the condition is {branch}, which it is not for {_share(closed)} of the entries"
    return Link(edge, "masked", closed, factor, said)


def _multiplied(tape: Tape, edge: Edge, factor: float) -> Link:
    target = edge.target
    inputs = target.inputs or ()
    other = inputs[1 - edge.slot] if len(inputs) == 2 else None
    value = np.abs(np.asarray(_of(other)))
    closed = float(np.mean(value == 0))
    name = _called(tape, other)
    if closed and _in_dropout(tape, edge):
        return Link(edge, "dropped out", closed, factor, f"dropout has set {_share(closed)} of the entries to 0")
    if np.ndim(value) == 0 and not isinstance(other, Node):
        verb = "divided" if target.op.name == "divide" else "multiplied"
        kind = "multiplied by zero" if closed else "multiplied by small numbers"
        return Link(edge, kind, closed or np.nan, factor, f"it is {verb} by {float(value):.3g}")
    if target.op.name == "divide":
        said = f"it is divided by {name}, whose mean size is {value.mean():.3g}"
        return Link(edge, "multiplied by small numbers", np.nan, factor, said)
    if closed == 1:
        return Link(edge, "multiplied by zero", 1.0, factor, f"it is multiplied by {name}, which is 0 throughout")
    said = f"it is multiplied by {name}, whose mean size is {value.mean():.3g}"
    if closed >= 0.5:
        said += f"; {_share(closed)} of it are 0"
        return Link(edge, "multiplied by zero", closed if target.op.name == "multiply" else np.nan, factor, said)
    return Link(edge, "multiplied by small numbers", np.nan, factor, said)


def _in_dropout(tape: Tape, edge: Edge) -> bool:
    return any(isinstance(c.layer, Dropout) for c in tape.layers(edge.target))


def _called(tape: Tape, x: Any) -> str:
    if isinstance(x, Node):
        name = tape.name(x)
        line = tape.line(x)
        made = x.inputs and f"{x.op.name}{f' at {line}' if line else ''}"
        return f"{name} ({made})" if made else name
    known = tape.constant_name(x)
    return known or f"an array of shape {np.shape(x)}"


def _slopes(edge: Edge) -> Any:
    """The local derivative of an elementwise op, entry by entry; None for other ops."""
    op = edge.target.op
    if op.partials is None:
        return None
    partial = op.partials[edge.slot]
    if callable(partial):
        with np.errstate(all="ignore"):
            partial = partial(edge.target.value, *map(_of, edge.target.inputs or ()), **edge.target.params)
    return np.broadcast_to(np.asarray(0.0 if partial is None else partial), edge.target.shape)


def _of(x: Any) -> Any:
    return x.value if isinstance(x, Node) else x


def _share(x: float) -> str:
    """A share in percent; never 100 % where some are left, never 0 % where some are."""
    return f"{100 * x:.3g} %" if x in (0.0, 1.0) or 0.001 < x < 0.999 else f"{100 * x:.6g} %"
