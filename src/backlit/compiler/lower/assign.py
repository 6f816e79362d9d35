"""Values that must end in a given place (outputs, donated inputs, carries): written there at once if that is safe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ...graph.bind import PICK
from ...graph.graph import Graph
from ...graph.node import Node
from ...graph.tensor import LEAF
from ..kernels.kernel import Kernel
from ..kernels.views import Buffer, View
from .groups import REDUCTIONS, Group, Grouping
from .indexing import updates_in_place
from .storage import Storage

if TYPE_CHECKING:
    from .region import Region


class Assignments:
    """For each output of a graph, how its value comes to the place where it is wanted.

    The place may hold an input that is still to be read (a parameter that is updated, a carry). A node writes there
    itself if all other readers of that input can run before it, and if its own kernel reads it at the same index only.
    Otherwise the value is computed elsewhere and copied at the end.

    Attributes:
        overwritten: the buffers of inputs that are written before the end.
    """

    def __init__(self, graph: Graph, storage: Storage, grouping: Grouping, wanted: Sequence[View | None]) -> None:
        self.graph, self.storage, self.grouping = graph, storage, grouping
        self.overwritten: set[Buffer] = set()
        self._readers: dict[Node, dict[Group, list[tuple[Node, Node]]]] = {}
        for group in grouping.groups:
            for n in group.every:
                for x in n.parents:
                    self._readers.setdefault(storage.root(x), {}).setdefault(group, []).append((n, x))
        self._inputs: dict[Buffer, list[Node]] = {}
        for n in graph.inputs:
            self._inputs.setdefault(storage.views[n].buffer, []).append(n)
        self._pairs = [(o, t) for o, t in zip(graph.outputs, wanted, strict=True) if t is not None]
        self._pending: list[tuple[Any, View]] = []
        self._early = [(o, t) for o, t in self._pairs if self._is_there(o) and not self._held(t.buffer)]
        self._pairs = [pair for pair in self._pairs if pair not in self._early]
        self._given_out = {storage.root(o): o for o, _ in self._pairs if isinstance(o, Node)}
        moved: set[Node] = set()
        for o, place in self._pairs:
            source, home = self._computed(o, place) if isinstance(o, Node) else (o, place)
            if isinstance(source, Node) and source not in moved and self._can_move(source, home):
                storage.move(source, home)
                moved.add(source)
                if self._held(place.buffer):
                    self.overwritten.add(place.buffer)
            else:
                self._pending.append((o, place))

    def _is_there(self, o: Any) -> bool:
        """Is an output an input handed through? Then it is copied before anything can overwrite it."""
        return isinstance(o, Node) and self.storage.root(o) in self.graph.inputs

    def first(self, region: Region) -> Iterator[Kernel]:
        """The copies of inputs handed through."""
        for o, place in self._early:
            source = region.view_of(o)
            if source != place and prod(place.shape):
                yield region.copy(o, source, place)

    def sources(self) -> Iterator[Node]:
        """The nodes whose values must be in memory at the end."""
        return (o for o, _ in self._pairs if isinstance(o, Node))

    def _held(self, buffer: Buffer) -> list[Node]:
        """The inputs that lie in a buffer."""
        return self._inputs.get(buffer, [])

    def _computed(self, o: Node, place: View) -> tuple[Node, View]:
        """What an output is a reshape of, with the place in that form; or the output itself."""
        source = self.storage.root(o)
        seen, own = self.storage.views[o], self.storage.views[source]
        if source is o or prod(o.shape) != prod(source.shape) or seen.reshaped(own.shape) != own:
            return o, place
        home = place.reshaped(source.shape)
        return (o, place) if home is None else (source, home)

    def _can_move(self, o: Node, place: View) -> bool:
        group = self.grouping.of.get(o)
        if group is None or o.op is LEAF or o in self.storage.base or not self._plain(o):
            return False
        if not place.is_contiguous:
            return False
        if group.alone and o.op is not PICK:
            held = self._held(place.buffer)
            if any(not updates_in_place(o, n, self.storage.root) for n in held):
                return False
        before: list[Group] = []
        for held in self._held(place.buffer):
            if self.storage.root(self._given_out.get(held, o)) is not o:
                return False
            for reader, reads in self._readers.get(held, {}).items():
                if reader is group:
                    if o.op is PICK:
                        return False
                    if not group.alone and not all(self._at_own_index(group, o, place, n, x) for n, x in reads):
                        return False
                elif reader.before >> group.number & 1:
                    return False
                else:
                    before.append(reader)
        for reader in before:
            if reader.before >> group.number & 1:  # an order that was agreed on for an earlier output
                return False
            self.grouping.order(reader, group)
        return True

    def _plain(self, o: Node) -> bool:
        view = self.storage.views[o]
        return view.shape == o.shape and view.is_contiguous

    def _at_own_index(self, group: Group, o: Node, place: View, n: Node, x: Node) -> bool:
        """Does a member read the old value only where the new one will be written, and before?"""
        axes = group.axes[o]
        if n is group.anchor or n.op.name in REDUCTIONS or group.axes.get(n) != axes:
            return False
        stages = self.grouping.stages(group)
        if stages[n] > stages[o] or (axes == group.all_axes and max(stages.values()) > 0):
            return False
        extent = group.extent(axes)
        read = self.storage.views[x].over(n.shape, extent) if prod(n.shape) == prod(extent) else None
        return read is not None and read == place.reshaped(extent)

    def copies(self, region: Region) -> Iterator[Kernel]:
        """What is still to be copied, as if all at once: what another copy overwrites is put aside first."""
        targets = {place.buffer for _, place in self._pairs}
        late: list[tuple[Node, View, View]] = []
        for o, place in self._pending:
            source = region.view_of(o)
            if source == place or not prod(place.shape):
                continue
            node = o if isinstance(o, Node) else Node(LEAF, (), {}, o, o)
            if source.shape != place.shape:  # samples side by side in vectors
                split = place.reshaped(source.shape)
                assert split is not None
                place = split
            if source.buffer in targets:
                aside = Buffer(region.context.names.unique("aside"), source.buffer.code, max(1, prod(source.shape)))
                whole = View.whole(aside, source.shape)
                yield region.copy(node, source, whole)
                late.append((node, whole, place))
            else:
                late.append((node, source, place))
        for node, source, place in late:
            yield region.copy(node, source, place)
