"""The fingerprint of a graph: a text that no other computation has, the same in every process."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..graph.bind import PICK
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.opdef import OPS, OpDef
from ..graph.tensor import LEAF
from ..ops.indexing import Index
from ..ops.loops import COND, SCAN, WHILE
from ..runtime.cache import digest


class Unknown(Exception):
    """Something in a graph that a text cannot stand for: an op of the user's own, a function among the parameters."""


def fingerprint(graph: Graph) -> str:
    """A text that stands for what a graph computes. Raises `Unknown`.

    Names, and lines of the user's code, are left out: they change nothing in what is computed.
    """
    number = {n: f"%{i}" for i, n in enumerate((*graph.inputs, *graph.nodes))}
    parts = [f"{n.dtype.str}{n.shape}" for n in graph.inputs]
    for node in graph.nodes:
        if node.op is LEAF:
            parts.append(_text(node.value))
            continue
        if not _is_ours(node.op):
            raise Unknown(node.op.name)
        inputs = ",".join([number[x] if isinstance(x, Node) else _text(x) for x in node.inputs or ()])
        like = f"{node.dtype.str}{node.shape}" if node.op.results is None else ""
        parts.append(f"{node.op.name}({inputs}){_text(node.params) if node.params else ''}{like}")
    parts += [number[o] if isinstance(o, Node) else _text(o) for o in graph.outputs]
    return "\n".join(parts)


@cache
def _is_ours(op: OpDef) -> bool:
    """Does the name of an op say all about it: is it the library's own, or as that stands inside `no_grad()`?"""
    if op in (PICK, COND, SCAN, WHILE):
        return True
    known = OPS.get(op.name)
    if known is None or any(getattr(op, f) is not getattr(known, f) for f in ("eval", "infer", "native", "results")):
        return False
    modules = [getattr(f, "__module__", None) for f in (known.eval, known.infer, known.native, known.composite)]
    return all(m is None or m.split(".")[0] in ("backlit", "numpy", "_operator") for m in modules)


def _text(x: Any) -> str:
    """A parameter or a constant."""
    kind = type(x)
    if kind in _PLAIN:
        return repr(x)
    if isinstance(x, (tuple, list)):
        return f"{kind.__name__}({','.join(map(_text, x))})"
    if isinstance(x, dict):
        return f"{{{','.join(f'{k!r}:{_text(v)}' for k, v in x.items())}}}"
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufc":
        return f"{kind.__name__} {x.dtype.str}{x.shape}{digest(x.tobytes())}"
    if isinstance(x, np.dtype) and x.kind in "biufc":
        return f"dtype {x.str}"
    if isinstance(x, Index):
        return f"index {x.distinct}{_text(x.parts)}"
    if isinstance(x, Graph):
        return f"graph({fingerprint(x)})"
    raise Unknown(kind.__name__)


_PLAIN = frozenset((int, float, complex, bool, str, type(None), type(Ellipsis)))
