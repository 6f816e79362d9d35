"""Hypothesis strategies for arrays, shapes and Tensors. Hypothesis itself is needed only where these are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.dtypes import ALL, CATEGORIES, DType, as_dtype
from ..base.errors import ArgumentError
from ..base.extras import require
from ..graph.tensor import Tensor

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


class Pair(NamedTuple):
    """Two arrays whose shapes broadcast, and the shape they broadcast to."""

    first: Array
    second: Array
    shape: Shape


def dtypes(category: str = "any") -> SearchStrategy[DType]:
    """The dtypes of a category of the Array API standard, such as "real floating-point"; the simplest first."""
    if category not in CATEGORIES:
        raise ArgumentError(f"dtypes: category {category!r} is not one of {', '.join(CATEGORIES)}.")
    return _hypothesis().sampled_from([d for d in ALL if d.char in CATEGORIES[category]])


def shapes(max_dims: int = 3, max_side: int = 4, min_side: int = 0) -> SearchStrategy[Shape]:
    """Shapes of up to `max_dims` axes, empty and zero-dimensional ones among them."""
    side = _hypothesis().integers(min_side, max_side)
    return _hypothesis().lists(side, max_size=max_dims).map(tuple)


def arrays(
    dtype: Any = "float64",
    shape: SearchStrategy[Shape] | Shape | None = None,
    elements: tuple[float, float] = (-10.0, 10.0),
) -> SearchStrategy[Array]:
    """Arrays with finite elements.

    Args:
        dtype: a dtype, or a strategy that draws one.
        shape: a shape, or a strategy that draws one; by default `shapes()`.
        elements: the lowest and the highest element (of real and imaginary part alike); clipped to
            what an integer dtype holds.

    >>> from hypothesis import given
    >>> from backlit.testing import strategies
    >>> @given(strategies.arrays("float32", (2, 3), (0, 1)))
    ... def test(a):
    ...     assert a.shape == (2, 3) and (a >= 0).all()
    >>> test()
    """
    st, shape = _hypothesis(), shapes() if shape is None else shape
    if hasattr(dtype, "flatmap"):
        return dtype.flatmap(lambda d: arrays(d, shape, elements))
    found = as_dtype(dtype)
    return _numpy().arrays(found, shape, elements=_elements(st, found, *elements))


def broadcastable_pairs(
    dtype: Any = "float64", elements: tuple[float, float] = (-10.0, 10.0), max_dims: int = 3
) -> SearchStrategy[Pair]:
    """Two arrays whose shapes broadcast: axes of size 1 and missing axes on either side."""
    both = _numpy().mutually_broadcastable_shapes(num_shapes=2, max_dims=max_dims, min_side=0, max_side=4)

    def pair(drawn: Any) -> SearchStrategy[Pair]:
        one, two = (arrays(dtype, shape, elements) for shape in drawn.input_shapes)
        return _hypothesis().builds(Pair, one, two, _hypothesis().just(drawn.result_shape))

    return both.flatmap(pair)


def tensors(
    dtype: Any = "float64",
    shape: SearchStrategy[Shape] | Shape | None = None,
    elements: tuple[float, float] = (-10.0, 10.0),
    requires_grad: bool = False,
) -> SearchStrategy[Tensor]:
    """Tensors with finite elements; see `arrays`."""
    return arrays(dtype, shape, elements).map(lambda a: Tensor(a, requires_grad=requires_grad))


def _elements(st: Any, dtype: DType, low: float, high: float) -> Any:
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return st.integers(max(int(np.ceil(low)), int(limits.min)), min(int(np.floor(high)), int(limits.max)))
    if dtype.kind == "c":
        part = _reals(st, low, high, np.dtype(f"f{dtype.itemsize // 2}"))
        return st.builds(complex, part, part)
    return _reals(st, low, high, dtype)


def _reals(st: Any, low: float, high: float, dtype: DType) -> Any:
    """Reals that the dtype holds exactly, without subnormals: those are flushed on some machines."""
    first, last = (float(dtype.type(end)) for end in (low, high))
    return st.floats(first, last, width=8 * dtype.itemsize, allow_subnormal=False)


def _hypothesis() -> Any:
    return require("hypothesis.strategies", "dev")


def _numpy() -> Any:
    return require("hypothesis.extra.numpy", "dev")
