"""LLVM IR text to object code, and object code to addresses that can be called.

Code arrives with explicit vectors and its values in SSA form or simple allocas, so one pass (`sroa`, which makes values
of the allocas) is all the optimiser it needs; instruction selection and register allocation run at level 3.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any

from ..base.errors import BacklitError
from . import cache, llvm
from .host import Host


def compile_object(ir: str, host: Host) -> bytes:
    """The object file of a module. Raises `BacklitError` with the line of IR that LLVM refuses."""
    machine, _ = _machine(host.triple, host.cpu, host.features)
    module = _module(ir, host)
    with _addresses_as_written():
        return machine.emit_object(module)


def cached_object(ir: str, host: Host) -> bytes:
    """`compile_object`, or what the disk cache kept of it from this process or another."""
    return cache.cached(object_key(ir, host), lambda: compile_object(ir, host))


def object_key(ir: str, host: Host) -> str:
    """Under what the disk cache keeps the object file of a module."""
    return cache.digest(ir, *host[:3], llvm.version(), _OPTIONS)


def emit_assembly(ir: str, host: Host) -> str:
    """The assembly of the code that `compile_object` makes, for reading."""
    machine, _ = _machine(host.triple, host.cpu, host.features)
    module = _module(ir, host)
    with _addresses_as_written():
        return machine.emit_assembly(module)


@contextmanager
def _addresses_as_written() -> Iterator[None]:
    """Without LLVM's loop strength reduction: addresses come in the form that suits the loops, and it takes a third to
    two thirds of the time of code generation. The option belongs to the process, so it is put back for other users.
    """
    import llvmlite.binding as binding

    with _OPTION:
        binding.set_option("", f"{_OPTIONS}=true")
        try:
            yield
        finally:
            binding.set_option("", f"{_OPTIONS}=false")


#: What is set while code is generated, and what holds meanwhile.
_OPTIONS = "-disable-lsr"
_OPTION = RLock()


class Loaded:
    """Object code in memory. Its addresses are good for as long as this object lives."""

    def __init__(self, handle: int, addresses: dict[str, int]) -> None:
        self._addresses = addresses
        # Not at exit: other threads may still be running the code then.
        weakref.finalize(self, llvm.linker().unlink, handle).atexit = False

    def address(self, name: str) -> int:
        """Where the function or global `name` is; one of the names given to `load`."""
        return self._addresses[name]


def load(object_code: bytes, names: Sequence[str]) -> Loaded:
    """Link object code against this process. Raises `BacklitError` for a name that nobody defines."""
    handle, addresses = llvm.linker().link(object_code, names)
    return Loaded(handle, dict(zip(names, addresses, strict=True)))


@lru_cache(8)
def _machine(triple: str, cpu: str, features: str) -> tuple[Any, str]:
    """LLVM's target machine, and the line of IR that makes a module fit it."""
    import llvmlite.binding as binding

    binding.initialize_all_targets()  # of other machines too: their code can be read and tested here
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(cpu, features, opt=3, reloc="pic", codemodel="small", jit=True)
    return machine, f'target datalayout = "{machine.target_data}" target triple = "{triple}" '


def _module(ir: str, host: Host) -> Any:
    """The module, parsed, verified and with `sroa` done, in a context of its own."""
    import llvmlite.binding as binding

    machine, header = _machine(host.triple, host.cpu, host.features)
    try:
        # The header stands in the first line, so that lines in messages are lines of the text.
        module = binding.parse_assembly(header + ir, binding.create_context())
        module.verify()
    except RuntimeError as error:
        raise BacklitError(_refused(ir, str(error))) from error
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options())
    passes = binding.create_new_function_pass_manager()
    passes.add_sroa_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    return module


def _refused(ir: str, message: str) -> str:
    """LLVM's message with the lines around the place that it names by number, or by quoting an instruction."""
    told = f"LLVM refuses the code that Backlit wrote, which is a fault of Backlit: {message.strip()}"
    lines = ir.splitlines()
    place = re.search(r"<string>:(\d+):\d+:", message)
    quoted = {line.strip() for line in message.splitlines()[1:]}
    near = int(place[1]) - 1 if place else next((n for n, line in enumerate(lines) if line.strip() in quoted), None)
    if near is None:
        return told
    first = max(near - 3, 0)
    return "\n".join([told, *(f"{n:6}  {line}" for n, line in enumerate(lines[first : near + 2], first + 1))])
