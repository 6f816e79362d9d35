"""A function of trees as a graph: traced once, with what it closes over found and made an input."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ..base.trees import leaves, rebuild
from .graph import Graph
from .node import Node, mark
from .opdef import Spec
from .tensor import LEAF, Tensor, as_value, symbol, wrap


class Closure(NamedTuple):
    """A traced function.

    Attributes:
        inputs: the nodes that stand for the leaves of the arguments.
        captured: the nodes outside that the function used without being given them.
        outputs: for each leaf of the result its node, or its value where that does not depend on any input.
        tree: the result itself.
    """

    inputs: list[Node]
    captured: list[Node]
    outputs: list[Any]
    tree: Any

    def graph(self, captured: Sequence[Node] | None = None) -> Graph:
        """The graph whose inputs are what is captured (here, or in all of several closures), then the arguments."""
        return Graph([*(self.captured if captured is None else captured), *self.inputs], self.outputs)


def as_tensor(x: Any) -> Tensor:
    """`x` as a Tensor; numbers and lists are converted."""
    return x if isinstance(x, Tensor) else wrap(as_value(x))


def spec_of(x: Any) -> Spec:
    """Shape and dtype of a Tensor, node or array."""
    return Spec(tuple(x.shape), x.dtype)


def close(function: Callable[..., Any], arguments: Sequence[Any]) -> Closure:
    """Trace `function` on edges without values in the place of the leaves of `arguments`, which are Tensors."""
    start = mark()
    edges = [symbol(spec_of(t)) for t in leaves(arguments)]
    tree = function(*rebuild(list(arguments), iter(edges)))
    results = [as_tensor(y) for y in leaves(tree)]
    outputs = [y.value if y.node is None else y.node for y in results]
    inputs = [t._node for t in edges]
    captured = reached_outside([o for o in outputs if isinstance(o, Node)], set(inputs), start)
    return Closure(inputs, captured, outputs, tree)


def reached_outside(outputs: Iterable[Node], own: Collection[Node], start: int) -> list[Node]:
    """The nodes that `outputs` depend on, other than by way of `own`, and that were there before `start`.

    A leaf without a value counts too: it stands for something outside, whenever it was made.
    """
    seen = set(outputs)
    todo = list(seen)
    found: list[Node] = []
    while todo:
        node = todo.pop()
        if node in own:
            continue
        if node.serial < start or (node.op is LEAF and node.value is None):
            found.append(node)
            continue
        for x in node.inputs or ():
            if isinstance(x, Node) and x not in seen:
                seen.add(x)
                todo.append(x)
    return sorted(found, key=lambda n: n.serial)
