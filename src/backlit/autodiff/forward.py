"""Forward mode: tangents pushed along the recorded graph, from the inputs to the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.config import enable_grad, no_grad, recording
from ..base.dtypes import FLOAT
from ..graph.node import Node
from ..graph.tensor import LEAF
from ..graph.walk import ancestors, leading_from
from .rules import jvp_of


def push_forward(seeds: Mapping[Node, Any], outputs: Sequence[Node], *, record: bool) -> dict[Node, Any]:
    """The tangents of `outputs`, given those of the nodes in `seeds` (Griewank & Walther, section 3.1).

    An output that depends on no seed is absent from the result. The work is linear in the size of the graph.
    """
    order = ancestors(outputs, seeds, min((n.serial for n in seeds), default=0))
    leading = leading_from(set(seeds), order)
    tangents: dict[Node, Any] = {}
    with enable_grad() if record else no_grad():
        for node in order:
            if node in seeds:
                tangents[node] = seeds[node]
                continue
            if node not in leading or node.op is LEAF or node.op.stops:
                continue
            incoming = [tangents.get(x) if isinstance(x, Node) else None for x in node.inputs or ()]
            if node.op.name == "pick":
                if incoming[0] is not None:
                    tangents[node] = incoming[0][node.params["index"]]
                continue
            if all(t is None for t in incoming) or (node.op.results is None and node.dtype.char not in FLOAT):
                continue
            if record:
                recording.set(node.origin or node)
            tangent = jvp_of(node, incoming)
            if tangent is not None:
                tangents[node] = tangent
    return {n: tangents[n] for n in outputs if n in tangents}
