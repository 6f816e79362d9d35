"""Checksums of saved values: under `settings(check=True)` a value changed in place after it was saved is found."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .node import Node
from .opdef import OpDef

#: Where a saved value is found: the position of an input, or of an output counted from -1 down.
Seal = dict[int, int]


def fingerprint(array: Any) -> int:
    """CRC-32 of the bytes of an array."""
    return zlib.crc32(np.ascontiguousarray(array).data)


def seal(op: OpDef, values: Sequence[Any], out: Any) -> Seal:
    """Checksums of what the derivative of a call of `op` needs; scalars cannot change and have none."""
    found = {i: v for i, v in enumerate(values) if op.saves_input(i)}
    if op.saves_out:
        found.update((-1 - i, o) for i, o in enumerate(out if op.results is not None else (out,)))
    return {i: fingerprint(v) for i, v in found.items() if isinstance(v, np.ndarray)}


def broken(node: Node) -> Iterator[str]:
    """The names of the values of a sealed node that are no longer what they were."""
    for i, before in getattr(node, "seal", {}).items():
        if i < 0:
            value = node.value if node.op.results is None else node.value[-1 - i]
            name = "its result"
        else:
            x = (node.inputs or ())[i]
            value = x.value if isinstance(x, Node) else x
            names = node.op.input_names
            name = f"its input {names[min(i, len(names) - 1)]}" if names else f"its input {i}"
        if fingerprint(value) != before:
            yield name
