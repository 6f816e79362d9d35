"""`Checker`: a plan's first call, kernel by kernel, against NumPy. For `settings(check=True)` and `BACKLIT_CHECK=1`.

The plan runs step by step. After each group of kernels that computes some nodes of the optimised graph, the ops' own
NumPy kernels compute these nodes too, from what earlier groups really wrote: so a kernel answers for its own errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import BacklitError
from ..graph.bind import PICK
from ..graph.node import Node
from ..graph.tensor import LEAF
from .lower.groups import Group
from .lower.steps import Step, kernels
from .stepwise import Stepwise

if TYPE_CHECKING:
    from .native_plan import NativePlan

Array = np.ndarray[Any, Any]

#: What rounding may do within one kernel, as a fraction of the size of the numbers that it adds, by bytes of a float.
ROUNDING = {2: 2e-2, 4: 1e-4, 8: 1e-11}

#: A loop may carry rounding from step to step; its results are compared more loosely.
LOOPS = frozenset(("scan", "while_loop", "cond"))

#: Where rounding can move a number over a step (a comparison, `floor`), one element in so many may be another, and a
#: few of an array that is not small.
JUMPS, FEW = 100, 2


class Checker:
    """Checks the kernels of a plan.

    Args:
        plan: the plan; its optimised graph says what its kernels should compute.
    """

    def __init__(self, plan: NativePlan) -> None:
        self.plan, self.region = plan, plan.region
        self.graph = self.region.graph
        self._picks: dict[Node, list[Node]] = {}
        for node in self.graph.nodes:
            if node.op is PICK:
                self._picks.setdefault(next(node.parents), []).append(node)
        self._stepwise = Stepwise(plan, self._after)
        self._known: dict[Node, Any] = {}
        self._error: dict[Node, float] = {}
        self._step = 0

    def __call__(self, values: Sequence[Any]) -> None:
        """Run on these inputs, which are left as they are; raise a BacklitError that names the first wrong kernel."""
        given = [np.array(v) for v in values]
        self._known = {n: v[()] if not v.ndim else v for n, v in zip(self.graph.inputs, given, strict=True)}
        self._error, self._step = {}, 0
        with np.errstate(all="ignore"):
            found = self._stepwise(values)
            for i, (output, array) in enumerate(zip(self.graph.outputs, found, strict=True)):
                if isinstance(output, Node) and not self.plan.noted:
                    self._compare(output, np.asarray(array), f"output {i}", self.plan.steps[-1:])
        self._known = {}

    # --- after each step ---------------------------------------------------------------------------

    def _after(self, step: Step, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._step += 1
        seen = self.plan.seer(inputs, outputs, self._stepwise.memory)
        for first, last, group in self.region.parts:
            if first < last == self._step and not self.plan.noted:
                self._part(group, self.plan.steps[first:last], seen)

    def _part(self, group: Group, steps: Sequence[Step], seen: Any) -> None:
        """Check what the steps of a group left in memory, and go on from there."""
        written: dict[Node, Array] = {}
        for node in [m for n in group.nodes for m in (n, *self._picks.get(n, ()))]:
            if node.op.results is None and self.region.holds(group, node):
                view = self.region.storage.views[node]
                self._compare(node, seen(view), f"kernel {_names(steps)}", steps)
                written[node] = np.array(seen(view)).reshape(node.shape)
        for node, value in written.items():
            self._known[node] = value[()] if not value.ndim else value
            self._error[node] = 0.0

    # --- what is expected --------------------------------------------------------------------------

    def _value(self, node: Node) -> Any:
        """The value of a node, from those that are known."""
        todo = [node]
        while todo:
            n = todo[-1]
            missing = [x for x in n.parents if x not in self._known]
            if n in self._known or not missing:
                todo.pop()
                if n not in self._known:
                    self._known[n] = self._computed(n)
                    self._error[n] = self._rounding(n)
            else:
                todo += missing
        return self._known[node]

    def _computed(self, node: Node) -> Any:
        if node.op is LEAF:
            return node.value
        return node.op.eval(*self._inputs(node), **node.params)

    def _inputs(self, node: Node) -> list[Any]:
        return [self._known[x] if isinstance(x, Node) else x for x in node.inputs or ()]

    def _rounding(self, node: Node) -> float:
        """How far rounding within the kernel may have moved a value: in what was added, not in what was left of it."""
        out = self._known[node]
        if node.op is PICK or node.op.results is not None or np.asarray(out).dtype.kind not in "fc":
            return 0.0
        size, inputs = _largest(out), list(node.parents)
        if node.op.name in _SUMS:
            magnitudes = [np.abs(x) for x in self._inputs(node)]
            size = max(size, _largest(node.op.eval(*magnitudes, **node.params)))
        elif node.op.name in ("add", "subtract"):
            size = max([size, *(_largest(self._known[x]) for x in inputs)])
        error = _fraction(np.asarray(out)) * size
        for x in inputs:
            error += self._error.get(x, 0.0) * max(1.0, size / (_largest(self._known[x]) or np.inf))
        return error

    # --- comparing ---------------------------------------------------------------------------------

    def _compare(self, node: Node, found: Array, what: str, steps: Sequence[Step]) -> None:
        expected = np.asarray(self._value(node)).reshape(found.shape)
        if expected.dtype.kind not in "fc":
            wrong = found != expected
        else:
            allowed = self._error.get(node, 0.0)
            if node.op is PICK and next(node.parents).op.name in LOOPS:
                allowed = _fraction(expected) ** 0.5 * _largest(expected)
            same = (found == expected) | (np.isnan(found) & np.isnan(expected))
            wrong = ~(same | (np.abs(found - expected) <= allowed))
        stray = found.size // JUMPS + FEW * (found.size > 16) if _jumps(steps) else 0
        if np.count_nonzero(wrong) <= stray:
            return
        gap = np.where(wrong, np.abs(np.subtract(found, expected, dtype=complex)), -1.0)
        at = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap))), gap.shape)
        place = tuple(int(i) for i in at)
        computes = ", ".join(dict.fromkeys(n.label for k in kernels(steps) for n in k.nodes)) or node.label
        raise BacklitError(
            f"check: {what} of the plan of {self.plan.name} is wrong in {node.label}, shape {node.shape}: at {place} "
            f"it gives {found[place]}, NumPy {expected[place]}; {np.count_nonzero(wrong)} of {found.size} elements are "
            f"wrong. It computes: {computes}."
        )


_SUMS = frozenset(("sum", "matmul", "convolve", "convolve_transposed", "convolve_weight", "pool_sum", "cumulative_sum"))


def _largest(x: Any) -> float:
    """The largest finite magnitude."""
    x = np.asarray(x)
    if x.dtype.kind not in "fc":
        return 0.0
    magnitudes = np.abs(x)
    return float(magnitudes.max(initial=0.0, where=np.isfinite(magnitudes)))


def _fraction(x: Array) -> float:
    return ROUNDING.get(x.dtype.itemsize // (1 + (x.dtype.kind == "c")), ROUNDING[8])


def _jumps(steps: Sequence[Step]) -> bool:
    """Does a kernel compare or round, so that rounding may show as another result altogether?"""
    nodes = [n for k in kernels(steps) for n in k.nodes if n.op.results is None]
    return any(n.dtype.kind in "biu" or n.op.name in ("floor", "ceil", "trunc", "round", "sign") for n in nodes)


def _names(steps: Sequence[Step]) -> str:
    return " and ".join(repr(k.name) for k in kernels(steps)) or "of NumPy"
