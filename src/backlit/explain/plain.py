"""Plain text: figures, columns, lines that fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import numpy as np

from .contributions import inner
from .symbols import number

#: No line is longer.
WIDTH = 100


def figure(x: Any) -> str:
    """A single number as it is, of an array its norm: `0.25`, `‖3.2‖`."""
    if x is None:
        return "0"
    if isinstance(x, (tuple, list)):
        return "several"
    a = np.asarray(x)
    if a.size == 1:
        return number(a.reshape(())) if a.dtype.kind in "fiub" else f"{a.reshape(())[()]:.4g}"
    return f"‖{sqrt(inner(a, a)):.4g}‖"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text; a column that is empty is left out."""
    kept = [c for c in zip(*rows, strict=True) if any(c[1:])]
    wide = [max(map(len, c)) for c in kept]
    lines = ("   ".join(f"{cell:{w}}" for cell, w in zip(row, wide, strict=True)) for row in zip(*kept, strict=True))
    lines = (f"  {line}".rstrip() for line in lines)
    return "\n".join(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines)


def wrapped(line: str, indent: int, more: int | None = None) -> list[str]:
    """A line cut at spaces so that it fits; what follows is indented by `more`."""
    more = indent if more is None else more
    lines, room = [" " * indent], WIDTH
    for word in _words(line):
        if len(lines[-1]) + len(word) > room and lines[-1].strip():
            lines.append(" " * more)
            word = word.lstrip()
        lines[-1] += word
    return [x.rstrip() for x in lines]


def _words(line: str) -> Iterable[str]:
    start = 0
    for i, c in enumerate(line):
        if c == " " and i > start and line[i - 1] != " ":
            yield line[start:i]
            start = i
    yield line[start:]
