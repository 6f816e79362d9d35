"""`StoredPlan`: a plan found in the disk cache. It runs at once; what else one asks of it is worked out then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.graph import Graph
from ..runtime import native
from ..runtime.host import Host
from ..runtime.memory import aligned, data_pointer
from .codegen.values import code_of
from .image import Image
from .invoke import entered, written
from .kernels.views import Buffer, View

if TYPE_CHECKING:
    from .native_plan import NativePlan


class StoredPlan:
    """A plan that runs an image.

    It has every attribute that a `NativePlan` has: those of the plan `whole`.

    Args:
        graph, host, threads, donated, name: as of `NativePlan`.
        image: found on disk under the key of that graph.
        code: its object code.
    """

    def __init__(
        self, graph: Graph, host: Host, threads: int, donated: Mapping[int, int], name: str, image: Image, code: bytes
    ) -> None:
        self.graph, self.name = graph, name
        self._made_from = (graph, host, threads, donated, name)
        self._noted = np.zeros(1, np.int64)
        entry = entered(native.load(code, ["entry"]), image.threads, image.pointers, self._noted)
        self._memory = aligned(image.arena + 64), aligned(image.private * image.threads + 64)
        entry.table[:2] = [data_pointer(m) for m in self._memory]
        inputs = [_whole(n, "input") for n in graph.inputs]
        ends = zip(graph.outputs, image.results, strict=True)
        outputs = [None if x is not None else _whole(o, "output") for o, x in ends]
        watched = any(kind == "status" for kind, _ in image.pointers)
        self._call = written(
            [entry], inputs, outputs, image.results, dict(donated), None, self._check if watched else None, Lock()
        )

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs, in order. Calls from several threads wait for one another."""
        return self._call(values)

    def _check(self) -> None:
        """Raise the error for an index that was out of range."""
        if self._noted[0]:
            number, self._noted[0] = int(self._noted[0]), 0
            self.whole.refuse(number)

    @cached_property
    def whole(self) -> NativePlan:
        """The plan with its kernels, lowered anew."""
        from .native_plan import NativePlan

        return NativePlan(*self._made_from)

    @property
    def source(self) -> str:
        """The plan as loops to read."""
        return self.whole.source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.whole, name)

    def __repr__(self) -> str:
        return repr(self.whole)


def _whole(like: Any, kind: str) -> View:
    return View.whole(Buffer(kind, code_of(like.dtype), max(1, prod(like.shape)), kind), like.shape)
