"""A call of a user's function as an op: its arguments with the arrays taken out, and the structure of its result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..base.config import recording
from ..base.trees import leaves, rebuild, tree_map
from ..graph.bind import bind_symbolic, record
from ..graph.closure import as_tensor
from ..graph.opdef import OpDef
from ..graph.tensor import Tensor, as_value, wrap

_ARRAYS = (Tensor, np.ndarray, np.generic)


class Application:
    """One call of a function.

    Attributes:
        arrays: the leaves of the arguments that are arrays, which become the inputs of the op.
        tree: the structure of the result, known once the function has run.
    """

    __slots__ = ("_args", "_items", "_places", "arrays", "kwargs", "tree")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        items = leaves(args)
        self._places = [i for i, x in enumerate(items) if isinstance(x, _ARRAYS)]
        self.arrays = [x if isinstance(x, Tensor) else wrap(as_value(x)) for x in (items[i] for i in self._places)]
        self._items: list[Any] = [None if isinstance(x, _ARRAYS) else x for x in items]
        self._args = tree_map(lambda _: 0, args)
        self.kwargs = kwargs
        self.tree: Any = None

    def arguments(self, new: Iterable[Any]) -> tuple[Any, ...]:
        """The arguments with `new` in the place of the arrays."""
        items = list(self._items)
        for i, x in zip(self._places, new, strict=True):
            items[i] = x
        return rebuild(self._args, iter(items))

    def run(self, function: Any, arrays: Iterable[Any]) -> list[Tensor]:
        """The leaves of the function's result on these arrays."""
        out = function(*self.arguments(arrays), **self.kwargs)
        self.tree = tree_map(lambda _: 0, out)
        return [as_tensor(y) for y in leaves(out)]

    def per_array(self, items: Sequence[Any]) -> list[Any]:
        """Of one item for each leaf of the arguments, those that belong to arrays."""
        return [items[i] for i in self._places]

    def result(self, ys: Iterable[Any]) -> Any:
        """The result whose leaves are `ys`."""
        return rebuild(self.tree, iter(ys))


def apply(op: OpDef, application: Application, params: dict[str, Any]) -> Any:
    """`bind`, leaving the errors of the user's function as they are."""
    inputs = application.arrays
    if any(t.value is None for t in inputs):
        return bind_symbolic(op, inputs, params)
    values = [t.value for t in inputs]
    out = op.eval(*values, **params)
    origin = recording.get()
    if origin and any(t.node is not None for t in inputs):
        return record(op, inputs, values, params, out, origin)
    return tuple(map(wrap, out))
