"""`custom_derivative`: a function with a derivative of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..base.dtypes import FLOAT
from ..base.errors import GradientError
from ..base.trees import children, leaves, leaves_with_paths, same_structure
from ..graph.closure import as_tensor, close, spec_of
from ..graph.defer import defer, is_static
from ..graph.graph import Graph
from ..graph.op import function
from ..graph.opdef import OpDef, Rule, Spec
from ..graph.tensor import Tensor, symbol, wrap
from ..ops.creation import zeros_of
from ..ops.movement import astype
from .application import Application, apply


class CustomOp(OpDef):
    """The op of a function with a derivative of its own; `definition` is what it was made of."""

    __slots__ = ("definition",)

    definition: CustomDerivative


class CustomDerivative:
    """What `custom_derivative` returns: the function, whose rules are given with `.vjp` and `.jvp`."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self._f = f
        self._name = getattr(f, "__name__", "function").strip("<>")
        self._vjp: Rule | None = None
        self._jvp: Rule | None = None
        self._op: OpDef | None = None

    def vjp(self, rule: Rule) -> Rule:
        """Decorator: the rule `(g, out, *inputs) -> cotangents of the inputs`, for reverse mode."""
        self._vjp, self._op = rule, None
        return rule

    def jvp(self, rule: Rule) -> Rule:
        """Decorator: the rule `(tangents, out, *inputs) -> tangent of out`, for forward mode."""
        self._jvp, self._op = rule, None
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._op is None:
            self._op = self._made()
        if any(is_static(x) for x in leaves((args, kwargs))):
            return defer(self._name, self, args, kwargs)
        application = Application(args, kwargs)
        return application.result(apply(self._op, application, {"application": application}))

    def _made(self) -> OpDef:
        if self._vjp is None and self._jvp is None:
            raise GradientError(
                f"custom_derivative: {self._name} has no rule yet; write @{self._name}.vjp above a function "
                "(g, out, *inputs) -> cotangents."
            )

        def kernel(*arrays: Any, application: Application) -> Any:
            return self._eval(*arrays, application=application)

        op = CustomOp(
            self._name, kernel, infer=self._infer, family="custom", namespace="hidden", promotes=(), results=tuple,
            vjp=self._pull if self._vjp else None, jvp=self._push if self._jvp else None, doc=self.__doc__ or "",
        )  # fmt: skip
        op.definition = self
        return op

    def recorded(self, tensors: Sequence[Tensor], application: Application) -> list[Tensor]:
        """The leaves of the result as the function itself computes them, its rule left aside."""
        return application.run(self._f, tensors)

    def _eval(self, *values: Any, application: Application) -> Any:
        ys = application.run(self._f, map(wrap, values))
        for y in ys:
            if y.node is not None:
                raise self._captured(y.node.label)
        return tuple(y.value for y in ys)

    def _infer(self, *specs: Any, application: Application) -> Any:
        return tuple(Spec(*spec_of(o)) for o in self.graph(specs, application).outputs)

    def graph(self, specs: Sequence[Any], application: Application) -> Graph:
        """The function itself, traced on inputs of these shapes and dtypes."""
        closure = close(lambda *xs: application.run(self._f, xs), [symbol(s) for s in specs])
        if closure.captured:
            raise self._captured(closure.captured[0].label)
        return closure.graph()

    def _captured(self, label: str) -> GradientError:
        return GradientError(
            f"{self._name}: a function with a derivative of its own depends on a Tensor that is differentiated but is "
            f"no positional argument (seen in {label}): its rule could give it no cotangent. Pass it as an argument, "
            "or pass it through bl.stop_gradient."
        )

    def _pull(self, g: Any, out: Any, /, *values: Any, application: Application) -> tuple[Any, ...]:
        recorded = any(isinstance(x, Tensor) for x in (*g, *out, *values))
        args = application.arguments(map(as_tensor, values))
        gs, outs = (application.result(map(as_tensor, ts)) for ts in (g, out))
        found = self._vjp(gs, outs, *args, **application.kwargs)  # type: ignore[misc]
        per_leaf = self._cotangents(found, args)
        cotangents = application.per_array(per_leaf)
        return tuple(c if c is None or recorded else c.value for c in cotangents)

    def _cotangents(self, found: Any, args: tuple[Any, ...]) -> list[Any]:
        """The cotangents a rule returned, one for each leaf of the arguments, checked."""
        if len(args) == 1 and not (isinstance(found, tuple) and len(found) == 1):
            found = (found,)
        if not isinstance(found, (tuple, list)) or len(found) != len(args):
            count = len(found) if isinstance(found, (tuple, list)) else 1
            raise GradientError(
                f"{self._name}.vjp: the rule returned {count} cotangent(s) for {len(args)} argument(s); "
                "return a tuple with one for each, None where there is none."
            )
        return [
            self._fitting(c, x, f"the cotangent of {path}", "vjp")
            for i, (arg, ct) in enumerate(zip(args, found, strict=True))
            for (path, x), c in zip(
                leaves_with_paths(arg, f"argument {i}"), self._aligned(arg, ct, f"argument {i}"), strict=True
            )
        ]

    def _aligned(self, arg: Any, ct: Any, path: str) -> list[Any]:
        """The leaves of a cotangent at the places of those of its argument; None stands for a whole part."""
        if ct is None:
            return [None] * len(leaves(arg))
        inner, other = children(arg), children(ct)
        if inner is None and other is None:
            return [ct]
        if inner is None or other is None or [n for n, _ in inner[0]] != [n for n, _ in other[0]]:
            raise GradientError(
                f"{self._name}.vjp: {path} is {_structure(inner)}, its cotangent {_structure(other)}; "
                "return one of the same structure, with None for a part that has none."
            )
        pairs = zip(inner[0], other[0], strict=True)
        return [c for (n, x), (_, part) in pairs for c in self._aligned(x, part, f"{path}.{n}")]

    def _fitting(self, c: Any, x: Any, what: str, rule: str) -> Any:
        if c is None or not isinstance(x, Tensor) or x.dtype.char not in FLOAT:
            return None
        c = as_tensor(c)
        if c.shape != x.shape:
            raise GradientError(
                f"{self._name}.{rule}: {what} has shape {c.shape}, expected {x.shape}, the shape of what it belongs "
                "to; sum over what was broadcast."
            )
        return c if c.dtype == x.dtype else astype(c, x.dtype)

    def _push(self, tangents: Sequence[Any], out: Any, /, *values: Any, application: Application) -> tuple[Any, ...]:
        arrays = [as_tensor(v) for v in values]
        moved = [wrap(zeros_of(x)) if t is None else as_tensor(t) for t, x in zip(tangents, arrays, strict=True)]
        outs = application.result(map(as_tensor, out))
        found = self._jvp(  # type: ignore[misc]
            application.arguments(moved), outs, *application.arguments(arrays), **application.kwargs
        )
        same_structure(outs, found, where=f"{self._name}.jvp: the tangent of the result")
        pairs = zip(leaves_with_paths(outs), leaves(found), strict=True)
        return tuple(self._fitting(t, y, f"the tangent of the result {path}".rstrip(), "jvp") for (path, y), t in pairs)


def _structure(inner: Any) -> str:
    return "an array" if inner is None else f"a tree with the entries {[n for n, _ in inner[0]]}"


@function()
def custom_derivative(f: Callable[..., Any]) -> CustomDerivative:
    """Decorator: give a function a derivative of its own, in the place of the one that would be recorded.

    Then write a rule, for reverse mode (`@f.vjp`), forward mode (`@f.jvp`) or both; each mode serves the
    other where its own rule is missing. `g`, `out` and the cotangents have the structure of the result and
    the arguments; keyword arguments are handed to the rule and have no derivative. A rule written with
    functions of Backlit can be differentiated in turn.

    >>> import backlit as bl
    >>> @bl.custom_derivative
    ... def clipped(x):
    ...     return x * 1
    >>> @clipped.vjp
    ... def _(g, out, x):
    ...     return bl.clip(g, -1, 1)
    >>> bl.grad(lambda x: 5 * clipped(x))(2.0)
    tensor(1., dtype=float32)
    """
    return CustomDerivative(f)
