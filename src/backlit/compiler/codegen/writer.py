"""`Writer`: writes one LLVM function as text. No value is computed twice, nor within a loop that does not need it.

Every pure instruction is looked up before it is written; if the same one stands already where it can be seen, that is
taken. It is written in the outermost loop that its operands allow. So common subexpressions are shared and loop
invariants move out while the text is made, and of LLVM's passes only `sroa` (variables into registers) is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .values import LLVM, Ix, Val, literal, size_of, vector

if TYPE_CHECKING:
    from .arithmetic import Arithmetic


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


def _level(term: tuple[Val, int]) -> int:
    return term[0].level


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

    def __init__(self, k: Arithmetic, pointer: str, code: str, lanes: int) -> None:
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
        self.lo, self.hi, self.tid, self.nth = (self._val(f"%{p}", "i8", 1, 0) for p in ("lo", "hi", "tid", "nth"))

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
        return self._val(name, code, lanes, self.level)

    def pure(self, text: str, code: str, lanes: int, operands: Sequence[Val]) -> Val:
        """The result of an instruction that depends on nothing but its operands, wherever it may stand."""
        key = (text, code)
        stack = self._stack
        needed = 0
        for v in operands:
            if v.level > needed:
                needed = v.level
        at = last = len(stack) - 1
        while at > needed and stack[at].hoists:
            at -= 1
        for i in range(needed, at + 1):
            found = stack[i].known.get(key)
            if found is not None:
                return found
        region = stack[at]
        name = self._new()
        found = region.known[key] = self._val(name, code, lanes, region.level)
        instruction = f"{name} = {text}"
        if at == last:
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

    def _val(self, name: str, code: str, lanes: int, level: int) -> Val:
        """A value of this function. Its operators need arithmetic, which every writer in use has."""
        return Val(cast("Arithmetic", self), name, code, lanes, level)

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
        yield Ix(0, {self._val(counter, "i8", 1, region.level): 1})
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
        return self._val(text if lanes == 1 else f"splat ({LLVM[code]} {text})", code, lanes, 0)

    def table(self, values: Sequence[Any], code: str) -> Val:
        """A constant vector."""
        if len(values) == 1:
            return self.const(values[0], code)
        inner = ", ".join(f"{LLVM[code]} {literal(x, code)}" for x in values)
        return self._val(f"<{inner}>", code, len(values), 0)

    def lane_numbers(self, code: str, lanes: int) -> Val:
        """0, 1, 2 and so on, one in each lane."""
        return self.table(range(lanes), code)

    def index(self, x: Any) -> Val:
        """An index as a 64-bit value. Outer loops' terms come first, so that their sum is made outside."""
        x = Ix.of(x)
        total: Val | None = None
        for v, c in sorted(x.terms.items(), key=_level) if len(x.terms) > 1 else x.terms.items():
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
        made = Var(cast("Arithmetic", self), pointer, value.code, value.lanes)
        made.set(value)
        return made

    def local(self, count: int, code: str) -> str:
        """A pointer to room for `count` elements on the stack."""
        pointer = self._new()
        self._allocas.append(f"{pointer} = alloca [{count} x {memory_type(code)}], align 64")
        return pointer


def memory_type(code: str) -> str:
    """The LLVM type of an element in memory."""
    return "i8" if code == "b1" else LLVM[code]


def suffix(code: str) -> str:
    """An element's type within the name of an intrinsic."""
    return {"half": "f16", "float": "f32", "double": "f64"}.get(LLVM[code], LLVM[code])
