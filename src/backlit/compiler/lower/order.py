"""In which order groups run: what is computed is used while still in the caches, and memory is free again soon."""

from __future__ import annotations

from ...graph.node import Node
from .groups import Group, Grouping
from .storage import Storage


def ordered(grouping: Grouping, storage: Storage, kept: set[Node]) -> list[Group]:
    """The groups in an order in which each runs after those it needs.

    Of the groups that can run, the next is the one after which least memory is in use; of equal ones the one that
    became possible last; then the one that stands first in the program. So a weight is updated as soon as its gradient
    can be computed, and the gradients of a deep network are not all waiting for the end.
    """
    reads = {g: _read(g, storage) for g in grouping.groups}
    readers: dict[Node, int] = {}
    for roots in reads.values():
        for root in roots:
            readers[root] = readers.get(root, 0) + 1
    ends = {storage.root(o) for o in grouping.graph.outputs if isinstance(o, Node)}
    size = {n: storage.views[n].buffer.nbytes for n in {*readers, *kept} if n in storage.views}
    made = {g: sum(size[n] for n in g.nodes if n in kept and _is_scratch(n, storage)) for g in grouping.groups}

    def growth(group: Group) -> int:
        freed = sum(
            size[n] for n in reads[group] if readers[n] == 1 and n in kept and n not in ends and _is_scratch(n, storage)
        )
        return made[group] - freed

    waiting = list(grouping.groups)
    possible: list[tuple[Group, int]] = []
    found: list[Group] = []
    done = 0
    while waiting or possible:
        now = len(found)
        possible += [(g, now) for g in waiting if not g.before & ~done]
        waiting = [g for g in waiting if g.before & ~done]
        chosen = min(possible, key=lambda entry: (growth(entry[0]), -entry[1], grouping.graph_order(entry[0])))
        possible.remove(chosen)
        found.append(chosen[0])
        done |= 1 << chosen[0].number
        for n in reads[chosen[0]]:
            readers[n] -= 1
    return found


def _read(group: Group, storage: Storage) -> set[Node]:
    """The nodes outside a group whose memory it reads."""
    roots = {storage.root(x) for n in group.every for x in n.parents}
    own = {**group.axes, **(group.source.axes if group.source is not None else {})}
    return {r for r in roots if r not in own and r in storage.views}


def _is_scratch(node: Node, storage: Storage) -> bool:
    return node in storage.views and storage.views[node].buffer.kind == "scratch"
