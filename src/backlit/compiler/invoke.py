"""The way from Python into a native plan: a function written for the plan, line by line, so that a call costs little.

Numbers go to places that the plan keeps; of arrays only the address is taken. A result goes to memory that an earlier
call handed out if nobody holds that any more, and so is in the caches and needs no page from the system.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..runtime import pool
from ..runtime.memory import ALIGNMENT, aligned, data_pointer
from ..runtime.native import Loaded
from .kernels.views import Buffer, View


@cache
def _free() -> tuple[int, int]:
    """What `sys.getrefcount` says of a result that only the list of rooms and the asker hold, and of its base.

    Every view of a result refers not to the result but to its base, the owner of the memory, so both must be asked.
    Counted, as interpreters differ in it.
    """
    rooms = [_maker(View.whole(Buffer("counted", "f4", 8), (8,)))()]
    r = rooms[0]
    return sys.getrefcount(r), sys.getrefcount(r.base)


class Entry:
    """One native function of a plan, and which of its pointers change from call to call.

    Attributes:
        run: takes the address of the table.
        table: the pointers.
        inputs, outputs: (place in the table, number of the input or output).
        threads: how many threads run it.
        held: what must live as long.
    """

    def __init__(self, run: Callable[[int], None], size: int, threads: int) -> None:
        self.run, self.threads = run, threads
        self.table = np.zeros(size, np.uintp)
        self.inputs: list[tuple[int, int]] = []
        self.outputs: list[tuple[int, int]] = []
        self.held: list[Any] = []


#: What a native function is given in one place: ("input", its number), ("output", its number), ("constant", an array),
#: or ("status", 0), where it notes that an index was out of range.
Pointer = tuple[str, Any]


def entered(loaded: Loaded, threads: int, pointers: Sequence[Pointer], status: np.ndarray[Any, Any]) -> Entry:
    """The way into loaded code, its table filled with what stays the same.

    Args:
        loaded: code with a function `entry`.
        threads: how many run it.
        pointers: what it is given, after the arena and the private memory.
        status: an array of one int64.
    """
    address = loaded.address("entry")
    run = pool.direct(address) if threads == 1 else lambda table: pool.run(address, table, threads)
    entry = Entry(run, 2 + len(pointers), threads)
    entry.held.append(loaded)
    for slot, (kind, what) in enumerate(pointers, 2):
        if kind == "input":
            entry.inputs.append((slot, what))
        elif kind == "output":
            entry.outputs.append((slot, what))
        else:
            array = status if kind == "status" else what
            entry.held.append(array)
            entry.table[slot] = data_pointer(array)
    return entry


def written(
    program: Sequence[Any], inputs: Sequence[View], outputs: Sequence[View | None], constants: Sequence[Any],
    donated: dict[int, int], compute: Callable[[Any, Sequence[Any], Sequence[Any]], None] | None,
    after: Callable[[], None] | None, lock: Any,
) -> Callable[[Sequence[Any]], list[Any]]:  # fmt: skip
    """The function from input values to output values.

    Args:
        program: entries, and steps that `compute(step, inputs, outputs)` does (None where there are no such steps).
        inputs, outputs: the views of arguments and results; None for a result that is a constant.
        constants: what such results are.
        donated: output number -> number of the input in whose memory it is.
        after: called after each run, to raise what the native code could not.
    """
    names: dict[str, Any] = {
        "ndarray": np.ndarray, "contiguous": np.ascontiguousarray, "pointer": data_pointer, "count": sys.getrefcount,
        "moved": _moved,
        "compute": compute, "acquire": lock.acquire, "release": lock.release, "after": after, "held": program,
    }  # fmt: skip
    head: list[str] = []
    body: list[str] = []
    dynamic = {i for e in program if isinstance(e, Entry) for _, i in e.inputs}
    calls = any(not isinstance(e, Entry) for e in program)
    if inputs:
        head.append(f"{', '.join(f'v{i}' for i in range(len(inputs)))}, = values")
    for i, view in enumerate(inputs):
        if not view.shape:
            names[f"s{i}"] = np.zeros((), np.dtype(view.buffer.code))
            body += [f"s{i}[()] = v{i}", f"v{i} = s{i}"]
        elif i in dynamic or calls or i in donated.values():
            head.append(f"if v{i}.__class__ is not ndarray or not v{i}.flags.c_contiguous: v{i} = contiguous(v{i})")
            if i in donated.values() and view.buffer.nbytes >= ALIGNMENT:
                head.append(f"if pointer(v{i}) % {ALIGNMENT}: v{i} = moved(v{i})")
    rooms: list[Any] = []
    names["rooms"] = rooms
    for i, view in enumerate(outputs):
        if view is None:
            names[f"r{i}_"] = constants[i]
            body.append(f"r{i} = r{i}_")
        elif i in donated:
            body.append(f"r{i} = v{donated[i]}")
        elif not view.shape:
            names[f"r{i}_"] = np.zeros((), np.dtype(view.buffer.code))
            body.append(f"r{i} = r{i}_")
        else:
            names[f"room{i}"] = _maker(view)
            rooms.append(names[f"room{i}"]())
            n = len(rooms) - 1
            own, base = _free()
            held = f"count(r{i}) != {own} or count(r{i}.base) != {base}"
            body += [f"r{i} = rooms[{n}]", f"if {held}: r{i} = rooms[{n}] = room{i}()"]
    values, results = (f"({''.join(f'{x}{i}, ' for i in range(len(xs)))})" for x, xs in (("v", inputs), ("r", outputs)))
    for n, step in enumerate(program):
        if not isinstance(step, Entry):
            names[f"step{n}"] = step
            body.append(f"compute(step{n}, {values}, {results})")
            continue
        names[f"t{n}"], names[f"run{n}"] = step.table.data, step.run
        for slot, i in step.inputs:
            if inputs[i].shape:
                body.append(f"t{n}[{slot}] = pointer(v{i})")
            else:
                step.table[slot] = data_pointer(names[f"s{i}"])
        for slot, i in step.outputs:
            view = outputs[i]
            if view is not None and not view.shape:
                step.table[slot] = data_pointer(names[f"r{i}_"])
            else:
                body.append(f"t{n}[{slot}] = pointer(r{i})")
        body.append(f"run{n}({data_pointer(step.table)})")
    if after is not None:
        body.append("after()")
    given = ", ".join(f"r{i}[()]" if v is not None and not v.shape else f"r{i}" for i, v in enumerate(outputs))
    body.append(f"return [{given}]")
    lines = [
        "def call(values):", *(f"    {line}" for line in head), "    acquire()", "    try:",
        *(f"        {line}" for line in body), "    finally:", "        release()", "",
    ]  # fmt: skip
    exec(compile("\n".join(lines), "<call of a plan>", "exec"), names)
    return names["call"]


def _moved(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A donated array at a multiple of a cache line: once moved, it stays so from call to call."""
    room = aligned(array.nbytes).view(array.dtype).reshape(array.shape)
    room[...] = array
    return room


def _maker(view: View) -> Callable[[], np.ndarray[Any, Any]]:
    """What makes new memory for a result, at a multiple of a cache line."""
    dtype, shape = np.dtype(view.buffer.code), view.shape

    def make() -> np.ndarray[Any, Any]:
        room = aligned(int(np.prod(shape)) * dtype.itemsize)
        return np.ndarray(shape, dtype, room)

    return make
