"""A native entry as a builtin function of CPython, which costs 50 ns to call where ctypes costs 300.

CPython calls a builtin made with `METH_O` as `PyObject *f(PyObject *self, PyObject *argument)`. One such function is
written here in LLVM IR; `self` is the address of the entry as a Python integer, so all entries share it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from . import native
from .host import host

_IR = """
declare ptr @PyLong_AsVoidPtr(ptr) nounwind
declare ptr @PyErr_Occurred() nounwind
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr) nounwind
@_Py_NoneStruct = external global i8

define ptr @backlit_call(ptr %self, ptr %argument) {
  %entry = call ptr @PyLong_AsVoidPtr(ptr %self)
  %args = call ptr @PyLong_AsVoidPtr(ptr %argument)
  %zero = icmp eq ptr %args, null
  br i1 %zero, label %ask, label %run
ask:
  %error = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %error, null
  br i1 %failed, label %fail, label %run
fail:
  ret ptr null
run:
  %thread = call ptr @PyEval_SaveThread()
  call void %entry(ptr %args, i64 0, i64 1, ptr null)
  call void @PyEval_RestoreThread(ptr %thread)
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
}
"""


class _Definition(ctypes.Structure):
    """CPython's `PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_METH_O = 0x0008


@cache
def _maker() -> Callable[[int], Callable[[int], None]]:
    """The function that makes builtins. What it closes over must live as long as they do: as the process."""
    machine = host()
    assert machine is not None, "an entry has been compiled, so there is LLVM"
    loaded = native.load(native.cached_object(_IR, machine), ["backlit_call"])
    definition = _Definition(b"run", loaded.address("backlit_call"), _METH_O, b"run(args): run a native plan.")
    make: Any = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    kept = loaded, definition

    def made(entry: int) -> Callable[[int], None]:
        return make(ctypes.addressof(kept[1]), entry, None)

    return made


def builtin(entry: int) -> Callable[[int], None]:
    """A builtin `run(args)` that runs `entry(args, 0, 1, NULL)` with the GIL released. For CPython on POSIX only."""
    return _maker()(entry)
