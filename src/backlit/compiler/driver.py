"""The driver: the native function that runs the steps of a plan, on all threads at once.

Every thread walks the same steps. A kernel that is worth it is shared: each thread does its part of the units. Any
other is done by thread 0. Between kernels that touch the same memory stands a barrier, unless both belong to thread 0.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ..runtime.host import Host
from ..runtime.threads import barrier_ir
from .codegen.emitter import Emitter
from .codegen.module import module
from .codegen.values import size_of
from .codegen.writer import Target
from .kernels.kernel import Kernel, write
from .kernels.views import Buffer
from .lower.steps import Branch, Loop, Run, Step, While, walk
from .memory import Arena, accesses


class Code(NamedTuple):
    """A plan as text.

    Attributes:
        ir: the module; its function `entry` takes a table of pointers, the thread's number, how many there are, and
            the place of the barrier.
        slots: the buffers that the table names, after the arena and the private memory.
        private: bytes of private memory for each thread.
        shared: is any kernel shared among threads?
    """

    ir: str
    slots: tuple[Buffer, ...]
    private: int
    shared: bool


#: A plan that takes no longer than so many seconds on one thread is not worth waking another.
ALONE = 8e-6

#: What a thread does at least in a second, for this estimate: operations, and bytes moved.
_FLOPS, _BYTES = 5e10, 1e11


def shares(kernel: Kernel, threads: int) -> bool:
    """Is a kernel worth more than one thread?"""
    return threads > 1 and kernel.units >= 2 * kernel.grain


def worth_threads(steps: Sequence[Step]) -> bool:
    """Do some steps take long enough for other threads to be woken?"""
    return seconds(steps) > ALONE


def seconds(steps: Sequence[Step]) -> float:
    """How long some steps take on one thread, roughly: enough to tell whether threads are worth waking."""
    total = 0.0
    for step in steps:
        if isinstance(step, Run):
            total += max(step.kernel.flops / _FLOPS, step.kernel.nbytes / _BYTES)
        elif isinstance(step, Loop):
            total += step.turns * seconds(step.body)
        elif isinstance(step, While):
            total += 1.0
        elif isinstance(step, Branch):
            total += max(seconds(step.yes), seconds(step.no))
    return total


class Driver:
    """Writes the module of some steps.

    Args:
        steps: what is to be done; no calls to NumPy among them.
        arena: where scratch buffers lie.
        host, target: the machine.
        threads: how many threads will run it.
    """

    def __init__(self, steps: Sequence[Step], arena: Arena, host: Host, target: Target, threads: int) -> None:
        self.arena, self.host, self.target = arena, host, target
        self.steps = list(steps)
        self.threads = threads
        self._lines: list[str] = []
        self._count = 0
        self._pending: list[tuple[Buffer, bool, bool]] = []  # buffer, written, by thread 0 alone
        self._slots: dict[Buffer, int] = {}
        self._functions: dict[str, str] = {}
        self._known: dict[Hashable, str] = {}
        self._texts: list[str] = []
        self._declared: set[str] = set()
        self._moving: dict[Buffer, str] = {}
        self._serial = False

    def code(self) -> Code:
        """The text of the module."""
        kernels = [s.kernel for s in walk(self.steps) if isinstance(s, Run)]
        private = max((k.private for k in kernels), default=0)
        private = -(-private // 64) * 64
        for step in self.steps:
            self._step(step)
        head = [
            "define void @entry(ptr %args, i64 %tid, i64 %nth, ptr %bar) #0 {",
            "  %arena = load ptr, ptr %args",
            "  %p1 = getelementptr ptr, ptr %args, i64 1",
            "  %all = load ptr, ptr %p1",
            f"  %own = mul i64 %tid, {private}",
            "  %private = getelementptr i8, ptr %all, i64 %own",
            "  %next = add i64 %tid, 1",
            "  %mine = icmp eq i64 %tid, 0",
        ]
        for buffer, slot in self._slots.items():
            head.append(f"  %a{slot} = getelementptr ptr, ptr %args, i64 {slot}")
            head.append(f"  {_pointer(buffer)} = load ptr, ptr %a{slot}")
        entry = "\n".join([*head, *self._lines, "  ret void", "}", ""])
        shared = any(shares(k, self.threads) for k in kernels)
        texts = [*self._texts, entry]
        if shared:
            texts.append(barrier_ir(self.host.triple))
        ir = module(texts, self._declared, self.target, self.host.triple)
        return Code(ir, tuple(self._slots), private, shared)

    # --- steps -------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        if isinstance(step, Run):
            self._run(step)
        elif isinstance(step, Loop):
            with self._together(step):
                self._loop(step)
        elif isinstance(step, While):
            with self._together(step):
                self._while(step)
        elif isinstance(step, Branch):
            with self._together(step):
                self._branch(step)
        else:
            raise TypeError(f"{step!r} is not native.")

    def _run(self, step: Run) -> None:
        kernel = step.kernel
        shared = shares(kernel, self.threads)
        if not self._serial:
            self._before(list(accesses(step)), not shared)
        name = self._function(kernel)
        pointers = [f"ptr {self._address(b)}" for b in kernel.buffers] + (["ptr %private"] if kernel.private else [])
        if shared and not self._serial:
            u = kernel.units
            low, high = self._new(), self._new()
            self._line(f"{low}t = mul i64 %tid, {u}")
            self._line(f"{low} = udiv i64 {low}t, %nth")
            self._line(f"{high}t = mul i64 %next, {u}")
            self._line(f"{high} = udiv i64 {high}t, %nth")
            self._call(name, pointers, low, high)
        elif self._serial:
            self._call(name, pointers, "0", str(kernel.units))
        else:
            with self._only_first():
                self._call(name, pointers, "0", str(kernel.units))

    def _call(self, name: str, pointers: Sequence[str], low: str, high: str) -> None:
        arguments = ", ".join([*pointers, f"i64 {low}", f"i64 {high}", "i64 %tid", "i64 %nth"])
        self._line(f"call void @{name}({arguments})")

    def _function(self, kernel: Kernel) -> str:
        """The name of a kernel's function; kernels with the same code have one."""
        key = kernel.likeness()
        if key is not None and key in self._known:
            return self._known[key]
        name = self._written(kernel)
        if key is not None:
            self._known[key] = name
        return name

    def _written(self, kernel: Kernel) -> str:
        """Write a kernel's function, unless another has the same text."""
        pointers = [b.name for b in kernel.buffers] + (["private"] if kernel.private else [])
        emitter = Emitter(kernel.name, pointers, self.target)
        text = write(kernel, emitter)
        number = {f"%{p}": f"%p{i}_" for i, p in enumerate(pointers)}
        plain = re.sub(r"%[A-Za-z_]\w*", lambda m: number.get(m[0], m[0]), text).replace(f"@{kernel.name}(", "@(", 1)
        name = self._functions.get(plain)
        if name is None:
            name = self._functions[plain] = kernel.name
            self._texts.append(text)
            self._declared |= emitter.declarations
        return name

    @contextmanager
    def _together(self, step: Step) -> Iterator[None]:
        """A loop or branch: where no kernel in it is shared, thread 0 does all of it alone."""
        inside = list(walk([step]))
        serial = not any(isinstance(s, Run) and shares(s.kernel, self.threads) for s in inside)
        if self._serial:
            yield
            return
        used = [a for s in inside for a in accesses(s)]
        self._before(used, serial)
        if not serial:
            self._barrier()
            yield
            self._barrier()
            return
        self._serial = True
        with self._only_first():
            yield
        self._serial = False

    def _loop(self, step: Loop) -> None:
        n, before = self._name("loop"), self._name("before")
        self._line(f"br label %{before}")
        self._label(before)
        self._line(f"br label %{n}")
        self._label(n)
        place = len(self._lines)
        self._lines.append("")
        for b in step.moving:
            self._advance(b, f"%{n}.i")
        for s in step.body:
            self._step(s)
        if not self._serial:
            self._barrier()
        last = self._name("latch")
        self._line(f"br label %{last}")
        self._label(last)
        self._lines[place] = f"  %{n}.i = phi i64 [ 0, %{before} ], [ %{n}.n, %{last} ]"
        self._line(f"%{n}.n = add nsw i64 %{n}.i, 1")
        self._line(f"%{n}.c = icmp slt i64 %{n}.n, {step.turns}")
        self._line(f"br i1 %{n}.c, label %{n}, label %{n}.end")
        self._label(f"{n}.end")

    def _advance(self, buffer: Buffer, turn: str) -> None:
        """The address of a moving buffer in this turn."""
        assert buffer.of is not None
        base = self._address(buffer.of.buffer)
        size = size_of(buffer.code)
        offset, address = self._new(), self._new()
        self._line(f"{offset}m = mul nsw i64 {turn}, {buffer.step * size}")
        self._line(f"{offset} = add nsw i64 {offset}m, {buffer.of.offset * size}")
        self._line(f"{address} = getelementptr i8, ptr {base}, i64 {offset}")
        self._moving[buffer] = address

    def _while(self, step: While) -> None:
        n = self._name("while")
        self._line(f"br label %{n}")
        self._label(n)
        for s in step.test:
            self._step(s)
        if not self._serial:
            self._barrier()
        flag = self._flag(step.flag.buffer, step.flag.offset)
        self._line(f"br i1 {flag}, label %{n}.do, label %{n}.end")
        self._label(f"{n}.do")
        for s in step.body:
            self._step(s)
        if not self._serial:
            self._barrier()
        self._line(f"br label %{n}")
        self._label(f"{n}.end")

    def _branch(self, step: Branch) -> None:
        n = self._name("branch")
        flag = self._flag(step.flag.buffer, step.flag.offset)
        self._line(f"br i1 {flag}, label %{n}.yes, label %{n}.no")
        for label, steps in (("yes", step.yes), ("no", step.no)):
            self._label(f"{n}.{label}")
            for s in steps:
                self._step(s)
            if not self._serial:
                self._barrier()
            self._line(f"br label %{n}.end")
        self._label(f"{n}.end")

    def _flag(self, buffer: Buffer, offset: int) -> str:
        value, size = self._new(), size_of(buffer.code)
        bits = f"i{8 * size}"
        self._line(f"{value}a = getelementptr i8, ptr {self._address(buffer)}, i64 {offset * size}")
        self._line(f"{value}v = load {bits}, ptr {value}a")
        self._line(f"{value} = icmp ne {bits} {value}v, 0")
        return value

    # --- order among threads -----------------------------------------------------------------------

    def _before(self, used: Sequence[tuple[Buffer, bool]], serial: bool) -> None:
        """A barrier, where what is used next was touched since the last one by another thread."""
        if self.threads == 1:
            return
        for buffer, writes in used:
            for other, wrote, alone in self._pending:
                if (writes or wrote) and not (serial and alone) and self._overlap(buffer, other):
                    self._barrier()
                    self._pending = []
                    break
        self._pending += [(b, w, serial) for b, w in used]

    def _overlap(self, a: Buffer, b: Buffer) -> bool:
        if a is b:
            return True
        if a.kind != "scratch" or b.kind != "scratch":
            return False
        x, y = self.arena.places[a], self.arena.places[b]
        return x < y + b.nbytes and y < x + a.nbytes

    def _barrier(self) -> None:
        if self.threads > 1:
            self._line("call void @barrier(ptr %bar, i64 %nth)")
            self._pending = []

    @contextmanager
    def _only_first(self) -> Iterator[None]:
        if self.threads == 1:
            yield
            return
        n = self._name("first")
        self._line(f"br i1 %mine, label %{n}, label %{n}.end")
        self._label(n)
        yield
        self._line(f"br label %{n}.end")
        self._label(f"{n}.end")

    # --- text --------------------------------------------------------------------------------------

    def _address(self, buffer: Buffer) -> str:
        """The pointer to a buffer in the driver."""
        if buffer.of is not None:
            return self._moving[buffer]
        if buffer.kind == "scratch":
            address = self._new()
            self._line(f"{address} = getelementptr i8, ptr %arena, i64 {self.arena.places[buffer]}")
            return address
        self._slots.setdefault(buffer, len(self._slots) + 2)
        return _pointer(buffer)

    def _line(self, text: str) -> None:
        self._lines.append(f"  {text}")

    def _label(self, name: str) -> None:
        self._lines.append(f"{name}:")

    def _new(self) -> str:
        self._count += 1
        return f"%d{self._count}"

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"


def _pointer(buffer: Buffer) -> str:
    return f"%b_{buffer.name}"
