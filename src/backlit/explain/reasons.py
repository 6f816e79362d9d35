"""Why this shape, why this transpose: what an op did with its input, and what its rule therefore does with a cotangent.

One idea serves all ops: a number that is used several times gets the sum of what comes back from each use. What was
copied going forward is summed going back, what was summed is copied, what was moved is moved back.
"""

from __future__ import annotations

from typing import Any

from ..base.shapes import size_of
from ..graph.node import Node
from ..graph.opdef import OPS
from .tape import Edge, Tape

_ROWS, _COLUMNS, _INNER = "i", "k", "j"


def reason(tape: Tape, edge: Edge) -> str:
    """One or two sentences on the vector-Jacobian product along an edge, with its shapes; G is the cotangent.

    >>> import numpy as np
    >>> from backlit.explain.tape import tape_of
    >>> tape = tape_of(lambda x, b: x + b, np.ones((4, 2)), np.ones(2), cotangent=np.ones((4, 2)))
    >>> print(reason(tape, tape.edges[1]))
    b of shape (2,) was used for all 4 places along axis 0, so what comes back from them is added up over axis 0.
    """
    source, target = edge.source, edge.target
    if source.op.results is not None or target.op.results is not None:
        return "Each output brings back its own part."
    name, op = tape.name(source), target.op
    if op.name == "matmul":
        return _matmul(tape, edge)
    if op.vjp is not None and OPS.get(op.name) is not op:
        return f"The rule is not the one of {op.name} but one of your own: it says what goes back to {name}."
    own = _OWN.get(op.name)
    if own is not None:
        return own(name, source, target)
    if (op.partials is not None or op.name == "broadcast_to") and source.shape != target.shape:
        return _broadcast(name, source.shape, target.shape)
    if op.partials is not None:
        if not target.shape:
            return "The chain rule: G times the local derivative."
        return f"Each element depends on the same element of {name} alone: G times the local derivative, one by one."
    if op.transpose is not None and op.family != "movement":
        return f"{op.name} is linear in {name}: G goes back through its transpose, {target.shape} → {source.shape}."
    if op.family == "movement":
        return f"{op.name} only moves numbers: each cotangent goes back to where its number came from, {source.shape}."
    return (
        f"{op.name} mixes elements of {name}: the rule is the Jacobian, transposed, times G, computed without making "
        f"the Jacobian, of {target.shape} by {source.shape}."
    )


def _broadcast(name: str, small: tuple[int, ...], large: tuple[int, ...]) -> str:
    extra = len(large) - len(small)
    axes = [a for a, n in enumerate(large) if a < extra or (small[a - extra] == 1 and n != 1)]
    times = size_of(tuple(large[a] for a in axes))
    along = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
    return (
        f"{name} of shape {small} was used for all {times} places along {along}, so what comes back from them is added "
        f"up over {along}."
    )


def _matmul(tape: Tape, edge: Edge) -> str:
    """Which index a factor lacks is summed over: its transpose puts that index inside."""
    inputs: tuple[Any, ...] = edge.target.inputs or ()
    a, b = (_named(tape, x) for x in inputs)
    first, second = (x.shape for x in inputs)
    left = edge.slot == 0
    if len(first) == 1 and len(second) == 1:
        other = b if left else a
        return f"{_y(tape, edge)} = Σ {a}[j]·{b}[j]: each element meets one of {other}, so G times {other}."
    rows = "" if len(first) == 1 else f"{_ROWS},"
    columns = "" if len(second) == 1 else f",{_COLUMNS}"
    y = ",".join(filter(None, (rows.strip(","), columns.strip(","))))
    law = f"{_y(tape, edge)}[{y}] = Σ_{_INNER} {a}[{rows}{_INNER}]·{b}[{_INNER}{columns}]"
    if left:
        wanted, through, other = f"{a}[{rows}{_INNER}]", _COLUMNS if columns else "", f"{b}[{_INNER}{columns}]"
        many = second[-1] if len(second) > 1 else 1
    else:
        wanted, through, other = f"{b}[{_INNER}{columns}]", _ROWS if rows else "", f"{a}[{rows}{_INNER}]"
        many = size_of(first[:-1]) if len(second) <= 2 else first[-2] if len(first) > 1 else 1
    if not through:
        return f"{law}: {wanted} meets {other} once, so its cotangent is G[{y}]·{other}."
    used = f"is used for every {through} ({many} times), each time with" if many > 1 else "is used once, with"
    found = (
        f"{law}: {wanted} {used} {other}, so its cotangent is "
        f"Σ_{through} G[{y}]·{other}. The sum runs over {through}, and the transpose puts {through} inside the product."
    )
    mine, batch = (first, second) if left else (second, first)
    if len(batch) > 2 and len(mine) < len(batch):
        found += f" All {size_of(batch[:-2])} matrices of the stack use it, so their parts are added too."
    return found


def _y(tape: Tape, edge: Edge) -> str:
    return tape.name(edge.target)


def _named(tape: Tape, x: Any) -> str:
    return tape.name(x) if isinstance(x, Node) else tape.constant_name(x) or "c"


def _sum(name: str, source: Node, target: Node) -> str:
    return (
        f"Every element of {name} enters the sum with the factor 1, so each gets the same cotangent: G is copied from "
        f"{target.shape} to {source.shape}."
    )


def _mean(name: str, source: Node, target: Node) -> str:
    count = size_of(source.shape) // max(1, size_of(target.shape))
    return (
        f"Every element of {name} enters the mean with the factor 1/{count}: G / {count} is copied from {target.shape} "
        f"to {source.shape}."
    )


def _cast(name: str, source: Node, target: Node) -> str:
    return f"The same numbers in {target.dtype.name}; the cotangent goes back to {source.dtype.name}."


def _taken(name: str, source: Node, target: Node) -> str:
    return (
        f"Only what was taken has a cotangent: G is put back at its places in {source.shape}, added where an element "
        "was taken more than once, and 0 everywhere else."
    )


def _parts(name: str, source: Node, target: Node) -> str:
    return f"{name} became a part of the result, so it gets that part of G, {source.shape} of {target.shape}."


def _extreme(name: str, source: Node, target: Node) -> str:
    return "Only the largest or smallest element decides: it gets all of G, where several are equal they share it."


def _softmax(name: str, source: Node, target: Node) -> str:
    return (
        f"Each output depends on all elements of {name} along the axis, through the common denominator: from G its "
        "mean, weighted by the outputs, is taken away."
    )


def _convolved(name: str, source: Node, target: Node) -> str:
    return (
        f"The same weights were used at every place of every image, so for each weight all places are added up; each "
        f"pixel was under several places of the window, so for each pixel these are: {target.shape} → {source.shape}."
    )


def _cross_entropy(name: str, source: Node, target: Node) -> str:
    return (
        f"The derivative of -ln softmax({name}) is the probabilities, less 1 at the right class: what is expected less "
        "what is true, for each sample, times G."
    )


_OWN = {
    "astype": _cast, "concat": _parts, "convolve": _convolved, "getitem": _taken, "max": _extreme, "mean": _mean,
    "min": _extreme, "pool_max": _extreme, "softmax": _softmax, "softmax_cross_entropy": _cross_entropy,
    "stack": _parts, "sum": _sum, "take": _taken,
}  # fmt: skip
