"""Ops that are made of simpler ones become these: what is left is what the kernels know (`recipes.py`)."""

from __future__ import annotations

from typing import Any

from ...autodiff.checkpoint import TRACED
from ...autodiff.custom import CustomDerivative
from ...base.config import enable_grad
from ...graph.graph import Graph, ending
from ...graph.node import Node, mark
from ...graph.opdef import OPS, OpDef
from ...graph.tensor import wrap
from ...ops.loops import COND, SCAN, WHILE
from .recipes import RECIPES
from .recipes_movement import MOVEMENT
from .recipes_random import RANDOM
from .rewrite import inlined, renewed, rewrite, within

_TABLE = {**RECIPES, **MOVEMENT, **RANDOM}

#: Ops that are known to the passes, and not in the registry.
_KNOWN: dict[tuple[str, Any], OpDef] = {(op.name, op.eval): op for op in (COND, SCAN, WHILE, TRACED)}


def decompose(graph: Graph) -> Graph:
    """Every op with a recipe as the ops of its recipe; functions kept as one op (checkpoints, custom derivatives)
    as what they do.

    A node made within `no_grad()` has a twin of its op; it gets the op itself, since nothing differentiates a plan.
    """
    with enable_grad():
        return within(rewrite(graph, _decomposed), decompose)


def known(op: OpDef) -> OpDef:
    """The registered op that this one is, or is a twin of."""
    registered = OPS.get(op.name)
    if registered is not None and registered.eval is op.eval:
        return registered
    return _KNOWN.get((op.name, op.eval), op)


def _decomposed(node: Node) -> Any:
    op = known(node.op)
    if op is TRACED:
        return tuple(inlined(decompose(node.params["body"]), node.inputs or ()))
    if isinstance(rule := getattr(op.infer, "__self__", None), CustomDerivative):
        function = rule.graph([x.spec if type(x) is Node else x for x in node.inputs or ()], **node.params)
        return tuple(inlined(decompose(function), node.inputs or ()))
    recipe = _TABLE.get(op)
    if recipe is not None:
        start = mark()
        found = recipe(*[wrap(None, x) if type(x) is Node else x for x in node.inputs or ()], **node.params)
        if found is not None:
            return _settled(found, node, start)
    return None if op is node.op else renewed(node, op=op)


def _settled(found: Any, node: Node, start: int) -> Any:
    """What a recipe returned, as nodes and constants; the new nodes belong to the line and the origin of `node`."""
    if type(found) is tuple:
        return tuple(_settled(part, node, start) for part in found)
    end = ending(found)
    if type(end) is not Node or end.serial < start:
        return end
    end.name = node.name
    todo, seen = [end], {end}
    while todo:
        new = todo.pop()
        new.place, new.origin = node.place, node.origin
        for x in new.parents:
            if x.serial > start and x not in seen:
                seen.add(x)
                todo.append(x)
    return end
