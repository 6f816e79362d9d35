"""A tensor of a static graph, flattened: the graph as a session would run it, on what is fed and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..base.dtypes import FLOAT
from ..base.errors import GradientError
from ..graph.node import Node
from ..graph.tensor import Tensor, edge, leaf_node, wrap
from ..modes.ends import Computed, Given
from ..modes.static.session import Session
from .flatten import Flat, flattened


def flattened_static(
    y: Tensor, others: Sequence[Tensor], session: Session, feed_dict: Mapping[Any, Any], whole: bool = False
) -> Flat:
    """The flat graph of `y`; the images of `others`, tensors of the same graph, are in it too.

    For `whole` see `flattened`.
    """
    special, nodes, values = session.opened([y, *others], feed_dict)
    given = [
        edge(leaf_node(v, name=n.name)) if n.dtype.char in FLOAT else wrap(v)
        for n, v in zip(nodes, values, strict=True)
    ]
    if not isinstance(special.ends[0], Computed):
        raise GradientError(f"explain: {y.node.label if y.node else 'the output'} is not computed from anything.")
    flat = flattened((), special.graph, given, whole)
    images: dict[Node, Any] = dict(flat.images) | dict(zip(nodes, given, strict=True))
    for other, end in zip([y, *others], special.ends, strict=True):
        if isinstance(end, Computed):
            images[other._node] = flat.outputs[end.output]
        elif isinstance(end, Given):
            images[other._node] = given[end.input]
    outputs = (flat.outputs[special.ends[0].output],)
    return Flat(outputs, images, flat.sources, flat.turns)
