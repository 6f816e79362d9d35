"""`Script`: the native facet of an op written as JavaScript, where it is otherwise written as LLVM.

A facet is a function of an emitter `k` and values: `native=lambda k, x: k.exp(x)`. Here `k` collects lines such as
`const t0 = Math.exp(a);`, and numbers are float64; what is stored in an array of float32 is rounded there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...base.errors import BacklitError
from ...graph.node import Node

#: The dtypes that a page computes in, by NumPy's kind and size; integers as float64, exact up to 2^53.
CODES = frozenset({"b1", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4"})


class NoKernel(BacklitError):
    """The page cannot compute this."""


class Number:
    """A value in the function being written."""

    __slots__ = ("code", "k", "lanes", "name")

    def __init__(self, k: Script, name: str, code: str) -> None:
        self.k, self.name, self.code, self.lanes = k, name, code, 1

    def __add__(self, other: Any) -> Number:
        return self.k.between("+", self, other)

    def __radd__(self, other: Any) -> Number:
        return self.k.between("+", other, self)

    def __sub__(self, other: Any) -> Number:
        return self.k.between("-", self, other)

    def __rsub__(self, other: Any) -> Number:
        return self.k.between("-", other, self)

    def __mul__(self, other: Any) -> Number:
        return self.k.between("*", self, other)

    def __rmul__(self, other: Any) -> Number:
        return self.k.between("*", other, self)

    def __truediv__(self, other: Any) -> Number:
        return self.k.between("/", self, other)

    def __rtruediv__(self, other: Any) -> Number:
        return self.k.between("/", other, self)

    def __neg__(self) -> Number:
        return self.k.line(f"-{self.name}", self.code)

    def __and__(self, other: Any) -> Number:
        return self.k.logic("&", self, other)

    def __or__(self, other: Any) -> Number:
        return self.k.logic("|", self, other)

    def __xor__(self, other: Any) -> Number:
        return self.k.logic("^", self, other)

    def __invert__(self) -> Number:
        return self.k.logic("^", self, True)

    def __lt__(self, other: Any) -> Number:
        return self.k.compare("<", self, other)

    def __le__(self, other: Any) -> Number:
        return self.k.compare("<=", self, other)

    def __gt__(self, other: Any) -> Number:
        return self.k.compare(">", self, other)

    def __ge__(self, other: Any) -> Number:
        return self.k.compare(">=", self, other)


def _function(text: str) -> Callable[..., Number]:
    """A method that calls a JavaScript function on numbers of one dtype."""

    def call(k: Script, *args: Any) -> Number:
        code = next(a.code for a in args if isinstance(a, Number))
        return k.line(f"{text}({', '.join(k.name(a) for a in args)})", code)

    return call


class Script:
    """Writes one function of numbers."""

    exp, expm1, log, log1p, log2, log10 = (
        _function(f"Math.{f}") for f in ("exp", "expm1", "log", "log1p", "log2", "log10")
    )
    sinh, cosh, tanh, asinh, acosh, atanh = (
        _function(f"Math.{f}") for f in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
    )
    sin, cos, tan, asin, acos, atan = (_function(f"Math.{f}") for f in ("sin", "cos", "tan", "asin", "acos", "atan"))
    atan2, hypot, sqrt, abs = (_function(f"Math.{f}") for f in ("atan2", "hypot", "sqrt", "abs"))
    floor, ceil, trunc = (_function(f"Math.{f}") for f in ("floor", "ceil", "trunc"))
    minimum, maximum = _function("Math.min"), _function("Math.max")
    #: Of `numeric.js`.
    sigmoid, logaddexp, erf, erfc = (_function(f) for f in ("sigmoid", "logaddexp", "erf", "erfc"))
    pow, rint, copysign = _function("power"), _function("toEven"), _function("copySign")
    floor_divide, modulo = _function("floorDivide"), _function("modulo")

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str, code: str) -> Number:
        """A new constant with this value."""
        name = f"t{len(self.lines)}"
        self.lines.append(f"const {name} = {text};")
        return Number(self, name, code)

    def name(self, x: Any) -> str:
        """A value as it is written: its name, or the number."""
        return x.name if isinstance(x, Number) else literal(x)

    def const(self, x: Any, code: str, lanes: int = 1) -> Number:
        """A number."""
        return Number(self, literal(x), code)

    def between(self, sign: str, a: Any, b: Any) -> Number:
        """Arithmetic; integers divide towards zero."""
        code = next(x.code for x in (a, b) if isinstance(x, Number))
        text = f"{self.name(a)} {sign} {self.name(b)}"
        if code == "b1" and sign in "+*":
            text = f"{self.name(a)} {'|' if sign == '+' else '&'} {self.name(b)}"
        return self.line(text if sign != "/" or code[0] == "f" else f"Math.trunc({text})", code)

    def logic(self, sign: str, a: Any, b: Any) -> Number:
        """And, or, exclusive or of truth values."""
        if any(isinstance(x, Number) and x.code != "b1" for x in (a, b)):
            raise NoKernel("bits of integers")
        return self.line(f"{self.name(a)} {sign} {self.name(b)}", "b1")

    def compare(self, sign: str, a: Any, b: Any) -> Number:
        """A comparison, as 0 or 1."""
        return self.line(f"+({self.name(a)} {sign} {self.name(b)})", "b1")

    def equal(self, a: Any, b: Any) -> Number:
        """Is a equal to b?"""
        return self.compare("===", a, b)

    def not_equal(self, a: Any, b: Any) -> Number:
        """Is a different from b?"""
        return self.compare("!==", a, b)

    def select(self, condition: Number, a: Any, b: Any) -> Number:
        """a where the condition holds, else b."""
        code = next(x.code for x in (a, b, condition) if isinstance(x, Number))
        return self.line(f"{condition.name} ? {self.name(a)} : {self.name(b)}", code)

    def larger(self, a: Any, b: Any) -> Number:
        """a where a > b, else b."""
        return self.select(self.compare(">", a, b), a, b)

    def smaller(self, a: Any, b: Any) -> Number:
        """a where a < b, else b."""
        return self.select(self.compare("<", a, b), a, b)

    def is_nan(self, a: Number) -> Number:
        """Is a not a number?"""
        return self.line(f"+Number.isNaN({a.name})", "b1")

    is_not_a_number = is_nan

    def is_finite(self, a: Number) -> Number:
        """Is a neither infinite nor NaN?"""
        return self.line(f"+Number.isFinite({a.name})", "b1")

    def is_infinite(self, a: Number) -> Number:
        """Is a infinite?"""
        return self.line(f"+(Math.abs({a.name}) === Infinity)", "b1")

    def sign_bit(self, a: Number) -> Number:
        """Is the sign bit set, as that of -0 is?"""
        return self.line(f"+({a.name} < 0 || Object.is({a.name}, -0))", "b1")

    def polynomial(self, x: Number, coefficients: Sequence[float]) -> Number:
        """The polynomial with the coefficients from the lowest power up, by Horner's scheme."""
        *rest, last = coefficients
        found = self.const(last, x.code)
        for c in reversed(rest):
            found = found * x + c
        return found

    def cast(self, a: Number, dtype: Any) -> Number:
        """The value in another dtype."""
        code = dtype if isinstance(dtype, str) and dtype in CODES else np.dtype(dtype).str[1:]
        if code not in CODES:
            raise NoKernel(code)
        if code == a.code:
            return a
        if code == "b1":
            return self.line(f"+({a.name} !== 0)", code)
        if code == "f4":
            return self.line(f"Math.fround({a.name})", code)
        if code != "f8" and a.code[0] == "f":
            return self.line(f"Math.trunc({a.name})", code)
        return Number(self, a.name, code)

    def __getattr__(self, name: str) -> Any:
        raise NoKernel(name)


