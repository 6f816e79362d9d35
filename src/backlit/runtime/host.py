"""What LLVM says about this machine: the triple, the CPU, its features, and from them the shape of its vectors."""

from __future__ import annotations

import os
from functools import cache
from math import ceil
from typing import NamedTuple

from ..base.errors import ArgumentError
from . import llvm


class Host(NamedTuple):
    """A machine that code is generated for. Two equal hosts may run each other's object code."""

    triple: str  # "x86_64-unknown-linux-gnu"
    cpu: str  # LLVM's name: "znver5"
    features: str  # LLVM's list: "+avx2,-avx512f,…"
    vector_bytes: int  # the widest vector: 16, 32 or 64
    vector_registers: int  # 16 or 32
    cores: int  # those that this process may use

    def has(self, feature: str) -> bool:
        """Whether the machine has a feature by LLVM's name: `host.has("fma")`."""
        return f"+{feature}" in self.features.split(",")


@cache
def host() -> Host | None:
    """This machine; None where there is no LLVM (llvmlite missing, or `BACKLIT_LLVM=0`).

    `BACKLIT_VECTOR_BYTES=16` or `32` makes it look like a machine with narrower vectors, so that their code can be
    tested and timed on one with wider ones.
    """
    library = llvm.library()
    if library is None:
        return None
    triple, cpu, features = (
        llvm.text(function)
        for function in (
            library.c.LLVMPY_GetProcessTriple,
            library.c.LLVMPY_GetHostCPUName,
            library.c.LLVMPY_GetHostCPUFeatures,
        )
    )
    features = ",".join(sorted(features.split(","), key=lambda feature: feature[1:]))
    found = _shaped(triple, cpu, features)
    wanted = os.environ.get("BACKLIT_VECTOR_BYTES")
    return narrowed(found, wanted) if wanted else found


def _shaped(triple: str, cpu: str, features: str) -> Host:
    """The host with the shape of its vectors, which follows from the architecture and the features."""
    has = set(features.split(","))
    if "+avx512f" in has and {"+avx512vl", "+avx512dq", "+avx512bw"} <= has:
        width, registers = 64, 32
    elif "+avx2" in has and "+fma" in has:
        width, registers = 32, 16
    elif triple.startswith(("aarch64", "arm64")):
        width, registers = 16, 32
    else:
        width, registers = 16, 16
    return Host(triple, cpu, features, width, registers, usable_cores())


#: What a narrower x86 lacks, as beginnings of names of features. The order in LLVM's list counts: `+avx2` after
#: `-avx` would bring AVX back, so each name is turned off by itself.
_BEYOND = {
    32: ("avx512", "avx10", "amx"),
    16: ("avx", "amx", "fma", "f16c", "xop", "vaes", "vpclmulqdq", "sha512", "sm3", "sm4"),
}


def narrowed(host: Host, wanted: str) -> Host:
    """`host` as if its vectors had only `wanted` bytes.

    Raises `ArgumentError` for a width that is not 16, 32 or 64, or that the machine does not have.
    """
    if wanted not in ("16", "32", "64") or int(wanted) > host.vector_bytes:
        widths = [w for w in (16, 32, 64) if w <= host.vector_bytes]
        raise ArgumentError(f"BACKLIT_VECTOR_BYTES={wanted}: this machine ({host.cpu}) can have one of {widths}")
    width = int(wanted)
    if width == host.vector_bytes:
        return host
    features = [
        f"-{feature[1:]}" if feature[1:].startswith(_BEYOND[width]) else feature for feature in host.features.split(",")
    ]
    return _shaped(host.triple, host.cpu, ",".join(features))


def usable_cores() -> int:
    """The cores this process may run on: its affinity where the system has one, cut to a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return max(1, min(cores, ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such limit: another system, or "max"
        return cores


def physical_cores() -> int:
    """How many of the usable cores are cores of their own, not a second thread of one; all where it is not known."""
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is None:
        return usable_cores()
    siblings = set()
    for cpu in affinity(0):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", encoding="ascii") as file:
                siblings.add(file.read())
        except OSError:
            return usable_cores()
    return min(len(siblings), usable_cores())
