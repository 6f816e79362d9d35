"""`Op`: a record that can be called, and the decorators by which records are made and registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..base.errors import GraphError
from . import inplace as inplace  # supplies the in-place operators of a Tensor
from .bind import any_tensor, bind
from .defer import any_static, apply
from .fast import fast_binary, fast_unary
from .opdef import OPS, PUBLIC, OpDef, Partial, Rule

Plain = TypeVar("Plain", bound=Rule)


_NO_PARAMS: dict[str, Any] = {}


class Op(OpDef):
    """An `OpDef` that can be called.

    Called itself (as derivative rules do) it takes arrays to arrays at NumPy speed, and Tensors to
    Tensors. `public` is the function users see, which always returns Tensors; `operator` serves
    Python's operators, and declines operands it does not know.
    """

    __slots__ = ()

    def __init__(self, name: str, eval: Rule, **facets: Any) -> None:
        super().__init__(name, eval, **facets)
        self.public = self._public()
        self.operator = fast_binary(self, declines=True) if len(self.input_names) == 2 else self.public

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.plain and not kwargs and len(args) == len(self.input_names):
            return bind(self, args, _NO_PARAMS) if any_tensor(args) else self.eval(*args)
        if self.composite is not None:
            if any_tensor(args) or any_static(args):
                return apply(self, args, kwargs)
            return self.composite(*args, **kwargs)
        if self.prepare is not None and any_static(args):
            return apply(self, args, kwargs)
        inputs, params = self.split(args, kwargs)
        if any_tensor(inputs):
            return bind(self, inputs, params)
        return self.eval(*inputs, **params)

    def _public(self) -> Callable[..., Any]:
        if self.plain and len(self.input_names) == 1:
            public = fast_unary(self)
        elif self.plain and len(self.input_names) == 2:
            public = fast_binary(self)
        else:

            def public(*args: Any, **kwargs: Any) -> Any:
                return apply(self, args, kwargs)

        return described(public, self)


def described(function: Callable[..., Any], op: OpDef) -> Callable[..., Any]:
    """Give a generated function the name, signature and documentation of its op."""
    named: Any = function
    named.__name__ = named.__qualname__ = op.name
    named.__module__ = "backlit"
    named.__doc__ = op.doc
    if op.source is not None:
        named.__wrapped__ = op.source  # where inspect.signature looks
    else:
        named.__signature__ = op.signature
    named.op = op
    return function


def register(record: Op) -> Op:
    """Enter a record into the registry and its function into the public namespace; a name is taken once."""
    if record.name in OPS:
        raise GraphError(f"op {record.name!r} is registered already; choose another name.")
    OPS[record.name] = record
    if record.namespace != "hidden":
        PUBLIC[f"{record.namespace}.{record.name}".lstrip(".")] = record.public
    return record


def op(**facets: Any) -> Callable[[Rule], Op]:
    """Decorator: the function is the NumPy kernel (`eval`) of a new op of its own name, `facets` the rest."""

    def make(kernel: Rule) -> Op:
        name = facets.pop("name", None) or kernel.__name__.rstrip("_")
        return register(Op(name, kernel, **facets))

    return make


def composite(**facets: Any) -> Callable[[Rule], Op]:
    """Decorator: the function, written with other ops, is a new op of its own name."""

    def make(function: Rule) -> Op:
        name = facets.pop("name", None) or function.__name__.rstrip("_")
        return register(Op(name, function, composite=function, **facets))

    return make


def function(**facts: Any) -> Callable[[Plain], Plain]:
    """Decorator: a public function that is no op, because it has no Tensors to compute from."""

    def enter(plain: Plain) -> Plain:
        name = facts.get("name") or plain.__name__.rstrip("_")
        name = f"{facts.get('namespace', '')}.{name}".lstrip(".")
        if name in PUBLIC:
            raise GraphError(f"function {name!r} is registered already; choose another name.")
        PUBLIC[name] = plain
        return plain

    return enter


def elementwise(
    name: str,
    doc: str,
    *,
    eval: Rule,
    partials: Sequence[Partial] | None = None,
    dtypes: str = "numeric",
    **facets: Any,
) -> Op:
    """Register an op that works element by element on inputs that broadcast.

    `partials` are the local derivatives, one for each input, as functions of `(out, *inputs, **params)`
    or plain numbers; the engine multiplies by the cotangent and sums over what was broadcast. An op
    without derivative gives `nondiff="reason"` instead.
    """
    result = facets.pop("result", "same")
    facets.setdefault("infer", _inference(name, result))
    return register(
        Op(name, eval, family="elementwise", doc=doc, partials=partials, dtypes=dtypes, result=result, **facets)
    )


def _inference(name: str, result: str) -> Rule:
    from ..base.dtypes import COMPLEX, WEAK, bool_, complex64, float32, float64, scalar_dtype
    from ..base.shapes import broadcast
    from .opdef import Spec

    def infer(*specs: Any, **_: Any) -> Spec:
        known = [s for s in specs if type(s) not in WEAK and s is not None]
        dtype = known[0].dtype if known else scalar_dtype(specs[0])
        if result == "boolean":
            dtype = bool_
        elif result == "real" and dtype.char in COMPLEX:
            dtype = float32 if dtype == complex64 else float64
        return Spec(broadcast(*[s.shape for s in known], where=name), dtype)

    return infer
