"""What an op says of itself: its formula, its local derivatives, its vector-Jacobian product in matrix form, and why.

All is read off the record of the op: its rule is called on edges without values, as when a function is traced, and what
it records is written down.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.rules import vjp_of
from ..base.config import enable_grad
from ..base.errors import BacklitError
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.opdef import Spec
from ..graph.tensor import LEAF, Tensor, symbol
from .symbols import FRACTION, Applied, Formula, Name, formula_of, replaced, simplified, untold
from .tape import Edge, Tape

#: The largest Jacobian that is shown, in entries.
SMALL = 64


def formula(tape: Tape, node: Node) -> Formula | None:
    """How a node is computed from its inputs, by name; None for a leaf.

    >>> import backlit as bl
    >>> from backlit.explain.symbols import text
    >>> from backlit.explain.tape import tape_of
    >>> tape = tape_of(lambda x, w: 1 / bl.exp(-(x @ w)), np.ones(2), np.ones(2))
    >>> [text(formula(tape, n)) for n in tape.nodes[2:]]
    ['x @ w', '-h1', 'exp(h2)', '1 / h3']
    """
    if node.op is LEAF:
        return None
    inputs: tuple[Any, ...] = node.inputs or ()
    if node.op is PICK:
        return Name(f"{tape.name(inputs[0])}[{node.params['index']}]")
    return Applied(node.op, tuple(_input(tape, x) for x in inputs), node.params, untold(node))


def derivative(tape: Tape, edge: Edge) -> Formula | None:
    """The local derivative along an edge, where the op works element by element; None for other ops.

    >>> from backlit.explain.symbols import text
    >>> from backlit.explain.tape import tape_of
    >>> tape = tape_of(lambda x, y: x / y, 1.0, 2.0)
    >>> [text(derivative(tape, e)) for e in tape.edges]
    ['1 / y', '-x / y²']
    """
    node, op = edge.target, edge.target.op
    if op.partials is None:
        return None
    partial = op.partials[edge.slot]
    if not callable(partial):
        return float(partial or 0)
    args, names = _symbols(tape, node, scalar=True)
    out = symbol(Spec((), node.dtype))
    names[out._node] = tape.name(node)
    with enable_grad():
        found = simplified(formula_of(partial(out, *args, **node.params), names))
    # 1 - h² is the shorter way to say 1 - tanh(x)², but not -h / y to say -x / y²
    own = Name(tape.name(node))
    if found == own or op.latex == FRACTION:
        whole = formula(tape, node)
        found = simplified(replaced(found, own, whole)) if whole is not None else found
    return found


def pullback(tape: Tape, edge: Edge, cotangent: str = "G") -> Formula:
    """What an edge makes of the cotangent of its user, as a formula in which that is named `cotangent`.

    >>> from backlit.explain.symbols import text
    >>> from backlit.explain.tape import tape_of
    >>> x, w, b, g = np.ones((4, 3)), np.ones((3, 2)), np.ones(2), np.ones((4, 2))
    >>> tape = tape_of(lambda x, w, b: x @ w + b, x, w, b, cotangent=g)
    >>> [f"{tape.name(e.source)}: {text(pullback(tape, e))}" for e in tape.edges]
    ['x: G @ wᵀ', 'w: xᵀ @ G', 'h1: G', 'b: sum(G, axis=0)']
    """
    node = edge.target
    if node.op is PICK:
        return Name(cotangent)
    args, names = _symbols(tape, node, scalar=False)
    twin = Node(node.op, tuple(a._node if isinstance(a, Tensor) else a for a in args), node.params, None, node.like)
    names[twin] = tape.name(node)
    several = node.op.results is not None
    seeds = [symbol(Spec(s.shape, s.dtype)) for s in (node.like if several else (node.like,))]
    names |= {s._node: f"{cotangent}[{i}]" if several else cotangent for i, s in enumerate(seeds)}
    wanted = [i == edge.slot for i in range(len(args))]
    try:
        with enable_grad():
            found = vjp_of(twin, tuple(seeds) if several else seeds[0], wanted, True)[edge.slot]
        return simplified(formula_of(found, names)) if found is not None else 0.0
    except BacklitError:  # a rule that must see values, such as that of a loop: it has no formula
        return Name(f"vjp of {node.op.name}({cotangent})")


def jacobian(tape: Tape, edge: Edge) -> Any:
    """The local Jacobian of an edge, of shape target + source, where it has at most `SMALL` entries; else None."""
    source, target = edge.source, edge.target
    if source.op.results is not None or target.op.results is not None or target.op is PICK:
        return None
    outs, ins = int(np.prod(target.shape)), int(np.prod(source.shape))
    if not 0 < outs * ins <= SMALL:
        return None
    rows = [tape.pulled(edge, row.reshape(target.shape)) for row in np.eye(outs, dtype=target.dtype)]
    if rows[0] is None:
        return None
    return np.stack([np.asarray(r) for r in rows]).reshape(target.shape + source.shape)


def _input(tape: Tape, x: Any) -> Formula:
    if isinstance(x, Node):
        return Name(tape.name(x))
    name = tape.constant_name(x)
    return Name(name) if name is not None else formula_of(x, {})


def _symbols(tape: Tape, node: Node, *, scalar: bool) -> tuple[list[Any], dict[Node, str]]:
    """Edges without values for the inputs of a node, single numbers as they are, and what the edges are called."""
    args: list[Any] = []
    names: dict[Node, str] = {}
    for x in node.inputs or ():
        found = _input(tape, x)
        if isinstance(x, Node) or (x is not None and (np.ndim(x) > 0 or isinstance(found, Name))):
            known = x if isinstance(x, Node) else np.asarray(x)  # a complex number has neither shape nor dtype
            edge = symbol(Spec(() if scalar else known.shape, known.dtype))
            names[edge._node] = found.text if isinstance(found, Name) else str(found)
            args.append(edge)
        else:
            args.append(x)
    return args, names
