"""`Val`, a value in the function being written, and `Ix`, an index: a sum of loop counters times constants."""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .arithmetic import Arithmetic

#: LLVM's names of the dtypes, by NumPy's kind and size. Booleans are `i1` in registers and bytes in memory; complex
#: numbers are only moved, as so many bits.
LLVM: dict[str, str] = {
    "b1": "i1", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64", "u1": "i8", "u2": "i16", "u4": "i32", "u8": "i64",
    "f2": "half", "f4": "float", "f8": "double", "c8": "i64", "c16": "i128",
}  # fmt: skip


@lru_cache(256)
def code_of(dtype: Any) -> str:
    """A dtype as kind and size: `"f4"`, `"i8"`, `"b1"`."""
    return np.dtype(dtype).str[1:]


def size_of(code: str) -> int:
    """Bytes of one element in memory."""
    return int(code[1:])


def literal(x: Any, code: str) -> str:
    """A number as LLVM writes it, rounded to the dtype."""
    if code[0] == "b":
        return "true" if x else "false"
    if code[0] in "iu":
        bits = 8 * size_of(code)
        n = int(x) & ((1 << bits) - 1)
        return str(n - (1 << bits) if n >> (bits - 1) else n)
    return _real(struct.pack("<d", x), code)


@lru_cache(4096)
def _real(bits: bytes, code: str) -> str:
    """A floating-point number, given by its bits as float64, which tell -0.0 from 0.0."""
    with np.errstate(all="ignore"):
        rounded = np.frombuffer(bits, "<f8")[0].astype(code)
    if code == "f2":
        return f"0xH{int(rounded.view(np.uint16)):04X}"
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(rounded)))[0]:016X}"


class Val:
    """A value in registers: a number (`lanes` 1) or a vector of them.

    Operators are those of the dtype: signed, unsigned or floating-point. A Python number or a single number beside
    a vector is spread over its lanes. Comparisons give booleans; `&`, `|`, `^` and `~` work on booleans and integers.

    Attributes:
        code: the dtype, `"f4"`, `"i8"`, `"b1"`.
        level: how deep in loops the value is defined; what depends on it cannot move further out.
    """

    __slots__ = ("code", "k", "lanes", "level", "name")

    def __init__(self, k: Arithmetic, name: str, code: str, lanes: int, level: int) -> None:
        self.k, self.name, self.code, self.lanes, self.level = k, name, code, lanes, level

    @property
    def type(self) -> str:
        """The LLVM type."""
        return type_of(self.code, self.lanes)

    @property
    def typed(self) -> str:
        """The type and the name, as operands are written."""
        return f"{type_of(self.code, self.lanes)} {self.name}"

    def __add__(self, other: Any) -> Val:
        return self.k.arithmetic("add", self, other)

    def __radd__(self, other: Any) -> Val:
        return self.k.arithmetic("add", other, self)

    def __sub__(self, other: Any) -> Val:
        return self.k.arithmetic("sub", self, other)

    def __rsub__(self, other: Any) -> Val:
        return self.k.arithmetic("sub", other, self)

    def __mul__(self, other: Any) -> Val:
        return self.k.arithmetic("mul", self, other)

    def __rmul__(self, other: Any) -> Val:
        return self.k.arithmetic("mul", other, self)

    def __truediv__(self, other: Any) -> Val:
        return self.k.arithmetic("div", self, other)

    def __rtruediv__(self, other: Any) -> Val:
        return self.k.arithmetic("div", other, self)

    def __neg__(self) -> Val:
        return self.k.negative(self)

    def __and__(self, other: Any) -> Val:
        return self.k.bitwise("and", self, other)

    def __or__(self, other: Any) -> Val:
        return self.k.bitwise("or", self, other)

    def __xor__(self, other: Any) -> Val:
        return self.k.bitwise("xor", self, other)

    def __invert__(self) -> Val:
        return self.k.bitwise("xor", self, True if self.code == "b1" else -1)

    def __lshift__(self, other: Any) -> Val:
        return self.k.bitwise("shl", self, other)

    def __rshift__(self, other: Any) -> Val:
        """Shifted right: with the sign where the dtype has one, else with zeros."""
        return self.k.bitwise("lshr" if self.code[0] == "u" else "ashr", self, other)

    def __lt__(self, other: Any) -> Val:
        return self.k.compare("lt", self, other)

    def __le__(self, other: Any) -> Val:
        return self.k.compare("le", self, other)

    def __gt__(self, other: Any) -> Val:
        return self.k.compare("gt", self, other)

    def __ge__(self, other: Any) -> Val:
        return self.k.compare("ge", self, other)

    def __repr__(self) -> str:
        return f"<{self.typed}>"


@cache
def type_of(code: str, lanes: int) -> str:
    """The LLVM type of so many elements of a dtype in registers."""
    return vector(LLVM[code], lanes)


def vector(scalar: str, lanes: int) -> str:
    """The LLVM type of a vector, or of a single number."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


class Ix:
    """An index in elements: a constant, and for each of some 64-bit values a coefficient.

    Constants fold while the function is written, so a register tile of 8 rows needs one address and 8 offsets.
    """

    __slots__ = ("const", "terms")

    def __init__(self, const: int = 0, terms: dict[Val, int] | None = None) -> None:
        self.const, self.terms = const, terms or {}

    @staticmethod
    def of(x: Any) -> Ix:
        """An index, a 64-bit value or an int as an index."""
        if isinstance(x, Ix):
            return x
        return Ix(0, {x: 1}) if isinstance(x, Val) else Ix(int(x))

    def __add__(self, other: Any) -> Ix:
        other = Ix.of(other)
        terms = dict(self.terms)
        for v, c in other.terms.items():
            total = terms.get(v, 0) + c
            if total:
                terms[v] = total
            else:
                del terms[v]
        return Ix(self.const + other.const, terms)

    __radd__ = __add__

    def __mul__(self, n: int) -> Ix:
        return Ix(self.const * n, {v: c * n for v, c in self.terms.items()} if n else {})

    __rmul__ = __mul__

    def __neg__(self) -> Ix:
        return self * -1

    def __sub__(self, other: Any) -> Ix:
        return self + -Ix.of(other)

    def __rsub__(self, other: Any) -> Ix:
        return Ix.of(other) - self

    def __repr__(self) -> str:
        return " + ".join([*(f"{c}*{v.name}" for v, c in self.terms.items()), str(self.const)])
