"""What the tests of native plans share: functions run as plans and eagerly, compared; and forms that kernels take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

import backlit as bl
from backlit.base.trees import leaves
from backlit.compiler.lower import loops, region

Array = np.ndarray[Any, Any]


@contextmanager
def in_memory() -> Iterator[None]:
    """No graph is taken for tiny: what would run in registers runs in the kernels for arrays."""
    never = lambda *_: False
    with mock.patch.object(region, "fits", never), mock.patch.object(loops, "fits", never):
        yield


def arrays(tree: Any) -> list[Array]:
    """The leaves of a result as arrays."""
    return [y.numpy() if isinstance(y, bl.Tensor) else np.asarray(y) for y in leaves(tree)]


def eager(function: Callable[..., Any], values: Sequence[Any]) -> list[Array]:
    """The results step by step."""
    with np.errstate(all="ignore"):
        return arrays(function(*map(bl.tensor, values)))


def native(function: Callable[..., Any], values: Sequence[Any], threads: int | None = None) -> list[Array]:
    """The results of a plan made for these values; copies, as a plan may use their memory again."""
    return [y.copy() for y in arrays(bl.compile(lambda *xs: function(*xs), threads=threads)(*values))]


def agree(found: Sequence[Any], expected: Sequence[Any], what: str = "", ulps: float = 64) -> None:
    """Assert equal shapes and dtypes, NaN and infinities in the same places, and the rest equal but for rounding.

    Rounding is `ulps` units in the last place of the largest magnitude in the array, or of what `expected` brings
    along as its scale: a pair (values, scale).
    """
    assert len(found) == len(expected), what
    for i, (a, pair) in enumerate(zip(found, expected, strict=True)):
        b, scale = pair if isinstance(pair, tuple) else (pair, None)
        label = f"{what}, result {i}"
        assert a.dtype == b.dtype, f"{label}: {a.dtype}, expected {b.dtype}"
        assert a.shape == b.shape, f"{label}: {a.shape}, expected {b.shape}"
        if a.dtype.kind not in "fc":
            np.testing.assert_array_equal(a, b, err_msg=label)
            continue
        finite = np.isfinite(b)
        np.testing.assert_array_equal(a[~finite], b[~finite], err_msg=label)
        assert np.isfinite(a[finite]).all(), f"{label}: {a[finite & ~np.isfinite(a)]} is not finite where eager is"
        if scale is None:
            scale = np.abs(b[finite]).max(initial=0.0)
        allowed = ulps * np.finfo(b.dtype).eps * np.broadcast_to(scale, b.shape)[finite]
        gap = np.abs(a[finite] - b[finite])
        if (gap > allowed).any():
            i = int((gap - allowed).argmax())
            where = tuple(int(p[i]) for p in np.nonzero(finite))
            raise AssertionError(f"{label} at {where}: {a[where]}, expected {b[where]}; {allowed[i]} is rounding")


def check(function: Callable[..., Any], values: Sequence[Any], what: str = "", ulps: float = 64) -> None:
    """Assert that a function gives as a plan what it gives step by step."""
    agree(native(function, values), eager(function, values), what, ulps)
