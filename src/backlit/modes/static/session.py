"""`Session`: runs what is fetched from a static graph, and keeps the values of its variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ...base.config import config
from ...base.errors import ArgumentError, GraphError, ShapeError, shown
from ...base.trees import children, rebuild
from ...compiler.plan import Plan, build
from ...graph.node import Node
from ...graph.tensor import Tensor
from ...graph.walk import ancestors
from ..ends import Computed, Given
from ..signature import thread_count
from .feeds import as_fed, fits
from .graph import Graph, get_default_graph
from .specialise import Special, specialise
from .variables import PLACEHOLDER, VARIABLE, Operation, Variable

_ndarray = np.ndarray


class Session:
    """Computes tensors of a static graph from what its placeholders are fed.

    A run computes only what its fetches need, everything in one pass. It sees the values that variables
    had before it; assignments take effect at its end, all together, and not at all if it fails.

    Args:
        graph: the graph to run; by default the default graph.
        threads: how many threads a run may use; by default as many as there are cores.

    >>> from backlit import static
    >>> with static.Graph().as_default(), static.Session() as session:
    ...     x = static.placeholder("float32", shape=(None,), name="x")
    ...     count = static.Variable(0.0, name="count")
    ...     session.run(static.global_variables_initializer())
    ...     session.run({"total": x.sum() + count, "next": count.assign_add(1)}, {x: [1, 2, 3]})
    {'total': np.float32(6.0), 'next': np.float32(1.0)}
    """

    def __init__(self, graph: Graph | None = None, threads: int | None = None) -> None:
        self.graph = get_default_graph() if graph is None else graph
        self._threads = thread_count(threads, "Session")
        self._values: dict[Node, Any] | None = {}
        self._recipes: dict[tuple[Node, ...], _Recipe] = {}
        self._entered: list[AbstractContextManager[Graph]] = []

    def run(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Any:
        """The values of `fetches`, as NumPy arrays and numbers.

        Args:
            fetches: a tensor, variable, operation or name, or a tree of them (list, tuple, dict).
            feed_dict: the values of placeholders.

        Returns:
            The same tree with a value in the place of each tensor, and None in that of each operation.

        Raises:
            GraphError: a placeholder that is needed is not fed, a variable has no value yet, a fetch is of
                another graph, or the session is closed.
            ShapeError, DtypeError: a value does not fit its placeholder.
        """
        values = self._open("run")
        single = isinstance(fetches, (Tensor, Operation))
        nodes = (self._fetched(fetches),) if single else tuple(self._all_fetched(fetches))
        recipe = self._recipes.get(nodes)
        if recipe is None:
            recipe = self._recipes[nodes] = _Recipe(nodes, self._threads)
        results = recipe.run(self._feeds(feed_dict), values)
        return results[0] if single else rebuild(fetches, iter(results))

    def load(self, values: Mapping[Variable, Any]) -> None:
        """Set the values of variables at once: all of them, or none where one does not fit."""
        kept = self._open("load")
        checked: dict[Node, Any] = {}
        for variable, value in values.items():
            node = self._own(variable, "load")
            new = as_fed(value, node.dtype, node.label)
            if new.shape != node.shape:
                raise ShapeError(f"load: {node.label} has shape {node.shape}, got {new.shape}.")
            checked[node] = new.copy()
        kept.update(checked)

    def plan(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> str:
        """What `run` with these arguments computes, as a program: one line of Python for each op, in order.

        Where there is LLVM, machine code made of it runs in its place.
        """
        self._open("plan")
        nodes = tuple(self._all_fetched(fetches))
        recipe = self._recipes.setdefault(nodes, _Recipe(nodes, self._threads))
        return recipe.plan_for(recipe.fed(self._feeds(feed_dict)))[0].graph.source

    def opened(
        self, fetches: Sequence[Tensor], feed_dict: Mapping[Any, Any] | None = None
    ) -> tuple[Special, list[Node], list[Any]]:
        """What `run` would compute, as a closed graph of plain ops; the placeholders and variables that are its inputs,
        and their values. For explanations.
        """
        kept = self._open("opened")
        recipe = _Recipe(tuple(self._all_fetched(list(fetches))), None)
        fed = recipe.fed(self._feeds(feed_dict))
        special = recipe.specialised(fed)
        nodes = [*(n for n, _ in recipe.placeholders), *recipe.variables]
        return special, nodes, fed + recipe.kept(kept)

    def close(self) -> None:
        """Let go of the values of all variables; the session cannot be used any more."""
        self._values = None
        self._recipes.clear()

    def __enter__(self) -> Session:
        block = self.graph.as_default()
        self._entered.append(block)
        block.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._entered.pop().__exit__(*problem)
        self.close()

    # --- checks -----------------------------------------------------------------------------------

    def _open(self, asked: str) -> dict[Node, Any]:
        if self._values is None:
            raise GraphError(f"Session.{asked}: this session is closed; make a new one.")
        return self._values

    def _own(self, x: Any, asked: str) -> Node:
        node = x.node
        if node is None or node.graph is not self.graph:
            if node is None or node.graph is None:
                raise GraphError(f"Session.{asked}: got an eager tensor, which has its value already: use it as it is.")
            raise GraphError(
                f"Session.{asked}: {node.label} belongs to another graph than this session runs; "
                "make a Session(graph=...) of its own."
            )
        return node

    def _fetched(self, x: Any) -> Node:
        if isinstance(x, (Tensor, Operation)):
            node = x.node
            return node if node is not None and node.graph is self.graph else self._own(x, "run")
        if isinstance(x, str):
            return self.graph.node_named(x)
        raise ArgumentError(f"Session.run: cannot fetch {shown(x)} ({type(x).__name__}); fetch tensors and operations.")

    def _all_fetched(self, tree: Any) -> Iterator[Node]:
        found = children(tree)
        if tree is None:
            raise ArgumentError(
                "Session.run: a fetch is None; static.gradients gives None where no path leads to what it derives."
            )
        if found is None:
            yield self._fetched(tree)
            return
        for _, child in found[0]:
            yield from self._all_fetched(child)

    def _feeds(self, feed_dict: Mapping[Any, Any] | None) -> dict[Node, Any]:
        feeds: dict[Node, Any] = {}
        for key, value in (feed_dict or {}).items():
            if isinstance(key, Tensor):
                node = key.node
                if node is None or node.graph is not self.graph:
                    node = self._own(key, "run, feed_dict")
            elif isinstance(key, str):
                node = self.graph.node_named(key)
            else:
                raise ArgumentError(
                    f"Session.run: a key of feed_dict is {shown(key)} ({type(key).__name__}), expected a placeholder."
                )
            if node.op is not PLACEHOLDER:
                raise GraphError(
                    f"Session.run: feed_dict gives a value to {node.label}, which is computed; only placeholders are "
                    "fed. Use static.placeholder_with_default for a value that is fed only sometimes."
                )
            feeds[node] = value
        return feeds


class _Recipe:
    """How certain fetches are computed: what they need, and a plan for each set of shapes seen so far."""

    def __init__(self, fetches: tuple[Node, ...], threads: int | None) -> None:
        self.fetches, self.threads = fetches, threads
        needed = ancestors(fetches)
        self.placeholders = [(n, n.dtype) for n in needed if n.op is PLACEHOLDER]
        self.variables = [n for n in needed if n.op is VARIABLE]
        self.plans: dict[tuple[Any, ...], tuple[Special, Plan]] = {}

    def fed(self, feeds: dict[Node, Any]) -> list[Any]:
        """The values of the placeholders needed, in order; checked, but for their shapes."""
        values: list[Any] = []
        for node, dtype in self.placeholders:
            value = feeds.get(node)
            if value is None:
                value = node.params.get("default")
                if value is None:
                    raise self._unfed(node)
            kind = value.__class__
            if not (value.dtype == dtype and value.ndim if kind is _ndarray else kind is dtype.type):
                value = as_fed(value, dtype, node.label)
            values.append(value)
        return values

    def _unfed(self, node: Node) -> GraphError:
        needing = [n for n in self.fetches if node in ancestors([n])] or self.fetches
        return GraphError(
            f"Session.run: {node.label} is not fed, and {', '.join(n.label for n in needing[:3])} "
            f"need{'s' if len(needing) == 1 else ''} it; "
            f"give feed_dict={{{node.name}: an array of {node.dtype.name}{node.shape}}}."
        )

    def plan_for(self, values: Sequence[Any]) -> tuple[Special, Plan]:
        """What is computed for values of these shapes, and the plan that computes it; made where not known yet."""
        shapes = tuple([v.shape for v in values])
        key = (shapes, config.get().native)
        found = self.plans.get(key)
        if found is None:
            special = self.specialised(values)
            plan = build(special.graph, threads=self.threads, donated={}, name="Session.run")
            found = self.plans[key] = special, plan
        return found

    def specialised(self, values: Sequence[Any]) -> Special:
        """The graph for values of these shapes."""
        shapes = [v.shape for v in values]
        for (node, _), shape in zip(self.placeholders, shapes, strict=True):
            if not fits(shape, node.shape):
                raise ShapeError(f"Session.run: {node.label} expects shape {node.shape}, it was fed {shape}.")
        nodes = [*(n for n, _ in self.placeholders), *self.variables]
        return specialise(self.fetches, nodes, [*shapes, *(n.shape for n in self.variables)])

    def kept(self, values: Mapping[Node, Any]) -> list[Any]:
        """The values of the variables needed, among those of all."""
        try:
            return [values[n] for n in self.variables]
        except KeyError as missing:
            raise GraphError(
                f"Session.run: {missing.args[0].label} has no value in this session yet; run "
                "static.global_variables_initializer(), made after the last variable, or restore a Saver's file."
            ) from None

    def run(self, feeds: dict[Node, Any], kept: dict[Node, Any]) -> list[Any]:
        """Compute the fetches, then commit the assignments to `kept`, the values of the variables."""
        fed = self.fed(feeds)
        special, plan = self.plan_for(fed)
        values = fed + self.kept(kept)
        outputs = plan(values)
        new: list[Any] = []
        for end in special.new:
            value = _value(end, values, outputs)
            new.append(_own(value, (*values, *new), isinstance(end, Computed)))
        results: list[Any] = []
        for end in special.ends:
            value = None if end is None else _value(end, values, outputs)
            results.append(_own(value, (*values, *new, *results), isinstance(end, Computed)))
        kept.update(zip(special.assigned, new, strict=True))
        return results


def _value(end: Any, values: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """The value of a fetch, or the new value of a variable."""
    if isinstance(end, Computed):
        return outputs[end.output]
    return values[end.input] if isinstance(end, Given) else end.value


def _own(value: Any, held: Sequence[Any], computed: bool) -> Any:
    """A value that nothing else holds: an array that may be written to, or a number."""
    if value.__class__ is not _ndarray:
        return value
    if not value.ndim:
        return value[()]
    return value.copy() if not computed or value.base is not None or any(value is v for v in held) else value
