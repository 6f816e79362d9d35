"""Running a plan's entry on one thread or on several.

An entry has the C signature `void entry(ptr args, i64 tid, i64 nth, ptr barrier)` and is called once on each of `nth`
threads. The caller is thread 0; the others are workers that belong to the process, made when first needed. A worker
without work spins for `SPIN_SECONDS`, then sleeps without using the CPU. The IR of it all is in `threads.py`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from threading import Lock

from ..base.errors import ArgumentError, BacklitError
from . import native
from .builtin import builtin
from .host import Host, host, physical_cores
from .memory import aligned, data_pointer
from .threads import SLOT, SLOTS, SPIN, has_futex, pool_ir

#: A worker spins this long for the next plan: longer than the Python code between two steps of training takes.
SPIN_SECONDS = 80e-6
#: The most threads a plan can have.
MOST = 256

_Entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


def run(entry: int, args: int, threads: int) -> None:
    """Run the native function at address `entry` on `threads` threads; returns when all have finished.

    One plan at a time has the workers; a second Python thread waits its turn. `threads=1` touches no worker. The
    GIL is released meanwhile. Raises `ArgumentError` for a number of threads that cannot be had.
    """
    if threads == 1:
        direct(entry)(args)
    else:
        _POOL.run(entry, args, threads)


@lru_cache(4096)
def direct(entry: int) -> Callable[[int], None]:
    """A function that runs `entry` on the calling thread alone, with the GIL released.

    `direct(entry)(args)` takes 0.05 us where `builtin.py` knows the interpreter, and 0.3 us by ctypes.
    """
    if os.name == "posix" and sys.implementation.name == "cpython":
        return builtin(entry)
    call = _Entry(entry)
    return lambda args: call(args, 0, 1, None)


def default_threads() -> int:
    """How many threads a plan gets unless told: `BACKLIT_THREADS`, else the number of physical cores it may use."""
    wanted = os.environ.get("BACKLIT_THREADS")
    if wanted is None:
        return min(physical_cores(), MOST) if os.name == "posix" else 1
    if not wanted.isdecimal() or not 1 <= int(wanted) <= MOST:
        raise ArgumentError(f"BACKLIT_THREADS={wanted}: it must be a number from 1 to {MOST}")
    return int(wanted)


class Pool:
    """Workers, and the memory through which they are spoken to.

    `futex` says how they sleep: with a futex, with a condition variable, or (None) as suits the host.
    """

    def __init__(self, futex: bool | None = None) -> None:
        self._futex = futex
        self.forget()

    def forget(self) -> None:
        """Start again without workers. A forked child does: it inherits their memory, but not the threads."""
        self._lock = Lock()
        self._started = 1  # the caller
        self._native: tuple[native.Loaded, Callable[..., None], Callable[..., int]] | None = None

    def run(self, entry: int, args: int, threads: int) -> None:
        """`run` of this module, for more than one thread."""
        with self._lock:
            if not 1 <= threads <= self._started:
                self._grow(threads)
            self._call(self._address, entry, args, threads)

    def _grow(self, threads: int) -> None:
        if not 1 <= threads <= MOST:
            raise ArgumentError(f"threads={threads}: a plan runs on 1 to {MOST} threads")
        if os.name != "posix":
            raise ArgumentError(f"threads={threads}: on this system plans run on one thread; use threads=1")
        if self._native is None:
            self._load()
        assert self._native is not None
        # Signals are for Python's threads. Faults are not blocked: a crash must say where it happened.
        faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
        try:
            self._started = self._native[2](self._address, self._started, threads)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._started < threads:
            raise BacklitError(f"threads={threads}: the system refuses to start more than {self._started}")

    def _load(self) -> None:
        machine = host()
        if machine is None:
            raise BacklitError("threads were asked for where there is no LLVM: llvmlite is missing, or BACKLIT_LLVM=0")
        loaded = native.load(pool_object(machine, self._futex), ("backlit_run", "backlit_start", "backlit_spin"))
        void, word, address = None, ctypes.c_int64, ctypes.c_void_p
        self._call = ctypes.CFUNCTYPE(void, address, address, address, word)(loaded.address("backlit_run"))
        start = ctypes.CFUNCTYPE(word, address, word, word)(loaded.address("backlit_start"))
        spin = ctypes.CFUNCTYPE(void, word)(loaded.address("backlit_spin"))
        self._state = aligned(SLOTS + SLOT * (MOST - 1), 128)
        self._state[:] = 0
        self._address = data_pointer(self._state)
        self._state[SPIN : SPIN + 16].view("int64")[:] = int(SPIN_SECONDS / _seconds_each(spin)), machine.cores
        self._native = loaded, self._call, start


def pool_object(machine: Host, futex: bool | None = None) -> bytes:
    """The pool's object code, from the disk cache or compiled."""
    ir = pool_ir(machine.triple, has_futex(machine.triple) if futex is None else futex)
    return native.cached_object(ir, machine)


def _seconds_each(spin: Callable[[int], None], rounds: int = 1000) -> float:
    """What a round of the spinning loop takes: the least of a few measurements."""

    def once() -> float:
        start = time.perf_counter()
        spin(rounds)
        return time.perf_counter() - start

    return min(once() for _ in range(5)) / rounds


#: The one pool of the process: what hardware threads are to plans, a process can have only once.
_POOL = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)
