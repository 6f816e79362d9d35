"""A library that mirrors this one, with faults planted where a test wants them: what compares is tested without others.

Agreement with it says nothing of derivatives; that is for tests/peers, where PyTorch, JAX and TensorFlow are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.base.dtypes import FLOAT
from backlit.graph.bind import bind
from backlit.graph.opdef import OPS
from backlit.interop import compare, foreign
from backlit.interop.libraries import Library
from backlit.interop.twins import Without


class Mirror(Library):
    """Runs the ops of this library."""

    name, title = "torch", "Mirror"

    def __init__(self) -> None:
        self.module: Any = None

    @property
    def version(self) -> str:
        return "Mirror 1.0"

    def run(self, f: Callable[..., Any], args: Sequence[Any], wanted: Sequence[bool]) -> Any:
        def moved(*moving: Any) -> list[Any]:
            rest = iter(moving)
            out = f(*(next(rest) if w else x for x, w in zip(args, wanted, strict=True)))
            return list(out) if isinstance(out, (tuple, list)) else [out]

        tensors = [bl.asarray(x) for x, w in zip(args, wanted, strict=True) if w]
        outs = [np.asarray(y.numpy() if isinstance(y, bl.Tensor) else y) for y in moved(*tensors)]
        floats = [i for i, y in enumerate(outs) if y.dtype.char in FLOAT]

        def pull(cotangents: Sequence[Any]) -> list[Any]:
            _, back = bl.vjp(lambda *xs: [moved(*xs)[i] for i in floats], *tensors)
            gs = [np.zeros_like(outs[i]) if cotangents[i] is None else cotangents[i] for i in floats]
            rest = iter(back(gs))
            return [next(rest).numpy() if w else None for w in wanted]

        return outs, pull


class MirrorTwin:
    """The twin of an op: the op, or what a test puts in its place."""

    def __init__(self, name: str, other: Any = None) -> None:
        self.name, self.other = name, other

    def entry(self, library: Library) -> Any:
        return self.other

    def function(self, library: Library) -> Any:
        if isinstance(self.other, Without):
            return None
        return self.other or (lambda *xs, **params: bind(OPS[self.name], xs, params))


def mirrored(patch: pytest.MonkeyPatch, faults: Mapping[str, Any] | None = None) -> None:
    """Let `against="torch"` mean the mirror, with other functions (or `Without`) for some ops."""
    twins = {name: MirrorTwin(name, (faults or {}).get(name)) for name, op in OPS.items() if op.composite is None}
    patch.setattr(compare, "library", lambda name: Mirror())
    patch.setattr(foreign, "TWINS", twins)
    patch.setattr(foreign, "_constant", lambda library, x: x)
