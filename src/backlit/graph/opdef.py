"""`OpDef`, the record of an op, and the registry. Everything else about an op is derived from its record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import CO_VARARGS
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..base.dtypes import CATEGORIES, DType
from ..base.errors import ArgumentError, GraphError


class Spec(NamedTuple):
    """What is known of a value before it is computed. A size of None is fixed only when the graph is fed."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def ndim(self) -> int:
        return len(self.shape)


Rule = Callable[..., Any]
Partial = Rule | int | None


class OpDef:
    """One op: how it is computed, what shape it has, how it is differentiated, how it is tested and written.

    The inputs (Tensors) of an op are its positional-only parameters, everything after them is static.

    Facets:
        eval: the NumPy kernel, `eval(*values, **params)`; the oracle of every other mode.
        infer: `infer(*specs, **params) -> Spec` (or a tuple of them). Without one, the shape is
            found by running `eval` on ones.
        prepare: `prepare(*args, **kwargs) -> (inputs, params)`, the public signature where it differs
            from `eval`'s: brings axes, shapes and lists of arrays into one canonical form.
        partials: for elementwise ops, for each input the function `(out, *inputs, **params)` giving the
            local derivative, or a plain number, or None where the input has no derivative.
        transpose: for ops linear in each input, for each input the function `(g, *inputs, **params)`
            giving that input's cotangent, or None; or one function returning a tuple, for variadic ops.
        vjp: `(g, out, *inputs, **params) -> tuple of cotangents` (None for an input without one). `g` and
            `out` are tuples where the op has several outputs.
        jvp: `(tangents, out, *inputs, **params) -> tangent of out` (a tangent is None where it is zero). Only for
            ops whose reverse rule is no use in forward mode (loops), or is to be found by transposing this one.
        nondiff: the reason why no derivative exists.
        composite: the op is a function of other ops; value, shape and derivative follow from it.
        saves: names what the derivative needs the values of: "out" and the names of inputs, separated by
            spaces; of `*arrays` all or none. What is not named is not kept alive (the rule still sees its shape
            and dtype).
        dtypes: the category of dtypes that the inputs may have (`base.dtypes.CATEGORIES`).
        promotes: which inputs are brought to a common dtype (None: all; () : none).
        result: dtype of the result: "same" as the inputs', "boolean", or "real" (of complex inputs).
        traits: "commutative"; "jointly_linear" (linear in all inputs together, as addition is, not in
            each alone, as a product is); "singular" (a partial may be infinite: where the cotangent is 0
            the product counts as 0); "masked" (the same, and where the partial is 0); "selects" (parts of
            its inputs are not taken: behind it all partials count as possibly infinite); "eager_only" (the
            shape depends on values); "dear" (costs as much as some ten additions); "stops" (the derivative is cut
            here on purpose); "recomputes" (what its derivative computes anew is not to be kept).
        results: None for one output, else the class (a NamedTuple, or tuple) that holds several.
        namespace: "" for a name of `backlit` itself, or "linalg", "fft", "random"; "hidden" for an op that
            has no public function.
        native, onnx, array_api, latex: scalar expression for fused kernels; the ONNX operator; is it a
            name of the standard; how a formula prints.
        samples: what tests draw inputs from. For an elementwise op without parameters, for each input an
            interval `(low, high)` or a list of them (keep clear of kinks and poles); for all others a
            function `(rng) -> [(args, kwargs), ...]` of float64 NumPy arguments in the public signature.
    """

    __slots__ = (
        "array_api", "chars", "composite", "defaults", "doc", "dtypes", "eval", "family", "infer",
        "input_names", "jvp", "latex", "masked", "name", "namespace", "native", "nondiff", "onnx", "operator",
        "param_names", "partials", "plain", "positional", "prepare", "promotes", "public", "pulls", "rest", "result",
        "results", "samples", "saved_inputs", "saves", "saves_out", "saves_rest", "selects", "singular",
        "stops", "traits", "transpose", "unrecorded", "vjp",
    )  # fmt: skip

    name: str
    eval: Rule
    #: The function users see, and the one Python's operators call (see `op.Op`).
    public: Callable[..., Any]
    operator: Callable[..., Any]

    def __init__(
        self,
        name: str,
        eval: Rule,
        *,
        family: str = "general",
        namespace: str = "",
        doc: str = "",
        infer: Rule | None = None,
        prepare: Rule | None = None,
        partials: Sequence[Partial] | None = None,
        transpose: Rule | Sequence[Rule | None] | None = None,
        vjp: Rule | None = None,
        jvp: Rule | None = None,
        nondiff: str | None = None,
        composite: Rule | None = None,
        saves: str | None = None,
        dtypes: str = "any",
        promotes: Sequence[int] | None = None,
        result: str = "same",
        results: type | None = None,
        traits: str | Sequence[str] = (),
        native: Rule | None = None,
        onnx: str | None = None,
        array_api: bool = False,
        latex: str | None = None,
        samples: Any = None,
    ) -> None:
        kinds = [k for k in (partials, transpose, vjp or jvp, nondiff, composite) if k is not None]
        if len(kinds) != 1:
            raise GraphError(
                f"op {name!r}: give exactly one of partials, transpose, vjp (or jvp), nondiff, composite; "
                f"got {len(kinds)}."
            )
        if dtypes not in CATEGORIES:
            raise GraphError(f"op {name!r}: dtypes={dtypes!r} is not one of {', '.join(CATEGORIES)}.")
        self.name, self.eval, self.family, self.doc = name, eval, family, doc or eval.__doc__ or ""
        self.namespace = namespace
        self.infer, self.prepare = infer, prepare
        self.partials = tuple(partials) if partials is not None else None
        self.transpose = transpose if transpose is None or callable(transpose) else tuple(transpose)
        self.vjp, self.jvp, self.nondiff, self.composite = vjp, jvp, nondiff, composite
        self.dtypes, self.chars = dtypes, CATEGORIES[dtypes]
        self.promotes = tuple(promotes) if promotes is not None else None
        self.result, self.results = result, results
        self.traits = frozenset((traits,) if isinstance(traits, str) else traits)
        self.native, self.onnx, self.array_api, self.latex = native, onnx, array_api, latex
        self.samples = samples
        self.singular, self.stops = "singular" in self.traits, "stops" in self.traits
        self.selects, self.masked = "selects" in self.traits, "masked" in self.traits
        self.unrecorded = nondiff is not None and (result == "boolean" or self.stops)
        #: The backward pass through this op on arrays, unrolled when first needed (autodiff/pull.py).
        self.pulls: Any = None
        arity = len(self.partials) if self.partials else None
        self.input_names, self.rest, self.param_names, self.positional = _read(eval, arity)
        self.defaults = dict(getattr(eval, "__kwdefaults__", None) or {})
        given = (getattr(eval, "__defaults__", None) or ())[::-1]
        self.defaults.update(zip(self.param_names[: self.positional][::-1], given))  # noqa: B905 (the last have them)
        #: Is a call's arguments all there is to it: inputs alone, as they are?
        self.plain = composite is None and prepare is None and not self.param_names and not self.rest
        self._read_saves(saves)
        self._check_rules()

    @property
    def signature(self) -> inspect.Signature:
        """The public signature."""
        source = self.source
        return inspect.signature(source) if source is not None else _of_inputs(self.input_names)

    @property
    def source(self) -> Rule | None:
        """The Python function that has the public signature; None where a ufunc, built-in or lambda computes the op."""
        source = self.composite or self.prepare or self.eval
        return source if source is not self.eval or _is_python(source) else None

    def _check_rules(self) -> None:
        for kind, rules in (("partials", self.partials), ("transpose", self.transpose)):
            if isinstance(rules, tuple) and len(rules) != len(self.input_names):
                raise GraphError(
                    f"op {self.name!r}: {len(rules)} {kind} for {len(self.input_names)} inputs "
                    f"({', '.join(self.input_names) or 'none'}). Inputs are the positional-only parameters, before '/'."
                )

    def _read_saves(self, saves: str | None) -> None:
        if self.nondiff is not None:
            saves = ""
        self.saves = saves
        if saves is None:
            self.saves_out, self.saves_rest, self.saved_inputs = True, True, None
            return
        names = saves.split()
        unknown = [n for n in names if n != "out" and n not in (*self.input_names, self.rest)]
        if unknown:
            raise GraphError(
                f"op {self.name!r}: saves names {unknown[0]!r}; it may name out, {', '.join(self.input_names)}."
            )
        self.saves_out = "out" in names
        self.saves_rest = self.rest in names
        self.saved_inputs = tuple(n in names for n in self.input_names)

    def saves_input(self, i: int) -> bool:
        """Does the derivative need the value of the i-th input?"""
        saved = self.saved_inputs
        return saved is None or (saved[i] if i < len(saved) else self.saves_rest)

    def split(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """Arguments of a call as (inputs, params), params complete and in canonical form."""
        if self.prepare is not None:
            try:
                inputs, params = self.prepare(*args, **kwargs)
            except TypeError:
                self.fits(args, kwargs)
                raise
            return inputs, params
        n = len(self.input_names)
        if n <= len(args) <= n + self.positional and kwargs.keys() <= set(self.param_names):
            params = {**self.defaults, **dict(zip(self.param_names, args[n:])), **kwargs}  # noqa: B905 (the given ones)
            if len(params) == len(self.param_names) and not kwargs.keys() & set(self.param_names[: len(args) - n]):
                return args[:n], params
        given = self.fits(args, kwargs)
        given.apply_defaults()
        values = given.arguments
        return [values[k] for k in self.input_names], {k: values[k] for k in self.param_names}

    def fits(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """The arguments by name; an error where they do not fit the signature."""
        try:
            return self.signature.bind(*args, **kwargs)
        except TypeError as problem:
            bare = [p.replace(annotation=p.empty) for p in self.signature.parameters.values()]
            raise ArgumentError(f"{self.name}{inspect.Signature(bare)}: {problem}.") from None

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (OPS.__getitem__, (self.name,))


def _is_python(function: Rule) -> bool:
    """Is this a function written in Python with its inputs marked, and not a ufunc, a built-in or a lambda?"""
    return isinstance(function, FunctionType) and function.__name__ != "<lambda>"


@cache
def _of_inputs(names: tuple[str, ...]) -> inspect.Signature:
    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names])


