"""`Case`: one call of an op on sample arguments, and the samples of a record drawn as cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..base.dtypes import COMPLEX, FLOAT
from ..base.errors import ArgumentError, DtypeError
from ..base.trees import leaves, rebuild
from ..graph.op import Op
from ..graph.tensor import Tensor, wrap

Array = np.ndarray[Any, Any]
View = Callable[..., Any]


class Case:
    """A call of the public function of `op`; its floating-point arrays are what is varied.

    Attributes:
        arrays: the floating-point arrays among the arguments, read-only.
        view: what is looked at in place of the result itself, for results that are fixed only up to a sign
            or an order, as eigenvectors are.
    """

    def __init__(
        self,
        op: Op,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        view: View | None = None,
        moving: Sequence[int] | None = None,
    ) -> None:
        self.op, self.view = op, view
        self.tree = (args, kwargs)
        self._leaves = [_frozen(leaf) for leaf in leaves(self.tree)]
        self._moving = moving or [
            i for i, leaf in enumerate(self._leaves) if isinstance(leaf, np.ndarray) and leaf.dtype.char in FLOAT
        ]
        self.arrays: list[Array] = [self._leaves[i] for i in self._moving]

    def __call__(self, *values: Any) -> Any:
        """The result, with `values` (Tensors or arrays) in the place of `arrays`."""
        args, kwargs = self.with_arrays(values)
        return self.op.public(*args, **kwargs)

    def seen(self, *values: Any) -> list[Any]:
        """The floating-point Tensors of the result, or of the view of it."""
        out = self(*values)
        if self.view is not None:
            out = self.view(out)
        return [y for y in leaves(out) if y.dtype.char in FLOAT]

    def with_arrays(self, values: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) with `values` in the place of `arrays`."""
        new = list(self._leaves)
        for i, value in zip(self._moving, values, strict=True):
            new[i] = value
        return rebuild(self.tree, iter(new))

    def cast(self, dtype: str) -> Case:
        """The same call with all floating-point arrays in another dtype."""
        return self.replaced([a.astype(dtype) for a in self.arrays])

    def narrow(self) -> Case:
        """The same call in single precision."""
        return self.replaced([a.astype("complex64" if a.dtype.char in COMPLEX else "float32") for a in self.arrays])

    def replaced(self, values: Any) -> Case:
        """The same call on other arrays, of any dtype."""
        return Case(self.op, *self.with_arrays(values), self.view, self._moving)

    def resized(self, shape: tuple[int, ...]) -> Case:
        """The same call with every array, integers too, repeated or cut to `shape`."""
        new = [np.resize(x, shape) if isinstance(x, np.ndarray) else x for x in self._leaves]
        return Case(self.op, *rebuild(self.tree, iter(new)), view=self.view)

    def results(self, *values: Any) -> list[Array]:
        """Every array of the result, as NumPy arrays."""
        return [y.numpy() for y in leaves(self(*(values or self.arrays)))]

    def tensors(self) -> list[Tensor]:
        """The arrays as Tensors."""
        return [wrap(a) for a in self.arrays]

    def __str__(self) -> str:
        def shown(leaf: Any) -> str:
            return f"{leaf.dtype.name}{leaf.shape}" if isinstance(leaf, np.ndarray) else repr(leaf)

        args, kwargs = rebuild(self.tree, iter([Shown(shown(leaf)) for leaf in self._leaves]))
        return f"{self.op.name}({', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])})"


def plain(x: Any) -> Any:
    """The NumPy value of a Tensor; anything else as it is."""
    return x.numpy() if isinstance(x, Tensor) else x


class Shown(str):
    """Text that prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _frozen(leaf: Any) -> Any:
    if not isinstance(leaf, np.ndarray):
        return leaf
    copy: Array = leaf.copy(order="K")
    copy.flags.writeable = False
    return copy


def samples_of(op: Op, rng: np.random.Generator, view: View | None = None) -> Iterator[Case]:
    """The cases of a record: its own samples, or arrays drawn from the intervals it gives."""
    if op.samples is None:
        raise ArgumentError(f"op {op.name!r} has no samples; give an interval for each input, or a function of rng.")
    if callable(op.samples):
        samples: Any = op.samples(rng)
        for args, kwargs in samples:
            yield Case(op, tuple(args) if isinstance(args, (tuple, list)) else (args,), kwargs, view)
        return
    for shapes in (((3,), (3,), (3,)), ((2, 3), (3,), (2, 1)), ((), (), ()), ((2, 1), (4,), ())):
        yield drawn(op, shapes, rng)


def drawn(op: Op, shapes: Any, rng: np.random.Generator) -> Case:
    """A case of an elementwise op, an array of each of `shapes` drawn from the intervals of its record."""
    intervals = intervals_of(op)
    return Case(op, tuple(draw(i, s, op.dtypes, rng) for i, s in zip(intervals, shapes, strict=False)), {})


def intervals_of(op: Op) -> list[Any]:
    """For each input the interval, or intervals, to draw from."""
    count = len(op.input_names)
    single = len(op.samples) == 2 and not isinstance(op.samples[0], (tuple, list))
    intervals = [op.samples] * count if single else list(op.samples) * (count if len(op.samples) == 1 else 1)
    if len(intervals) != count:
        raise ArgumentError(f"op {op.name!r}: samples must hold an interval for each of its {count} inputs.")
    return intervals


def draw(interval: Any, shape: tuple[int, ...], dtypes: str, rng: np.random.Generator) -> Array:
    """An array of `shape` from an interval (low, high), or from several; integers where the op takes no others."""
    if dtypes == "boolean":
        return np.asarray(rng.random(shape) < 0.5)
    parts = [interval] if not isinstance(interval[0], (tuple, list)) else list(interval)
    which = rng.integers(len(parts), size=shape)
    low = np.choose(which, [p[0] for p in parts])
    high = np.choose(which, [p[1] for p in parts])
    if dtypes in ("integer", "integer or boolean"):
        return np.asarray(rng.integers(low, high, endpoint=True, size=shape))
    return np.asarray(rng.uniform(low, high, size=shape))


def as_complex(case: Case, rng: np.random.Generator) -> Case | None:
    """The same call on complex arrays, where the op takes them."""
    if not case.arrays or not set(COMPLEX) <= set(case.op.chars):
        return None
    parts = [0 if a.dtype.char in COMPLEX else 1j * rng.uniform(0.1, 0.5, a.shape) for a in case.arrays]
    found = case.replaced([np.asarray(a + part) for a, part in zip(case.arrays, parts, strict=True)])
    if case.op.composite is not None:  # what it is made of may refuse
        try:
            found.results()
        except DtypeError:
            return None
    return found
