"""`Arithmetic`: a `Writer` that adds, compares, chooses and converts, on numbers and vectors of any number of lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...base.errors import BacklitError
from .values import LLVM, Val, code_of, size_of, vector
from .writer import Writer, suffix


class Arithmetic(Writer):
    """Writes one function, with the arithmetic of all dtypes."""

    def spread(self, x: Any, code: str, lanes: int) -> Val:
        """A number, or a value of one lane, in all lanes; a vector as it is."""
        if not isinstance(x, Val):
            return self.const(x, code, lanes)
        if x.lanes == lanes:
            return x
        if x.lanes != 1:
            raise BacklitError(f"a vector of {x.lanes} lanes cannot be spread over {lanes}.")
        if x.level == 0 and not x.name.startswith("%"):
            return Val(self, f"splat ({x.type} {x.name})", x.code, lanes, 0)
        wide = vector(LLVM[x.code], lanes)
        one = self.pure(f"insertelement {wide} poison, {x.typed}, i64 0", x.code, lanes, (x,))
        text = f"shufflevector {wide} {one.name}, {wide} poison, <{lanes} x i32> zeroinitializer"
        return self.pure(text, x.code, lanes, (one,))

    def together(self, *values: Any) -> list[Val]:
        """Values and numbers as values of one dtype and as many lanes as the widest has."""
        known = [v for v in values if isinstance(v, Val)]
        code, lanes = known[0].code, max(v.lanes for v in known)
        for v in known:
            if v.code != code:
                raise BacklitError(f"values of dtypes {code} and {v.code} meet; cast one of them.")
        return [self.spread(v, code, lanes) for v in values]

    def arithmetic(self, what: str, a: Any, b: Any) -> Val:
        """a + b, a - b, a · b or a / b. Integers divide towards zero."""
        a, b = self.together(a, b)
        kind = a.code[0]
        if kind == "f":
            name = f"f{what} "
        elif what == "div":
            name = "udiv " if kind == "u" else "sdiv "
        elif kind == "b":
            name = {"add": "or ", "mul": "and "}[what]
        else:
            name = f"{what} "
        return self.pure(f"{name}{a.type} {a.name}, {b.name}", a.code, a.lanes, (a, b))

    def remainder(self, a: Any, b: Any) -> Val:
        """The remainder of a / b, with the sign of a."""
        a, b = self.together(a, b)
        return self.pure(f"{a.code[0].replace('i', 's')}rem {a.type} {a.name}, {b.name}", a.code, a.lanes, (a, b))

    def negative(self, a: Val) -> Val:
        """-a."""
        if a.code[0] == "f":
            return self.pure(f"fneg {a.typed}", a.code, a.lanes, (a,))
        return self.arithmetic("sub", self.const(0, a.code, a.lanes), a)

    def bitwise(self, what: str, a: Any, b: Any) -> Val:
        """a and, or, xor, shl, lshr, ashr b; of booleans and integers."""
        a, b = self.together(a, b)
        return self.pure(f"{what} {a.type} {a.name}, {b.name}", a.code, a.lanes, (a, b))

    def compare(self, what: str, a: Any, b: Any) -> Val:
        """Is a eq, ne, lt, le, gt or ge b? With a NaN only `ne` holds."""
        a, b = self.together(a, b)
        kind = a.code[0]
        if kind == "f":
            text = f"fcmp {'une' if what == 'ne' else 'o' + what}"
        elif what in ("eq", "ne"):
            text = f"icmp {what}"
        else:
            text = f"icmp {'s' if kind == 'i' else 'u'}{what}"
        return self.pure(f"{text} {a.type} {a.name}, {b.name}", "b1", a.lanes, (a, b))

    def equal(self, a: Any, b: Any) -> Val:
        """Is a equal to b?"""
        return self.compare("eq", a, b)

    def not_equal(self, a: Any, b: Any) -> Val:
        """Is a different from b?"""
        return self.compare("ne", a, b)

    def is_nan(self, a: Val) -> Val:
        """Is a not a number?"""
        return self.pure(f"fcmp uno {a.type} {a.name}, {a.name}", "b1", a.lanes, (a,))

    def select(self, condition: Val, a: Any, b: Any) -> Val:
        """a where the condition holds, else b."""
        a, b = self.together(a, b)
        lanes = max(a.lanes, condition.lanes)
        a, b = self.spread(a, a.code, lanes), self.spread(b, b.code, lanes)
        condition = self.spread(condition, "b1", lanes)
        return self.pure(f"select {condition.typed}, {a.typed}, {b.typed}", a.code, lanes, (condition, a, b))

    def fma(self, a: Any, b: Any, c: Any) -> Val:
        """a · b + c, rounded once where the processor can."""
        a, b, c = self.together(a, b, c)
        name = "fma" if self.target.fma else "fmuladd"
        return self.call(f"llvm.{name}.{_overload(a)}", a.code, a.lanes, a, b, c)

    def minimum(self, a: Any, b: Any) -> Val:
        """The smaller; NaN where either is."""
        return self._extreme("lt", "minimum", "min", a, b)

    def maximum(self, a: Any, b: Any) -> Val:
        """The larger; NaN where either is."""
        return self._extreme("gt", "maximum", "max", a, b)

    def _extreme(self, better: str, name: str, short: str, a: Any, b: Any) -> Val:
        a, b = self.together(a, b)
        if a.code[0] == "f":  # a where it is NaN; else the better one, which is b where that is NaN: three instructions
            return self.select(self.is_nan(a), a, self.select(self.compare(better, a, b), a, b))
        if a.code == "b1":
            return self.bitwise("and" if short == "min" else "or", a, b)
        return self.call(f"llvm.{'u' if a.code[0] == 'u' else 's'}{short}.{_overload(a)}", a.code, a.lanes, a, b)

    def larger(self, a: Any, b: Any) -> Val:
        """a where a > b, else b: one instruction, and b where either is NaN."""
        a, b = self.together(a, b)
        return self.select(a > b, a, b)

    def smaller(self, a: Any, b: Any) -> Val:
        """a where a < b, else b: one instruction, and b where either is NaN."""
        a, b = self.together(a, b)
        return self.select(a < b, a, b)

    def intrinsic(self, name: str, a: Val, *others: Any) -> Val:
        """An LLVM intrinsic from values of one dtype to a value of it: `sqrt`, `fabs`, `rint`, `floor`, `copysign`."""
        operands = self.together(a, *others)
        return self.call(f"llvm.{name}.{_overload(operands[0])}", a.code, operands[0].lanes, *operands)

    # --- between dtypes and lanes ------------------------------------------------------------------

    def cast(self, a: Val, dtype: Any) -> Val:
        """The value in another dtype, as `astype` converts; a float outside the range of an integer gives anything."""
        to = dtype if isinstance(dtype, str) else code_of(dtype)
        code = a.code
        if to == code:
            return a
        if to == "b1":
            return self.compare("ne", a, 0)
        if LLVM[to] == LLVM[code]:
            return Val(self, a.name, to, a.lanes, a.level)
        if code == "f8" and to == "f2":
            return self.cast(self._rounded_to_odd(a), "f2")
        kinds = ("f" if code[0] == "f" else "i") + ("f" if to[0] == "f" else "i")
        unsigned = code[0] in "ub"
        name = {
            "fi": "fptoui" if to[0] == "u" else "fptosi",
            "if": "uitofp" if unsigned else "sitofp",
            "ff": "fpext" if size_of(to) > size_of(code) else "fptrunc",
            "ii": "trunc" if code != "b1" and size_of(to) < size_of(code) else "zext" if unsigned else "sext",
        }[kinds]
        return self.pure(f"{name} {a.typed} to {vector(LLVM[to], a.lanes)}", to, a.lanes, (a,))

    def _rounded_to_odd(self, a: Val) -> Val:
        """A float64 as the float32 toward zero from it, its last bit set if anything was cut off.

        Rounding that to float16 gives what rounding once would (Boldo and Melquiond, "When double rounding is odd",
        2005). Processors have no instruction for the way at once.
        """
        near = self.cast(a, "f4")
        back = self.cast(near, "f8")
        bits = self.bitcast(near, "i4")
        toward_zero = self.select(self.intrinsic("fabs", back) > self.intrinsic("fabs", a), bits - 1, bits)
        return self.bitcast(self.select((back < a) | (back > a), toward_zero | 1, bits), "f4")

    def any_lane(self, a: Val) -> Val:
        """Is a boolean true in any lane?"""
        return a if a.lanes == 1 else self.call(f"llvm.vector.reduce.or.v{a.lanes}i1", "b1", 1, a)

    def bitcast(self, a: Val, code: str) -> Val:
        """The same bits read as another dtype of the same size."""
        return self.pure(f"bitcast {a.typed} to {vector(LLVM[code], a.lanes)}", code, a.lanes, (a,))

    def shuffle(self, a: Val, lanes: Sequence[int], b: Val | None = None) -> Val:
        """The named lanes of a, followed by those of b, in this order; -1 stands for any."""
        if a.lanes == 1:
            return self.spread(a, a.code, len(lanes))
        if list(lanes) == list(range(a.lanes)):
            return a
        if len(lanes) == 1:
            return self.lane(a, lanes[0]) if lanes[0] < a.lanes else self.lane(b or a, lanes[0] - a.lanes)
        order = ", ".join(f"i32 {i}" if i >= 0 else "i32 poison" for i in lanes)
        other = f"{a.type} {b.name if b is not None else 'poison'}"
        operands = (a,) if b is None else (a, b)
        return self.pure(
            f"shufflevector {a.typed}, {other}, <{len(lanes)} x i32> <{order}>", a.code, len(lanes), operands
        )

    def lane(self, a: Val, i: int) -> Val:
        """One lane, as a single number."""
        return a if a.lanes == 1 else self.pure(f"extractelement {a.typed}, i64 {i}", a.code, 1, (a,))

    def first_lanes(self, n: int, lanes: int) -> Val:
        """A mask that is true in the first n lanes."""
        return self.table([i < n for i in range(lanes)], "b1")

    def lanes_below(self, count: Any, lanes: int) -> Val:
        """A mask that is true in as many lanes as the index `count` says."""
        return self.compare("lt", self.lane_numbers("i4", lanes), self.cast(self.index(count), "i4"))

    def combination(self, what: str) -> Callable[[Val, Val], Val]:
        """What combines two values: `add`, `mul`, `maximum` and `minimum` (NaN wins), `and`, `or`."""
        return {
            "add": lambda x, y: x + y,
            "mul": lambda x, y: x * y,
            "maximum": self.maximum,
            "minimum": self.minimum,
            "and": lambda x, y: x & y,
            "or": lambda x, y: x | y,
        }[what]

    def across(self, what: str, a: Val) -> Val:
        """All lanes combined by halves; for `what` see `combination`."""
        step = self.combination(what)
        rest: Val | None = None
        while a.lanes > 1:
            half = a.lanes // 2
            if a.lanes % 2:
                odd = self.lane(a, a.lanes - 1)
                rest = odd if rest is None else step(rest, odd)
            a = step(self.shuffle(a, range(half)), self.shuffle(a, range(half, 2 * half)))
        return a if rest is None else step(a, rest)


def _overload(a: Val) -> str:
    return suffix(a.code) if a.lanes == 1 else f"v{a.lanes}{suffix(a.code)}"


def transposed(k: Arithmetic, rows: Sequence[Val]) -> list[Val]:
    """The transpose of a square: as many vectors as each has lanes, a power of two."""
    v = list(rows)  # ever smaller blocks are exchanged
    n = len(v)
    step = n // 2
    while step:
        for i in range(n):
            if i & step:
                continue
            a, b = v[i], v[i + step]
            v[i] = k.shuffle(a, [j if not j & step else n + j - step for j in range(n)], b)
            v[i + step] = k.shuffle(a, [j + step if not j & step else n + j for j in range(n)], b)
        step //= 2
    return v
