"""`why`: why is this gradient None, zero, small, not a number, or fine?

Where there is no path from the parameter to the value, the graph is walked forwards from the parameter, up to the
edges that no derivative passes. Where there is one, it is followed from the parameter, each time along the edge that
brings most: a zero was made by the op that something comes to and nothing leaves, a small number by those ops that let
least pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np

from ..base.dtypes import FLOAT
from ..base.errors import ArgumentError
from ..base.trees import leaves_with_paths
from ..graph.node import Node
from ..graph.tensor import LEAF, Tensor
from ..modes.compile import Compiled
from ..modes.static.session import Session
from ..nn import Layer
from .answer import Place, Why, place_of
from .contributions import Route, cotangent_of, inner
from .links import MENDS, Link, break_of, link_of
from .lost import lost
from .nonfinite import ones_like, trace_nonfinite
from .running import samples
from .tape import Edge, Tape, Unrecorded, argument_names
from .variables import variables
from .whole import objective_of, whole_tape

#: A gradient is small where a change of the parameter by its own size changes the value by less than this share.
SMALL = 1e-4
#: An op that closes this share of its entries is named, whatever the norm of the gradient.
CLOSED = 0.9
#: An op that passes on less than this share of the norm is one of those that make a gradient small.
THIN = 0.3
#: What comes together at a node has cancelled where less than this share of it is left.
LEFT = 1e-3


def why(
    param: Tensor | str, y: Any = None, *args: Any, model: Layer | None = None, loss: Any = None,
    batch: Sequence[Any] | None = None, session: Session | None = None, feed_dict: Mapping[Any, Any] | None = None,
) -> Why:  # fmt: skip
    """Why the gradient of `y` by `param` is what it is: None, zero, small, NaN, or fine.

    Args:
        param: a Tensor, or the path of an argument of the function `y` (or of a parameter of `model`).
        y: what it should have influenced: a Tensor, a tensor of a static graph (with `session` and `feed_dict`), or a
            function (compiled or not) that is called with `args`. A function tells most, for it is traced; from a
            Tensor that was computed already, what was detached can only be inferred. Without `y` it is
            said what the Tensor itself knows.
        model, loss, batch: in place of `y` a network, a loss `loss(outputs, targets)` (or its name, or "auto") and
            a batch (inputs, then targets).

    >>> import backlit as bl
    >>> w = bl.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (bl.relu(-w) * 3).sum()
    >>> found = why(w, y)
    >>> found.kind, found.size, found.where.op
    ('dead units', 'zero', 'relu')
    """
    names = variables()
    if model is not None:
        if loss is None or batch is None or y is not None:
            raise ArgumentError("why: with a model give loss= and batch=(inputs, targets), and no y.")
        param = _path(model, param)
        batch = samples(batch, "why")
        y, args = objective_of(model, loss, batch), (model.parameters(), *batch)
    if y is None:
        return _alone(param, names)
    if not isinstance(param, (Tensor, str)):
        raise ArgumentError(
            "why: expected a Tensor, or the path of an argument of a function or of a parameter of a model (a string), "
            f"got {type(param).__name__}."
        )
    called = _name(param, names).removeprefix("" if model is None else "params.")
    if isinstance(y, Tensor) and y.node is None:
        return _unrecorded(called)
    if isinstance(param, Tensor) and param.dtype.char not in FLOAT:
        return _alone(param, names)
    with np.errstate(all="ignore"):
        try:
            tape = whole_tape(
                y, *args, wrt=[param] if isinstance(param, Tensor) else (), cotangent=ones_like, session=session,
                feed_dict=feed_dict, names=names, where="why",
            )  # fmt: skip
        except Unrecorded:
            return _unrecorded(called)
        node = _found(tape, param)
        if node is None:
            return _missing(param, called, tape, y, args)
        called = tape.name(node) if called == "the Tensor" else called
        return _judged(tape, node, called)


def _unrecorded(name: str) -> Why:
    return Why(
        "no graph", "none", name, evidence=(
            "the value itself was computed without a record: under no_grad(), from detached values, or from "
            "nothing that requires grad",
        ), mend="compute it from Tensors with requires_grad=True, outside of no_grad()",
    )  # fmt: skip


def _path(model: Layer, param: Any) -> str:
    params = model.parameters()
    for path, x in params.items():
        if x is param or path == param:
            return f"params.{path}"
    raise ArgumentError(f"why: {param!r} is no parameter of the model; there are {', '.join(params)}.")


def _name(param: Any, names: Mapping[str, Any]) -> str:
    if isinstance(param, str):
        return param
    return param.name or next((name for name, x in names.items() if x is param), "the Tensor")


# --- what a Tensor knows of itself --------------------------------------------------------------------


def _alone(param: Any, names: Mapping[str, Any]) -> Why:
    if not isinstance(param, Tensor):
        raise ArgumentError(f"why: expected a Tensor, or a path with y= or model=, got {type(param).__name__}.")
    name, node = _name(param, names), param.node
    if param.dtype.char not in FLOAT:
        return Why(
            "integer", "none", name,
            evidence=(f"it holds {param.dtype.name}; only floating-point values have derivatives",),
            mend="convert it before it is used: x.astype(bl.float32)",
        )  # fmt: skip
    if node is None:
        return Why(
            "not recorded", "none", name, evidence=(
                "it does not require grad: it was made without requires_grad=True, or computed under no_grad(), from a "
                "detached value, or from nothing that requires grad",
            ), mend="bl.tensor(..., requires_grad=True), before anything is computed from it",
        )  # fmt: skip
    if node.op is not LEAF:
        replaced = node.op.name in ("index_update", "index_add", "dynamic_place")
        said = f"it was computed, by {node.label}; backward() fills .grad of leaves, the Tensors that you made"
        return Why(
            "replaced" if replaced else "not a leaf", "none", name, Place(node.op.name, node.line), (said,),
            "x[...] = y gives x a new value that was computed: keep the leaf under a name of its own" if replaced
            else "ask for it: bl.grad(f)(h), or bl.why(h, loss)",
        )  # fmt: skip
    if param.grad is None:
        return Why(
            "no backward yet", "none", name, evidence=(
                "it requires grad, and .grad is None: no backward() has reached it. Either none was called since, or "
                "what it was called on does not depend on this Tensor",
            ), mend="call loss.backward(), or ask before it: bl.why(w, loss)",
        )  # fmt: skip
    g = param.grad.numpy()
    norm = float(np.linalg.norm(g.ravel()))
    size = "nonfinite" if not np.isfinite(norm) else "zero" if norm == 0 else "fine"
    said = f"its .grad has the norm {norm:.3g}; {int(np.sum(g == 0))} of {g.size} entries are 0"
    mend = "" if size == "fine" else "ask with the value, before backward() lets the graph go: bl.why(w, loss)"
    return Why(size, size, name, norm=norm, evidence=(said,), mend=mend)


# --- no path --------------------------------------------------------------------------------------------


def _found(tape: Tape, param: Any) -> Node | None:
    if isinstance(param, str):
        return next((n for n in tape.nodes if tape.name(n) == param), None)
    node = tape.image(param) if param.node is not None else None
    return node or next((n for n in tape.leaves if n.value is param.value), None)


def _missing(param: Any, name: str, tape: Tape, y: Any, args: Sequence[Any]) -> Why:
    """The answer for a parameter that the graph does not hold."""
    if callable(y):
        plain = y.function if isinstance(y, Compiled) else y
        given = zip(argument_names(plain, len(args)), args, strict=True)
        known = {path: x for name, arg in given for path, x in leaves_with_paths(arg, name)}
        if isinstance(param, str) and param not in known:
            raise ArgumentError(f"why: no argument is called {param!r}; there are {', '.join(known)}.")
        return _unused(name, "the function does not use it for this value")
    if isinstance(param, str):
        there = ", ".join(tape.name(n) for n in tape.leaves)
        raise ArgumentError(f"why: nothing in the graph is called {param!r}; its leaves are {there}.")
    if y.value is None:
        return _unused(name, "the value does not depend on it")
    if param.node is not None and param.node.serial > y._node.serial:
        return Why(
            "replaced", "none", name, Place(param.node.op.name, param.node.line), (
                f"the Tensor is newer than the value: it was made anew{_at(param.node.line)}, after the value was "
                "computed from another one of this name",
            ), "compute the value again, from the Tensor as it is now",
        )  # fmt: skip
    known = lost(param, y)
    if known.used is not None:
        what, maker = "its value", known.value
        if maker is not None and maker is not param.node:
            what = f"the value of {maker.op.name}{_at(maker.line)}"
        place = Place(known.used.op.name, known.used.line, tape.layer(tape.image(known.used) or known.used))
        kind = "detached" if param.node is not None else "not recorded"
        said = f"{what} stands in the graph as a constant, in {known.used.op.name}{_at(known.used.line)}: "
        said += (
            "it was taken by detach(), stop_gradient() or numpy(), or under no_grad()" if param.node is not None
            else "the Tensor does not require grad"
        )  # fmt: skip
        mend = MENDS["detached"] if param.node is not None else "bl.tensor(..., requires_grad=True)"
        return Why(kind, "none", name, place, (said,), mend)
    if param.node is None:
        return _alone(param, {name: param})
    users = ", ".join(f"{n.op.name}{_at(n.line)}" for n in known.users[:3])
    said = f"it was used by {users}, which the value does not depend on" if users else "nothing uses it"
    more = (
        f"the graph takes {known.constants} array{'s' * (known.constants > 1)} as constants; if one was computed from "
        "it under no_grad() or by a comparison, only the function itself can tell: bl.why(w, function, arguments)",
    )
    found = _unused(name, said)
    return found._replace(evidence=found.evidence + more) if known.constants else found


def _unused(name: str, said: str) -> Why:
    return Why(
        "unused", "none", name, evidence=(said,),
        mend="use it on the way to the value, or leave it out of the parameters",
    )  # fmt: skip


def _at(line: str) -> str:
    return f" at {line}" if line else ""


def _cut(tape: Tape, route: Route, name: str) -> Why:
    """The answer where the value depends on the parameter, and no derivative does."""
    reach = {route.start, *route.entries}
    edges = [e for e in tape.edges if e.source in reach and e.target not in reach]
    order = ("detached", "no_grad", "integer", "comparison", "step function", "no derivative")
    breaks = sorted(((break_of(e), e) for e in edges), key=lambda b: order.index(b[0]))
    said: list[str] = []
    for kind, e in breaks:
        own = f"{tape.name(e.source)} " if e.source is not route.start else "it "
        reason = e.target.op.nondiff if kind == "no derivative" else ""
        word = {
            "detached": "is detached, its value taken as a constant", "no_grad": "is used inside no_grad()",
            "integer": f"goes through {e.target.op.name}, which gives whole numbers",
            "comparison": f"is only compared, by {e.target.op.name}, which gives truth values",
            "step function": f"goes through {e.target.op.name}, whose slope is 0",
            "no derivative": f"goes through {e.target.op.name}, which has no derivative{f': {reason}' * bool(reason)}",
        }[kind]  # fmt: skip
        place = place_of(tape, e.target).text
        said.append(f"{own}{word}{f' ({place})' * bool(place)}")
    kind, first = breaks[0]
    return Why(kind, "none", name, place_of(tape, first.target), tuple(dict.fromkeys(said)), MENDS[kind])


# --- a path ---------------------------------------------------------------------------------------------


def _judged(tape: Tape, node: Node, name: str) -> Why:
    route = Route(tape, node)
    if node is not tape.output and tape.output not in route.entries:
        return _cut(tape, route, name)
    gradient = np.asarray(route.gradient)
    if not np.isfinite(gradient).all() or not np.isfinite(np.asarray(tape.output.value)).all():
        return _nonfinite(tape, node, name)
    norm = route.norm
    if norm == 0:
        return _zero(tape, route, name)
    value = abs(float(np.sum(np.asarray(tape.output.value, np.float64).real)))
    own = max(sqrt(inner(node.value, node.value)), 1e-2 * sqrt(gradient.size))
    small = norm * own < SMALL * value
    links, cancelled = _way(tape, route)
    zeros = float(np.mean(gradient == 0))
    figures = [f"its norm is {norm:.3g}" + (f"; {100 * zeros:.3g} % of its entries are 0" if zeros else "")]
    closed = [k for k in links if k.closed >= CLOSED]
    thin = sorted((k for k in links if k.factor < THIN), key=lambda k: k.factor)
    others = [e for e in tape.edges if e.source in {node, *route.entries} and break_of(e) in ("detached", "no_grad")]
    for e in others[:2]:
        place = place_of(tape, e.target).text
        figures.append(f"besides, it is taken as a constant by {e.target.op.name}{f' ({place})' * bool(place)}")
    if small:
        figures.append(f"a change of it by its own size would change the value by {norm * own / value:.2g} of itself")
    if small and cancelled is not None:
        return cancelled._replace(name=name, size="small", norm=norm, evidence=(*figures, *cancelled.evidence))
    told = closed or (thin if small else [])
    size = "small" if small else "fine"
    if not told:
        return Why("small" if small else "fine", size, name, norm=norm, evidence=tuple(figures), links=tuple(links))
    groups: dict[str, list[Link]] = {}
    for k in told:
        groups.setdefault(k.kind, []).append(k)
    kind = min(groups, key=lambda kind: float(np.prod([max(k.factor, 1e-300) for k in groups[kind]])))
    main = groups[kind]
    together = float(np.prod([k.factor for k in main]))
    said = [_told(tape, k) for k in main[:3]]
    if len(main) > 1:
        said.append(f"{len(main)} such ops lie on the way; together they pass on {together:.2g} of the norm")
    more = [_told(tape, ks[0]) for other, ks in groups.items() if other != kind]
    return Why(
        kind, size, name, place_of(tape, main[0].edge.target), (*figures, *said, *more[:2]), MENDS[kind], norm,
        links=tuple(links),
    )  # fmt: skip


def _nonfinite(tape: Tape, node: Node, name: str) -> Why:
    origin = trace_nonfinite(tape, wrt=[node])
    if origin is None:
        return Why("fine", "fine", name)
    place = Place(origin.op, origin.line, origin.layer, origin.turn)
    return Why("nonfinite", "nonfinite", name, place, (origin.sentence,), origin.mend, float("nan"), origin=origin)


def _told(tape: Tape, link: Link) -> str:
    place = place_of(tape, link.edge.target).text
    return f"{place}{': ' * bool(place)}{link.evidence}"


def _pieces(tape: Tape, route: Route, node: Node) -> list[tuple[Edge, Any]]:
    """What comes to a node by each edge on the way from the parameter to the value."""
    return [
        (e, tape.pulled(e, cotangent_of(tape, e.target)))
        for e in tape.users[node]
        if e in route.entries.get(e.target, ())
    ]


def _empty(g: Any) -> bool:
    return g is None or inner(g, g) == 0


def _cancelled(tape: Tape, node: Node, pieces: Sequence[Any]) -> Why:
    sizes = sorted((sqrt(inner(p, p)) for p in pieces), reverse=True)
    shown = ", ".join(f"{s:.3g}" for s in sizes[:4])
    what = tape.name(node)
    said = f"what comes to {what} by {len(sizes)} ways cancels: the parts have the norms {shown}"
    return Why(
        "cancelled", "zero", "", None if node.op is LEAF else place_of(tape, node), (said,),
        "nothing is wrong at a minimum, or where the value does not change with it (a shift before softmax or a "
        "normalisation); else look at the two ways",
    )  # fmt: skip


def _zero(tape: Tape, route: Route, name: str) -> Why:
    """The answer for a gradient that is 0: all edges at which something comes, and nothing passes."""
    todo, seen = [route.start], {route.start}
    links: list[Link] = []
    while todo:
        node = todo.pop()
        pieces = _pieces(tape, route, node)
        full = [p for _, p in pieces if not _empty(p)]
        if full:
            return _cancelled(tape, node, full)._replace(name=name, norm=0.0)
        for e, piece in pieces:
            coming = cotangent_of(tape, e.target)
            if not _empty(coming):
                links.append(link_of(tape, e, piece, coming))
            elif e.target not in seen:
                seen.add(e.target)
                todo.append(e.target)
    if not links:
        return Why(
            "zero", "zero", name, norm=0.0, evidence=("nothing comes from the value itself: its cotangent is 0",)
        )
    links.sort(key=lambda k: k.edge.target.serial)
    main = links[-1]
    said = tuple(dict.fromkeys(_told(tape, k) for k in reversed(links)))
    return Why(main.kind, "zero", name, place_of(tape, main.edge.target), said[:3], MENDS[main.kind], 0.0, tuple(links))


def _way(tape: Tape, route: Route) -> tuple[list[Link], Why | None]:
    """The ops along the way that brings most, from the parameter on, and where on it parts cancelled."""
    links: list[Link] = []
    cancelled = None
    node = route.start
    while node is not tape.output:
        pieces = _pieces(tape, route, node)
        sizes = [sqrt(inner(p, p)) for _, p in pieces]
        edge, piece = pieces[int(np.argmax(sizes))]
        own = cotangent_of(tape, node)
        if cancelled is None and len(pieces) > 1 and sqrt(inner(own, own)) < LEFT * max(sizes):
            cancelled = _cancelled(tape, node, [p for _, p in pieces])
        links.append(link_of(tape, edge, piece, cotangent_of(tape, edge.target)))
        node = edge.target
    return links, cancelled