def literal(x: Any) -> str:
    """A number as JavaScript writes it."""
    return f"({json.dumps(float(x))})"  # NaN, Infinity and -Infinity are written as JavaScript has them


def function_of(node: Node) -> str:
    """An elementwise op as a JavaScript function of the numbers that stand at one place of its inputs.

    Raises:
        NoKernel: the op has no native facet, or does with bits what JavaScript cannot.

    >>> import backlit as bl
    >>> x = bl.tensor(1.0, requires_grad=True)
    >>> function_of(bl.relu(x).node)
    '(a) => { const t0 = +((0.0) > a); const t1 = t0 ? (0.0) : a; return t1; }'
    """
    native = node.op.native
    if native is None:
        raise NoKernel(node.op.name)
    inputs = node.inputs or ()
    known = [np.dtype(x.dtype).str[1:] for x in inputs if hasattr(x, "dtype")]
    code = next((c for c in known if c != "b1"), np.dtype(node.dtype).str[1:])
    k, args = Script(), []
    for letter, x in zip("abcdef", inputs, strict=False):
        own = np.dtype(x.dtype).str[1:] if hasattr(x, "dtype") else code
        args.append(None if x is None else Number(k, letter, own))
    found = k.cast(k.cast(native(k, *args, **node.params), node.dtype), node.dtype)
    letters = [a.name for a in args if a is not None]
    return f"({', '.join(letters)}) => {{ {' '.join(k.lines)} return {found.name}; }}"
