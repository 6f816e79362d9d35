"""Compiles many functions of `Val`s in one module and calls them on arrays: for tests of mathematics and of facets."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np

from backlit.compiler.codegen.emitter import Emitter
from backlit.compiler.codegen.module import module
from backlit.compiler.codegen.writer import Target

_FEATURES = llvm.get_host_cpu_features().flatten()
#: The widest vectors with everything there is on them; the same without AVX-512's own instructions; narrower ones.
WIDE = Target(64, 32, avx512=all(f"+avx512{part}" in _FEATURES for part in ("f", "vl", "dq", "bw")))
PORTABLE, MIDDLE, NARROW = Target(64, 32), Target(32, 16), Target(16, 16)
#: A processor without fused multiply-add, which LLVM must be told as well.
OLD = Target(16, 16, fma=False)


class Function(NamedTuple):
    """What one lane computes: `write(k, *values)`, from arrays of dtypes `inputs` to one of dtype `output`."""

    write: Callable[..., Any]
    inputs: Sequence[str]
    output: str


class Functions:
    """Compiled functions, by name. Each runs over `count` elements in vectors of `lanes`, the last one masked."""

    def __init__(self, functions: Mapping[str, Function], target: Target, count: int, lanes: int | None = None) -> None:
        self.functions, self.count = dict(functions), count
        self._places = {name: f"f{i}" for i, name in enumerate(self.functions)}
        texts, declarations = [], set()
        for name, function in self.functions.items():
            k = Emitter(self._places[name], [*(f"a{i}" for i in range(len(function.inputs))), "out"], target)
            widest = max((*function.inputs, function.output), key=lambda code: int(code[1:]))
            _write(k, function, count, lanes or target.lanes(widest))
            texts.append(k.finish().replace("define internal", "define"))
            declarations |= k.declarations
        text = module(texts, declarations, target, llvm.get_default_triple())
        machine = _machine(target)
        parsed = llvm.parse_assembly(text)
        parsed.verify()
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.run(parsed, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
        library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(parsed)).add_current_process()
        for place in self._places.values():
            library.export_symbol(place)
        self._jit = llvm.create_lljit_compiler(_machine(target))
        self._held = library.link(self._jit, "functions")

    def __call__(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        function = self.functions[name]
        arrays = tuple(np.ascontiguousarray(a) for a in arrays)
        assert [a.dtype.str[1:] for a in arrays] == list(function.inputs)
        assert all(a.shape == (self.count,) for a in arrays)
        out = np.empty(self.count, np.dtype(function.output))
        places = [a.ctypes.data for a in (*arrays, out)]
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(places), *[ctypes.c_int64] * 4)
        signature(self._held[self._places[name]])(*places, 0, 1, 0, 1)
        return out


def _write(k: Emitter, function: Function, count: int, lanes: int) -> None:
    def once(at: Any, mask: Any) -> None:
        values = [k.load(f"%a{i}", at, code, lanes, mask=mask) for i, code in enumerate(function.inputs)]
        found = k.cast(function.write(k, *values), function.output)
        k.store("%out", at, k.spread(found, function.output, lanes), mask=mask)

    whole = count // lanes * lanes
    with k.loop(0, whole, lanes) as at:
        once(at, None)
    if whole < count:
        once(whole, k.first_lanes(count - whole, lanes))


def _machine(target: Target) -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = _FEATURES
    if not target.fma:
        features = ",".join(
            f"-{f[1:]}" if f[1:].startswith(("fma", "avx", "f16c", "xop", "vaes", "vpclmulqdq")) else f
            for f in features.split(",")
        )
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