def _read(function: Rule, arity: int | None) -> tuple[tuple[str, ...], str, tuple[str, ...], int]:
    """Names of the inputs, of `*rest`, of the static parameters, and how many of these may be positional.

    A ufunc, a built-in or a lambda has only inputs, named x, or x1, x2 and so on. Read from the code
    object, because `inspect.signature` would take half of the time of the import.
    """
    if _is_python(function):
        code: CodeType = function.__code__  # type: ignore[attr-defined]
        first, last = code.co_posonlyargcount, code.co_argcount
        end = last + code.co_kwonlyargcount
        names = code.co_varnames
        return names[:first], names[end] if code.co_flags & CO_VARARGS else "", names[first:end], last - first
    if isinstance(function, np.ufunc):
        count = function.nin
    elif isinstance(function, FunctionType):
        count = function.__code__.co_argcount
    else:
        # A built-in such as operator.add says "($module, a, b, /)".
        text: str = function.__text_signature__  # type: ignore[attr-defined]
        count = arity or sum(part.strip().isidentifier() for part in text.strip("()").split(","))
    return ("x",) if count == 1 else tuple(f"x{i + 1}" for i in range(count)), "", (), 0


#: Every op by its name.
OPS: dict[str, OpDef] = {}

#: Every public function by its name: the ops' own and the plain ones (creation, inspection).
PUBLIC: dict[str, Callable[..., Any]] = {}

#: What layers above supply to this one, by name (`backward`): imports go down only.
SUPPLIED: dict[str, Callable[..., Any]] = {}
