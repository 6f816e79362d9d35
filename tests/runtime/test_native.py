"""IR to addresses: what runs, what is refused and how, and that narrower vectors are really narrower."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from backlit.base.errors import ArgumentError, BacklitError
from backlit.runtime import llvm, native
from backlit.runtime.host import Host, _shaped, narrowed
from backlit.runtime.memory import data_pointer
from backlit.runtime.threads import barrier_ir, has_futex, pool_ir

SCALE = """
define void @scale(ptr %a, i64 %tid, i64 %nth, ptr %bar) {
  %slot = alloca <16 x float>, align 64
  %v = load <16 x float>, ptr %a, align 4
  store <16 x float> %v, ptr %slot, align 64
  %w = load <16 x float>, ptr %slot, align 64
  %x = fmul <16 x float> %w, splat (float 1.25)
  store <16 x float> %x, ptr %a, align 4
  ret void
}
"""


def call(address: int, array: np.ndarray) -> None:
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(data_pointer(array))


def test_compiled_code_runs(machine: Host) -> None:
    array = np.arange(16, dtype=np.float32)
    loaded = native.load(native.compile_object(SCALE, machine), ["scale"])
    call(loaded.address("scale"), array)
    np.testing.assert_array_equal(array, np.arange(16, dtype=np.float32) * np.float32(1.25))


def test_allocas_become_registers(machine: Host) -> None:
    assembly = native.emit_assembly(SCALE, machine)
    body = assembly[assembly.index("scale:") : assembly.index("ret")]
    assert not re.search(r"[(\[](%?rsp|%?rbp|sp)\b", body), "sroa leaves no memory on the stack"


def test_constants_are_operands(machine: Host) -> None:
    if machine.triple.startswith("x86_64"):  # the small code model
        assert "(%rip)" in native.emit_assembly(SCALE, machine)


def test_code_calls_the_process(machine: Host) -> None:
    ir = """
    declare ptr @memcpy(ptr, ptr, i64)
    define void @copy(ptr %a) {
      %to = getelementptr i8, ptr %a, i64 8
      %ignored = call ptr @memcpy(ptr %to, ptr %a, i64 8)
      ret void
    }"""
    array = np.array([7, 0])
    loaded = native.load(native.compile_object(ir, machine), ["copy"])
    call(loaded.address("copy"), array)
    assert array.tolist() == [7, 7]


def test_what_does_not_parse_is_shown(machine: Host) -> None:
    with pytest.raises(BacklitError, match=r"(?s)<string>:3:.*     3    %b = fadd i32 %a, 1"):
        native.compile_object("define i32 @f(i32 %a) {\nentry:\n  %b = fadd i32 %a, 1\n  ret i32 %b\n}", machine)


def test_what_does_not_verify_is_shown(machine: Host) -> None:
    ir = """define i32 @f(i1 %c) {
      br i1 %c, label %b, label %d
    b:
      %x = add i32 1, 2
      br label %d
    d:
      ret i32 %x
    }"""
    with pytest.raises(BacklitError, match=r"(?s)does not dominate.*     4        %x = add i32 1, 2"):
        native.compile_object(ir, machine)


def test_missing_symbols_are_errors(machine: Host) -> None:
    code = native.compile_object(
        "declare void @nowhere()\ndefine void @f() { call void @nowhere()\n ret void }", machine
    )
    with pytest.raises(BacklitError, match="does not link"):
        native.load(code, ["f"])
    with pytest.raises(BacklitError, match="absent"):
        native.load(native.compile_object(SCALE, machine), ["absent"])


def test_what_is_no_object_code_is_refused(machine: Host) -> None:
    with pytest.raises(BacklitError, match="does not link"):
        native.load(b"no object code", ["f"])


def test_code_is_unloaded_with_its_last_user(machine: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    unlinked: list[int] = []
    unlink = llvm.Linker.unlink
    monkeypatch.setattr(llvm.Linker, "unlink", lambda self, handle: (unlinked.append(handle), unlink(self, handle)))
    code = native.compile_object(SCALE, machine)
    for _ in range(50):
        loaded = native.load(code, ["scale"])
        gone = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert gone() is None
    assert len(unlinked) == 50


def test_threads_compile_and_load_at_once(machine: Host) -> None:
    results: list[float] = []

    def work(k: int) -> None:
        array = np.ones(16, np.float32)
        loaded = native.load(native.compile_object(SCALE.replace("1.25", f"{k}.5"), machine), ["scale"])
        call(loaded.address("scale"), array)
        results.append(float(array[3]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [k + 0.5 for k in range(8)]


def test_second_process_finds_the_object(machine: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    first = native.cached_object(SCALE, machine)
    monkeypatch.setattr(native, "compile_object", lambda ir, host: pytest.fail("it is in the cache"))
    assert native.cached_object(SCALE, machine) == first


# --- the host --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("triple", "features", "width", "registers"),
    [
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,+avx512bw,+avx512dq,+avx512f,+avx512vl,+fma,+sse2", 64, 32),
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,-avx512f,+fma,+sse2", 32, 16),
        ("x86_64-unknown-linux-gnu", "+avx,-avx2,-fma,+sse2", 16, 16),
        ("aarch64-unknown-linux-gnu", "+neon,+sve", 16, 32),
        ("arm64-apple-darwin23", "+neon", 16, 32),
    ],
)
def test_shape_of_vectors(triple: str, features: str, width: int, registers: int) -> None:
    found = _shaped(triple, "some", features)
    assert (found.vector_bytes, found.vector_registers) == (width, registers)
    assert found.has("neon") == ("+neon" in features)


@pytest.mark.parametrize("width", [16, 32, 64])
def test_narrower_vectors(machine: Host, width: int) -> None:
    if width > machine.vector_bytes:
        pytest.skip("this machine has no such vectors")
    narrow = narrowed(machine, str(width))
    assert narrow.vector_bytes == width
    assert narrow.has("fma") == (machine.has("fma") and width > 16)
    assembly = native.emit_assembly(SCALE, narrow)
    beyond = {16: r"%[yz]mm", 32: r"%zmm|%k[0-7]|%[xy]mm(1[6-9]|[23]\d)", 64: r"$^"}[width]
    assert not re.search(beyond, assembly)
    array = np.ones(16, np.float32)
    loaded = native.load(native.compile_object(SCALE, narrow), ["scale"])
    call(loaded.address("scale"), array)
    assert array.tolist() == [1.25] * 16


@pytest.mark.parametrize("wanted", ["8", "24", "wide", "128"])
def test_widths_that_there_are_not(machine: Host, wanted: str) -> None:
    with pytest.raises(ArgumentError, match=f"BACKLIT_VECTOR_BYTES={wanted}: this machine"):
        narrowed(machine, wanted)


OTHERS = [
    ("aarch64-unknown-linux-gnu", "neoverse-n1", "isb", "svc|syscall"),
    ("arm64-apple-darwin23", "apple-m1", "isb", "pthread_cond_wait"),
    ("x86_64-apple-darwin23", "haswell", "pause", "pthread_cond_wait"),
    ("x86_64-unknown-linux-musl", "x86-64", "pause", "syscall"),
    ("riscv64-unknown-linux-gnu", "generic-rv64", "pthread", "pthread_cond_wait"),
]


@pytest.mark.parametrize(("triple", "cpu", "pause", "parking"), OTHERS)
def test_the_pool_compiles_for_other_machines(machine: Host, triple: str, cpu: str, pause: str, parking: str) -> None:
    other = _shaped(triple, cpu, "")
    pool = native.emit_assembly(pool_ir(triple, has_futex(triple)), other)
    assert re.search(parking, pool)
    assert pause in pool
    caller = "define void @entry(ptr %a, i64 %t, i64 %n, ptr %b) { call void @barrier(ptr %b, i64 %n)\n ret void }"
    assert "sched_yield" in native.emit_assembly(barrier_ir(triple) + caller, other)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"BACKLIT_LLVM": "0"}, "None"),
        ({"BACKLIT_VECTOR_BYTES": "16"}, "16"),
        ({"BACKLIT_VECTOR_BYTES": "1"}, "BACKLIT_VECTOR_BYTES=1: this machine"),
    ],
)
def test_settings_of_the_host(machine: Host, settings: dict[str, str], shown: str) -> None:
    code = "from backlit.runtime.host import host; found = host(); print(found and found.vector_bytes)"
    environment = {**os.environ, **settings}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert shown in done.stdout + done.stderr


def test_c_functions_are_declared_as_llvmlite_declares_them(machine: Host) -> None:
    """The library is called past llvmlite's Python half: this is what notices when a new version changes a function."""
    from llvmlite.binding import ffi

    def kind(declared: object) -> object:
        if declared is None or declared in (ctypes.c_bool, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int):
            return declared
        return "pointer"

    for name, (result, *arguments) in llvm._SIGNATURES.items():
        theirs = getattr(ffi.lib, name)
        if theirs.argtypes is not None:  # some of those without arguments are left undeclared
            assert [*map(kind, theirs.argtypes)] == [*map(kind, arguments)], name
            assert kind(theirs.restype) == kind(result) or result in (None, ctypes.c_int), name
