"""`Node`: one value of the graph, how it was made, and the line of the user's code that made it."""

from __future__ import annotations

import contextlib
import os.path
import sys
import weakref
from collections.abc import Iterator
from itertools import count
from types import CodeType
from typing import Any, NamedTuple

from .opdef import OpDef, Spec

_serial = count()
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_inside: dict[str, bool] = {}

Place = tuple[CodeType, int]


class Node:
    """One value of the graph.

    Attributes:
        op: the record of the op that makes the value.
        inputs: for each input a Node, or the value itself where it is a constant; None once freed.
        params: the static parameters, in canonical form.
        value: the value where it is kept (leaves, and what a derivative or an explanation needs), else None.
        like: anything with the value's `shape` and `dtype`: the value itself, or a `Spec`; for an op
            with several outputs a tuple of them.
        place: code object and instruction that called the op.
        serial: nodes are numbered as they are made, so that this order is a topological one.
        origin: for a node of a derivative, the forward node it belongs to.
        owner: for a leaf, a weak reference to the Tensor whose `.grad` it feeds.
        graph: the static graph that the node belongs to, if any.
        name: a name given by the user or by the static graph.
        seal: checksums of the values saved; not set unless they are to be checked.
        notes: for what a network or a loop returned, which nodes the calls of its layers (`nn.passes.Called`) and its
            turns (`Turn`) made; not set otherwise.
    """

    __slots__ = (
        "__weakref__", "graph", "inputs", "like", "name", "notes", "op", "origin", "owner", "params", "place", "seal",
        "serial", "value",
    )  # fmt: skip

    def __init__(
        self,
        op: OpDef,
        inputs: tuple[Any, ...] | None,
        params: dict[str, Any],
        value: Any,
        like: Any,
        place: Place | None = None,
        origin: Any = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params
        self.value = value
        self.like = like
        self.place = place
        self.serial = next(_serial)
        self.origin: Node | None = None if origin is True else origin
        self.owner: weakref.ref[Any] | None = None
        self.graph: Any = None
        self.name: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.like.shape

    @property
    def dtype(self) -> Any:
        return self.like.dtype

    @property
    def ndim(self) -> int:
        return len(self.like.shape)

    @property
    def spec(self) -> Spec:
        return Spec(self.like.shape, self.like.dtype)

    @property
    def parents(self) -> Iterator[Node]:
        """The inputs that are nodes."""
        return (x for x in self.inputs or () if isinstance(x, Node))

    @property
    def line(self) -> str:
        """Where the user called the op, such as `train.py:12` or `line 2 of a cell`; empty where it is not known."""
        node = self if self.place is not None or self.origin is None else self.origin
        return line_of(node.place)

    @property
    def label(self) -> str:
        """A short name for messages: the user's own, or the op's, and the line."""
        line = self.line
        if self.origin is not None:
            what = f"{self.op.name} (derivative of {self.origin.op.name})"
        else:
            what = f"{self.name!r} ({self.op.name})" if self.name else self.op.name
        return f"{what} at {line}" if line else what

    def __repr__(self) -> str:
        return f"<node {self.serial}: {self.label}>"


def line_of(place: Place | None) -> str:
    """A place in the user's code for messages: `train.py:12`, or `line 2 of a cell`; empty where it is not known."""
    if place is None:
        return ""
    code, instruction = place
    if code.co_filename.startswith("<frozen"):  # Python's own, which runs a module as a program
        return ""
    lines = [line for start, end, line in code.co_lines() if start <= instruction < end and line]
    line = lines[0] if lines else code.co_firstlineno
    folder, file = os.path.split(code.co_filename)
    # The cells of a notebook are files that the kernel names by a hash, which tells nobody anything.
    return f"line {line} of a cell" if os.path.basename(folder).startswith("ipykernel_") else f"{file}:{line}"


def mark() -> int:
    """A number between the serials of the nodes made before and after this call."""
    return next(_serial)


class Turn(NamedTuple):
    """One turn of a loop: the nodes with serials from `start` up to `stop` are of it."""

    loop: str
    number: int
    start: int
    stop: int


def note(node: Node, notes: list[Any]) -> None:
    """Hang on a node what is known of the nodes that it was computed from."""
    node.notes = [*getattr(node, "notes", ()), *notes]


def caller() -> Place | None:
    """The nearest frame outside this package, as (code, instruction); frames themselves are not kept."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        known = _inside.get(file)
        if known is None:  # contextlib calls what is decorated with `no_grad()`
            known = _inside[file] = file.startswith(_PACKAGE) or file == contextlib.__file__
        if not known:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return None
