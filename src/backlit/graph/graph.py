"""`Graph`: inputs, nodes and outputs as one closed thing that can be run, checked and printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import BacklitError, GraphError
from .bind import PICK, bind
from .defer import Call, expand
from .node import Node, mark
from .opdef import Spec
from .program import Program
from .tensor import LEAF, Tensor, symbol
from .walk import ancestors


class Graph:
    """A part of the graph with its ends named: the function from `inputs` to `outputs`.

    Attributes:
        inputs: the leaf nodes that take values.
        nodes: all other nodes, in an order in which they can be computed.
        outputs: nodes, or constants.
    """

    __slots__ = ("_program", "inputs", "nodes", "outputs")

    def __init__(self, inputs: Sequence[Node], outputs: Sequence[Any]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        known = set(self.inputs)
        order = ancestors([o for o in self.outputs if isinstance(o, Node)], known)
        self.nodes = tuple(n for n in order if n not in known)
        self._program: Program | None = None

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """Run on NumPy values with each op's own kernel; a value is dropped after its last use."""
        program = self._program
        if program is None:
            program = self._program = Program(self.inputs, self.nodes, self.outputs)
        return program(*values)

    @property
    def source(self) -> str:
        """The Python program that a call runs, one line a node."""
        if self._program is None:
            self._program = Program(self.inputs, self.nodes, self.outputs)
        return self._program.source

    def replay(self, tensors: Sequence[Any], visit: Callable[[Node, list[Any]], Any] | None = None) -> list[Any]:
        """Apply the same ops, through `bind`, to other inputs: eagerly if they have values, else tracing anew.

        Calls are expanded. What `visit(node, inputs)` returns is taken for the node's result, unless
        that is None. New nodes keep the line of the user's code of the nodes they come from.
        """
        made: dict[Node, Any] = dict(zip(self.inputs, tensors, strict=True))
        for node in self.nodes:
            args = [made[x] if isinstance(x, Node) else x for x in node.inputs or ()]
            start = mark()
            try:
                done = visit(node, args) if visit is not None else None
                made[node] = self.again(node, args) if done is None else done
            except BacklitError as problem:
                raise type(problem)(f"{problem} [in {node.label}]") from problem
            credit(made[node], node, start)
        return [made[o] if isinstance(o, Node) else o for o in self.outputs]

    def again(self, node: Node, args: list[Any]) -> Any:
        """The op of one node applied to other inputs."""
        if node.op is LEAF:
            return node.value
        if node.op is PICK:
            return args[0][node.params["index"]]
        if isinstance(node.op, Call):
            return expand(node, args)
        return bind(node.op, args, node.params)

    def verify(self) -> None:
        """Check that the graph is legal: every use after its definition, shapes and dtypes as the rules say."""
        seen = set(self.inputs)
        for node in self.nodes:
            for i, x in enumerate(node.inputs or ()):
                if isinstance(x, Node) and x not in seen:
                    raise GraphError(f"verify: input {i} of {node.label} is used before it is computed.")
            seen.add(node)
            if (
                node.op is LEAF
                or node.op.infer is None
                or any(None in x.shape for x in node.parents if x.op.results is None)
            ):
                continue
            specs = [
                x.spec if isinstance(x, Node) else Spec(x.shape, x.dtype) if hasattr(x, "shape") else x
                for x in node.inputs or ()
            ]
            expected = node.op.infer(*specs, **node.params)
            if isinstance(expected, Spec) and (expected.shape, expected.dtype) != (node.shape, node.dtype):
                raise GraphError(
                    f"verify: {node.label} holds {node.dtype.name}{node.shape}, "
                    f"its rule says {expected.dtype.name}{expected.shape}."
                )

    def __str__(self) -> str:
        """The printed form: one line a node, `%3 = multiply(%1, %2) float32(4,)`."""
        number = {n: f"%{i}" for i, n in enumerate((*self.inputs, *self.nodes))}

        def shown(x: Any) -> str:
            if isinstance(x, Node):
                return number[x]
            return repr(x) if not hasattr(x, "shape") or x.shape == () else f"{x.dtype.name}{x.shape}"

        lines = [
            f"{number[n]} = input {(n.name or '')!s} {n.dtype.name}{n.shape}".replace("  ", " ") for n in self.inputs
        ]
        for n in self.nodes:
            args = [shown(x) for x in n.inputs or ()] + [f"{k}={v!r}" for k, v in n.params.items()]
            spec = (
                f"{n.dtype.name}{n.shape}" if not isinstance(n.like, tuple) or isinstance(n.like, Spec) else "several"
            )
            lines.append(f"{number[n]} = {n.op.name}({', '.join(args)}) {spec}")
        return "\n".join([*lines, f"return {', '.join(map(shown, self.outputs))}"])


def credit(result: Any, node: Node, start: int) -> None:
    """Give the nodes made since `start` for `result` the name of `node` and the line of the user's code."""
    parts = result if isinstance(result, (list, tuple)) else (result,)
    todo = [t.node for t in parts if isinstance(t, Tensor) and t.node is not None and t.node.serial > start]
    seen = set(todo)
    for new in todo:
        new.name = node.name if new.origin is None else new.name
    while todo:
        new = todo.pop()
        new.place = node.place if new.origin is None else new.origin.place
        for x in new.parents:
            if x.serial > start and x not in seen:
                seen.add(x)
                todo.append(x)


def trace(function: Callable[..., Any], specs: Sequence[Spec]) -> Graph:
    """The graph of `function`, called on edges of the given shapes and dtypes that have no values."""
    inputs = [symbol(s) for s in specs]
    out = function(*inputs)
    outputs = out if isinstance(out, (tuple, list)) else [out]
    return Graph([t._node for t in inputs], [ending(o) for o in outputs])


def ending(x: Any) -> Any:
    """A Tensor as an output of a Graph: its node where it must be computed, else its value."""
    return (x.node if x.value is None else x.value) if isinstance(x, Tensor) else x
