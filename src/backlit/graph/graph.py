"""`Graph`: inputs, nodes and outputs as one closed thing that can be run, checked and printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import GraphError
from .bind import expand
from .node import Node
from .opdef import Spec
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
        self._program: list[Any] | None = None

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        """Run on NumPy values with each op's own kernel; a value is dropped after its last use."""
        if self._program is None:
            self._program = self._prepare()
        slots: list[Any] = [None] * (len(self.inputs) + len(self.nodes))
        slots[: len(values)] = values
        for kernel, args, params, slot, dead in self._program:
            slots[slot] = kernel(*[slots[a] if known is None else known for a, known in args], **params)
            for d in dead:
                slots[d] = None
        return tuple(slots[a] if known is None else known for a, known in self._ends)

    @property
    def _ends(self) -> list[tuple[int, Any]]:
        number = {n: i for i, n in enumerate((*self.inputs, *self.nodes))}
        return [(number[o], None) if isinstance(o, Node) else (-1, o) for o in self.outputs]

    def _prepare(self) -> list[Any]:
        number = {n: i for i, n in enumerate((*self.inputs, *self.nodes))}
        last: dict[int, int] = {}
        program: list[Any] = []
        for step, node in enumerate(self.nodes):
            if node.op is LEAF:
                if node.value is None:
                    raise GraphError(f"{node.label} is used but is neither an input of the graph nor a constant.")
                value = node.value
                program.append((lambda value=value: value, (), {}, number[node], ()))
                continue
            args = [(number[x], None) if isinstance(x, Node) else (-1, x) for x in node.inputs or ()]
            for a, _ in args:
                last[a] = step
            program.append((node.op.eval, args, node.params, number[node], ()))
        keep = {number[o] for o in self.outputs if isinstance(o, Node)}
        dead: dict[int, list[int]] = {}
        for slot, step in last.items():
            if slot not in keep and slot >= 0:
                dead.setdefault(step, []).append(slot)
        return [(*row[:4], tuple(dead.get(step, ()))) for step, row in enumerate(program)]

    def replay(self, tensors: Sequence[Any], visit: Callable[[Node, list[Any]], Any] | None = None) -> list[Any]:
        """Apply the same ops, through `bind`, to other inputs: eagerly if they have values, else tracing anew."""
        from .bind import bind

        made: dict[Node, Any] = dict(zip(self.inputs, tensors, strict=True))
        for node in self.nodes:
            args = [made[x] if isinstance(x, Node) else x for x in node.inputs or ()]
            if visit is not None and (done := visit(node, args)) is not None:
                made[node] = done
            elif node.op is LEAF:
                made[node] = node.value
            elif node.op.name == "pick":
                made[node] = args[0][node.params["index"]]
            elif node.op.composite is not None:
                made[node] = expand(node.op, args, node.params["args"])
            else:
                made[node] = bind(node.op, args, node.params)
        return [made[o] if isinstance(o, Node) else o for o in self.outputs]

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
                    f"verify: {node.label} holds {node.dtype.name}{node.shape}, its rule says {expected.dtype.name}{expected.shape}."
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


def trace(function: Callable[..., Any], specs: Sequence[Spec]) -> Graph:
    """The graph of `function`, called on edges of the given shapes and dtypes that have no values."""
    inputs = [symbol(s) for s in specs]
    out = function(*inputs)
    outputs = out if isinstance(out, (tuple, list)) else [out]
    return Graph(
        [t._node for t in inputs],
        [(o.node if o.value is None else o.value) if isinstance(o, Tensor) else o for o in outputs],
    )
