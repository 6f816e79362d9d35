"""`Graph`: what has been built and not yet run, with its names; and the default graph, which new nodes enter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from ...base.config import config, settings
from ...base.errors import ArgumentError, GraphError
from ...graph.bind import PICK
from ...graph.node import Node
from ...graph.tensor import Tensor, edge

if TYPE_CHECKING:
    from .variables import Variable


class Graph:
    """A static graph: nodes without values, which a `Session` computes when it is fed.

    Placeholders, variables and constants enter the default graph; everything computed from them
    enters the graph of its inputs. Use it as a context manager to make it the default one.

    >>> from backlit import static
    >>> with static.Graph() as graph:
    ...     x = static.placeholder("float32", shape=(None, 2), name="x")
    ...     y = x * 2
    >>> y
    <symbolic tensor 'multiply' (multiply) at ...:3, shape=(None, 2), dtype=float32>
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.variables: list[Variable] = []
        #: The names of registered gradients that replace the rules of single nodes.
        self.rules: dict[Node, str] = {}
        #: What stands in for the tensors of this graph while a call is expanded (graph/defer.py).
        self.stage: Any = None
        self._named: dict[str, Node] = {}
        self._counts: dict[str, int] = {}
        self._scope = ""
        self._overrides: Mapping[str, str] = {}
        self._entered: list[AbstractContextManager[Graph]] = []

    def enter(self, node: Node) -> None:
        """Take up a new node, and give it a name of its own."""
        if node.op is PICK and node.inputs:
            wanted = f"{node.inputs[0].name}:{node.params['index']}"
        else:
            wanted = self._scope + (node.name or node.op.name)
        self._name(node, wanted)
        self.nodes.append(node)
        rule = self._overrides.get(node.op.name)
        if rule is not None:
            self.rules[node] = rule

    def rename(self, node: Node, name: str) -> None:
        """Give a node another name."""
        self._named.pop(node.name or "", None)
        self._name(node, self._scope + name)

    def _name(self, node: Node, wanted: str) -> None:
        name = wanted
        while name in self._named:
            self._counts[wanted] = n = self._counts.get(wanted, 0) + 1
            name = f"{wanted}_{n}"
        node.name = name
        self._named[name] = node

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Inside this block new placeholders, variables and constants enter this graph."""
        with settings(default_graph=self):
            yield self

    def __enter__(self) -> Graph:
        block = self.as_default()
        self._entered.append(block)
        return block.__enter__()

    def __exit__(self, *problem: Any) -> None:
        self._entered.pop().__exit__(*problem)

    @contextmanager
    def name_scope(self, name: str) -> Iterator[str]:
        """Inside this block names begin with `name/`."""
        if not name:
            raise ArgumentError("name_scope: expected a name, got an empty one.")
        before = self._scope
        self._scope = f"{before}{name}/"
        try:
            yield self._scope
        finally:
            self._scope = before

    @contextmanager
    def gradient_override_map(self, names: Mapping[str, str]) -> Iterator[None]:
        """Inside this block ops get gradients registered with `RegisterGradient` instead of their own.

        Args:
            names: from the name of an op (`"relu"`) to that of a registered gradient.
        """
        before = self._overrides
        self._overrides = {**before, **names}
        try:
            yield
        finally:
            self._overrides = before

    def node_named(self, name: str) -> Node:
        """The node of this name; `"loss"` and `"loss:0"` are the same."""
        node = self._named.get(name) or self._named.get(name.removesuffix(":0"))
        if node is None:
            near = [n for n in self._named if name.split(":")[0].split("/")[-1] in n][:5]
            hint = f"; similar names are {', '.join(near)}" if near else ""
            raise GraphError(f"the graph has no node named {name!r}{hint}.")
        return node

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor of this name; `"loss"` and `"loss:0"` are the same."""
        return edge(self.node_named(name))

    def __repr__(self) -> str:
        return f"<static graph of {len(self.nodes)} nodes, {len(self.variables)} variables>"

    def __str__(self) -> str:
        """The printed form, one line a node."""

        def line(node: Node) -> str:
            args = ", ".join(str(x.name) if isinstance(x, Node) else _short(x) for x in node.inputs or ())
            like = node.like if node.op.results is None else None
            spec = f" {like.dtype.name}{like.shape}" if like is not None else ""
            return f"{node.name} = {node.op.name}({args}){spec}"

        return "\n".join(map(line, self.nodes))


def _short(x: Any) -> str:
    return f"{x.dtype.name}{x.shape}" if getattr(x, "shape", ()) else repr(x)


def get_default_graph() -> Graph:
    """The graph that new placeholders, variables and constants enter; one for each thread, as in TensorFlow 1."""
    graph = config.get().default_graph
    if graph is None:
        graph = Graph()
        config.set(config.get().changed(default_graph=graph))
    return graph


def reset_default_graph() -> None:
    """Begin a new, empty default graph. What was built before stays in its own."""
    config.set(config.get().changed(default_graph=Graph()))


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Inside this block names given in the default graph begin with `name/`."""
    with get_default_graph().name_scope(name) as scope:
        yield scope
