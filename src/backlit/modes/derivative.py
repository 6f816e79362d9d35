"""A plan as one op of the tape, so that what a compiled function returns can be differentiated.

The op's reverse rule is itself a compiled function, of the values of the inputs and the cotangents of the outputs:
the derivative of the traced graph, which computes what it needs of the forward pass anew. Since it is compiled in
the same way, it has a derivative in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autodiff.functions import vjp
from ..base.dtypes import FLOAT
from ..base.trees import rebuild
from ..graph.bind import record
from ..graph.graph import Graph
from ..graph.opdef import OpDef
from ..graph.tensor import Tensor, wrap
from .ends import Computed, Constant, Given
from .trace import Trace


def _moving(ends: Sequence[Any]) -> list[int]:
    """The indices of those that have derivatives."""
    return [i for i, n in enumerate(ends) if n.dtype.char in FLOAT]


def pulled_back(graph: Graph, name: str) -> Callable[[list[Any], list[Any]], list[Any]]:
    """The function `(values of the inputs, cotangents of the outputs) -> cotangents of the inputs`.

    Only floating-point outputs and inputs have cotangents; others are left out.
    """
    moving, coming = _moving(graph.inputs), _moving(graph.outputs)

    def derivative(values: list[Any], cotangents: list[Any]) -> list[Any]:
        def forward(*xs: Any) -> tuple[Any, ...]:
            given = list(values)
            for i, x in zip(moving, xs, strict=True):
                given[i] = x
            found = graph.replay(given)
            return tuple(found[k] for k in coming)

        _, pull = vjp(forward, *(values[i] for i in moving))
        return list(pull(tuple(cotangents)))

    derivative.__name__ = f"{name} (derivative)"
    return derivative


def op_of(
    graph: Graph, run: Callable[[Sequence[Any]], Sequence[Any]], pull: Callable[[list[Any], list[Any]], list[Any]],
    name: str,
) -> OpDef:  # fmt: skip
    """The op that runs a plan on the values of all inputs of its graph; `pull` is its reverse rule, compiled."""
    moving, coming = _moving(graph.inputs), _moving(graph.outputs)

    def kernel(*values: Any, body: Graph) -> tuple[Any, ...]:
        return tuple(run(values))

    def rule(g: Any, out: Any, /, *values: Any, body: Graph) -> tuple[Any, ...]:
        found = pull(list(values), [g[k] for k in coming])
        if not any(isinstance(x, Tensor) for x in (*g, *values)):
            found = [t.value for t in found]
        of = dict(zip(moving, found, strict=True))
        return tuple(of.get(i) for i in range(len(values)))

    specs = tuple(o.spec for o in graph.outputs)
    return OpDef(
        name, kernel, infer=lambda *_, body: specs, family="compiled", namespace="hidden", promotes=(), results=tuple,
        vjp=rule, saves="values", doc=f"The compiled function {name}.",
    )  # fmt: skip


def recorded(op: OpDef, trace: Trace, inputs: Sequence[Tensor], origin: Any) -> Any:
    """The result of a call on these inputs, with a node on the tape from which the derivative goes on."""
    out: Any = ()
    if trace.graph.outputs:
        values, params = [t.value for t in inputs], {"body": trace.graph}  # the graph is what an explanation reads
        out = record(op, inputs, values, params, op.eval(*values, **params), origin)
    leaves: list[Any] = []
    for end in trace.ends:
        if isinstance(end, Computed):
            leaves.append(out[end.output])
        elif isinstance(end, Given):
            leaves.append(inputs[end.input])
        else:
            leaves.append(wrap(end.value) if isinstance(end, Constant) else end.value)
    return rebuild(trace.result, iter(leaves))
