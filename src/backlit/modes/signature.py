"""What a call of a compiled function consists of: its arguments taken apart, and the key that its trace goes by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from inspect import Parameter, signature
from typing import Any, NamedTuple

import numpy as np

from ..base.config import config
from ..base.dtypes import REAL_FLOAT, WEAK, DType, promote, scalar_dtype
from ..base.errors import ArgumentError, BacklitError, DtypeError, shown
from ..base.shapes import as_index
from ..base.trees import children, leaves_with_paths, rebuild
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, as_value


class Parameters(NamedTuple):
    """What is known of the parameters of a function.

    Attributes:
        names: those that may be given by position, in order.
        static: the names of those whose value belongs to the signature.
        donated: the names of those whose memory a call may take.
    """

    names: tuple[str, ...]
    static: frozenset[str]
    donated: frozenset[str]

    def name(self, i: int) -> str:
        """The name of the i-th positional argument; its number where the function takes any number of them."""
        return self.names[i] if i < len(self.names) else f"argument {i}"


def parameters_of(function: Callable[..., Any], where: str, static: Any, donate: Any) -> Parameters:
    """The parameters of a function, with `static_argnames` and `donate` checked against them."""
    try:
        found = signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions do not tell
        found = {}
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(n for n, p in found.items() if p.kind in positional)
    every = [n for n, p in found.items() if p.kind in (*positional, Parameter.KEYWORD_ONLY)]
    open_ended = not found or any(p.kind in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL) for p in found.values())

    def named(given: Any, what: str) -> frozenset[str]:
        items = (given,) if isinstance(given, (str, int)) else tuple(given)
        result: list[str] = []
        for item in items:
            known = item in every or open_ended if isinstance(item, str) else None
            if isinstance(item, int) and not isinstance(item, bool):
                known = 0 <= item < len(names) or open_ended
            if not known:
                raise ArgumentError(
                    f"compile: {what}={given!r} names {item!r}, which is no argument of {where}; "
                    f"its arguments are {', '.join(every) or 'not known'}."
                )
            result.append(item if isinstance(item, str) else names[item] if item < len(names) else f"argument {item}")
        return frozenset(result)

    known = Parameters(names, named(static, "static_argnames"), named(donate, "donate"))
    if both := known.static & known.donated:
        raise ArgumentError(f"compile: {min(both)!r} of {where} is static and donated; a static value has no memory.")
    return known


def thread_count(threads: Any, where: str) -> int | None:
    """The argument `threads=`, checked."""
    if threads is None:
        return None
    count = as_index(threads, "threads", where)
    if count < 1:
        raise ArgumentError(f"{where}: threads must be 1 or more, or None for all cores; got {count}.")
    return count


class Leaf(NamedTuple):
    """One value among the arguments of a call.

    Attributes:
        path: where it stands, such as `params.hidden.w`.
        given: what the caller gave: a Tensor, an array, a number.
        spec: the shape and dtype with which it is traced.
        donated: may the call take its memory?
    """

    path: str
    given: Any
    spec: Spec
    donated: bool


class Call(NamedTuple):
    """The arguments of one call, taken apart.

    Attributes:
        args, kwargs: the arguments, arrays in the forms that traces know: Tensors, arrays, numbers.
        leaves: the values among them, in order.
        key: what a trace goes by: structure, shapes, dtypes, static values, settings.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leaves: tuple[Leaf, ...]
    key: Hashable

    @property
    def symbolic(self) -> bool:
        """Is a value not there yet, because an outer function is being traced?"""
        return any(isinstance(x.given, Tensor) and x.given.value is None for x in self.leaves)

    def arguments(self, new: Any, static: Collection[str], name: Callable[[int], str]) -> Any:
        """`(args, kwargs)` with the values of the iterator `new` in the place of the leaves."""
        args = [a if name(i) in static else rebuild(a, new) for i, a in enumerate(self.args)]
        return args, {k: a if k in static else rebuild(a, new) for k, a in self.kwargs.items()}


