"""`Program`: a graph as straight-line Python, one line a node, run on NumPy values by the ops' own kernels.

Generated once, so that running costs nothing per node beyond the call of its kernel. `source` shows it.
"""

from __future__ import annotations

import keyword
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.errors import BacklitError, GraphError
from ..base.shapes import size_of
from .infer import explain_failure
from .node import Node
from .tensor import LEAF

#: Values of fewer elements are kept until the end: letting go of them one by one costs more than they do.
_SMALL = 64

#: Kernels that are Python's own operators are written as such.
_OPERATORS: dict[Any, str] = {operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/"}


class Program:
    """The function from the values of `inputs` to those of `outputs` (nodes, or constants)."""

    def __init__(self, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Any]) -> None:
        self._names: dict[Any, str] = {n: f"x{i}" for i, n in enumerate(inputs)}
        self._names.update((n, f"v{i}") for i, n in enumerate(nodes, len(inputs)))
        self._globals: dict[str, Any] = {"errstate": np.errstate}
        self._kernels: dict[Any, str] = {}
        #: The node that is computed in each line of the source.
        self._lines: dict[int, Node] = {}
        self.source = self._written(inputs, nodes, outputs)
        self._code = compile(self.source, "<backlit graph>", "exec")
        exec(self._code, self._globals)
        self._run: Any = self._globals["run"]

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        try:
            return self._run(*values)
        except Exception as problem:
            self._explain(problem)
            raise

    def _written(self, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Any]) -> str:
        names = self._names
        dead = _last_uses(nodes, outputs)
        lines = [f"def run({', '.join(names[n] for n in inputs)}):"]
        quiet = False
        for node in nodes:
            # As in the eager backward pass: what a derivative meets on paths that count for nothing is no news.
            if (node.origin is not None) != quiet:
                quiet = not quiet
                if quiet:
                    lines.append("    with errstate(all='ignore'):")
            indent = "        " if quiet else "    "
            lines.append(f"{indent}{names[node]} = {self._expression(node)}")
            self._lines[len(lines)] = node
            gone = [names[n] for n in dead.get(node, ()) if n.op.results is not None or size_of(n.shape) >= _SMALL]
            if gone:
                lines.append(f"{indent}{' = '.join(gone)} = None")
        results = "".join(f"{self._argument(o)}, " for o in outputs)
        return "\n".join([*lines, f"    return ({results})", ""])

    def _expression(self, node: Node) -> str:
        if node.op is LEAF:
            if node.value is None:
                raise GraphError(f"{node.label} is used but is neither an input of the graph nor a constant.")
            return self._constant(node.value)
        args = [self._argument(x) for x in node.inputs or ()]
        symbol = _OPERATORS.get(node.op.eval)
        if symbol is not None and len(args) == 2 and not node.params:
            return f"{args[0]} {symbol} {args[1]}"
        if all(k.isidentifier() and not keyword.iskeyword(k) for k in node.params):
            args += [f"{k}={self._argument(v)}" for k, v in node.params.items()]
        else:
            args.append(f"**{self._constant(node.params)}")
        return f"{self._kernel(node)}({', '.join(args)})"

    def _kernel(self, node: Node) -> str:
        kernel = node.op.eval
        name = self._kernels.get(kernel)
        if name is None:
            name = "".join(c if c.isalnum() else "_" for c in node.op.name) + "_"
            if name in self._globals:
                name += str(len(self._globals))
            self._kernels[kernel] = name
            self._globals[name] = kernel
        return name

    def _argument(self, x: Any) -> str:
        if isinstance(x, Node):
            return self._names[x]
        return repr(x) if _literal(x) else self._constant(x)

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._globals)}"
        self._globals[name] = value
        return name

    def _explain(self, problem: Exception) -> None:
        """Raise an error that names the node whose kernel failed."""
        trace = problem.__traceback__
        while trace is not None and trace.tb_frame.f_code is not self._run.__code__:
            trace = trace.tb_next
        node = self._lines.get(trace.tb_lineno) if trace is not None else None
        if trace is None or node is None:
            return
        if isinstance(problem, BacklitError):
            raise type(problem)(f"{problem} [in {node.label}]") from problem
        known = trace.tb_frame.f_locals
        values = [known.get(self._names[x]) if isinstance(x, Node) else x for x in node.inputs or ()]
        try:
            explain_failure(node.op, values, node.params, problem)
        except BacklitError as explained:
            raise type(explained)(f"{explained} [in {node.label}]") from problem


def _last_uses(nodes: Sequence[Node], outputs: Sequence[Any]) -> dict[Node, list[Node]]:
    """For each node, the nodes whose values are not needed after it."""
    own = set(nodes)
    kept = {o for o in outputs if isinstance(o, Node)}
    last: dict[Node, Node] = {}
    for node in nodes:
        for x in node.parents:
            last[x] = node
    dead: dict[Node, list[Node]] = {}
    for x, user in last.items():
        if x in own and x not in kept:
            dead.setdefault(user, []).append(x)
    return dead


def _literal(x: Any) -> bool:
    """Can this stand in the source as it is printed?"""
    kind = type(x)
    if kind is tuple:
        return all(map(_literal, x))
    return kind in (int, bool, str, type(None)) or (kind is float and math.isfinite(x))
