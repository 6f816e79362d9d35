"""Which maximum poolings are computed in the kernel of the convolution before them, from what lies in registers."""

from __future__ import annotations

from ..codegen.writer import Target
from ..kernels.conv_pool import can_pool
from ..kernels.conv_winograd import pays
from .groups import Group, Grouping
from .kept import Kept


def pool_in_convolutions(grouping: Grouping, kept: Kept, target: Target) -> None:
    """Let poolings take their input from the group of a convolution, where nothing else needs what that computes."""
    found = [
        (pool, source) for pool in grouping.groups if (source := _source(pool, grouping, kept, target)) is not None
    ]
    for pool, source in found:
        grouping.absorb(pool, source)
        kept.nodes.difference_update(source.nodes)


def _source(pool: Group, grouping: Grouping, kept: Kept, target: Target) -> Group | None:
    """The group of the convolution that a pooling's kernel can begin with."""
    node = pool.anchor
    if node is None or node.op.name not in ("pool_max", "pool_argmax") or not can_pool(node, target):
        return None
    x = next(node.parents)
    source = grouping.of.get(x)
    if (
        source is None
        or source.anchor is None
        or source.anchor.op.name != "convolve"
        or len(source.space) != len(pool.space)
    ):
        return None
    split = len(source.space) > node.ndim
    if x.dtype != source.anchor.dtype or pays(source.anchor, split, target):
        return None
    own = [n for n in source.nodes if grouping.of[n] is source]
    return source if kept.only_for(pool, x, own) else None