def taken_apart(args: tuple[Any, ...], kwargs: dict[str, Any], parameters: Parameters, where: str) -> Call:
    """The arguments of a call as a `Call`."""
    named = [*((parameters.name(i), a) for i, a in enumerate(args)), *kwargs.items()]
    structure: list[Hashable] = [len(args), *kwargs]
    rows: list[tuple[str, Any, bool]] = []
    plain: list[Any] = []
    for name, argument in named:
        if name in parameters.static:
            structure.append(_static(name, argument, where))
            plain.append(argument)
            continue
        structure.append(_structure(argument, name, where))
        found = [(path, _plain(x, path, where)) for path, x in leaves_with_paths(argument, name)]
        rows += [(path, x, name in parameters.donated) for path, x in found]
        plain.append(rebuild(argument, iter([x for _, x in found])))
    settings = config.get()
    specs = _specs([x for _, x, _ in rows])
    return Call(
        tuple(plain[: len(args)]), dict(zip(kwargs, plain[len(args) :], strict=True)),
        tuple(Leaf(path, x, spec, donated) for (path, x, donated), spec in zip(rows, specs, strict=True)),
        (tuple(structure), specs, settings.default_dtype, settings.native),
    )  # fmt: skip


def number_dtype(number: Any, beside: DType | None) -> DType:
    """The dtype with which a Python number is traced: floats take that of the arrays, integers are int64."""
    return scalar_dtype(number, beside if isinstance(number, (float, complex)) else None)


def _specs(items: list[Any]) -> tuple[Spec, ...]:
    """How values are traced. Python floats take the widest floating-point dtype among the arrays, as beside them."""
    floats = [x.dtype for x in items if type(x) not in WEAK and x.dtype.char in REAL_FLOAT]
    beside = promote(*floats) if floats else None
    return tuple(Spec((), number_dtype(x, beside)) if type(x) in WEAK else Spec(tuple(x.shape), x.dtype) for x in items)


def _plain(x: Any, path: str, where: str) -> Any:
    """A leaf as a Tensor, a NumPy value of a supported dtype, or a Python number."""
    if isinstance(x, Tensor):
        return x
    if type(x) in WEAK:
        if type(x) is int and not -(2**63) <= x < 2**63:
            raise DtypeError(f"{where}: {path} is {shown(x)}, beyond what int64 holds; give a float.")
        return x
    if not isinstance(x, (np.ndarray, np.generic)):
        if not (hasattr(x, "__array__") or hasattr(x, "__dlpack__")):
            raise DtypeError(
                f"{where}: {path} is {shown(x)} ({type(x).__name__}), which is no array, number or tree of these. "
                f"If it is to be fixed when the function is traced, name it: static_argnames={path.split('.')[0]!r}."
            )
        x = np.asarray(x)
    try:
        return as_value(x)
    except BacklitError as problem:
        raise type(problem)(f"{where}: {path}: {problem}") from None


def _static(name: str, value: Any, where: str) -> Hashable:
    try:
        hash(value)
    except TypeError:
        raise ArgumentError(
            f"{where}: the static argument {name} is {shown(value)} ({type(value).__name__}), which has no hash, so "
            "traces cannot be told apart by it; give a tuple in the place of a list, or a frozen dataclass."
        ) from None
    return type(value), value


def _structure(tree: Any, path: str, where: str) -> Hashable:
    """What two trees must have in common to be taken for one another: all but their leaves."""
    found = children(tree)
    if found is None:
        return "leaf"
    kind = type(tree)
    names: tuple[Any, ...] = tuple(tree) if isinstance(tree, dict) else tuple(name for name, _ in found[0])
    fixed = tuple(_static(f"{path}.{k}", v, where) for k, v in static_fields(tree))
    inner = tuple(_structure(child, f"{path}.{name}", where) for name, child in found[0])
    return kind, names, fixed, inner


def static_fields(tree: Any) -> list[tuple[str, Any]]:
    """What an object has beside the leaves of its tree: the static fields of a dataclass, or its `__tree_key__`."""
    if hasattr(tree, "__tree_key__"):
        return [("__tree_key__()", tree.__tree_key__())]
    fields = getattr(type(tree), "__dataclass_fields__", {})
    return [(k, getattr(tree, k)) for k, f in fields.items() if f.init and f.metadata.get("static")]
