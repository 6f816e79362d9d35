"""Padding at the edges of an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.errors import ArgumentError, ShapeError
from ..graph.op import composite, op
from ..graph.opdef import Spec
from .index import place, take
from .indexing import Cut, Index
from .operands import integers, operand

Width = int | tuple[int, int] | tuple[tuple[int, int], ...]


def _pairs(width: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """`width` as one pair (before, after) for each axis."""
    if isinstance(width, (tuple, list)) and width and isinstance(width[0], (tuple, list)):
        pairs = tuple(integers(w, "a width", "pad") for w in width)
        if len(pairs) == 1:
            pairs = pairs * ndim
    else:
        found = integers(width, "a width", "pad")
        pairs = (found if len(found) > 1 else found * 2,) * ndim
    if len(pairs) != ndim or any(len(p) != 2 for p in pairs):
        raise ShapeError(
            f"pad: widths {width} do not fit {ndim} dimension(s); give an int, a pair (before, after), "
            "or one pair for each axis."
        )
    if any(w < 0 for p in pairs for w in p):
        raise ArgumentError(f"pad: widths must be 0 or more, got {width}.")
    return pairs  # type: ignore[return-value]


@op(
    prepare=lambda x, pads, /: ((x,), {"pads": pads}), namespace="hidden", saves="", traits="jointly_linear",
    infer=lambda x, *, pads: Spec(tuple(a + n + b for n, (a, b) in zip(x.shape, pads, strict=True)), x.dtype),
    transpose=(lambda g, x, *, pads: g[tuple(slice(a, a + n) for n, (a, b) in zip(x.shape, pads, strict=True))],),
    samples=lambda rng: [((rng.normal(size=(2, 3)), ((1, 0), (2, 1))), {})],
)  # fmt: skip
def pad_zeros(x: Any, /, *, pads: tuple[tuple[int, int], ...]) -> Any:
    """`x` with zeros around it."""
    index = Index(tuple(Cut(a, a + n) for n, (a, _) in zip(x.shape, pads, strict=True)))
    return place.eval(x, index=index, shape=tuple(a + n + b for n, (a, b) in zip(x.shape, pads, strict=True)))


def _pad_cases(rng: Any) -> list[Any]:
    x = rng.normal(size=(3, 4))
    return [
        ((x, 1), {}), ((x, ((0, 2), (1, 0))), {"value": 2.0}), ((x, (1, 2)), {"mode": "reflect"}),
        ((x, ((1, 0), (0, 3))), {"mode": "edge"}), ((x, 2), {"mode": "wrap"}), ((x, 5), {"mode": "symmetric"}),
    ]  # fmt: skip


@composite(onnx="Pad", samples=_pad_cases)
def pad(x: Any, width: Width, /, *, mode: str = "constant", value: float = 0) -> Any:
    """`x` with more elements at the edges: `width` is an int, a pair (before, after), or a pair for each axis.

    Args:
        mode: "constant" fills with `value`; "edge" repeats the outermost element, "reflect" mirrors at it,
            "symmetric" mirrors beyond it, "wrap" goes on with the other end (as `numpy.pad`).

    >>> import backlit as bl
    >>> bl.pad(bl.tensor([1, 2, 3]), 2, mode="reflect")
    tensor([3, 2, 1, 2, 3, 2, 1], dtype=int64)
    """
    x = operand(x)
    pads = _pairs(width, x.ndim)
    if mode == "constant":
        out = pad_zeros(x, pads)
        if type(value) in (int, float, complex, bool) and value == 0:
            return out
        frame = np.pad(np.zeros(x.shape, np.int8), pads, constant_values=1).astype(x.dtype)
        return out + frame * value
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ArgumentError(f"pad: mode must be constant, edge, reflect, symmetric or wrap, got {mode!r}.")
    for axis, (before, after) in enumerate(pads):
        if before or after:
            n = x.shape[axis]
            if not n:
                raise ShapeError(f"pad: axis {axis} has no elements to repeat; use mode='constant'.")
            x = take(x, np.pad(np.arange(n), (before, after), mode=mode), axis=axis)  # type: ignore[call-overload]
    return x
