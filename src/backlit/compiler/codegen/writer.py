"""`Writer`: writes one LLVM function as text. No value is computed twice, nor within a loop that does not need it.

Every pure instruction is looked up before it is written; if the same one stands already where it can be seen, that is
taken. It is written in the outermost loop that its operands allow. So common subexpressions are shared and loop
invariants move out while the text is made, and of LLVM's passes only `sroa` (variables into registers) is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ...base.errors import BacklitError
from .values import LLVM, Ix, Val, code_of, literal, size_of, vector


class Target(NamedTuple):
    """What the writer must know of the processor.

    Attributes:
        vector_bytes: the width of a vector register.
        vector_registers: how many there are.
        fma: is there a fused multiply-add?
        avx512: are there AVX-512's instructions on exponents (`vscalef`, `vgetexp`, `vgetmant`), at every width?
    """

    vector_bytes: int
    vector_registers: int
    fma: bool = True
    avx512: bool = False

    def lanes(self, code: str) -> int:
        """How many elements of a dtype fill a vector register."""
        return max(1, self.vector_bytes // size_of(code))


class _Region:
    """The body of a loop or of a condition: its lines, and the pure values that can be seen in it."""

    __slots__ = ("foot", "head", "hoists", "known", "level", "lines")

    def __init__(self, level: int, hoists: bool) -> None:
        self.level, self.hoists = level, hoists
        self.head: list[str] = []
        self.lines: list[str | _Region] = []
        self.foot: list[str] = []
        self.known: dict[Any, Any] = {}

    def flatten(self) -> Iterator[str]:
        todo: list[Iterator[Any]] = [iter((self.head, self.lines, self.foot))]
        while todo:
            item = next(todo[-1], None)
            if item is None:
                todo.pop()
            elif isinstance(item, _Region):
                todo.append(iter((item.head, item.lines, item.foot)))
            elif isinstance(item, list):
                todo.append(iter(item))
            else:
                yield item


class Var:
    """A variable that can be set again; `sroa` makes registers of it."""

    __slots__ = ("code", "k", "lanes", "pointer")

    def __init__(self, k: Writer, pointer: str, code: str, lanes: int) -> None:
        self.k, self.pointer, self.code, self.lanes = k, pointer, code, lanes

    def get(self) -> Val:
        """Its value now."""
        return self.k.effect(f"load {vector(LLVM[self.code], self.lanes)}, ptr {self.pointer}", self.code, self.lanes)

    def set(self, value: Any) -> None:
        """Give it another value."""
        value = self.k.spread(value, self.code, self.lanes)
        self.k.line(f"store {value.typed}, ptr {self.pointer}")


class Writer:
    """Writes one function `void name(ptr p0, ..., i64 lo, i64 hi, i64 tid, i64 nth)`.

    It does the units of work from `lo` up to, not including, `hi`, as thread `tid` of `nth`.

    Args:
        name: the function's name.
        pointers: names of the pointer parameters.
        target: the processor.
    """

    def __init__(self, name: str, pointers: Sequence[str], target: Target) -> None:
        self.name, self.target = name, target
        self.declarations: set[str] = set()
        self.pointers = [f"%{p}" for p in pointers]
        self._count = 0
        self._allocas: list[str] = []
        self._root = _Region(0, True)
        self._stack = [self._root]
        self._block = "entry"
        self._contract = ""
        self.lo, self.hi, self.tid, self.nth = (Val(self, f"%{p}", "i8", 1, 0) for p in ("lo", "hi", "tid", "nth"))

    def finish(self) -> str:
        """The text of the function."""
        parameters = ", ".join(f"ptr noalias {p}" for p in self.pointers)
        own = "i64 %lo, i64 %hi, i64 %tid, i64 %nth"
        head = f"define internal void @{self.name}({parameters}{', ' if parameters else ''}{own}) #0 {{"
        body = [f"  {line}" if not line.endswith(":") else line for line in self._root.flatten()]
        return "\n".join([head, "entry:", *(f"  {a}" for a in self._allocas), *body, "  ret void", "}", ""])

    # --- lines -------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Write an instruction without a result here."""
        self._stack[-1].lines.append(text)

    def comment(self, text: str) -> None:
        """Write a comment for whoever reads `plan.llvm`."""
        self.line(f"; {text}")

    def effect(self, text: str, code: str, lanes: int = 1) -> Val:
        """The result of an instruction that must stay where it is: a load, say."""
        name = self._new()
        self.line(f"{name} = {text}")
        return Val(self, name, code, lanes, self.level)

    def pure(self, text: str, code: str, lanes: int, operands: Sequence[Val]) -> Val:
        """The result of an instruction that depends on nothing but its operands, wherever it may stand."""
        key = (text, code)
        stack = self._stack
        needed = max([v.level for v in operands], default=0)
        at = len(stack) - 1
        while at > needed and stack[at].hoists:
            at -= 1
        for region in stack[needed : at + 1]:
            found = region.known.get(key)
            if found is not None:
                return found
        region = stack[at]
        name = self._new()
        found = region.known[key] = Val(self, name, code, lanes, region.level)
        instruction = f"{name} = {text}"
        if at == len(stack) - 1:
            region.lines.append(instruction)
        else:  # before the loop that is being written
            region.lines.insert(-1, instruction)
        return found

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` writes, and at the next call under this key the same again, where it can be seen.

        For values that are not pure: those that a variable has after a condition, say.
        """
        for region in self._stack:
            if key in region.known:
                return region.known[key]
        found = self._stack[-1].known[key] = make()
        return found

    def _new(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def call(self, name: str, code: str, lanes: int, *operands: Val, flags: str = "", pure: bool = True) -> Val:
        """The result of an intrinsic function."""
        result = vector(LLVM[code], lanes)
        self.declarations.add(f"declare {result} @{name}({', '.join(v.type for v in operands)})")
        text = f"call {flags}{result} @{name}({', '.join(v.typed for v in operands)})"
        return self.pure(text, code, lanes, operands) if pure else self.effect(text, code, lanes)

    @property
    def level(self) -> int:
        """How deep in loops and conditions the writer is."""
        return self._stack[-1].level

    # --- control -----------------------------------------------------------------------------------

    @contextmanager
    def loop(self, low: Any, high: Any, step: int = 1, *, once: bool = False) -> Iterator[Ix]:
        """A loop over an index from `low` up to, not including, `high`.

        With `once` (or bounds that are constants) it is known to run at least once.
        """
        low, high = Ix.of(low), Ix.of(high)
        if not (low.terms or high.terms):
            if low.const >= high.const:
                with self._dead():
                    yield low
                return
            once = True
        first, last = self.index(low), self.index(high)
        n = self._new()
        name, counter, following = f"loop{n[2:]}", f"%i{n[2:]}", f"%n{n[2:]}"
        before = self._block
        region = _Region(self.level + 1, True)
        if once:
            region.head.append(f"br label %{name}")
        else:
            test = self.pure(f"icmp slt i64 {first.name}, {last.name}", "b1", 1, (first, last))
            region.head.append(f"br i1 {test.name}, label %{name}, label %{name}.end")
        region.head.append(f"{name}:")
        self._enter(region, name)
        yield Ix(0, {Val(self, counter, "i8", 1, region.level): 1})
        latch = self._block
        region.head.append(f"{counter} = phi i64 [ {first.name}, %{before} ], [ {following}, %{latch} ]")
        region.foot += [
            f"{following} = add nsw i64 {counter}, {step}",
            f"{following}c = icmp slt i64 {following}, {last.name}",
            f"br i1 {following}c, label %{name}, label %{name}.end",
            f"{name}.end:",
        ]
        self._leave(f"{name}.end")

    @contextmanager
    def when(self, condition: Val) -> Iterator[None]:
        """What is written inside runs only where `condition`, a single boolean, holds; nothing moves out of it."""
        name = f"when{self._new()[2:]}"
        region = _Region(self.level + 1, False)
        region.head += [f"br i1 {condition.name}, label %{name}, label %{name}.end", f"{name}:"]
        self._enter(region, name)
        yield
        region.foot += [f"br label %{name}.end", f"{name}.end:"]
        self._leave(f"{name}.end")

    @contextmanager
    def loop_while(self) -> Iterator[Any]:
        """A loop that runs again while the boolean holds with which the yielded function is called at its end."""
        name = f"while{self._new()[2:]}"
        region = _Region(self.level + 1, True)
        region.head += [f"br label %{name}", f"{name}:"]
        self._enter(region, name)
        condition: list[Val] = []
        yield condition.append
        region.foot += [f"br i1 {condition[0].name}, label %{name}, label %{name}.end", f"{name}.end:"]
        self._leave(f"{name}.end")

    @contextmanager
    def _dead(self) -> Iterator[None]:
        """Write what can never run, and drop it."""
        block = self._block
        region = _Region(self.level + 1, False)
        self._enter(region, block)
        yield
        self._leave(block)
        self._stack[-1].lines.remove(region)

    def _enter(self, region: _Region, block: str) -> None:
        self._stack[-1].lines.append(region)
        self._stack.append(region)
        self._block = block

    def _leave(self, block: str) -> None:
        self._stack.pop()
        self._block = block

    # --- constants, indices, variables -------------------------------------------------------------

    def const(self, x: Any, code: str, lanes: int = 1) -> Val:
        """A number, the same in all lanes."""
        text = literal(x, code)
        return Val(self, text if lanes == 1 else f"splat ({LLVM[code]} {text})", code, lanes, 0)

    def table(self, values: Sequence[Any], code: str) -> Val:
        """A constant vector."""
        if len(values) == 1:
            return self.const(values[0], code)
        inner = ", ".join(f"{LLVM[code]} {literal(x, code)}" for x in values)
        return Val(self, f"<{inner}>", code, len(values), 0)

    def lane_numbers(self, code: str, lanes: int) -> Val:
        """0, 1, 2 and so on, one in each lane."""
        return self.table(range(lanes), code)

    def index(self, x: Any) -> Val:
        """An index as a 64-bit value. Outer loops' terms come first, so that their sum is made outside."""
        x = Ix.of(x)
        total: Val | None = None
        for v, c in sorted(x.terms.items(), key=lambda term: term[0].level):
            term = v if c == 1 else self.pure(f"mul nsw i64 {v.name}, {c}", "i8", 1, (v,))
            total = term if total is None else self._sum(total, term)
        if total is None:
            return self.const(x.const, "i8")
        return self._sum(total, self.const(x.const, "i8")) if x.const else total

    def _sum(self, a: Val, b: Val) -> Val:
        return self.pure(f"add nsw i64 {a.name}, {b.name}", "i8", 1, (a, b))

    def var(self, value: Val) -> Var:
        """A variable with a first value."""
        pointer = self._new()
        self._allocas.append(f"{pointer} = alloca {value.type}")
        made = Var(self, pointer, value.code, value.lanes)
        made.set(value)
        return made

    def local(self, count: int, code: str) -> str:
        """A pointer to room for `count` elements on the stack."""
        pointer = self._new()
        self._allocas.append(f"{pointer} = alloca [{count} x {_memory(code)}], align 64")
        return pointer

    # --- memory ------------------------------------------------------------------------------------

    def address(self, pointer: str, at: Any, code: str) -> Val:
        """The address of an element; the constant part of the index stays an offset of the instruction that uses it."""
        at = Ix.of(at)
        base = Val(self, pointer, "i8", 1, 0)
        if at.terms:
            offset = self.index(Ix(0, at.terms))
            base = self.pure(
                f"getelementptr inbounds {_memory(code)}, ptr {pointer}, i64 {offset.name}", "i8", 1, (offset,)
            )
        if not at.const:
            return base
        return self.pure(f"getelementptr inbounds {_memory(code)}, ptr {base.name}, i64 {at.const}", "i8", 1, (base,))

    def load(
        self, pointer: str, at: Any, code: str, lanes: int = 1, *, mask: Val | None = None, fixed: bool = False
    ) -> Val:
        """Elements that follow one another in memory; 0 where `mask` is false.

        With `fixed` nothing in this function writes there: the load may move out of loops, and be shared.
        """
        place = self.address(pointer, at, code)
        held = "u1" if code == "b1" else code
        type_ = vector(_memory(code), lanes)
        if mask is None:
            text = f"load {type_}, ptr {place.name}, align {size_of(code)}"
        else:
            name = f"llvm.masked.load.v{lanes}{_suffix(held)}.p0"
            self.declarations.add(f"declare {type_} @{name}(ptr, i32, <{lanes} x i1>, {type_})")
            text = f"call {type_} @{name}(ptr {place.name}, i32 {size_of(code)}, {mask.typed}, {type_} zeroinitializer)"
        operands = (place,) if mask is None else (place, mask)
        found = self.pure(text, held, lanes, operands) if fixed else self.effect(text, held, lanes)
        return self.compare("ne", found, 0) if code == "b1" else found

    def store(self, pointer: str, at: Any, value: Val, *, mask: Val | None = None, stream: bool = False) -> None:
        """Write elements that follow one another; with `stream` past the caches, to a place aligned to a vector."""
        code = value.code
        place = self.address(pointer, at, code)
        if code == "b1":
            value = self.cast(value, "u1")
        if mask is None:
            align = size_of(code) * (value.lanes if stream else 1)
            self.line(f"store {value.typed}, ptr {place.name}, align {align}{', !nontemporal !0' if stream else ''}")
            return
        name = f"llvm.masked.store.v{value.lanes}{_suffix(value.code)}.p0"
        self.declarations.add(f"declare void @{name}({value.type}, ptr, i32, {mask.type})")
        self.line(f"call void @{name}({value.typed}, ptr {place.name}, i32 {size_of(code)}, {mask.typed})")

    def prefetch(self, pointer: str, at: Any, code: str, *, write: bool = False) -> None:
        """Ask for the cache line of an element, which is needed soon."""
        place = self.address(pointer, at, code)
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.line(f"call void @llvm.prefetch.p0(ptr {place.name}, i32 {int(write)}, i32 3, i32 1)")

    def gather(self, pointer: str, at: Val, code: str, *, mask: Val | None = None, fixed: bool = False) -> Val:
        """The elements at the indices `at` (a vector of integers); 0 where `mask` is false."""
        lanes = at.lanes
        held = "u1" if code == "b1" else code
        if lanes == 1:
            return self.load(pointer, Ix.of(self.cast(at, "i8")), code, fixed=fixed)
        places = self._places(pointer, at, code)
        type_ = vector(_memory(code), lanes)
        mask = mask or self.const(True, "b1", lanes)
        name = f"llvm.masked.gather.v{lanes}{_suffix(held)}.v{lanes}p0"
        self.declarations.add(f"declare {type_} @{name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {type_})")
        text = (
            f"call {type_} @{name}(<{lanes} x ptr> {places.name}, i32 {size_of(code)}, {mask.typed}, "
            f"{type_} zeroinitializer)"
        )
        found = self.pure(text, held, lanes, (places, mask)) if fixed else self.effect(text, held, lanes)
        return self.compare("ne", found, 0) if code == "b1" else found

    def scatter(self, pointer: str, at: Val, value: Val, *, mask: Val | None = None) -> None:
        """Write elements at the indices `at`; where two are the same, the later lane stays."""
        code = value.code
        if value.lanes == 1:
            self.store(pointer, Ix.of(self.cast(at, "i8")), value)
            return
        if code == "b1":
            value = self.cast(value, "u1")
        lanes = value.lanes
        places = self._places(pointer, at, code)
        mask = mask or self.const(True, "b1", lanes)
        name = f"llvm.masked.scatter.v{lanes}{_suffix(value.code)}.v{lanes}p0"
        self.declarations.add(f"declare void @{name}({value.type}, <{lanes} x ptr>, i32, {mask.type})")
        self.line(f"call void @{name}({value.typed}, <{lanes} x ptr> {places.name}, i32 {size_of(code)}, {mask.typed})")

    def _places(self, pointer: str, at: Val, code: str) -> Val:
        text = f"getelementptr inbounds {_memory(code)}, ptr {pointer}, {at.typed}"
        return self.pure(text, "i8", at.lanes, (at,))

    # --- arithmetic --------------------------------------------------------------------------------

    @contextmanager
    def exactly(self) -> Iterator[None]:
        """Inside, products and sums are rounded one by one and not fused, as the mathematics written there needs."""
        before, self._contract = self._contract, ""
        try:
            yield
        finally:
            self._contract = before

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
            name = f"f{what} {self._contract}"
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

    def across(self, what: str, a: Val) -> Val:
        """All lanes combined: `add` and `mul` (by halves), `maximum` and `minimum` (NaN wins), `and`, `or`."""
        step = {
            "add": lambda x, y: x + y,
            "mul": lambda x, y: x * y,
            "maximum": self.maximum,
            "minimum": self.minimum,
            "and": lambda x, y: x & y,
            "or": lambda x, y: x | y,
        }[what]
        rest: Val | None = None
        while a.lanes > 1:
            half = a.lanes // 2
            if a.lanes % 2:
                odd = self.lane(a, a.lanes - 1)
                rest = odd if rest is None else step(rest, odd)
            a = step(self.shuffle(a, range(half)), self.shuffle(a, range(half, 2 * half)))
        return a if rest is None else step(a, rest)


def _memory(code: str) -> str:
    """The LLVM type of an element in memory."""
    return "i8" if code == "b1" else LLVM[code]


def _suffix(code: str) -> str:
    """An element's type within the name of an intrinsic."""
    return {"half": "f16", "float": "f32", "double": "f64"}.get(LLVM[code], LLVM[code])


def _overload(a: Val) -> str:
    return _suffix(a.code) if a.lanes == 1 else f"v{a.lanes}{_suffix(a.code)}"


def transposed(k: Writer, rows: Sequence[Val]) -> list[Val]:
    """The transpose of a square: as many vectors as each has lanes, a power of two. Ever smaller blocks are exchanged."""
    v = list(rows)
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


__all__ = ["Ix", "Target", "Val", "Var", "Writer", "transposed"]
