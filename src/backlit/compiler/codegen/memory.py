"""`Memory`: a writer of functions that reads and writes: elements that follow one another, and scattered ones."""

from __future__ import annotations

from typing import Any

from .arithmetic import Arithmetic
from .values import Ix, Val, size_of, vector
from .writer import memory_type, suffix


class Memory(Arithmetic):
    """Writes one function, with loads and stores. Booleans are bytes in memory."""

    def address(self, pointer: str, at: Any, code: str) -> Val:
        """The address of an element; the constant part of the index stays an offset of the instruction that uses it."""
        at = Ix.of(at)
        base = Val(self, pointer, "i8", 1, 0)
        if at.terms:
            offset = self.index(Ix(0, at.terms))
            base = self.pure(
                f"getelementptr inbounds {memory_type(code)}, ptr {pointer}, i64 {offset.name}", "i8", 1, (offset,)
            )
        if not at.const:
            return base
        return self.pure(
            f"getelementptr inbounds {memory_type(code)}, ptr {base.name}, i64 {at.const}", "i8", 1, (base,)
        )

    def load(
        self, pointer: str, at: Any, code: str, lanes: int = 1, *, mask: Val | None = None, fixed: bool = False
    ) -> Val:
        """Elements that follow one another in memory; 0 where `mask` is false.

        With `fixed` nothing in this function writes there: the load may move out of loops, and be shared.
        """
        place = self.address(pointer, at, code)
        held = "u1" if code == "b1" else code
        type_ = vector(memory_type(code), lanes)
        if mask is None:
            text = f"load {type_}, ptr {place.name}, align {size_of(code)}"
        else:
            name = f"llvm.masked.load.v{lanes}{suffix(held)}.p0"
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
        name = f"llvm.masked.store.v{value.lanes}{suffix(value.code)}.p0"
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
        type_ = vector(memory_type(code), lanes)
        mask = mask or self.const(True, "b1", lanes)
        name = f"llvm.masked.gather.v{lanes}{suffix(held)}.v{lanes}p0"
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
        name = f"llvm.masked.scatter.v{lanes}{suffix(value.code)}.v{lanes}p0"
        self.declarations.add(f"declare void @{name}({value.type}, <{lanes} x ptr>, i32, {mask.type})")
        self.line(f"call void @{name}({value.typed}, <{lanes} x ptr> {places.name}, i32 {size_of(code)}, {mask.typed})")

    def _places(self, pointer: str, at: Val, code: str) -> Val:
        text = f"getelementptr inbounds {memory_type(code)}, ptr {pointer}, {at.typed}"
        return self.pure(text, "i8", at.lanes, (at,))
