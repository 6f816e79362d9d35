"""`Image`: what a plan comes down to once it is compiled, and what the disk cache keeps of it.

A plan that is one native function needs little to run: object code, so much memory, and the pointers that the function
takes. A process that finds its image on disk traces the user's function, to know what it computes, and skips the
passes, the lowering and the writing of code. Object code is kept under a key of its own (`runtime/native.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.config import LOADED, config
from ..graph.graph import Graph
from ..runtime import cache as disk
from ..runtime import llvm, native
from ..runtime.host import Host
from .fingerprint import Unknown, fingerprint
from .invoke import Pointer

if TYPE_CHECKING:
    from .native_plan import NativePlan

#: With more bytes of constants a plan is not kept: whoever runs it has them in memory anyway.
MOST = 1 << 22


class Image(NamedTuple):
    """A compiled plan.

    Attributes:
        code: the key of its object code in the disk cache.
        arena: bytes of memory for what is computed on the way.
        private: bytes of memory of its own for each thread.
        threads: how many run it.
        pointers: what the function is given, after the arena and the private memory.
        results: for each output the constant that it is; None where it is computed.
    """

    code: str
    arena: int
    private: int
    threads: int
    pointers: tuple[Pointer, ...]
    results: tuple[Any, ...]

    def packed(self) -> bytes:
        """As bytes: four lines, a line for each constant, and the constants' own bytes."""
        constants: list[np.ndarray[Any, Any]] = []

        def number(x: Any) -> int:
            constants.append(np.asarray(x))
            return len(constants) - 1

        pointers = [(kind, number(what) if kind == "constant" else what) for kind, what in self.pointers]
        results = [-1 if x is None else number(x) for x in self.results]
        lines = [
            self.code,
            f"{self.arena} {self.private} {self.threads} {len(constants)}",
            " ".join(f"{kind} {what}" for kind, what in pointers),
            " ".join(map(str, results)),
            *(" ".join([c.dtype.str, *map(str, c.shape)]) for c in constants),
        ]
        return "".join(f"{line}\n" for line in lines).encode() + b"".join(c.tobytes() for c in constants)

    @staticmethod
    def unpacked(data: bytes) -> Image:
        """The image that was `packed`."""
        code, sizes, given, results, rest = data.split(b"\n", 4)
        arena, private, threads, count = map(int, sizes.split())
        *described, rest = rest.split(b"\n", count)
        constants, at = [], 0
        for line in described:
            dtype, *shape = line.decode().split()
            array = np.frombuffer(rest, dtype, prod(map(int, shape)), at).reshape(tuple(map(int, shape)))
            constants.append(array.copy())
            at += array.nbytes
        words = given.decode().split()
        pairs = zip(words[::2], map(int, words[1::2]), strict=True)
        pointers = tuple((kind, constants[n] if kind == "constant" else n) for kind, n in pairs)
        values = tuple(None if n < 0 else constants[n][()] for n in map(int, results.split()))
        return Image(code.decode(), arena, private, threads, pointers, values)


def key_of(graph: Graph, host: Host, threads: int, donated: Mapping[int, int]) -> str | None:
    """Under what the image of a graph's plan is kept; None where that cannot be said, or is not wanted."""
    settings, sources = config.get(), _sources()
    watched = settings.check or os.environ.get("BACKLIT_DEBUG", "0") not in ("", "0")
    if disk.folder() is None or watched or sources is None:
        return None
    try:
        text = fingerprint(graph)
    except Unknown:
        return None
    asked = repr((host[:5], threads, sorted(donated.items()), settings.default_dtype.str))
    return disk.digest("plan", text, asked, sources, llvm.version(), np.__version__, sys.version)


@cache
def _sources() -> str | None:
    """What tells the sources of the library from others; None where those that run may not be those on the disk."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        files = sorted(_files(folder))
    except OSError:  # imported from something that is no folder
        return None
    newest = max(changed for _, _, changed in files)
    return None if newest >= LOADED * 1e9 else repr((folder, files))


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """The modules in a folder: path, size, and when they were changed, in nanoseconds."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                stat = entry.stat()
                yield entry.path, stat.st_size, stat.st_mtime_ns
            elif entry.is_dir():
                yield from _files(entry.path)


def find(key: str) -> tuple[Image, bytes] | None:
    """The image kept under a key, and its object code."""
    data = disk.found(key)
    if data is None:
        return None
    image = Image.unpacked(data)
    code = disk.found(image.code)
    return None if code is None else (image, code)


def keep(key: str, plan: NativePlan) -> None:
    """Keep the image of a plan, if it has one."""
    image = _image(plan)
    if image is not None:
        disk.keep(key, image.packed())


def _image(plan: NativePlan) -> Image | None:
    """What a plan comes down to; None where that is not one native function and few constants."""
    code = plan.code
    if code is None:
        return None
    pointers = plan.pointers(code)
    results = tuple(None if v is not None else x for v, x in zip(plan.outputs, plan.optimised.outputs, strict=True))
    constants = [what for kind, what in pointers if kind == "constant"]
    constants += [x for x in results if x is not None]
    if sum(x.nbytes for x in constants) > MOST:
        return None
    key = native.object_key(code.ir, plan.host)
    threads = plan.threads if code.shared else 1
    return Image(key, plan.arena.size, code.private, threads, tuple(pointers), results)
