"""What the machine can do at most: arithmetic in registers and movement of memory, measured by plans of two loops."""

from __future__ import annotations

from functools import cache
from time import perf_counter_ns
from typing import NamedTuple

from ..runtime import native, pool
from ..runtime.host import Host, physical_cores
from ..runtime.memory import aligned, data_pointer
from .codegen.emitter import Emitter
from .codegen.module import module
from .codegen.values import Ix
from .codegen.writer import Target


class Limits(NamedTuple):
    """The limits of some threads together.

    Attributes:
        flops: float32 operations in a second, multiplications and additions counted apart.
        bandwidth: bytes in a second to and from memory.
    """

    flops: float
    bandwidth: float


_ROUNDS = 4096
_BYTES = 1 << 26


@cache
def limits(host: Host, target: Target, threads: int) -> Limits:
    """Measure the limits; takes some tenths of a second, once for each number of threads.

    Arithmetic is measured on one core and counted for as many as there are, so that a busy machine does not seem slow.
    """
    k = Emitter("arithmetic", ["x"], target)
    lanes = target.lanes("f4")
    count = min(target.vector_registers - 4, 16)
    sums = [k.var(k.load("%x", i * lanes, "f4", lanes)) for i in range(count)]
    factor = k.load("%x", 0, "f4", lanes)
    with k.loop(0, _ROUNDS):
        for s in sums:
            s.set(k.fma(factor, factor, s.get()))
    for i, s in enumerate(sums):
        k.store("%x", Ix.of(k.tid) * (count * lanes) + i * lanes, s.get())
    arithmetic = _seconds(k, host, target, 1, 2 * count * lanes * 4)
    k = Emitter("movement", ["x"], target)
    each = _BYTES // 8 // threads // (4 * lanes) * (4 * lanes)
    start = Ix.of(k.tid) * (2 * each)
    with k.loop(0, each, 4 * lanes) as i:
        for j in range(4):
            at = start + i + j * lanes
            k.store("%x", at + each, k.load("%x", at, "f4", lanes) + 1.0, stream=True)
    movement = _seconds(k, host, target, threads, _BYTES)
    cores = min(threads, physical_cores())
    return Limits(2.0 * cores * _ROUNDS * count * lanes / arithmetic, 8.0 * each * threads / movement)


def _seconds(k: Emitter, host: Host, target: Target, threads: int, size: int) -> float:
    """The least time of some runs of a function over memory of its own."""
    entry = (
        "define void @entry(ptr %args, i64 %tid, i64 %nth, ptr %bar) #0 {\n  %x = load ptr, ptr %args\n"
        f"  call void @{k.name}(ptr %x, i64 0, i64 1, i64 %tid, i64 %nth)\n  ret void\n}}\n"
    )
    ir = module([k.finish(), entry], k.declarations, target, host.triple)
    loaded = native.load(native.cached_object(ir, host), ["entry"])
    memory, table = aligned(size + 64), aligned(64).view("uintp")
    memory[:] = 0
    table[0] = data_pointer(memory)
    best = float("inf")
    for _ in range(30):
        start = perf_counter_ns()
        pool.run(loaded.address("entry"), data_pointer(table), threads)
        best = min(best, perf_counter_ns() - start)
    return best * 1e-9
