"""llvmlite's shared library called by its C names, for what a cached plan needs to start.

`import llvmlite.binding` takes 20 ms, of which opening the library is 4: the rest is Python that a plan found in the
disk cache has no use for. So the description of the host and the linking of object code call the library directly;
compiling, where 16 ms more are nothing, uses `llvmlite.binding` (`native.py`). Both share one library: the dynamic
loader opens a file once.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from threading import RLock
from typing import Any, NamedTuple

from ..base.errors import BacklitError


class Library(NamedTuple):
    """llvmlite's library, open, with the native target registered."""

    c: ctypes.CDLL
    version: str


@cache
def library() -> Library | None:
    """The open library; None where llvmlite cannot be imported or `BACKLIT_LLVM=0` forbids it."""
    if os.environ.get("BACKLIT_LLVM") == "0":
        return None
    try:
        import llvmlite
        from llvmlite.utils import get_library_name

        c = ctypes.CDLL(os.path.join(llvmlite.__path__[0], "binding", get_library_name()))
    except (ImportError, OSError):
        return None
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(c, name)
        function.restype, function.argtypes = result, arguments
    c.LLVMPY_InitializeNativeTarget()
    c.LLVMPY_InitializeNativeAsmPrinter()
    return Library(c, llvmlite.__version__)


def version() -> str:
    """llvmlite's version: object code of one is not taken for that of another."""
    return _open().version


class _Element(ctypes.Structure):
    """One thing to link: kind 2 is an object file in memory, kind 3 a library by name ("" is the process itself)."""

    _fields_ = (("kind", ctypes.c_uint8), ("value", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Symbol(ctypes.Structure):
    """A name, and the address that linking gave it."""

    _fields_ = (("name", ctypes.c_char_p), ("address", ctypes.c_uint64))


_TEXT = ctypes.POINTER(ctypes.c_char_p)
_P = ctypes.c_void_p
#: The functions used: the result, then the arguments. As in llvmlite 0.46 to 0.50; `tests/runtime` compares with
#: what `llvmlite.binding` declares.
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "LLVMPY_InitializeNativeTarget": (ctypes.c_int,),
    "LLVMPY_InitializeNativeAsmPrinter": (ctypes.c_int,),
    "LLVMPY_GetHostCPUName": (None, _TEXT),
    "LLVMPY_GetHostCPUFeatures": (ctypes.c_int, _TEXT),
    "LLVMPY_GetProcessTriple": (None, _TEXT),
    "LLVMPY_DisposeString": (None, ctypes.c_char_p),
    "LLVMPY_CreateLLJITCompiler": (_P, _P, ctypes.c_bool, ctypes.c_bool, _TEXT),
    "LLVMPY_LLJIT_Link": (
        _P, _P, ctypes.c_char_p, ctypes.POINTER(_Element), ctypes.c_size_t, ctypes.POINTER(_Symbol), ctypes.c_size_t,
        ctypes.POINTER(_Symbol), ctypes.c_size_t, _TEXT,
    ),
    "LLVMPY_LLJIT_Dylib_Tracker_Dispose": (ctypes.c_bool, _P, _TEXT),
}  # fmt: skip


def text(function: Any, *arguments: Any) -> str:
    """What a function writes through its last argument, a `char **`."""
    out = ctypes.c_char_p()
    function(*arguments, ctypes.byref(out))
    try:
        return (out.value or b"").decode()
    finally:
        if out:
            _open().c.LLVMPY_DisposeString(out)


def _open() -> Library:
    found = library()
    if found is None:
        raise BacklitError("native code was asked for where there is no LLVM: llvmlite is missing, or BACKLIT_LLVM=0")
    return found


class Linker:
    """One linker (ORC's LLJIT) for the process: links object code into memory and says where the symbols are.

    JITLink places all sections of an object side by side, so code may use the small code model, in which a constant
    is an operand of the instruction that needs it instead of an address to be loaded first.
    """

    def __init__(self) -> None:
        self._c = _open().c
        self._lock = RLock()  # re-entrant: the garbage collector may unlink while this thread links
        self._linked = 0
        out = ctypes.c_char_p()
        self._jit = self._c.LLVMPY_CreateLLJITCompiler(None, False, True, ctypes.byref(out))
        if not self._jit:
            raise BacklitError(f"LLVM cannot link on this machine: {(out.value or b'').decode()}")
        if hasattr(os, "register_at_fork"):  # no fork while another thread links
            release = self._lock.release
            os.register_at_fork(before=self._lock.acquire, after_in_parent=release, after_in_child=release)

    def link(self, code: bytes, names: Sequence[str]) -> tuple[int, list[int]]:
        """The handle of the linked code (for `unlink`), and the address of each name."""
        elements = (_Element * 2)(_Element(2, code, len(code)), _Element(3, b"", 0))
        symbols = (_Symbol * len(names))(*[_Symbol(name.encode(), 0) for name in names])
        out = ctypes.c_char_p()
        with self._lock:
            self._linked += 1  # the name of a library cannot be used again
            library = b"backlit-%d" % self._linked
            handle = self._c.LLVMPY_LLJIT_Link(
                self._jit, library, elements, 2, None, 0, symbols, len(names), ctypes.byref(out)
            )
        if not handle:
            raise BacklitError(f"object code does not link: {(out.value or b'').decode()}")
        return handle, [symbol.address for symbol in symbols]

    def unlink(self, handle: int) -> None:
        """Give the memory of linked code back. Its addresses must not be used any more."""
        out = ctypes.c_char_p()
        with self._lock:
            self._c.LLVMPY_LLJIT_Dylib_Tracker_Dispose(handle, ctypes.byref(out))


@cache
def linker() -> Linker:
    """The linker of this process, made when first needed."""
    return Linker()
