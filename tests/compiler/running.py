"""Runs a single kernel on arrays, outside any plan: for tests of kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from backlit.compiler.codegen.emitter import Emitter
from backlit.compiler.codegen.module import module
from backlit.compiler.codegen.writer import Target
from backlit.compiler.kernels.kernel import Kernel, write
from backlit.compiler.kernels.views import Buffer

WIDE = Target(64, 32)


def _machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


class Runner:
    """A compiled kernel: call it to run it on arrays, in `threads` portions one after another."""

    def __init__(self, kernel: Kernel, target: Target = WIDE) -> None:
        self.kernel = kernel
        pointers = [b.name for b in kernel.buffers] + (["private"] if kernel.private else [])
        emitter = Emitter("kernel", pointers, target)
        text = write(kernel, emitter)
        fetch = [
            f"  %g{i} = getelementptr ptr, ptr %a, i64 {i}\n  %p{i} = load ptr, ptr %g{i}" for i in range(len(pointers))
        ]
        args = "".join(f"ptr %p{i}, " for i in range(len(pointers)))
        entry = "\n".join([
            "define void @entry(ptr %a, i64 %lo, i64 %hi, i64 %tid, i64 %nth) #0 {", *fetch,
            f"  call void @kernel({args}i64 %lo, i64 %hi, i64 %tid, i64 %nth)", "  ret void", "}",
        ])  # fmt: skip
        self.ir = module([text, entry], emitter.declarations, target, llvm.get_default_triple())
        machine = _machine()
        parsed = llvm.parse_assembly(self.ir)
        parsed.verify()
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.run(parsed, builder)
        self.asm = machine.emit_assembly(parsed)
        self._jit = llvm.create_lljit_compiler(_machine())
        library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(parsed)).add_current_process()
        self._held = library.export_symbol("entry").link(self._jit, "kernel")
        self._entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)(self._held["entry"])

    def __call__(self, arrays: Mapping[Buffer, np.ndarray], threads: int = 1) -> None:
        kernel = self.kernel
        places = [arrays[b].ctypes.data for b in kernel.buffers]
        room = np.empty(kernel.private + 64, np.uint8)
        if kernel.private:
            places.append(-(-room.ctypes.data // 64) * 64)
        table = (ctypes.c_void_p * len(places))(*places)
        for t in range(threads):
            self._entry(table, kernel.units * t // threads, kernel.units * (t + 1) // threads, t, threads)
