"""Giving memory away: whether a buffer may be taken, and what stays in the Tensor that gave it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ..base.errors import GraphError
from ..graph.node import Place, line_of
from ..graph.opdef import Spec
from ..graph.tensor import Tensor, wrap


class Spent:
    """What stands in the place of the value of a donated Tensor: whatever asks it for anything gets an error.

    So a Tensor that has its value pays nothing for the check.
    """

    __slots__ = ("_name", "_place")

    def __init__(self, name: str, place: Place | None) -> None:
        self._name, self._place = name, place

    def _refuse(self) -> GraphError:
        line = line_of(self._place)
        return GraphError(
            f"this tensor was donated to {self._name}(...){f' at {line}' if line else ''}, which took its memory; use "
            f"the tensor that {self._name} returned in its place, or leave the argument out of donate=."
        )

    def __getattr__(self, name: str) -> Any:
        raise self._refuse()

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._refuse()

    def __repr__(self) -> str:
        return f"donated to {self._name} at {line_of(self._place)}"


def spared(value: Any) -> Any:
    """A value whose memory may be taken: itself where only one Tensor and one local variable hold it, else a copy."""
    if type(value) is not np.ndarray:
        return value if isinstance(value, np.generic) else np.array(value)
    base = value.base
    if _references(value, base) == _alone(base is not None) and value.flags.writeable and value.flags.c_contiguous:
        return value
    return value.copy()


@cache
def alone() -> int:
    """The references to an array that one Tensor and one local variable hold, counted in that variable's function."""

    def counted(tensor: Tensor) -> int:
        value = tensor.value
        return sys.getrefcount(value)

    return counted(wrap(np.zeros(2)))


def _references(value: Any, base: Any) -> tuple[int, int]:
    """How many refer to an array, and to the owner of its memory: views of a view all refer to that."""
    return sys.getrefcount(value), sys.getrefcount(base) if base is not None else 0


@cache
def _alone(view: bool) -> tuple[int, int]:
    """`_references` of an array that one Tensor and one local variable hold. Counted: interpreters differ in it."""
    tensor = wrap(np.zeros(4)[:2] if view else np.zeros(2))
    held = tensor.value

    def asked(value: Any) -> tuple[int, int]:  # as in `spared`
        base = value.base
        return _references(value, base)

    return asked(held)


def paired(inputs: Sequence[tuple[str, Spec, bool]], outputs: Sequence[tuple[str, Spec]]) -> dict[int, int]:
    """Which output may take the memory of which donated input: output index -> input index.

    Shape and dtype must be equal. First those whose paths agree: `0.w` of the results with `w` of the first donated
    argument, so that the new parameters come to lie where the old ones lay; then the others, in order.

    Args:
        inputs: path, spec, and whether it is donated.
        outputs: path and spec.
    """
    free = [i for i, (_, spec, donated) in enumerate(inputs) if donated and spec.shape]
    roots = list(dict.fromkeys(inputs[i][0].partition(".")[0] for i in free))
    places: dict[str, int] = {}
    for i in free:
        root, _, rest = inputs[i][0].partition(".")
        places[f"{roots.index(root)}.{rest}".rstrip(".")] = i
        if len(roots) == 1:
            places.setdefault(rest, i)
    found: dict[int, int] = {}
    for k, (path, spec) in enumerate(outputs):
        i = places.get(path)
        if i in free and inputs[i][1] == spec:
            found[k] = i
            free.remove(i)
    for k, (_, spec) in enumerate(outputs):
        i = next((i for i in free if inputs[i][1] == spec), None) if k not in found else None
        if i is not None:
            found[k] = i
            free.remove(i)
    return found
